"""Schedules that logged rates may come from: candidates, each to be checked against all of them.

levels      drops at intervals or milestones, from the start or after a warmup
cycles      falls that come again
pieces      what `fit_pieces` found, one after the other
templates   a rise, a level and a fall, fitted as a whole, where single pieces drown in the rounding
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from calando.errors import UsageError
from calando.schedules.compose import constant
from calando.schedules.known_schedules import chain as chained
from calando.schedules.logged.fitted_chain import FREE, Chain, Link, chain_of, tidy
from calando.schedules.logged.fitted_piece import Piece, fit_pieces
from calando.schedules.logged.held_levels import schedules_of_levels
from calando.schedules.logged.rates import Logged
from calando.schedules.logged.rounded_chain import round_numbers, round_places, rounded
from calando.schedules.named_ramps import cosine, linear
from calando.schedules.repeat import repeat
from calando.schedules.schedule import Schedule
from calando.schedules.span import Span
from calando.schedules.steps import step
from calando.schedules.transform import staircase

__all__ = ["Candidate", "by_cycles", "by_levels", "by_pieces", "by_stairs", "by_templates", "closest", "horizons"]

Candidate = tuple[Schedule, float, int]
"""A schedule, its base rate, its horizon."""

MOST_LINKS: Final = 8


def by_levels(logged: Logged, total: int, per_epoch: int | None) -> Iterator[Candidate]:
    """Levels held from the start."""
    for made, base in schedules_of_levels(logged, total, per_epoch):
        yield made, base, total


def by_pieces(thinned: Logged, logged: Logged, total: int | None, per_epoch: int | None) -> Iterator[Candidate]:
    """Pieces one after the other."""
    pieces = fit_pieces(thinned)
    if pieces is None:
        return
    for horizon in horizons(pieces, logged, total):
        if len(pieces) <= MOST_LINKS:
            yield from _chains(chain_of(pieces, thinned, horizon), thinned, per_epoch)
        yield from _possible(_after_warmup(pieces, thinned, logged, horizon, per_epoch))
        yield from _possible(_waves(pieces, thinned, horizon, per_epoch))


def _possible(found: Iterator[Candidate]) -> Iterator[Candidate]:
    """Those before the first that no schedule can be: a fit may end at a power below zero."""
    with contextlib.suppress(UsageError, np.linalg.LinAlgError):
        yield from found


def horizons(pieces: list[Piece] | None, logged: Logged, total: int | None) -> list[int]:
    """Horizons to try: the given one; else a round one soon after the last rate, and where the last shape ends."""
    if total is not None:
        return [total]
    last, gap = int(logged.steps[-1]), max(int(logged.gap), 1)
    found = [_soon(last, gap)]
    if pieces is None:
        return found
    ended = pieces[-1].end
    if pieces[-1].shape == "linear":
        at = pieces[-1].curve(np.array([last, last + gap], dtype=float))
        ended = last + gap * at[0] / (at[0] - at[1]) if at[0] > at[1] else math.nan
        if not ended <= last + 1.5 * gap:
            ended = math.nan
    if math.isfinite(ended) and last - 0.5 <= ended <= 20 * max(last, 1) and ended >= 1:
        natural = max(round(ended), last, 1)
        near = abs(natural - found[0]) <= max(0.001 * natural, 1)
        found = [found[0], natural] if near else [natural]
    return list(dict.fromkeys(found))


def _soon(last: int, gap: int) -> int:
    """The roundest number of steps within one interval of logging after the last."""
    unit = int(10 ** math.floor(math.log10(last + gap)))
    while unit >= 1:
        place = (last + gap) // unit * unit
        if place > last:
            return place
        unit //= 10
    return last + 1


def _chains(whole: Chain, thinned: Logged, per_epoch: int | None) -> Iterator[Candidate]:
    for stretched in _stretchable(whole):
        yield from _possible(_rounded(whole, thinned, stretched, per_epoch))


def _rounded(whole: Chain, thinned: Logged, stretched: int, per_epoch: int | None) -> Iterator[Candidate]:
    chain = rounded(whole, thinned, stretched, per_epoch)
    if not chain.plausible(thinned):
        return
    made = chain.schedule(stretched)
    yield made, chain.base, chain.total
    last = chain.links[-1]
    if last.shape == "exponential":
        # at whole steps a factor each step is the same
        room = chain.numbers[len(chain.links) - 1] - (
            chain.numbers[len(chain.links) - 2] if len(chain.links) > 1 else 0
        )
        ratio = float((chain.numbers[last.end] / chain.numbers[last.start]) ** (1 / room))
        share = chain.share(chain.numbers[last.start])
        for factor in round_numbers(ratio, 1e-3 * (1 - ratio) if ratio < 1 else 0.0):
            falls = step(every=1, factor=factor)
            yield chained([*made.sequence[:-1], falls if share == 1 else falls * share]), chain.base, chain.total


def _stretchable(chain: Chain) -> Iterator[int]:
    """Pieces that may take what the others leave: the last, or a level that is held before it; FREE for none."""
    last = len(chain.links) - 1
    yield last
    if chain.numbers[last] < chain.total - 1e-6:
        yield FREE
    yield from (index for index in range(last - 1, 0, -1) if chain.links[index].shape == "constant")


def _after_warmup(
    pieces: list[Piece], thinned: Logged, logged: Logged, total: int, per_epoch: int | None
) -> Iterator[Candidate]:
    """A warmup, and levels held after it: counted from its end, or from the start of the run."""
    held = len(pieces)
    while held and pieces[held - 1].shape == "constant":
        held -= 1
    if not 0 < held <= 3 or len(pieces) - held < 2:
        return
    first = pieces[held]
    until = _part_of(thinned, 0, first.last)
    for whole in (chain_of(pieces[: held + 1], until, total),):
        chain = rounded(whole, until, held, per_epoch)
        if not chain.plausible(thinned):
            return
        prefix = list(chain.schedule(held).sequence[:held])
        begin, base = float(chain.numbers[held - 1]), chain.base
        start = int(np.searchsorted(logged.steps, thinned.steps[first.first]))
        rest = _part_of(logged, start, len(logged.steps))
        shifted = Logged(rest.steps - begin, rest.rates, rest.tolerance)
        for made, own in schedules_of_levels(shifted, total, per_epoch):
            doubt = 2 * float(rest.tolerance[0]) / base
            share = next(round_numbers(own / base, doubt), tidy(own / base))
            yield chained([*prefix, made if share == 1 else made * share]), base, total
        for made, own in schedules_of_levels(rest, total, per_epoch):
            if tidy(own / base) == 1:
                yield chained(prefix) * made, base, total


def _part_of(logged: Logged, first: int, last: int) -> Logged:
    return Logged(logged.steps[first:last], logged.rates[first:last], logged.tolerance[first:last])


def by_cycles(logged: Logged, thinned: Logged, total: int | None, per_epoch: int | None) -> Iterator[Candidate]:
    """Falls that come again, from the start or after a warmup: warm restarts."""
    rates, steps = logged.rates, logged.steps
    jumps = np.nonzero(np.diff(rates) > 0.3 * float(np.ptp(rates)))[0]
    jumps = jumps[rates[jumps] < rates[np.maximum(jumps - 1, 0)]] if len(jumps) else jumps  # it fell before
    if not len(jumps):
        return
    low, high = steps[jumps], steps[jumps + 1]
    middle = (low + high) / 2
    last = float(steps[-1])
    number = np.arange(1, len(jumps) + 1)
    guesses: list[tuple[float, float, float, float]] = []  # begin, length, stretch, decay
    tops = [float(rates[index + 1]) for index in jumps]
    decay = tops[-1] / tops[0] if len(tops) > 1 else tops[0] / float(rates[0] or 1.0)
    decay = next(round_numbers(decay ** (1 / max(len(tops) - 1, 1)), 0.01, most=2), 1.0)
    shares = {1.0, decay} if 0.1 <= decay <= 1.5 else {1.0}
    rises = rates[min(1, jumps[0])] > rates[0]
    for share in sorted(shares):
        if not rises:
            near, far = float((low / number).max()), float((high / number).min())
            if near < far:
                guesses.append((0.0, (near + far) / 2, 1.0, share))
            for stretch in (2.0, 1.5, 3.0, 4.0):
                sums = (stretch**number - 1) / (stretch - 1)
                near, far = float((low / sums).max()), float((high / sums).min())
                if near < far:
                    guesses.append((0.0, (near + far) / 2, stretch, share))
        elif len(jumps) > 1:
            length, begin = np.polyfit(number, middle, 1)
            if begin > 0:
                guesses.append((float(begin), float(length), 1.0, share))
        else:
            begin = float(steps[int(np.argmax(rates[: jumps[0] + 1]))])
            if begin > 0:
                guesses.append((begin, float(middle[0]) - begin, 1.0, share))
    for begin, length, stretch, share in guesses:
        ended = begin + length * math.ceil((last - begin) / length - 1e-6) if stretch == 1 else math.nan
        soon = _soon(int(last), max(int(logged.gap), 1))
        natural = round(ended) if math.isfinite(ended) and 0 <= ended - last <= 1.5 * logged.gap + 1 else soon
        for horizon in dict.fromkeys([total] if total is not None else [soon, max(natural, int(last), 1)]):
            for shape in ("cosine_cycles", "linear_cycles"):
                yield from _possible(
                    _cycled(
                        shape,
                        begin,
                        length,
                        stretch,
                        share,
                        rises=bool(rises),
                        thinned=thinned,
                        total=horizon,
                        per_epoch=per_epoch,
                    )
                )


def _cycled(
    shape: str,
    begin: float,
    length: float,
    stretch: float,
    decay: float,
    *,
    rises: bool,
    thinned: Logged,
    total: int,
    per_epoch: int | None,
) -> Iterator[Candidate]:
    high, low, start = float(thinned.rates.max()), float(thinned.rates.min()), float(thinned.rates[0])
    places = [begin, float(total)] if rises else [float(total)]
    at = len(places)
    numbers = [*places, high, low if not rises else 0.0, length, *([start] if rises else [])]
    kinds = (*["place"] * at, "value", "value", "length", *(["value"] if rises else []))
    settled = [*[False] * (at - 1), True, *[False] * (len(numbers) - at)]
    links = [Link("linear", at + 3, at)] if rises else []
    links.append(Link(shape, at, at + 1, at + 2, stretch=stretch, decay=decay))
    chain = Chain(tuple(links), np.array(numbers), kinds, tuple(settled), total).fitted(thinned, rounds=20)
    if chain.worst(thinned) > 1.5:
        return
    chain = rounded(chain, thinned, at - 1, per_epoch)
    if not chain.plausible(thinned):
        return
    yield chain.schedule(at - 1), chain.base, total
    count = (total - (chain.numbers[0] if rises else 0.0)) / chain.numbers[at + 2]
    if stretch == 1 and round(count) > 1 and abs(count - round(count)) < 0.01:
        yield chain.schedule(at - 1, limit=round(count)), chain.base, total


def _waves(pieces: list[Piece], thinned: Logged, total: int, per_epoch: int | None) -> Iterator[Candidate]:
    """The same rise and fall, or fall and rise, again and again."""
    ramps = {"cosine": cosine, "linear": linear}
    shapes = [piece.shape for piece in pieces]
    if len(shapes) < 3 or any(shape != shapes[index % 2] for index, shape in enumerate(shapes)):
        return
    if not set(shapes) <= set(ramps):
        return
    chain = chain_of(pieces, thinned, total).fitted(thinned, rounds=20)
    first, second = (float(chain.numbers[index]) for index in (0, 1))
    one, other = (float(chain.numbers[number]) for number in (chain.links[0].start, chain.links[0].end))
    peak = max(one, other)
    for base in (*round_numbers(peak, 2e-3 * peak), tidy(peak)):
        start, turn = (next(_ratio(value / base), value / base) for value in (one, other))
        for up, over in _some(round_places(first, 0.01 * first, total, per_epoch), 6):
            for whole, _ in _some(round_places(second, 0.01 * second, total, per_epoch), 12):
                if up < whole:
                    down = over if abs(whole - 2 * up) < 1e-6 else Span(tidy(whole - up), "steps")
                    wave = ramps[shapes[0]](start, turn, over=over) >> ramps[shapes[1]](turn, start, over=down)
                    yield repeat(wave), base, total


def _ratio(value: float) -> Iterator[float]:
    yield from round_numbers(value, max(2e-4 * abs(value), 1e-7), most=4)


def _some(found: Iterator[tuple[float, Span]], most: int) -> Iterator[tuple[float, Span]]:
    for _, one in zip(range(most), found, strict=False):
        yield one


FALLS: Final = ("cosine", "linear", "exponential", "polynomial", "one_minus_sqrt", "one_minus_square", "inverse_sqrt")


def by_templates(thinned: Logged, total: int, per_epoch: int | None) -> Iterator[Candidate]:
    """A rise, a level and a fall, each of which may lack, fitted as a whole."""
    best: list[tuple[float, Chain]] = []
    for shapes in _templates(thinned):
        chain = _template(shapes, thinned, total)
        if chain is None:
            continue
        chain = chain.fitted(thinned, rounds=15)
        worst = chain.worst(thinned)
        if worst <= 0.7:
            yield from _chains(chain, thinned, per_epoch)
            return
        if math.isfinite(worst):
            best.append((worst, chain))
    best.sort(key=lambda one: one[0])
    for _, chain in best[:3]:
        yield from _chains(chain, thinned, per_epoch)


def _templates(thinned: Logged) -> Iterator[tuple[str, ...]]:
    peak = int(np.argmax(thinned.rates))
    rises: list[tuple[str, ...]] = [("linear",), ("cosine",)] if peak else []
    if peak <= len(thinned.rates) // 10:
        rises.append(())  # noise has its peak a little later than its schedule
    held = float(np.mean(thinned.rates >= thinned.rates.max() - thinned.tolerance.max())) > 0.05
    for fall in FALLS:
        for rise in rises:
            yield (*rise, fall)
            if held:
                yield (*rise, "constant", fall)


def _template(shapes: tuple[str, ...], thinned: Logged, total: int) -> Chain | None:
    steps, rates = thinned.steps, thinned.rates
    peak = float(rates.max())
    top = np.nonzero(rates >= peak - 2 * thinned.tolerance.max())[0]
    places: list[float] = []
    if shapes[0] in ("linear", "cosine") and len(shapes) > 1 and shapes[0] != "constant":
        places.append(float(steps[top[0]]) or 0.5)
    if "constant" in shapes:
        places.append(float(steps[top[-1]]) + 0.5)
    places.append(float(total))
    if len(places) != len(shapes) or (np.diff([0.0, *places]) <= 0).any():
        return None
    numbers, kinds, settled = list(places), ["place"] * len(places), [False] * (len(places) - 1) + [True]
    numbers += [peak, max(float(rates[0]), 0.0), max(float(rates[-1]), 1e-6 * peak)]
    kinds += ["value"] * 3
    at_peak, at_start, at_end = range(len(places), len(places) + 3)
    settled += [False, len(shapes) == 1 or shapes[0] == "constant", shapes[-1] == "inverse_sqrt"]
    links = []
    for index, shape in enumerate(shapes):
        if shape == "constant":
            links.append(Link(shape, at_peak, at_peak))
        elif index < len(shapes) - 1:
            links.append(Link(shape, at_start, at_peak))
        elif shape in ("polynomial", "inverse_sqrt"):
            numbers.append(1.5 if shape == "polynomial" else max(places[0], 1.0))
            kinds.append("power" if shape == "polynomial" else "length")
            settled.append(False)
            links.append(Link(shape, at_peak, at_peak if shape == "inverse_sqrt" else at_end, len(numbers) - 1))
        else:
            links.append(Link(shape, at_peak, at_end))
    used = {number for link in links for number in (link.start, link.end)}
    keep = [index for index in range(len(numbers)) if index not in (at_peak, at_start, at_end) or index in used]
    place = {old: new for new, old in enumerate(keep)}
    moved = tuple(
        Link(link.shape, place[link.start], place[link.end], place.get(link.extra, FREE), FREE) for link in links
    )
    return Chain(
        moved,
        np.array([numbers[index] for index in keep]),
        tuple(kinds[index] for index in keep),
        tuple(settled[index] for index in keep),
        total,
    )


def by_stairs(
    logged: Logged, total: int, per_epoch: int | None, recovered: Callable[[Logged], Candidate | None]
) -> Iterator[Candidate]:
    """Another schedule that was looked at once an interval only, as torch's are once an epoch."""
    changes = np.nonzero(np.diff(logged.rates) != 0)[0]
    if len(changes) < 4 or 2 * (len(changes) + 1) > len(logged.steps):
        return
    if float(np.median(np.diff(changes, prepend=-1))) < 2:
        return
    number = np.arange(1, len(changes) + 1)
    low, high = float((logged.steps[changes] / number).max()), float((logged.steps[changes + 1] / number).min())
    if low >= high:
        return
    for every, span in _some(round_places((low + high) / 2, (high - low) / 2 + 1e-9, total, per_epoch), 4):
        if low < every <= high:
            firsts = np.concatenate([[0], changes + 1])
            seen = Logged(
                np.arange(len(firsts), dtype=np.float64) * every, logged.rates[firsts], logged.tolerance[firsts]
            )
            made = recovered(seen)
            if made is not None:
                yield staircase(made[0], every=span), made[1], total
            return


def closest(logged: Logged, total: int) -> Iterator[Candidate]:
    """The level in the middle: what is there where nothing is right."""
    middle = float(f"{(logged.rates.max() + logged.rates.min()) / 2:.4g}")
    if middle > 0:
        yield constant(1), middle, total
