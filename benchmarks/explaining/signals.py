"""Runs at their ages: the product's own signals, and what the rate came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tuning.cases import Case
from tuning.truth import read as read_truth
from tuning.truth import traces

from calando.analysis.signals import signals_of
from calando.records.probe import LayerRow, ProbeRow

from .cases import FURTHER, MADE_ON
from .measure import AGES, NEIGHBOURS, SCHEDULE, read

__all__ = ["Look", "looks"]

POINT = 0.01
LAYER = ("weight", "update_ratio", "equilibrium", "gradient", "dead")


@dataclass(frozen=True)
class Look:
    """A run at an age.

    Args:
        lost: below the best rate's mean end, in score.
        distance: log2 of the rate over the best one.
        end: "low", "fine" or "high".
    """

    case: Case
    exponent: int
    seed: int
    age: float
    signals: dict[str, float]
    lost: float
    distance: int
    end: str


def looks(*, untouched: bool = False) -> list[Look]:
    """All that was measured; runs that diverged before the age are left out, as nobody needs a reading of them."""
    found = []
    for case in FURTHER if untouched else MADE_ON:
        truth, losses = read_truth(case), traces(case)
        means = {}
        for exponent in case.rates:
            tests = [row["test"] for key, row in truth.items() if key.startswith(f"{SCHEDULE} {exponent} ")]
            if tests:
                means[exponent] = float(np.mean(tests))
        best = max(means, key=lambda exponent: means[exponent]) if means else 0
        for key, run in read(case).items():
            exponent, seed = map(int, key.split())
            lost = means[best] - means[exponent]
            end = "fine" if lost <= POINT else "high" if exponent > best else "low"
            known = [row_of(row) for row in run["rows"]]
            start = [row for row in known if row.step == 1]
            for age in AGES:
                last = max(NEIGHBOURS + 1, round(age * case.steps))
                rows = [row for row in known if last - NEIGHBOURS < row.step <= last]
                trace = losses[f"{SCHEDULE} {key}"][: last + 1].astype(np.float64)
                if rows and start and np.isfinite(trace).all():
                    seen = signals_of(start[0], rows, losses=trace, chance=run["chance"], batch=run["batch"])
                    found.append(Look(case, exponent, seed, age, seen, lost, exponent - best, end))
    return found


def row_of(short: dict[str, Any]) -> ProbeRow:
    """A stored row."""
    lists = [short["layers"][name] for name in LAYER]
    layers = tuple(
        LayerRow(name=str(place), **dict(zip(LAYER, values, strict=True)))
        for place, values in enumerate(zip(*lists, strict=True))
    )
    return ProbeRow(**{**short, "step": int(short["step"]), "layers": layers})
