"""What runs may take: their length, how often they are evaluated, what they get of this machine and its disk.

Several lengths in one study: every strategy is run at each, and all are evaluated as often.

    name       "wsd" at 4 and 8 epochs: "wsd 4 epochs", "wsd 8 epochs"; unchanged where there is one length
    every      min(s, max(e, ceil(s / 20)))     s: updates of the shortest run, e: of an epoch

The cadence is the shortest run's, so that a longer one added later leaves existing runs as they are.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal, TypeVar

from calando.analysis.looks import USUAL_MOST
from calando.errors import UsageError, quote
from calando.host import count_processors
from calando.language import joined, message
from calando.records import Lane, StrategySpec, StudySpec, WorkloadSpec
from calando.records.fields import check
from calando.records.spec import MOST_SEEDS, MOST_STEPS
from calando.schedules import Span
from calando.tasks.catalog import data_entry

__all__ = [
    "GIVEN",
    "KEEP",
    "Budget",
    "Machine",
    "RunLength",
    "at_lengths",
    "cadence",
    "expected_updates",
    "read_size",
    "settle_seeds",
    "threads_of",
]

MOST_WORKERS = 1024
Number = TypeVar("Number", int, float)
# How a spec names the user's own object, and the length of its runs where none is given.
GIVEN, GIVEN_EPOCHS = "python:", 10

MOST_EVALUATIONS = 20

USUAL_SEEDS = 5

KEEP = "5GB"
"""What checkpoints may take, unless another budget is given."""

_UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where runs are made; "auto" and None: decided by the machine.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "auto", "fp32" or "bf16".
        threads: of each worker.
        workers: processes; None: one a core, divided by `threads`, or one on a GPU.
        threads_by: what decided the threads; "": whoever asked.
    """

    device: str = "auto"
    precision: str = "auto"
    threads: int = 1
    workers: int | None = None
    threads_by: str = ""

    @classmethod
    def whole(cls, *, device: str, precision: str, threads: int | None) -> Machine:
        """For a single run: all of the machine's cores, unless `threads`, the environment or torch says how many."""
        count, by = threads_of(threads, usual=count_processors(), named="one a core")
        return cls(device=device, precision=precision, threads=count, threads_by=by)

    @classmethod
    def shared(cls, *, device: str, precision: str, threads: int | None, workers: int | None) -> Machine:
        """For many runs at once: a thread each, unless `threads`, the environment or torch says how many."""
        count, by = threads_of(threads, usual=1, named="one a run")
        return cls(device=device, precision=precision, threads=count, workers=workers, threads_by=by)

    def count_workers(self, device: str) -> int:
        """How many worker processes to start; UsageError for fewer than one, or absurdly many."""
        if self.workers is not None:
            if not 1 <= self.workers <= MOST_WORKERS:
                raise UsageError(
                    message(
                        "workers must be from 1 to {MOST_WORKERS}, got {workers}",
                        MOST_WORKERS=MOST_WORKERS,
                        workers=self.workers,
                    )
                )
            return self.workers
        return 1 if device.startswith("cuda") else max(1, count_processors() // self.threads)

    def said(self, lane: Lane, *, workers: int | None = None) -> str:
        """The lane in words, with what nobody asked for and what decided it.

        Args:
            workers: worker processes, where there are any.

        >>> Machine(device="cpu", threads_by="one a run").said(Lane(), workers=2)
        'cpu, fp32, 1 thread a run, 2 workers; chosen: precision (auto), threads (one a run), workers (one a core)'
        >>> Machine(device="cpu", precision="fp32").said(Lane())
        'cpu, fp32, 1 thread a run'
        """
        chosen = {
            "device": "auto" if self.device == "auto" else "",
            "precision": "auto" if self.precision == "auto" and lane.precision != "own" else "",
            "threads": message(self.threads_by),
        }
        parts = [lane.text]
        if workers is not None:
            parts.append(message("{count} workers" if workers > 1 else "{count} worker", count=workers))
            each = message("one on a GPU" if lane.device.startswith("cuda") else "one a core")
            by_threads = each if self.threads == 1 else message("{each}, by threads", each=each)
            chosen["workers"] = "" if self.workers is not None else by_threads
        said = joined("{one}, {other}", parts)
        why = [message("{name} ({meaning})", name=name, meaning=by) for name, by in chosen.items() if by]
        if why:
            return message("{lane}; chosen: {why}", lane=said, why=joined("{one}, {other}", why))
        return said


def threads_of(given: int | None, *, usual: int, named: str) -> tuple[int, str]:
    """CPU threads of a run, and what decided them: who asked (""), OMP_NUM_THREADS, torch's own setting, or our rule.

    torch's setting counts where it is neither what torch begins with, a thread a core or a physical core, nor ours.
    """
    if given is not None:
        return given, ""
    # "4,2" is of nested regions: the first number is the outermost's.
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    torch = sys.modules.get("torch")
    processors = count_processors()
    begins_with = {processors, max(1, processors // 2), os.cpu_count(), *([int(asked)] if asked.isdecimal() else [])}
    if (
        torch is not None
        and hasattr(torch, "get_num_threads")
        and (set_to := torch.get_num_threads()) not in begins_with
    ):
        return set_to, "torch.set_num_threads"
    if asked.isdecimal() and int(asked) > 0:
        return int(asked), "OMP_NUM_THREADS"
    return usual, named


@dataclass(frozen=True, kw_only=True)
class RunLength:
    span: Span
    steps: int


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long runs are: --epochs or --steps, one or several; neither: the workload's usual number of epochs."""

    epochs: float | Sequence[float] | None = None
    steps: int | Sequence[int] | None = None

    def settle(self, spec: WorkloadSpec, *, per_epoch: int) -> tuple[RunLength, ...]:
        """The lengths, shortest first; UsageError where there is none, two are equal, or both are given."""
        usual = GIVEN_EPOCHS if spec.data.startswith(GIVEN) else data_entry(spec.data).epochs
        budget = self if self.steps is not None or self.epochs is not None else Budget(epochs=usual)
        return budget.settle_at(per_epoch=per_epoch)

    def settle_at(self, *, per_epoch: int) -> tuple[RunLength, ...]:
        """The same of a budget that says one of the two."""
        if self.epochs is not None and self.steps is not None:
            raise UsageError(message("give epochs= or steps=, not both"))
        if self.steps is not None:
            lengths = [_of_steps(steps) for steps in _several("steps", self.steps)]
        else:
            assert self.epochs is not None
            lengths = [_of_epochs(epochs, per_epoch=per_epoch) for epochs in _several("epochs", self.epochs)]
        lengths.sort(key=lambda length: length.steps)
        for one, other in itertools.pairwise(lengths):
            if one.steps == other.steps:
                raise UsageError(
                    message(
                        "the lengths asked for must differ, got '{span}' and '{other}', {steps} updates both",
                        span=one.span,
                        other=other.span,
                        steps=one.steps,
                    )
                )
        return tuple(lengths)


def _several(name: str, given: Number | Sequence[Number]) -> Sequence[Number]:
    if not isinstance(given, Sequence):
        return [given]
    if isinstance(given, str) or not given:
        raise UsageError(
            message("{name} must be a number, or several as in (4, 8, 20), got {given!r}", name=name, given=given)
        )
    return given


def _of_steps(steps: int) -> RunLength:
    if not isinstance(steps, Integral) or isinstance(steps, bool) or not 1 <= steps <= MOST_STEPS:
        raise UsageError(
            message("steps must be from 1 to {MOST_STEPS}, got {steps}", MOST_STEPS=MOST_STEPS, steps=steps)
        )
    return RunLength(span=Span(int(steps), "steps"), steps=int(steps))


def _of_epochs(epochs: float, *, per_epoch: int) -> RunLength:
    if not isinstance(epochs, Real) or not 0 < epochs <= MOST_STEPS / per_epoch:
        raise UsageError(
            message(
                "epochs must be above 0 and at most {MOST_STEPS}, got {epochs}",
                MOST_STEPS=MOST_STEPS // per_epoch,
                epochs=epochs,
            )
        )
    span = Span(epochs, "epochs")
    steps = round(span.resolve(MOST_STEPS, per_epoch))
    if steps < 1:
        raise UsageError(
            message(
                "epochs must give at least one update ({per_epoch} make an epoch), got {epochs}",
                per_epoch=per_epoch,
                epochs=epochs,
            )
        )
    return RunLength(span=span, steps=steps)


def at_lengths(strategies: Sequence[StrategySpec], lengths: Sequence[RunLength]) -> tuple[StrategySpec, ...]:
    """Each strategy that has no horizon of its own once for each length, named after it.

    Args:
        lengths: ascending; where there is one, strategies stay as they are.

    >>> from calando.schedules import Span
    >>> two = [RunLength(span=Span(epochs, "epochs"), steps=10 * epochs) for epochs in (4, 8)]
    >>> [each.name for each in at_lengths([StrategySpec(name="wsd", method="sgd")], two)]
    ['wsd 4 epochs', 'wsd 8 epochs']
    """
    if len(lengths) == 1:
        return tuple(strategies)
    return tuple(
        strategy
        if strategy.horizon
        else strategy.model_copy(update={"name": f"{strategy.name} {length.span}", "horizon": str(length.span)})
        for strategy in strategies
        for length in (lengths[:1] if strategy.horizon else lengths)
    )


def cadence(steps: int, *, per_epoch: int) -> int:
    """Updates between two evaluations, from those of the shortest run: an epoch, or more if that is over twenty.

    >>> cadence(100, per_epoch=10), cadence(1000, per_epoch=10), cadence(5, per_epoch=10)
    (10, 50, 5)
    """
    return min(steps, max(per_epoch, -(-steps // MOST_EVALUATIONS)))


def settle_seeds(
    seeds: int | Literal["auto"], *, until: Literal["decided"] | None, most_seeds: int | None
) -> tuple[int, Literal["decided"] | None]:
    """How many seeds there are, or may be at most; and whether they are added until the verdicts are settled.

    Args:
        seeds: a fixed number; "auto" is the same as `until="decided"`.
        until: "decided", or None.
        most_seeds: how many a strategy may be given then; None: 20.

    Raises:
        UsageError: out of range, or one that contradicts another.

    >>> settle_seeds(5, until=None, most_seeds=None), settle_seeds("auto", until=None, most_seeds=12)
    ((5, None), (12, 'decided'))
    """
    if until not in (None, "decided"):
        raise UsageError(
            message('until must be "decided", or left out for a fixed number of seeds; got {until}', until=quote(until))
        )
    if isinstance(seeds, str) and seeds != "auto":
        raise UsageError(message("seeds must be a whole number or auto, got {seeds}", seeds=quote(seeds)))
    if until is None and not isinstance(seeds, str):
        if most_seeds is not None:
            raise UsageError(
                message("most_seeds is for seeds that are added until decided; ask for that (--until decided) too")
            )
        check(StudySpec, seeds=seeds)
        return seeds, None
    if not isinstance(seeds, str) and seeds != USUAL_SEEDS:
        raise UsageError(
            message(
                "seeds {seeds} is a fixed number, and until decided they are added as they are needed: leave "
                "one of the two out (--most-seeds says how many there may be)",
                seeds=quote(seeds),
            )
        )
    most = USUAL_MOST if most_seeds is None else most_seeds
    if not isinstance(most, Integral) or isinstance(most, bool) or not 2 <= most <= MOST_SEEDS:
        raise UsageError(
            message(
                "most_seeds must be from 2 to {MOST_SEEDS} (one seed decides nothing), got {most}",
                MOST_SEEDS=MOST_SEEDS,
                most=quote(most),
            )
        )
    return int(most), "decided"


def expected_updates(study: StudySpec, seeds: Mapping[str, int] | None = None) -> int:
    """The updates of all runs of a study if no grid is extended, each as if trained alone.

    Args:
        seeds: strategy -> how many are asked for so far; None: all of the study's.
    """
    asked = dict.fromkeys((strategy.name for strategy in study.strategies), study.seeds) if seeds is None else seeds
    return sum(
        study.steps_of(strategy) * (len(study.rate_grids.get(strategy.name, (strategy.lr,))) + asked[strategy.name] - 1)
        for strategy in study.strategies
    )


def read_size(text: str | int) -> int:
    """Bytes of a size like "5GB", "500 MB", "2GiB" or 0; UsageError where it is none.

    >>> read_size("1.5GB"), read_size(0)
    (1500000000, 0)
    """
    read = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(text))
    if read is None or read[2].upper() not in _UNITS:
        raise UsageError(message("a size is a number with kB, MB, GB or TB, like 5GB; got {text!r}", text=text))
    return round(float(read[1]) * _UNITS[read[2].upper()])
