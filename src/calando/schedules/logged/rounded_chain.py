"""Round numbers for a fitted chain.

    a number is replaced by a rounder one where the rates are met as well as before once the others are fitted again

A length may be a share of the run, epochs or steps, whichever has fewer digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from calando.schedules.checks import spell_number
from calando.schedules.logged.fitted_chain import FREE, Chain, tidy
from calando.schedules.logged.rates import Logged
from calando.schedules.span import Span, Unit

__all__ = ["round_numbers", "round_places", "rounded"]

RIGHT: Final = 0.55  # of a unit in the last place: what rounding alone may do


def round_numbers(value: float, doubt: float, most: int = 6) -> Iterator[float]:
    """Numbers within `doubt` of a value, the roundest first; none where the rates leave the value open."""
    if not math.isfinite(value) or not math.isfinite(doubt):
        return
    if abs(value) <= doubt:
        yield 0.0
    for digits in range(1, most + 1):
        nearest = f"{value:.{digits - 1}e}"
        unit = 10.0 ** (int(nearest.partition("e")[2]) - digits + 1)
        for near in (
            float(nearest),
            float(f"{value - unit / 2:.{digits - 1}e}"),
            float(f"{value + unit / 2:.{digits - 1}e}"),
        ):
            if near != 0 and abs(near - value) <= doubt:
                yield near


def round_places(steps: float, doubt: float, total: int, per_epoch: int | None) -> Iterator[tuple[float, Span]]:
    """Lengths within `doubt` of a number of steps, the roundest first: shares, epochs and steps."""
    found: dict[tuple[int, int, str], tuple[float, Span]] = {}
    units: list[tuple[Unit, float, int]] = [("%", total / 100, 0), ("steps", 1.0, 2)]
    if per_epoch:
        units.append(("epochs", float(per_epoch), 1))
    for unit, size, rank in units:
        for number in round_numbers(steps / size, doubt / size):
            if number <= 0 or (unit == "steps" and number != int(number)) or (unit == "%" and number > 100):
                continue
            span = Span(number, unit)
            digits = len(spell_number(number).strip("0").replace(".", ""))
            found.setdefault((digits, rank, str(span)), (span.resolve(total, per_epoch), span))
    for key in sorted(found):
        yield found[key]
    if abs(round(steps) - steps) <= doubt and round(steps) > 0:
        yield float(round(steps)), Span(round(steps), "steps")


def rounded(chain: Chain, logged: Logged, stretched: int, per_epoch: int | None) -> Chain:
    """The chain with round numbers wherever the rates are met as well with them."""
    chain = chain.fitted(logged, rounds=20)
    if not np.isfinite(chain.numbers).all():
        return chain  # the fit ran away: not plausible
    allowed = max(RIGHT, 1.05 * chain.worst(logged))
    count = len(chain.links)
    # a last piece that ends where the run does
    if not chain.settled[count - 1]:
        trial = chain.with_number(count - 1, float(chain.total)).fitted(logged)
        if trial.worst(logged) <= allowed:
            chain = trial
    for index in [*range(stretched), *range(count - 1, max(stretched, -1), -1)]:
        chain = _with_length(chain, index, logged, allowed, stretched, per_epoch)
    for index, kind in enumerate(chain.kinds):
        if kind == "power":
            chain = _with_round(chain, index, 1.0, logged, allowed)
        elif kind == "length":
            chain = _with_pace(chain, index, logged, allowed, per_epoch)
    return _with_base(chain, logged, allowed)


def _with_length(
    chain: Chain, index: int, logged: Logged, allowed: float, stretched: int, per_epoch: int | None
) -> Chain:
    """Piece number `index` with a round length; its end moves, or its begin where it comes after the stretched one."""
    begin = chain.numbers[index - 1] if index else 0.0
    length = chain.numbers[index] - begin
    backwards = index > stretched != FREE
    moved = index - 1 if backwards else index
    if moved < 0:
        return chain
    jump = chain.settled[moved]
    if jump and moved == len(chain.links) - 1:
        span = next(iter(round_places(length, 1e-6, chain.total, per_epoch)), (length, Span(tidy(length), "steps")))[1]
        return replace(chain, spans={**chain.spans, index: span})
    if jump:
        here = np.searchsorted(logged.steps, chain.numbers[moved] - 1e-6)
        low = logged.steps[here - 1] if here else 0.0
        doubt = float(max(abs(logged.steps[min(here, len(logged.steps) - 1)] - low), 1.0))
    else:
        # a root begins so steeply that its place seems more certain than it is
        doubt = max(chain.doubt(logged, moved), 1e-3)
    for steps, span in round_places(length, doubt, chain.total, per_epoch):
        place = chain.numbers[index] - steps if backwards else begin + steps
        trial = chain.with_number(moved, place).fitted(logged)
        if trial.worst(logged) <= allowed and (np.diff(trial.numbers[: len(chain.links)]) > 0).all():
            return replace(trial, spans={**chain.spans, index: span})
    settled = chain.with_number(moved, chain.numbers[moved])
    return replace(settled, spans={**chain.spans, index: Span(tidy(length), "steps")})


def _with_pace(chain: Chain, index: int, logged: Logged, allowed: float, per_epoch: int | None) -> Chain:
    """Number `index`, a time scale or a length of its own, as a round number of steps."""
    doubt = chain.doubt(logged, index)
    for steps, span in round_places(chain.numbers[index], doubt, chain.total, per_epoch):
        trial = chain.with_number(index, steps).fitted(logged, rounds=3)
        if trial.worst(logged) <= allowed:
            return replace(trial, spans={**trial.spans, index: span})
    exact = chain.with_number(index, chain.numbers[index]).fitted(logged, rounds=3)
    return replace(exact, spans={**exact.spans, index: Span(tidy(float(chain.numbers[index])), "steps")})


def _with_round(chain: Chain, index: int, unit: float, logged: Logged, allowed: float) -> Chain:
    """Number `index` as a round multiple of `unit`."""
    doubt = chain.doubt(logged, index)
    for number in round_numbers(chain.numbers[index] / unit, doubt / unit):
        trial = chain.with_number(index, number * unit).fitted(logged, rounds=3)
        if trial.worst(logged) <= allowed:
            return trial
    return chain.with_number(index, chain.numbers[index]).fitted(logged, rounds=3)


def _with_base(chain: Chain, logged: Logged, allowed: float) -> Chain:
    """The greatest value as the base rate, and the others as round multiples of it."""
    values = [index for index, kind in enumerate(chain.kinds) if kind == "value"]
    greatest = max(values, key=lambda index: chain.numbers[index])
    chain = _with_round(chain, greatest, 1.0, logged, allowed)
    base = float(chain.numbers[greatest]) or 1.0
    for index in sorted(values, key=lambda index: -chain.numbers[index]):
        if index != greatest:
            chain = _with_round(chain, index, base, logged, allowed)
    return replace(chain, base=base)
