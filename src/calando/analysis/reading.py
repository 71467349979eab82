"""Whether a young run's rate is too high or too low, from signals that were shown to predict how it ends.

    P(too high), P(too low) = σ(b + Σ w z),   z = (log2 signal - mean) / spread, at most 3 either way
    distance = b + Σ w z                      of log2(rate / best rate)

A verdict is given where its probability is at least SURE; else the reading is silent, and says so. "Too high" and "too
low" mean that the run's score ends more than one point below that of the best rate.

The numbers are logistic and linear fits, each task weighing the same, to 318 runs of eleven tasks whose ends are known:
SGD with momentum, Adam and AdamW; batch, group and no normalisation; images, a table and speech; several labels and
pixels; looked at after 5, 10 and 20 % of the run. `python benchmarks/explain.py fit` makes them; what they reach on
tasks left out, and on tasks that were set aside, is in docs/LOG.md. They are frozen: a better fit is shown on tasks it
has not seen before it comes here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

import numpy as np

from calando.analysis.reading_words import named, percent, reason, times
from calando.analysis.signals import signals_of
from calando.language import _, joined, message, translated
from calando.records.probe import ProbeRow

__all__ = ["SURE", "TESTED_AGES", "TESTED_METHODS", "Fit", "Reading", "Verdict", "read_rate"]

Verdict = Literal["too high", "too low", "diverged", "nothing wrong is seen", "silent"]

SURE = 0.8
TESTED_AGES = (0.04, 0.3)
TESTED_METHODS = ("sgd", "adam", "adamw")
STEADY = 1.5  # a rate that changed by more since the middle of what was looked at was not tested
LEAST = 1e-6  # of a signal
FARTHEST = 3.0  # spreads from the mean: farther out nothing was fitted
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
            z = (math.log2(max(value, LEAST)) - mean) / spread if math.isfinite(value) else 0.0
            found[name] = weight * max(-FARTHEST, min(FARTHEST, z))
        return found

    def __call__(self, signals: Mapping[str, float]) -> float:
        return self.bias + sum(self.parts(signals).values())

    def gone(self, signals: Mapping[str, float]) -> list[str]:
        """The signals that are 0, and have no logarithm, as of a network that died."""
        return [name for name in self.terms if signals.get(name, math.nan) <= LEAST]

    def covers(self, signals: Mapping[str, float]) -> bool:
        """Whether all its signals were seen."""
        return all(math.isfinite(signals.get(name, math.nan)) for name in self.terms)


FITS: dict[str, Fit] = {
    "too high": Fit(
        -0.4416,
        {
            "alive": (-0.1974, 0.4473, -0.964),
            "first over last": (-2.423, 4.727, -3.408),
            "weight growth": (0.7198, 1.125, 1.465),
            "path": (-1.595, 1.637, 1.794),
        },
    ),
    "too low": Fit(
        -2.351,
        {
            "peak": (0.1615, 0.4366, 1.112),
            "weight growth": (0.7198, 1.125, -3.312),
            "path": (-1.595, 1.637, -1.708),
        },
    ),
    "too low, with sharpness": Fit(
        -1.801,
        {
            "level": (-0.737, 1.419, 0.6391),
            "path": (-1.595, 1.637, -1.401),
            "sharpness share": (-3.834, 3.101, -1.872),
            "sharpness growth": (-0.8275, 3.26, 2.237),
        },
    ),
    "distance": Fit(
        -0.2154,
        {
            "alive": (-0.1974, 0.4473, 0.5005),
            "first over last": (-2.423, 4.727, -1.31),
            "weight growth": (0.7198, 1.125, 1.058),
            "path": (-1.595, 1.637, 1.711),
        },
    ),
    "distance, with sharpness": Fit(
        -0.2162,
        {
            "peak": (0.1615, 0.4366, 0.1671),
            "first over last": (-2.423, 4.727, -0.8446),
            "update ratio": (-7.055, 1.733, 0.5733),
            "critical ratio": (-3.071, 2.447, 0.5801),
            "sharpness share": (-3.834, 3.101, 1.736),
            "sharpness growth": (-0.8275, 3.26, -1.746),
        },
    ),
}

OFF: dict[str, dict[str, tuple[float, float]]] = {
    "distance": {"too high": (-3.3, 3.3), "too low": (-4.1, 1.4)},
    "distance, with sharpness": {"too high": (-1.4, 3.3), "too low": (-1.9, 1.5)},
}
"""Octaves that the true distance lies from the fitted one, eight times in ten, on tasks left out: (least, most)."""

USUAL: dict[str, float] = {
    "peak": 0.98,
    "level": 0.49,
    "update ratio": 0.01,
    "first over last": 1.1,
    "gradient growth": 0.56,
    "weight growth": 1.1,
    "path": 0.49,
    "alive": 1.0,
    "critical ratio": 0.15,
    "sharpness share": 0.11,
    "sharpness growth": 0.76,
    "noise scale": 2.5,
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
            return message(
                "{verdict} by about {by} × (between {low} and {high})",
                verdict=message(self.verdict),
                by=times(by),
                low=times(low),
                high=times(high),
            )
        return message("no reading" if self.verdict == "silent" else self.verdict)

    @property
    def instead(self) -> str | None:
        """The rate that the factor comes to, in words; None without one."""
        if self.factor is None or self.factors is None or not self.rate:
            return None
        ends = [self.rate / (max(1.0, f) if self.factor >= 1 else min(1.0, f)) for f in self.factors]
        low, high = sorted(ends)
        return message(
            "a rate near {rate:.2g} would be right: between {low:.2g} and {high:.2g}, 8 times in 10",
            rate=self.rate / self.factor,
            low=low,
            high=high,
        )

    @property
    def first_line(self) -> str:
        """The verdict, with the rate and the step that it is of, where the rate is known."""
        if self.rate is None:
            return self.heading
        return message(
            "rate {rate:.3g} after {step:,} of {total:,} updates: {heading}",
            rate=self.rate,
            step=self.step,
            total=self.total_steps,
            heading=self.heading,
        )

    def __str__(self) -> str:
        lines = [translated(self.first_line), *([f"  {translated(self.instead)}"] if self.instead else [])]
        lines += [f"  - {translated(text)}" for text in self.because]
        return "\n".join([*lines, *(_("  note: {text}", text=text) for text in self.cautions)])

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
        ended = stopped or message(
            "the loss of update {step} is not finite"
            if len(losses) == step
            else "the last loss that is known is not finite",
            step=step - 1,
        )
        return Reading(verdict="diverged", step=step, total_steps=total_steps, rate=rate, because=(ended,))
    if not rows:
        return silent(message("nothing has been looked at yet"))
    if rate == 0:
        return silent(message("the rate is 0, and no factor makes it another"))
    age = (rows[-1].step + 1) / total_steps
    if age < TESTED_AGES[0]:
        return silent(
            message(
                "the last look was at {age} of the run, too early: readings were tested from {least:.0%} on",
                age=percent(age),
                least=TESTED_AGES[0],
            )
        )
    if age > TESTED_AGES[1]:
        return silent(
            message(
                "readings were tested up to {most:.0%} of a run, the last look was at {age:.0%}",
                most=TESTED_AGES[1],
                age=age,
            )
        )
    recent = [row for row in rows if row.step >= (1 - NEAR) * rows[-1].step]
    signals = signals_of(rows[0], recent, losses=losses, chance=chance, batch=batch)
    low_fit = FITS["too low, with sharpness"]
    if not low_fit.covers(signals):
        low_fit = FITS["too low"]
    missing = [name for fit in (FITS["too high"], low_fit) for name in fit.terms if not math.isfinite(signals[name])]
    if missing:
        unseen = joined("{one}, {other}", map(named, dict.fromkeys(missing)))
        return silent(message("not seen: {signals}", signals=unseen), signals=signals)
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
        verdict: Verdict = "too high" if high >= low else "too low"
        fit = FITS["too high"] if high >= low else low_fit
        return replace(
            found, verdict=verdict, because=tuple(_reasons(fit, signals)), **_factor(verdict, signals, cautions)
        )
    if max(high, low) <= 1 - SURE:
        return replace(found, verdict="nothing wrong is seen", because=(_NOTHING,))
    undecided = message(
        "the signals do not decide: too high with {high:.0%}, too low with {low:.0%} probability; a verdict needs "
        "{sure:.0%} of one, or at most {most:.0%} of each",
        high=high,
        low=low,
        sure=SURE,
        most=1 - SURE,
    )
    return replace(found, because=(undecided,))


_NOTHING = message(
    "no signal of a rate too high, nor of one too low; on tasks set aside, 110 of 147 such looks were at runs that "
    "ended within a point of the best rate's"
)


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


def _factor(verdict: Verdict, signals: Mapping[str, float], cautions: tuple[str, ...]) -> dict[str, Any]:
    name = "distance, with sharpness" if FITS["distance, with sharpness"].covers(signals) else "distance"
    if gone := FITS[name].gone(signals):
        # LEAST in its place would give a factor, and one much too near to 1.
        unknown = joined("{one}, {other}", [message("{signal} is 0", signal=named(name)) for name in gone])
        return {"cautions": (*cautions, message("by how much is not known: {signals}", signals=unknown))}
    octaves = FITS[name](signals)
    least, most = (octaves + off for off in OFF[name][verdict])
    if (octaves <= 0) == (verdict == "too high"):
        return {}
    return {"factor": 2.0**octaves, "factors": (2.0**least, 2.0**most)}


def _reasons(fit: Fit, signals: Mapping[str, float]) -> list[str]:
    """The signals that speak for it, the strongest first."""
    parts = sorted(fit.parts(signals).items(), key=lambda part: -part[1])
    return [reason(name, signals[name], usual=USUAL[name]) for name, part in parts if part > LEAST_PART]


LEAST_PART = 0.3


def _cautions(rows: Sequence[ProbeRow], method: str, chance: float | None) -> Iterator[str]:
    if method and method not in TESTED_METHODS:
        yield message("readings were tested with SGD and Adam's kin, not with {method}", method=method)
    middle = [row.rate for row in rows if row.step >= rows[-1].step / 2 and row.rate > 0]
    if middle and max(middle) > STEADY * min(middle):
        yield message("the rate changed while it was looked at; readings were tested at rates that stood")
    if chance is None:
        yield message("the loss at chance is not known; the mean of the first losses stands for it")
