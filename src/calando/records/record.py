"""What came out of a run: a value that needs neither torch nor the model to be read.

Outcomes:
    finished    the horizon was reached
    diverged    a loss, the weights or an evaluation was not finite; the run stopped there. Its score counts as chance
    died        the horizon was reached, but the training loss ends at chance level (the entropy of the training
                labels): networks without normalisation die rather than explode

Any run that reached the horizon has an event of the kind "chance" where its score is no better than naming one class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from calando.records.spec import RunSpec

__all__ = ["Evaluation", "Event", "RangeRecord", "RunOutcome", "RunRecord", "TestScore", "range_record_of"]

RunOutcome = Literal["finished", "diverged", "died"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation on the validation part."""

    step: int  # updates done before it
    loss: float  # mean cross-entropy (no label smoothing); may be non-finite, the score then means nothing
    score: float  # share of samples classified rightly, in [0, 1]; chance where the loss is not finite
    # Of the weights that are trained, where those evaluated are an average of them; else None.
    raw_loss: float | None = None
    raw_score: float | None = None


@dataclass(frozen=True, slots=True)
class TestScore:
    """The only evaluation on the test part, with the final weights, after all training of the study."""

    score: float  # share classified rightly, in [0, 1]; chance where the run diverged, or the loss is not finite
    loss: float  # mean cross-entropy; infinite where the run diverged, or an output was not finite
    n: int  # test samples; the score's resolution is 1 / n


@dataclass(frozen=True)
class RangeRecord:
    """Result of a range test of a workload and a method."""

    decayed: tuple[float, float, float] | None  # (rate, low, high) for a schedule that decays; None: none to recommend
    constant: tuple[float, float, float] | None  # the same for a constant rate
    doubts: tuple[str, ...]  # why not to rely on it, in words; empty: rely on it
    updates: int
    seconds: float  # wall-clock


def range_record_of(fields: dict[str, Any]) -> RangeRecord:
    """From what JSON keeps of `asdict(record)`; TypeError where a field is missing, or one too many."""
    read: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return RangeRecord(**read)


@dataclass(frozen=True)
class Event:
    """What a controller or the training loop did at a step: a kind and a sentence."""

    step: int
    kind: str
    text: str

    def __str__(self) -> str:
        """
        >>> print(Event(7, "diverged", "loss is nan at step 7"))
        step 7: loss is nan
        """
        return f"step {self.step}: {self.what}"

    @property
    def what(self) -> str:
        """What happened, without the step."""
        return self.text.removesuffix(f" at step {self.step}")


@dataclass(frozen=True, eq=False, slots=True)
class RunRecord:
    """Result of one run."""

    spec: RunSpec  # what was run; `spec.digest()` is the key
    outcome: RunOutcome  # see the top of this page
    steps_done: int  # updates made; fewer than `spec.steps` only where the run diverged
    # float32[steps_done]: the training loss of each update (label smoothing included), and that which ended a diverged
    # run; float64: the rate at each (first parameter group). Both are empty where they were read without traces.
    losses: np.ndarray
    rates: np.ndarray
    evaluations: tuple[Evaluation, ...]  # ascending in step; the last is at `steps_done` unless diverged
    chance: float  # score of always naming the training part's most frequent class; in old records 1 / classes
    events: tuple[Event, ...] = ()  # what controllers and the loop did
    skips: tuple[tuple[int, int], ...] = ()  # (update, batches of the seed's order that are left out from there on)
    undone: int = 0  # updates that were made and taken back by a rewind; charged with `steps_done`
    second_passes: int = 0  # over a batch, for a method or a curvature; each is charged as one more update
    seconds: float = 0.0  # training and evaluation, as if the run had been trained alone; differs between equal runs
    inherited: int = 0  # of `updates`, those that another run had made before: this one started from where they led
    inherited_seconds: float = 0.0  # of `seconds`, what those took
    host: dict[str, str] = field(default_factory=dict)  # machine, torch version: the pedigree

    def __repr__(self) -> str:
        """Which run, and how it ended."""
        spec = self.spec
        return (
            f"<run of {spec.strategy.name}, lr={spec.lr:g}, seed {spec.seed}: {self.outcome}, step {self.steps_done}>"
        )

    @property
    def updates(self) -> int:
        """Updates that the run costs by itself, as charged in comparisons.

        Updates that a rewind took back are included; a second pass counts as one update.
        """
        return self.steps_done + self.undone + self.second_passes

    @property
    def updates_spent(self) -> int:
        """Updates trained for it, without the stages that it shares with other runs."""
        return self.updates - self.inherited

    @property
    def seconds_spent(self) -> float:
        """Seconds for these updates."""
        return self.seconds - self.inherited_seconds

    @property
    def score(self) -> float:
        """Validation score at the end; that of chance if the run diverged."""
        return self.chance if self.outcome == "diverged" else self.evaluations[-1].score

    @property
    def at_chance(self) -> bool:
        """Whether the score is no better than always naming one class."""
        return self.outcome == "diverged" or any(event.kind == "chance" for event in self.events)

    @property
    def loss(self) -> float:
        """Validation loss at the end; infinite if the run diverged."""
        return float("inf") if self.outcome == "diverged" else self.evaluations[-1].loss
