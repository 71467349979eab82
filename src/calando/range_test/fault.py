"""Whose fault a loss or a gradient is that is not finite: the rate's, or the batch's.

The batch comes again, at the weights as they were lent. Where it is not finite there either, no rate is at fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from calando.errors import UsageError
from calando.range_test.update import LentUpdate
from calando.training.restore import Snapshot

__all__ = ["blame_batch", "not_finite_in"]


def blame_batch(update: LentUpdate, start_again: Callable[[], object]) -> None:
    """Call it after an update that was not made; everything is as `start_again` leaves it, generators as they were.

    Raises:
        UsageError: the last batches are not finite at the weights as they were lent either.
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
    which = f"batch {last}" if first == last else f"one of batches {first} to {last}"
    what = f"the loss is {reading.loss:g}" if not math.isfinite(reading.loss) else "the gradient is not finite"
    holds = f", and the batch holds values that are not finite, in {' and '.join(places)}" if places else ""
    raise UsageError(
        f"{which} of those drawn is at fault and no rate: at the weights as they were lent {what}{holds}; "
        "clean the data or leave such samples out"
    )


def not_finite_in(batch: Any, name: str = "batch") -> Iterator[str]:
    """The places of tensors that hold nan or infinity.

    >>> list(not_finite_in((torch.zeros(2), {"y": torch.tensor([1.0, math.nan])})))
    ["batch[1]['y']"]
    """
    if isinstance(batch, torch.Tensor):
        if (batch.is_floating_point() or batch.is_complex()) and not bool(torch.isfinite(batch).all()):
            yield name
    elif isinstance(batch, Mapping):
        for key, value in batch.items():
            yield from not_finite_in(value, f"{name}[{key!r}]")
    elif isinstance(batch, list | tuple):
        for index, value in enumerate(batch):
            yield from not_finite_in(value, f"{name}[{index}]")
    elif is_dataclass(batch) and not isinstance(batch, type):
        for one in fields(batch):
            yield from not_finite_in(getattr(batch, one.name), f"{name}.{one.name}")
