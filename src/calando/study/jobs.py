"""Jobs: what a worker is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from calando.records import RunSpec
from calando.study.stages import Fork

__all__ = ["Find", "Job", "Look", "Train"]


@dataclass(frozen=True)
class Find:
    """Make the range test for this run."""

    spec: RunSpec


@dataclass(frozen=True)
class Train:
    """Make this run.

    Args:
        origin: where to start, if the run has no checkpoint of its own; None: from the beginning.
        leaves: where other runs will start; ascending in step.
        spares: leave some more, for runs that may be added later.
    """

    spec: RunSpec
    origin: Fork | None = None
    leaves: tuple[Fork, ...] = ()
    spares: bool = False


@dataclass(frozen=True)
class Look:
    """Read the test part with the final weights of this run; a diverged run has none and scores chance."""

    spec: RunSpec
    diverged: bool


Job = Find | Train | Look
