"""DoG and LDoG: the rate is the distance from the start over the gradients so far. Evaluated: an average of weights.

    G_t   = eps + Σ over i <= t of |g_i|²
    r_t   = max(reps_rel (1 + |x_0|), max over i <= t of |x_i - x_0|)
    x_t+1 = x_t - lr r_t / sqrt(G_t) g_t

    average after update t = 1, 2, …:    x̄ <- (1 - w) x̄ + w x,   w = (1 + gamma) / (t + gamma)

DoG takes all parameters of all groups as one vector, as in the paper (the authors' code takes each group as one);
LDoG takes each tensor by itself. Weight decay is added to the gradient, as the authors do. The rate never falls by
schedule: the average stands in for that, and is what `eval()` puts in the parameters' place.

Source: Ivgi, Hinder & Carmon 2023, *DoG is SGD's Best Friend*; github.com/formll/dog. The average: Shamir & Zhang 2013.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

from calando.methods.method import EPS, WEIGHT_DECAY, Method, Number, register
from calando.methods.rule import Rule, common, dot, numbers, remembered, wide

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DoG", "LDoG"]


@final
@dataclass(frozen=True, slots=True)
class _Met:
    """A parameter that has had a gradient, at an update."""

    group: dict[str, Any]
    parameter: Tensor
    gradient: Tensor | None  # with weight decay
    state: dict[str, Any]


class _DistanceOverGradients(Rule):
    """The update, but for what counts as one vector; and the average."""

    kept: ClassVar[Mapping[str, Any]] = {"step_count": 0, "train_mode": True}

    def eval(self) -> None:
        """Put the average in the parameters' place; the trained weights are kept."""
        import torch

        if self._turn(train_mode=False):
            for parameter, state in self.state.items():
                state["trained"] = parameter.detach().clone()
                with torch.no_grad():
                    parameter.copy_(state["average"])

    def train(self) -> None:
        """Put the trained weights back, to the bit."""
        import torch

        if self._turn(train_mode=True):
            for parameter, state in self.state.items():
                with torch.no_grad():
                    parameter.copy_(state.pop("trained"))

    def _turn(self, *, train_mode: bool) -> bool:
        """Whether the mode changed."""
        changed = self.param_groups[0]["train_mode"] != train_mode
        for group in self.param_groups:
            group["train_mode"] = train_mode
        return bool(changed)

    def update(self, loss: float | None) -> None:
        met = [seen for group in self.param_groups for p in group["params"] if (seen := self._meet(group, p))]
        for seen, step_size in zip(met, self._step_sizes(met), strict=True):
            if seen.gradient is not None:
                seen.parameter.add_(seen.gradient, alpha=-float(seen.group["lr"]) * step_size)
        for group in self.param_groups:
            group["step_count"] += 1
        for seen in met:
            weight = (1 + seen.group["gamma"]) / (seen.group["step_count"] + seen.group["gamma"])
            seen.state["average"].lerp_(wide(seen.parameter), weight)

    def _meet(self, group: dict[str, Any], parameter: Tensor) -> _Met | None:
        """None for one that never had a gradient."""
        gradient = parameter.grad
        if gradient is None:
            return _Met(group, parameter, None, self.state[parameter]) if parameter in self.state else None
        state = self.state[parameter]
        if not state:
            start = remembered(parameter, parameter)
            state.update(initial=start, average=start.clone())
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        return _Met(group, parameter, gradient, state)

    @abstractmethod
    def _step_sizes(self, met: list[_Met]) -> list[float]:
        """r / sqrt(G) of each parameter."""


@final
class DoG(_DistanceOverGradients):
    """DoG: all parameters are one vector.

    The authors advise against any rate but 1. The first step is as long as the first distance, here 0.1 (1 + 3),
    whatever the gradient's length:

    >>> import torch
    >>> from calando.methods import find_method
    >>> x = torch.nn.Parameter(torch.tensor([3.0]))
    >>> optimizer = DoG.build([{"params": [x]}], 1.0, find_method("dog").settle({"reps_rel": 0.1}))
    >>> x.grad = torch.tensor([1000.0])
    >>> optimizer.step()
    >>> round(x.item(), 6)
    2.6
    """

    def _step_sizes(self, met: list[_Met]) -> list[float]:
        first, count = self.param_groups[0], len(met)
        lengths = [_square(seen.gradient) for seen in met] + [_way(seen) for seen in met]
        if first["step_count"] == 0:
            # Those that have no gradient yet are part of the vector too.
            lengths += [dot(p, p) for group in self.param_groups for p in group["params"]]
        found = numbers(lengths)
        squares = first.get("squares", common(self, "eps")) + math.fsum(found[:count])
        start = math.sqrt(math.fsum(found[2 * count :]))
        least = first["distance"] if "distance" in first else common(self, "reps_rel") * (1 + start)
        distance = max(least, math.sqrt(math.fsum(found[count : 2 * count])))
        for group in self.param_groups:
            group["squares"], group["distance"] = squares, distance
        return [distance / math.sqrt(squares)] * count


@final
class LDoG(_DistanceOverGradients):
    """LDoG: each tensor is a vector of its own.

    >>> import torch
    >>> from calando.methods import find_method
    >>> x, y = torch.nn.Parameter(torch.tensor([3.0])), torch.nn.Parameter(torch.tensor([1.0]))
    >>> optimizer = LDoG.build([{"params": [x, y]}], 1.0, find_method("ldog").settle({"reps_rel": 0.1}))
    >>> x.grad, y.grad = torch.tensor([1000.0]), torch.tensor([0.1])
    >>> optimizer.step()
    >>> round(x.item(), 6), round(y.item(), 6)
    (2.6, 0.8)
    """

    def _step_sizes(self, met: list[_Met]) -> list[float]:
        count = len(met)
        starts = [seen.state["initial"] for seen in met]
        lengths = [_square(seen.gradient) for seen in met] + [_way(seen) for seen in met]
        found = numbers(lengths + [_square(start) for start in starts])
        sizes = []
        for seen, gained, way, start in zip(met, found, found[count:], found[2 * count :], strict=False):
            state, group = seen.state, seen.group
            state["squares"] = state.get("squares", group["eps"]) + gained
            least = state.get("distance", group["reps_rel"] * (1 + math.sqrt(start)))
            state["distance"] = max(least, math.sqrt(way))
            sizes.append(state["distance"] / math.sqrt(state["squares"]))
        return sizes


def _square(value: Tensor | None) -> Tensor:
    import torch

    return torch.zeros(()) if value is None else dot(value, value)


def _way(seen: _Met) -> Tensor:
    """How far it is from its start, squared."""
    way = wide(seen.parameter) - seen.state["initial"]
    return dot(way, way)


_OPTIONS = {
    "reps_rel": Number(1e-4, open_low=True),  # the authors' for batch normalisation; else they take 1e-6
    "eps": EPS,  # added to the sum of squared gradients
    "gamma": Number(8.0),  # of the average; 0 is the mean of all weights, larger is more of the latest
    "weight_decay": WEIGHT_DECAY,
}

for _method in (
    Method(
        name="dog", family="rate-free", memory=2,
        summary="step size: the distance from the start over the root of all squared gradients; evaluated: an average",
        usual_rate=1.0, decay="none: it evaluates an average of the weights instead",
        options=_OPTIONS,
        build=DoG.build,
        source="Ivgi, Hinder & Carmon 2023 (DoG); Shamir & Zhang 2013 (the average)",
        schedules="none", eval_mode=True,
    ),
    Method(
        name="ldog", family="rate-free", memory=2,
        summary="DoG for each tensor by itself",
        usual_rate=1.0, decay="none: it evaluates an average of the weights instead",
        options=_OPTIONS,
        build=LDoG.build,
        source="Ivgi, Hinder & Carmon 2023 (DoG); Shamir & Zhang 2013 (the average)",
        schedules="none", eval_mode=True,
    ),
):  # fmt: skip
    register(_method)
