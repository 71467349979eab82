"""Levels that were held: drops at regular intervals, at milestones, or at any places.

step        factor ** floor(t / every)          every level the factor times the one before
multistep   factor ** (milestones <= t)
piecewise   any values
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from calando.schedules.logged.fitted_chain import tidy
from calando.schedules.logged.rates import Logged
from calando.schedules.logged.rounded_chain import round_numbers, round_places
from calando.schedules.schedule import Array, Schedule
from calando.schedules.span import Span
from calando.schedules.steps import multistep, piecewise, step

__all__ = ["schedules_of_levels"]

MOST_LEVELS: Final = 100


def schedules_of_levels(logged: Logged, total: int, per_epoch: int | None) -> Iterator[tuple[Schedule, float]]:
    """Schedules, each with its base rate, that hold the logged rates; none where the rates are not held."""
    changes = np.nonzero(np.abs(np.diff(logged.rates)) > 2 * _relative(logged))[0]
    count = len(changes) + 1
    if count == 1 or count > MOST_LEVELS or count * 2 > len(logged.steps):
        return
    if float(np.median(np.diff(changes, prepend=-1))) < 2:
        return  # a level that was seen once is as well a point of a ramp
    levels = np.array([float(part[0]) for part in np.split(logged.rates, changes + 1)])
    before, after = logged.steps[changes], logged.steps[changes + 1]
    base = float(f"{levels[0]:.12g}")
    factor = _factor(levels, logged)
    if factor is not None and (factor < 1 or count > 2):
        for span in _regular(before, after, total, per_epoch):
            yield step(every=span, factor=factor), base
            break
        yield multistep(at=_places(before, after, total, per_epoch), factor=factor), base
    greatest = float(levels.max())
    if greatest > 0:
        base = float(f"{greatest:.12g}")
        values = [next(_ratios(level / base, logged, level), tidy(level / base)) for level in levels]
        yield piecewise(values=values, at=_places(before, after, total, per_epoch)), base


def _relative(logged: Logged) -> Array:
    """The rounding between two rates, without what is allowed for the greatest: the least level is a level too."""
    spare = logged.tolerance - 1e-9 * logged.rates.max()
    bound = np.minimum(logged.tolerance, spare + 1e-9 * logged.rates)
    return np.asarray(np.maximum(bound[1:], bound[:-1]))


def _ratios(ratio: float, logged: Logged, level: float) -> Iterator[float]:
    place = int(np.argmin(np.abs(logged.rates - level)))
    doubt = 0.55 * float(logged.tolerance[place]) / float(logged.rates.max())
    yield from round_numbers(ratio, doubt)


def _factor(levels: Array, logged: Logged) -> float | None:
    """What each level is of the one before, if that is the same for all."""
    if levels.min() <= 0:
        return None
    bound = np.array([logged.tolerance[int(np.argmin(np.abs(logged.rates - level)))] for level in levels])
    last = len(levels) - 1
    guess = float((levels[-1] / levels[0]) ** (1 / last))
    doubt = max(float(bound[-1] / levels[-1] + bound[0] / levels[0]) / last, 1e-12) * guess
    for factor in (*round_numbers(guess, doubt), tidy(guess)):
        if (np.abs(levels[0] * factor ** np.arange(last + 1) - levels) <= bound).all():
            return factor
    return None


def _regular(before: Array, after: Array, total: int, per_epoch: int | None) -> Iterator[Span]:
    """The interval that puts drop number k after before[k] and not after after[k], the roundest first."""
    number = np.arange(1, len(before) + 1)
    low, high = float((before / number).max()), float((after / number).min())
    # the run goes on at the last level until its end
    if low >= high and not math.isclose(low, high):
        return
    middle, doubt = (low + high) / 2, max((high - low) / 2, 1e-9)
    for steps, span in round_places(middle, doubt * 1.0000001 + 0.5, total, per_epoch):
        if low < steps <= high:
            yield span
    if high == int(high):
        yield Span(high, "steps")


def _places(before: Array, after: Array, total: int, per_epoch: int | None) -> list[Span]:
    """A place for each drop, after before[k] and not after after[k], each the roundest."""
    spans = []
    for low, high in zip(before, after, strict=True):
        middle, doubt = (low + high) / 2, (high - low) / 2 + 1e-6
        near = (span for steps, span in round_places(middle, doubt, total, per_epoch) if low < steps <= high)
        spans.append(next(near, Span(float(high), "steps")))
    return spans
