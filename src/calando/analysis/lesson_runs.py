"""Each run of a lesson in two sentences, what happened and why; nothing is known here of how it should end.

the loss at update t     mean of the ten losses up to t
reached(L)               the first t at which that is L or less
best                     of a network's fixed rates the one with the highest validation score; of several the one
                         whose loss ends lowest
crawls                   below the best, and the best had its final loss in half as many updates or fewer
unsteady                 its score is five points or more below the best one's, or its loss ends at twice its or more
trains                   its score is nine tenths of the lesson's highest, or more
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from calando.language import message
from calando.records.lesson import Lesson, StoredLesson
from calando.records.record import RunRecord

__all__ = [
    "Course",
    "Ending",
    "RunReading",
    "Runs",
    "course_of",
    "percent",
    "read_runs",
    "times",
    "trains_at",
    "updates",
]

WINDOW = 10
HALF = 2.0
POINTS = 0.05
SHARE = 0.9
RISING = 2  # updates in a row, from which on a loss counts as rising

Ending = Literal["diverged", "chance", "crawled", "unsteady", "works", "best"]


@final
@dataclass(frozen=True)
class Course:
    """How a run's training loss went.

    Args:
        first: before any update.
        last: at the last update that has a finite one; nan where there is none.
        peak, at: the largest finite loss, and its update.
        rising: how many losses in a row, up to the end, each above the one before.
        calm: float64[updates], the loss at each update.
    """

    first: float
    last: float
    peak: float
    at: int
    rising: int
    calm: np.ndarray

    def reached(self, loss: float) -> int | None:
        """The first update at which the loss was no higher, counted from 1; None: never."""
        there = np.flatnonzero(self.calm <= loss)
        return int(there[0]) + 1 if len(there) else None


def course_of(record: RunRecord) -> Course:
    """The course of a run."""
    losses = record.losses.astype(np.float64)
    finite = np.flatnonzero(np.isfinite(losses))
    if not len(finite):
        return Course(math.nan, math.nan, math.nan, 0, 0, np.full(len(losses), np.nan))
    sums = np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(losses), losses, 0.0))])
    counts = np.concatenate([[0], np.cumsum(np.isfinite(losses))])
    stop = np.arange(1, len(losses) + 1)
    start = np.maximum(0, stop - WINDOW)
    n = counts[stop] - counts[start]
    # Cumulated sums lose what is small next to a loss that exploded: those windows are summed by themselves.
    calm = np.where(n > 0, (sums[stop] - sums[start]) / np.maximum(n, 1), np.nan)
    if losses[finite].max() > 1e6:
        calm = np.array([_mean(losses[a:b]) for a, b in zip(start, stop, strict=True)])
    seen = losses[finite]
    rising = 0
    while rising + 1 < len(seen) and seen[-1 - rising] > seen[-2 - rising]:
        rising += 1
    peak = int(seen.argmax())
    return Course(float(seen[0]), float(calm[finite[-1]]), float(seen[peak]), int(finite[peak]), rising, calm)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


@final
@dataclass(frozen=True)
class RunReading:
    """One run, read.

    Args:
        name, text: of its strategy.
        rate: its base rate.
        ending: what became of it.
        slower: of one that crawled, how many times as many updates it took as the best rate.
        happened, why: a few words each.
    """

    network: str
    name: str
    text: str
    rate: float
    record: RunRecord
    course: Course
    ending: Ending
    happened: str
    why: str
    slower: float | None = None

    @property
    def score(self) -> float:
        """Of validation, at the end."""
        return self.record.score

    @property
    def loss(self) -> str:
        """At the end, in words."""
        return f"{self.course.last:.2g}" if self.ending != "diverged" else "–"


Runs = Mapping[str, Mapping[str, RunReading]]
"""Network -> strategy -> its run."""


def read_runs(stored: StoredLesson, *, seed: int = 0) -> dict[str, dict[str, RunReading]]:
    """Network -> strategy -> its run at a seed, read."""
    return {network: _read_network(stored.lesson, network, seed, those) for network, those in stored.runs.items()}


def _read_network(
    lesson: Lesson, network: str, seed: int, runs: Mapping[str, tuple[RunRecord, ...]]
) -> dict[str, RunReading]:
    records = {name: those[seed] for name, those in runs.items()}
    courses = {name: course_of(record) for name, record in records.items()}
    fixed = {name for name in records if name in {lesson.fixed(rate) for rate in (*lesson.rates, lesson.start)}}
    best = min(fixed, key=lambda name: (-records[name].score, _or_inf(courses[name].last), records[name].spec.lr))
    read = {}
    for name, record in records.items():
        if name in fixed:
            ending, slower = _ending(record, courses[name], records[best], courses[best])
            happened = _happened(record, ending, slower, best=records[best])
            why = _why(record, courses[name], ending, best=records[best], best_course=courses[best])
        else:
            ending, slower = _ending(record, courses[name], records[best], courses[best])
            ending = "works" if ending in ("best", "crawled") else ending
            happened = _happened(record, ending, None, best=records[best])
            against = lesson.fixed(lesson.start) if record.spec.lr == lesson.start else best
            why = _why_moved(record, courses[name], records[against], courses[against])
        read[name] = RunReading(
            network, name, record.spec.strategy.text, record.spec.lr, record, courses[name], ending, happened, why,
            slower,
        )  # fmt: skip
    return read


def _or_inf(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


def _ending(record: RunRecord, course: Course, best: RunRecord, of_best: Course) -> tuple[Ending, float | None]:
    """What became of a run, next to the best fixed rate's."""
    if record.outcome == "diverged":
        return "diverged", None
    if record.at_chance or record.outcome == "died":
        return "chance", None
    if record is best:
        return "best", None
    sooner = of_best.reached(course.last)
    if record.spec.lr < best.spec.lr and sooner is not None and record.steps_done >= HALF * sooner:
        return "crawled", record.steps_done / sooner
    if best.score - record.score >= POINTS or course.last >= HALF * of_best.last:
        return "unsteady" if record.spec.lr > best.spec.lr or record.spec.strategy.schedules else "works", None
    return "works", None


def percent(score: float) -> str:
    """A share in percent.

    >>> percent(0.9341)
    '93.4 %'
    """
    return f"{100 * score:.1f} %"


def times(factor: float) -> str:
    """How many times.

    >>> times(3.333), times(120.4)
    ('3.3 times', '120 times')
    """
    return message("{factor:.2g} times" if factor < 10 else "{factor:.0f} times", factor=factor)


def updates(count: int) -> str:
    """How many updates.

    >>> updates(1), updates(7)
    ('1 update', '7 updates')
    """
    return message("{count} update" if count == 1 else "{count} updates", count=count)


def _happened(record: RunRecord, ending: Ending, slower: float | None, *, best: RunRecord) -> str:
    match ending:
        case "diverged":
            return message("diverged after {updates}", updates=updates(record.steps_done))
        case "chance":
            return message("ended at chance")
        case "crawled":
            assert slower is not None
            return message("crawled: {times} slower than {rate:g}", times=times(slower), rate=best.spec.lr)
        case "unsteady":
            return message("ended higher")
        case "best":
            return message("the best fixed rate")
        case "works":
            return message("trained")


def _why(record: RunRecord, course: Course, ending: Ending, *, best: RunRecord, best_course: Course) -> str:
    smaller, at_best = best.spec.lr / record.spec.lr, f"{best.spec.lr:g}"
    match ending:
        case "diverged":
            return _why_diverged(course)
        case "chance" if course.peak >= HALF * course.first:
            return message(
                "loss {first:.2g} → {peak:.2g} at update {at}, and it never came back",
                first=course.first,
                peak=course.peak,
                at=course.at + 1,
            )
        case "chance" if smaller > 1:
            return message("updates {times} smaller than at {best}: it got nowhere", times=times(smaller), best=at_best)
        case "chance":
            return message("no better than always naming one class")
        case "crawled":
            sooner = best_course.reached(course.last)
            assert sooner is not None
            return message(
                "updates {times} smaller; {best} had this loss after {sooner}",
                times=times(smaller),
                best=at_best,
                sooner=sooner,
            )
        case "unsteady":
            quarter = course.calm[-max(1, len(course.calm) // 4) :]
            low, high = float(np.nanmin(quarter)), float(np.nanmax(quarter))
            return message(
                "updates {times} larger than at {best}: loss {first:.2g} → {peak:.2g}, then between {low:.2g} and "
                "{high:.2g}"
                if course.peak >= HALF * course.first
                else "updates {times} larger than at {best}: loss between {low:.2g} and {high:.2g}",
                times=times(1 / smaller),
                best=at_best,
                first=course.first,
                peak=course.peak,
                low=low,
                high=high,
            )
        case "best":
            return message("loss halved after {updates}", updates=_halved(course))
        case "works":
            return message(
                "loss halved after {updates}, at {best} after {others}",
                updates=_halved(course),
                best=at_best,
                others=_halved(best_course),
            )


def _halved(course: Course) -> str:
    at = course.reached(course.first / 2)
    return message("none of them") if at is None else updates(at)


def _why_diverged(course: Course) -> str:
    if not math.isfinite(course.peak):
        return message("no loss was finite")
    if course.at == 0:
        return message("from loss {first:.2g}", first=course.first)
    return message(
        "loss {first:.2g} → {peak:.2g} in {updates}"
        if course.rising < RISING
        else "loss {first:.2g} → {peak:.2g}; each of the last {rising} raised it",
        first=course.first,
        peak=course.peak,
        updates=updates(course.at),
        rising=updates(course.rising),
    )


def _why_moved(record: RunRecord, course: Course, other: RunRecord, of_other: Course) -> str:
    """A strategy that is not a fixed rate, next to one."""
    if record.outcome == "diverged":
        return _why_diverged(course)
    rate, last = other.spec.lr, of_other.last
    if other.outcome == "diverged":
        compared = message("fixed {rate:g} diverged", rate=rate)
    elif course.last <= last / HALF:
        compared = message("loss ends {times} lower than at fixed {rate:g}", times=times(last / course.last), rate=rate)
    elif course.last >= last * HALF:
        compared = message(
            "loss ends {times} higher than at fixed {rate:g}", times=times(course.last / last), rate=rate
        )
    else:
        compared = message("loss ends about as at fixed {rate:g} ({last:.2g})", rate=rate, last=last)
    if record.spec.strategy.schedules:
        first, final = float(record.rates[0]), float(record.rates[-1])
        return message("rate {first:.2g} → {final:.2g}; {compared}", first=first, final=final, compared=compared)
    return message("each weight's update is divided by the size of its gradient; {compared}", compared=compared)


def trains_at(reads: Runs, lesson: Lesson, network: str) -> tuple[float, ...]:
    """The rates of the grid, ascending, at which a network trains."""
    highest = max(read.score for those in reads.values() for read in those.values())
    those = reads[network]
    return tuple(
        rate
        for rate in lesson.rates
        if (read := those[lesson.fixed(rate)]).ending not in ("diverged", "chance") and read.score >= SHARE * highest
    )
