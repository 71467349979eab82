"""The figures of a lesson: what each shows, how to read it, and what it is made of.

loss, rates, decay, scores, window, gradients
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from calando.analysis.lesson import gradients_of
from calando.analysis.results import RateTrial
from calando.errors import UsageError
from calando.language import _, joined, message
from calando.records.lesson import Lesson, StoredLesson
from calando.records.record import RunRecord
from calando.report import figures
from calando.report.figures.theme import AnyChart, finished
from calando.report.palette import LineStyle, line_styles
from calando.report.series import End, ends, loss_band
from calando.report.study_figures import Figure

__all__ = ["lesson_figure", "lesson_figures"]

ROOM = 10.0  # above the losses of the start: one that explodes leaves the figure there
SMOOTHED = 4  # updates on either side
SHORT = 25  # a run that ends sooner is drawn as it is


def lesson_figures(stored: StoredLesson) -> tuple[Figure, ...]:
    """All figures, in the order of the page."""
    lesson = stored.lesson
    first = stored.runs[lesson.network]
    fixed = [lesson.fixed(rate) for rate in lesson.rates]
    moved = [lesson.fixed(lesson.start), *(name for name in first if name not in (*fixed, lesson.fixed(lesson.start)))]
    styles = line_styles(fixed) | line_styles(moved)
    network = message("{network} ({words})", network=lesson.network, words=message(lesson.networks[lesson.network]))
    return (
        _losses(
            "loss", message("The loss by rate"), {name: first[name] for name in fixed}, styles, lesson, network,
            message(
                "Lower is better, on a logarithmic axis: at a rate that is too small the loss comes down "
                "slowly; at one "
                "that is too large an update passes the bottom of the valley and lands higher. A cross: no "
                "longer finite."
            ),
        ),
        _rates({name: first[name] for name in moved}, styles, lesson),
        _losses(
            "decay", message("The loss by schedule"), {name: first[name] for name in moved}, styles, lesson, network,
            message("Lower is better: the first line holds the rate at which the next two begin."),
        ),
        _scores(stored, styles, network),
        _window(stored),
        _gradients(stored),
    )  # fmt: skip


def lesson_figure(stored: StoredLesson) -> AnyChart:
    """The most telling figure of a lesson: the losses by rate.

    Raises:
        UsageError: no loss was finite.
    """
    first = lesson_figures(stored)[0]
    if first.chart is None:
        raise UsageError(first.reading)
    return first.chart


def _made(name: str, title: str, reading: str, pedigree: str, chart: AnyChart, names: Sequence[str] = ()) -> Figure:
    return Figure(name, title, reading, pedigree, finished(chart, title=title, subtitle=pedigree, names=names))


def _seeds(records: Iterable[RunRecord]) -> str:
    seeds = sorted({record.spec.seed for record in records})
    return message("seed {first}" if len(seeds) == 1 else "seeds {first} to {last}", first=seeds[0], last=seeds[-1])


def _losses(
    name: str,
    title: str,
    runs: Mapping[str, Sequence[RunRecord]],
    styles: Mapping[str, LineStyle],
    lesson: Lesson,
    network: str,
    reading: str,
) -> Figure:
    began = [float(one.losses[0]) for those in runs.values() for one in those if np.isfinite(one.losses[:1]).all()]
    top = ROOM * max(began, default=1.0)
    bands, ended = {}, {}
    for strategy, records in runs.items():
        held = [replace(one, losses=np.minimum(one.losses, np.float32(top))) for one in records]
        half = 0 if min(one.steps_done for one in held) <= SHORT else SMOOTHED
        if (band := loss_band(held, half=half)) is not None:
            bands[strategy] = band
            ended[strategy] = tuple(End(end.seed, end.step, min(end.loss, top)) for end in ends(held, half=half))
    if not bands:
        return Figure(name, title, message("No loss was finite, so there is nothing to draw."), "", None)
    parts = [
        message(
            "{network}, batch {batch}, {seeds}; mean over {count} updates",
            network=network,
            batch=lesson.batch_size,
            seeds=_seeds(one for those in runs.values() for one in those),
            count=2 * SMOOTHED + 1,
        )
    ]
    if max(map(len, runs.values())) > 1:
        parts.append(message("line: mean over seeds, band: smallest to largest"))
    if any(ended.values()):
        parts.append(message("what is above {top:.2g} is drawn there", top=top))
    pedigree = joined("{one}; {other}", parts)
    chart = figures.loss_figure(bands, ended=ended, best=None, horizon=lesson.steps, styles=styles)
    return _made(name, title, reading, pedigree, chart, list(bands))


def _rates(runs: Mapping[str, Sequence[RunRecord]], styles: Mapping[str, LineStyle], lesson: Lesson) -> Figure:
    curves = {name: records[0].rates for name, records in runs.items() if records[0].steps_done}
    chart = figures.rate_figure(curves, best=None, horizon=lesson.steps, styles=styles)
    reading = message(
        "Each line is the rate of every update, on a logarithmic axis: exponential decay is a straight line there, "
        "decay by steps a staircase. Adam's line is flat, since what adapts is not this rate: it divides each weight's "
        "update by the running size of its gradient."
    )
    return _made(
        "rates", message("The rate by schedule"), reading, message("as written to the optimizer"), chart, list(curves)
    )


def _scores(stored: StoredLesson, styles: Mapping[str, LineStyle], network: str) -> Figure:
    runs = stored.runs[stored.lesson.network]
    scores = {name: [(one.score, one.outcome == "diverged") for one in those] for name, those in runs.items()}
    every = [one for those in runs.values() for one in those]
    chart = figures.scores_figure(scores, styles=styles, chance=every[0].chance)
    reading = message("Further right is better; the dashed line is chance, and a cross there is a run that diverged.")
    return _made(
        "scores", message("Where each run ended"), reading, joined("{one}, {other}", [network, _seeds(every)]), chart
    )


def _window(stored: StoredLesson) -> Figure:
    lesson = stored.lesson
    trials: dict[str, list[RateTrial]] = {}
    for network, named in lesson.networks.items():
        words = _(named)
        records = [stored.runs[network][lesson.fixed(rate)][0] for rate in lesson.rates]
        trials[words] = [RateTrial(one.spec.lr, one.score, one.loss, one.outcome) for one in records]
    chosen = {words: max(those, key=lambda one: one.score).lr for words, those in trials.items()}
    styles = line_styles(trials)
    chart = figures.sensitivity_figure(trials, chosen=chosen, best=None, styles=styles)
    reading = message(
        "Each line is a network: wide means that many rates train it, narrow that the rate must be met. The ring is "
        "its best rate, a cross at the bottom one that diverged."
    )
    return _made(
        "window",
        message("Which rates train which network"),
        reading,
        message("one run each, seed 0, at fixed rates"),
        chart,
        list(trials),
    )


def _gradients(stored: StoredLesson) -> Figure:
    lesson = stored.lesson
    title = message("How large the gradient is, by depth")
    moments: dict[str, dict[str, Sequence[float]]] = {}
    for network, named in lesson.networks.items():
        words = _(named)
        for look in gradients_of(stored.gradients.get(network, ())):
            moments.setdefault(_("at update {step}", step=look.step), {})[words] = look.sizes
    if not moments:
        return Figure("gradients", title, message("No gradient was seen: the runs ended before."), "", None)
    chart = figures.depth_figure(moments, styles=line_styles(map(_, lesson.networks.values())))
    reading = message(
        "The gradient of the loss at each layer's output: a line that falls towards the left means that little of it "
        "reaches the first layers (it vanishes), one that rises towards the left that it grows on the way (explodes). "
        "Compare within a line: with batch norm a layer's output has another scale."
    )
    pedigree = message("fixed at {rate:g}, seed 0, one batch", rate=lesson.probed)
    names = list(dict.fromkeys(name for those in moments.values() for name in those))
    return _made("gradients", title, reading, pedigree, chart, names)
