"""Other writers of a value that we write: torch's schedulers are composed with, all else is reported once.

    rate of group g at update t = base of g * schedule of g(t) * what torch's schedulers have multiplied it by

torch's own schedulers multiply the rate that they find, so those that are stepped together compose
(`ChainedScheduler`, a plateau next to a cosine). Ours sees by how much a rate differs from what it wrote last, and
keeps that as a factor if a scheduler's `_last_lr` shows that it wrote the rate. A value that was set by hand, or by
something unknown, is overwritten, with a warning.
"""

from __future__ import annotations

import gc
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final
from weakref import ProxyType, getweakrefs

from torch.optim import Optimizer, lr_scheduler

from calando.loops.optimizer_hooks import wrapped
from calando.methods.driver import Driver, Noticed

__all__ = ["Origin", "OtherWriters", "origins"]

CLOSE = 1e-6  # relative: rates that are tensors are rounded


@final
class OtherWriters:
    """What happens where a driver finds values that it did not write.

    Args:
        compose: whether torch's schedulers are composed with; else all are overwritten.
        remedy: what to do instead of setting a value by hand.
    """

    def __init__(self, *, compose: bool, remedy: str) -> None:
        self.compose, self._remedy = compose, remedy
        self._warned = False
        self._torchs: list[dict[str, Any]] = []

    def noticed(self, driver: Driver, found: list[Noticed]) -> None:
        """Called by the driver after it wrote: `found` are the values that it wrote over."""
        rates = [one for one in found if one.key == "lr" and one.ours != 0]
        factors: dict[int, float] = {}
        if self.compose and rates:
            factors = self._factors(rates)
            if not factors and not self._warned:
                self._torchs, _ = _in_use(driver.optimizer)
                factors = self._factors(rates)
            driver.scale(factors)
        rest = [one for one in found if not one.loaded and (one.key != "lr" or one.index not in factors)]
        if rest and not self._warned:
            self._warned = True
            one = rest[0]
            warnings.warn(
                f"something else set {one.key} of group {one.name} to {one.held:.6g} where the schedule had set "
                f"{one.ours:.6g}: the schedule writes over it; {self._remedy}",
                stacklevel=2,
            )

    def _factors(self, found: Sequence[Noticed]) -> dict[int, float]:
        wrote = [_rates(held) for held in self._torchs]
        return {
            one.index: one.held / one.ours
            for one in found
            if any(one.index < len(rates) and _same(one.held, rates[one.index]) for rates in wrote)
        }


By = Literal["torch", "ours", "hand", "unknown"]
"""A scheduler of torch's that is in use; one of ours; set since one wrote it; loaded or set, with none in use."""


@final
@dataclass(frozen=True)
class Origin:
    """Where a rate that is not its group's "initial_lr" comes from."""

    index: int
    held: float  # its rate
    kept: float  # its "initial_lr"
    by: By


def origins(optimizer: Optimizer) -> list[Origin]:
    kept = [(_number(group.get("lr")), _number(group.get("initial_lr"))) for group in optimizer.param_groups]
    moved = [index for index, (rate, base) in enumerate(kept) if base == base and not _same(rate, base)]
    writers: list[tuple[str, list[float]]] = []
    if moved:
        torchs, ours = _in_use(optimizer)
        writers += [("torch", _rates(held)) for held in torchs]
        writers += [("ours", driver.written["lr"]) for driver in ours]
    found = []
    for index in moved:
        held, base = kept[index]
        wrote = [(whose, rates[index]) for whose, rates in writers if index < len(rates)]
        matching = {whose for whose, rate in wrote if _same(rate, held)}
        by: By = "hand" if wrote else "unknown"
        if matching:
            by = "ours" if "ours" in matching else "torch"
        found.append(Origin(index, held, base, by))
    return found


def _in_use(optimizer: Optimizer) -> tuple[list[dict[str, Any]], list[Driver]]:
    """The attributes of each scheduler of torch's that is in use on this optimizer, and the drivers of ours."""
    # torch keeps no list of an optimizer's schedulers, and a small object's attributes may stand in it or in a
    # dictionary. A driver may know the optimizer by a proxy. This is looked for only where a rate is not ours.
    itself = _itself(optimizer)
    known = [itself, *wrapped(itself)]
    holders = gc.get_referrers(*known, *(ref for one in known for ref in getweakrefs(one) if type(ref) is ProxyType))
    torchs = [_attributes(one) for one in holders]
    torchs = [held for held in torchs if "optimizer" in held and isinstance(held.get("_last_lr"), list)]
    return torchs, [one for one in holders if type(one) is Driver]


def _itself(optimizer: Optimizer) -> Optimizer:
    itself = getattr(optimizer.zero_grad, "__self__", optimizer)
    return itself if isinstance(itself, Optimizer) else optimizer


def _attributes(holder: object) -> dict[str, Any]:
    if type(holder) is dict:
        return holder
    return vars(holder) if issubclass(type(holder), lr_scheduler.LRScheduler) else {}


def _rates(held: dict[str, Any]) -> list[float]:
    return [_number(rate) for rate in held["_last_lr"]]


def _number(rate: Any) -> float:
    try:
        return float(rate)
    except (TypeError, ValueError, RuntimeError):
        return float("nan")


def _same(one: Any, other: Any) -> bool:
    return math.isclose(_number(one), _number(other), rel_tol=CLOSE)
