"""The kit for methods: what every method must do, a check each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from calando.errors import UnknownName, UsageError
from calando.methods import Driver, Method
from calando.methods.parameter_groups import split_by_decay
from calando.schedules import Horizon, parse
from calando.testing.require import require
from calando.testing.training import MethodCase, Trial, build, drive, loss_of, pictures, stored, update

__all__ = ["METHOD_CHECKS", "MethodCase", "check_method"]

Check = Callable[[Method, MethodCase, str, torch.dtype], None]
_CHECKS: dict[str, Check] = {}
METHOD_CHECKS: Mapping[str, Check] = MappingProxyType(_CHECKS)
"""Requirement -> its check: (method, case, device, dtype) -> None; each can be run alone."""


def check_method(
    method: Method, case: MethodCase | None = None, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> None:
    """Check a method against what every method must do: all of `METHOD_CHECKS`.

    Args:
        method: the method.
        case: where it differs from other methods, and why.
        device: device of the small network that is trained.
        dtype: number format of the network.

    Raises:
        AssertionError: a requirement is not met; the message is one line that says which.

    >>> from calando.methods import find_method
    >>> check_method(find_method("adam"))
    """
    for check in METHOD_CHECKS.values():
        check(method, case or MethodCase(), device, dtype)


def _check(named: Callable[[Trial], None]) -> Callable[[Trial], None]:
    _CHECKS[named.__name__] = lambda method, case, device, dtype: named(Trial(method, case, device, dtype))
    return named


FALL = 0.08  # Adam and the like bring the loss from 2.4 to 1.7 in so few steps, RAdam, which warms up longer, to 2.3


def _values(parameters: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    return [p.detach().clone() for p in parameters]


def _same(left: Iterable[torch.Tensor], right: Iterable[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def _finite(net: nn.Module) -> bool:
    return all(bool(torch.isfinite(p).all()) for p in net.parameters())


@_check
def resuming_from_a_checkpoint_changes_no_bit(on: Trial) -> None:
    method = on.method
    given = {"weight_decay": 0.01} if "weight_decay" in method.options else {}
    net = on.network()
    optimizer = build(method, net, **given)
    driver = drive(optimizer, method)
    saved: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    for step in range(12):
        if step == 6:
            saved, weights = stored(optimizer), copy.deepcopy(net.state_dict())
        driver.write(step)
        update(method, optimizer, loss_of(net, step))
    again = on.network()
    again.load_state_dict(weights)
    optimizer_again = build(method, again, **given)
    driver = drive(optimizer_again, method)
    optimizer_again.load_state_dict(saved)
    for step in range(6, 12):
        driver.write(step)
        update(method, optimizer_again, loss_of(again, step))
    require(all(p.dtype == on.dtype for p in net.parameters()), f"{method.name} changes the weights' type")
    require(_finite(net), f"{method.name} makes weights that are not finite")
    same = _same(net.state_dict().values(), again.state_dict().values())
    require(same, f"{method.name} resumed from its stored state ends with other weights: it remembers more than that")
    require(not _same(_values(net.parameters()), _values(on.network().parameters())), f"{method.name} trains nothing")


@_check
def a_net_with_batch_norm_learns_at_the_usual_rate(on: Trial) -> None:
    net = on.network(width=16)
    x, y = pictures()
    x, y = x.to(next(net.parameters())), y.to(on.device)
    optimizer = build(on.method, net)
    before = cross_entropy(net(x).float(), y).item()
    for step in range(60):
        update(on.method, optimizer, loss_of(net, step))
    after = cross_entropy(net(x).float(), y).item()
    require(after < before - FALL, f"{on.method.name} at its usual rate brings {before:.3g} to {after:.3g} only")


@_check
def a_rate_of_zero_moves_nothing(on: Trial) -> None:
    method, net = on.method, on.network()
    optimizer = build(method, net)
    before = _values(net.parameters())
    for group in optimizer.param_groups:
        group["kept"], group["lr"] = group["lr"], 0.0
    update(method, optimizer, loss_of(net, 0))
    require(_same(before, net.parameters()), f"{method.name} moves weights at a rate of 0")
    for group in optimizer.param_groups:
        group["lr"] = group["kept"]
    for step in range(8):
        update(method, optimizer, loss_of(net, step))
    trained = _values(net.parameters())
    require(not _same(before, trained), f"{method.name} trains nothing after a rate of 0")
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    update(method, optimizer, loss_of(net, 0))
    moved = not _same(trained, net.parameters())
    _as_in(
        on.case.moves_at_rate_0, moved, f"{method.name} moves weights at a rate of 0, once trained", "moves_at_rate_0"
    )


@_check
def steps_are_proportional_to_each_groups_rate(on: Trial) -> None:
    # Constant gradients, a loss far above any Polyak step's and a tiny rate: what is left is the rate.
    method = on.method
    torch.manual_seed(1)
    ends = [nn.Parameter(torch.randn(6, 5, dtype=torch.float64)) for _ in range(2)]
    ends[1].data.copy_(ends[0])
    before = _values(ends)
    slope = torch.randn(6, 5, dtype=torch.float64)
    decay = {"weight_decay": 0} if "weight_decay" in method.options else {}
    optimizer = build(method, [{"name": "a", "params": [ends[0]]}, {"name": "b", "params": [ends[1]]}], **decay)
    optimizer.param_groups[1]["lr"] *= 0.5

    def loss() -> torch.Tensor:
        return torch.stack([(p * slope).sum() for p in ends]).sum() + 1e6

    refused = ""
    try:
        driver = Driver(optimizer, schedules={"lr": parse("linear(0.0005, 0.001, over=3)")}, horizon=Horizon(9))
        for step in range(9):
            driver.write(step)
            update(method, optimizer, loss)
    except UsageError as error:
        refused = str(error)
    one_rate = "one rate for all parameter groups" in refused
    require(one_rate or not refused, f"{method.name} refuses groups of two rates: {refused}")
    _as_in(on.case.one_rate, one_rate, f"{method.name} refuses groups of two rates", "one_rate")
    if one_rate:
        return
    far, near = (float(torch.linalg.vector_norm(p.detach() - q)) for p, q in zip(ends, before, strict=True))
    share = near / far if far else 0.0
    require(abs(share - 0.5) <= 0.01, f"{method.name} at half the rate goes {share:.3g} of the way, not half")


@_check
def each_group_has_its_own_weight_decay(on: Trial) -> None:
    method = on.method
    if "weight_decay" not in method.options:
        return
    torch.manual_seed(2)
    decayed, kept = nn.Parameter(torch.randn(6, 5)), nn.Parameter(torch.randn(6, 5))
    before = _values([decayed, kept])
    groups = [
        {"name": "decay", "params": [decayed], "weight_decay": 0.1},
        {"name": "no_decay", "params": [kept], "weight_decay": 0.0},
    ]
    optimizer = build(method, groups, lr=method.usual_rate, weight_decay=0.1)
    for _ in range(9):
        update(method, optimizer, lambda: 0 * (decayed.sum() + kept.sum()))
    require(torch.equal(kept, before[1]), f"{method.name} decays a group whose weight_decay is 0")
    shrunk = bool(decayed.norm() < before[0].norm())
    what = f"{method.name} decays no weights where all gradients are zero"
    _as_in(on.case.gradient_alone_decays, not shrunk, what, "gradient_alone_decays")


@_check
def rates_reach_tensors_too(on: Trial) -> None:
    if on.case.float_rates:
        return
    method, ends = on.method, []
    for tensor in (False, True):
        net = on.network()
        optimizer = build(method, net)
        for group in optimizer.param_groups if tensor else []:
            group["lr"] = torch.tensor(group["lr"])
        driver = drive(optimizer, method)
        for step in range(6):
            driver.write(step)
            update(method, optimizer, loss_of(net, step))
        still = all(isinstance(group["lr"], torch.Tensor) == tensor for group in optimizer.param_groups)
        require(still, f"{method.name} replaces a rate that is a tensor")
        ends.append(nn.utils.parameters_to_vector(net.parameters()).detach().float())
    apart = float((ends[1] - ends[0]).abs().max())
    slack = (2e-4 if on.dtype == torch.float32 else 2e-2) * float(ends[0].abs().max())
    require(apart <= slack, f"{method.name} ends {apart:.3g} apart where its rate is a tensor")


@_check
def zero_gradients_do_no_harm(on: Trial) -> None:
    method, net = on.method, on.network()
    before = _values(net.parameters())

    def zero() -> torch.Tensor:
        return 0 * torch.stack([p.sum() for p in net.parameters()]).sum()

    optimizer = build(method, net, **({"weight_decay": 0} if "weight_decay" in method.options else {}))
    update(method, optimizer, zero)
    require(_same(before, net.parameters()), f"{method.name} moves weights whose gradients are zero")
    for step in range(9):
        update(method, optimizer, loss_of(net, step))
    require(not _same(before, net.parameters()), f"{method.name} trains nothing after gradients of zero")
    update(method, optimizer, zero)
    require(_finite(net), f"{method.name} makes weights that are not finite of gradients of zero")


@_check
def what_has_no_gradient_stays(on: Trial) -> None:
    method, net = on.method, on.network(hidden=3)
    frozen, later = (dict(net.named_parameters())[name] for name in ("0.weight", "3.weight"))
    frozen.requires_grad_(False)
    optimizer = build(method, net)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    require(all(frozen is not p for p in held), f"{method.name} is given a parameter that is frozen")
    later.requires_grad_(False)  # a member of a group
    before = _values([frozen, later])
    for step in range(8):
        update(method, optimizer, loss_of(net, step))
    require(_same(before, [frozen, later]), f"{method.name} moves weights that are frozen")
    later.requires_grad_(True)
    for step in range(8):
        update(method, optimizer, loss_of(net, step))
    require(not torch.equal(before[1], later), f"{method.name} does not train weights that were frozen before")
    require(_finite(net), f"{method.name} makes weights that are not finite of those that were frozen before")


@_check
def parameters_of_one_dimension_or_none(on: Trial) -> None:
    method = on.method
    shapes: tuple[tuple[int, ...], ...] = ((), (1,), (7,))
    for shape in shapes:
        torch.manual_seed(3)
        parameter = nn.Parameter(torch.randn(shape, dtype=torch.float64) + 3)
        optimizer = build(method, [{"name": "all", "params": [parameter]}], lr=method.usual_rate * 0.1)
        losses = [update(method, optimizer, lambda p=parameter: p.square().sum()) for _ in range(12)]  # type: ignore[misc]
        require(losses[-1] < losses[0], f"{method.name} does not train a parameter of shape {shape}")


@_check
def it_keeps_as_many_tensors_as_it_says(on: Trial) -> None:
    method, net = on.method, on.network(width=32, hidden=4)
    optimizer = build(method, net, **on.case.kept)
    for step in range(3):
        update(method, optimizer, loss_of(net, step))
    kept = sum(v.numel() for state in optimizer.state.values() for v in state.values() if isinstance(v, torch.Tensor))
    found = kept / sum(p.numel() for p in net.parameters())
    require(
        abs(found - method.memory) <= 0.06,
        f"{method.name} keeps {found:.3g} times the parameters, not {method.memory:g}",
    )


@_check
def nothing_is_remembered_outside_state_and_groups(on: Trial) -> None:
    method, net = on.method, on.network()
    optimizer = build(method, net)
    update(method, optimizer, loss_of(net, 0))
    plain = (bool, int, float, str, type(None))

    def attributes() -> dict[str, Any]:
        own = {k: v for k, v in vars(optimizer).items() if isinstance(v, (*plain, torch.Tensor))}
        return {key: value.clone() if isinstance(value, torch.Tensor) else value for key, value in own.items()}

    before = attributes()
    for step in range(5):
        update(method, optimizer, loss_of(net, step))
    after = attributes()
    changed = [
        key for key in {**before, **after} if key not in before or key not in after or bool(before[key] != after[key])
    ]
    require(
        not changed, f"{method.name} remembers {', '.join(changed)} outside its state and groups: no checkpoint has it"
    )
    for state in optimizer.state.values():
        for key, value in state.items():
            require(
                isinstance(value, (*plain, torch.Tensor)), f"{method.name}: state {key} cannot be stored: {type(value)}"
            )
    for group in optimizer.param_groups:
        for key, value in group.items():
            inside = list(value) if isinstance(value, tuple) else [value]
            known = key == "params" or all(isinstance(item, plain) for item in inside)
            require(known, f"{method.name}: {key} of a group cannot be stored: {type(value)}")


@_check
def evaluation_weights_come_and_go(on: Trial) -> None:
    method, net = on.method, on.network()
    optimizer = build(method, net)
    for name in ("eval", "train"):
        has = hasattr(optimizer, name)
        require(
            has == method.eval_mode, f"{method.name} has eval_mode={method.eval_mode}, and its optimizer {name}: {has}"
        )
    if not method.eval_mode:
        return
    for step in range(9):
        update(method, optimizer, loss_of(net, step))
    own: Any = optimizer
    trained = _values(net.parameters())
    own.eval()
    evaluated = _values(net.parameters())
    require(not _same(trained, evaluated), f"{method.name} evaluates the weights that it trains")
    own.eval()
    require(_same(evaluated, net.parameters()), f"{method.name} changes the weights to evaluate when asked twice")
    own.train()
    for left, right in zip(trained, net.parameters(), strict=True):
        torch.testing.assert_close(left, right.detach(), rtol=1e-4, atol=1e-5)


@_check
def groups_have_the_names_that_are_announced(on: Trial) -> None:
    method = on.method
    for given in ({}, {"weight_decay": 0.0}, {"weight_decay": 0.1}):
        if not given.keys() <= method.options.keys():
            continue
        options = method.settle(given)
        groups = method.groups.split(on.network(), options)
        found, announced = {group["name"] for group in groups}, set(method.groups.names(options))
        require(found <= announced, f"{method.name} makes groups {sorted(found)} and announces {sorted(announced)}")
        held = [p for group in groups for p in group["params"]]
        whole = len(held) == len(set(held)) == len(list(on.network().parameters()))
        require(whole, f"{method.name} does not put each parameter into one group")


@_check
def groups_that_the_user_made(on: Trial) -> None:
    method, net = on.method, on.network()
    if "weight_decay" not in method.options:
        return
    before = _values(net.parameters())
    optimizer = build(method, split_by_decay(net, weight_decay=0.1), weight_decay=0.1)
    found = [(group["name"], group["weight_decay"]) for group in optimizer.param_groups]
    require(found == [("decay", 0.1), ("no_decay", 0.0)], f"{method.name} makes of a user's own groups {found}")
    for step in range(8):
        update(method, optimizer, loss_of(net, step))
    moved = not any(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    require(moved, f"{method.name} leaves a parameter of a user's own groups untrained")


@_check
def wrong_options_are_named(on: Trial) -> None:
    method = on.method
    _refused(method, {"no_such_option": 1}, UnknownName, f"unknown option of {method.name} 'no_such_option'")
    for name in method.options:
        _refused(method, {name: "wrong"}, UsageError, f"{method.name}: {name} must be ")


def _refused(method: Method, given: dict[str, Any], kind: type[UsageError], message: str) -> None:
    try:
        method.settle(given)
    except kind as error:
        require(str(error).startswith(message), f"{method.name} refuses {given} with {str(error)!r}, not {message!r}")
        return
    raise AssertionError(f"{method.name} takes {given}")


@_check
def the_default_options_are_within_their_ranges(on: Trial) -> None:
    method = on.method
    same = method.settle({name: option.default for name, option in method.options.items()}) == method.settle({})
    require(same, f"{method.name} makes other options of its own defaults")
    require(method.usual_rate > 0, f"{method.name} has a usual rate of {method.usual_rate:g}")
    rate_free = not method.rate_free or method.usual_rate == 1
    require(rate_free, f"{method.name} works its rate out and has a usual rate of {method.usual_rate:g}, not 1")


def _as_in(why: str, found: bool, what: str, argument: str) -> None:
    """A difference must be stated in the case, and be there where it is stated."""
    require(not found or bool(why), f"{what}; if it must, say why: MethodCase({argument}=...)")
    require(found or not why, f"{argument}={why!r} is stated, and it is not so: {what}")
