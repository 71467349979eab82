"""Rates as a log has them: at some steps, rounded, here and there twice.

    tolerance = one unit in the last place that was kept, and a billionth of the greatest rate

How they were rounded is read from the rates: to float32, to a number of digits (1.23e-05), to a number of decimals
(0.000012), or not at all. Round rates that lie on a line, or a few levels, do not say that they were rounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from calando.errors import UsageError, quote
from calando.language import message
from calando.schedules.schedule import Array
from calando.schedules.span import LONGEST_HORIZON

__all__ = ["Logged", "read_logged"]

FLOOR: Final = 1e-9  # times the greatest rate: what arithmetic in another order may differ by
SINGLE: Final = 2.0**-23
ENOUGH: Final = 8  # distinct rates that say how they were rounded
FEWEST_DIGITS: Final = 6  # assumed of fewer rates
MOST_DIGITS: Final = 9


@final
@dataclass(frozen=True, eq=False)
class Logged:
    """The rates of a run, one for each step at which one was logged.

    Args:
        steps: shape (n,), increasing.
        rates: shape (n,), 0 or more.
        tolerance: shape (n,), how far a rate may lie from what it was before it was rounded.
        notes: what was left out.
        coarser: the tolerance if rates that are all short were rounded, though they do not show it; None: they are not.
    """

    steps: Array
    rates: Array
    tolerance: Array
    notes: tuple[str, ...] = ()
    coarser: Array | None = None

    @property
    def gap(self) -> float:
        """The usual distance of two steps."""
        return float(np.median(np.diff(self.steps))) if len(self.steps) > 1 else 1.0

    def thinned(self, most: int) -> Logged:
        """Not many more than `most` of them, with both sides of each change that stands out."""
        count = len(self.steps)
        if count <= most:
            return self
        kept = np.unique(np.linspace(0, count - 1, most // 2).round().astype(int))
        bends = np.abs(np.diff(self.rates, 2, prepend=self.rates[0], append=self.rates[-1])) / self.tolerance
        sharp = np.argsort(bends)[-(most // 6) :]
        kept = np.unique(np.clip(np.concatenate([kept, sharp - 1, sharp, sharp + 1]), 0, count - 1))
        return Logged(self.steps[kept], self.rates[kept], self.tolerance[kept], self.notes)


def read_logged(steps: Iterable[float], rates: Iterable[float]) -> Logged:
    """The logged rates in the order of their steps; of a step that was logged twice, the later rate.

    Raises:
        UsageError: not as many steps as rates, or none; a step that is no whole number from 0 to a billion; a rate
            that is no finite number from 0.
    """
    places, values = (_numbers(name, given) for name, given in (("steps", steps), ("rates", rates)))
    if len(places) != len(values):
        raise UsageError(
            message(
                "recover needs as many rates as steps, got {count} rates at {steps} steps",
                count=len(values),
                steps=len(places),
            )
        )
    if not len(places):
        raise UsageError(message("recover needs logged rates, got none; log the rate at some steps of the run"))
    wrong = ~((places >= 0) & (places <= LONGEST_HORIZON) & (places == np.floor(places)))
    if wrong.any():
        raise UsageError(
            message(
                "a step must be a whole number from 0 to {longest_horizon}, got {step:g}",
                longest_horizon=LONGEST_HORIZON,
                step=places[wrong][0],
            )
        )
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        raise UsageError(
            message(
                "a rate must be a finite number, 0 or more, got {rate:g} at step {step:g}; leave such rows out",
                rate=values[wrong][0],
                step=places[wrong][0],
            )
        )
    # of equal steps the one logged last comes first here, and np.unique keeps the first
    backwards = np.arange(len(places))[::-1]
    unique, first = np.unique(places[backwards], return_index=True)
    chosen = backwards[first]
    kept, short = _rounding(unique, values[chosen])
    floor = FLOOR * values.max()
    tolerance, coarser = kept + floor, None if short is None else short + floor
    before = values[chosen][np.searchsorted(unique, places)]
    other = np.abs(values - before) > 2 * tolerance[np.searchsorted(unique, places)]
    notes: tuple[str, ...] = ()
    if other.any():
        twice = np.unique(places[other])
        note = message(
            "{count} of {total} steps were logged with different rates, first step {first:g}: the rate logged last "
            "counts",
            count=len(twice),
            total=len(unique),
            first=twice[0],
        )
        notes = (note,)
    return Logged(unique, values[chosen], tolerance, notes, coarser)


def _numbers(name: str, given: Iterable[float]) -> Array:
    try:
        found = np.asarray(given if isinstance(given, np.ndarray) else list(given), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(
            message("{name} must be a list of numbers, got {given}", name=name, given=quote(given))
        ) from None
    if found.ndim != 1:
        raise UsageError(
            message("{name} must be a list of numbers, got an array of shape {shape}", name=name, shape=found.shape)
        )
    return found


def _rounding(steps: Array, rates: Array) -> tuple[Array, Array | None]:
    """One unit in the last place that each rate was logged with, shape (n,); and a larger one that may be it."""
    distinct = np.unique(rates[rates > 0])[:2000]
    if not len(distinct):
        return np.zeros_like(rates), None
    size = np.where(rates > 0, rates, 1.0)
    places = np.floor(np.log10(size))
    enough = len(distinct) >= ENOUGH
    digits = next((k for k in range(1, MOST_DIGITS + 1) if _same(distinct, [f"{r:.{k}g}" for r in distinct])), 0)
    decimals = next((k for k in range(1, 13) if _same(distinct, [f"{r:.{k}f}" for r in distinct])), 0)
    found = []
    if digits > 1:  # nobody keeps one digit, and drops to a tenth have no more
        found.append(np.where(rates > 0, 10.0 ** (places - digits + 1), 0.0))
    if decimals:
        found.append(np.full_like(rates, 10.0**-decimals))
    # both explain the rates, and the coarser of the two would be chance if it were not how they were rounded
    found.sort(key=lambda unit: -float(np.log(unit[rates > 0]).mean()))
    for unit in found if enough else ():
        if _jitters(steps, rates, unit):
            return unit, None
    if digits:
        short = found[0] if enough and 3 <= digits < FEWEST_DIGITS else None
        return np.where(rates > 0, 10.0 ** (places - max(digits, FEWEST_DIGITS) + 1), 0.0), short
    if (distinct == distinct.astype(np.float32)).all():
        return rates * SINGLE, None
    return np.zeros_like(rates), None


def _jitters(steps: Array, rates: Array, unit: Array) -> bool:
    """Whether rates are off the line between their neighbours as rounding to this unit puts them.

    Round rates of a line or of drops are no rounded ones.
    """
    if len(rates) < 3:
        return False
    share = (steps[1:-1] - steps[:-2]) / (steps[2:] - steps[:-2])
    off = (rates[:-2] + share * (rates[2:] - rates[:-2]) - rates[1:-1]) / unit[1:-1]
    moving = rates[:-2] != rates[2:]
    bent = np.abs(np.diff(off, prepend=off[:1])) > 0.05  # a curve is off its chords too, but evenly
    alone = (rates[:-2] != rates[1:-1]) & (rates[1:-1] != rates[2:])  # a curve all of whose rates are round
    shaken = ((bent & (np.abs(off) < 3)) | (alone & (np.abs(off) > 0.05)))[moving]
    return bool(shaken.sum() >= ENOUGH - 2 and shaken.mean() > 0.3)


def _same(rates: Array, texts: list[str]) -> bool:
    return bool((np.array([float(text) for text in texts]) == rates).all())
