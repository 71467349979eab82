"""One piece of a schedule, fitted to logged rates: which shape goes on for longest within the rounding.

    shape              y                                       what is searched
    constant           A                                       -
    linear             A + B t                                 -
    exponential        A e^(B t)                               -
    inverse_sqrt       (A + B t)^-1/2                          -
    one_minus_square   A - B (t - a)^2                         -
    one_minus_sqrt     A - B (t - a)^1/2                       a
    cosine             A + B cos(w (t - a))                    w; at most half a wave
    polynomial         A + B (z - t)^k                         z, k

What is not searched is linear, and solved for in closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, final

import numpy as np

from calando.schedules.logged.least_squares import least, least_squares, solved
from calando.schedules.logged.rates import Logged
from calando.schedules.schedule import Array

__all__ = ["Piece", "fit_pieces"]

MOST_PIECES: Final = 16
MOST_SCRAPS: Final = 4  # pieces of one or two rates
SLACK: Final = 1.3  # a least-squares fit is not the one with the least greatest error
FITTED: Final = 60  # points that a search fits; all are checked

Curve = Callable[[Array], Array]


@final
@dataclass(frozen=True, eq=False)
class Piece:
    """A shape fitted to the rates from number `first` to before number `last`.

    Args:
        shape: its name.
        first, last: the rates that it explains.
        curve: steps -> rates, beyond them as well.
        begin, end: where the shape itself says that it begins or ends, in steps; nan where it does not.
        extra: the power of a polynomial, the time scale of an inverse square root.
    """

    shape: str
    first: int
    last: int
    curve: Curve = field(repr=False)
    begin: float = np.nan
    end: float = np.nan
    extra: float = np.nan


@final
@dataclass(frozen=True, eq=False)
class Window:
    """Rates that a piece is fitted to: u runs from 0 to 1 over them."""

    u: Array
    rates: Array
    weights: Array
    start: float
    span: float

    def solve(self, *columns: Array) -> tuple[Array, float]:
        """Coefficients of the columns, and the sum of squared errors."""
        found, left = least_squares(np.stack(columns, axis=1) * self.weights[:, None], self.rates * self.weights)
        return found, float(np.square(left).sum())


def fit_pieces(logged: Logged) -> list[Piece] | None:
    """Pieces, one after the other, that explain all rates; None where it takes too many to explain anything."""
    pieces: list[Piece] = []
    place, count = 0, len(logged.steps)
    while place < count:
        # a shape may begin where the one before it seems to go on, within the rounding
        piece = _longest(logged, place, float(logged.steps[pieces[-1].first]) if pieces else 0.0)
        pieces.append(piece)
        place = piece.last
        scraps = sum(piece.last - piece.first < 3 for piece in pieces)
        if len(pieces) > MOST_PIECES or scraps > MOST_SCRAPS:
            return None
    return _paired(pieces, logged)


def _paired(pieces: list[Piece], logged: Logged) -> list[Piece]:
    """With a line through each two rates in a row that nothing else explains: a short warmup, logged twice."""
    found: list[Piece] = []
    for piece in pieces:
        before = found[-1] if found else None
        if before is not None and before.last - before.first == 1 == piece.last - piece.first:
            t0, y0 = float(logged.steps[before.first]), float(logged.rates[before.first])
            rise = (float(logged.rates[piece.first]) - y0) / (float(logged.steps[piece.first]) - t0)
            found[-1] = Piece("linear", before.first, piece.last, _line(t0, y0, rise))
        else:
            found.append(piece)
    first = found[0]
    if len(found) > 1 and first.last == 1 and logged.steps[0] > 0:
        # a warmup of which one rate was logged: from 0, where it meets what follows before the next rate
        t0, y0 = float(logged.steps[0]), float(logged.rates[0])
        warmup, following = _line(t0, y0, y0 / t0), found[1].curve
        low, high = (warmup(at) - following(at) for at in (np.array([t0]), np.array([logged.steps[1]])))
        if low[0] <= 0 <= high[0] + 2 * logged.tolerance[1]:
            found[0] = Piece("linear", 0, 1, warmup)
    return found


def _line(t0: float, y0: float, rise: float) -> Curve:
    return lambda t: y0 + rise * (t - t0)


_FAMILIES: Final = {  # name -> the rates that it takes to say anything
    "constant": 1,
    "linear": 3,
    "exponential": 4,
    "inverse_sqrt": 4,
    "one_minus_square": 5,
    "one_minus_sqrt": 5,
    "cosine": 5,
    "polynomial": 6,
}


def _longest(logged: Logged, first: int, earliest: float) -> Piece:
    """The shape that explains most rates from number `first` on; the simpler one where two explain as many."""
    best: Piece | None = None
    count = len(logged.steps)
    for shape, fewest in _FAMILIES.items():
        margin = 0 if best is None else 1 + (best.last - first) // 50
        if best is not None and best.last == count:
            break
        if best is not None:
            # what cannot go further than the best so far is not worth its search
            ahead = min(max(best.last + margin + 1, first + fewest), count)
            if ahead - first < fewest or _fit(logged, shape, first, ahead, earliest) is None:
                continue
        found = _reach(logged, shape, first, fewest, earliest)
        if found is not None and (best is None or found.last > best.last + margin or found.last == count):
            best = found
    assert best is not None, "a constant explains one rate"
    return best


def _reach(logged: Logged, shape: str, first: int, fewest: int, earliest: float) -> Piece | None:
    count = len(logged.steps)
    if first + fewest > count:
        return None
    whole = _fit(logged, shape, first, count, earliest)
    if whole is not None:
        return whole
    good = _fit(logged, shape, first, first + fewest, earliest)
    if good is None:
        return None
    size = 2 * fewest
    bad = count
    while first + size < count:
        trial = _fit(logged, shape, first, first + size, earliest)
        if trial is None:
            bad = first + size
            break
        good, size = trial, 2 * size
    while bad - good.last > 1:
        middle = (good.last + bad) // 2
        trial = _fit(logged, shape, first, middle, earliest)
        if trial is None:
            bad = middle
        else:
            good = trial
    return good


def _fit(logged: Logged, shape: str, first: int, last: int, earliest: float) -> Piece | None:
    """The shape over these rates, begun at `earliest` or later, or None where it misses one."""
    steps, rates, tolerance = (each[first:last] for each in (logged.steps, logged.rates, logged.tolerance))
    if shape == "constant":
        level = float(rates.max() + rates.min()) / 2
        if len(set(rates.tolist())) == 1:
            level = float(rates[0])
        found: Iterator[tuple[Curve, dict[str, float]]] = iter([(lambda t: np.full(np.shape(t), level), {})])
    else:
        chosen = np.arange(len(steps))
        if len(steps) > FITTED:
            # near zero a rate is logged more precisely than elsewhere, so the ends say most
            even = np.linspace(0, len(steps) - 1, FITTED).round().astype(int)
            ends = np.concatenate([np.arange(8), len(steps) - 1 - np.arange(16)])
            chosen = np.unique(np.concatenate([even, ends]))
        span = max(float(steps[-1] - steps[0]), 1.0)
        window = Window((steps[chosen] - steps[0]) / span, rates[chosen], 1 / tolerance[chosen], float(steps[0]), span)
        before = float(logged.steps[first - 1]) if first else float(steps[0])
        found = _SHAPES[shape](window, (before - steps[0]) / span)
    with np.errstate(all="ignore"):
        for curve, facts in found:
            error = np.abs(curve(steps) - rates)
            early = facts.get("begin", earliest) < earliest - 0.02 * (steps[-1] - earliest)
            if not early and (error <= SLACK * tolerance).all():
                return Piece(shape, first, last, curve, **facts)
    return None


Found = Iterator[tuple[Curve, dict[str, float]]]


def _linear(at: Window, _: float) -> Found:
    (a, b), _error = at.solve(np.ones_like(at.u), at.u)
    yield lambda t: a + b * (t - at.start) / at.span, {}


def _exponential(at: Window, _: float) -> Found:
    if at.rates.min() <= 0:
        return
    logs = Window(at.u, np.log(at.rates), at.weights * at.rates, at.start, at.span)
    (a, b), _error = logs.solve(np.ones_like(at.u), at.u)
    yield lambda t: np.exp(a + b * (t - at.start) / at.span), {}


def _inverse_sqrt(at: Window, _: float) -> Found:
    if at.rates.min() <= 0:
        return
    inverse = Window(at.u, at.rates**-2.0, at.weights * at.rates**3, at.start, at.span)
    (a, b), _error = inverse.solve(np.ones_like(at.u), at.u)
    if a > 0 and b > 0:
        # time scale counted from u = 0
        yield lambda t: (a + b * (t - at.start) / at.span) ** -0.5, {"extra": a / b * at.span}


def _one_minus_square(at: Window, before: float) -> Found:
    (a, b, c), _error = at.solve(np.ones_like(at.u), at.u, at.u**2)
    if c == 0:
        return
    vertex = -b / (2 * c)
    if before - 0.02 <= vertex <= 0.02 or (c < 0 and -0.3 <= vertex <= 0.02):
        yield (
            lambda t: a + b * (t - at.start) / at.span + c * ((t - at.start) / at.span) ** 2,
            {"begin": at.start + vertex * at.span},
        )


def _one_minus_sqrt(at: Window, before: float) -> Found:
    def fitted(vertex: float) -> tuple[Array, float]:
        return at.solve(np.ones_like(at.u), np.sqrt(np.maximum(at.u - vertex, 0)))

    vertex = least(lambda value: fitted(value)[1], np.linspace(min(before, 0.0), 0.0, 25) if before < 0 else [0.0])
    (a, b), _error = fitted(vertex)
    yield (
        lambda t: a + b * np.sqrt(np.maximum((t - at.start) / at.span - vertex, 0)),
        {"begin": at.start + vertex * at.span},
    )


def _cosine(at: Window, _: float) -> Found:
    def columns(w: float) -> tuple[Array, ...]:
        # the first two of cos, sin and 1 nearly coincide for a short arc: written so that they do not
        return np.ones_like(at.u), 2 * np.sin(w * at.u / 2) ** 2 / w**2, np.sin(w * at.u) / w

    w = least(lambda value: at.solve(*columns(value))[1], np.pi / np.geomspace(0.9, 4000, 64))
    w = float(
        solved(
            lambda theta: least_squares(np.stack(columns(theta[0]), 1) * at.weights[:, None], at.rates * at.weights)[1],
            np.array([w]),
            np.array([1e-6 * w]),
        )[0]
    )
    (a, b, c), _error = at.solve(*columns(w))
    b, c = b / w**2, c / w
    phase = np.arctan2(c, -b)  # a + b + R cos(w u - phase)
    for begin in ((phase + turn) / w for turn in (0, np.pi, -np.pi, 2 * np.pi, -2 * np.pi)):
        if begin <= 0.03 and begin + np.pi / w >= 0.97:
            yield (
                lambda t: (
                    a + 2 * b * np.sin(w * (t - at.start) / at.span / 2) ** 2 + c * np.sin(w * (t - at.start) / at.span)
                ),
                {"begin": at.start + begin * at.span, "end": at.start + (begin + np.pi / w) * at.span},
            )
            return


POWERS: Final = (2.0, 0.5, 0.9, 1.5, 3.0, 4.0, 0.75, 1.2, 2.5, 0.3)


def _polynomial(at: Window, _: float) -> Found:
    def fitted(place: float, power: float) -> tuple[Array, float]:
        return at.solve(np.ones_like(at.u), np.maximum(1 - at.u / place, 0) ** power)

    best = (np.inf, 1.0, 1.0)
    ends = 1 + np.concatenate([[0.0], np.geomspace(1e-3, 3000, 24)])
    for power in POWERS:
        errors = _regressed(at, np.maximum(1 - at.u[:, None] / ends, 0) ** power)
        if min(errors) < best[0]:
            best = (min(errors), float(ends[int(np.argmin(errors))]), power)
    place, power = best[1:]
    for _round in range(2):
        near = max((place - 1) * 0.5, 1e-3)
        place = least(partial(_second, fitted, power), np.linspace(max(place - near, 1.0), place + near, 9))
        power = least(partial(_first, fitted, place), np.linspace(power * 0.7, power * 1.4, 9))
    place, power = solved(
        lambda theta: _errors(at, np.maximum(1 - at.u / theta[0], 0) ** theta[1]),
        np.array([max(place, 1.0), power]),
        np.array([1e-5, 1e-5]),
        low=np.array([1.0, 0.2]),
        high=np.array([1e5, 20.0]),
    )
    (a, b), _error = fitted(place, power)
    yield (
        lambda t: a + b * np.maximum(1 - (t - at.start) / at.span / place, 0) ** power,
        {"end": at.start + place * at.span, "extra": float(power)},
    )


def _first(fitted: Callable[[float, float], tuple[Array, float]], place: float, power: float) -> float:
    return fitted(place, power)[1]


def _second(fitted: Callable[[float, float], tuple[Array, float]], power: float, place: float) -> float:
    return fitted(place, power)[1]


def _regressed(at: Window, columns: Array) -> Array:
    """Sums of squared errors once a constant and each of the columns, shape (n, m), are fitted; shape (m,)."""
    squares = at.weights**2
    total = squares.sum()
    centred = columns - squares @ columns / total
    rates = at.rates - squares @ at.rates / total
    slope = (squares * rates) @ centred / np.maximum(squares @ centred**2, 1e-300)
    errors: Array = squares @ (rates[:, None] - centred * slope) ** 2
    return errors


def _errors(at: Window, column: Array) -> Array:
    """Errors left once a constant and the column are fitted, in units of the rounding."""
    matrix = np.stack([np.ones_like(at.u), column], axis=1) * at.weights[:, None]
    return least_squares(matrix, at.rates * at.weights)[1]


_SHAPES: Final = {
    "linear": _linear,
    "exponential": _exponential,
    "inverse_sqrt": _inverse_sqrt,
    "one_minus_square": _one_minus_square,
    "one_minus_sqrt": _one_minus_sqrt,
    "cosine": _cosine,
    "polynomial": _polynomial,
}
