"""Updates of a borrowed network: batches -> loss -> gradients -> a session's step, as its owner's loop makes them.

loss                   mean over `accumulate` batches of the loss before the update, averaged over the ranks
scale, clip, update    by the gradient scaler, where there is one, and by `clip_norm`
at fault               the rate, or the batch: a batch that was not finite comes again at the weights as they were
                       lent; where it is not finite there either, no rate is at fault
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any, final

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from calando.errors import CalandoError, UsageError, reason_of
from calando.language import joined, message
from calando.methods import Closure
from calando.range_test.loss import BatchLoss
from calando.schedules import Horizon, Schedule
from calando.strategy.strategy_checks import check_clipping
from calando.tasks.tree import leaves, moved
from calando.training.network_statistics import all_finite
from calando.training.restore import Snapshot
from calando.training.session import Session

__all__ = ["BorrowedUpdate", "Reading", "blame_batch", "not_finite_in"]

MOST_HALVINGS = 64  # from torch's first scale, 2**16, down to 1 it takes 16


@final
@dataclass(frozen=True)
class Reading:
    """What one update saw: the loss before it; and whether it was made, loss and gradients being finite."""

    loss: float
    finite: bool


@final
@dataclass(kw_only=True)
class BorrowedUpdate:
    """Updates of what a person lends, each a session's on the next batches.

    Raises UsageError for a gradient scaler with an optimizer that steps with a closure, and for clipping with one that
    reads its step off the gradient's size.
    """

    loss: BatchLoss  # where its network is or holds a DistributedDataParallel, the ranks agree
    optimizer: Optimizer
    device: torch.device  # where batches are moved to
    accumulate: int = 1  # batches an update
    clip_norm: float | None = None
    scaler: torch.amp.GradScaler | None = None
    autocast: torch.dtype | None = None
    closure: Closure = "none"
    _parameters: list[nn.Parameter] = field(init=False)
    _ranks: DistributedDataParallel | None = field(init=False)
    drawn: list[Any] = field(init=False, default_factory=list)  # the last update's batches
    batches: int = field(init=False, default=0)  # how many were drawn in all

    def __post_init__(self) -> None:
        self._parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self._ranks = next((m for m in self.loss.model.modules() if isinstance(m, DistributedDataParallel)), None)
        if self.clip_norm is not None:
            check_clipping(type(self.optimizer).__name__, self.closure)
        if self.closure != "none" and self._scale() is not None:
            name = type(self.optimizer).__name__
            raise UsageError(
                message(
                    "{name} steps with a closure, which a GradScaler cannot follow; take bfloat16 without one",
                    name=name,
                )
            )

    def session(self, schedule: Schedule, *, horizon: Horizon) -> Session:
        return Session(
            self.loss.model, self.optimizer, schedules={"lr": schedule}, horizon=horizon, closure=self.closure
        )

    def make(self, session: Session, batches: Iterator[Any]) -> Reading:
        """One update if all is finite, otherwise none; UsageError for a loss or a batch that does not fit."""
        session.begin()
        self.drawn = [moved(next(batches), self.device) for _ in range(self.accumulate)]
        self.batches += len(self.drawn)
        self.optimizer.zero_grad(set_to_none=True)
        reading = self._gradients()
        for _ in range(MOST_HALVINGS):
            if reading.finite or not math.isfinite(reading.loss) or self.scaler is None or (self._scale() or 0) <= 1:
                break
            # Half precision overflowed: the scaler makes no update but lowers its scale, and the batches come again.
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.optimizer.zero_grad(set_to_none=True)
            reading = self._gradients()
        if reading.finite:
            self._step(session, reading.loss)
        self.optimizer.zero_grad(set_to_none=True)
        return reading

    def look_again(self) -> Reading:
        """Loss and gradients of the last batches at the weights as they are."""
        self.optimizer.zero_grad(set_to_none=True)
        reading = self._gradients()
        self.optimizer.zero_grad(set_to_none=True)
        return reading

    def weights_finite(self) -> bool:
        return self._agreed(Reading(0.0, finite=all_finite(self._parameters))).finite

    def _gradients(self) -> Reading:
        """Compute the loss, and the gradients, unscaled and clipped, for the optimizer."""
        total = 0.0
        for place, batch in enumerate(self.drawn):
            with ExitStack() as stack:
                stack.enter_context(torch.enable_grad())
                if self._ranks is not None and place + 1 < len(self.drawn):
                    stack.enter_context(self._ranks.no_sync())
                with nullcontext() if self.autocast is None else torch.autocast(self.device.type, self.autocast):
                    loss = self.loss(batch)
                part = loss / self.accumulate
                (part if self.scaler is None else self.scaler.scale(part)).backward()
            total += float(loss.detach()) / self.accumulate
        gradients = [_dense(p.grad) for p in self._parameters if p.grad is not None]
        if not gradients:
            raise UsageError(
                message(
                    "the loss has no gradient for any parameter of the optimizer; it may have been made for "
                    "another network"
                )
            )
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if self.clip_norm is None:
            norm = nn.utils.get_total_norm(gradients)
        else:
            norm = nn.utils.clip_grad_norm_(self._parameters, self.clip_norm)
        return self._agreed(Reading(total, finite=math.isfinite(total) and math.isfinite(float(norm))))

    def _agreed(self, mine: Reading) -> Reading:
        """The mean over the ranks: they all go on from it, so they all do the same."""
        if self._ranks is None:
            return mine
        group = self._ranks.process_group
        place = self.device if dist.get_backend(group) == "nccl" else torch.device("cpu")
        both = torch.tensor([mine.loss, 0.0 if mine.finite else 1.0], dtype=torch.float64, device=place)
        dist.all_reduce(both, group=group)
        loss, bad = both.tolist()
        return Reading(loss / dist.get_world_size(group), finite=bad == 0)

    def _step(self, session: Session, loss: float) -> None:
        try:
            session.make_step(loss, lambda: self._gradients().loss, scaler=self.scaler)
        except CalandoError:
            raise
        except Exception as error:
            if self.closure == "none":
                raise
            raise UsageError(
                message(
                    "{kind}.step cannot be called with a closure that computes loss and gradient and returns the "
                    "loss ({reason}); a range test knows no other way, so test the optimizer that it is built on",
                    kind=type(self.optimizer).__name__,
                    reason=reason_of(error),
                )
            ) from error

    def _scale(self) -> float | None:
        """None where nothing scales the loss."""
        return float(self.scaler.get_scale()) if self.scaler is not None and self.scaler.is_enabled() else None


def blame_batch(update: BorrowedUpdate, start_again: Callable[[], object]) -> None:
    """Find out why an update was not made; everything is then as `start_again` leaves it, generators as they were.

    Raises UsageError where the last batches are not finite at the weights as they were lent either.
    """
    world = Snapshot()
    world.note_global_generators()
    start_again()
    reading = update.look_again()
    start_again()
    world.put_back()
    if reading.finite:
        return
    places = list(dict.fromkeys(place for batch in update.drawn for place in not_finite_in(batch)))
    last = update.batches
    first = last - len(update.drawn) + 1
    which = (
        message("batch {last}", last=last)
        if first == last
        else message("one of batches {first} to {last}", first=first, last=last)
    )
    what = (
        message("the loss is {loss:g}", loss=reading.loss)
        if not math.isfinite(reading.loss)
        else message("the gradient is not finite")
    )
    holds = (
        message(
            ", and the batch holds values that are not finite, in {places}", places=joined("{one} and {other}", places)
        )
        if places
        else ""
    )
    raise UsageError(
        message(
            "{which} of those drawn is at fault and no rate: at the weights as they were lent "
            "{what}{holds}; clean the data or leave such samples out",
            which=which,
            what=what,
            holds=holds,
        )
    )


def not_finite_in(batch: Any, name: str = "batch") -> Iterator[str]:
    """The places of tensors that hold nan or infinity.

    >>> list(not_finite_in((torch.zeros(2), {"y": torch.tensor([1.0, math.nan])})))
    ["batch[1]['y']"]
    """
    for place, tensor in leaves(batch, name):
        if (tensor.is_floating_point() or tensor.is_complex()) and not bool(torch.isfinite(tensor).all()):
            yield place


def _dense(gradient: torch.Tensor) -> torch.Tensor:
    return gradient.coalesce().values() if gradient.is_sparse else gradient
