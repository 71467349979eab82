"""Fits of the reading, and what they reach on a task left out.

Each task weighs the same. A ridge keeps weights small; signals are logarithms, standardised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from calando.analysis.reading import SURE, Fit

from .signals import Look

__all__ = ["DISTANCE", "MODELS", "fit_all", "fit_distance", "fit_end", "left_out"]

RIDGE = 3.0

MODELS: dict[str, tuple[Literal["high", "low"], tuple[str, ...]]] = {
    "too high": ("high", ("alive", "first over last", "weight growth", "path")),
    "too low": ("low", ("peak", "weight growth", "path")),
    "too low, with sharpness": ("low", ("level", "path", "sharpness share", "sharpness growth")),
}
DISTANCE: dict[str, tuple[str, ...]] = {
    "distance": ("alive", "first over last", "weight growth", "path"),
    "distance, with sharpness": (
        "peak", "first over last", "update ratio", "critical ratio", "sharpness share", "sharpness growth",
    ),
}  # fmt: skip


def _matrix(looks: Sequence[Look], names: Sequence[str]) -> np.ndarray:
    rows = [[look.signals[name] for name in names] for look in looks]
    with np.errstate(invalid="ignore"):
        return np.log2(np.maximum(np.array(rows, np.float64), 1e-6))


def _standard(looks: Sequence[Look], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    matrix = _matrix(looks, names)
    mean, spread = np.nanmean(matrix, 0), np.nanstd(matrix, 0) + 1e-9
    return np.c_[np.nan_to_num((matrix - mean) / spread), np.ones(len(matrix))], mean, spread


def _weights(looks: Sequence[Look]) -> np.ndarray:
    """Each task the same, a mean of 1."""
    names = [look.case.name for look in looks]
    weights = np.array([1 / names.count(name) for name in names])
    return weights * len(weights) / weights.sum()


def _as_fit(names: Sequence[str], mean: np.ndarray, spread: np.ndarray, found: np.ndarray) -> Fit:
    terms = {
        name: (float(f"{m:.4g}"), float(f"{s:.4g}"), float(f"{w:.4g}"))
        for name, m, s, w in zip(names, mean, spread, found[:-1], strict=True)
    }
    return Fit(float(f"{found[-1]:.4g}"), terms)


def fit_end(looks: Sequence[Look], end: str, names: Sequence[str]) -> Fit:
    """Logistic, by Newton's method."""
    matrix, mean, spread = _standard(looks, names)
    wanted, weights = np.array([look.end == end for look in looks], np.float64), _weights(looks)
    ridge = np.diag([RIDGE] * len(names) + [1e-6])
    found = np.zeros(matrix.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-np.clip(matrix @ found, -30, 30)))
        gradient = matrix.T @ (weights * (p - wanted)) + ridge @ found
        hessian = (matrix * (weights * p * (1 - p))[:, None]).T @ matrix + ridge
        step = np.linalg.solve(hessian, gradient)
        found -= step
        if np.abs(step).max() < 1e-9:
            break
    return _as_fit(names, mean, spread, found)


def fit_distance(looks: Sequence[Look], names: Sequence[str]) -> Fit:
    """Least squares."""
    matrix, mean, spread = _standard(looks, names)
    wanted, weights = np.array([look.distance for look in looks], np.float64), _weights(looks)
    ridge = np.diag([RIDGE] * len(names) + [0.0])
    found = np.linalg.solve((matrix * weights[:, None]).T @ matrix + ridge, matrix.T @ (weights * wanted))
    return _as_fit(names, mean, spread, found)


def fit_all(looks: Sequence[Look]) -> dict[str, Fit]:
    """All of the reading's numbers."""
    return {
        **{name: fit_end(looks, end, names) for name, (end, names) in MODELS.items()},
        **{name: fit_distance(looks, names) for name, names in DISTANCE.items()},
    }


def left_out(looks: Sequence[Look]) -> list[tuple[Look, dict[str, Fit]]]:
    """Every look with fits that have not seen its task."""
    found = []
    for name in sorted({look.case.name for look in looks}):
        fits = fit_all([look for look in looks if look.case.name != name])
        found += [(look, fits) for look in looks if look.case.name == name]
    return found


def speaks(fit: Fit, look: Look) -> bool:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, fit(look.signals))))) >= SURE
