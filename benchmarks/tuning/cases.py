"""The cases that `calando tune` is judged on: developed on one half of them, shown on the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from calando.records import RunSpec
from calando.strategy import read_strategy
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.tasks.catalog import resolve
from calando.tasks.workload import Workload

__all__ = ["CASES", "SCHEDULES", "Case", "settled"]

SGD = "sgd(lr={lr!r}, momentum=0.9, weight_decay=0.0005)"
ADAM = "adam(lr={lr!r})"
ADAMW = "adamw(lr={lr!r}, weight_decay=0.05)"

SHALLOW = "finders.nets:shallow"

SCHEDULES = {
    "half": "constant(1, over='50%') >> linear(1, 0)",
    "cosine": "cosine(1, 0)",
    "linear": "linear(1, 0)",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A task, a method and a length.

    Args:
        data, model, batch, limit, validation: as `calando.tasks.catalog.resolve` takes them.
        method: strategy text with {lr!r} for the rate.
        exponents: of two, lowest and highest, between which the rates of the table of truth lie.
        steps: of one run.
        untouched: not opened before the rules were frozen.
    """

    name: str
    data: str
    method: str
    exponents: tuple[int, int]
    steps: int
    model: str | None = None
    batch: int | None = None
    limit: int | None = None
    validation: float | None = None
    untouched: bool = False

    @property
    def rates(self) -> list[int]:
        """Exponents of two, the middle first and outward."""
        low, high = self.exponents
        middle = (low + high) / 2
        return sorted(range(low, high + 1), key=lambda k: (abs(k - middle), k))

    def strategy(self, rate: float, schedule: str) -> str:
        return f"{self.method.format(lr=rate)} | {SCHEDULES[schedule]}"

    @property
    def definition(self) -> str:
        """What stored figures belong to."""
        return f"{self.data} {self.model} {self.batch} {self.limit} {self.validation} {self.steps} {self.method}"


CASES = (
    Case(
        name="digits-cnn-sgd",
        data="digits",
        model="cnn",
        batch=32,
        method=SGD,
        exponents=(-8, 1),
        steps=300,
        validation=0.4,
    ),
    Case(name="table-mlp-sgd", data="finders.own_tasks:table", method=SGD, exponents=(-10, -2), steps=400),
    Case(name="cifar-deep-sgd", data="tuning.tasks:cifar_deep", method=SGD, exponents=(-9, -2), steps=900),
    Case(name="cifar-resnet8-sgd", data="tuning.tasks:cifar_resnet8", method=SGD, exponents=(-7, 1), steps=700),
    Case(
        name="fashion-resnet8-adamw", data="tuning.tasks:fashion_resnet8", method=ADAMW, exponents=(-12, -4), steps=500
    ),
    Case(name="fashion-grouped-sgd", data="tuning.tasks:fashion_grouped", method=SGD, exponents=(-8, 0), steps=600),
    Case(
        name="labels-cnn-adamw",
        data="finders.own_tasks:labels",
        method=ADAMW,
        exponents=(-13, -3),
        steps=300,
        untouched=True,
    ),
    Case(
        name="pixels-net-adam",
        data="finders.own_tasks:pixels",
        method=ADAM,
        exponents=(-13, -3),
        steps=300,
        untouched=True,
    ),
    Case(
        name="digits-shallow-sgd-long",
        data="digits",
        model=SHALLOW,
        batch=64,
        method=SGD,
        exponents=(-9, 0),
        steps=900,
        validation=0.4,
        untouched=True,
    ),
    Case(
        name="cifar-cnn-sgd-batch-128",
        data="tuning.tasks:cifar_cnn",
        method=SGD,
        exponents=(-8, 1),
        steps=300,
        untouched=True,
    ),
    Case(
        name="fsdd-res8-narrow-sgd",
        data="fsdd",
        model="res8-narrow",
        batch=32,
        method=SGD,
        exponents=(-8, 1),
        steps=300,
        untouched=True,
    ),
)


@cache
def prepare(case: Case, data_dir: Path) -> tuple[RunSpec, Workload]:
    """A run of the case, of whatever rate and seed, and its task; the data are read once a process."""
    if case.model is None:
        spec = resolve(case.data)
    else:
        spec = resolve(
            case.data,
            model=case.model,
            batch_size=case.batch,
            train_limit=case.limit,
            validation_fraction=case.validation,
        )
    budget, machine = Budget(steps=case.steps), Machine(device="cpu", precision="fp32")
    return build_run(spec, "sgd(lr=1.0)", budget=budget, machine=machine, data_dir=data_dir)


def settled(case: Case, strategy: str, *, seed: int, data_dir: Path) -> tuple[RunSpec, Workload]:
    """One run of the case."""
    spec, workload = prepare(case, data_dir)
    update = {"strategy": read_strategy(strategy), "seed": seed, "evaluate_every": case.steps}
    return spec.model_copy(update=update), workload
