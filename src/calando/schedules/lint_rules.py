"""The rules of `lint`, what they find, and how they go through a schedule.

`values` has the multipliers of updates t = 0 .. T - 1, shape (T,).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial

import numpy as np

from calando.language import message as said
from calando.schedules.checks import spell_number
from calando.schedules.compose import Constant
from calando.schedules.curve import Curve
from calando.schedules.finding import Finding
from calando.schedules.primitive import Primitive
from calando.schedules.schedule import Array, Extent, Schedule, quote_schedule
from calando.schedules.span import Horizon, Span, spell_steps

__all__ = ["MOMENTA", "RULES", "changed", "in_order", "negative", "nodes", "not_finite", "spans"]

MOMENTA = ("momentum", "beta1")

Rule = Callable[[Curve, Array, str], "list[Finding]"]
RULES: list[tuple[Rule, tuple[str, ...]]] = []
"""(curve, values, hyper-parameter) -> what is found; and the hyper-parameters that it is for, none for all.

They look at a curve whose values are all finite, without its scatter.
"""


def rule(*of: str) -> Callable[[Rule], Rule]:
    """Register a rule, for these hyper-parameters alone or for all."""

    def add(found: Rule) -> Rule:
        RULES.append((found, of))
        return found

    return add


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """By step, then by name, each once: on a short run several seams may fall on one update."""
    return sorted(dict.fromkeys(findings), key=lambda finding: (finding.step, finding.name, finding.group or ""))


def nodes(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule and all that it is made of, from the outside in.

    >>> from calando.schedules import cosine, linear
    >>> [str(part) for part in nodes(linear(0, 1, over=5) >> cosine(1, 0))]
    ["linear(0, 1, over='5 steps') >> cosine(1, 0)", "linear(0, 1, over='5 steps')", 'cosine(1, 0)']
    """
    yield schedule
    for part in schedule.parts:
        yield from nodes(part)


def spans(schedule: Schedule) -> dict[str, tuple[Span, ...]]:
    """The spans that a schedule itself was given, without those of its parts: argument -> spans.

    >>> from calando.schedules import multistep
    >>> spans(multistep(at=["50%", 30], factor=0.1))
    {'at': (Span('50%'), Span('30 steps'))}
    """
    found = {}
    for item in fields(schedule):
        value = getattr(schedule, item.name)
        given = value if isinstance(value, tuple) else (value,)
        if given and all(isinstance(one, Span) for one in given):
            found[item.name] = given
    return found


def changed(schedule: Schedule, change: Callable[[Schedule], Schedule]) -> Schedule:
    """The schedule with `change` made to every part that is no longer made of others, and then to what these make.

    >>> from calando.schedules import constant, cosine
    >>> from calando.schedules.ramp import Ramp
    >>> changed(cosine(1, 0) * 0.5, lambda part: constant(1) if isinstance(part, Ramp) else part)
    constant(1) * 0.5
    """
    parts = [changed(part, change) for part in schedule.parts]
    same = all(new is old for new, old in zip(parts, schedule.parts, strict=True))
    return change(schedule if same else schedule.rebuilt(parts))


SHARE = 0.01  # of the run, or of a value: less does not matter
LONGEST_WARMUP = 0.5  # of the run
NEARLY = 0.95  # of the greatest rate: a warmup that creeps up to it, as exp(-t) does, is over here
NEAR_ONE = 1e-3  # a multiplier this near to 1 is 1


def not_finite(values: Array) -> list[Finding]:
    """The first value that is not a number."""
    step = _first(~np.isfinite(values))
    if step is None:
        return []
    return [
        Finding(
            "not-finite",
            "error",
            step,
            said("the multiplier is {value}", value=values[step]),
            said("use factors that do not overflow"),
        )
    ]


def negative(values: Array) -> list[Finding]:
    """The first value below zero."""
    step = _first(values < 0)
    if step is None:
        return []
    message = said("the multiplier is {value}", value=short(values[step]))
    return [Finding("negative", "error", step, message, said("raise start or end to 0 or more"))]


@rule("lr")
def long_warmup(curve: Curve, values: Array, of: str) -> list[Finding]:
    """The greatest value, or nearly that, comes in the second half of the run; a frozen start does not count."""
    top = float(values.max())
    if values.size < 2 or top <= 0:
        return []
    thawed = int(np.argmax(values != 0))
    reached = int(np.argmax(values >= NEARLY * top))
    if reached - thawed < LONGEST_WARMUP * (values.size - thawed):
        return []
    message = said("the greatest rates begin at {share:.0%} of the run", share=reached / values.size)
    return [
        Finding("long-warmup", "warning", reached, message, said("warm up over some 5% of the run, or train longer"))
    ]


@rule("lr")
def rises_at_end(curve: Curve, values: Array, of: str) -> list[Finding]:
    """The last update has a higher rate than the one before, and by over 1% than the one 1% of the run earlier."""
    back = max(1, int(SHARE * values.size))
    if values.size < 2 or not values[-1] > values[-2] or values[-1] - values[-1 - back] <= SHARE * abs(values[-1]):
        return []
    message = said(
        "the multiplier rises from {low} to {high} in the last {updates}",
        low=short(values[-1 - back]),
        high=short(values[-1]),
        updates=_steps(back),
    )
    return [Finding("rises-at-end", "warning", values.size - 1, message, said("end with a part that falls, or holds"))]


@rule("lr")
def short_cool_down(curve: Curve, values: Array, of: str) -> list[Finding]:
    """The last fall is less than 1% of the run; a cycle's own fall may be as short as it likes."""
    if any(node.comes_again for node in nodes(curve.schedule.sequence[-1])):
        return []
    falls = np.diff(values) < 0
    if falls.all() or not falls[-1]:
        return []
    start = falls.size - int(np.argmin(falls[::-1]))
    share = (values.size - start) / values.size
    if share >= SHARE:
        return []
    message = said(
        "the last fall begins at {start} and takes {share:.2%} of the run", start=spell_steps(start), share=share
    )
    return [Finding("short-cool-down", "warning", start, message, said("cool down over 10% to 20% of the run"))]


@rule("lr")
def starts_at_zero(curve: Curve, values: Array, of: str) -> list[Finding]:
    """The first update has rate zero, and not all have."""
    if values[0] != 0 or not values.any():
        return []
    message = said("the first update has rate zero and changes nothing")
    return [
        Finding("starts-at-zero", "info", 0, message, said("start a little above zero, such as 0.01, if that matters"))
    ]


@rule("lr")
def zero_at_end(curve: Curve, values: Array, of: str) -> list[Finding]:
    """More than 1% of the run, at its end, has rate zero, and not all of it has."""
    alive = values != 0
    wasted = int(np.argmax(alive[::-1]))
    if not alive.any() or wasted <= max(1.0, SHARE * values.size):
        return []
    message = said(
        "the rate is zero for the last {wasted} of {steps} updates, which change nothing",
        wasted=wasted,
        steps=values.size,
    )
    remedy = said("let the last fall take longer (drop its over=, or space its drops out), or end above zero")
    return [Finding("ends-early", "warning", values.size - wasted, message, remedy)]


@rule(*MOMENTA)
def overwritten(curve: Curve, values: Array, of: str) -> list[Finding]:
    """The multiplier never is 1, nor crosses it."""
    off = values - 1
    if not (off > NEAR_ONE).all() and not (off < -NEAR_ONE).all():
        return []
    nearest = float(values[np.argmin(abs(off))])
    message = said(
        "the multiplier never is 1, so the {of} given to the optimizer is never used; the nearest is {nearest}",
        of=of,
        nearest=short(nearest),
    )
    remedy = said("set the optimizer's {of} to the value that is meant, and let the schedule be 1 where it is", of=of)
    if nearest > 0:
        remedy = said(
            "multiply the optimizer's {of} by {nearest} and the schedule by {inverse}",
            of=of,
            nearest=short(nearest),
            inverse=short(1 / nearest),
        )
    return [Finding("momentum-overwritten", "warning", 0, message, remedy)]


SMALLEST_JUMP = 0.05  # of the greater of the two values
MOST_JUMPS = 5
LOOKED_AT = 256  # points at which the rest of a cycle is looked at


@rule()
def jumps(curve: Curve, values: Array, of: str) -> list[Finding]:
    """Leaps up at the seams of chains; not from a part that is frozen at zero, nor as high as the steps of a stair."""
    seams = np.array([seam for seam in curve.seams() if 0 < seam <= curve.total_steps - 1])
    if not seams.size:
        return []
    before, after = curve(np.maximum(seams - 1e-3, 0.0)), curve(seams)
    steps = np.ceil(seams - 1e-6).astype(int)
    rises = np.diff(values, prepend=values[0])
    rises[steps] = 0
    stair = np.maximum.accumulate(rises)
    findings = []
    for step, low, high in zip(steps, before, after, strict=True):
        leap = high - low
        frozen = step >= 2 and not values[step - 2 : step].any()
        if leap > SMALLEST_JUMP * max(abs(low), abs(high)) and not frozen and leap > 1.01 * stair[step - 1]:
            message = said("the multiplier leaps from {low} to {high}", low=short(low), high=short(high))
            remedy = said("start each part where the one before ends; a restart that is meant is written repeat(...)")
            findings.append(Finding("jump", "warning", int(step), message, remedy))
    if len(findings) > MOST_JUMPS:
        more = len(findings) - MOST_JUMPS
        last = findings[MOST_JUMPS - 1]
        findings[MOST_JUMPS - 1 :] = [
            replace(last, message=said("{leap}, and {more} more leaps follow", leap=last.message, more=more))
        ]
    return findings


@rule()
def never_reached(curve: Curve, values: Array, of: str) -> list[Finding]:
    """Milestones after the end of their part."""
    cycles = _cycle_ends(curve)
    return [
        Finding(
            "never-reached",
            "warning",
            curve.total_steps - 1,
            said("a milestone at {place} comes after the end of its part or of the run", place=spell_steps(place)),
            said("give milestones as shares of the run, or in epochs if you counted epochs"),
        )
        for place in curve.unreached()
        if place not in cycles
    ]


@rule()
def unfinished_cycles(curve: Curve, values: Array, of: str) -> list[Finding]:
    """Cycles of a repeat that the run leaves above the lowest value they head to."""
    findings = []
    placed = curve.schedule.place(Horizon(curve.total_steps, curve.steps_per_epoch), float(curve.total_steps))
    for end in sorted(_cycle_ends(curve)):
        rest = placed(np.linspace(curve.total_steps, end - 1e-3, LOOKED_AT))
        low, last = float(rest.min()), float(values[-1])
        top = float(values.max())
        if last - low <= SHARE * top:
            continue
        low = low if low > 1e-6 * top else 0.0
        at = math.ceil(end - 1e-6)
        message = said(
            "the run stops in the middle of a cycle, at {last}: it heads to {low} at step {at}",
            last=short(last),
            low=short(low),
            at=at,
        )
        remedy = said("choose lengths so that whole cycles fill the run; limit=4 without every= makes four of them")
        findings.append(Finding("floor-not-reached", "warning", curve.total_steps - 1, message, remedy))
    return findings


@rule()
def floors(curve: Curve, values: Array, of: str) -> list[Finding]:
    """Floors, as those of clip(..., low=...), that change nothing."""
    findings = []
    for node in dict.fromkeys(nodes(curve.schedule)):
        raised = node.with_floor_raised(SHARE * float(abs(values).max()))
        if raised is None:
            continue
        other = changed(curve.schedule, partial(_replaced, old=node, new=raised))
        if (other.bind(curve.total_steps, steps_per_epoch=curve.steps_per_epoch).sample() == values).all():
            name = next(item.name for item in fields(node) if getattr(node, item.name) != getattr(raised, item.name))
            message = said(
                "no value falls to the floor {name}={value} of {schedule}",
                name=name,
                value=short(getattr(node, name)),
                schedule=quote_schedule(node),
            )
            remedy = said("let what is clipped fall further, or drop {name}=", name=name)
            findings.append(Finding("floor-not-reached", "warning", curve.total_steps - 1, message, remedy))
    return findings


@rule("lr")
def holds_at_end(curve: Curve, values: Array, of: str) -> list[Finding]:
    """The parts end before the run does, and a value holds that is neither zero nor the greatest."""
    if curve.schedule.extent is not Extent.FIXED:
        return []
    length = curve.schedule.length(Horizon(curve.total_steps, curve.steps_per_epoch))
    end = math.ceil(length - 1e-6)
    held = values[end:]
    if held.size <= max(1.0, SHARE * values.size) or np.ptp(held) > 0:
        return []
    if held[0] == 0 or held[0] >= (1 - SHARE) * values.max():
        return []
    message = said(
        "the parts end and {value} holds for the last {count} of {steps} updates",
        value=short(held[0]),
        count=held.size,
        steps=values.size,
    )
    remedy = said(
        "say so with >> constant({value}), or drop an over= so that a part takes all that is left", value=short(held[0])
    )
    return [Finding("ends-early", "info", end, message, remedy)]


def _cycle_ends(curve: Curve) -> set[float]:
    """Of the places that are never reached, those where a cycle would end."""
    if not any(node.comes_again for node in nodes(curve.schedule)):
        return set()
    bare = changed(curve.schedule, _without_milestones)
    return set(bare.bind(curve.total_steps, steps_per_epoch=curve.steps_per_epoch).unreached())


def _without_milestones(part: Schedule) -> Schedule:
    if isinstance(part, Primitive) and spans(part).keys() - {"over"}:
        return Constant(1, over=part.over)
    return part


def _replaced(part: Schedule, *, old: Schedule, new: Schedule) -> Schedule:
    return new if part == old else part


def short(value: float) -> str:
    """A value for a message, to four digits."""
    return spell_number(float(f"{value:.4g}"))


def _steps(count: int) -> str:
    return said("update") if count == 1 else said("{count} updates", count=count)


def _first(where: np.ndarray) -> int | None:
    return int(np.argmax(where)) if where.any() else None
