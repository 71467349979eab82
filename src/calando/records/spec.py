"""What to run: immutable, validated, JSON in and out; equal specs have equal digests.

    StudySpec ──┬── WorkloadSpec      model + data + augmentation + loss + batch size
                ├── StrategySpec …    method + hyper-parameters + schedules + controllers
                └── Lane              what decides the bits: device, precision, threads, layout
    RunSpec   = (WorkloadSpec, StrategySpec with its rate settled, steps, seed, Lane)

A person's own training code (OwnTrainingSpec) may stand in the workload's place. The digest is the first 16 hexadecimal
digits of the SHA-256 of the canonical JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, SerializerFunctionWrapHandler, model_serializer, model_validator

from calando.errors import UsageError
from calando.language import message
from calando.records.fields import Name, Plain, Spec, Worded
from calando.records.strategy_spec import StrategySpec
from calando.records.task_spec import AnyTask, WorkloadSpec

if TYPE_CHECKING:
    from calando.schedules.span import Horizon

__all__ = ["BEYOND", "Centre", "Lane", "RunSpec", "StudySpec"]

BEYOND = 4
"""How many rates a grid may go on by, unless asked otherwise."""

MOST_SEEDS, MOST_STEPS, MOST_RUNS = 1000, 10_000_000, 1_000_000
LARGEST_SEED = 2**63 - 1
MOST_BEYOND = 20
MOST_THREADS = 1024

Steps = Annotated[int, Field(ge=1, le=MOST_STEPS)]


class Lane(Spec):
    """What decides the bits of a run besides its spec.

    >>> Lane().device
    'cpu'
    """

    device: Plain = "cpu"
    precision: Literal["fp32", "bf16", "own"] = "fp32"
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)] = 1
    channels_last: bool = True
    deterministic: bool = True

    @property
    def text(self) -> str:
        """The lane in words.

        >>> Lane(threads=2).text
        'cpu, fp32, 2 threads a run'
        """
        rules = {
            "bf16": message("bf16 autocast (--precision auto chooses it here; --precision fp32: not)"),
            "own": message("precision as the code sets it"),
        }
        return message(
            "{device}, {precision}, {threads} threads a run"
            if self.threads > 1
            else "{device}, {precision}, {threads} thread a run",
            device=self.device,
            precision=rules.get(self.precision, self.precision),
            threads=self.threads,
        )


class RunSpec(Spec):
    """One (workload, strategy, horizon, seed) on one lane; the key of a run record.

    Args:
        steps: horizon in updates.
        steps_per_epoch: updates in one pass over the training part.
        evaluate_every: updates between two evaluations on the validation part; the last update is always evaluated.
        skips: (update, batches): from this update on, this many batches of the seed's order are skipped.
    """

    workload: AnyTask
    strategy: StrategySpec
    steps: Steps
    steps_per_epoch: PositiveInt
    evaluate_every: PositiveInt
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED + 1)]
    lane: Lane = Lane()
    skips: tuple[tuple[int, int], ...] = ()

    @model_validator(mode="after")
    def _all_is_settled(self) -> Self:
        assert self.strategy.lr is not None, "a run needs a settled rate"
        assert not self.strategy.horizon, "a run has its length in steps"
        return self

    @property
    def in_our_loop(self) -> WorkloadSpec:
        """The workload of a run in calando's own loop."""
        assert isinstance(self.workload, WorkloadSpec), "a person's own code trains this run"
        return self.workload

    @property
    def lr(self) -> float:
        """The base rate."""
        assert self.strategy.lr is not None
        return self.strategy.lr

    @property
    def horizon(self) -> Horizon:
        """The horizon that lengths are relative to."""
        from calando.schedules.span import Horizon

        return Horizon(self.steps, self.steps_per_epoch)

    def canonical(self) -> str:
        """Canonical JSON without the names of strategy and workload: equal training is one run."""
        nameless = self.strategy.model_copy(update={"name": ""})
        return self.model_copy(update={"strategy": nameless, "workload": self.workload.nameless()}).model_dump_json()


class Centre(Spec):
    """Where a range test centred a strategy's rate grid, and what it cost.

    Args:
        lr: base rate. None: the range test found none, and the grid stays centred on the method's usual rate.
        low: lowest rate over the repeats; equal to `lr` if there was one repeat.
        high: highest rate over the repeats; equal to `lr` if there was one repeat.
        doubts: why none was found.
        updates: updates of the range test, which strategies of the same method and options share.
        seconds: seconds that it took.
    """

    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    low: float | None = None
    high: float | None = None
    doubts: tuple[Plain, ...] = ()
    updates: int
    seconds: float


class StudySpec(Spec):
    """A question: which of these strategies is best on this workload?

    Args:
        strategies: the strategies, at least one, with distinct names.
        rate_grids: strategy name -> ascending trial rates, for strategies whose rate is chosen by trials.
        beyond: how many rates a grid may be extended by, at the same ratio, if its best trial lies at the edge. None:
            one, by the rule of stores of schema 4 and before.
        find: whether range tests are made first and centre the grids.
        centres: strategy name -> what its range test found; empty before, or if none was asked for.
        seeds: number of paired seeds, 0 … seeds-1; rates are chosen at seed 0.
        until: "decided": seeds are added while verdicts are open, up to `seeds`. None: all seeds from the beginning.
        steps: length of the runs in updates; a strategy's own horizon may be shorter, not longer.
        target: validation score; the steps to reach it are counted. None: the best fixed-rate score.
    """

    workload: AnyTask
    strategies: tuple[StrategySpec, ...]
    rate_grids: dict[Name, tuple[float, ...]]
    beyond: (
        Annotated[int, Field(ge=0, le=MOST_BEYOND), Worded(remark=message("rates that a grid may go on by"))] | None
    ) = BEYOND
    find: bool = False
    centres: dict[Name, Centre] = Field(default_factory=dict)
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)]
    until: Literal["decided"] | None = None
    steps: Steps
    steps_per_epoch: PositiveInt
    evaluate_every: PositiveInt
    target: Annotated[float, Field(allow_inf_nan=False)] | None = None
    lane: Lane = Lane()

    @model_serializer(mode="wrap")
    def _without_what_is_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A fixed number of seeds is written, and digested, as it was before there were others."""
        written: dict[str, Any] = write(self)
        if self.until is None:
            written.pop("until", None)
        return written

    @model_validator(mode="after")
    def _a_look_needs_two_seeds(self) -> Self:
        if self.until is not None and self.seeds < 2:
            raise UsageError(
                message(
                    "most_seeds must be from 2 to {most} (one seed decides nothing), got {seeds}",
                    most=MOST_SEEDS,
                    seeds=self.seeds,
                )
            )
        return self

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        names = [strategy.name for strategy in self.strategies]
        if not names:
            raise UsageError(message("a study needs at least one strategy; see `calando strategies`"))
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(message("strategy {name!r} is given twice; give each a name of its own", name=twice[0]))
        assert all((s.lr is None) == (s.name in self.rate_grids) for s in self.strategies)
        runs = len(names) * self.seeds + sum(map(len, self.rate_grids.values()))
        if runs > MOST_RUNS:
            raise UsageError(
                message(
                    "a study has at most {most} runs, got {runs}; ask with fewer strategies or seeds",
                    most=MOST_RUNS,
                    runs=runs,
                )
            )
        return self

    @model_validator(mode="after")
    def _target_is_a_score(self) -> Self:
        if self.target is not None and self.workload.measure.share and not 0 < self.target <= 1:
            raise UsageError(message("target must be a validation score in (0, 1], got {target:g}", target=self.target))
        return self

    @model_validator(mode="after")
    def _horizons_are_within(self) -> Self:
        for strategy in self.strategies:
            self.steps_of(strategy)
        return self

    def canonical(self) -> str:
        """Canonical JSON without the workload's name, and without `beyond` unless it was asked for."""
        nameless = self.model_copy(update={"workload": self.workload.nameless()})
        return nameless.model_dump_json(exclude={"beyond"} if self.beyond in (None, BEYOND) else None)

    @property
    def seeds_text(self) -> str:
        """The number of seeds in words."""
        if self.until is not None:
            return message("up to {seeds} paired seeds, until {until}", seeds=self.seeds, until=message(self.until))
        return message("{seeds} paired seeds" if self.seeds > 1 else "{seeds} paired seed", seeds=self.seeds)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The different lengths of its runs in updates, ascending."""
        return tuple(sorted({self.steps_of(strategy) for strategy in self.strategies}))

    def strategy(self, name: str) -> StrategySpec:
        """The strategy of this name."""
        return next(strategy for strategy in self.strategies if strategy.name == name)

    def steps_of(self, strategy: StrategySpec) -> int:
        """Length of a strategy's runs in updates."""
        return strategy.steps_within(self.steps, steps_per_epoch=self.steps_per_epoch)

    def run(self, strategy: StrategySpec, *, seed: int) -> RunSpec:
        """The run of a strategy at its settled rate and one seed."""
        return RunSpec(
            workload=self.workload,
            strategy=strategy.without_horizon(),
            steps=self.steps_of(strategy),
            steps_per_epoch=self.steps_per_epoch,
            evaluate_every=self.evaluate_every,
            seed=seed,
            lane=self.lane,
        )
