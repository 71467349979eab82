"""How a study stands while it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from calando.records import StudySpec
from calando.study.jobs import JobProgress

__all__ = ["Status"]


@dataclass
class Status:
    """How a study stands: what the live display shows.

    Args:
        study, folder: which study, and where it is.
        done, expected: finished runs, and how many there will be (a grid may still be extended by one; where seeds are
            added until verdicts are settled, those asked for so far).
        queued: runs that could start but wait for a worker.
        running: by worker slot, the last report of each.
        finds: range tests still to make, before training.
        looks: test looks still to make, once training is over.
        steps_left: updates still to make, running ones' shares included.
        steps: updates of all runs asked for so far, each as if trained alone.
        notes: sentences for the user: how the data were read, a worker lost, a grid extended.
        machine: device, precision, threads and workers, with what decided those that nobody asked for; "": unknown.
    """

    study: StudySpec
    folder: Path
    expected: int
    done: int = 0
    queued: int = 0
    running: dict[int, JobProgress] = field(default_factory=dict)
    finds: int = 0
    looks: int = 0
    steps_left: int = 0
    steps: int = 0
    notes: list[str] = field(default_factory=list)
    machine: str = ""
