"""What runs may take: how long they are, and what of this machine they get, its disk included."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TypeVar

from calando.errors import UsageError
from calando.host import count_processors
from calando.records import WorkloadSpec
from calando.records.spec import MOST_STEPS
from calando.schedules import Span
from calando.tasks.catalog import data_entry

__all__ = ["GIVEN", "KEEP", "Budget", "Length", "Machine", "read_size"]

MOST_WORKERS = 1024
Number = TypeVar("Number", int, float)
# How a spec names the user's own object, and the length of its runs where nothing is said.
GIVEN, GIVEN_EPOCHS = "python:", 10

KEEP = "5GB"
"""What checkpoints may take, unless another budget is given."""

_UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


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

    @classmethod
    def whole(cls, *, device: str, precision: str, threads: int | None) -> Machine:
        """For a single run: all of the machine's cores, unless `threads` says how many."""
        return cls(device=device, precision=precision, threads=count_processors() if threads is None else threads)

    def count_workers(self, device: str) -> int:
        """How many worker processes to start.

        Raises:
            UsageError: fewer than one asked for, or absurdly many.
        """
        if self.workers is not None:
            if not 1 <= self.workers <= MOST_WORKERS:
                raise UsageError(f"workers must be from 1 to {MOST_WORKERS}, got {self.workers}")
            return self.workers
        return 1 if device.startswith("cuda") else max(1, count_processors() // self.threads)


@dataclass(frozen=True, kw_only=True)
class Length:
    """How long runs are, as it was said and in updates."""

    span: Span
    steps: int


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long runs are. At most one of the two; neither: the workload's usual number of epochs.

    Args:
        epochs, steps: one length, or several: then every strategy is run at each.
    """

    epochs: float | Sequence[float] | None = None
    steps: int | Sequence[int] | None = None

    def settle(self, spec: WorkloadSpec, *, per_epoch: int) -> tuple[Length, ...]:
        """The lengths, shortest first; at least one.

        Raises:
            UsageError: both given, a length that is not above zero, none, or the same one twice.
        """
        if self.epochs is not None and self.steps is not None:
            raise UsageError("give --epochs or --steps, not both")
        if self.steps is not None:
            lengths = [_of_steps(steps) for steps in _several("steps", self.steps)]
        else:
            usual = GIVEN_EPOCHS if spec.data.startswith(GIVEN) else data_entry(spec.data).epochs
            asked = _several("epochs", usual if self.epochs is None else self.epochs)
            lengths = [_of_epochs(epochs, per_epoch=per_epoch) for epochs in asked]
        lengths.sort(key=lambda length: length.steps)
        for one, other in itertools.pairwise(lengths):
            if one.steps == other.steps:
                raise UsageError(
                    f"the lengths asked for must differ, got '{one.span}' and '{other.span}', {one.steps} updates both"
                )
        return tuple(lengths)


def _several(name: str, given: Number | Sequence[Number]) -> Sequence[Number]:
    if not isinstance(given, Sequence):
        return [given]
    if isinstance(given, str) or not given:
        raise UsageError(f"{name} must be a number, or several as in (4, 8, 20), got {given!r}")
    return given


def _of_steps(steps: int) -> Length:
    if not isinstance(steps, Integral) or isinstance(steps, bool) or not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"steps must be from 1 to {MOST_STEPS}, got {steps}")
    return Length(span=Span(int(steps), "steps"), steps=int(steps))


def _of_epochs(epochs: float, *, per_epoch: int) -> Length:
    if not isinstance(epochs, Real) or not 0 < epochs <= MOST_STEPS / per_epoch:
        raise UsageError(f"epochs must be above 0 and at most {MOST_STEPS // per_epoch}, got {epochs}")
    span = Span(epochs, "epochs")
    steps = round(span.resolve(MOST_STEPS, per_epoch))
    if steps < 1:
        raise UsageError(f"epochs must give at least one update ({per_epoch} make an epoch), got {epochs}")
    return Length(span=span, steps=steps)


def read_size(text: str | int) -> int:
    """Bytes of a size like "5GB", "500 MB", "2GiB" or 0.

    Raises:
        UsageError: it is not one.

    >>> read_size("1.5GB"), read_size(0)
    (1500000000, 0)
    """
    read = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(text))
    if read is None or read[2].upper() not in _UNITS:
        raise UsageError(f"a size is a number with kB, MB, GB or TB, like 5GB; got {text!r}")
    return round(float(read[1]) * _UNITS[read[2].upper()])
