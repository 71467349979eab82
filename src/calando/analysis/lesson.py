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
from calando.records.lesson import Lesson, StoredLesson
from calando.records.probe import ProbeRow

__all__ = ["Claim", "Gradients", "claims_of", "gradients_of"]

STEEPER = 3.0
NONE_TRAINED = "No fixed rate trained in these runs: there is nothing to compare with."


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
        ("small", "Too small crawls", lambda runs: _small(lesson, runs)),
        ("large", "Too large diverges", lambda runs: _large(lesson, runs)),
        *((name, f"Decay: {name}", _decayed(lesson, name)) for name in lesson.schedules),
        *((name, "Adaptive", _adaptive(lesson, name)) for name in lesson.adaptive),
    ]
    plain, normed, short, both = lesson.networks
    told += [
        ("norm", "Batch norm allows larger rates", lambda runs: _larger(lesson, runs, (plain, normed), (short, both))),
        ("shortcuts", "Shortcuts let small rates train", lambda runs: _smaller(lesson, runs, (plain, short))),
        ("window", "Both together", lambda runs: _window(lesson, runs, (plain, both))),
    ]
    found = [(name, title, [look(runs) for runs in every]) for name, title, look in told]
    claims = [_together(name, title, those) for name, title, those in found]
    if (seen := _depth(stored, plain, short)) is not None:
        claims.append(Claim("depth", "Gradients by depth", int(seen[0]), 1, seen[1]))
    return tuple(claims)


def _together(name: str, title: str, found: Sequence[Found]) -> Claim:
    shown, seeds = sum(one for one, _ in found), len(found)
    text = found[0][1]
    if seeds > 1:
        text += f" Shown in {shown} of {seeds} seeds."
    return Claim(name, title, shown, seeds, text)


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
        text = (
            f"At rate {read.rate:g} the loss after {updates(read.record.steps_done)} was {read.course.last:.2g}; "
            f"{best.rate:g} had it after {sooner}: {times(read.slower)} slower. An update is the rate times the "
            f"gradient: at the same weights it is {times(best.rate / read.rate)} smaller."
        )
        if stuck:
            text += f" At {stuck[-1].rate:g} it had not left chance by then."
        return True, text
    if stuck:
        read = stuck[-1]
        return True, (
            f"At rate {read.rate:g} the network had not left chance after {updates(read.record.steps_done)}: loss "
            f"{read.course.last:.2g}; {best.rate:g} ended at {best.course.last:.2g}."
        )
    if not below:
        return False, f"These runs do not show it: the lowest rate, {best.rate:g}, did best."
    read = below[-1]
    return False, (
        f"These runs do not show it: at {read.rate:g} the loss ended at {read.course.last:.2g}, at the best rate, "
        f"{best.rate:g}, at {best.course.last:.2g}."
    )


def _large(lesson: Lesson, runs: Runs) -> Found:
    best = _best(runs, lesson.network)
    above = [read for read in _fixed(lesson, runs, lesson.network) if best is None or read.rate > best.rate]
    diverged = [read for read in above if read.ending == "diverged"]
    between = [read for read in above if read.ending in ("chance", "unsteady")]
    said = ""
    if between:
        read = between[0]
        where = "at chance" if read.ending == "chance" else "higher than at the best rate"
        said = f" At {read.rate:g} it ended {where}: loss {read.loss}, {percent(read.score)}."
    if diverged:
        read = diverged[0]
        rose = ""
        if read.course.peak > read.course.first:
            rose = f"rose from {read.course.first:.2g} to {read.course.peak:.2g} and "
        ended = f"was not finite after {updates(read.record.steps_done)}"
        return True, f"At rate {read.rate:g} the loss {rose}{ended}.{said}"
    return False, f"No rate up to {lesson.rates[-1]:g} diverged in these runs.{said}"


def _decayed(lesson: Lesson, name: str) -> Callable[[Runs], Found]:
    def look(runs: Runs) -> Found:
        those = runs[lesson.network]
        held, read = those[lesson.fixed(lesson.start)], those[f"{name} from {lesson.start:g}"]
        return _compared(
            read, held, f"Decayed from {lesson.start:g} to {_last_rate(read):.2g} it", f"held at {held.rate:g} it"
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
        what = f"{read.text}, which divides each weight's update by the running size of its gradient,"
        return _compared(read, best, what, f"the best fixed rate of SGD, {best.rate:g},")

    return look


def _compared(read: RunReading, other: RunReading, what: str, against: str) -> Found:
    """Whether a run's loss ends at most at half of the other's."""
    ended = "diverged" if read.ending == "diverged" else f"ended at loss {read.course.last:.2g}, {percent(read.score)}"
    theirs = "diverged" if other.ending == "diverged" else f"ended at {other.course.last:.2g}, {percent(other.score)}"
    text = f"{what} {ended}; {against} {theirs}."
    if read.ending == "diverged":
        return False, text
    lower = other.ending == "diverged" or read.course.last <= other.course.last / HALF
    if not lower:
        higher = read.course.last >= other.course.last * HALF
        text += " It ended higher here." if higher else " That is about the same here."
    return lower, text


def _rates(those: Sequence[float]) -> str:
    if not those:
        return "at none of the rates"
    if len(those) == 1:
        return f"at {those[0]:g} alone"
    return f"from {those[0]:g} to {those[-1]:g}"


def _larger(lesson: Lesson, runs: Runs, *pairs: tuple[str, str]) -> Found:
    """Whether in each pair the second network trains at a larger rate than the first."""
    shown = True
    parts: list[str] = []
    for without, with_it in pairs:
        a, b = trains_at(runs, lesson, without), trains_at(runs, lesson, with_it)
        shown &= bool(b) and b[-1] > (a[-1] if a else 0.0)
        kind = "The plain network" if not parts else "The one with shortcuts"
        parts.append(f"{kind} trains {_rates(a)} without it and {_rates(b)} with it")
    text = ". ".join(parts) + "."
    return shown, text if shown else f"{text} These runs do not show it of both."


def _smaller(lesson: Lesson, runs: Runs, pair: tuple[str, str]) -> Found:
    plain, short = (trains_at(runs, lesson, network) for network in pair)
    shown = bool(short) and short[0] < (plain[0] if plain else math.inf)
    text = f"Without batch norm the plain network trains {_rates(plain)}, the one with shortcuts {_rates(short)}."
    return shown, text if shown else f"{text} These runs do not show it."


def _window(lesson: Lesson, runs: Runs, pair: tuple[str, str]) -> Found:
    neither, both = (trains_at(runs, lesson, network) for network in pair)
    shown = len(both) > len(neither)
    text = (
        f"Of {len(lesson.rates)} rates from {lesson.rates[0]:g} to {lesson.rates[-1]:g}, {len(both)} train the network "
        f"that has both, and {len(neither)} the one that has neither."
    )
    return shown, text if shown else f"{text} These runs do not show that the window is wider."


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
    text = (
        f"At update {a.step}, without batch norm, the gradient at the first layer of the plain network is "
        f"{a.share:.2g} times that at the last; with shortcuts it is {b.share:.2g} times."
    )
    if not shown:
        return False, f"{text} These runs do not show that shortcuts keep it."
    return True, f"{text} Shortcuts carry it past the layers in which it shrinks."
