"""The schedule that logged rates came from, as a text.

    recover(steps, rates) -> schedule, base        base * schedule.bind(total_steps)(steps) = rates, within the rounding

The simplest of the shapes known here that meets every logged rate: levels held, ramps one after the other, cycles.
Where none does, the closest is given with its misfit, and `exact` is False.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np

from calando.errors import UsageError
from calando.language import message
from calando.schedules.checks import checked_count
from calando.schedules.compose import constant
from calando.schedules.logged.forms import (
    Candidate,
    by_cycles,
    by_levels,
    by_pieces,
    by_stairs,
    by_templates,
    closest,
    horizons,
)
from calando.schedules.logged.rates import Logged, read_logged
from calando.schedules.schedule import Schedule
from calando.schedules.span import LONGEST_HORIZON, Horizon
from calando.shown import Shown

__all__ = ["Recovered", "recover"]

SHORT: Final = 110  # characters; a longer text is worth another form's try
MOST_POINTS: Final = 300  # that a fit looks at; the answer is checked on all


@final
@dataclass(frozen=True, repr=False)
class Recovered(Shown):
    """A schedule recovered from logged rates.

    Args:
        schedule: the schedule; where `exact` is False, the closest that was found.
        text: the text that builds it.
        base: the base rate that it multiplies.
        misfit: the greatest difference between a logged rate and the schedule's, as a share of the greatest rate.
        rounding: how much of it rounding in the log explains.
        exact: whether every logged rate is met within its rounding.
        total_steps: the horizon that the text is for.
        steps_per_epoch: updates in one epoch, where it was given.
        notes: what was assumed, and what was ignored.
    """

    schedule: Schedule
    text: str
    base: float
    misfit: float
    rounding: float
    exact: bool
    total_steps: int
    steps_per_epoch: int | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        found = f"{self.text}, base {self.base:g}, {self.total_steps} steps, misfit {self.misfit:.2g}"
        return found if self.exact else f"no schedule found; the closest: {found}"

    def table(self) -> list[dict[str, object]]:
        """One row: the text, what it multiplies, and how well it meets what was logged."""
        return [
            {
                "schedule": self.text,
                "base": self.base,
                "total_steps": self.total_steps,
                "misfit": self.misfit,
                "exact": self.exact,
            }
        ]


def recover(
    steps: Iterable[float],
    rates: Iterable[float],
    *,
    total_steps: int | None = None,
    steps_per_epoch: int | None = None,
) -> Recovered:
    """The simplest schedule that meets the logged rates within their rounding, or the closest with its misfit.

    Formula: base * schedule(step) = rate, within one unit of the last place logged and a billionth of the greatest rate

    Steps need not be regular: every 50th will do, and of a step logged twice the later rate counts. Between two logged
    steps nothing is known, and of the schedules that differ there the roundest is given.

    Args:
        steps: update numbers, counted from 0, shape (n,).
        rates: the learning rates there, shape (n,).
        total_steps: the updates that the run was planned for; None: read from where the rates end, which is noted.
        steps_per_epoch: updates in one epoch; lengths may then be given in epochs.

    Raises:
        UsageError: no rates, not as many as steps, or one that is no rate; fewer `total_steps` than were logged.

    >>> from calando.schedules import parse
    >>> steps = range(0, 1000, 10)
    >>> curve = parse("linear(0, 1, over='5%') >> cosine(1, 0)").bind(1000)
    >>> recover(steps, [round(0.1 * curve(step), 6) for step in steps], total_steps=1000)
    linear(0, 1, over='5%') >> cosine(1, 0), base 0.1, 1000 steps, misfit 4.9e-06
    """
    logged = read_logged(steps, rates)
    last = int(logged.steps[-1])
    if steps_per_epoch is not None:
        steps_per_epoch = checked_count("steps_per_epoch", steps_per_epoch, most=LONGEST_HORIZON)
    if total_steps is not None:
        total_steps = Horizon(total_steps, steps_per_epoch).total_steps
        if last > total_steps:
            raise UsageError(
                message(
                    "step {last} was logged, after the {total_steps} of total_steps; raise it or leave it out",
                    last=last,
                    total_steps=total_steps,
                )
            )
    best = _best(logged, total_steps, steps_per_epoch)
    if not best.exact and logged.coarser is not None:
        other = _best(replace(logged, tolerance=logged.coarser), total_steps, steps_per_epoch)
        if other.exact and len(other.text) <= SHORT:
            best = other
    notes = list(logged.notes)
    if total_steps is None:
        notes.append(
            message(
                "the run is taken to have {total_steps} steps; the last logged is {last}",
                total_steps=best.total_steps,
                last=last,
            )
        )
    if best.exact and best.text.startswith(("multistep(", "piecewise(")):
        notes.append(
            message("drops at places of their own: steps say nothing of what made them, a milestone or a plateau")
        )
    if best.base == 0:
        notes.append(message("every logged rate is 0"))
    return replace(best, notes=tuple(notes))


def _best(logged: Logged, total: int | None, per_epoch: int | None, *, stairs: bool = True) -> Recovered:
    """The simplest that is right, from forms that are tried one after the other; else the one that misses least."""
    found: list[Recovered] = []
    thinned = logged.thinned(MOST_POINTS)
    soon = horizons(None, logged, total)[0]
    if not logged.rates.any():
        return _made(constant(1), 0.0, logged, soon, per_epoch)[0]

    def as_stairs(seen: Logged) -> Candidate | None:
        one = _best(seen, total or soon, per_epoch, stairs=False)
        return (one.schedule, one.base, one.total_steps) if one.exact else None

    forms: tuple[Iterator[Candidate], ...] = (
        by_levels(logged, soon, per_epoch),
        by_stairs(logged, soon, per_epoch, as_stairs) if stairs else iter(()),
        by_cycles(logged, thinned, total, per_epoch),
        by_pieces(thinned, logged, total, per_epoch),
        by_templates(thinned, soon, per_epoch),
        closest(logged, soon),
    )
    for form in forms:
        for schedule, base, horizon in form:
            found += _made(schedule, base, logged, horizon, per_epoch)
        if any(one.exact and len(one.text) <= SHORT for one in found):
            break
    return min(found, key=_order)


def _order(one: Recovered) -> tuple[bool, float, int]:
    """The right one first; the shorter text with rounder numbers; else the least misfit."""
    digits = sum(character in "123456789" for character in one.text)
    return not one.exact, float(len(one.text) + digits) if one.exact else one.misfit, digits


def _made(schedule: Schedule, base: float, logged: Logged, total: int, per_epoch: int | None) -> list[Recovered]:
    """The schedule with its misfit on all that was logged; nothing where it does not fit its horizon."""
    try:
        curve = schedule.bind(total, steps_per_epoch=per_epoch)
        error = np.abs(base * curve(logged.steps) - logged.rates)
        text = str(schedule)
    except UsageError:
        return []
    if not np.isfinite(error).all():
        return []
    greatest = float(logged.rates.max()) or 1.0
    made = Recovered(
        schedule,
        text,
        base,
        float(error.max()) / greatest,
        float(logged.tolerance.max()) / greatest,
        bool((error <= logged.tolerance).all()),
        total,
        per_epoch,
    )
    return [made]
