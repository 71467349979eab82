"""Whether a run that starts from another's checkpoint is the run that it would have been alone, to the bit.

    quick       two updates, a checkpoint, two more; and the last two once more from the checkpoint: before any past
                is shared
    repeated    two equal runs of four updates: whether a run depends on what ran before it
    thorough    whole runs of this very study, from where they part from others, against the same trained alone

A network, loss or data set may keep state of its own that no checkpoint holds (a counter, a generator, a cache):
runs that use it cannot be forked, and nothing is then shared.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from calando.errors import CalandoError
from calando.records import RunSpec
from calando.study.stages import RunPath, part_at
from calando.tasks.workload import Workload
from calando.training.checkpoint import Place, load_checkpoint, save_checkpoint
from calando.training.evaluate import evaluate
from calando.training.lane import holding_lane
from calando.training.loop import advance
from calando.training.state import TrainState, capture, start

__all__ = ["difference_when_forked", "difference_when_repeated", "quick_doubt", "thorough_doubt"]

QUICK_STEP, QUICK_UNTIL = 2, 4
THOROUGH_RUNS, THOROUGH_PATHS = 3, 64
REPEATED_SAMPLES = 64
ELSEWHERE = (
    "the network, the loss or the data keep state that cannot be copied for each run (a global variable, a class's "
    "attribute, a file), or draw from a generator that nobody seeds"
)


def quick_doubt(spec: RunSpec, workload: Workload) -> str:
    """Why runs like this one cannot share a past; "" where nothing speaks against it."""
    if spec.steps <= QUICK_STEP:
        return ""
    return difference_when_forked(spec, spec, workload, step=QUICK_STEP, until=min(QUICK_UNTIL, spec.steps))


def thorough_doubt(paths: list[RunPath], workload: Workload) -> str:
    """The same from whole runs: THOROUGH_RUNS of those that start from the deepest forks."""
    some = paths[:THOROUGH_PATHS]
    pairs = [(part_at(one, other), one, other) for place, one in enumerate(some) for other in some[place + 1 :]]
    deepest = sorted((pair for pair in pairs if pair[0] > 0), key=lambda pair: -pair[0])
    for step, one, other in deepest[:THOROUGH_RUNS]:
        if doubt := difference_when_forked(one.spec, other.spec, workload, step=step, until=other.spec.steps):
            return f"{other.spec.strategy.name} from {one.spec.strategy.name}: {doubt}"
    return ""


def difference_when_forked(carrier: RunSpec, spec: RunSpec, workload: Workload, *, step: int, until: int) -> str:
    """Train `carrier` up to `step`, go on from there as `spec` up to `until`, and compare with `spec` trained alone.

    Returns:
        What differs first, in words; "" where every bit agrees, or where the run fails by itself.
    """
    with tempfile.TemporaryDirectory() as folder, holding_lane(spec.lane):
        place = Place(Path(folder), "verify")
        try:
            alone = _trained(spec, workload, until=until)
        except KeyboardInterrupt:
            raise
        except BaseException:  # the user's own code: the study will meet it again, and say so as it does
            return ""
        try:
            save_checkpoint(_trained(carrier, workload, until=step), place)
            own = workload.fresh()
            forked = start(spec, own)
            load_checkpoint(forked, place)
            advance(forked, own, until=until)
        except (CalandoError, KeyError, TypeError, ValueError, RuntimeError) as error:
            return f"its state cannot be put into a checkpoint and back ({type(error).__name__}: {error})"
        return _first_difference(alone, forked)


def difference_when_repeated(spec: RunSpec, workload: Workload) -> tuple[str, tuple[str, ...]]:
    """Train a few updates and look at validation samples, twice, and compare.

    Returns:
        What differs first, in words; "" where every bit agrees, or where the run fails by itself. And the names of
        state that no copy reaches and that the second run changed: what came of it may show later only.
    """
    few = torch.arange(min(REPEATED_SAMPLES, len(workload.validation)))
    found = []
    with holding_lane(spec.lane):
        for _ in range(2):
            before = workload.left_behind()
            try:
                own = workload.fresh()
                state = start(spec, own)
                advance(state, own, until=min(QUICK_UNTIL, spec.steps))
                found.append((state, evaluate(state.network, own, own.validation.take(few), lane=spec.lane)))
            except KeyboardInterrupt:
                raise
            except BaseException:  # as in `difference_when_forked`
                return "", ()
        after = workload.left_behind()
    moved = tuple(name for name in before if before[name] != after.get(name))
    (one, first), (other, second) = found
    for update in range(min(one.seen, other.seen)):
        if one.losses[update].tobytes() != other.losses[update].tobytes():
            return (
                f"the loss of update {update} is {one.losses[update]:.6g}, and {other.losses[update]:.6g} in another "
                f"run that is its equal; {ELSEWHERE}"
            ), moved
    if repr(first) != repr(second):
        return f"two equal networks have validation losses of {first[0]:.6g} and {second[0]:.6g}; {ELSEWHERE}", moved
    return "", moved


def _trained(spec: RunSpec, workload: Workload, *, until: int) -> TrainState:
    own = workload.fresh()
    state = start(spec, own)
    advance(state, own, until=until)
    return state


def _first_difference(alone: TrainState, forked: TrainState) -> str:
    for update in range(alone.seen):
        one, other = float(alone.losses[update]), float(forked.losses[update])
        if one != other and not (one != one and other != other):
            return (
                f"the loss of update {update} is {other:.6g} from a checkpoint and {one:.6g} without; "
                "the network, the loss or the data keep state that is in no parameter or buffer"
            )
    theirs, ours = capture(alone).tensors, capture(forked).tensors
    if theirs.keys() != ours.keys():
        return f"it has other state from a checkpoint: {', '.join(sorted(theirs.keys() ^ ours.keys())[:3])}"
    for name, value in theirs.items():
        if not torch.equal(value.isnan(), ours[name].isnan()) or not torch.equal(
            value.nan_to_num(), ours[name].nan_to_num()
        ):
            return f"{name} differs after a checkpoint"
    return ""
