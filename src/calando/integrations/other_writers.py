"""Who else writes a value that we write: composed where it is a scheduler next to ours, else said once.

    rate of group g at update t = base of g * schedule of g(t) * what torch's schedulers have multiplied it by

torch's own schedulers multiply the rate that they find, so those that are stepped together compose
(`ChainedScheduler`, a plateau next to a cosine). Ours sees by how much a rate differs from what it wrote last, and
keeps that as a factor if a scheduler says that it wrote the rate. A value that was set by hand, or by something
unknown, is written over, and a warning says so.
"""

from __future__ import annotations

import gc
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from torch.optim import Optimizer, lr_scheduler

from calando.optim.driver import Driver, Noticed

if TYPE_CHECKING:
    from calando.integrations.course import Course

__all__ = ["Origin", "OtherWriters", "origins"]

CLOSE = 1e-6  # relative: rates that are tensors are rounded


@final
class OtherWriters:
    """What is done where a driver finds values that it did not write.

    Args:
        compose: whether torch's schedulers are composed with; else all are written over.
        remedy: what to do instead of setting a value by hand.
    """

    def __init__(self, *, compose: bool, remedy: str) -> None:
        self.compose, self._remedy = compose, remedy
        self._said = False

    def noticed(self, driver: Driver, found: list[Noticed]) -> None:
        """Called by the driver after it wrote: `found` are the values that it wrote over."""
        factors: dict[int, float] = {}
        if self.compose and any(one.key == "lr" for one in found):
            written = [rates for course, rates in _writers(driver.optimizer) if course is None]
            for one in found:
                rates = [rates[one.index] for rates in written if one.index < len(rates)]
                if one.key == "lr" and one.ours != 0 and any(_same(one.held, rate) for rate in rates):
                    factors[one.index] = one.held / one.ours
            driver.scale(factors)
        rest = [one for one in found if not one.loaded and (one.key != "lr" or one.index not in factors)]
        if rest and not self._said:
            self._said = True
            one = rest[0]
            warnings.warn(
                f"something else set {one.key} of group {one.name} to {one.held:.6g} where the schedule had set "
                f"{one.ours:.6g}: the schedule writes over it; {self._remedy}",
                stacklevel=2,
            )


@final
@dataclass(frozen=True)
class Origin:
    """Where a rate comes from that is not the "initial_lr" of its group.

    Args:
        index: the group's place.
        held, kept: its rate and its "initial_lr".
        by: "torch", a scheduler of torch's that is in use; "ours", one of ours; "hand", set since one wrote it;
            "unknown", no scheduler is in use: the rate was loaded, or set by hand.
    """

    index: int
    held: float
    kept: float
    by: Literal["torch", "ours", "hand", "unknown"]


def origins(optimizer: Optimizer) -> list[Origin]:
    """Of each rate that is not its group's "initial_lr"."""
    kept = [(_number(group.get("lr")), _number(group.get("initial_lr"))) for group in optimizer.param_groups]
    moved = [index for index, (rate, base) in enumerate(kept) if base == base and not _same(rate, base)]
    writers = list(_writers(optimizer)) if moved else []
    found = []
    for index in moved:
        held, base = kept[index]
        wrote = [(course, rates[index]) for course, rates in writers if index < len(rates)]
        matching = [course for course, rate in wrote if _same(rate, held)]
        by: Literal["torch", "ours", "hand", "unknown"] = "hand" if wrote else "unknown"
        if matching:
            by = "torch" if all(course is None for course in matching) else "ours"
        found.append(Origin(index, held, base, by))
    return found


def _writers(optimizer: Optimizer) -> Iterator[tuple[Course | None, Sequence[float]]]:
    """Each scheduler of this optimizer that is alive: what of ours it is, if so, and the rates it wrote last."""
    from calando.integrations.course import Course

    # torch keeps no list of an optimizer's schedulers. This is looked for only where a rate is not ours.
    for one in gc.get_objects():
        kind: Any = type(one)
        if issubclass(kind, Course):
            driver = vars(one).get("driver")
            if driver is not None and driver.drives(optimizer):
                yield one, driver.written["lr"]
        elif issubclass(kind, lr_scheduler.LRScheduler):
            held = vars(one)
            mine = held.get("optimizer")
            if mine is not None and mine.param_groups is optimizer.param_groups and "_last_lr" in held:
                yield None, [_number(rate) for rate in held["_last_lr"]]


def _number(rate: Any) -> float:
    try:
        return float(rate)
    except (TypeError, ValueError, RuntimeError):
        return float("nan")


def _same(one: Any, other: Any) -> bool:
    return math.isclose(_number(one), _number(other), rel_tol=CLOSE)
