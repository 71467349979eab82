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
    """One look at the validation part, after `step` updates.

    Args:
        step: updates done before it.
        loss: mean cross-entropy (no label smoothing); may be non-finite, the score then means nothing.
        score: share of samples classified rightly, in [0, 1]; chance where the loss is not finite.
        raw_loss, raw_score: of the weights that are trained, where those evaluated are an average of them; else None.
    """

    step: int
    loss: float
    score: float
    raw_loss: float | None = None
    raw_score: float | None = None


@dataclass(frozen=True, slots=True)
class TestScore:
    """The one look at the test part, from the final weights, once every training of the study is done.

    Args:
        score: share of samples classified rightly, in [0, 1]; chance where the run diverged, or the loss is not finite.
        loss: mean cross-entropy; infinite where the run diverged, or an output was not finite.
        n: test samples; the score's resolution is 1 / n.
    """

    score: float
    loss: float
    n: int


@dataclass(frozen=True)
class RangeRecord:
    """What a range test of a workload and a method gave.

    Args:
        decayed: (rate, low, high) for a schedule that decays; None where none can be recommended.
        constant: the same for a constant rate.
        doubts: why not to rely on it, in words; empty: rely on it.
        updates: made.
        seconds: wall-clock.
    """

    decayed: tuple[float, float, float] | None
    constant: tuple[float, float, float] | None
    doubts: tuple[str, ...]
    updates: int
    seconds: float


def range_record_of(fields: dict[str, Any]) -> RangeRecord:
    """From what JSON keeps of `asdict(record)`; TypeError where a field is missing, or one too many."""
    read: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return RangeRecord(**read)


@dataclass(frozen=True)
class Event:
    """Something a controller or the loop did at a step: kind and a sentence."""

    step: int
    kind: str
    text: str


@dataclass(frozen=True, eq=False, slots=True)
class RunRecord:
    """What one run gave.

    Args:
        spec: what was run; `spec.digest()` is the key.
        outcome: see the top of this page.
        steps_done: updates made; fewer than `spec.steps` only where the run diverged.
        losses: float32[steps_done], the training loss of each update (label smoothing included), and at the end of a
            diverged run the loss that ended it; float32[0] where it was read without traces.
        rates: float64, the rate at each of these losses (first parameter group); float64[0] likewise.
        evaluations: ascending in step; the last is at `steps_done` unless diverged.
        chance: score of always naming the most frequent class of the training part; in records of before it was
            counted, 1 / number of classes.
        events: what controllers and the loop did.
        skips: (update, batches): from that update on, so many batches of the seed's order were left out.
        undone: updates that were made and taken back by a rewind; charged with `steps_done`.
        second_passes: updates that took a second forward and backward pass over their batch, as all of SAM's do, and
            those along which curvature was measured; each is charged as one more update.
        seconds: training and evaluation wall-clock, as if the run had been trained alone; differs between equal runs.
        inherited: of `updates`, those that another run had made before: this one started from where they led.
        inherited_seconds: of `seconds`, what those took.
        host: machine, torch version: the pedigree.
    """

    spec: RunSpec
    outcome: RunOutcome
    steps_done: int
    losses: np.ndarray
    rates: np.ndarray
    evaluations: tuple[Evaluation, ...]
    chance: float
    events: tuple[Event, ...] = ()
    skips: tuple[tuple[int, int], ...] = ()
    undone: int = 0
    second_passes: int = 0
    seconds: float = 0.0
    inherited: int = 0
    inherited_seconds: float = 0.0
    host: dict[str, str] = field(default_factory=dict)

    @property
    def updates(self) -> int:
        """What the run costs alone, and is charged in comparisons: those included that a rewind took back, and second
        passes as one each."""
        return self.steps_done + self.undone + self.second_passes

    @property
    def updates_spent(self) -> int:
        """What was trained for it beyond what it started from."""
        return self.updates - self.inherited

    @property
    def seconds_spent(self) -> float:
        """The same in seconds."""
        return self.seconds - self.inherited_seconds

    @property
    def score(self) -> float:
        """Validation score at the end; chance where the run diverged."""
        return self.chance if self.outcome == "diverged" else self.evaluations[-1].score

    @property
    def at_chance(self) -> bool:
        """Whether its score is no better than naming one class always."""
        return self.outcome == "diverged" or any(event.kind == "chance" for event in self.events)

    @property
    def loss(self) -> float:
        """Validation loss at the end; infinite where the run diverged."""
        return float("inf") if self.outcome == "diverged" else self.evaluations[-1].loss
