"""What a study concluded, as plain values: what tables, figures, JSON and the page are drawn from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, is_dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from calando.language import _, joined, message, translated
from calando.records.record import RunOutcome
from calando.records.spec import RunSpec, StudySpec
from calando.rows import html_table
from calando.shown import Shown

__all__ = [
    "Advice",
    "Comparison",
    "PlannedRuns",
    "RateBand",
    "RateChoice",
    "RateTrial",
    "Saved",
    "Spread",
    "StrategyResult",
    "StudySummary",
    "Verdict",
]

Verdict = Literal["better", "worse", "cannot distinguish", "no verdict"]
"""What a study says of a strategy, compared with the best one."""

Edge = Literal["low", "high"]

NOT_WRITTEN = {"folder", "planned"}
"""What JSON does not hold: where the study happens to be, and the specs and keys of its runs, which the store has."""


@dataclass(frozen=True)
class Spread:
    """Numbers with their mean and sample standard deviation (nan where n = 1)."""

    values: tuple[float, ...]
    mean: float
    sd: float

    @property
    def n(self) -> int:
        """How many numbers."""
        return len(self.values)


@dataclass(frozen=True)
class RateChoice:
    """How far the choice of one strategy's rate has come.

    Args:
        trials: the runs that choose it, as far as they are known, ascending in rate.
        digests: of the trials, in the same order.
        pending: trials without a record yet.
        lr: the settled rate; None while a trial is pending.
        extended: the edge past which the grid went on, if it did.
        at_edge: the settled rate is still the outermost one tried: the best may lie beyond.
        failed: every trial diverged or died, so no rate tried is a good one.
    """

    trials: tuple[RunSpec, ...]
    digests: tuple[str, ...]
    pending: tuple[RunSpec, ...]
    lr: float | None
    extended: Edge | None = None
    at_edge: bool = False
    failed: bool = False

    @property
    def fully_tuned(self) -> bool:
        """Whether the rate is settled, and was given or beat a rate on each side, which a fair comparison needs."""
        return self.lr is not None and not self.at_edge and not self.failed


@dataclass(frozen=True)
class PlannedRuns:
    """The runs that one strategy needs, as far as its records decide: what plan, table, page and figures look up.

    Final runs differ in their seed alone, so naming a thousand of them costs little more than naming one.

    Args:
        choice: how far the choice of its rate has come.
        finals: digests of its final runs, by seed from 0; empty while a trial is pending. The run that chose the rate
            is a trial and the first of these.
        first: the final run at seed 0; None while a trial is pending.
    """

    choice: RateChoice
    finals: tuple[str, ...] = ()
    first: RunSpec | None = None

    @property
    def trials(self) -> tuple[str, ...]:
        """Digests of the trials, ascending in rate."""
        return self.choice.digests

    @property
    def digests(self) -> tuple[str, ...]:
        """Digests of trials and final runs, each once."""
        return tuple(dict.fromkeys(self.trials + self.finals))

    def up_to(self, seeds: int) -> PlannedRuns:
        """The same plan with the first `seeds` of its final runs."""
        return replace(self, finals=self.finals[:seeds])

    @property
    def final_runs(self) -> tuple[RunSpec, ...]:
        """The runs that are compared, with seeds 0 … seeds - 1 at the settled rate; none while a trial is pending."""
        if self.first is None:
            return ()
        return tuple(self.first.model_copy(update={"seed": seed}) for seed in range(len(self.finals)))


@dataclass(frozen=True)
class RateTrial:
    """One rate tried at the first seed: its validation score."""

    lr: float
    score: float
    loss: float
    outcome: RunOutcome


@dataclass(frozen=True)
class RateBand:
    """The rates that do nearly as well as the best one tried.

    Args:
        low, high: its ends.
        decades: its width, log10(high / low).
        open_low, open_high: whether the band runs over that edge of the grid: it is at least this wide.
    """

    low: float
    high: float
    decades: float
    open_low: bool
    open_high: bool


@dataclass(frozen=True)
class StrategyResult:
    """One row of the answer.

    Args:
        name: name of the strategy.
        text: the pipe text with the settled rate: paste it to run it again.
        lr: the settled rate; None while trials are pending.
        chosen: whether the rate was chosen by trials (else it was given).
        trials: its trials, ascending in rate.
        note: what the reader must know about the choice ("grid extended to 3.2"), or "".
        validation: end-of-run validation scores of final runs that did not choose the rate where seeds allow.
        validation_chose: True where only the run that chose the rate was there to report.
        test: test scores of all final runs, in seed order; None before they are read.
        steps_to_target: in seed order; None where the target was not reached; empty while there is no target.
        diverged, died: how many of all runs of this strategy, trials included; a run whose test look is not finite
            counts as diverged.
        steps_trials, steps_final: updates charged, as if each run had been trained alone; a run used by both counts
            as a trial, and so does a range test.
        seconds: training and evaluation time charged for all of them.
        seeds_done: final runs with a record, however they ended.
        band: rates within one point of the best trial; None without trials, or where all of them failed.
        planned: its runs, by digest.
        untuned: why there is no verdict on it ("best rate at the edge of its grid"); "" where there may be one.
    """

    name: str
    text: str
    lr: float | None
    chosen: bool
    trials: tuple[RateTrial, ...]
    note: str
    validation: Spread | None
    validation_chose: bool
    test: Spread | None
    steps_to_target: tuple[int | None, ...]
    diverged: int
    died: int
    steps_trials: int
    steps_final: int
    seconds: float
    seeds_done: int
    planned: PlannedRuns = field(repr=False)
    band: RateBand | None = None
    untuned: str = ""


@dataclass(frozen=True)
class Comparison:
    """One strategy against the best one, on test scores paired seed by seed.

    Args:
        strategy, best: names of the two.
        n: number of paired seeds; where seeds are added, those of the look that settled it, or of the last one.
        difference: mean of (strategy - best), in score.
        low, high: the interval at `level`, consistent with the verdict: it excludes 0 exactly where the verdict is
            better or worse. Where the strategy is not fully tuned it is of the rate it has, and no verdict.
        level: its confidence, corrected for the number of comparisons; 95% where all intervals hold together.
        p: adjusted p-value, at most 5% (or the level of its look) exactly where the verdict is "worse", but for those
            not fully tuned.
        verdict: of `strategy` against `best`.
        text: the verdict in a sentence.
    """

    strategy: str
    best: str
    n: int
    difference: float
    low: float
    high: float
    level: float
    p: float
    verdict: Verdict
    text: str


@dataclass(frozen=True)
class Advice:
    """Which strategy to use.

    Args:
        name, text: its name, and the pipe text with its settled rate.
        level: all strategies that it was chosen from by a rule of ours, since the tests do not distinguish them; best
            first, itself among them; empty where there was no choice.
        why: what the rule found in its favour; "" where there was no choice.
        n: number of seeds, which do not distinguish those in `level`.
        apart: how far the lowest mean score of those in `level` is below the highest.
        behind: how far its own is below the highest.
        near: how much worse a score may be and still count as nearly as good.
    """

    name: str
    text: str
    level: tuple[str, ...]
    why: str
    n: int = 0
    apart: float = 0.0
    behind: float = 0.0
    near: float = 0.01


@dataclass(frozen=True)
class Saved:
    """What a study that adds seeds spent, against one with all the seeds that there might have been for each strategy.

    Args:
        looks: seeds at each look taken.
        most: the most seeds that a strategy might have had.
        finals, of_finals: final runs made, and of the fixed design.
        updates, of_updates: updates charged for everything, as in `StudySummary`, and what the fixed design would
            charge: the final runs not made count as the mean of those of their strategy.
    """

    looks: tuple[int, ...]
    most: int
    finals: int
    of_finals: int
    updates: int
    of_updates: int


@dataclass(frozen=True)
class StudySummary(Shown):
    """The answer, as far as the runs done allow.

    Args:
        spec: the question.
        complete: whether every run and every test look is there.
        results: best first (by mean test score; before tests are read, by validation).
        best: name of the first; None before any final run is there.
        comparisons: one for each other strategy, in the order of `results`; empty where n < 2.
        target: the validation score to reach, or None.
        target_source: "given", or "best fixed-rate score".
        headline: the verdict in a few sentences.
        advice: the strategy to use; None before the study is complete, and where every final run failed.
        runs_done, runs_known, runs_expected: records there, asked for so far, and as many as there will be unless a
            grid is extended.
        updates, seconds: what all of it costs where each run is trained alone: what strategies are charged. Each run
            and each range test once, whoever shares it.
        updates_spent, seconds_spent: what it took; less, where runs of equal pasts shared them.
        cautions: what holds for all scores, and makes them a little too good or failures harder to see; in sentences.
        judged: what `test` holds: scores of a test part, or, of code that reports none, validation scores.
        saved: where seeds are added until verdicts are settled, what that saved; None before it is complete.
        steered: the branches that commands have made of its runs, in sentences; they take no part in what is concluded.
        folder: where the study is, for whoever goes on with it; no part of the answer, which is the same anywhere.
    """

    spec: StudySpec
    complete: bool
    results: tuple[StrategyResult, ...]
    best: str | None
    comparisons: tuple[Comparison, ...]
    target: float | None
    target_source: str
    headline: str
    runs_done: int
    runs_known: int
    runs_expected: int
    updates: int
    seconds: float
    updates_spent: int
    seconds_spent: float
    advice: Advice | None = None
    cautions: tuple[str, ...] = ()
    judged: Literal["test", "validation"] = "test"
    saved: Saved | None = None
    steered: tuple[str, ...] = field(default=(), compare=False)
    folder: Path | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Values that `json.dumps(..., allow_nan=False)` takes; nan and infinities become None."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain

    def __str__(self) -> str:
        """The headline, and a line for each strategy: what a notebook shows."""
        verdicts = {one.strategy: one.verdict for one in self.comparisons}
        lines = [translated(self.headline)]
        amount = self.spec.workload.measure.amount
        for one in self.results:
            parts = [message("rate open") if one.lr is None else message("rate {rate:.3g}", rate=one.lr)]
            parts.append(
                message("no test score")
                if one.test is None
                else message(
                    "{judged} {score} (n = {n})",
                    judged=message(self.judged),
                    score=amount(one.test.mean, decimals=2),
                    n=one.test.n,
                )
            )
            if verdict := verdicts.get(one.name):
                parts.append(message(verdict))
            lines.append(_("  {name}: {facts}", name=one.name, facts=joined("{one}, {other}", parts)))
        return "\n".join(lines)

    __repr__ = __str__

    def table(self) -> list[dict[str, Any]]:
        """A row for each strategy, best first: rate, mean scores, difference from the best, interval and verdict."""
        against = {one.strategy: one for one in self.comparisons}
        return [
            {
                "strategy": one.name,
                "rate": one.lr,
                "validation": one.validation and one.validation.mean,
                "test": one.test and one.test.mean,
                "n": one.seeds_done,
                **{key: _cleared(getattr(against.get(one.name), key, None), one) for key in _COMPARED},
            }
            for one in self.results
        ]

    def _heading_html(self) -> str:
        return f"<p>{escape(translated(self.headline))}</p>"

    def _repr_html_(self) -> str:
        return f"{self._heading_html()}{html_table(self.table())}"


_COMPARED = ("difference", "low", "high", "verdict")


def _cleared(value: object, of: StrategyResult) -> object:
    """What stands in a row: 0.0 for the -3.7e-17 that rounding leaves of equal scores."""
    rounding = 1e-12 * abs(of.test.mean) if of.test else 0.0
    return 0.0 if isinstance(value, float) and abs(value) <= rounding else value


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        plain = {one.name: _plain(getattr(value, one.name)) for one in fields(value) if one.name not in NOT_WRITTEN}
        return {**plain, "n": value.n} if isinstance(value, Spread) else plain
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
