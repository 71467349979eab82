"""Augmentation of speech, and mixup: pure functions of (seed, step) and of a sample's place in the batch.

    shift(ms)              a recording starts up to ms milliseconds earlier or later, evenly drawn; what is left is 0
    noise(low, high)       noise is added, low … high dB below the recording's mean power, evenly drawn in dB: from the
                           data's own background recordings, anywhere in them; white where the data have none
    spec(frames, mels)     SpecAugment: 2 strips of up to `frames` frames and 2 of up to `mels` mels, of the normalised
                           log-mel picture, become 0, which is its mean
    mixup(alpha)           x = l x + (1 - l) x', targets likewise, x' another sample of the batch, l drawn once an
                           update from Beta(alpha, alpha); of what the network gets, of pictures too

They act in this order, however they are written: on recordings, on log-mel pictures, on the batch. A clip at full scale
may leave -1 … 1 by noise: nothing is clipped.

Sources: P. Warden, "Speech Commands", arXiv:1804.03209 (background noise); D. Park et al., "SpecAugment",
arXiv:1904.08779 (without time warping); H. Zhang et al., "mixup", arXiv:1710.09412.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

__all__ = ["ActsOn", "Mixup", "Noise", "Shift", "Spec"]

ActsOn = Literal["images", "recordings", "log-mel pictures", "the batch"]

_STRIPS = 2


@dataclass(frozen=True)
class Shift:
    """Move a recording in time by up to `ms` milliseconds."""

    ms: int
    acts_on: ClassVar[ActsOn] = "recordings"

    def __call__(self, waves: np.ndarray, rng: np.random.Generator, /, *, rate: int) -> np.ndarray:
        """float32 [N, T] -> the same."""
        most = self.ms * rate // 1000
        n, length = waves.shape
        padded = np.zeros((n, length + 2 * most), dtype=waves.dtype)
        padded[:, most : most + length] = waves
        starts = rng.integers(0, 2 * most + 1, n)
        windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)
        moved: np.ndarray = windows[np.arange(n), starts]
        return moved

    def __str__(self) -> str:
        return f"shift({self.ms})"


@dataclass(frozen=True)
class Noise:
    """Add noise, `low` … `high` dB below the recording."""

    low: float
    high: float
    acts_on: ClassVar[ActsOn] = "recordings"

    def __call__(
        self, waves: np.ndarray, rng: np.random.Generator, /, *, background: Sequence[np.ndarray] = ()
    ) -> np.ndarray:
        """float32 [N, T] -> the same; `background`: recordings float32 of at least T samples each, or none."""
        n, length = waves.shape
        decibels = rng.uniform(self.low, self.high, n)
        if background:
            which = rng.integers(0, len(background), size=(n,)).tolist()
            where = rng.random(size=(n,)).tolist()
            noise = np.stack(
                [_piece(background[place], share, length) for place, share in zip(which, where, strict=True)]
            )
        else:
            noise = rng.standard_normal((n, length), dtype=np.float32)
        wanted = _power(waves) * 10 ** (-decibels / 10)
        there = _power(noise)
        scale = np.sqrt(np.divide(wanted, there, out=np.zeros_like(there), where=there > 0))
        made: np.ndarray = waves + noise * scale[:, None].astype(np.float32)
        return made

    def __str__(self) -> str:
        return f"noise({self.low:g}, {self.high:g})"


def _power(waves: np.ndarray) -> np.ndarray:
    power: np.ndarray = np.square(waves, dtype=np.float64).mean(1)
    return power


def _piece(wave: np.ndarray, share: float, length: int) -> np.ndarray:
    """`length` samples of a wave, from a start that is `share` of all possible ones; share in [0, 1)."""
    start = int(share * (len(wave) - length + 1))
    return wave[start : start + length]


@dataclass(frozen=True)
class Spec:
    """Hide strips of a log-mel picture."""

    frames: int
    mels: int
    acts_on: ClassVar[ActsOn] = "log-mel pictures"

    def kept(self, shape: tuple[int, int, int], rng: np.random.Generator, /) -> np.ndarray:
        """bool [N, mels, frames]: what is not hidden; `shape` is that."""
        n, rows, columns = shape
        kept_rows, kept_columns = np.ones((n, rows), bool), np.ones((n, columns), bool)
        for kept, widest in ((kept_columns, self.frames), (kept_rows, self.mels)):
            size = kept.shape[1]
            for _ in range(_STRIPS):
                wide = rng.integers(0, widest + 1, n)
                start = (rng.random(n) * (size - wide + 1)).astype(np.int64)
                places = np.arange(size)
                kept &= (places < start[:, None]) | (places >= (start + wide)[:, None])
        return kept_rows[:, :, None] & kept_columns[:, None, :]

    def __str__(self) -> str:
        return f"spec({self.frames}, {self.mels})"


@dataclass(frozen=True)
class Mixup:
    """Mix each sample of a batch, and its target, with another."""

    alpha: float
    acts_on: ClassVar[ActsOn] = "the batch"

    def drawn(self, n: int, rng: np.random.Generator, /) -> tuple[float, np.ndarray]:
        """The share l of the sample itself, and the places of its partners, int64[N]."""
        return float(rng.beta(self.alpha, self.alpha)), rng.permutation(n)

    def __str__(self) -> str:
        return f"mixup({self.alpha:g})"
