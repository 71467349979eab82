"""`calando.tune`: a rate settled and a network trained at it, in one and a half runs.

    FOLDER/tune.sqlite            the question, and every piece that was trained
    FOLDER/weights.safetensors    the network's weights at the end
    FOLDER/race.png, training.png figures, as the command draws them

Called again it goes on where it stood; with a larger budget it goes on from its answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from calando.shown import Drawn
from calando.verbs.tuning_progress import TuningProgress

if TYPE_CHECKING:
    from calando.analysis.tuned import TuneResult
    from calando.records import RunSpec, StrategySpec, TestScore
    from calando.study.tune import TuneStatus
    from calando.tasks.workload import Workload

__all__ = ["Tuned", "tune", "tuned_in"]


@final
@dataclass(frozen=True, kw_only=True)
class Tuned(Drawn):
    """An answer: weights, the strategy that trained them, and what it all cost.

    Args:
        folder: the tuning's.
        weights: the safetensors file of the network's weights.
        result: the race, the ride and what was trained.
    """

    folder: Path
    weights: Path
    result: TuneResult

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
        }

    @property
    def verdict(self) -> str:
        """In a sentence: the rate, and what is known of it."""
        from calando.analysis.arms import USUAL

        settled, rate = self.result.settled, self.run.lr
        if settled.begun is None:
            rates = [arm.rate for arm in settled.arms]
            tried = f"at rates from {min(rates):.3g} to {max(rates):.3g}" if len(rates) > 1 else f"at {rate:.3g}"
            if all(arm.trace.diverged for arm in settled.arms):
                return (
                    f"nothing was learned {tried}: every loss ended not finite; look at the data, the loss and the "
                    "network, or begin at another rate, lr= in the strategy"
                )
            return (
                f"nothing was learned {tried}: no arm's loss fell below {USUAL.begun:.0%} of chance, so none is better "
                "than another; look at the data, the loss and the network, or begin at another rate, lr= in the "
                "strategy"
            )
        if settled.died:
            leg, raced = settled.leg, f"{rate:.3g}, the best of {len(settled.arms)} that were raced"
            if settled.unpaid:
                stop = f"at update {leg.until} of {leg.steps}"
                return f"the budget ended before the run did, {stop}: rate {raced}; with a larger budget it goes on"
            last = next(arm.trace for arm in settled.arms if arm.rate == rate)
            return f"the run died: rate {raced}; its loss {'is not finite' if last.diverged else 'ends at chance'}"
        near = "" if settled.low == settled.high else f" (undecided between {settled.low:.3g} and {settled.high:.3g})"
        edge = "; it is at the edge of what was tried: the best may lie beyond" if settled.edge else ""
        cuts = [f"{rate * factor:.3g} from update {step}" for step, factor in settled.leg.cuts if factor != 1.0]
        cut = f", and after a death {', '.join(cuts)}" if cuts else ""
        if len(settled.arms) == 1:
            return f"rate {rate:.3g}{cut}: where the race begins; the budget left no room to race another"
        return f"rate {rate:.3g}{near}{cut}: the best of {len(settled.arms)} that were raced{edge}"

    def __str__(self) -> str:
        """What a terminal shows first."""
        measure, spec = self.run.workload.measure, self.result.spec
        validation = "" if self.validation is None else f"validation {measure.amount(self.validation, decimals=2)}, "
        test = f"test {measure.amount(self.test.score, decimals=2)} ({self.test.n} samples, seed {spec.seed})"
        return (
            f"{self.verdict}\n{test}, {validation}for {self.updates:.0f} updates: {self.runs:.2f} runs of {spec.steps}"
        )

    __repr__ = __str__

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
            }
            for arm in sorted(self.result.settled.arms, key=lambda arm: -arm.rate)
        ]

    def to_json(self) -> dict[str, Any]:
        """All of it but the losses, as what `json.dumps` takes."""
        settled, spec = self.result.settled, self.result.spec
        return {
            "strategy": self.strategy.text,
            "rate": self.run.lr,
            "rate_interval": [settled.low, settled.high],
            "at_the_edge": settled.edge,
            "learned": settled.begun is not None,
            "died": settled.died,
            "verdict": self.verdict,
            "workload": spec.workload.title,
            "metric": spec.workload.metric if hasattr(spec.workload, "metric") else "",
            "goal": spec.workload.measure.goal,
            "test": self.test.score,
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
            "notes": list(settled.notes),
            "weights": str(self.weights),
        }


def tune(
    workload: str | Workload,
    strategy: str | StrategySpec | None = None,
    *,
    budget: float = 1.5,
    model: str | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    augment: str | None = None,
    label_smoothing: float | None = None,
    metric: str | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    train_limit: int | None = None,
    data_dir: Path | str | None = None,
    folder: Path | str | None = None,
    executor: str | None = None,
    address: str | None = None,
    workers: int = 1,
    threads: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    command: str = "",
    listen: Callable[[TuneStatus], None] | None = None,
) -> Tuned:
    """Settle the learning rate and train the network at it, at a total cost of `budget` runs.

    Arms at a few rates start from the same weights on the same batches and are dropped as soon as they have lost; the
    winner goes on to the end and is the answer, so that its past is trained once. See `calando.analysis.race` for the
    rules. Called again it goes on where it stood.

    Args:
        workload, model, batch_size, augment, label_smoothing, metric, clip_norm, accumulate, train_limit: see
            `calando.train`.
        strategy: a method by name or text, "sgd(momentum=0.9)": the rate is held for half of the run, then falls to
            zero; or a strategy with a schedule, of which the rate alone is tuned. A rate in it is where the race
            begins. None: SGD with momentum.
        budget: how many runs everything may cost, arms that lose and evaluations included: a hard cap.
        epochs, steps: length of one run; at most one of the two. None: the workload's usual number of epochs.
        seed: of initial weights, data order and augmentation.
        folder: the tuning's; None: calando-studies/tune-NAME-DIGEST in the current one.
        executor, address, workers: with several workers arms run side by side, as runs of `calando.compare`; the
            answer does not depend on them. None: this process where there is one worker.
        data_dir, threads, device, precision: as of `calando.train`.
        command: the command line, kept for who reads the folder later.
        listen: called as it goes on; None: progress is shown.

    Raises:
        UsageError: anything that cannot be, a folder that holds something else.
        StudyStopped: a worker died too often, or the disk is full.
        KeyboardInterrupt: what was trained is kept.

    Example:
        >>> import tempfile, calando
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     answer = calando.tune("digits", steps=150, threads=1, folder=folder, listen=lambda status: None)
        >>> answer.runs <= 1.5, answer.test.score > 0.9, answer.weights.name
        (True, True, 'weights.safetensors')
    """
    from calando.errors import UsageError
    from calando.records.files import file_name
    from calando.tasks.catalog import resolve
    from calando.verbs.own_code import own_code
    from calando.verbs.torch_first import import_torch

    # Before torch is imported, which takes seconds: a mistyped name is reported at once.
    if own_code(workload, ()) is not None:
        raise UsageError(
            "your own training code is not tuned, since its runs cannot be forked at any update: compare whole runs of "
            'it, `calando compare SCRIPT "cosine"` tries five rates; or put data and network into calando.workload'
        )
    task = resolve(
        workload,
        model=model,
        batch_size=batch_size,
        augment=augment,
        label_smoothing=label_smoothing,
        metric=metric,
        clip_norm=clip_norm,
        accumulate=accumulate,
        train_limit=train_limit,
    )
    import_torch()
    from calando.records import WorkloadSpec
    from calando.study.build_tuning import build_tuning
    from calando.study.limits import Budget, Machine
    from calando.study.tune import conduct_tuning

    machine = replace(Machine.whole(device=device, precision=precision, threads=threads), workers=workers)
    where = None if data_dir is None else Path(data_dir)
    spec, loaded = build_tuning(
        task,
        strategy,
        length=Budget(epochs=epochs, steps=steps),
        budget=budget,
        machine=machine,
        seed=seed,
        data_dir=where,
    )
    crew = machine.count_workers(spec.lane.device)
    if folder is None:
        name = workload if isinstance(workload, str) else workload.name
        digest = spec.model_copy(update={"budget": 1.0}).digest()
        folder = Path("calando-studies") / f"tune-{file_name(name)}-{digest[:8]}"
    folder = Path(folder)
    with TuningProgress(listen) as progress:
        result = conduct_tuning(
            folder,
            spec,
            loaded,
            data_dir=where,
            given=not isinstance(task, WorkloadSpec),
            executor=executor or ("inline" if crew == 1 else "process"),
            workers=crew,
            address=address,
            command=command,
            machine=machine.said(spec.lane, workers=crew if crew > 1 else None),
            listen=progress,
        )
    return Tuned(folder=folder, weights=folder / "weights.safetensors", result=result)


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
        pieces = store.pieces()
        result, command = concluded(store.spec, pieces, store.test), store.meta("command")
    if result is None or result.test is None:
        made = sum(piece.stop - piece.start for piece in pieces)
        again = f": {command}" if command else ""
        raise UsageError(
            f"the tuning in {str(folder)!r} has not come to its end, {made} updates are made; the same command goes on"
            f"{again}"
        )
    return Tuned(folder=folder, weights=folder / "weights.safetensors", result=result)
