"""What is known of a person's own optimizer, from what its parameter groups hold, whatever its class is called.

works its rate out   `d` next to betas or what else D-Adaptation keeps; `reps_rel` (DoG); a true `relative_step`
known                a class of torch, of ours or of a package that we build methods from, or a subclass of it, is the
                     registered method of that name, if its groups hold the momentum or the betas that this one has
like SGD             groups with a momentum and nothing that SGD does not have
like Adam            groups with two betas and eps, and nothing that Adam does not have

The usual rate, what is expected before anything is measured:
    SGD      1 - momentum: 0.1 at 0.9, and the same movement a step at any other momentum
    others   the usual rate of the method
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from calando.methods.method import METHODS, Closure, Method

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["closure_of", "usual_rate_of", "works_its_rate_out"]

HOMES = {"torch", "calando", "pytorch_optimizer", "schedulefree", "prodigyopt"}
D_ADAPTATION = {"d0", "d_coef", "growth_rate", "numerator", "numerator_weighted", "gsq_weighted", "d_numerator"}
BOOKKEEPING = {
    "params", "param_names", "lr", "initial_lr", "name", "weight_decay", "maximize", "foreach", "differentiable",
    "fused", "capturable", "weight_decouple", "decoupled_weight_decay", "fixed_decay", "step",
}  # fmt: skip


def usual_rate_of(optimizer: Optimizer) -> float | None:
    """The usual rate of an optimizer; None if its groups match no known method, or if it works its rate out.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.zeros(1))
    >>> usual_rate_of(torch.optim.AdamW([weight])), usual_rate_of(torch.optim.SGD([weight], lr=1, momentum=0.5))
    (0.001, 0.5)
    """
    if works_its_rate_out(optimizer):
        return None
    method, group = _method_of(optimizer), _group(optimizer)
    if method is not None and method.name == "sgd":
        return 1.0 - float(group["momentum"])
    return None if method is None else method.usual_rate


def works_its_rate_out(optimizer: Optimizer) -> bool:
    """Whether the rate only multiplies a step size that the method finds, so that there is no rate to look for.

    >>> import torch
    >>> from calando.methods import find_method
    >>> weight = torch.nn.Parameter(torch.zeros(1))
    >>> dog = find_method("dog")
    >>> works_its_rate_out(dog.build([{"params": [weight]}], 1.0, dog.settle({}))), works_its_rate_out(
    ...     torch.optim.SGD([weight])
    ... )
    (True, False)
    """
    group = _group(optimizer)
    # `d` is a threshold of clipping in torch's Adafactor, which has no betas.
    estimates = _is_number(group.get("d")) and bool({"betas", *D_ADAPTATION} & group.keys())
    return estimates or "reps_rel" in group or group.get("relative_step") is True


def closure_of(optimizer: Optimizer) -> Closure | None:
    """What an optimizer's `step` must be called with; None if unknown."""
    method = _registered(optimizer)
    # A subclass whose `step` is its own may need more than the class above it.
    own = str(getattr(type(optimizer).step, "__module__", "")).partition(".")[0] not in HOMES
    return None if method is None or own else method.closure


def _group(optimizer: Optimizer) -> Mapping[str, Any]:
    groups = optimizer.param_groups
    return groups[0] if groups else {}


def _method_of(optimizer: Optimizer) -> Method | None:
    found, group = _registered(optimizer), _group(optimizer)
    if found is not None:
        return found
    if _is_number(group.get("momentum")) and _holds_only(group, {"momentum", "dampening", "nesterov"}):
        return METHODS["sgd"]
    if _are_betas(group.get("betas")) and _is_number(group.get("eps")):
        return METHODS["adam"] if _holds_only(group, {"betas", "eps", "amsgrad", "bias_correction"}) else None
    return None


def _registered(optimizer: Optimizer) -> Method | None:
    """The method of its class, or of the nearest base class that comes from a package with methods of ours."""
    group = _group(optimizer)
    for kind in type(optimizer).__mro__:
        method = _named(kind.__name__) if kind.__module__.partition(".")[0] in HOMES else None
        if method is not None:
            return method if _fits(method, group) else None
    return None


def _named(name: str) -> Method | None:
    name = name.lower()
    if name.endswith("schedulefree"):  # the package's names end where ours begin
        name = "schedulefree" + name.removesuffix("schedulefree")
    return next((method for method in METHODS.values() if method.name.replace("_", "") == name), None)


def _fits(method: Method, group: Mapping[str, Any]) -> bool:
    if method.name == "sgd":
        return _is_number(group.get("momentum"))
    return "betas" not in method.options or _are_betas(group.get("betas"))


def _holds_only(group: Mapping[str, Any], names: Collection[str]) -> bool:
    return group.keys() <= BOOKKEEPING | set(names)


def _is_number(value: object) -> bool:
    """Also a tensor of one."""
    if isinstance(value, bool) or value is None:
        return False
    return isinstance(value, int | float) or (hasattr(value, "ndim") and hasattr(value, "item") and value.ndim == 0)


def _are_betas(value: object) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(_is_number(beta) for beta in value)
