"""A schedule changed by hand from a step on: the values before stay, to the bit, and the result is a schedule again.

    multiplied(s, 0.5, n)(t)  =  s(t) for t < n,  0.5 s(t) after       s * piecewise(values=[1, 0.5], at=['n steps'])
    followed(s, b, n)(t)      =  s(t) for t < n,  b(t - n) after       cut(s, over='n steps') >> b
    lengthened(s, T', n)(t)   =  s over T (t) for t < n,  s over T' (t) after

What is cut must say how long it is: a part that takes what is left is given that length, and shares of a horizon that
changes are written in steps. Where the values before n would differ in a bit, the schedule is masked instead, which is
exact: s * piecewise(values=[1, 0], at=['n steps']) + (constant(0, over='n steps') >> b).
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from calando.errors import UsageError
from calando.language import message
from calando.schedules.compose import Constant, Plus, SideBySide, Then, Times
from calando.schedules.primitive import Primitive
from calando.schedules.schedule import DoesNotFit, Extent, Form, Schedule, quote_schedule
from calando.schedules.span import Horizon, Span
from calando.schedules.steps import Piecewise
from calando.schedules.transform import Cut, Transformed

__all__ = ["followed", "lengthened", "multiplied", "same_before"]


def multiplied(schedule: Schedule, factor: float, *, step: int) -> Schedule:
    """The schedule times `factor` from update `step` on.

    Args:
        schedule: as it was.
        factor: 0 or more.
        step: the first update that differs.

    >>> from calando.schedules import linear
    >>> multiplied(linear(1, 0), 0.5, step=2)
    linear(1, 0) * piecewise(values=[1, 0.5], at=['2 steps'])
    >>> multiplied(multiplied(linear(1, 0), 0.5, step=2), 0.5, step=3)
    linear(1, 0) * piecewise(values=[1, 0.5, 0.25], at=['2 steps', '3 steps'])
    """
    if step == 0:
        return schedule * factor
    stairs = schedule.operands[-1] if isinstance(schedule, Times) else None
    if isinstance(schedule, Times) and isinstance(stairs, Piecewise) and _is_stairs(stairs, step):
        values, at = (*stairs.values, stairs.values[-1] * factor), (*stairs.at, Span(step, "steps"))
        return Times((*schedule.operands[:-1], replace(stairs, values=values, at=at)))
    return schedule * Piecewise((1.0, factor), (Span(step, "steps"),))


def _is_stairs(part: Piecewise, step: int) -> bool:
    """Whether an earlier change by hand left it, so that a later one goes on with it."""
    return (
        part.over is None
        and part.values[0] == 1
        and all(span.unit == "steps" for span in part.at)
        and part.at[-1].value < step
    )


def followed(
    schedule: Schedule, by: Schedule, *, step: int, horizon: Horizon, after: Horizon | None = None
) -> Schedule:
    """The schedule up to update `step`, then another.

    Args:
        schedule: as it was.
        by: what follows; its progress counts from `step`.
        step: the first update that differs.
        horizon: of the schedule.
        after: of the result; None: the same.

    Raises:
        UsageError: what follows does not fit into the updates that are left.

    >>> from calando.schedules import constant, cosine, linear
    >>> followed(cosine(1, 0), constant(0.1), step=10, horizon=Horizon(100))
    cut(cosine(1, 0, over='100 steps'), over='10 steps') >> constant(0.1)
    >>> followed(linear(0, 1, over=5) >> constant(1), cosine(1, 0), step=10, horizon=Horizon(100))
    linear(0, 1, over='5 steps') >> constant(1, over='5 steps') >> cosine(1, 0)
    """
    return _joined(schedule, by, step=step, before=horizon, after=after or horizon)


def lengthened(schedule: Schedule, *, step: int, before: Horizon, after: Horizon) -> Schedule:
    """The schedule over one horizon up to update `step`, and over another from there on, at the same update.

    Raises:
        UsageError: a schedule of which no part can be cut.

    >>> from calando.schedules import wsd, linear
    >>> lengthened(linear(1, 0), step=10, before=Horizon(20), after=Horizon(40)).bind(40)([9, 10, 20])
    array([0.55, 0.75, 0.5 ])
    """
    if step == 0:
        return schedule
    ending = _of_length(schedule, after.total_steps, after)
    by = None if ending is None else _rest(ending, step)
    if by is None:
        raise UsageError(
            message(
                "{schedule} cannot be given another length; name what follows as well, as in '; schedule cosine(1, 0)'",
                schedule=quote_schedule(schedule),
            )
        )
    try:
        return _joined(schedule, by, step=step, before=before, after=after)
    except DoesNotFit as error:
        raise UsageError(
            message(
                "{schedule} is longer than {total_steps} updates; name what follows as well, as in '; "
                "schedule cosine(1, 0)'",
                schedule=quote_schedule(schedule),
                total_steps=after.total_steps,
            )
        ) from error


def _rest(schedule: Schedule, step: int) -> Schedule:
    return (
        schedule
        if isinstance(schedule, Constant) and schedule.over is None
        else Cut(schedule, None, Span(step, "steps"))
    )


def _joined(schedule: Schedule, by: Schedule, *, step: int, before: Horizon, after: Horizon) -> Schedule:
    if step == 0:
        return by
    written = schedule if before == after else _in_steps(schedule, before)
    long = _of_length(written, before.total_steps, before)
    candidates = [] if long is None else [_chain(long, by, step, after)]
    if before == after:
        mask = Piecewise((1.0, 0.0), (Span(step, "steps"),))
        candidates.append(Plus((Times((schedule, mask)), Then((Constant(0, over=Span(step, "steps")), by)))))
    wrong: UsageError | None = None
    for candidate in candidates:
        try:
            if same_before(schedule, candidate, step=step, before=before, after=after):
                return candidate
        except UsageError as error:
            wrong = wrong or error
    raise wrong or UsageError(
        message(
            "{schedule} cannot be cut at update {step} exactly; train a run of its own",
            schedule=quote_schedule(schedule),
            step=step,
        )
    )


def same_before(one: Schedule, other: Schedule, *, step: int, before: Horizon, after: Horizon | None = None) -> bool:
    """Whether two schedules have the same values before an update, to the bit.

    Args:
        step: the first update that may differ.
        before, after: the horizon of each; None: the same.

    >>> from calando.schedules import constant, linear
    >>> falling = constant(1, over=5) >> linear(1, 0)
    >>> [same_before(constant(1), falling, step=step, before=Horizon(10)) for step in (6, 7)]
    [True, False]
    """
    groups = one.group_names or other.group_names or ("",)
    steps = np.arange(step)
    return all(
        np.array_equal(_bound(one, name, before)(steps), _bound(other, name, after or before)(steps), equal_nan=True)
        for name in groups
    )


def _bound(schedule: Schedule, group: str, horizon: Horizon) -> Any:
    mine = schedule.for_group(group) if schedule.group_names else schedule
    return mine.bind(horizon.total_steps, steps_per_epoch=horizon.steps_per_epoch)


def _chain(schedule: Schedule, by: Schedule, step: int, horizon: Horizon) -> Schedule:
    """`schedule` up to `step`, then `by`; where its parts end in whole steps, the part at `step` alone is cut."""
    parts: list[Schedule] = []
    left = float(step)
    for part in schedule.sequence:
        length = part.length(horizon) if part.extent is Extent.FIXED else math.inf
        if length >= left:
            parts.append(part if length == left else _kept(part, left))
            return Then((*parts, by))
        if length != int(length):
            break
        parts.append(part)
        left -= length
    return Then((_kept(schedule, step), by))


def _kept(schedule: Schedule, steps: float) -> Schedule:
    """The first `steps` of a schedule that is longer."""
    over = Span(steps, "steps")
    return replace(schedule, over=over) if isinstance(schedule, Constant | Cut) else Cut(schedule, over)


def _of_length(schedule: Schedule, steps: float, horizon: Horizon) -> Schedule | None:
    """The schedule with `steps` for what has no length of its own; None where it cannot be given one."""
    if schedule.extent is not Extent.STRETCHED:
        return schedule
    if isinstance(schedule, Primitive):
        return replace(schedule, over=Span(steps, "steps"))
    if isinstance(schedule, Then):
        lengths = [part.length(horizon) if part.extent is Extent.FIXED else 0.0 for part in schedule.chain]
        left = steps - sum(lengths)
        if left <= 0:
            return None
        parts = [_of_length(p, left, horizon) if p.extent is Extent.STRETCHED else p for p in schedule.chain]
        if any(part.extent is Extent.ENDLESS for part in schedule.chain[:-1]):
            parts = [_kept(p, left) if p and p.extent is Extent.ENDLESS else p for p in parts]
    elif isinstance(schedule, SideBySide | Transformed):
        parts = [_of_length(part, steps, horizon) for part in schedule.parts]
    else:
        return None
    known = [part for part in parts if part is not None]
    return schedule.rebuilt(known) if len(known) == len(parts) else None


def _in_steps(schedule: Schedule, horizon: Horizon) -> Schedule:
    """The same schedule with its shares of the horizon in steps."""
    there = schedule.rebuilt([_in_steps(part, horizon) for part in schedule.parts])
    parts = {id(part) for part in there.parts}
    own = {
        field.name: value
        for field in fields(there)
        if id(getattr(there, field.name)) not in parts
        and (value := _written(getattr(there, field.name), horizon)) is not getattr(there, field.name)
    }
    return replace(there, **own) if own else there


def _written(value: Any, horizon: Horizon) -> Any:
    if isinstance(value, Span):
        return Span(horizon.steps(value), "steps") if value.unit == "%" else value
    if isinstance(value, tuple) and any(isinstance(one, Span) for one in value):
        return tuple(_written(one, horizon) for one in value)
    if isinstance(value, Form) and is_dataclass(value):
        own = {field.name: _written(getattr(value, field.name), horizon) for field in fields(value)}
        return replace(value, **own)
    return value
