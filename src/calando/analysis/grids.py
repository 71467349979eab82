"""Grids of trial rates, and how they go on past an end: their points are the numbers that are printed.

    grid       g_0 < … < g_{m-1},  g_i = written(centre * span ** (i / (m - 1) - 1/2))
    past it    the same formula at i = -1, -2, … and m, m + 1, …, within what single precision holds
    written    the number of fewest significant digits within half a percent: 0.01 for 0.00999, 0.0316 for 0.031623

Half a percent is what rounding to three digits may do, so three digits are always enough.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from calando.errors import UsageError
from calando.language import message
from calando.sizes import LEAST, MOST

if TYPE_CHECKING:
    from calando.analysis.results import Edge

__all__ = ["further_rates", "log_grid", "next_rate_of_old", "written"]

# Of a rate, and of the ratio of two rates that were each written so.
HALF_A_PERCENT, OF_A_RATIO = 0.005, 0.0101

LOWEST, HIGHEST = LEAST, MOST
"""Where grids end that go on: optimizers multiply by a rate in single precision."""


def written(rate: float, *, within: float = HALF_A_PERCENT) -> float:
    """The number that people would write for a rate: of those near it, the one with the fewest significant digits.

    Args:
        rate: positive and finite.
        within: largest relative difference; at least what three digits need.

    >>> [written(rate) for rate in (0.00999, 0.0316228, 0.201, 0.137)]
    [0.01, 0.0316, 0.2, 0.137]
    """
    rounded = (float(f"{rate:.{digits}g}") for digits in (1, 2))
    return next((one for one in rounded if abs(one - rate) <= within * rate), float(f"{rate:.3g}"))


def log_grid(centre: float, span: float, count: int) -> tuple[float, ...]:
    """`count` rates in geometric progression round `centre`, the highest `span` times the lowest.

    Rates are written with as few digits as half a percent allows, at most three, so that they read well.

    Args:
        centre: the geometric middle; on the grid where `count` is odd.
        span: highest / lowest rate, above 1; no effect where `count` is 1.
        count: number of rates.

    Raises:
        UsageError: a number out of its range, rates beyond what a float holds, or rates that three digits
            cannot tell apart.

    >>> log_grid(0.1, 100, 5), log_grid(0.0999, 10, 3)
    ((0.01, 0.0316, 0.1, 0.316, 1.0), (0.0316, 0.1, 0.316))
    """
    if count < 1:
        raise UsageError(message("the number of trial rates must be at least 1, got {count}", count=count))
    if not (math.isfinite(centre) and centre > 0):
        raise UsageError(message("the centre of a rate grid must be positive and finite, got {centre}", centre=centre))
    if not (math.isfinite(span) and span > 0):
        raise UsageError(
            message(
                "the span of a rate grid (highest / lowest rate) must be positive and finite, got {span}", span=span
            )
        )
    if count == 1:
        return (written(centre),)
    if span <= 1:
        raise UsageError(
            message("the span of a rate grid (highest / lowest rate) must be above 1, got {span}", span=span)
        )
    grid = tuple(written(_point(centre, span, count, i)) for i in range(count))
    if grid[0] <= 0 or not math.isfinite(grid[-1]):
        raise UsageError(
            message(
                "a rate grid round {centre} with span {span} leaves the range of numbers; narrow the span",
                centre=centre,
                span=span,
            )
        )
    if any(low >= high for low, high in pairwise(grid)):
        raise UsageError(
            message(
                "{count} rates within span {span} are too close to tell apart; widen the span or ask for fewer",
                count=count,
                span=span,
            )
        )
    return grid


def further_rates(grid: tuple[float, ...], edge: Edge, count: int) -> tuple[float, ...]:
    """The next rates past one end of a grid, as it would go on; the nearest first.

    A grid that `log_grid` would not give goes on at the ratio of its two outermost rates.

    Args:
        grid: ascending.
        count: how many are wanted.

    Returns:
        Fewer than `count` where they would leave `LOWEST` to `HIGHEST`, none of a grid of one rate, which has no ratio.

    >>> further_rates((0.0316, 0.1, 0.316), "high", 3), further_rates((0.001, 0.1), "low", 1)
    ((1.0, 3.16, 10.0), (1e-05,))
    """
    if len(grid) == 1:
        return ()
    line = _line(grid)
    rates: list[float] = []
    outermost, neighbour = (grid[0], grid[1]) if edge == "low" else (grid[-1], grid[-2])
    for step in range(1, count + 1):
        if line is None:
            exact = _times(outermost, outermost / neighbour, step)
        else:
            exact = _point(*line, len(grid), -step if edge == "low" else len(grid) - 1 + step)
        last = rates[-1] if rates else outermost
        if not LOWEST <= exact <= HIGHEST:
            break
        # In a grid finer than three digits, the number that people would write may lie on the rate before.
        rate = written(exact) if (written(exact) - last) * (outermost - neighbour) > 0 else exact
        if rate == last:
            break
        rates.append(rate)
    return tuple(rates)


def next_rate_of_old(grid: tuple[float, ...], edge: Edge) -> tuple[float, ...]:
    """The one rate past that end that studies of schema 4 and before tried, to the digit; () where there is none."""
    if len(grid) == 1:
        return ()
    outermost, neighbour = (grid[0], grid[1]) if edge == "low" else (grid[-1], grid[-2])
    exact = outermost * (outermost / neighbour)
    rounded = float(f"{exact:.3g}")
    rate = rounded if (rounded - outermost) * (outermost - neighbour) > 0 else exact
    return (rate,) if math.isfinite(rate) and rate > 0 and rate != outermost else ()


def _times(rate: float, ratio: float, times: int) -> float:
    """rate * ratio ** times; inf where that leaves the range of numbers."""
    try:
        return float(rate * ratio**times)
    except OverflowError:
        return math.inf


def _point(centre: float, span: float, count: int, place: int) -> float:
    """The exact rate at a place of a grid; inf or 0 where it leaves the range of numbers."""
    try:
        return float(centre * span ** (place / (count - 1) - 0.5))
    except OverflowError:
        return math.inf


def _line(grid: tuple[float, ...]) -> tuple[float, float] | None:
    """The centre and the span that `log_grid` gives this very grid for; None: there are none to be seen."""
    middle, ratio = math.sqrt(grid[0]) * math.sqrt(grid[-1]), grid[-1] / grid[0]
    if not math.isfinite(ratio):
        return None
    # As they were asked for where these are round numbers, so that the grid comes back to round numbers further out.
    for centre in (written(middle), middle):
        for span in (written(ratio, within=OF_A_RATIO), ratio):
            try:
                if log_grid(centre, span, len(grid)) == grid:
                    return centre, span
            except UsageError:
                continue
    return None
