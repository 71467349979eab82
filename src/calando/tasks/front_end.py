"""The front end of speech tasks: a recording -> its log-mel picture, [mels, frames], on `torch.stft`.

    S[k, t]   = | sum_n hann[n] x[t hop + n - window / 2] exp(-2 pi i k n / window) |^2      zeros outside the recording
    M[m, t]   = sum_k W[m, k] S[k, t]
    y[m, t]   = log(M[m, t] + floor)                        frames = 1 + length // hop

hann is periodic: 1/2 - 1/2 cos(2 pi n / window). W[m, .] is a triangle over the frequencies f[m], f[m+1], f[m+2], of
area 1 Hz: its peak is 2 / (f[m+2] - f[m]). The f are evenly spaced from `low` to `high` on Slaney's mel scale,
3 f / 200 below 1000 Hz and 15 + 27 log(f / 1000) / log(6.4) above. This is librosa's `feature.melspectrogram` with
n_fft = win_length = window, of which the logarithm is taken.

30 ms windows every 10 ms and 40 mels up to 4 kHz are those of Tang & Lin (2018), who go on to cepstral coefficients;
the floor is BC-ResNet's.

Sources: M. Slaney, "Auditory toolbox", 1998; B. McFee et al., "librosa", 2015; R. Tang, J. Lin, arXiv:1710.10361; B.
Kim et al., "Broadcasted residual learning for efficient keyword spotting", arXiv:2106.04140.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from calando.errors import UsageError
from calando.language import message

if TYPE_CHECKING:
    import torch

__all__ = ["LogMel", "front_end_for", "mel_weights"]

WINDOW_MS, HOP_MS, MELS, LOW_HZ, HIGH_HZ, FLOOR = 30, 10, 40, 20.0, 4000.0, 1e-6
_KNEE_HZ, _KNEE_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27


@dataclass(frozen=True)
class LogMel:
    """What a recording is turned into before a network sees it; a value, printed as text.

    >>> front = front_end_for(rate=8000, length=8000)
    >>> print(front)
    log-mel(rate=8000, length=8000, window=240, hop=80, mels=40, low=20, high=4000, floor=1e-06)
    >>> front.shape
    (40, 101)

    Args:
        rate: samples a second, Hz.
        length: samples of a recording.
        window, hop: samples.
        mels: rows of the picture.
        low, high: Hz, between which the mels lie.
        floor: added to the power before the logarithm, which is 0 in silence.

    Raises:
        UsageError: numbers that do not fit each other, such as a mel that no frequency of the window falls into.
    """

    rate: int
    length: int
    window: int
    hop: int
    mels: int
    low: float
    high: float
    floor: float = FLOOR

    def __post_init__(self) -> None:
        if min(self.rate, self.length, self.window, self.hop, self.mels) < 1 or self.floor <= 0:
            raise UsageError(message("{it}: rate, length, window, hop, mels and floor must be above 0", it=str(self)))
        if not 0 <= self.low < self.high <= self.rate / 2:
            raise UsageError(
                message(
                    "{it}: mels must lie within 0 … {most:g} Hz, half the rate, and low below high",
                    it=str(self),
                    most=self.rate / 2,
                )
            )
        weights = mel_weights(self.rate, self.window, self.mels, self.low, self.high)
        if empty := int((weights.max(1) == 0).sum()):
            raise UsageError(
                message(
                    "{it}: {empty} of {mels} mels lie between two frequencies of the window, which are "
                    "{apart:g} Hz apart; take fewer mels or a longer window",
                    it=str(self),
                    empty=empty,
                    mels=self.mels,
                    apart=self.rate / self.window,
                )
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(mels, frames) of a picture."""
        return self.mels, 1 + self.length // self.hop

    def __str__(self) -> str:
        numbers = f"rate={self.rate}, length={self.length}, window={self.window}, hop={self.hop}, mels={self.mels}"
        return f"log-mel({numbers}, low={self.low:g}, high={self.high:g}, floor={self.floor:g})"

    def __call__(self, waves: torch.Tensor) -> torch.Tensor:
        """Pictures float32 [N, 1, mels, frames] of recordings [N, length], on their device.

        Args:
            waves: int16, whose full scale is 2^15, or floating point, whose full scale is 1. float64 stays float64.
        """
        import torch

        assert waves.ndim == 2
        assert waves.shape[1] == self.length
        if waves.dtype == torch.int16:
            waves = waves.to(torch.float32) / 2**15
        device = str(waves.device)
        hann, weights = _constants(self, device, waves.dtype)
        spectrum = torch.stft(
            waves, self.window, self.hop, window=hann, center=True, pad_mode="constant", return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log(torch.matmul(weights, power) + self.floor)[:, None]


@lru_cache(maxsize=8)
def _constants(front: LogMel, device: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    hann = torch.hann_window(front.window, periodic=True, dtype=torch.float64).to(device, dtype)
    weights = torch.from_numpy(mel_weights(front.rate, front.window, front.mels, front.low, front.high))
    return hann, weights.to(device, dtype)


def mel_weights(rate: int, window: int, mels: int, low: float, high: float) -> np.ndarray:
    """W, float64 [mels, window // 2 + 1].

    >>> mel_weights(8000, 240, 40, 20, 4000).shape
    (40, 121)
    """
    edges = _hertz(np.linspace(_mel(low), _mel(high), mels + 2))
    bins = np.arange(window // 2 + 1) * (rate / window)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    weights: np.ndarray = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return weights


def _mel(hertz: float) -> float:
    if hertz < _KNEE_HZ:
        return hertz * _KNEE_MEL / _KNEE_HZ
    return float(_KNEE_MEL + np.log(hertz / _KNEE_HZ) / _LOG_STEP)


def _hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < _KNEE_MEL, mel * _KNEE_HZ / _KNEE_MEL, _KNEE_HZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL)))


def front_end_for(*, rate: int, length: int, mels: int = MELS) -> LogMel:
    """The front end that a speech task has by default: 30 ms windows every 10 ms, 40 mels up to 4 kHz.

    Args:
        rate: Hz.
        length: samples of a recording.

    Raises:
        UsageError: as `LogMel`.
    """
    window, hop = round(rate * WINDOW_MS / 1000), round(rate * HOP_MS / 1000)
    return LogMel(rate, length, window, hop, mels, LOW_HZ, min(HIGH_HZ, rate / 2))
