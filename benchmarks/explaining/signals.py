"""Signals of a young run, one number each, and what its rate came to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from tuning.cases import CASES, Case
from tuning.truth import read as read_truth
from tuning.truth import traces

from .measure import AGES, NEIGHBOURS, SCHEDULE, read

__all__ = ["Look", "looks", "signals"]

POINT = 0.01


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
    """All that was measured."""
    found = []
    for case in CASES:
        if case.untouched != untouched:
            continue
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
            for k, age in enumerate(AGES):
                last = max(NEIGHBOURS, round(age * case.steps))
                rows = [row for row in run["rows"] if last - NEIGHBOURS < row["step"] <= last]
                trace = losses[f"{SCHEDULE} {key}"][: last + 1]
                if rows and np.isfinite(trace).all():
                    seen = signals(rows, trace, chance=run["chance"], batch=run["batch"])
                    found.append(Look(case, exponent, seed, age, seen, lost, exponent - best, end))
    return found


def signals(rows: list[dict[str, Any]], trace: np.ndarray, *, chance: float | None, batch: int) -> dict[str, float]:
    """nan where a signal was not seen."""
    start = chance if chance else float(np.mean(trace[:8]))
    window = trace[-16:]
    smooth = np.convolve(np.minimum(trace, 4 * start), np.ones(8) / 8, "valid") if len(trace) >= 8 else trace
    first, last = (
        _median(rows, lambda r: _finite(r["layers"]["gradient"])[:1]),
        _median(rows, lambda r: _finite(r["layers"]["gradient"])[-1:]),
    )
    noise, signal = _sum(rows, "noise"), _sum(rows, "signal")
    return {
        "ratio": _median(rows, lambda r: _finite([r["ratio"]])),
        "fresh ratio": _median(rows, lambda r: _finite([r["fresh_ratio"]])),
        "sharpness share": _median(rows, lambda r: [r["sharpness"] / r["limit"]] if r["sharpness"] is not None else []),
        "update ratio": _median(rows, lambda r: _finite(r["layers"]["update_ratio"])),
        "update ratio, largest": _median(rows, lambda r: [max(_finite(r["layers"]["update_ratio"]), default=math.nan)]),
        "over equilibrium": _median(
            rows,
            lambda r: [
                u / e for u, e in zip(r["layers"]["update_ratio"], r["layers"]["equilibrium"], strict=True) if u and e
            ],
        ),
        "gradient, first over last": first / last if last else math.nan,
        "gradient norm": _median(rows, lambda r: _finite([r["gradient_norm"]])),
        "noise scale over batch": noise / signal / batch if signal > 0 else 64.0,
        "dead": _median(rows, lambda r: [float(np.mean(_finite(r["layers"]["dead"]) or [0.0]))]),
        "level": float(np.mean(np.minimum(window, 4 * start)) / start),
        "peak": float(np.max(smooth) / start),
        "spread": float(np.std(window) / max(np.mean(window), 1e-12)),
        "progress": float((np.mean(smooth[: len(smooth) // 2]) - np.mean(smooth[len(smooth) // 2 :])) / start),
    }


def _finite(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _median(rows: list[dict[str, Any]], of: Any) -> float:
    found = [value for row in rows for value in of(row)]
    return float(np.median(found)) if found else math.nan


def _sum(rows: list[dict[str, Any]], name: str) -> float:
    return float(np.nansum([row[name] if row[name] is not None else math.nan for row in rows]))
