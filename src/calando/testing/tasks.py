"""What every task must do: a person's own, as `calando.workload(…)` makes it, is held against it.

batches      which samples, and how augmented, depends on (seed, step) alone, in whatever order they are read
resume       a run that stops inside an epoch and goes on has the bits of one that was not stopped
fork         a run that starts from another's checkpoint has the bits of one trained alone
range test   the task and the generators are after it as they were before
chance       the mean of the batches' chance over an epoch is the training part's, where that is known
evaluation   two of them give the same bits, and a score
worker       what a worker process is sent has the same samples and trains to the same bits
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from calando.range_test import SweepOptions, find_for_run
from calando.records import RunRecord, RunSpec
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.study.workers.by_value import pack_setup, unpack_setup
from calando.study.workers.messages import Setup
from calando.tasks.tree import leaves
from calando.tasks.workload import Workload
from calando.testing.require import require
from calando.training.checkpoint import Place
from calando.training.evaluate import evaluate
from calando.training.lane import holding_lane, seed_step
from calando.training.loop import Interrupted, execute
from calando.training.state import start

__all__ = ["TASK_CHECKS", "check_task"]

STEPS = 12
"""Updates of a whole run."""


def check_task(task: Workload, *, strategy: str = "sgd(lr=0.01, momentum=0.9)") -> None:
    """Check a task against what every task must do: all of `TASK_CHECKS`.

    Args:
        task: as `calando.workload` makes it; a small one, since it is trained about ten times for a few updates.
        strategy: the strategy to train it with.

    Raises:
        AssertionError: a requirement is not met; the message is one line that says which.

    >>> import calando
    >>> x = torch.rand(60, 3)
    >>> check_task(calando.workload(train=(x, x.sum(1)), model=lambda: torch.nn.Linear(3, 1), batch_size=8))
    """
    for check in TASK_CHECKS.values():
        check(task, strategy)


def _batches(task: Workload, strategy: str) -> None:
    own, again = task.fresh(), task.fresh()
    steps = range(task.steps_per_epoch + 1)
    with holding_lane(_run(task, strategy).lane):
        forwards = {step: _batch(own, step, seed=3) for step in steps}
        backwards = {step: _batch(again, step, seed=3) for step in reversed(steps)}
        other = _batch(task.fresh(), 0, seed=4)
    require(forwards == backwards, "a batch depends on which batches were read before it")
    alike = len(task.train) == task.batch_size or not other
    require(alike or other != forwards[0], "two seeds have the same first batch")


def _resume(task: Workload, strategy: str) -> None:
    run = _run(task, strategy)
    with tempfile.TemporaryDirectory() as folder:
        whole = execute(run, task)
        try:
            execute(run, task, folder=Path(folder), watch=lambda state: state.step == STEPS // 2 - 1)
        except Interrupted:
            pass
        else:
            raise AssertionError("a run ended before it was stopped: train it at a lower rate")
        _same(execute(run, task, folder=Path(folder)), whole, "a run that was stopped and went on")


def _fork(task: Workload, strategy: str) -> None:
    run, at = _run(task, strategy), STEPS // 2 + 1
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder) / "fork", "fork")
        whole = execute(run, task, leaves={at: place})
        forked = execute(run, task, origin=place)
    require(forked.inherited == at, "a run did not start from the checkpoint that another had left")
    _same(forked, whole, "a run that starts from another's checkpoint")


def _range_test(task: Workload, strategy: str) -> None:
    run = _run(task, strategy)
    before, generator, known = execute(run, task), torch.get_rng_state(), task.fingerprint
    find_for_run(run, task, options=SweepOptions(repeats=1, steps=20))
    require(torch.equal(generator, torch.get_rng_state()), "a range test leaves torch's generator changed")
    require(known == task.fingerprint, "a range test changes the samples")
    _same(execute(run, task), before, "a run after a range test")


def _chance(task: Workload, strategy: str) -> None:
    if task.chance_loss is None:
        return
    require(0 < task.chance_loss < math.inf, f"chance has the loss {task.chance_loss}")
    own = task.fresh()
    with holding_lane(_run(task, strategy).lane):
        found = [
            own.chance_on(own.read(own.train, rows)) for rows in torch.arange(len(own.train)).split(task.batch_size)
        ]
    sizes = [len(rows) for rows in torch.arange(len(own.train)).split(task.batch_size)]
    known = [(value, size) for value, size in zip(found, sizes, strict=True) if value is not None]
    mean = sum(value * size for value, size in known) / sum(size for _, size in known)
    # A batch's mean is over all that its samples hold, of which there may be more or less.
    require(math.isclose(mean, task.chance_loss, rel_tol=0.05), f"batches have chance {mean}, all {task.chance_loss}")


def _evaluation(task: Workload, strategy: str) -> None:
    run = _run(task, strategy)
    with holding_lane(run.lane):
        state, own = start(run, task), task.fresh()
        found = [evaluate(state.network, own, own.test, lane=run.lane) for _ in range(2)]
    require(repr(found[0]) == repr(found[1]), f"two evaluations give {found[0]} and {found[1]}")
    require(all(map(math.isfinite, found[0])), f"an untrained network has loss and score {found[0]}")


def _worker(task: Workload, strategy: str) -> None:
    run = _run(task, strategy)
    with tempfile.TemporaryDirectory() as folder:
        setup = Setup(task=run.workload, given=task, data_dir=None, folder=Path(folder), threads=1)
        sent = unpack_setup(pack_setup(setup)).load()
    require(isinstance(sent, Workload), "a worker gets no task")
    assert isinstance(sent, Workload)
    require(sent.fingerprint == task.fingerprint, "a worker gets other samples")
    _same(execute(run, sent), execute(run, task), "a run in a worker")


def _run(task: Workload, strategy: str) -> RunSpec:
    run, _ = build_run(task, strategy, budget=Budget(steps=STEPS), machine=Machine(device="cpu"))
    return run.model_copy(update={"evaluate_every": 4})


def _batch(task: Workload, step: int, *, seed: int) -> list[tuple[str, bytes]]:
    """As a run reads it: the generators are seeded by (seed, step), so a Dataset may draw from them."""
    seed_step(seed, step)
    return _bits(task.batch(step, seed=seed).batch)


def _bits(batch: object) -> list[tuple[str, bytes]]:
    found = list(leaves(batch)) or list(leaves(dict(getattr(batch, "__dict__", {}))))  # of a class of one's own
    return [(place, tensor.contiguous().numpy().tobytes()) for place, tensor in found]


def _same(one: RunRecord, other: RunRecord, what: str) -> None:
    for name in ("outcome", "losses", "rates", "evaluations"):
        mine, theirs = getattr(one, name), getattr(other, name)
        same = mine.tobytes() == theirs.tobytes() if isinstance(mine, np.ndarray) else repr(mine) == repr(theirs)
        require(same, f"{what} has other {name}")


TASK_CHECKS: dict[str, Callable[[Workload, str], None]] = {
    "batches": _batches,
    "resume": _resume,
    "fork": _fork,
    "range test": _range_test,
    "chance": _chance,
    "evaluation": _evaluation,
    "worker": _worker,
}
"""Requirement -> its check: (task, strategy) -> None."""
