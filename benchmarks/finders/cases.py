"""The twelve workloads that finders are judged on, a third of them held out while the rule is chosen; and OWN_TASKS.

Three data sets, networks with and without normalisation, SGD with momentum, Adam and AdamW, batches of 32 to 512.
Every case names its strategy without a rate: `strategy(rate)` settles it, `linear(1, 0)` decays it. Five of them are
trained at a constant rate as well, which is what the recommendation for constant rates rests on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from calando.records import RunSpec
from calando.strategy import read_strategy
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.tasks.catalog import resolve
from calando.tasks.workload import Workload

__all__ = ["CASES", "CONSTANT_CASES", "OWN_TASKS", "Case", "chance_of", "prepare", "settled"]

SGD = "sgd(lr={lr!r}, momentum=0.9, weight_decay=0.0005)"
ADAM = "adam(lr={lr!r})"
ADAMW = "adamw(lr={lr!r}, weight_decay=0.05)"
AT_A_CONSTANT_RATE = "-constant"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A workload, a method and a length of training.

    Args:
        name: data-network-batch-method.
        data, model, batch, limit, validation: as `registry.resolve` takes them; `limit` is its train_limit.
        method: strategy text with {lr!r} for the rate.
        centre: exponent of two at which the walk over rates begins.
        steps: of one run of the table of truth.
        seeds: runs a rate in the table of truth.
        held_out: not looked at while the rule was chosen.
        schedule: of the rate, in the table of truth.
    """

    name: str
    data: str
    model: str
    batch: int
    method: str
    centre: int
    steps: int
    seeds: int = 2
    limit: int | None = None
    validation: float = 0.1
    held_out: bool = False
    schedule: str = "linear(1, 0)"

    @property
    def curves(self) -> str:
        """The name of the case whose sweeps are judged: a schedule changes nothing about them."""
        return self.name.removesuffix(AT_A_CONSTANT_RATE)

    def strategy(self, rate: float) -> str:
        """The text of the strategy at a rate."""
        return f"{self.method.format(lr=rate)} | {self.schedule}"

    @property
    def definition(self) -> str:
        """What the stored scores belong to: where this changes they are measured again."""
        return f"{self.data} {self.model} {self.batch} {self.limit} {self.validation} {self.steps} {self.strategy(1.0)}"


def _case(
    data: str, model: str, batch: int, label: str, method: str, steps: int, *, seeds: int = 2, held_out: bool = False
) -> Case:
    small = data == "digits"
    return Case(
        name=f"{data.partition('-')[0]}-{model.rpartition(':')[2]}-{batch}-{label}",
        data=data,
        model=model,
        batch=batch,
        method=method,
        centre=-4 if method == SGD else -8,
        steps=steps,
        seeds=seeds,
        limit=None if small else 10_000,
        validation=0.4 if small else 0.1,
        held_out=held_out,
    )


SHALLOW, DEEP = "finders.nets:shallow", "finders.nets:deep"

CASES = (
    _case("digits", "cnn", 32, "sgd", SGD, 160, seeds=4),
    _case("digits", "cnn", 64, "adam", ADAM, 160, seeds=4),
    _case("digits", SHALLOW, 64, "sgd", SGD, 160, seeds=4, held_out=True),
    _case("digits", DEEP, 128, "adamw", ADAMW, 160, seeds=4),
    _case("fashion-mnist", "cnn", 128, "sgd", SGD, 140),
    _case("fashion-mnist", SHALLOW, 64, "sgd", SGD, 200),
    _case("fashion-mnist", DEEP, 32, "adam", ADAM, 240, held_out=True),
    _case("fashion-mnist", "plain8", 256, "adamw", ADAMW, 70),
    _case("cifar10", "resnet8", 128, "sgd", SGD, 120),
    _case("cifar10", "plain8", 128, "sgd", SGD, 120, held_out=True),
    _case("cifar10", "cnn", 512, "adamw", ADAMW, 64, held_out=True),
    _case("cifar10", DEEP, 128, "sgd", SGD, 140),
)

OWN_TASKS = tuple(
    Case(
        name=f"{task}-own-{batch}-{label}",
        data=f"finders.own_tasks:{task}",
        model="own",
        batch=batch,
        method=method,
        centre=-4 if method == SGD else -8,
        steps=steps,
        seeds=4,
        validation=0.0,
        held_out=True,
    )
    for task, batch, label, method, steps in (
        ("table", 32, "sgd", SGD, 200),
        ("pixels", 64, "adam", ADAM, 150),
        ("labels", 64, "adamw", ADAMW, 150),
    )
)
"""Tasks of our loop that are no image classification; their scores are shares of what can be had."""

CONSTANT_CASES = tuple(
    replace(case, name=case.name + AT_A_CONSTANT_RATE, schedule="constant(1)", seeds=2)
    for case in CASES
    if not case.held_out and case.data in ("digits", "fashion-mnist") and case.model != "plain8"
)


@cache
def chance_of(case: Case) -> float | None:
    """The loss of a network that knows the targets' distribution alone, as `find_lr` would know it."""
    return prepare(case, Path())[1].chance_loss


@cache
def prepare(case: Case, data_dir: Path) -> tuple[RunSpec, Workload]:
    """The spec of a run (seed 0, rate 1) and the workload, loaded."""
    spec = resolve(
        case.data,
        model=case.model,
        batch_size=case.batch,
        train_limit=case.limit,
        validation_fraction=case.validation or None,
    )
    run, workload = build_run(
        spec, case.strategy(1.0), budget=Budget(steps=case.steps), machine=Machine(device="cpu"), data_dir=data_dir
    )
    return run.model_copy(update={"evaluate_every": case.steps}), workload


def settled(case: Case, data_dir: Path, *, rate: float, seed: int) -> tuple[RunSpec, Workload]:
    """One run of the table of truth."""
    run, workload = prepare(case, data_dir)
    return run.model_copy(update={"strategy": read_strategy(case.strategy(rate)), "seed": seed}), workload
