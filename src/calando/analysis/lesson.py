"""What a lesson teaches, a claim each, looked for in its runs.

A claim is shown where the runs of a seed bear it out; its sentence gives their numbers. Where they do not, the sentence
says what they show instead. Of several seeds the first one's numbers are given, and in how many the claim is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from calando.analysis.lesson_runs import HALF, RunReading, Runs, percent, read_runs, times, trains_at, updates
from calando.language import joined, message
from calando.records.lesson import Lesson, StoredLesson
from calando.records.probe import ProbeRow

__all__ = ["Claim", "Gradients", "claims_of", "gradients_of"]

STEEPER = 3.0
NONE_TRAINED = message("No fixed rate trained in these runs: there is nothing to compare with.")


@final
@dataclass(frozen=True)
class Claim:
    """One thing to learn.

    Args:
        name: of it.
        title: in a few words.
        shown: in how many seeds the runs bear it out.
        seeds: how many there are.
        text: one or two sentences with the numbers.
    """

    name: str
    title: str
    shown: int
    seeds: int
    text: str


Found = tuple[bool, str]


def claims_of(stored: StoredLesson) -> tuple[Claim, ...]:
    """All claims, in the order of the page."""
    lesson, seeds = stored.lesson, stored.seeds
    every = [read_runs(stored, seed=seed) for seed in range(seeds)]
    told: list[tuple[str, str, Callable[[Runs], Found]]] = [
        ("small", message("Too small crawls"), lambda runs: _small(lesson, runs)),
        ("large", message("Too large diverges"), lambda runs: _large(lesson, runs)),
        *((name, message("Decay: {name}", name=name), _decayed(lesson, name)) for name in lesson.schedules),
        *((name, message("Adaptive"), _adaptive(lesson, name)) for name in lesson.adaptive),
    ]
    plain, normed, short, both = lesson.networks
    told += [
        (
            "norm",
            message("Batch norm allows larger rates"),
            lambda runs: _larger(lesson, runs, (plain, normed), (short, both)),
        ),
        ("shortcuts", message("Shortcuts let small rates train"), lambda runs: _smaller(lesson, runs, (plain, short))),
        ("window", message("Both together"), lambda runs: _window(lesson, runs, (plain, both))),
    ]
    found = [(name, title, [look(runs) for runs in every]) for name, title, look in told]
    claims = [_together(name, title, those) for name, title, those in found]
    if (seen := _depth(stored, plain, short)) is not None:
        claims.append(Claim("depth", message("Gradients by depth"), int(seen[0]), 1, seen[1]))
    return tuple(claims)


def _together(name: str, title: str, found: Sequence[Found]) -> Claim:
    shown, seeds = sum(one for one, _ in found), len(found)
    text = found[0][1]
    if seeds > 1:
        text = _then(text, message("Shown in {shown} of {seeds} seeds.", shown=shown, seeds=seeds))
    return Claim(name, title, shown, seeds, text)


def _then(*sentences: str) -> str:
    return joined("{one} {other}", filter(None, sentences))


def _fixed(lesson: Lesson, runs: Runs, network: str) -> list[RunReading]:
    return [runs[network][lesson.fixed(rate)] for rate in lesson.rates]


def _best(runs: Runs, network: str) -> RunReading | None:
    """The best fixed rate's; None: each of them diverged or ended at chance."""
    return next((read for read in runs[network].values() if read.ending == "best"), None)


def _small(lesson: Lesson, runs: Runs) -> Found:
    best = _best(runs, lesson.network)
    if best is None:
        return False, NONE_TRAINED
    below = [read for read in _fixed(lesson, runs, lesson.network) if read.rate < best.rate]
    crawled = [read for read in below if read.ending == "crawled"]
    stuck = [read for read in below if read.ending == "chance"]
    if crawled:
        read = crawled[-1]
        assert read.slower is not None
        sooner = round(read.record.steps_done / read.slower)
        text = message(
            "At rate {rate:g} the loss after {updates} was {last:.2g}; {best:g} had it after {sooner}: {slower} "
            "slower. "
            "An update is the rate times the gradient: at the same weights it is {smaller} smaller.",
            rate=read.rate,
            updates=updates(read.record.steps_done),
            last=read.course.last,
            best=best.rate,
            sooner=sooner,
            slower=times(read.slower),
            smaller=times(best.rate / read.rate),
        )
        left = message("At {rate:g} it had not left chance by then.", rate=stuck[-1].rate) if stuck else ""
        return True, _then(text, left)
    if stuck:
        read = stuck[-1]
        return True, message(
            "At rate {rate:g} the network had not left chance after {updates}: loss {last:.2g}; {best:g} ended at "
            "{best_last:.2g}.",
            rate=read.rate,
            updates=updates(read.record.steps_done),
            last=read.course.last,
            best=best.rate,
            best_last=best.course.last,
        )
    if not below:
        return False, message("These runs do not show it: the lowest rate, {rate:g}, did best.", rate=best.rate)
    read = below[-1]
    return False, message(
        "These runs do not show it: at {rate:g} the loss ended at {last:.2g}, at the best rate, {best:g}, at "
        "{best_last:.2g}.",
        rate=read.rate,
        last=read.course.last,
        best=best.rate,
        best_last=best.course.last,
    )


def _large(lesson: Lesson, runs: Runs) -> Found:
    best = _best(runs, lesson.network)
    above = [read for read in _fixed(lesson, runs, lesson.network) if best is None or read.rate > best.rate]
    diverged = [read for read in above if read.ending == "diverged"]
    between = [read for read in above if read.ending in ("chance", "unsteady")]
    said: str = ""
    if between:
        read = between[0]
        said = message(
            "At {rate:g} it ended at chance: loss {loss}, {score}."
            if read.ending == "chance"
            else "At {rate:g} it ended higher than at the best rate: loss {loss}, {score}.",
            rate=read.rate,
            loss=read.loss,
            score=percent(read.score),
        )
    if diverged:
        read = diverged[0]
        text = message(
            "At rate {rate:g} the loss rose from {first:.2g} to {peak:.2g} and was not finite after {updates}."
            if read.course.peak > read.course.first
            else "At rate {rate:g} the loss was not finite after {updates}.",
            rate=read.rate,
            first=read.course.first,
            peak=read.course.peak,
            updates=updates(read.record.steps_done),
        )
        return True, _then(text, said)
    return False, _then(message("No rate up to {rate:g} diverged in these runs.", rate=lesson.rates[-1]), said)


def _decayed(lesson: Lesson, name: str) -> Callable[[Runs], Found]:
    def look(runs: Runs) -> Found:
        those = runs[lesson.network]
        held, read = those[lesson.fixed(lesson.start)], those[f"{name} from {lesson.start:g}"]
        return _compared(
            read,
            held,
            message("Decayed from {start:g} to {last:.2g} it", start=lesson.start, last=_last_rate(read)),
            message("held at {rate:g} it", rate=held.rate),
        )

    return look


def _last_rate(read: RunReading) -> float:
    return float(read.record.rates[-1]) if len(read.record.rates) else math.nan


def _adaptive(lesson: Lesson, name: str) -> Callable[[Runs], Found]:
    def look(runs: Runs) -> Found:
        best = _best(runs, lesson.network)
        if best is None:
            return False, NONE_TRAINED
        read = runs[lesson.network][name]
        what = message(
            "{strategy}, which divides each weight's update by the running size of its gradient,", strategy=read.text
        )
        return _compared(read, best, what, message("the best fixed rate of SGD, {rate:g},", rate=best.rate))

    return look


def _compared(read: RunReading, other: RunReading, what: str, against: str) -> Found:
    """Whether a run's loss ends at most at half of the other's."""
    ended = message(
        "diverged" if read.ending == "diverged" else "ended at loss {loss:.2g}, {score}",
        loss=read.course.last,
        score=percent(read.score),
    )
    theirs = message(
        "diverged" if other.ending == "diverged" else "ended at {loss:.2g}, {score}",
        loss=other.course.last,
        score=percent(other.score),
    )
    text: str = message("{what} {ended}; {against} {theirs}.", what=what, ended=ended, against=against, theirs=theirs)
    if read.ending == "diverged":
        return False, text
    lower = other.ending == "diverged" or read.course.last <= other.course.last / HALF
    if not lower:
        higher = read.course.last >= other.course.last * HALF
        text = _then(text, message("It ended higher here." if higher else "That is about the same here."))
    return lower, text


def _rates(those: Sequence[float]) -> str:
    if not those:
        return message("at none of the rates")
    if len(those) == 1:
        return message("at {rate:g} alone", rate=those[0])
    return message("from {low:g} to {high:g}", low=those[0], high=those[-1])


def _larger(lesson: Lesson, runs: Runs, *pairs: tuple[str, str]) -> Found:
    """Whether in each pair the second network trains at a larger rate than the first."""
    shown = True
    parts: list[str] = []
    for without, with_it in pairs:
        a, b = trains_at(runs, lesson, without), trains_at(runs, lesson, with_it)
        shown &= bool(b) and b[-1] > (a[-1] if a else 0.0)
        parts.append(
            message(
                "The one with shortcuts trains {without} without it and {with_it} with it."
                if parts
                else "The plain network trains {without} without it and {with_it} with it.",
                without=_rates(a),
                with_it=_rates(b),
            )
        )
    return shown, _then(*parts, "" if shown else message("These runs do not show it of both."))


def _smaller(lesson: Lesson, runs: Runs, pair: tuple[str, str]) -> Found:
    plain, short = (trains_at(runs, lesson, network) for network in pair)
    shown = bool(short) and short[0] < (plain[0] if plain else math.inf)
    text = message(
        "Without batch norm the plain network trains {plain}, the one with shortcuts {short}.",
        plain=_rates(plain),
        short=_rates(short),
    )
    return shown, _then(text, "" if shown else message("These runs do not show it."))


def _window(lesson: Lesson, runs: Runs, pair: tuple[str, str]) -> Found:
    neither, both = (trains_at(runs, lesson, network) for network in pair)
    shown = len(both) > len(neither)
    text = message(
        "Of {count} rates from {low:g} to {high:g}, {both} train the network that has both, and {neither} the one that "
        "has neither.",
        count=len(lesson.rates),
        low=lesson.rates[0],
        high=lesson.rates[-1],
        both=len(both),
        neither=len(neither),
    )
    return shown, _then(text, "" if shown else message("These runs do not show that the window is wider."))


@final
@dataclass(frozen=True)
class Gradients:
    """A network's gradients at one update, from the first layer to the last.

    Args:
        step: the update.
        sizes: |∂L/∂h| of each layer.
    """

    step: int
    sizes: tuple[float, ...]

    @property
    def share(self) -> float:
        """The first layer's, over the last one's."""
        return self.sizes[0] / self.sizes[-1] if len(self.sizes) > 1 and self.sizes[-1] else math.nan


def gradients_of(rows: Sequence[ProbeRow]) -> tuple[Gradients, ...]:
    """Of each look, where all layers were seen and all gradients are finite."""
    found = []
    for row in rows:
        sizes = [layer.gradient for layer in row.layers if layer.gradient is not None]
        if sizes and all(0 < size < math.inf for size in sizes):
            found.append(Gradients(row.step, tuple(sizes)))
    return tuple(found)


def _depth(stored: StoredLesson, plain: str, short: str) -> Found | None:
    """Whether the gradient gets lost on its way to the first layer of the plain network, and not of the other."""
    looks = [gradients_of(stored.gradients.get(network, ())) for network in (plain, short)]
    if not all(looks):
        return None
    a, b = looks[0][0], looks[1][0]
    shown = b.share >= STEEPER * a.share
    text = message(
        "At update {step}, without batch norm, the gradient at the first layer of the plain network is "
        "{plain:.2g} times "
        "that at the last; with shortcuts it is {short:.2g} times.",
        step=a.step,
        plain=a.share,
        short=b.share,
    )
    if not shown:
        return False, _then(text, message("These runs do not show that shortcuts keep it."))
    return True, _then(text, message("Shortcuts carry it past the layers in which it shrinks."))
