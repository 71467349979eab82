"""What the page says, as plain values and words: everything the template needs and no logic left to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calando.analysis.results import StudySummary
from calando.records.record import RunRecord, TestScore
from calando.report.columns import Footnote, StrategyRow, advice_sentence, footnotes, strategy_rows
from calando.report.numbers import cost, count, percent
from calando.report.palette import Look, looks
from calando.report.run_rows import RunRow, run_rows

__all__ = ["StudyView", "study_view"]


@dataclass(frozen=True)
class StudyView:
    """The page's words.

    Args:
        question: what was compared, and how.
        use: the text of the strategy to use; "" where there is none to recommend yet.
        why: which strategies are level with it, and why it; "" where there was no choice.
        missing: what is not there yet; empty where the study is complete.
        progress: runs done of those expected, in percent.
        rows, notes: the table and its footnotes.
        styles: strategy name -> how it is drawn.
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
    notes: tuple[Footnote, ...]
    styles: Mapping[str, Look]
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
        rows=strategy_rows(summary),
        notes=footnotes(summary),
        styles=looks(strategy.name for strategy in spec.strategies),
        runs=made,
        machines=tuple(dict.fromkeys(run.host for run in made if run.host)),
        spec_json=spec.model_dump_json(indent=2),
        digest=spec.digest(),
        lane=f"{spec.lane.text}{', deterministic kernels' if spec.lane.deterministic else ''}",
        target="" if summary.target is None else f"{percent(summary.target)}% on validation ({summary.target_source})",
        cost=cost(summary),
    )


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
