"""A curve of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

__all__ = ["Curve"]


@final
@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one run: x, updates made, ascending, and y; of equal shape (N,)."""

    x: np.ndarray
    y: np.ndarray
