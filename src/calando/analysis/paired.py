"""Paired differences of scores: Student's t with a floor from the scores' resolution.

    d_i = score of one strategy at seed i - score of the other at seed i,      i = 1 … n
    s²  = sample variance of d + h² / 6
    interval at level L = mean(d) ± t_{n-1}((1 + L) / 2) s / sqrt(n)

`h` is the resolution of a score, 1 / (test samples): scores are multiples of it, so a few seeds can differ by
exactly the same amount, and the sample variance alone would then claim certainty. h² / 12 is the variance of one
rounding, h² / 6 that of a difference of two. What this gives is measured by
`python -m benchmarks.verdicts.calibration`: docs/explanation/paired-differences.md.

Source: Student (1908), "The probable error of a mean"; the t interval is conservative for differences that are
symmetric mixtures of normals: Bakirov & Székely (2006), "Student's t-test for Gaussian scale mixtures".
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["paired_interval", "paired_p", "paired_sd"]

Floats = NDArray[np.float64]


def paired_sd(differences: ArrayLike, *, resolution: float) -> Floats:
    """Standard deviation of paired differences, never below what rounding alone makes.

    Args:
        differences: shape [..., n] with n >= 2, in score.
        resolution: step between two possible scores, 1 / (test samples); 0 for scores that are not rounded.

    Returns:
        [...], in score.

    >>> float(paired_sd([0.01, 0.01, 0.01], resolution=0.006).round(5))
    0.00245
    """
    values = np.asarray(differences, dtype=np.float64)
    assert values.shape[-1] >= 2
    assert resolution >= 0
    return np.asarray(np.hypot(values.std(axis=-1, ddof=1), resolution / math.sqrt(6)))


def paired_p(differences: ArrayLike, *, resolution: float) -> Floats:
    """Two-sided p-value of "the mean difference is zero".

    Args:
        differences: shape [..., n] with n >= 2, in score.
        resolution: step between two possible scores; 0 for scores that are not rounded.

    Returns:
        Shape [...], in [0, 1]; 1 where differences are all zero and scores are not rounded.

    >>> paired_p([[0.01, 0.02, 0.03], [-0.01, 0.02, 0.0]], resolution=0).round(3).tolist()
    [0.074, 0.742]
    """
    from scipy.special import stdtr

    values = np.asarray(differences, dtype=np.float64)
    n = values.shape[-1]
    mean, error = np.abs(values.mean(axis=-1)), paired_sd(values, resolution=resolution) / math.sqrt(n)
    ratio = np.divide(mean, error, out=np.where(mean > 0, np.inf, 0.0), where=error > 0)
    return np.asarray(2 * stdtr(n - 1, -ratio))


def paired_interval(
    differences: ArrayLike, *, resolution: float, level: ArrayLike = 0.95, most: float = 1.0
) -> tuple[Floats, Floats]:
    """Confidence interval of the mean difference, cut to [-most, most]: no difference of scores lies outside.

    Args:
        differences: shape [..., n] with n >= 2, in score.
        resolution: step between two possible scores; 0 for scores that are not rounded.
        level: confidence in (0, 1), one for all or of shape [...].
        most: the largest difference possible, 1 for shares.

    Returns:
        Lower and upper ends, each of shape [...], in score.

    >>> low, high = paired_interval([0.01, 0.02, 0.03], resolution=0)
    >>> round(float(low), 4), round(float(high), 4)
    (-0.0048, 0.0448)
    """
    from scipy.special import stdtrit

    values = np.asarray(differences, dtype=np.float64)
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    quantile = stdtrit(n - 1, (1 + np.asarray(level, dtype=np.float64)) / 2)
    half = quantile * paired_sd(values, resolution=resolution) / math.sqrt(n)
    return np.clip(mean - half, -most, most), np.clip(mean + half, -most, most)
