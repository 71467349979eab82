"""Findings of `lint`, and how it goes through a schedule: all its parts, their spans, the same with parts changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import final

from calando.schedules.schedule import Level, Schedule
from calando.schedules.span import Span

__all__ = ["Finding", "Level", "changed", "in_order", "nodes", "spans"]


@final
@dataclass(frozen=True)
class Finding:
    """Something suspicious.

    Args:
        name: what kind; see `calando.schedules.linting`.
        level: "error" (training would break), "warning" (likely a mistake), "info".
        step: the update it is about.
        message: what is the matter, one line.
        remedy: what to do, one line.
        group: the parameter group it is about, where it is not about all.

    >>> print(Finding("negative", "error", 51, "the multiplier is -0.02", "raise end to 0 or more", group="head"))
    error: negative in group 'head' at step 51: the multiplier is -0.02; raise end to 0 or more
    """

    name: str
    level: Level
    step: int
    message: str
    remedy: str
    group: str | None = None

    def __str__(self) -> str:
        place = "" if self.group is None else f" in group {self.group!r}"
        return f"{self.level}: {self.name}{place} at step {self.step}: {self.message}; {self.remedy}"


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
    >>> from calando.schedules.ramp_base import Ramp
    >>> changed(cosine(1, 0) * 0.5, lambda part: constant(1) if isinstance(part, Ramp) else part)
    constant(1) * 0.5
    """
    parts = [changed(part, change) for part in schedule.parts]
    same = all(new is old for new, old in zip(parts, schedule.parts, strict=True))
    return change(schedule if same else schedule.rebuilt(parts))
