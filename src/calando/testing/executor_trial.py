"""An executor on trial: a small task with moods, jobs for it, and what a run alone gives."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from calando.errors import DiskFull
from calando.records import RunRecord, RunSpec
from calando.study.build_spec import build_run
from calando.study.checkpoint_cache import run_folder
from calando.study.executors import Executor
from calando.study.jobs import (
    Finished,
    Job,
    JobProgress,
    Lease,
    Left,
    OnProgress,
    Outcome,
)
from calando.study.limits import Budget, Machine
from calando.study.workers.messages import Setup
from calando.tasks.custom import workload
from calando.tasks.workload import Workload
from calando.testing.require import require
from calando.training.loop import execute

__all__ = ["CONSTANT", "PATIENCE_SECONDS", "STEPS", "ExecutorTrial", "Make", "alone", "moody_task", "result_of", "same"]

STEPS = 24
PATIENCE_SECONDS = 300
CONSTANT = "sgd(lr=0.01, momentum=0.9)"

Make = Callable[[Setup, OnProgress], Executor]
_numbers = itertools.count(1)


class _Net(nn.Module):
    """Batch norm and dropout: what breaks resuming elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(256, 3),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.layers(images)
        return scores


@dataclasses.dataclass(frozen=True)
class _MoodyLoss:
    """A loss that does what a file says: dawdle for so many seconds, fail, or find the disk full."""

    mood: Path

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        match self.mood.read_text().split():
            case ["dawdle", seconds]:
                time.sleep(float(seconds))
            case ["mistaken"]:
                raise RuntimeError("my own mistake\nwith two lines")
            case ["full"]:
                raise DiskFull(f"no space left for {self.mood}; free some and run the same command again")
        return nn.functional.cross_entropy(outputs, targets)


def moody_task(mood: Path) -> Workload:
    """A small task whose loss reads in the file `mood` what to do; calm."""
    mood.write_text("calm")
    labels = torch.arange(120) % 3
    noise = torch.randint(0, 60, (120, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    images = (noise + 60 * labels[:, None, None, None]).to(torch.uint8)
    return workload(
        train=(images, labels),
        test=(images[:30].clone(), labels[:30]),
        model=_Net,
        loss=_MoodyLoss(mood),
        batch_size=16,
        augment="crop(1)+flip",
    )


class ExecutorTrial:
    """An executor under test, with its study's folder, its task, and what it has reported so far.

    Args:
        make: builds the executor.
        folder: folder of the task's behaviour file and, in it, of the study.
        start: whether to start the executor at once.
    """

    def __init__(self, make: Make, folder: Path, *, start: bool = True) -> None:
        self.mood = folder / "mood"
        self.workload = moody_task(self.mood)
        self.folder = folder / "study"
        self.folder.mkdir(exist_ok=True)
        self.make = make
        self._alone: dict[str, tuple[RunRecord, list[bytes]]] = {}
        if start:
            self.start()

    def start(self) -> None:
        """Start an executor on the study's folder."""
        self.stopped = False
        self.progress: list[JobProgress] = []
        self.forks: list[Left] = []
        spec = self.run(CONSTANT, seed=0).workload
        setup = Setup(task=spec, given=self.workload, data_dir=None, folder=self.folder, threads=1)
        self.executor = self.make(setup, self.progress.append)

    def stop(self) -> list[Outcome]:
        """Stop the executor; return what it still reported."""
        self.stopped = True
        return self.executor.stop()

    def run(self, text: str, *, seed: int, steps: int = STEPS) -> RunSpec:
        """The spec of a run of the task."""
        spec, _ = build_run(self.workload, text, budget=Budget(steps=steps), machine=Machine(device="cpu"))
        return spec.model_copy(update={"evaluate_every": 4, "seed": seed})

    def submit(self, job: Job) -> Lease:
        """Submit a job to the executor."""
        lease = Lease(next(_numbers), job)
        self.executor.submit(lease)
        return lease

    def hear(self, *leases: Lease) -> list[Outcome]:
        """Wait for the outcome that ends each lease, in their order; each is reported once."""
        ends: dict[int, Outcome] = {}
        until = time.monotonic() + PATIENCE_SECONDS
        while len(ends) < len(leases):
            require(time.monotonic() < until, f"in {PATIENCE_SECONDS} s only {ends} and {self.progress[-2:]}")
            for outcome in self.executor.poll(seconds=0.2):
                require(outcome.lease.number not in ends, f"lease {outcome.lease.number} ended twice: {outcome}")
                if isinstance(outcome, Left):
                    self.forks.append(outcome)
                else:
                    ends[outcome.lease.number] = outcome
        return [ends[lease.number] for lease in leases]

    def do(self, *jobs: Job) -> list[Outcome]:
        """Do the jobs, as many at a time as there are slots, and return their outcomes."""
        ends: list[Outcome] = []
        for first in range(0, len(jobs), self.executor.slots):
            ends += self.hear(*[self.submit(job) for job in jobs[first : first + self.executor.slots]])
        return ends

    def process_of(self, lease: Lease) -> int:
        """Wait for the id of the process that trains a lease; for an executor that has `process_ids`."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            require(time.monotonic() < until, f"no progress of {lease}")
            outcomes = self.executor.poll(seconds=0.2)
            require(not outcomes, f"{outcomes} before any progress of {lease}")
            ids: list[int] = self.executor.process_ids  # type: ignore[attr-defined]
            slots = [one.slot for one in self.progress if one.lease == lease and one.now.step > 1]
            if slots and len(ids) == self.executor.slots:
                return ids[slots[0]]

    def weights(self, spec: RunSpec) -> list[bytes]:
        """The tensors of a run's checkpoint."""
        return _tensors(run_folder(self.folder, spec.digest()))

    def require_as_alone(self, spec: RunSpec, outcome: Outcome, *, inherited: int = 0) -> None:
        """Require that record and weights are, to the bit, those of the run trained alone."""
        if spec.digest() not in self._alone:
            self._alone[spec.digest()] = alone(spec, self.workload, self.folder.parent)
        record, weights = self._alone[spec.digest()]
        what = f"{spec.strategy.text} at seed {spec.seed}"
        if not isinstance(outcome, Finished) or not isinstance(outcome.result, RunRecord):
            raise AssertionError(f"{what} ended with {outcome}")
        require(same(outcome.result, record), f"{what} has another record than alone")
        require(self.weights(spec) == weights, f"{what} has other weights than alone")
        made = outcome.result.inherited
        require(made == inherited, f"{what} inherited {made} updates, not {inherited}")


def alone(spec: RunSpec, task: Workload, folder: Path) -> tuple[RunRecord, list[bytes]]:
    """A run as `execute` makes it, and the tensors of its last checkpoint."""
    folder = folder / f"alone-{spec.digest()}"
    return execute(spec, task, folder=folder, keep=True), _tensors(folder)


def same(ours: RunRecord, theirs: RunRecord) -> bool:
    """To the bit, wall-clock and machine left out."""
    return _bits(ours) == _bits(theirs)


def _bits(record: RunRecord) -> tuple[object, ...]:
    evaluations = repr(record.evaluations)  # nan equals nan
    return record.outcome, record.losses.tobytes(), record.rates.tobytes(), evaluations, record.events, record.undone


def _tensors(folder: Path) -> list[bytes]:
    found = sorted(folder.glob("tensors-*"))
    require(bool(found), f"no checkpoint in {folder}")
    return [path.read_bytes() for path in found]


def result_of(outcome: Outcome) -> object:
    if not isinstance(outcome, Finished):
        raise AssertionError(f"ended with {outcome}")
    return outcome.result
