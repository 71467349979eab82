"""The answer of a tuning: weights, the strategy that trained them, what was tried, and what it all cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from calando.language import message, translated
from calando.shown import Drawn

if TYPE_CHECKING:
    from calando.analysis.tuned import TuneResult
    from calando.records import RunSpec, StrategySpec, TestScore

__all__ = ["Tuned", "tuned_in", "write_tuning_report"]


@final
@dataclass(frozen=True, kw_only=True)
class Tuned(Drawn):
    """An answer: weights, the strategy that trained them, and what it all cost.

    Args:
        folder: the tuning's.
        weights: the safetensors file of the network's weights; the folder that `save=` of `run.keep` has written;
            None: a person's own code left none.
        result: the race, the ride and what was trained.
        lacking: why there are no weights.
    """

    folder: Path
    weights: Path | None
    result: TuneResult
    lacking: str = ""

    @property
    def run(self) -> RunSpec:
        """The run whose weights these are; `calando train` makes it again, to the bit."""
        return self.result.run

    @property
    def strategy(self) -> StrategySpec:
        """The strategy at its rate."""
        return self.run.strategy

    @property
    def test(self) -> TestScore:
        """Of the weights."""
        assert self.result.test is not None
        return self.result.test

    @property
    def tested(self) -> float | None:
        """Its score; None where a person's own code gives none, or every run failed."""
        given = all(event.kind != "no test" for event in self.result.events)
        return self.test.score if given and math.isfinite(self.test.score) else None

    @property
    def validation(self) -> float | None:
        """Score of the weights; None where the run ended before it was evaluated."""
        looks = self.result.evaluations
        return looks[-1].score if looks else None

    @property
    def updates(self) -> float:
        """Everything charged, evaluations in updates included."""
        return self.result.settled.charged

    @property
    def runs(self) -> float:
        """The same in runs."""
        return self.updates / self.result.spec.run_cost

    @property
    def ledger(self) -> dict[str, float]:
        """What the updates went into."""
        settled = self.result.settled
        return {
            "run": settled.ride,
            "arms that lost": settled.race,
            "going back": settled.back,
            "evaluations": settled.looks,
            **({"other hyper-parameters": settled.also} if self.result.spec.also else {}),
        }

    @property
    def verdict(self) -> str:
        """In a sentence: the rate, and what is known of it."""
        from calando.verbs.tune_words import verdict_of

        return verdict_of(self.result)

    @property
    def scores(self) -> str:
        """In a line: the scores, and what they cost."""
        measure, spec = self.run.workload.measure, self.result.spec
        scores: str = message("no test score")
        if self.tested is not None:
            scores = message(
                "test {score} ({n} samples, seed {seed})" if self.test.n else "test {score} (seed {seed})",
                score=measure.amount(self.tested, decimals=2),
                n=self.test.n,
                seed=spec.seed,
            )
        if self.validation is not None:
            validation = message("validation {score}", score=measure.amount(self.validation, decimals=2))
            scores = message("{test}, {validation}", test=scores, validation=validation)
        return message(
            "{scores}, for {updates:.0f} updates: {runs:.2f} runs of {steps}",
            scores=scores,
            updates=self.updates,
            runs=self.runs,
            steps=spec.steps,
        )

    def __str__(self) -> str:
        """What a terminal shows first."""
        return f"{translated(self.verdict)}\n{translated(self.scores)}"

    __repr__ = __str__

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person's own code left out, and how to get it."""
        from calando.verbs.tune_words import remarks_on

        return remarks_on(self.result, lacking=self.lacking)

    def plot(self) -> Any:
        """The race and the ride: the losses of all arms over the updates, and the rates."""
        from calando.report import race_figure

        return race_figure(self.result.spec, self.result.settled, self.result.traces)

    def table(self) -> list[dict[str, Any]]:
        """A row for each arm, the highest rate first."""
        best = "won" if self.result.settled.begun is not None else "kept"
        return [
            {
                "rate": arm.rate,
                "updates": arm.step,
                "ended": best if arm.ending == "won" else arm.ending,
                "why": arm.why,
                **({"also": dict(arm.also)} if self.result.spec.also else {}),
            }
            for arm in sorted(self.result.settled.arms, key=lambda arm: -arm.rate)
        ]

    def to_json(self) -> dict[str, Any]:
        """All of it but the losses, as what `json.dumps` takes."""
        settled, spec = self.result.settled, self.result.spec
        return {
            "strategy": self.strategy.text,
            "rate": self.run.lr,
            **({"also": dict(settled.leg.also)} if spec.also else {}),
            "rate_interval": [settled.low, settled.high],
            "at_the_edge": settled.edge,
            "learned": settled.begun is not None,
            "died": settled.died,
            "verdict": self.verdict,
            "workload": spec.workload.title,
            "metric": spec.workload.metric if hasattr(spec.workload, "metric") else "",
            "goal": spec.workload.measure.goal,
            "test": self.tested,
            "test_n": self.test.n,
            "validation": self.validation,
            "updates": round(self.updates, 3),
            "updates_of_one_run": spec.steps,
            "runs": round(self.runs, 4),
            "budget": spec.budget,
            "ledger": {name: round(cost, 3) for name, cost in self.ledger.items()},
            "seconds": round(self.result.seconds, 3),
            "seed": spec.seed,
            "lane": spec.lane.model_dump(),
            "arms": self.table(),
            "notes": [*settled.notes, *self.remarks],
            "weights": None if self.weights is None else str(self.weights),
        }


def tuned_in(folder: Path) -> Tuned:
    """The answer of a tuning that was made before, read without torch.

    Raises:
        UsageError: it has not come to its end so far.
        CorruptFile: it is damaged, or of a newer calando.
    """
    from calando.analysis.tuned import concluded
    from calando.errors import UsageError
    from calando.records.tuning import TuneStore

    with TuneStore.open(folder, read_only=True) as store:
        pieces, spec = store.pieces(), store.spec
        result, command = concluded(spec, pieces, store.test, store.proposals), store.meta("command")
        name, lacking = store.meta("weights"), store.meta("lacking")
        # With a larger budget another run may be the answer, whose test score was not read so far.
        if result is not None and store.meta("tested") != result.run.digest():
            result = None
    if result is None or result.test is None:
        made = sum(piece.stop - piece.start for piece in pieces)
        again = f": {command}" if command else ""
        raise UsageError(
            message(
                "the tuning in {folder!r} has not come to its end, {made} updates are made; the same command "
                "goes on{again}",
                folder=str(folder),
                made=made,
                again=again,
            )
        )
    if not spec.whole:
        name = "weights.safetensors"
    return Tuned(folder=folder, weights=folder / name if name else None, result=result, lacking=lacking)


def write_tuning_report(folder: Path, *, alone: bool = False) -> Path:
    """Write the page of a tuning that has come to its end, as `calando.write_report`.

    Args:
        alone: without pictures next to it.
    """
    from calando.records.tuning import TuneStore
    from calando.report.tuning_page import TuningWords, write_tuning_page

    tuned = tuned_in(folder)
    with TuneStore.open(folder, read_only=True) as store:
        fingerprint, command = store.meta("fingerprint"), store.meta("command")
    words = TuningWords(
        verdict=tuned.verdict,
        scores=tuned.scores,
        remarks=(*tuned.result.settled.notes, *tuned.remarks),
        arms=tuned.table(),
        ledger=tuned.ledger,
        weights="" if tuned.weights is None else tuned.weights.name,
    )
    return write_tuning_page(
        folder, tuned.result, words, fingerprint=fingerprint, command=command, figures=() if alone else None
    )
