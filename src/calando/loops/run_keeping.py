"""What a run keeps, and where its loop stands: checkpoints that a killed run goes on from, to the bit.

saved       at the ends of epochs, by time, or where the study stops the run; the generators of every rank with it
goes on     objects are loaded by `begin`; generators are put back where the loop goes on (`put_back`), since what the
            code draws in between it had drawn before the kill as well
batches     within an epoch: it begins again with the generators as they stood at its start, so that what the code draws
            there, an order say, is drawn again; the batches before are read again without being trained on
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, final

import torch

from calando.errors import UsageError, quote
from calando.loops.follow import Following
from calando.loops.kept_state import generators, read_kept, set_generators, write_kept
from calando.loops.ranks import agreed, gathered, rank, world_size

__all__ = ["Keeping"]

Item = TypeVar("Item")


@final
class Keeping:
    """What a run keeps.

    `epoch` and `batch` are where the loop stands; `step` is where the checkpoint was made that it goes on from, 0
    without one.

    Args:
        folder: the run's own; None: nothing is written.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.epoch = self.batch = self.step = 0
        self.by_steps = False  # the loop is over steps, each of which may be the last before a stop
        self._objects: dict[str, Any] = {}
        self._save: Callable[[Path], object] | None = None
        self._every_rank = False
        self._every, self._saved = 0.0, time.monotonic()
        self._restored: dict[str, Any] | None = None
        self._epoch_start: dict[str, Any] | None = None  # generators, where the loop came to it …
        self._batches_start: dict[str, Any] | None = None  # … and where its batches began
        self._looping = self._looped = False

    def begin(
        self,
        objects: Mapping[str, Any],
        *,
        save: Callable[[Path], object] | None,
        load: Callable[[Path], object] | None,
        every: float,
        every_rank: bool,
    ) -> dict[str, Any] | None:
        """Keep these from now on, as `Run.keep` says; what the checkpoint holds of the run, where there is one."""
        if (save is None) != (load is None):
            raise UsageError("run.keep takes save= and load= together: what one writes, the other reads")
        if not objects and save is None:
            raise UsageError("run.keep keeps what it is given: run.keep(model=model, training=training)")
        if self._looping:
            raise UsageError("call run.keep before the loop over run.epochs: a killed run goes on where it says")
        if self._keeps:
            raise UsageError("call run.keep once, with all that a checkpoint holds")
        for name, one in objects.items():
            if not isinstance(one, Following | torch.Generator) and not hasattr(one, "load_state_dict"):
                raise UsageError(f"run.keep: {name} has no state_dict and load_state_dict; got {quote(one)}")
        self._objects, self._save, self._every, self._every_rank = dict(objects), save, every, every_rank
        states = None if self.folder is None else read_kept(self.folder)
        if states is None:
            return None
        missing = {*objects} ^ {*states["objects"]}
        if missing:
            raise UsageError(
                f"the checkpoint keeps other objects than run.keep is given now: {', '.join(sorted(missing))}"
            )
        for name, one in objects.items():
            try:
                _put_into(one, states["objects"][name])
            except (RuntimeError, KeyError, ValueError, TypeError) as error:
                raise UsageError(f"the checkpoint does not fit {name}, which the code makes now: {error}") from error
        if load is not None:
            assert self.folder is not None
            load(self.folder / str(states["own"]))
        mine: dict[str, Any] = states["run"]
        self.epoch, self.batch, self.step = mine["epoch"], mine["batch"], mine["step"]
        self._restored = states
        return mine

    @property
    def _keeps(self) -> bool:
        return bool(self._objects or self._save)

    # The loop

    def begin_loop(self, name: str) -> None:
        """A second loop would begin where the first one ended, and train nothing."""
        if self._looped:
            raise UsageError(
                f"a run has one loop over run.{name}(N), and it has ended: give it all that the run trains"
            )
        self._looping = True

    def end_loop(self) -> None:
        """All that the run trains is trained."""
        self._looped = True

    def begin_epoch(self, step: int) -> None:
        """Before the code of an epoch: put the generators where they stood there, where it is gone on with."""
        if self.batch == 0:
            self.put_back(step)
        elif self._restored is not None and (start := _of_this_rank(self._restored).get("epoch_start")):
            self._put_generators(start)
        self._epoch_start = self._generators()

    def batches(
        self, loader: Iterable[Item], *, step: Callable[[], int], between: Callable[[], None]
    ) -> Iterator[Item]:
        """The batches of an epoch, from where the loop stands; `between` is called after each that is trained on."""
        restored, skipped = self._restored, self.batch
        if restored is not None and skipped:
            mine = _of_this_rank(restored)
            # Checkpoints of calando before had this one alone, under the other's name.
            start: dict[str, Any] = mine.get("batches_start") or mine["epoch_start"]
            self._batches_start = start
            self._put_generators(start)
        else:
            self._batches_start = self._generators()
        for number, batch in enumerate(loader):
            if number < skipped:
                if number == skipped - 1:  # before the next is drawn, as when it was saved
                    self.put_back(step())
                continue
            yield batch
            self.batch = number + 1
            between()
        self.batch = 0

    # Saving

    @property
    def saves_within(self) -> bool:
        """Whether the loop is soon at a place within an epoch where its state can be saved."""
        return self._keeps and self._asks_within and (self.by_steps or self.batch > 0)

    @property
    def _asks_within(self) -> bool:
        """Whether each batch may end in a checkpoint; ranks must agree on it, which takes time a batch."""
        return self._every > 0 or world_size() == 1

    def is_due(self, *, stopping: bool, within: bool, least: float) -> bool:
        """Whether to save now, the same on every rank; arguments as `Run.wants_checkpoint`."""
        if within and not self._asks_within:
            return False
        due = time.monotonic() - self._saved >= (self._every or (math.inf if within else least))
        return agreed(due or stopping)

    def write(self, document: Mapping[str, Any], *, step: int) -> None:
        """Write a checkpoint of what is kept, with what the run says of itself."""
        folder = self.folder
        if not self._keeps or folder is None:
            return
        if rank() > 0 and world_size() == 1:
            return  # ranks that do not speak with each other: the first one keeps for all
        own = ""
        if self._save is not None:
            # Not where the checkpoint that holds now lies.
            own = agreed(next(name for n in count() if not (folder / (name := f"own-{step}-{n}")).exists()))
            if rank() == 0 or self._every_rank:
                (folder / own).mkdir(parents=True, exist_ok=True)
                self._save(folder / own)
        self._restored = None
        starts = {"epoch_start": self._epoch_start, "batches_start": self._batches_start} if self.batch else {}
        ranks = gathered({**self._generators(), **starts})
        if rank() > 0:
            return
        mine = {"epoch": self.epoch, "batch": self.batch, "step": step, **document}
        objects = {name: _taken_from(one) for name, one in self._objects.items()}
        write_kept(folder, {"run": mine, "objects": objects, "ranks": ranks, "own": own})
        for path in folder.glob("own-*"):
            if path.name != own:
                shutil.rmtree(path, ignore_errors=True)
        self._saved = time.monotonic()

    # Generators

    def put_back(self, step: int) -> None:
        """Put the generators back, once, where the loop goes on after `step` updates."""
        if self._restored is None:
            return
        if step != self.step:
            raise UsageError(
                f"the checkpoint was made after {self.step} updates, and what run.keep keeps stands at {step}: "
                "give it what run.follow gave as well, run.keep(model=model, training=training), or the optimizer"
            )
        self.put_back_again()
        self._restored = None

    def put_back_again(self) -> None:
        """The same as often as it is called, until the next checkpoint."""
        if self._restored is not None:
            self._put_generators(_of_this_rank(self._restored))

    def _generators(self) -> dict[str, Any]:
        """The states of all generators that are known: global ones, and those that are kept."""
        own = {name: one.get_state() for name, one in self._objects.items() if isinstance(one, torch.Generator)}
        return {"generators": generators(), "own": own}

    def _put_generators(self, states: Mapping[str, Any]) -> None:
        set_generators(states["generators"])
        for name, state in states["own"].items():
            self._objects[name].set_state(state)


def _of_this_rank(states: Mapping[str, Any]) -> dict[str, Any]:
    ranks = states["ranks"]
    if len(ranks) != world_size():
        raise UsageError(
            f"the checkpoint was made by {len(ranks)} ranks, and here there are {world_size()}; start as many"
        )
    mine: dict[str, Any] = ranks[rank()]
    return mine


def _taken_from(one: Any) -> Any:
    if isinstance(one, Following):
        return one.optimizer.state_dict()
    return one.get_state() if isinstance(one, torch.Generator) else one.state_dict()


def _put_into(one: Any, state: Any) -> None:
    if isinstance(one, Following):
        one.optimizer.load_state_dict(state)
    elif isinstance(one, torch.Generator):
        one.set_state(state)
    else:
        one.load_state_dict(state)
