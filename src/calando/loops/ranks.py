"""The processes of one run, where a launcher such as torchrun starts several.

    rank()         this process's number; 0 keeps and reports
    agreed(x)      what rank 0 has, on every rank
    gathered(x)    what every rank has, by rank, on every rank

The last two are collective: every rank calls them, or none does. In a process of its own they give back what they get.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, TypeVar

from torch import distributed

__all__ = ["agreed", "gathered", "leave", "rank", "world_size"]

T = TypeVar("T")


def rank() -> int:
    """The number of this process among those of the run; 0 where it is alone."""
    if _is_set_up():
        return distributed.get_rank()
    # Lightning numbers the processes that it starts by LOCAL_RANK alone.
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)


def world_size() -> int:
    """How many processes can speak with each other; 1 until their process group is set up."""
    return distributed.get_world_size() if _is_set_up() else 1


def agreed(value: T) -> T:
    """What rank 0 has."""
    if world_size() == 1:
        return value
    held: list[Any] = [value]
    distributed.broadcast_object_list(held, src=0)
    agreed_on: T = held[0]
    return agreed_on


def gathered(value: T) -> list[T]:
    """What each rank has, by rank; returns when every rank has come here."""
    if world_size() == 1:
        return [value]
    held: list[Any] = [None] * world_size()
    distributed.all_gather_object(held, value)
    return held


def leave() -> None:
    """At the process's end, take down the process group that its code has left: gloo aborts the process otherwise at
    times, and the launcher then ends ranks that are not done."""
    if _is_set_up():
        with suppress(RuntimeError):
            distributed.destroy_process_group()


def _is_set_up() -> bool:
    return distributed.is_available() and distributed.is_initialized()
