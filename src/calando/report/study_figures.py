"""The figures of a study: what each shows, how to read it, and what it is made of.

    rates, loss, score, sensitivity, differences, cost, target

A figure that has nothing to show yet has no chart and says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calando.analysis.conclusion import listed_all
from calando.analysis.results import StudySummary
from calando.errors import UsageError
from calando.language import joined, message
from calando.records.record import RunRecord
from calando.report import figures
from calando.report.figures.theme import AnyChart, finished
from calando.report.formatting import cost, shared, target_words
from calando.report.palette import LineStyle, line_styles
from calando.report.series import ends, final_records, loss_band, score_band

__all__ = ["Figure", "answer_figure", "study_figures"]


@dataclass(frozen=True, eq=False)
class Figure:
    """One figure of a study.

    Args:
        name: of its files.
        title: what it shows, in a sentence.
        reading: how to read it, in a sentence.
        pedigree: n, seeds, and what a spread means.
        chart: None where there is nothing to draw; `reading` then says why.
    """

    name: str
    title: str
    reading: str
    pedigree: str
    chart: AnyChart | None


def study_figures(summary: StudySummary, runs: Mapping[str, RunRecord]) -> tuple[Figure, ...]:
    """All figures of a study, in the order of the page."""
    finals = final_records(summary, runs)
    return (
        _rates(summary, finals),
        _loss(summary, finals),
        _score(summary, finals),
        _sensitivity(summary),
        _differences(summary),
        _cost(summary),
        _target(summary),
    )


def answer_figure(summary: StudySummary) -> AnyChart:
    """The figure that shows a study's answer best, of those that its conclusion alone is enough for.

    Raises:
        UsageError: nothing has run that could be drawn.
    """
    for draw in (_differences, _sensitivity, _cost):
        if (figure := draw(summary)).chart is not None:
            return figure.chart
    raise UsageError(message("nothing to draw yet: no run of this study is finished"))


Finals = Mapping[str, Sequence[RunRecord]]
NONE_YET = message("Nothing to draw yet: no run at a chosen rate is finished.")


def _finished(
    name: str, title: str, reading: str, pedigree: str, chart: AnyChart, *, names: Sequence[str] = ()
) -> Figure:
    return Figure(name, title, reading, pedigree, finished(chart, title=title, subtitle=pedigree, names=names))


def _styles(summary: StudySummary) -> dict[str, LineStyle]:
    return line_styles(strategy.name for strategy in summary.spec.strategies)


def _rates(summary: StudySummary, finals: Finals) -> Figure:
    title = message("The rate each strategy trained at")
    # The longest run shows most of the plan; controllers may have moved the rate differently in each.
    longest = {name: max(records, key=lambda record: record.steps_done) for name, records in finals.items()}
    curves = {name: record.rates for name, record in longest.items() if record.steps_done and record.rates.max() > 0}
    if not curves:
        return Figure("rates", title, NONE_YET, "", None)
    pedigree = message(
        "one run each ({seeds}), the rate as written to the optimizer; below a hundredth of the lowest peak it "
        "is drawn "
        "on the bottom line",
        seeds=_seeds(longest.values()),
    )
    chart = figures.rate_figure(curves, best=summary.best, horizon=summary.spec.steps, styles=_styles(summary))
    line = message("Each line is the rate of every update of one strategy, on a logarithmic axis.")
    reading = _then(line, *_together(curves))
    return _finished("rates", title, reading, pedigree, chart, names=list(curves))


def _loss(summary: StudySummary, finals: Finals) -> Figure:
    title = message("How the training loss fell")
    half = max(1, summary.spec.lengths[0] // 50)
    bands = {name: band for name, records in finals.items() if (band := loss_band(records, half=half))}
    if not bands:
        silent = message("The code reported no training loss: run.observe(loss=…) after each update does.")
        return Figure("loss", title, silent if finals else NONE_YET, "", None)
    ended = {name: ends(finals[name], half=half) for name in bands}
    crosses = sum(len(those) for those in ended.values())
    parts = [_spread(finals), message("moving mean over {steps} steps", steps=2 * half + 1)]
    if crosses:
        parts.append(
            message(
                "crosses: {count} diverged run, left out from there on"
                if crosses == 1
                else "crosses: {count} diverged runs, left out from there on",
                count=crosses,
            )
        )
    pedigree = joined("{one}; {other}", parts)
    chart = figures.loss_figure(
        bands,
        ended=ended,
        best=summary.best,
        horizon=summary.spec.steps,
        styles=_styles(summary),
    )
    reading = message(
        "Lower is better; one that ends low here but not in the next figure has memorised the training set."
    )
    return _finished("loss", title, reading, pedigree, chart, names=list(bands))


def _score(summary: StudySummary, finals: Finals) -> Figure:
    title = message(
        "How the validation score rose"
        if summary.spec.workload.measure.goal == "max"
        else "How the validation score fell"
    )
    bands = {name: band for name, records in finals.items() if (band := score_band(records))}
    if not bands:
        return Figure("score", title, NONE_YET, "", None)
    if all(len(band.steps) == 1 for band in bands.values()):
        once = message("Each run reported its score once: there is no course to draw.")
        return Figure("score", title, once, "", None)
    measure = summary.spec.workload.measure
    pedigree = message(
        "{spread}; a diverged run counts as chance"
        if measure.share
        else "{spread}; a diverged run is left out from there on",
        spread=_spread(finals),
    )
    chart = figures.score_figure(
        bands, best=summary.best, horizon=summary.spec.steps, styles=_styles(summary), measure=measure
    )
    reading = message(
        "{way} is better; one seed does not show how much of a difference is luck."
        if summary.spec.seeds == 1
        else "{way} is better; the band is how far the seeds alone move it.",
        way=message("Higher" if measure.goal == "max" else "Lower"),
    )
    return _finished("score", title, reading, pedigree, chart, names=list(bands))


def _sensitivity(summary: StudySummary) -> Figure:
    title = message("How much the choice of the rate matters")
    trials = {result.name: result.trials for result in summary.results if result.trials}
    if not trials:
        why = message(
            "No rate was chosen by trials: each strategy's was given."
            if summary.complete
            else "No rate trial is finished yet."
        )
        return Figure("sensitivity", title, why, "", None)
    n = sum(len(those) for those in trials.values())
    pedigree = message(
        "{n} trials, one run each at seed 0 (no spread); ring: the chosen rate; cross at the bottom: diverged"
        if summary.spec.workload.measure.goal == "max"
        else "{n} trials, one run each at seed 0 (no spread); ring: the chosen rate; cross at the top: diverged",
        n=n,
    )
    chart = figures.sensitivity_figure(
        trials,
        chosen={result.name: result.lr for result in summary.results},
        best=summary.best,
        styles=_styles(summary),
        measure=summary.spec.workload.measure,
    )
    reading: str = message(
        "Flat round the ring means that any rate nearby would have done; steep means that the rate must be tuned."
    )
    if untuned := [result.name for result in summary.results if result.untuned]:
        names = joined("{one}, {other}", untuned)
        reading = _then(
            reading, message("Not fully tuned, so that a better rate may lie outside: {names}.", names=names)
        )
    return _finished("sensitivity", title, reading, pedigree, chart, names=list(trials))


def _differences(summary: StudySummary) -> Figure:
    title = message("Differences to {best}", best=summary.best if summary.comparisons else message("the best"))
    if not summary.comparisons:
        if len(summary.spec.strategies) == 1:
            why = message("There is one strategy: nothing to compare it with.")
        elif summary.spec.seeds == 1:
            why = message("One seed has no spread, so there is no interval; use --seeds 2 or more.")
        else:
            why = message("Test scores are read once every run is finished; the comparison is made then.")
        return Figure("differences", title, why, "", None)
    levels = sorted({one.level for one in summary.comparisons})
    n = sorted({one.n for one in summary.comparisons})
    ends = [f"{100 * level:.4g}%" for level in sorted({levels[0], levels[-1]})]
    pedigree = message(
        "mean of {judged}-score differences paired seed by seed, n = {n}; {levels} intervals",
        judged=message(summary.judged),
        n=_listed(n),
        levels=ends[0] if len(ends) == 1 else message("{low} to {high}", low=ends[0], high=ends[1]),
    )
    if len(summary.comparisons) > 1:
        pedigree = message(
            "{pedigree}, corrected for picking the best of {count}", pedigree=pedigree, count=len(summary.results)
        )
    chart = figures.forest_figure(summary.comparisons, measure=summary.spec.workload.measure, judged=summary.judged)
    reading: str = message(
        "A strategy whose interval crosses the dashed line at zero cannot be distinguished from the best."
    )
    if any(one.verdict == "no verdict" for one in summary.comparisons):
        diamond = message(
            "A diamond is no verdict: the strategy is not fully tuned, and the interval is of the rate that it has."
        )
        reading = _then(reading, diamond)
    return _finished("differences", title, reading, pedigree, chart)


def _cost(summary: StudySummary) -> Figure:
    title = message("What each strategy cost")
    if not summary.updates:
        return Figure("cost", title, message("Nothing has been trained yet."), "", None)
    pedigree = cost(summary)
    chart = figures.cost_figure(summary.results)
    reading: str = message(
        "Shorter is cheaper: pale is what finding the rate took, strong is what the runs at that rate took."
    )
    if shared(summary):
        alone = message("Each strategy is charged what it costs alone, whatever it shared with others.")
        reading = _then(reading, alone)
    return _finished("cost", title, reading, pedigree, chart)


def _target(summary: StudySummary) -> Figure:
    title = message("How soon each strategy was good enough")
    reached = {result.name: result.steps_to_target for result in summary.results if result.steps_to_target}
    if summary.target is None or not reached:
        why = message("There is no target yet: none was given, and no fixed-rate score is there to take instead.")
        return Figure("target", title, why, "", None)
    title = message("Steps to {target} on validation", target=target_words(summary))
    n = sum(len(steps) for steps in reached.values())
    pedigree = message(
        "target {target} ({source}); {n} runs, one mark a seed; evaluated every {steps} steps",
        target=target_words(summary),
        source=summary.target_source,
        n=n,
        steps=summary.spec.evaluate_every,
    )
    chart = figures.target_figure(
        reached,
        lengths={strategy.name: summary.spec.steps_of(strategy) for strategy in summary.spec.strategies},
        styles=_styles(summary),
    )
    reading = message(
        "Further left is sooner; a cross is a run that ended there without reaching it."
        if len(summary.spec.lengths) > 1
        else "Further left is sooner; a cross at the right end is a run that never reached it."
    )
    return _finished("target", title, reading, pedigree, chart)


def _spread(finals: Finals) -> str:
    """How many runs a line stands for, and what its band is."""
    n = sorted({len(records) for records in finals.values()})
    seeds = _seeds(record for records in finals.values() for record in records)
    if n[-1] == 1:
        return message("n = 1 ({seeds}), so no spread", seeds=seeds)
    return message(
        "n = {n} ({seeds}); line: mean; band: smallest to largest"
        if len(finals) <= figures.ALL_BANDS
        else "n = {n} ({seeds}); line: mean; band (of the best; in the page also of those picked in the legend): "
        "smallest to largest",
        n=_listed(n),
        seeds=seeds,
    )


def _seeds(records: Iterable[RunRecord]) -> str:
    seeds = sorted({record.spec.seed for record in records})
    return message("seed {seeds}" if len(seeds) == 1 else "seeds {seeds}", seeds=_listed(seeds))


def _then(*sentences: str) -> str:
    return joined("{one} {other}", sentences)


def _together(curves: Mapping[str, np.ndarray]) -> list[str]:
    """Sentences on the strategies whose rates are the same throughout."""
    same: dict[bytes, list[str]] = {}
    for name, rates in curves.items():
        same.setdefault(rates.tobytes(), []).append(name)
    return [message("{names} lie on one line.", names=listed_all(names)) for names in same.values() if len(names) > 1]


def _listed(values: Sequence[int]) -> str:
    """1 or 1–3: one number, or the range."""
    return str(values[0]) if values[0] == values[-1] else f"{values[0]}–{values[-1]}"
