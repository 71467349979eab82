"""Schedules that advance by themselves: on every real update and on no other, with the values of that update."""

import gc
import itertools
import warnings
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import calando
from calando.errors import UsageError

TOTAL = 20
TEXT = "linear(0.1, 1, over='25%') >> cosine(1, 0)"


def optimizer_of(
    *rates: float, build: type[torch.optim.Optimizer] = torch.optim.SGD, **options
) -> torch.optim.Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.ones(2))], "lr": rate} for rate in rates]
    return build(groups, **options)


def watch(optimizer: torch.optim.Optimizer) -> list[list[float]]:
    """A list that gets the rates of every update as it is made."""
    seen: list[list[float]] = []
    optimizer.register_step_post_hook(lambda o, _args, _kwargs: seen.append([float(g["lr"]) for g in o.param_groups]))
    return seen


def update(optimizer: torch.optim.Optimizer, *, times: int = 1, gradient: float = 1.0) -> None:
    for _ in range(times):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()


@given(st.lists(st.floats(1e-5, 10), min_size=1, max_size=3), st.integers(1, 40), st.integers(0, 10))
def test_updates_have_the_rates_of_the_schedule(rates, total, beyond):
    optimizer = optimizer_of(*rates)
    curve = calando.parse(TEXT).bind(total)
    attached = calando.attach(optimizer, TEXT, total_steps=total)
    seen = watch(optimizer)
    assert attached.get_last_lr() == [rate * curve(0) for rate in rates]
    update(optimizer, times=total + beyond)
    assert seen == [[rate * curve(step) for rate in rates] for step in range(total + beyond)]
    assert attached.get_last_lr() == seen[-1]
    assert attached.step == total + beyond


def test_what_others_wrote_in_between_is_overwritten_and_said_once():
    optimizer = optimizer_of(0.1, momentum=0.9)
    calando.attach(optimizer, "linear(1, 0)", total_steps=10, hyper_parameters={"momentum": "linear(1, 0)"})
    seen = watch(optimizer)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(3):
            optimizer.param_groups[0].update(lr=7.0, momentum=0.1)
            update(optimizer)
    assert [str(one.message)[:37] for one in said] == ["something else set lr of group 0 to 7"]
    assert seen == [[0.1], [0.1 * 0.9], [0.1 * 0.8]]
    assert optimizer.param_groups[0]["momentum"] == 0.9 * 0.8


def test_gradient_accumulation_needs_no_thought():
    optimizer = optimizer_of(0.1)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    parameter = optimizer.param_groups[0]["params"][0]
    for batch in range(12):
        parameter.sum().backward()
        if batch % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
    assert attached.step == 3


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (torch.optim.SGD, {"fused": False}),
        (torch.optim.SGD, {"fused": True}),
        (torch.optim.Adam, {"foreach": True}),
        (torch.optim.Adam, {"fused": True}),
    ],
)
@given(skipped=st.lists(st.booleans(), min_size=1, max_size=8))
def test_updates_that_the_gradient_scaler_skips_do_not_count(build, options, skipped):
    optimizer = optimizer_of(0.1, build=build, **options)
    parameter = optimizer.param_groups[0]["params"][0]
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    for skip in skipped:
        before, made = parameter.detach().clone(), attached.step
        loss = (parameter * (torch.inf if skip else 1.0)).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        assert torch.equal(parameter, before) == skip
        assert attached.step == made + (not skip)
    made = attached.step
    update(optimizer)  # without the scaler, after it
    assert attached.step == made + 1
    assert attached.get_last_lr() == pytest.approx([0.1 * (1 - made / 10)], rel=1e-12)


def test_a_closure_that_is_called_many_times_is_one_update():
    parameter = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = torch.optim.LBFGS([parameter], lr=0.5, max_iter=5)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    calls = []

    def closure() -> torch.Tensor:
        calls.append(optimizer.param_groups[0]["lr"])
        optimizer.zero_grad()
        loss = (parameter**4).sum()
        loss.backward()
        return loss

    for _ in range(2):
        optimizer.step(closure)
    assert len(calls) > attached.step == 2
    assert sorted(set(calls)) == [0.45, 0.5]


def test_an_update_that_fails_does_not_count():
    optimizer = optimizer_of(0.1)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)

    def closure() -> float:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        optimizer.step(closure)
    assert attached.step == 0


def test_a_group_added_later_joins_in():
    optimizer = optimizer_of(0.1)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    update(optimizer, times=4)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], "lr": 0.5})
    update(optimizer)
    assert attached.get_last_lr() == [0.1 * 0.6, 0.5 * 0.6]
    assert attached.state_dict()["base_lrs"] == [0.1, 0.5]


def test_nothing_is_patched_and_nothing_keeps_the_optimizer_alive():
    optimizer = optimizer_of(0.1)
    function, before = optimizer.step.__func__, set(vars(optimizer))
    gc.collect()
    gc.disable()
    try:
        attached = calando.attach(optimizer, TEXT, total_steps=TOTAL)
        assert optimizer.step.__func__ is function
        assert set(vars(optimizer)) == before
        update(optimizer, times=3)
        gone = weakref.ref(optimizer)
        del optimizer
        assert gone() is None
        assert attached.step == 3
        attached.detach()
        gone = weakref.ref(attached)
        del attached
        assert gone() is None
    finally:
        gc.enable()


def test_it_goes_on_where_nobody_keeps_what_attach_returned():
    optimizer = optimizer_of(0.1)
    calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    gc.collect()
    update(optimizer, times=6)
    assert optimizer.param_groups[0]["lr"] == 0.05


STEPS = ("build optimizer", "load optimizer", "attach", "load attached")
ORDERS = [
    order
    for order in itertools.permutations(STEPS)
    if order.index("build optimizer") < min(order.index("load optimizer"), order.index("attach"))
    and order.index("attach") < order.index("load attached")
]


@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
@pytest.mark.parametrize("edited", [1.0, 7.0], ids=["same script", "rates in the script changed since"])
@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.filterwarnings("ignore:total_steps=40 moves:UserWarning")
@pytest.mark.filterwarnings("ignore:the state was saved with total_steps=40:UserWarning")
def test_resumed_in_any_order_the_next_updates_are_right(order, edited, extended):
    def build(factor: float) -> torch.optim.Optimizer:
        return optimizer_of(0.1 * factor, 0.01 * factor, build=torch.optim.Adam, betas=(0.9 / factor, 0.99))

    def attach(to: torch.optim.Optimizer) -> calando.loops.attach.Attached:
        text = "per_group({'0': cosine(1, 0)}, others=linear(0.5, 1))"
        return calando.attach(to, text, total_steps=TOTAL, hyper_parameters={"beta1": "linear(1, 0.5)"})

    def values(of: torch.optim.Optimizer) -> list[tuple[float, float]]:
        seen = []
        of.register_step_post_hook(
            lambda o, _args, _kwargs: seen.append([(g["lr"], g["betas"]) for g in o.param_groups])
        )
        update(of, times=10)
        return seen

    whole = build(1.0)
    attached = attach(whole)
    update(whole, times=7)
    if extended:
        assert len(attached.extend(total_steps=40)) == 4
    state = {"optimizer": whole.state_dict(), "attached": attached.state_dict()}
    undisturbed = values(whole)

    for step in order:
        match step:
            case "build optimizer":
                optimizer = build(edited)
            case "load optimizer":
                optimizer.load_state_dict(state["optimizer"])
            case "attach":
                attached = attach(optimizer)
            case "load attached":
                attached.load_state_dict(state["attached"])
    assert values(optimizer) == undisturbed
    assert attached.step == 17


def test_a_scheduler_and_what_is_attached_read_each_others_state():
    first, second, third = (optimizer_of(0.1, 0.01) for _ in range(3))
    attached = calando.attach(first, TEXT, total_steps=TOTAL)
    update(first, times=7)
    scheduler = calando.LRScheduler(second, TEXT, total_steps=TOTAL)
    scheduler.load_state_dict(attached.state_dict())
    assert scheduler.state_dict() == attached.state_dict()
    again = calando.attach(third, TEXT, total_steps=TOTAL)
    again.load_state_dict(scheduler.state_dict())
    update(third)
    assert again.get_last_lr() == scheduler.get_last_lr()


def test_two_writers_are_refused_until_the_first_is_detached():
    optimizer = optimizer_of(0.1)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    update(optimizer, times=6)
    for second in (calando.attach, calando.LRScheduler):
        with pytest.raises(UsageError, match="follows attached schedules already; call detach"):
            second(optimizer, "cosine(1, 0)", total_steps=10)
    attached.detach()
    update(optimizer, times=3)
    assert (attached.step, optimizer.param_groups[0]["lr"]) == (6, 0.05)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=10)
    assert scheduler.get_last_lr() == [0.1]


def test_a_refused_schedule_leaves_the_optimizer_free():
    optimizer = optimizer_of(0.1)
    with pytest.raises(UsageError, match="cannot schedule 'momentom'"):
        calando.attach(optimizer, "linear(1, 0)", total_steps=10, hyper_parameters={"momentom": "linear(1, 0)"})
    update(optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert calando.attach(optimizer, "linear(1, 0)", total_steps=10).step == 0


def test_what_is_no_optimizer_is_refused():
    with pytest.raises(UsageError, match="attach needs a torch optimizer, got Linear"):
        calando.attach(torch.nn.Linear(1, 1), "linear(1, 0)", total_steps=10)


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # of torch, when it first compiles
def test_a_compiled_update_is_compiled_once_and_counts():
    from torch._dynamo.testing import CompileCounter

    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))], lr=torch.tensor(0.1, dtype=torch.float64))
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=TOTAL)
    compiled = CompileCounter()

    @torch.compile(backend=compiled)
    def step() -> None:
        optimizer.step()

    for _ in range(TOTAL):
        optimizer.param_groups[0]["params"][0].grad = torch.ones(2)
        step()
    assert compiled.frame_count == 1
    assert (attached.step, attached.get_last_lr()) == (TOTAL, [pytest.approx(0.1 / TOTAL)])


def test_lint_and_horizon_are_those_of_the_schedules():
    optimizer = optimizer_of(0.1)
    attached = calando.attach(optimizer, "linear(1, -1)", total_steps=100, steps_per_epoch=10)
    assert "negative" in [finding.name for finding in attached.lint()]
    assert (attached.horizon.total_steps, attached.horizon.steps_per_epoch) == (100, 10)
    assert attached.schedule == calando.parse("linear(1, -1)")
