"""What the executors' tests stand on: a workload whose mood a file decides, and a crew that is talked to."""

import dataclasses
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tests.training.small_runs import a_run, a_workload, bits

from calando.errors import DiskFull
from calando.records import RunRecord, RunSpec
from calando.study.checkpoint_cache import run_folder
from calando.study.executors import Executor
from calando.study.jobs import Job, JobProgress, Lease, Left, OnProgress, Outcome
from calando.study.workers.messages import Setup
from calando.tasks.workload import Workload
from calando.training.loop import execute

STEPS = 24
PATIENCE_SECONDS = 90
numbers = itertools.count(1)

Make = Callable[[Setup, OnProgress], Executor]


@dataclasses.dataclass(frozen=True)
class Moody:
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
        return torch.nn.functional.cross_entropy(outputs, targets)


def a_moody_workload(folder: Path) -> Workload:
    """Small, with batch norm and dropout; calm."""
    mood = folder / "mood"
    mood.write_text("calm")
    return dataclasses.replace(a_workload(), loss=Moody(mood))


class Crew:
    """An executor, its study's folder and workload, and what it said on the way.

    Args:
        folder: of the mood and, in it, of the study.
        start: at once.
    """

    def __init__(self, make: Make, folder: Path, *, start: bool = True) -> None:
        self.workload = a_moody_workload(folder)
        self.mood = self.workload.loss.mood
        self.folder = folder / "study"
        self.folder.mkdir(exist_ok=True)
        self.make = make
        if start:
            self.start()

    def start(self) -> None:
        """An executor on the study's folder."""
        self.stopped = False
        self.progress: list[JobProgress] = []
        self.forks: list[Left] = []
        spec = a_run("sgd(lr=0.1)", self.workload).workload
        setup = Setup(workload=spec, given=self.workload, data_dir=None, folder=self.folder, threads=1)
        self.executor = self.make(setup, self.progress.append)

    def stop(self) -> list[Outcome]:
        self.stopped = True
        return self.executor.stop()

    def run(self, text: str, *, seed: int, steps: int = STEPS) -> RunSpec:
        return a_run(text, self.workload, steps=steps).model_copy(update={"seed": seed})

    def submit(self, job: Job) -> Lease:
        lease = Lease(next(numbers), job)
        self.executor.submit(lease)
        return lease

    def hear(self, *leases: Lease) -> list[Outcome]:
        """The last word of each lease, in their order; each is said once."""
        words: dict[int, Outcome] = {}
        until = time.monotonic() + PATIENCE_SECONDS
        while len(words) < len(leases):
            assert time.monotonic() < until, f"heard only {words} and {self.progress[-2:]}"
            for outcome in self.executor.poll(seconds=0.2):
                assert outcome.lease.number not in words
                if isinstance(outcome, Left):
                    self.forks.append(outcome)
                else:
                    words[outcome.lease.number] = outcome
        return [words[lease.number] for lease in leases]

    def do(self, *jobs: Job) -> list[Outcome]:
        """The last words of jobs, as many at a time as there are slots."""
        words: list[Outcome] = []
        for start in range(0, len(jobs), self.executor.slots):
            words += self.hear(*[self.submit(job) for job in jobs[start : start + self.executor.slots]])
        return words

    def process_of(self, lease: Lease) -> int:
        """The id of the process that trains it, once it does."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert time.monotonic() < until, f"no progress of {lease}"
            outcomes = self.executor.poll(seconds=0.2)
            assert not outcomes, outcomes
            ids = self.executor.process_ids
            slots = [told.slot for told in self.progress if told.lease == lease and told.step > 1]
            if slots and len(ids) == self.executor.slots:
                return ids[slots[0]]

    def weights(self, spec: RunSpec) -> list[bytes]:
        """The tensors of a run's checkpoint."""
        return tensors(run_folder(self.folder, spec.digest()))


def alone(spec: RunSpec, workload: Workload, folder: Path) -> tuple[RunRecord, list[bytes]]:
    """A run as `execute` makes it, and the tensors of its last checkpoint."""
    folder = folder / f"alone-{spec.digest()}"
    return execute(spec, workload, folder=folder, keep=True), tensors(folder)


def tensors(folder: Path) -> list[bytes]:
    found = sorted(folder.glob("tensors-*"))
    assert found, folder
    return [path.read_bytes() for path in found]


def same(ours: RunRecord, theirs: RunRecord) -> bool:
    """To the bit, wall-clock and machine left out."""
    return bits(ours) == bits(theirs) and ours.undone == theirs.undone
