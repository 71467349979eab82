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
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from calando.errors import UsageError
from calando.methods.own.memory import Remembering, common, dot, loss_from, numbers, remembered, wide

__all__ = ["DoG", "LDoG"]


@final
@dataclass(frozen=True, slots=True)
class _Met:
    """A parameter that has had a gradient, at an update."""

    group: dict[str, Any]
    parameter: Tensor
    gradient: Tensor | None  # with weight decay
    state: dict[str, Any]


class _DistanceOverGradients(Remembering, ABC):
    """The step, but for what counts as one vector; and the average."""

    def __init__(
        self,
        params: ParamsT,
        *,
        lr: float = 1.0,
        reps_rel: float = 1e-6,
        weight_decay: float = 0.0,
        eps: float = 1e-8,
        gamma: float = 8.0,
    ) -> None:
        options = {"lr": lr, "reps_rel": reps_rel, "weight_decay": weight_decay, "eps": eps, "gamma": gamma}
        super().__init__(params, {**options, "step_count": 0, "train_mode": True})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update, and the average's.

        Raises:
            UsageError: in evaluation mode.
        """
        if not self.param_groups[0]["train_mode"]:
            raise UsageError(f"{type(self).__name__} is in evaluation mode; call optimizer.train() before a step")
        loss = None if closure is None else loss_from(closure)
        self._step()
        return loss

    @torch.no_grad()
    def eval(self) -> None:
        """Put the average in the parameters' place; the trained weights are kept."""
        if self._turn(train_mode=False):
            for parameter, state in self.state.items():
                state["trained"] = parameter.detach().clone()
                parameter.copy_(state["average"])

    @torch.no_grad()
    def train(self) -> None:
        """Put the trained weights back, to the bit."""
        if self._turn(train_mode=True):
            for parameter, state in self.state.items():
                parameter.copy_(state.pop("trained"))

    def _turn(self, *, train_mode: bool) -> bool:
        """Whether the mode changed."""
        changed = self.param_groups[0]["train_mode"] != train_mode
        for group in self.param_groups:
            group["train_mode"] = train_mode
        return bool(changed)

    @torch.no_grad()
    def _step(self) -> None:
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

    Args:
        params: as torch's optimizers take them.
        lr: a factor on the step size; the authors advise against any but 1.
        reps_rel: first distance, relative to 1 + |x_0|. The authors: 1e-6; with batch normalisation 1e-4.
        weight_decay: of a group, added to its gradients.
        eps: added to the sum of squared gradients.
        gamma: of the average; 0 is the mean of all weights, larger is more of the latest.

    The first step is as long as the first distance, here 0.1 (1 + 3), whatever the gradient's length:

    >>> x = torch.nn.Parameter(torch.tensor([3.0]))
    >>> optimizer = DoG([x], reps_rel=0.1)
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
    """LDoG: each tensor is a vector of its own. Arguments as `DoG`.

    >>> x, y = torch.nn.Parameter(torch.tensor([3.0])), torch.nn.Parameter(torch.tensor([1.0]))
    >>> optimizer = LDoG([x, y], reps_rel=0.1)
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
    return torch.zeros(()) if value is None else dot(value, value)


def _way(seen: _Met) -> Tensor:
    """How far it is from its start, squared."""
    way = wide(seen.parameter) - seen.state["initial"]
    return dot(way, way)
