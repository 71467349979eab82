"""The batch of one update of a run: its samples, the gradient of its loss, and that gradient a second time.

Samples, augmentation and dropout are functions of (seed, index), so a second pass sees what the first one saw, as long
as no other thread draws from the same generators.
"""

from __future__ import annotations

import threading
from typing import Literal, final

import torch
from torch import nn

from calando.errors import UsageError
from calando.language import message
from calando.tasks.workload import Workload
from calando.training.lane import in_precision, placed, seed_step
from calando.training.state import TrainState

__all__ = ["Batch", "ForeignDraws"]

FIRST = 2  # updates in which a backward pass shows that it draws by itself

Time = Literal["between", "batch", "backward"]


@final
class Batch:
    """The batch of a run at its present step, number `index` in the seed's order, which seeds the forward pass too.

    `draws` notices those of other threads. `samples` is on the CPU.
    """

    def __init__(self, state: TrainState, workload: Workload, draws: ForeignDraws, index: int) -> None:
        self._state, self._workload, self._draws, self._index = state, workload, draws, index
        draws.end("between")
        seed_step(state.spec.seed, index)
        if workload.train.in_memory:
            draws.begin()
        self.samples = workload.batch(index, seed=state.spec.seed)
        if workload.train.in_memory:
            draws.end("batch")

    def gradient(self) -> float:
        """Add the gradient to the parameters' `grad`; the training loss, a mean over the micro-batches."""
        spec = self._state.spec
        lane, parts = spec.lane, spec.in_our_loop.accumulate
        total = 0.0
        for part in self.samples.split(spec.in_our_loop.batch_size // parts):
            here = part.mapped(lambda tensor: placed(tensor, lane))
            found, _ = self._workload.judged(self._state.network, here, precision=lambda: in_precision(lane))
            loss = found / parts
            self._draws.begin()
            loss.backward()
            self._draws.end("backward")
            total += loss.item()
        return total

    def again(self) -> float:
        """`gradient` a second time, with the same dropout, at the present weights."""
        seed_step(self._state.spec.seed, self._index)
        return self.gradient()

    def clip(self) -> None:
        """Limit the gradient to the workload's `clip_norm`."""
        norm = self._state.spec.in_our_loop.clip_norm
        if norm is not None:
            nn.utils.clip_grad_norm_([p for g in self._state.optimizer.param_groups for p in g["params"]], norm)


@final
class ForeignDraws:
    """Notices draws from torch's generator that are not ours: those of a thread change what dropout drops, by chance.

        between     from the end of an update until the generators are seeded for the next
        batch       while a batch is read that is held in memory: its augmentation has generators of its own
        backward    during the backward pass; one that draws in its first updates is taken for one that draws by itself

    In these times a run does not draw, so if the generator has moved, another thread moved it. A thread that draws only
    at other times is not noticed; one that goes on is, within a few updates. It is looked for where there are other
    threads.
    """

    def __init__(self) -> None:
        self._before: bytes | None = None
        self._backwards = 0
        self._draws_itself = False

    def begin(self) -> None:
        self._before = _state() if threading.active_count() > 1 else None

    def end(self, time: Time) -> None:
        """End it; UsageError where another thread drew."""
        before, self._before = self._before, None
        if time == "backward":
            self._backwards += 1
        if before is None or before == _state():
            return
        if time == "backward" and (self._draws_itself or self._backwards <= FIRST):
            self._draws_itself = True
            return
        raise UsageError(
            message(
                "another thread of this process draws from torch's generator while a run is trained, so that "
                'scores would differ each time; train in processes of their own (executor="process"), or '
                "give that thread a torch.Generator of its own"
            )
        )


def _state() -> bytes:
    return torch.get_rng_state().numpy().tobytes()
