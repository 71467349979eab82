"""The words of the page, as plain values: everything the template needs and no logic left to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from calando.analysis.results import StudySummary
from calando.language import joined, message
from calando.records.record import RunRecord, TestScore
from calando.records.spec import Lane
from calando.report.columns import Footnote, StrategyRow, advice_sentence, footnotes, strategy_rows
from calando.report.formatting import ABSENT, cost, count, rate, target_words
from calando.report.palette import LineStyle, line_styles
from calando.report.use import UseForm, use_forms
from calando.stored_words import recognized

__all__ = ["PageContents", "RunRow", "page_contents", "run_rows"]


@dataclass(frozen=True)
class RunRow:
    """One run; `strategy` names all it stands for, since equal training is one run; `role`: trial, final or both.

    `steps`: of the run, undone by going back, and inherited from a fork.
    `events`: (step, what happened).
    """

    digest: str
    strategy: str
    rate: str
    seed: int
    role: str
    outcome: str
    steps: str
    validation: str
    test: str
    seconds: str
    host: str
    events: tuple[tuple[str, str], ...]


def run_rows(
    summary: StudySummary, runs: Mapping[str, RunRecord], tests: Mapping[str, TestScore]
) -> tuple[RunRow, ...]:
    """The study's runs that have a record: by strategy, best first, then by rate and seed."""
    users: dict[str, dict[str, None]] = {}
    roles: dict[str, dict[str, None]] = {}
    for result in summary.results:
        for role, digests in {"trial": result.planned.trials, "final": result.planned.finals}.items():
            for digest in digests:
                users.setdefault(digest, {})[result.name] = None
                roles.setdefault(digest, {})[role] = None
    first = {result.name: place for place, result in enumerate(summary.results)}
    there = sorted(
        (digest for digest in users if digest in runs),
        key=lambda digest: (first[next(iter(users[digest]))], runs[digest].spec.lr, runs[digest].spec.seed),
    )
    return tuple(
        _row(digest, runs[digest], tests.get(digest), users=users[digest], roles=roles[digest]) for digest in there
    )


def _row(
    digest: str, record: RunRecord, test: TestScore | None, *, users: Mapping[str, None], roles: Mapping[str, None]
) -> RunRow:
    # As `calando.analysis.summary` counts them.
    diverged = record.outcome == "diverged" or (test is not None and not math.isfinite(test.loss))

    def number(score: float) -> str:
        return record.spec.workload.measure.number(score) if math.isfinite(score) else ABSENT

    return RunRow(
        digest=digest,
        strategy=", ".join(users),
        rate=rate(record.spec.lr),
        seed=record.spec.seed,
        role=joined("{one} + {other}", map(message, roles)),
        outcome=message(
            "{outcome} at chance" if record.at_chance and record.outcome != "diverged" else "{outcome}",
            outcome=message(record.outcome),
        ),
        steps=_steps(record),
        validation=number(record.score),
        test=ABSENT if test is None else number(record.chance if diverged else test.score),
        seconds=f"{record.seconds:.1f}",
        host=", ".join(value if key == "machine" else f"{key} {value}" for key, value in record.host.items()),
        # What all runs have in common is stated below the table.
        events=tuple((count(event.step), recognized(event.what)) for event in record.events if event.kind != "no test"),
    )


def _steps(record: RunRecord) -> str:
    steps: str = count(record.steps_done)
    if record.undone:
        steps = message("{steps} + {count} taken back", steps=steps, count=count(record.undone))
    if record.second_passes:
        steps = message("{steps} + {count} second passes", steps=steps, count=count(record.second_passes))
    if record.inherited:
        steps = message("{steps}, {count} of them shared", steps=steps, count=count(record.inherited))
    return steps


@dataclass(frozen=True)
class PageContents:
    """The page's words.

    Args:
        question: what was compared, and how.
        use_name, use: the strategy to use, its name and its text; "" where there is none to recommend yet.
        forms: of that, as a command, in a loop of one's own, with torch alone.
        why: which strategies are level with it, and why it; "" where there was no choice.
        missing: what is not there yet; empty where the study is complete.
        progress: runs done of those expected, in percent.
        rows, notes: the table and its footnotes.
        styles: strategy name -> how it is drawn.
        spec_json: the study's spec, indented.
        machines: on which its runs were made, each once.
        cost: what all of it took, alone and as it was shared.
        target: the score counted to, and where it comes from; "" where there is none.
        unit: what follows the headings of scores.
        step: what their differences are counted in.
        judged: what they are of, "test" or "validation".
        read: when test scores are read.
    """

    title: str
    headline: str
    question: str
    complete: bool
    missing: tuple[str, ...]
    progress: int
    use_name: str
    use: str
    forms: tuple[UseForm, ...]
    why: str
    rows: tuple[StrategyRow, ...]
    notes: tuple[Footnote, ...]
    styles: Mapping[str, LineStyle]
    runs: tuple[RunRow, ...]
    spec_json: str
    digest: str
    lane: str
    machines: tuple[str, ...]
    cost: str
    target: str
    unit: str
    step: str
    judged: str
    read: str


def page_contents(
    summary: StudySummary, runs: Mapping[str, RunRecord], tests: Mapping[str, TestScore], *, command: str = ""
) -> PageContents:
    """Put a study into words; `command` made it, "": unknown."""
    spec = summary.spec
    advice = summary.advice
    made = run_rows(summary, runs, tests)
    return PageContents(
        title=spec.workload.heading,
        headline=summary.headline,
        question=_question(summary),
        complete=summary.complete,
        missing=_missing(summary),
        progress=100 * summary.runs_done // max(1, summary.runs_expected),
        use_name=advice.name if advice else "",
        use=advice.text if advice else "",
        forms=use_forms(summary, command=command),
        why=advice_sentence(advice, spec.workload.measure) if advice else "",
        rows=strategy_rows(summary),
        notes=footnotes(summary),
        styles=line_styles(strategy.name for strategy in spec.strategies),
        runs=made,
        machines=tuple(dict.fromkeys(run.host for run in made if run.host)),
        spec_json=spec.model_dump_json(indent=2),
        digest=spec.digest(),
        lane=_lane(spec.lane, command),
        target=""
        if summary.target is None
        else message("{target} on validation ({source})", target=target_words(summary), source=summary.target_source),
        unit=spec.workload.measure.title,
        judged=summary.judged,
        step=message(spec.workload.measure.step.strip() or "difference"),
        cost=cost(summary),
        read=message("at the end") if spec.until is None else _read(summary),
    )


def _lane(lane: Lane, command: str) -> str:
    """What decided the bits, and which of it the command left to us."""
    words = command.split()
    asked = [word.partition("=")[0] for word in words]
    left = [flag[2:] for flag in ("--device", "--precision", "--threads", "--workers") if flag not in asked]
    if lane.precision == "own":
        left = [name for name in left if name != "precision"]
    text = lane.text
    if lane.deterministic:
        text = message("{lane}, deterministic kernels", lane=text)
    if words and left:
        text = message("{lane}; left to calando by the command: {names}", lane=text, names=", ".join(left))
    return text


def _question(summary: StudySummary) -> str:
    spec, load = summary.spec, summary.spec.workload
    steps = " / ".join(count(length) for length in spec.lengths)
    epochs = " / ".join(f"{length / spec.steps_per_epoch:.3g}" for length in spec.lengths)
    parts: list[str] = [
        message("{count} strategy" if len(spec.strategies) == 1 else "{count} strategies", count=len(spec.strategies)),
        load.heading,
        *load.facts,
        message(
            "{steps} steps ({epochs} epoch)" if epochs == "1" else "{steps} steps ({epochs} epochs)",
            steps=steps,
            epochs=epochs,
        ),
        message("1 seed") if spec.seeds == 1 else spec.seeds_text,
    ]
    if spec.lane.precision == "bf16":
        parts.append(spec.lane.precision)
    return joined("{one} · {other}", parts)


def _read(summary: StudySummary) -> str:
    """When test scores are read."""
    if summary.spec.until is None:
        return message("when every run is done")
    return message("a run, at the first look that needs it; more seeds follow where verdicts are open")


def _missing(summary: StudySummary) -> tuple[str, ...]:
    if summary.complete:
        return ()
    missing: list[str] = []
    unsettled = [result.name for result in summary.results if result.lr is None]
    if unsettled:
        names = joined("{one}, {other}", unsettled)
        missing.append(message("the rate is still being chosen for {names}", names=names))
    short = [
        result.name
        for result in summary.results
        if result.lr is not None and result.seeds_done < len(result.planned.finals)
    ]
    if short:
        missing.append(message("seeds are still to run for {names}", names=joined("{one}, {other}", short)))
    missing.append(message("test scores are read once, {read}", read=_read(summary)))
    return tuple(missing)
