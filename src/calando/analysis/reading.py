"""Whether a young run's rate is too high or too low, from signals that were shown to predict how it ends.

    P(too high), P(too low) = σ(b + Σ w z),   z = (log2 signal - mean) / spread
    distance = b + Σ w z                      of log2(rate / best rate)

A verdict is given where its probability is at least SURE; else the reading is silent, and says so. "Too high" and "too
low" mean that the run's score ends more than one point below that of the best rate.

The numbers are logistic and linear fits, each task weighing the same, to runs whose ends are known: SGD with momentum
and AdamW, with batch normalisation, group normalisation and none, images and a table, looked at after 5, 10 and 20 % of
the run. `python benchmarks/explain.py fit` makes them; what they reach on tasks left out, and on tasks that were set
aside, is in docs/LOG.md. They are frozen: a better fit is shown on tasks it has not seen before it comes here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

import numpy as np

from calando.analysis.signals import signals_of
from calando.records.probe import ProbeRow

__all__ = ["SURE", "TESTED_AGES", "TESTED_METHODS", "Fit", "Reading", "Verdict", "read_rate"]

Verdict = Literal["too high", "too low", "diverged", "nothing wrong is seen", "silent"]

SURE = 0.8
TESTED_AGES = (0.04, 0.3)
TESTED_METHODS = ("sgd", "adam", "adamw")
STEADY = 1.5  # a rate that changed by more since the middle of what was looked at was not tested
NEAR = 0.3  # rows of the last so much of the way are one look


@final
@dataclass(frozen=True)
class Fit:
    """A linear function of logarithms of signals.

    Args:
        terms: signal -> (mean, spread, weight).
    """

    bias: float
    terms: Mapping[str, tuple[float, float, float]]

    def parts(self, signals: Mapping[str, float]) -> dict[str, float]:
        """What each signal adds; one that was not seen adds nothing."""
        found = {}
        for name, (mean, spread, weight) in self.terms.items():
            value = signals.get(name, math.nan)
            found[name] = weight * (math.log2(max(value, 1e-6)) - mean) / spread if math.isfinite(value) else 0.0
        return found

    def __call__(self, signals: Mapping[str, float]) -> float:
        return self.bias + sum(self.parts(signals).values())

    def covers(self, signals: Mapping[str, float]) -> bool:
        """Whether all its signals were seen."""
        return all(math.isfinite(signals.get(name, math.nan)) for name in self.terms)


FITS: dict[str, Fit] = {
    "too high": Fit(
        -0.554,
        {
            "peak": (0.06798, 0.4318, 1.694),
            "first over last": (-2.176, 4.033, -2.306),
            "update ratio": (-7.368, 1.814, 2.457),
            "gradient growth": (-0.9344, 2.087, -0.7451),
        },
    ),
    "too low": Fit(
        -2.256,
        {
            "update ratio": (-7.368, 1.814, -2.005),
            "peak": (0.06798, 0.4318, 0.8622),
            "weight growth": (0.535, 1.029, -1.754),
        },
    ),
    "too low, with sharpness": Fit(
        -2.04,
        {
            "update ratio": (-7.368, 1.814, -1.29),
            "peak": (0.06798, 0.4318, 0.4198),
            "sharpness share": (-3.735, 3.733, -2.138),
            "sharpness growth": (-0.7022, 3.679, 2.323),
        },
    ),
    "distance": Fit(
        0.02863,
        {
            "update ratio": (-7.368, 1.814, 0.3898),
            "critical ratio": (-2.993, 2.366, 0.4235),
            "peak": (0.06798, 0.4318, -0.1602),
            "first over last": (-2.176, 4.033, -0.8498),
            "sharpness share": (-3.735, 3.733, 2.679),
            "sharpness growth": (-0.7022, 3.679, -2.583),
        },
    ),
}

OFF: dict[Verdict, tuple[float, float]] = {"too high": (-2.2, 3.4), "too low": (-0.8, 1.6)}
"""Octaves that the true distance lies from the fitted one, eight times in ten, on tasks left out: (least, most)."""

USUAL: dict[str, float] = {
    "peak": 0.89,
    "level": 0.44,
    "update ratio": 0.0075,
    "first over last": 0.79,
    "gradient growth": 0.52,
    "weight growth": 1.0,
    "dead": 0.0,
    "critical ratio": 0.11,
    "sharpness share": 0.089,
    "sharpness growth": 0.6,
    "noise scale": 4.8,
}
"""The median of each signal over runs at a rate within a point of the best."""


@final
@dataclass(frozen=True, kw_only=True)
class Reading:
    """What signals say of a rate.

    Args:
        verdict: in a word or two.
        step, total_steps: when it was looked at.
        rate: the first group's, at the last look.
        factor: rate over the rate that would be right, above 1 where it is too high; None without a verdict of that.
        factors: between which the true factor lies, eight times in ten.
        high, low: probabilities that the rate is too high, too low.
        signals: all that were seen, by name.
        because: sentences: the signals that the verdict rests on, or why there is none.
        cautions: sentences: in what this training differs from those that readings were tested on.
    """

    verdict: Verdict
    step: int
    total_steps: int
    rate: float | None = None
    factor: float | None = None
    factors: tuple[float, float] | None = None
    high: float | None = None
    low: float | None = None
    signals: Mapping[str, float] = field(default_factory=dict)
    because: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """The verdict in a line."""
        if self.factor is not None and self.factors is not None:
            by = self.factor if self.factor >= 1 else 1 / self.factor
            ends = sorted(f if self.factor >= 1 else 1 / f for f in self.factors)
            low, high = (max(1.0, end) for end in ends)
            return f"{self.verdict} by about {by:.2g} × (between {low:.2g} and {high:.2g})"
        if self.verdict == "silent":
            return "no reading"
        return self.verdict

    def __str__(self) -> str:
        at = "" if self.rate is None else f"rate {self.rate:.3g} after {self.step:,} of {self.total_steps:,} updates: "
        lines = [f"{at}{self.heading}", *(f"  - {text}" for text in self.because)]
        return "\n".join([*lines, *(f"  note: {text}" for text in self.cautions)])

    def to_json(self) -> dict[str, Any]:
        """As what `json.dumps` takes."""
        return {
            "verdict": self.verdict,
            "step": self.step,
            "total_steps": self.total_steps,
            "rate": self.rate,
            "factor": self.factor,
            "factors": None if self.factors is None else list(self.factors),
            "too_high": self.high,
            "too_low": self.low,
            "signals": {name: value for name, value in self.signals.items() if math.isfinite(value)},
            "because": list(self.because),
            "cautions": list(self.cautions),
        }


def read_rate(
    rows: Sequence[ProbeRow],
    *,
    losses: np.ndarray,
    step: int,
    total_steps: int,
    chance: float | None = None,
    batch: int | None = None,
    method: str = "",
    stopped: str | None = None,
) -> Reading:
    """Read a training.

    Args:
        rows: what was looked at, in order; the first one is compared with.
        losses: training losses up to `step`.
        step: updates made.
        total_steps: updates planned.
        chance: the loss of a network that knows nothing of the inputs.
        batch: samples in a batch.
        method: its name; of others than were tested there is a caution.
        stopped: why the run ended before its time.
    """
    rate = rows[-1].rate if rows else None
    silent = _Silent(step=step, total_steps=total_steps, rate=rate)
    if stopped is not None or (len(losses) and not np.isfinite(losses[-1])):
        ended = stopped or f"the loss of update {len(losses) - 1} is not finite"
        return Reading(verdict="diverged", step=step, total_steps=total_steps, rate=rate, because=(ended,))
    if not rows:
        return silent("nothing has been looked at yet")
    age = (rows[-1].step + 1) / total_steps
    if age < TESTED_AGES[0]:
        return silent(f"{age:.1%} of the run is too early: readings were tested from {TESTED_AGES[0]:.0%} on")
    if age > TESTED_AGES[1]:
        return silent(f"readings were tested up to {TESTED_AGES[1]:.0%} of a run, the last look was at {age:.0%}")
    recent = [row for row in rows if row.step >= (1 - NEAR) * rows[-1].step]
    signals = signals_of(rows[0], recent, losses=losses, chance=chance, batch=batch)
    low_fit = FITS["too low, with sharpness"]
    if not low_fit.covers(signals):
        low_fit = FITS["too low"]
    missing = [name for fit in (FITS["too high"], low_fit) for name in fit.terms if not math.isfinite(signals[name])]
    if missing:
        return silent(f"not seen: {', '.join(dict.fromkeys(missing))}", signals=signals)
    high, low = (_probability(fit(signals)) for fit in (FITS["too high"], low_fit))
    cautions = tuple(_cautions(rows, method, chance))
    found = Reading(
        verdict="silent",
        step=step,
        total_steps=total_steps,
        rate=rate,
        high=high,
        low=low,
        signals=signals,
        cautions=cautions,
    )
    if max(high, low) >= SURE:
        verdict, fit = ("too high", FITS["too high"]) if high >= low else ("too low", low_fit)
        return replace(found, verdict=verdict, because=tuple(_reasons(fit, signals)), **_factor(verdict, signals))
    if max(high, low) <= 1 - SURE:
        return replace(found, verdict="nothing wrong is seen", because=(_NOTHING,))
    return replace(
        found, because=(f"the signals do not agree: too high with {high:.0%}, too low with {low:.0%} probability",)
    )


_NOTHING = "neither signal of a rate too high nor of one too low; on tasks left out, 72 of 85 such looks were at runs that ended well"


@dataclass(frozen=True, kw_only=True)
class _Silent:
    step: int
    total_steps: int
    rate: float | None

    def __call__(self, why: str, *, signals: Mapping[str, float] | None = None) -> Reading:
        return Reading(
            verdict="silent",
            step=self.step,
            total_steps=self.total_steps,
            rate=self.rate,
            signals=signals or {},
            because=(why,),
        )


def _probability(score: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def _factor(verdict: Verdict, signals: Mapping[str, float]) -> dict[str, Any]:
    fit = FITS["distance"]
    if not fit.covers(signals):
        return {}
    octaves = fit(signals)
    least, most = octaves + OFF[verdict][0], octaves + OFF[verdict][1]
    if (octaves <= 0) == (verdict == "too high"):
        return {}
    return {"factor": 2.0**octaves, "factors": (2.0**least, 2.0**most)}


def _reasons(fit: Fit, signals: Mapping[str, float]) -> list[str]:
    """The signals that speak for it, the strongest first."""
    parts = sorted(fit.parts(signals).items(), key=lambda part: -part[1])
    return [
        f"{_WORDS[name](signals[name])}; usual at a good rate: {USUAL[name]:.2g}" for name, part in parts if part > 0.3
    ]


_WORDS = {
    "peak": lambda v: f"the loss stood at {v:.2g} times chance level at its highest",
    "update ratio": lambda v: f"an update moves a layer's weights by {v:.2g} of their size",
    "first over last": lambda v: f"the gradient at the first layer is {v:.2g} of that at the last",
    "gradient growth": lambda v: f"the gradient is {v:.2g} times as large as at the start",
    "weight growth": lambda v: f"weights have grown to {v:.3g} times their size at the start",
    "sharpness share": lambda v: f"the sharpness is {v:.2g} of what the method bears at this rate",
    "sharpness growth": lambda v: f"the sharpness is {v:.2g} times that at the start",
    "critical ratio": lambda v: f"the rate is {v:.2g} of the least one that would raise the batch's loss",
}


def _cautions(rows: Sequence[ProbeRow], method: str, chance: float | None) -> Iterator[str]:
    if method and method not in TESTED_METHODS:
        yield f"readings were tested with SGD and Adam's kin, not with {method}"
    middle = [row.rate for row in rows if row.step >= rows[-1].step / 2 and row.rate > 0]
    if middle and max(middle) > STEADY * min(middle):
        yield "the rate changed while it was looked at; readings were tested at rates that stood"
    if chance is None:
        yield "the loss at chance is not known; the mean of the first losses stands for it"
