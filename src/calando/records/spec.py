"""What to run: immutable, validated, JSON in and out; equal specs have equal digests.

    StudySpec ──┬── WorkloadSpec      model + data + augmentation + loss + batch size
                ├── StrategySpec …    method + hyper-parameters + schedules + controllers
                └── Lane              what decides the bits: device, precision, threads, layout
    RunSpec   = (WorkloadSpec, StrategySpec with its rate settled, steps, seed, Lane)

The digest is the first 16 hexadecimal digits of the SHA-256 of the canonical JSON. Where data lies on
this machine is not part of a spec: it does not change the result (the data's fingerprint is kept by
the store instead).
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from calando.errors import UsageError
from calando.records.fields import FiniteOption, Name, Option, OwnHorizon, Plain, Spec, Worded
from calando.records.measure import SHARE, Measure
from calando.rows import WIDTH
from calando.shown import Shown

if TYPE_CHECKING:
    from calando.schedules.span import Horizon

__all__ = [
    "BEYOND",
    "Centre",
    "Lane",
    "OwnTrainingSpec",
    "RunSpec",
    "StrategySpec",
    "StudySpec",
    "WorkloadSpec",
]

BEYOND = 4
"""How many rates a grid may go on by, unless asked otherwise."""

BF16_RULE = (
    "--precision auto chooses it on a GPU, and on a CPU that multiplies bf16 for images of 28 pixels or more; "
    "--precision fp32: not"
)


MOST_SEEDS, MOST_STEPS, MOST_RUNS = 1000, 10_000_000, 1_000_000
LARGEST_SEED = 2**63 - 1
MOST_BEYOND = 20
MOST_THREADS = 1024

Steps = Annotated[int, Field(ge=1, le=MOST_STEPS)]


class Lane(Spec):
    """What decides the bits of a run, next to its spec.

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
        """In words.

        >>> Lane(threads=2).text
        'cpu, fp32, 2 threads a run'
        """
        rules = {"bf16": f"bf16 autocast ({BF16_RULE})", "own": "precision as the code sets it"}
        precision = rules.get(self.precision, self.precision)
        return f"{self.device}, {precision}, {self.threads} thread{'s' * (self.threads > 1)} a run"


class WorkloadSpec(Spec):
    """Model + data + augmentation + loss + batch size.

    Args:
        data: a registered name ("digits"), "folder:PATH", "parquet:PATH", "npz:PATH" or "module:callable".
        model: a network's name ("resnet8"), "timm:NAME", "torchvision:NAME", "module:callable", or "own", what a
            "module:callable" workload brings.
        batch_size: samples per update (all micro-batches together).
        accumulate: micro-batches per update; the batch is cut into this many equal parts.
        augment: "none", or parts joined by "+": "crop(4)+flip+cutout(8)".
        label_smoothing: of the cross-entropy, in [0, 1).
        clip_norm: largest global gradient norm, or None.
        validation_fraction: part of the training set held out, class by class (see docs/concepts.md).
        train_limit: use only this many training samples (after the validation part is cut), or None.
        name: what a person calls it, `calando.workload(name=…)`; "": as `data`. No part of any digest.
    """

    data: Plain
    model: Plain = "cnn"
    batch_size: PositiveInt = 128
    accumulate: PositiveInt = 1
    augment: Plain = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip_norm: (
        Annotated[float, Field(gt=0, allow_inf_nan=False), Worded(remedy="; leave it out to clip nothing")] | None
    ) = None
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    train_limit: PositiveInt | None = None
    name: str = ""

    @model_serializer(mode="wrap")
    def _without_what_is_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """No name is not written, as in studies that were made before there were any."""
        written: dict[str, Any] = write(self)
        if not self.name:
            written.pop("name", None)
        return written

    @property
    def title(self) -> str:
        """What tables, figures and pages call it."""
        return self.name or self.data

    @property
    def heading(self) -> str:
        """With its network: "resnet8 on cifar10"."""
        return f"{self.model} on {self.title}"

    @property
    def network(self) -> str:
        """Its network behind its title: " with resnet8"."""
        return f" with {self.model}"

    @property
    def facts(self) -> tuple[str, ...]:
        """What else decides a run, in words."""
        augmented = () if self.augment == "none" else (f"augmented by {self.augment}",)
        return (f"batch {self.batch_size}", *augmented)

    @property
    def measure(self) -> Measure:
        """A score is the share of samples classified rightly."""
        return SHARE

    def nameless(self) -> WorkloadSpec:
        """The same without a name."""
        return self.model_copy(update={"name": ""}) if self.name else self

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.batch_size % self.accumulate:
            raise UsageError(
                f"accumulate must divide the batch size, got {self.accumulate} for a batch size of {self.batch_size}"
            )
        return self


class OwnTrainingSpec(Spec):
    """A person's own training code, which says by itself what it trains and how it is judged.

    Args:
        code: the command that runs the script, or "function:NAME".
        goal, unit: of the scores that it reports, see `Measure`.
        own_optimizer: it keeps its own optimizer, and takes of a strategy the rate alone.
        name: what a person calls it; "": as `code`. No part of any digest.
    """

    code: Plain
    goal: Literal["max", "min"] = "max"
    unit: Plain = ""
    own_optimizer: bool = False
    name: str = ""

    @property
    def title(self) -> str:
        """What tables, figures and pages call it."""
        return self.name or self.code

    @property
    def heading(self) -> str:
        """The same: which network it is, the code alone knows."""
        return self.title

    @property
    def network(self) -> str:
        """Which it is the code alone knows."""
        return ""

    @property
    def facts(self) -> tuple[str, ...]:
        """What else decides a run, in words."""
        return ("its own training code",)

    @property
    def measure(self) -> Measure:
        """What a score means."""
        return Measure(goal=self.goal, unit=self.unit)

    def nameless(self) -> OwnTrainingSpec:
        """The same without a name."""
        return self.model_copy(update={"name": ""}) if self.name else self


def _kind_of_task(task: object) -> str:
    is_own = "code" in task if isinstance(task, dict) else isinstance(task, OwnTrainingSpec)
    return "own" if is_own else "workload"


AnyTask = Annotated[
    Annotated[WorkloadSpec, Tag("workload")] | Annotated[OwnTrainingSpec, Tag("own")], Discriminator(_kind_of_task)
]


class StrategySpec(Shown, Spec):
    """Method + hyper-parameters + schedules + controllers: the thing compared.

    Args:
        name: what tables and figures call it.
        method: a registered method ("sgd", "adamw").
        lr: base rate; None means "auto": chosen by trials.
        options: the method's other hyper-parameters, as given.
        schedules: hyper-parameter name -> schedule text; each is a multiplier of the base value.
        controllers: controller texts, in order.
        average: text of the weight average that is evaluated, "ema(decay=0.999)" or "swa(start='75%')"; "": none.
        horizon: how long its runs are, "10 epochs", "500 steps" or "50%" of the study's length; "": all of it.
    """

    name: Name
    method: Plain
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    options: dict[Name, FiniteOption] = Field(default_factory=dict)
    schedules: dict[Name, Plain] = Field(default_factory=dict)
    controllers: tuple[Plain, ...] = ()
    average: Plain = ""
    horizon: OwnHorizon = ""

    @model_serializer(mode="wrap")
    def _without_what_is_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """No horizon is not written: specs without one keep the digests they had before there were any."""
        written: dict[str, Any] = write(self)
        if not self.horizon:
            written.pop("horizon", None)
        return written

    @property
    def text(self) -> str:
        """The pipe text that builds this strategy.

        >>> StrategySpec(name="x", method="sgd", lr=0.1, schedules={"lr": "cosine(1, 0)"}).text
        'sgd(lr=0.1) | cosine(1, 0)'
        """
        lr = "auto" if self.lr is None else repr(self.lr)
        options = "".join(f", {key}={_show(value)}" for key, value in self.options.items())
        parts = [f"{self.method}(lr={lr}{options})"]
        parts += [text if key == "lr" else f"{key}: {text}" for key, text in self.schedules.items()]
        parts += self.controllers
        if self.average:
            parts.append(self.average)
        if self.horizon:
            parts.append(f"horizon({self.horizon!r})")
        return " | ".join(parts)

    def __repr__(self) -> str:
        """Its name, and the text that builds it."""
        return textwrap.shorten(f"{self.name}: {self.text}", 2 * WIDTH, placeholder=" …")

    def table(self) -> list[dict[str, Any]]:
        """A row for each part of its text: what it is, and what it says."""
        rate = {"part": "rate", "text": "chosen by trials" if self.lr is None else f"{self.lr:g}"}
        rows = [{"part": "method", "text": self.method}, rate]
        rows += [{"part": key, "text": _show(value)} for key, value in self.options.items()]
        rows += [{"part": f"schedule of {key}", "text": text} for key, text in self.schedules.items()]
        rows += [{"part": "controller", "text": text} for text in self.controllers]
        rows += [{"part": part, "text": text} for part in ("average", "horizon") if (text := getattr(self, part))]
        return rows

    def at_rate(self, lr: float) -> StrategySpec:
        """The same strategy with its base rate settled."""
        return self.model_copy(update={"lr": lr})

    def without_horizon(self) -> StrategySpec:
        """The same strategy as long as what it is run in."""
        return self.model_copy(update={"horizon": ""}) if self.horizon else self

    def steps_within(self, steps: int, *, steps_per_epoch: int | None) -> int:
        """How long its runs are, in updates.

            "": steps     "p%": round(p / 100 · steps)     "e epochs": round(e · steps_per_epoch)

        Args:
            steps: the study's length, which is the longest.

        Raises:
            UsageError: the horizon comes to less than one update, or to more than `steps`; it is in epochs and
                `steps_per_epoch` is None.

        >>> StrategySpec(name="x", method="sgd", horizon="2 epochs").steps_within(100, steps_per_epoch=10)
        20
        """
        if not self.horizon:
            return steps
        from calando.schedules.span import Horizon, Span

        own = round(Horizon(steps, steps_per_epoch).steps(Span.parse(self.horizon)))
        if own < 1:
            raise UsageError(
                f"strategy {self.name!r}: its horizon, '{self.horizon}', comes to less than one update; make it longer"
            )
        if own > steps:
            raise UsageError(
                f"strategy {self.name!r}: its horizon, '{self.horizon}', is {own:.9g} updates and must be at most what "
                f"the longest runs are asked to have, {steps}; give --epochs or --steps that is as long"
            )
        return own


def _show(value: Option) -> str:
    return str(list(value)) if isinstance(value, tuple) else repr(value)


class RunSpec(Spec):
    """One (workload, strategy, horizon, seed) on one lane; the key of a run record.

    Args:
        steps: the horizon, in updates.
        steps_per_epoch: updates in one pass over the training part.
        evaluate_every: updates between evaluations on the validation part; the last update is always evaluated.
        skips: (update, batches): from that update on, so many batches of the seed's order are left out.
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
        """The workload of a run in our own loop."""
        assert isinstance(self.workload, WorkloadSpec), "a person's own code trains this run"
        return self.workload

    @property
    def lr(self) -> float:
        """The base rate."""
        assert self.strategy.lr is not None
        return self.strategy.lr

    @property
    def horizon(self) -> Horizon:
        """What lengths are measured against."""
        from calando.schedules.span import Horizon

        return Horizon(self.steps, self.steps_per_epoch)

    def canonical(self) -> str:
        """As for every spec, but blind to the names of strategy and workload: equal training is one run."""
        nameless = self.strategy.model_copy(update={"name": ""})
        return self.model_copy(update={"strategy": nameless, "workload": self.workload.nameless()}).model_dump_json()


class Centre(Spec):
    """Where a range test put the middle of a strategy's rate grid, and what that cost.

    Args:
        lr: base rate; None: the range test found none, and the grid stays round the method's usual rate.
        low, high: over the repeats; equal to `lr` where there was one.
        doubts: why none was found.
        updates, seconds: spent on the range test, which strategies of the same method and options share.
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
        strategies: at least one; names are distinct.
        rate_grids: strategy name -> the ascending trial rates, for strategies whose rate is chosen.
        beyond: how many rates a grid may go on by, past the end where its best trial lies, at the same ratio; None:
            one, and chosen as in stores of schema 4 and before, whose studies keep their rule.
        find: range tests come first, and each grid is moved so that its middle is what they find.
        centres: strategy name -> what they found; empty before, or where none was asked for.
        seeds: number of paired seeds, 0 … seeds-1; rates are chosen at seed 0.
        steps: its length: that of the runs of every strategy without a horizon of its own, and the longest there is.
        target: the validation score whose first reaching is counted in steps; None: the best fixed-rate score.
    """

    workload: AnyTask
    strategies: tuple[StrategySpec, ...]
    rate_grids: dict[Name, tuple[float, ...]]
    beyond: Annotated[int, Field(ge=0, le=MOST_BEYOND), Worded(remark="rates that a grid may go on by")] | None = BEYOND
    find: bool = False
    centres: dict[Name, Centre] = Field(default_factory=dict)
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)]
    steps: Steps
    steps_per_epoch: PositiveInt
    evaluate_every: PositiveInt
    target: Annotated[float, Field(allow_inf_nan=False)] | None = None
    lane: Lane = Lane()

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        names = [strategy.name for strategy in self.strategies]
        if not names:
            raise UsageError("a study needs at least one strategy; see `calando strategies`")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"strategy {twice[0]!r} is given twice; give each a name of its own")
        assert all((s.lr is None) == (s.name in self.rate_grids) for s in self.strategies)
        runs = len(names) * self.seeds + sum(map(len, self.rate_grids.values()))
        if runs > MOST_RUNS:
            raise UsageError(f"a study has at most {MOST_RUNS} runs, got {runs}; ask with fewer strategies or seeds")
        return self

    @model_validator(mode="after")
    def _target_is_a_score(self) -> Self:
        if self.target is not None and self.workload.measure.share and not 0 < self.target <= 1:
            raise UsageError(f"target must be a validation score in (0, 1], got {self.target:g}")
        return self

    @model_validator(mode="after")
    def _horizons_are_within(self) -> Self:
        for strategy in self.strategies:
            self.steps_of(strategy)
        return self

    def canonical(self) -> str:
        """Blind to the workload's name, and to how far grids may go on unless it was asked, as in older studies."""
        nameless = self.model_copy(update={"workload": self.workload.nameless()})
        return nameless.model_dump_json(exclude={"beyond"} if self.beyond in (None, BEYOND) else None)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The different lengths of its runs, in updates, ascending."""
        return tuple(sorted({self.steps_of(strategy) for strategy in self.strategies}))

    def strategy(self, name: str) -> StrategySpec:
        """The strategy of that name."""
        return next(strategy for strategy in self.strategies if strategy.name == name)

    def steps_of(self, strategy: StrategySpec) -> int:
        """How long the runs of a strategy are, in updates."""
        return strategy.steps_within(self.steps, steps_per_epoch=self.steps_per_epoch)

    def run(self, strategy: StrategySpec, *, seed: int) -> RunSpec:
        """The run of one strategy, its rate settled, at one seed."""
        return RunSpec(
            workload=self.workload,
            strategy=strategy.without_horizon(),
            steps=self.steps_of(strategy),
            steps_per_epoch=self.steps_per_epoch,
            evaluate_every=self.evaluate_every,
            seed=seed,
            lane=self.lane,
        )
