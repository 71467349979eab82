"""Where a branch starts: at its parent's state, where that is the branch's own past, to the bit; else at the beginning.

FOLDER/forks/BRANCH            the parent's state at the step where the branch leaves it; kept
FOLDER/branches/BRANCH.json    its spec: `calando train` makes it again from that alone
FOLDER/checkpoints/RUN         of a person's own code: what the parent kept is copied into the branch's folder
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from calando.errors import CorruptFile
from calando.loops.kept_state import read_kept
from calando.loops.optimizer_hooks import take
from calando.records import RunSpec
from calando.records.command_log import Branch
from calando.study.checkpoint_cache import place, run_folder
from calando.study.stages import Fork, RunPath
from calando.training.checkpoint import copy_checkpoint, drop_checkpoint, step_of

__all__ = ["keep_start", "kept_step", "spec_file", "start_of"]


def start_of(branch: Branch) -> Fork:
    """Where a branch's start lies: its parent's state, under the branch's own name."""
    return Fork(branch.step, branch.digest)


def spec_file(folder: Path, digest: str) -> Path:
    """Where a branch's spec lies for `calando train FILE`, which makes it again from the beginning."""
    return folder / "branches" / f"{digest}.json"


def keep_start(
    folder: Path, kept: Path, parent: RunSpec, spec: RunSpec, *, since: int, there: int | None, own: bool
) -> int:
    """Leave the state that the branch starts from; the updates that it has made, 0: from the beginning."""
    if own:
        target = run_folder(folder, spec.digest())
        if there is not None and since >= there and not target.exists() and _goes_on(kept):
            # Under another name: a kill in between leaves no half of a state.
            fresh = target.with_name(f".{target.name}.new")
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(kept, fresh, ignore=shutil.ignore_patterns("result*"))
            fresh.rename(target)
            return there
        return 0
    before, after = RunPath(parent), RunPath(spec)
    candidates = [(step_of(path) or 0, path) for path in (folder / "forks").glob("*")]
    candidates = [
        (step, path) for step, path in candidates if step and after.fork(step, seed=spec.seed).address == path.name
    ]
    candidates += [] if there is None or before.past(there) != after.past(there) else [(there, kept)]
    fitting = [(step, path) for step, path in candidates if step <= since]
    fork = place(folder, Fork(0, spec.digest()))
    for _, path in sorted(fitting, key=lambda one: -one[0]):
        with suppress(CorruptFile):
            return copy_checkpoint(path, fork)
    drop_checkpoint(fork.folder)
    return 0


def kept_step(kept: Path) -> int | None:
    """Updates made before what a person's own code has kept; None: nothing, or it is damaged."""
    try:
        states = read_kept(kept)
    except CorruptFile:
        return None
    return None if states is None else int(states["run"]["step"])


def _goes_on(kept: Path) -> bool:
    """Whether what a person's own code has kept takes another schedule from there on: `run.follow` does so.

    A scheduler's state, by `run.scheduler`, is of its own schedule alone.
    """
    try:
        states = read_kept(kept)
    except CorruptFile:
        return False
    objects = [] if states is None else [one for one in states["objects"].values() if isinstance(one, dict)]
    follows = any("param_groups" in one and take(dict(one)) is not None for one in objects)
    return follows and not any("last_epoch" in one for one in objects)
