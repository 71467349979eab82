"""What runs may take: how long they are, and what of this machine they get."""

from __future__ import annotations

import os
from dataclasses import dataclass

from calando.errors import UsageError
from calando.records import WorkloadSpec
from calando.workloads.registry import default_epochs

__all__ = ["GIVEN", "MOST_THREADS", "Budget", "Machine"]

MOST_STEPS, MOST_WORKERS, MOST_THREADS = 10_000_000, 1024, 1024
# How a spec names the user's own object, and the length of its runs where nothing is said.
GIVEN, GIVEN_EPOCHS = "python:", 10


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where runs are made. None: decided by the machine.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "auto", "fp32" or "bf16".
        threads: of each worker.
        workers: processes; None: one a core, divided by `threads`, or one on a GPU.
    """

    device: str = "auto"
    precision: str = "auto"
    threads: int = 1
    workers: int | None = None

    def count_workers(self, device: str) -> int:
        """How many worker processes to start.

        Raises:
            UsageError: fewer than one asked for, or absurdly many.
        """
        if self.workers is not None:
            if not 1 <= self.workers <= MOST_WORKERS:
                raise UsageError(f"workers must be from 1 to {MOST_WORKERS}, got {self.workers}")
            return self.workers
        return 1 if device.startswith("cuda") else max(1, len(os.sched_getaffinity(0)) // self.threads)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a run is. At most one of the two; neither: the workload's usual number of epochs."""

    epochs: float | None = None
    steps: int | None = None

    def settle(self, spec: WorkloadSpec, *, per_epoch: int) -> int:
        """The horizon in steps.

        Raises:
            UsageError: both given, or a length that is not above zero.
        """
        if self.epochs is not None and self.steps is not None:
            raise UsageError("give --epochs or --steps, not both")
        if self.steps is not None:
            if not 1 <= self.steps <= MOST_STEPS:
                raise UsageError(f"steps must be from 1 to {MOST_STEPS}, got {self.steps}")
            return self.steps
        usual = GIVEN_EPOCHS if spec.data.startswith(GIVEN) else default_epochs(spec.data)
        epochs = usual if self.epochs is None else self.epochs
        if not 0 < epochs <= MOST_STEPS / per_epoch:
            raise UsageError(f"epochs must be above 0 and at most {MOST_STEPS // per_epoch}, got {epochs}")
        steps = round(epochs * per_epoch)
        if steps < 1:
            raise UsageError(f"epochs must give at least one update ({per_epoch} make an epoch), got {epochs}")
        return steps
