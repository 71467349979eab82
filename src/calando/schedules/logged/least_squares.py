"""Least squares: columns fitted in closed form, one number searched for, several by Gauss and Newton."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calando.schedules.schedule import Array

__all__ = ["least", "least_squares", "solved"]


def least_squares(matrix: Array, target: Array) -> tuple[Array, Array]:
    """Coefficients of the columns, and the errors left; infinite ones where a column is no number."""
    if not (np.isfinite(matrix).all() and np.isfinite(target).all()):
        return np.zeros(matrix.shape[1]), np.full(len(target), np.inf)
    found = np.linalg.lstsq(matrix, target, rcond=1e-14)[0]
    return np.asarray(found, dtype=np.float64), np.asarray(matrix @ found - target, dtype=np.float64)


def least(error: Callable[[float], float], grid: Array | list[float]) -> float:
    """Where the error is least: the best of the grid, and a golden section next to it."""
    places = sorted(float(value) for value in grid)
    errors = [error(value) for value in places]
    best = int(np.argmin(errors))
    low, high = places[max(best - 1, 0)], places[min(best + 1, len(places) - 1)]
    ratio = (5**0.5 - 1) / 2
    inner, outer = high - ratio * (high - low), low + ratio * (high - low)
    at_inner, at_outer = error(inner), error(outer)
    for _ in range(40):
        if high - low <= 1e-12 * max(abs(high), abs(low)):
            break
        if at_inner < at_outer:
            high, outer, at_outer = outer, inner, at_inner
            inner = high - ratio * (high - low)
            at_inner = error(inner)
        else:
            low, inner, at_inner = inner, outer, at_outer
            outer = low + ratio * (high - low)
            at_outer = error(outer)
    candidates = [(errors[best], places[best]), (at_inner, inner), (at_outer, outer)]
    return min(candidates)[1]


def solved(
    errors: Callable[[Array], Array],
    theta: Array,
    steps: Array,
    *,
    low: Array | None = None,
    high: Array | None = None,
    rounds: int = 12,
) -> Array:
    """The parameters with the least sum of squared errors, near theta: Gauss and Newton, halved where it overshoots.

    Args:
        errors: parameters -> errors, shape (n,).
        theta: where to begin, shape (p,).
        steps: how far each is moved to see what it does, shape (p,).
        low, high: the least and the most each may be.
        rounds: at most.
    """
    with np.errstate(all="ignore"):
        return _solved(errors, theta, steps, low, high, rounds)


def _solved(
    errors: Callable[[Array], Array], theta: Array, steps: Array, low: Array | None, high: Array | None, rounds: int
) -> Array:
    now = errors(theta)
    for _ in range(rounds):
        if not len(theta):
            break
        columns = []
        for index, step in enumerate(steps):
            moved = theta.copy()
            moved[index] += step
            columns.append((errors(moved) - now) / step)
        matrix = np.stack(columns, axis=1)
        if not np.isfinite(matrix).all():
            break
        size = np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)
        move = -np.linalg.lstsq(matrix / size, now, rcond=1e-12)[0] / size
        before = float(np.square(now).sum())
        if not np.isfinite(before):
            break
        for _half in range(8):
            trial = theta + move
            if low is not None and high is not None:
                trial = np.clip(trial, low, high)
            then = np.clip(errors(trial), -1e100, 1e100)
            if float(np.square(then).sum()) < before:
                theta, now = trial, then
                break
            move = move / 2
        else:
            break
        if before - float(np.square(now).sum()) <= 1e-9 * before:
            break
    return theta
