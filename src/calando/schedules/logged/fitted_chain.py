"""A chain of fitted pieces, and its numbers fitted together: where the pieces end, values, powers, time scales."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, Self, final

import numpy as np

from calando.schedules.compose import constant
from calando.schedules.known_schedules import chain as chained
from calando.schedules.logged.fitted_piece import Piece
from calando.schedules.logged.least_squares import solved
from calando.schedules.logged.rates import Logged
from calando.schedules.named_ramps import cosine, exponential, linear, one_minus_sqrt, one_minus_square, polynomial
from calando.schedules.repeat import repeat
from calando.schedules.schedule import Array, Schedule
from calando.schedules.span import Span
from calando.schedules.timescale import inverse_sqrt
from calando.schedules.transform import cut

__all__ = ["CYCLES", "FREE", "Chain", "Link", "chain_of", "tidy"]

FREE: Final = -1


@final
@dataclass(frozen=True, eq=False)
class Link:
    """A piece of a chain: its shape, and which of the chain's numbers it takes.

    Args:
        shape: its name.
        start, end: which values it goes between.
        extra: which further number it has: a power, a time scale in steps; FREE where none.
        own: which length it has of its own, longer than its room; FREE where it fills its room.
        stretch, decay: of cycles, each to the one before.
    """

    shape: str
    start: int
    end: int
    extra: int = FREE
    own: int = FREE
    stretch: float = 1.0
    decay: float = 1.0


@final
@dataclass(frozen=True, eq=False)
class Chain:
    """Pieces and their numbers.

    Args:
        links: the pieces.
        numbers: where each piece ends, in steps; then values, powers, time scales and lengths of their own.
        kinds: what each number is: "place", "value", "power", "length".
        settled: which are not fitted any more.
        total: the horizon in steps.
        spans: lengths in words, by the number of the piece or, of another length, by its own place in `numbers`.
        base: the greatest rate, once it is settled.
    """

    links: tuple[Link, ...]
    numbers: Array
    kinds: tuple[str, ...]
    settled: tuple[bool, ...]
    total: int
    spans: dict[int, Span] = field(default_factory=dict)
    base: float = math.nan

    def values(self, steps: Array, numbers: Array | None = None) -> Array:
        """The rates at `steps`, shape (n,)."""
        at = self.numbers if numbers is None else numbers
        ends = at[: len(self.links)]
        which = np.minimum(np.searchsorted(ends, steps + 1e-6, side="right"), len(self.links) - 1)
        found = np.empty(len(steps))
        for index, link in enumerate(self.links):
            here = which == index
            if not here.any():
                continue
            begin = ends[index - 1] if index else 0.0
            room = ends[index] - begin if link.own == FREE else at[link.own]
            local = np.maximum(steps[here] - begin, 0.0)
            extra = at[link.extra] if link.extra != FREE else math.nan
            if link.shape in CYCLES:
                found[here] = _cycles(link, local, max(extra, 1.0), at[link.start], at[link.end])
                continue
            found[here] = _value(link.shape, local, max(room, 1e-9), at[link.start], at[link.end], extra)
        return found

    def errors(self, logged: Logged) -> Array:
        """In units of the rounding, shape (n,)."""
        return (self.values(logged.steps) - logged.rates) / logged.tolerance

    def worst(self, logged: Logged) -> float:
        error = float(np.abs(self.errors(logged)).max())
        return error if math.isfinite(error) else math.inf

    def fitted(self, logged: Logged, rounds: int = 6) -> Self:
        """With what is not settled fitted to the rates."""
        free = np.array([index for index, settled in enumerate(self.settled) if not settled], dtype=int)
        if not len(free):
            return self

        def errors(theta: Array) -> Array:
            numbers = self.numbers.copy()
            numbers[free] = theta
            with np.errstate(all="ignore"):
                found = (self.values(logged.steps, numbers) - logged.rates) / logged.tolerance
            return np.where(np.isfinite(found), found, 1e30)

        found = solved(errors, self.numbers[free], self._moves(logged)[free], rounds=rounds)
        numbers = self.numbers.copy()
        numbers[free] = found
        return replace(self, numbers=numbers)

    def doubt(self, logged: Logged, index: int) -> float:
        """How far number `index` may be from where it is, within the rounding, the others fitted again."""
        free = [other for other, settled in enumerate(self.settled) if not settled]
        if index not in free:
            return 0.0
        moves, now, columns = self._moves(logged), self.errors(logged), []
        for other in free:
            numbers = self.numbers.copy()
            numbers[other] += moves[other]
            columns.append(
                ((self.values(logged.steps, numbers) - logged.rates) / logged.tolerance - now) / moves[other]
            )
        matrix = np.stack(columns, axis=1)
        size = np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)
        spread = np.linalg.pinv((matrix / size).T @ (matrix / size), rcond=1e-13)
        place = free.index(index)
        return float(2 * math.sqrt(len(now) * max(spread[place, place], 0.0)) / size[place])

    def _moves(self, logged: Logged) -> Array:
        greatest = float(logged.rates.max()) or 1.0
        # backwards, so that a rate logged right where a piece begins stays in it
        scale = {"place": -1e-4, "value": 1e-6 * greatest, "power": 1e-6, "length": -1e-3}
        return np.array([scale[kind] for kind in self.kinds])

    def with_number(self, index: int, value: float) -> Self:
        """With one number settled."""
        numbers = self.numbers.copy()
        numbers[index] = value
        settled = tuple(done or other == index for other, done in enumerate(self.settled))
        return replace(self, numbers=numbers, settled=settled)

    def schedule(self, stretched: int, limit: int | None = None) -> Schedule:
        """The schedule, piece number `stretched` without a length; FREE for none. Cycles share the room by `limit`."""
        at, parts = self.numbers, []
        for index, link in enumerate(self.links):
            over = None if index == stretched else self.spans[index]
            start, end = (self.share(at[value]) for value in (link.start, link.end))
            extra = at[link.extra] if link.extra != FREE else math.nan
            if link.shape in CYCLES:
                every = None if limit else self.spans[link.extra]
                falls = CYCLES[link.shape](start, end)
                parts.append(repeat(falls, every=every, stretch=link.stretch, decay=link.decay, limit=limit))
                continue
            if link.own != FREE:
                own = self.spans.get(link.own) or Span(tidy(at[link.own]), "steps")
                whole = _part(link.shape, start, end, extra, own)
                parts.append(cut(whole, over=over or Span(self.total, "steps")) if over or index == 0 else whole)
                continue
            last = index == len(self.links) - 1
            hold = last and link.shape == "constant"
            pace = self.spans.get(link.extra)
            parts.append(_part(link.shape, start, end, extra, None if hold else over, pace))
        made = chained(parts) if len(parts) > 1 else parts[0]
        if self.links[-1].own != FREE and len(parts) > 1:
            made = cut(made, over=Span(self.total, "steps"))
        return made

    def share(self, value: float) -> float:
        """A value as a multiple of the base rate; what a fit puts a little below 0 is 0, and is checked as such."""
        return tidy(max(value, 0.0) / self.base)

    def plausible(self, logged: Logged) -> bool:
        """Whether it stays where rates are: a shape may meet the rates it was fitted to and come from nowhere."""
        values = [value for value, kind in zip(self.numbers, self.kinds, strict=True) if kind == "value"]
        ends = self.numbers[: len(self.links)]
        within = min(values) >= -0.02 * self.base and np.isfinite(self.numbers).all()
        near = 0 < self.base <= 1.5 * float(logged.rates.max())
        return bool(within and near and ends[0] > 0 and (np.diff(ends) > 0).all())


def tidy(value: float) -> float:
    """To 12 digits: what comes after is arithmetic."""
    return float(f"{value:.12g}")


CYCLES: Final = {"cosine_cycles": cosine, "linear_cycles": linear}


def _cycles(link: Link, local: Array, length: float, start: float, end: float) -> Array:
    """Falls from start to end again and again, the first `length` steps long."""
    if link.stretch == 1:
        number = np.floor((local + 1e-6) / length)
        p = np.clip(local / length - number, 0.0, 1.0)
    else:
        grown = 1 + (local + 1e-6) / length * (link.stretch - 1)
        number = np.floor(np.log(np.maximum(grown, 1e-9)) / math.log(link.stretch))
        begin = length * (link.stretch**number - 1) / (link.stretch - 1)
        p = np.clip((local - begin) / (length * link.stretch**number), 0.0, 1.0)
    left = np.cos(np.pi / 2 * p) ** 2 if link.shape == "cosine_cycles" else 1 - p
    return np.asarray((end + (start - end) * left) * link.decay**number)


_LEFT: Final[dict[str, Callable[[Array], Array]]] = {
    "constant": np.ones_like,
    "linear": lambda p: 1 - p,
    "cosine": lambda p: np.cos(np.pi / 2 * p) ** 2,
    "one_minus_sqrt": lambda p: 1 - np.sqrt(p),
    "one_minus_square": lambda p: (1 - p) * (1 + p),
}
"""How much of the start is left, by progress."""


def _value(shape: str, local: Array, length: float, start: float, end: float, extra: float) -> Array:
    if shape == "inverse_sqrt":
        return start / np.sqrt(1 + local / max(extra, 1e-9))
    p = np.minimum(local / length, 1.0)
    if shape == "exponential":
        with np.errstate(all="ignore"):
            return np.asarray(start * np.power(end / start, p))
    left = np.power(1 - p, max(extra, 0.05)) if shape == "polynomial" else _LEFT[shape](p)
    return np.asarray(end + (start - end) * left)


def _part(shape: str, start: float, end: float, extra: float, over: Span | None, pace: Span | None = None) -> Schedule:
    if shape == "constant":
        return constant(start, over=over)
    if shape == "inverse_sqrt":
        fall = inverse_sqrt(timescale=pace or Span(tidy(extra), "steps"), over=over)
        return fall if start == 1 else fall * start
    if shape == "polynomial":
        return polynomial(start, end, power=tidy(extra), over=over)
    ramps = {each.__name__: each for each in (cosine, exponential, linear, one_minus_sqrt, one_minus_square)}
    return ramps[shape](start, end, over=over)


def chain_of(pieces: list[Piece], logged: Logged, total: int) -> Chain:
    """The chain that the pieces make, its numbers where the pieces put them."""
    ends, joined = [], []
    for before, after in pairwise(pieces):
        place, continuous = _meeting(before, after, logged)
        ends.append(place)
        joined.append(continuous)
    last = pieces[-1]
    natural = last.end if math.isfinite(last.end) else float(total)
    if last.shape == "linear" and last.curve(np.array([natural]))[0] < -2 * float(logged.tolerance.max()):
        natural = float(logged.steps[-1])  # a rate does not go below 0: the line ends before
    ends.append(min(natural, float(total)))
    numbers = list(ends)
    kinds = ["place"] * len(ends)
    settled = [not continuous for continuous in joined] + [natural >= total or last.shape == "linear"]

    def add(kind: str, value: float) -> int:
        numbers.append(value)
        kinds.append(kind)
        settled.append(False)
        return len(numbers) - 1

    links: list[Link] = []
    for index, piece in enumerate(pieces):
        begin = ends[index - 1] if index else 0.0
        reached, own = ends[index], FREE
        if math.isfinite(piece.end) and piece.end > ends[index] + max(0.02 * (piece.end - begin), 0.5):
            # the rest of it, which nobody saw
            reached, own = piece.end, add("length", piece.end - begin)
        at = piece.curve(np.array([begin, reached], dtype=float))
        start = links[-1].end if index and joined[index - 1] else add("value", float(at[0]))
        if piece.shape == "constant":
            end = start
        elif piece.shape == "inverse_sqrt":
            end = start
            # the time scale is counted from where the piece begins
            first = float(logged.steps[piece.first])
            extra = add("length", max(piece.extra + begin - first, 1e-3))
            links.append(Link(piece.shape, start, end, extra))
            if index < len(pieces) - 1 and joined[index]:
                settled[index] = True
                joined[index] = False
            continue
        else:
            end = add("value", float(at[1]))
            if piece.shape == "exponential" and at[1] <= 0:
                numbers[end] = float(logged.rates[logged.rates > 0].min())
        extra = add("power", piece.extra) if piece.shape == "polynomial" else FREE
        if own != FREE and index < len(pieces) - 1 and joined[index]:
            joined[index] = False
        links.append(Link(piece.shape, start, end, extra, own))
    return Chain(tuple(links), np.array(numbers, dtype=float), tuple(kinds), tuple(settled), total)


def _meeting(before: Piece, after: Piece, logged: Logged) -> tuple[float, bool]:
    """Where one piece hands over to the next, and whether without a jump."""
    last, first = float(logged.steps[before.last - 1]), float(logged.steps[after.first])
    lowest = float(logged.steps[before.first])
    near = 2 * float(logged.tolerance[max(before.last - 2, 0) : after.first + 2].max())

    def apart(place: float) -> float:
        at = np.array([place])
        with np.errstate(all="ignore"):
            return float(before.curve(at)[0] - after.curve(at)[0])

    # a shape that knows where it begins or ends, and meets its neighbour there
    for place in (after.begin, before.end):
        if math.isfinite(place) and lowest <= place <= first + 1e-6 and place > last - 0.1 * (last - lowest) - 1:
            slope = abs(apart(place + 0.01) - apart(place)) * 100
            if abs(apart(place)) <= 20 * near + slope * 0.05 * (first - last):
                return place, True
    grid = np.unique(np.concatenate([np.linspace(last, first, 41), np.linspace(last - (first - last), first, 21)]))
    with np.errstate(all="ignore"):
        gaps = before.curve(grid) - after.curve(grid)
    gaps = np.where(np.isfinite(gaps), gaps, np.nan)
    crossed = np.nonzero(np.sign(gaps[:-1]) * np.sign(gaps[1:]) <= 0)[0]
    if len(crossed):
        index = int(crossed[-1])
        rise = gaps[index + 1] - gaps[index]
        share = -gaps[index] / rise if rise else 0.0
        return float(grid[index] + share * (grid[index + 1] - grid[index])), True
    best = int(np.nanargmin(np.abs(gaps))) if np.isfinite(gaps).any() else 0
    if np.isfinite(gaps).any() and abs(gaps[best]) <= near:
        return float(grid[best]), True
    return _roundest(last, first), False


def _roundest(low: float, high: float) -> float:
    """The roundest whole number above `low`, up to `high`."""
    unit = 10.0 ** math.floor(math.log10(max(high, 1)))
    while unit >= 1:
        for part in (unit, unit / 2):
            place = math.floor(high / part + 1e-9) * part
            if place > low and place == int(place):
                return float(place)
        unit /= 10
    return high
