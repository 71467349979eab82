"""What the page says, as plain values and words: everything the template needs and no logic left to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calando.analysis.results import Comparison, StrategyResult, StudySummary
from calando.records.record import RunRecord, TestScore
from calando.report.advice import UNTUNED, advice_sentence
from calando.report.footnotes import footnotes
from calando.report.numbers import (
    ABSENT,
    cost,
    count,
    difference,
    first_word,
    interval,
    percent,
    rate,
    spread,
    target_steps,
)
from calando.report.palette import Look, looks
from calando.report.run_rows import RunRow, run_rows

__all__ = ["StrategyRow", "StudyView", "study_view"]


@dataclass(frozen=True)
class StrategyRow:
    """One row of the table, as it is written."""

    name: str
    look: Look
    text: str
    best: bool
    rate: str
    mark: str
    validation: str
    validation_mark: str
    test: str
    difference: str
    interval: str
    verdict: str
    verdict_text: str
    target: str
    failed: str
    steps: str


@dataclass(frozen=True)
class StudyView:
    """The page's words.

    Args:
        question: what was compared, and how.
        use: the text of the strategy to use; "" where there is none to recommend yet.
        why: which strategies are level with it, and why it; "" where there was no choice.
        missing: what is not there yet; empty where the study is complete.
        progress: runs done of those expected, in percent.
        notes: footnotes, in the order of their marks.
        spec_json: the study's spec, indented.
        machines: on which its runs were made, each once.
        cost: what all of it took, alone and as it was shared.
        target: the score counted to, and where it comes from; "" where there is none.
    """

    title: str
    headline: str
    question: str
    complete: bool
    missing: tuple[str, ...]
    progress: int
    use: str
    why: str
    rows: tuple[StrategyRow, ...]
    notes: tuple[tuple[str, str], ...]
    runs: tuple[RunRow, ...]
    spec_json: str
    digest: str
    lane: str
    machines: tuple[str, ...]
    cost: str
    target: str


def study_view(summary: StudySummary, runs: Mapping[str, RunRecord], tests: Mapping[str, TestScore]) -> StudyView:
    """Put a study into words."""
    spec = summary.spec
    notes = [(_mark(place), f"{one}.") for place, one in enumerate(footnotes(summary))]
    if any(result.validation_chose for result in summary.results):
        notes.append(("*", "this validation score is of the very run that chose the rate, so it is a little too good."))
    if any(result.untuned for result in summary.results):
        notes.append(("–", f"{UNTUNED}."))
    advice = summary.advice
    made = run_rows(summary, runs, tests)
    return StudyView(
        title=f"{spec.workload.model} on {spec.workload.title}",
        headline=summary.headline,
        question=_question(summary),
        complete=summary.complete,
        missing=_missing(summary),
        progress=100 * summary.runs_done // max(1, summary.runs_expected),
        use=advice.text if advice else "",
        why=advice_sentence(advice) if advice else "",
        rows=_rows(summary, usable=advice is not None),
        notes=tuple(notes),
        runs=made,
        machines=tuple(dict.fromkeys(run.host for run in made if run.host)),
        spec_json=spec.model_dump_json(indent=2),
        digest=spec.digest(),
        lane=f"{spec.lane.text}{', deterministic kernels' if spec.lane.deterministic else ''}",
        target="" if summary.target is None else f"{percent(summary.target)}% on validation ({summary.target_source})",
        cost=cost(summary),
    )


def _mark(place: int) -> str:
    return str(place + 1)


def _question(summary: StudySummary) -> str:
    spec, load = summary.spec, summary.spec.workload
    steps = " / ".join(count(length) for length in spec.lengths)
    epochs = " / ".join(f"{length / spec.steps_per_epoch:.3g}" for length in spec.lengths)
    parts = [
        f"{len(spec.strategies)} {'strategy' if len(spec.strategies) == 1 else 'strategies'}",
        f"{load.model} on {load.title}",
        f"batch {load.batch_size}",
        f"{steps} steps ({epochs} epochs)",
        "1 seed" if spec.seeds == 1 else f"{spec.seeds} paired seeds",
    ]
    if spec.lane.precision != "fp32":
        parts.append(spec.lane.precision)
    if load.augment != "none":
        parts.append(f"augmented by {load.augment}")
    return " · ".join(parts)


def _missing(summary: StudySummary) -> tuple[str, ...]:
    if summary.complete:
        return ()
    said = []
    unsettled = [result.name for result in summary.results if result.lr is None]
    if unsettled:
        said.append(f"the rate is still being chosen for {', '.join(unsettled)}")
    short = [
        result.name for result in summary.results if result.lr is not None and result.seeds_done < summary.spec.seeds
    ]
    if short:
        said.append(f"seeds are still to run for {', '.join(short)}")
    said.append("test scores are read once, when every run is done")
    return tuple(said)


def _rows(summary: StudySummary, *, usable: bool) -> tuple[StrategyRow, ...]:
    styles = looks(strategy.name for strategy in summary.spec.strategies)
    against = {one.strategy: one for one in summary.comparisons}
    first = first_word(summary) if usable and len(summary.results) > 1 else ABSENT
    marks = {name: _mark(place) for place, one in enumerate(footnotes(summary)) for name in one.names}
    return tuple(
        _row(
            result,
            against.get(result.name),
            look=styles[result.name],
            best=result.name == summary.best and summary.complete,
            first=first,
            mark=marks.get(result.name, ""),
        )
        for result in summary.results
    )


def _row(
    result: StrategyResult, against: Comparison | None, *, look: Look, best: bool, first: str, mark: str
) -> StrategyRow:
    return StrategyRow(
        name=result.name,
        look=look,
        text=result.text,
        best=best,
        rate=rate(result.lr),
        mark=mark,
        validation=spread(result.validation),
        validation_mark="*" if result.validation_chose else "",
        test=spread(result.test),
        difference=_minus(difference(against.difference)) if against else ABSENT,
        interval=_minus(interval(against)) if against else "",
        verdict=against.verdict if against else first if best else ABSENT,
        verdict_text=against.text if against else "",
        target=target_steps(result),
        failed=f"{result.diverged} / {result.died}",
        steps=f"{count(result.steps_trials)} + {count(result.steps_final)}",
    )


def _minus(text: str) -> str:
    return text.replace("-", "−")
