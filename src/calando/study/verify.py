"""Whether a run is what the same spec gives in another way: from a checkpoint, a second time, in an earlier session.

    quick       two updates, a checkpoint, two more; and the last two once more from the checkpoint: before any past
                is shared
    thorough    whole runs of this very study, from where they part from others, against the same trained alone
    repeated    two equal runs of four updates: whether a run depends on what ran before it
    retraced    the first updates of a stored run, and the rates of one of each strategy with a function or schedule
                of the user's own, against what today's code makes

A network, loss or data set may keep state of its own that no checkpoint holds (a counter, a generator, a cache):
runs that use it cannot be forked, and nothing is then shared.

`training.identity` measures a network and a loss on a few samples, at initial weights. What it cannot see, the retraced
updates show: whole batches, and weights that have moved (a branch that starts at zero hides all that is in it). Their
losses agree within 1e-6 where the first is equal to the bit, so that this machine rounds as it did; else within 1e-4.
Rates agree within 1e-9.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from calando.errors import CalandoError, UsageError, unless_it_fails
from calando.language import message
from calando.records import RunRecord, RunSpec, Store
from calando.schedules import SCHEDULES
from calando.schedules.function import functions_named
from calando.strategy import bind
from calando.study.stages import RunPath, part_at
from calando.tasks.workload import Workload
from calando.training.checkpoint import Place, load_checkpoint, save_checkpoint
from calando.training.evaluate import evaluate
from calando.training.lane import describe_host, holding_lane
from calando.training.loop import advance
from calando.training.state import TrainState, capture, start

__all__ = [
    "check_retraced",
    "difference_when_forked",
    "difference_when_repeated",
    "doubts_about",
    "quick_doubt",
    "thorough_doubt",
]

QUICK_STEP, QUICK_UNTIL = 2, 4
THOROUGH_RUNS, THOROUGH_PATHS = 3, 64
REPEATED_SAMPLES = 64
RETRACED = 6
ROUNDED_ALIKE, ROUNDED_OTHERWISE, RATES = 1e-6, 1e-4, 1e-9
ELSEWHERE = message(
    "the network, the loss or the data keep state that cannot be copied for each run (a global "
    "variable, a class's attribute, a file), or draw from a generator that nobody seeds"
)


def doubts_about(spec: RunSpec, task: Workload, *, sharing: list[RunPath], thoroughly: bool) -> tuple[list[str], bool]:
    """Where two equal runs differ, in sentences; and whether a run from a fork is what it would be alone.

    Args:
        sharing: the paths of which a part is to be trained once for several.
        thoroughly: whole runs are compared, not a few updates.
    """
    wavering, moved = ("", ()) if task.is_ours else difference_when_repeated(spec, task)
    if wavering:
        return [message("scores depend on the order of runs and on the number of workers: {why}", why=wavering)], False
    notes: list[str] = []
    if moved:
        names = ", ".join(moved[:3]) + (" …" if len(moved) > 3 else "")
        notes.append(
            message(
                "scores may depend on the order of runs and on the number of workers: training changes what all runs "
                "share ({names}); keep it in the network, the loss or the Dataset, of which each run has its own",
                names=names,
            )
        )
    doubt = thorough_doubt(sharing, task) if thoroughly else quick_doubt(spec, task)
    if doubt:
        notes.append(
            message(
                "nothing is shared between runs: {doubt}"
                if sharing
                else "a stopped run would not resume to the same result: {doubt}",
                doubt=doubt,
            )
        )
    elif thoroughly:
        notes.append(message("runs that start from another's checkpoint equal those trained alone, to the bit"))
    return notes, not doubt


def quick_doubt(spec: RunSpec, task: Workload) -> str:
    """Why runs like this one cannot share a past; "" where nothing speaks against it."""
    if spec.steps <= QUICK_STEP:
        return ""
    return difference_when_forked(spec, spec, task, step=QUICK_STEP, until=min(QUICK_UNTIL, spec.steps))


def thorough_doubt(paths: list[RunPath], task: Workload) -> str:
    """The same from whole runs: THOROUGH_RUNS of those that start from the deepest forks."""
    some = paths[:THOROUGH_PATHS]
    pairs = [(part_at(one, other), one, other) for place, one in enumerate(some) for other in some[place + 1 :]]
    deepest = sorted((pair for pair in pairs if pair[0] > 0), key=lambda pair: -pair[0])
    for step, one, other in deepest[:THOROUGH_RUNS]:
        if doubt := difference_when_forked(one.spec, other.spec, task, step=step, until=other.spec.steps):
            return message(
                "{name} from {other}: {doubt}", name=other.spec.strategy.name, other=one.spec.strategy.name, doubt=doubt
            )
    return ""


def difference_when_forked(carrier: RunSpec, spec: RunSpec, task: Workload, *, step: int, until: int) -> str:
    """Train `carrier` up to `step`, go on from there as `spec` up to `until`, and compare with `spec` trained alone.

    What differs first, in words; "" where every bit agrees, or where the run fails by itself.
    """
    with tempfile.TemporaryDirectory() as folder, holding_lane(spec.lane):
        place = Place(Path(folder), "verify")
        if (alone := unless_it_fails(lambda: _trained(spec, task, until=until))) is None:
            return ""
        try:
            save_checkpoint(_trained(carrier, task, until=step), place)
            forked = _trained(spec, task, until=until, origin=place)
        except (CalandoError, KeyError, TypeError, ValueError, RuntimeError) as error:
            return message(
                "its state cannot be put into a checkpoint and back ({kind}: {error})",
                kind=type(error).__name__,
                error=str(error),
            )
        return _first_difference(alone, forked)


def difference_when_repeated(spec: RunSpec, task: Workload) -> tuple[str, tuple[str, ...]]:
    """What differs first where a few updates and a look at validation samples are made twice; "" where nothing does.

    And the names of uncopied state that the second run changed; the effect may appear only later.
    """
    few = torch.arange(min(REPEATED_SAMPLES, len(task.validation)))

    def trained() -> tuple[TrainState, tuple[float, float]]:
        own = task.fresh()
        state = start(spec, own)
        advance(state, own, until=min(QUICK_UNTIL, spec.steps))
        return state, evaluate(state.network, own, own.validation.take(few), lane=spec.lane)

    with holding_lane(spec.lane):
        if (found := unless_it_fails(trained)) is None:
            return "", ()
        before = task.left_behind()
        if (again := unless_it_fails(trained)) is None:
            return "", ()
        after = task.left_behind()
    moved = tuple(name for name in before if before[name] != after.get(name))
    (one, first), (other, second) = found, again
    for update in range(min(one.seen, other.seen)):
        if one.losses[update].tobytes() != other.losses[update].tobytes():
            return (
                message(
                    "the loss of update {update} is {one:.6g}, and {other:.6g} in another run that is its "
                    "equal; {elsewhere}",
                    update=update,
                    one=one.losses[update],
                    other=other.losses[update],
                    elsewhere=ELSEWHERE,
                )
            ), moved
    if repr(first) != repr(second):
        return message(
            "two equal networks have validation losses of {first:.6g} and {second:.6g}; {elsewhere}",
            first=first[0],
            second=second[0],
            elsewhere=ELSEWHERE,
        ), moved
    return "", moved


def _trained(spec: RunSpec, task: Workload, *, until: int, origin: Place | None = None) -> TrainState:
    own = task.fresh()
    state = start(spec, own)
    if origin is not None:
        load_checkpoint(state, origin)
    advance(state, own, until=until)
    return state


def _first_difference(alone: TrainState, forked: TrainState) -> str:
    for update in range(alone.seen):
        one, other = float(alone.losses[update]), float(forked.losses[update])
        if one != other and not (one != one and other != other):
            return message(
                "the loss of update {update} is {other:.6g} from a checkpoint and {one:.6g} without; the "
                "network, the loss or the data keep state that is in no parameter or buffer",
                update=update,
                other=other,
                one=one,
            )
    theirs, ours = capture(alone).tensors, capture(forked).tensors
    if theirs.keys() != ours.keys():
        return message(
            "it has other state from a checkpoint: {keys}", keys=", ".join(sorted(theirs.keys() ^ ours.keys())[:3])
        )
    for name, value in theirs.items():
        if not torch.equal(value.isnan(), ours[name].isnan()) or not torch.equal(
            value.nan_to_num(), ours[name].nan_to_num()
        ):
            return message("{name} differs after a checkpoint", name=name)
    return ""


def check_retraced(store: Store, task: Workload) -> tuple[str, ...]:
    """What to report of a study whose stored runs may not be those of today's code; UsageError where they are not."""
    name = message("study {folder!r}", folder=str(store.folder))
    records = store.runs(traces=False)
    seen: set[str] = set()
    for digest, record in records.items():
        text = record.spec.strategy.text
        if text in seen or not (functions_named(text) or SCHEDULES.own(text)) or record.spec.strategy.controllers:
            continue
        seen.add(text)
        if (step := _first_other_rate(store.run(digest))) is not None:
            raise UsageError(
                message(
                    "the schedule of {strategy!r} has changed since {study} was started: its function gives another "
                    "rate at step {step}; bring back what was there, or give the function another name",
                    strategy=record.spec.strategy.name,
                    study=name,
                    step=step,
                )
            )
    for digest, record in records.items():
        if not _can_be_compared(record):
            continue
        before = store.run(digest).losses[: min(RETRACED, record.steps_done)].astype(np.float64)
        now = _first_losses(record, task, len(before))
        if now is None:
            return ()
        tolerance = ROUNDED_ALIKE if now[0] == before[0] else ROUNDED_OTHERWISE
        near = np.isclose(before, now, rtol=tolerance, atol=0, equal_nan=True)
        if near.all():
            return ()
        again = _first_losses(record, task, len(before))
        if again is None or not np.array_equal(now, again, equal_nan=True):
            return (
                message(
                    "training varies from look to look, so whether it has changed since {name} was started is unknown",
                    name=name,
                ),
            )
        step = int(np.argmin(near))
        raise UsageError(
            message(
                "the network, the loss or what they use has changed since {name} was started: the loss of "
                "update {step} was {before:.9g} and is {now:.9g}; bring back what was there, or name another "
                "--study to begin another",
                name=name,
                step=step,
                before=before[step],
                now=now[step],
            )
        )
    return ()


def _can_be_compared(record: RunRecord) -> bool:
    """Whether it was made on a machine like this one, and never went back."""
    here = describe_host(record.spec.lane)
    same = all(record.host.get(key) == value for key, value in here.items())
    return same and record.steps_done > 0 and not record.undone and not record.skips


def _first_losses(record: RunRecord, task: Workload, count: int) -> np.ndarray | None:
    """float64[count]; None where training fails, which the study will meet again and report."""
    with holding_lane(record.spec.lane):
        state = unless_it_fails(lambda: _trained(record.spec, task, until=count))
    return None if state is None else state.losses[:count].astype(np.float64)


def _first_other_rate(record: RunRecord) -> int | None:
    """The first step at which today's schedule gives another rate than was used."""
    spec = record.spec
    if record.undone or record.skips or spec.strategy.lr is None:
        return None
    curve = bind(spec.strategy, spec.horizon).curves["lr"][0]
    now = spec.strategy.lr * np.asarray(curve.sample(), dtype=np.float64)[: len(record.rates)]
    other = ~np.isclose(now, record.rates, rtol=RATES, atol=0)
    return int(np.argmax(other)) if other.any() else None
