"""Runs that benchmarks measure and keep: a workload of a fixed length, and a file that has a line a run."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from calando.records import RunRecord, RunSpec
from calando.records.files import write_atomically
from calando.strategy import read_strategy
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.tasks.catalog import resolve
from calando.tasks.workload import Workload
from calando.training.loop import execute

__all__ = ["Kept", "Task", "percent", "run_or_show"]

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained, and for how long; looked at once, after the last update, on the validation part.

    Args:
        data, model, batch, limit, validation: as `registry.resolve` takes them; `limit` is its train_limit.
        steps: updates of a run.
    """

    data: str
    model: str
    batch: int
    steps: int
    limit: int | None = None
    validation: float | None = None

    def __str__(self) -> str:
        """What a stored score belongs to."""
        images = "all" if self.limit is None else self.limit
        held_out = "" if self.validation is None else f", {self.validation:g} held out"
        return f"{self.data} ({images}{held_out}) {self.model} batch {self.batch} steps {self.steps}"

    def settled(self, strategy: str, *, seed: int, data_dir: Path) -> tuple[RunSpec, Workload]:
        """One run; the data are read once a process."""
        spec, workload = _loaded(replace(self, steps=1), data_dir)
        update = {"strategy": read_strategy(strategy), "seed": seed, "steps": self.steps, "evaluate_every": self.steps}
        return spec.model_copy(update=update), workload

    def run(self, strategy: str, *, seed: int, data_dir: Path) -> RunRecord:
        """Train."""
        return execute(*self.settled(strategy, seed=seed, data_dir=data_dir))


@cache
def _loaded(task: Task, data_dir: Path) -> tuple[RunSpec, Workload]:
    spec = resolve(
        task.data, model=task.model, batch_size=task.batch, train_limit=task.limit, validation_fraction=task.validation
    )
    budget, machine = Budget(steps=task.steps), Machine(device="cpu")
    return build_run(spec, "sgd(lr=1.0)", budget=budget, machine=machine, data_dir=data_dir)


@dataclass(frozen=True)
class Kept:
    """A JSON file of rows, one a line; rewritten whole after every run, so that it may be stopped at any time."""

    path: Path

    def rows(self) -> list[Row]:
        """All that were measured."""
        return json.loads(self.path.read_text()) if self.path.is_file() else []

    def find(self, **key: Any) -> list[Row]:
        """The rows with these values."""
        return [row for row in self.rows() if all(row[name] == value for name, value in key.items())]

    def measured(self, key: Row, measure: Callable[[], Row]) -> Row:
        """The row of that key: found, or measured, kept and printed."""
        if found := self.find(**key):
            return found[0]
        began = time.monotonic()
        row = key | measure()
        row["seconds"] = round(time.monotonic() - began, 1)
        self._write(sorted([*self.rows(), row], key=lambda row: json.dumps([row[name] for name in key])))
        print(time.strftime("%H:%M:%S"), json.dumps(row), flush=True)
        return row

    def forget(self, which: Callable[[Row], bool]) -> None:
        """Drop rows, to have them measured again."""
        self._write([row for row in self.rows() if not which(row)])

    def _write(self, rows: list[Row]) -> None:
        write_atomically(self.path, ("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n").encode())


def percent(score: float) -> float:
    """As kept in files: in percent, two digits."""
    return round(100 * score, 2)


def run_or_show(description: str | None, run: Callable[[Path], None], show: Callable[[], None]) -> None:
    """The command line of a benchmark that has no options of its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "show"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    if options.what == "run":
        torch.set_num_threads(1)
        run(options.data)
    show()
