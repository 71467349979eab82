"""Recordings as a source of samples, whose log-mel picture is what a network sees.

fetch     recordings [N, T], int16 or float32, as they were read
shape     (1, mels, frames) of the picture; mean and standard deviation are the pictures', over all samples
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import torch

from calando.errors import DataError, UsageError, quote
from calando.language import message
from calando.tasks.data.arrays import as_labels
from calando.tasks.front_end import LogMel, front_end_for
from calando.tasks.source import Moments, Source

__all__ = ["RecordingSource", "recordings_of"]

_LOUD = 2.0  # of full scale: what is mixed or resampled may be a little above it
_CHUNK = 256  # recordings whose pictures are made together: some 10 MB


class RecordingSource(Source):
    """Recordings held in memory.

    >>> front = front_end_for(rate=8000, length=800)
    >>> source = RecordingSource(torch.zeros(3, 800), torch.tensor([0, 1, 0]), front_end=front, origin="silence")
    >>> source.shape
    (1, 40, 11)

    Args:
        waves: int16 or float32 [N, T]; never written to.
        labels: int64[N].
        front_end: makes the pictures.
        origin: what to call it in an error.
    """

    in_memory = True
    shape: tuple[int, int, int]
    dtype = torch.float32

    def __init__(self, waves: torch.Tensor, labels: torch.Tensor, *, front_end: LogMel, origin: str) -> None:
        assert waves.ndim == 2
        assert waves.dtype in (torch.int16, torch.float32)
        if len(waves) != len(labels):
            raise DataError(
                message(
                    "{origin}: {recordings} recordings but {labels} labels; there must be one label each",
                    origin=origin,
                    recordings=len(waves),
                    labels=len(labels),
                )
            )
        self._waves, self.labels, self._rows = waves, labels, torch.arange(len(waves))
        self.front_end, self.origin = front_end, origin
        self.shape = (1, *front_end.shape)

    def fetch(self, rows: torch.Tensor) -> torch.Tensor:
        """A copy of what is held."""
        return self._waves.index_select(0, self._rows[rows])

    def first_not_finite(self) -> int | None:
        if self._waves.dtype == torch.int16:
            return None
        for start, chunk in self._chunks():
            good = torch.isfinite(chunk).all(1)
            if not bool(good.all()):
                return int(self._rows[start + int(good.logical_not().nonzero()[0])])
        return None

    def moments(self) -> Moments:
        """Of the pictures; in float64."""
        total = squares = count = 0.0
        # It keeps the difference of squares from cancelling, and silence at a deviation of exactly 0.
        shift = self.front_end(next(self._chunks())[1][:1]).double().flatten()[0]
        for _, chunk in self._chunks():
            values = self.front_end(chunk).double() - shift
            total += float(values.sum())
            squares += float(values.square().sum())
            count += values.numel()
        mean = total / count
        return Moments((mean + float(shift),), (float(np.sqrt(max(squares / count - mean**2, 0))),))

    def fingerprint(self) -> bytes:
        """SHA-256 of front end, labels and recordings."""
        digest = hashlib.sha256(f"{self.front_end} {self._waves.dtype} {len(self)}".encode())
        digest.update(self.labels.numpy().tobytes())
        for _, chunk in self._chunks():
            digest.update(chunk.numpy().data)
        return digest.digest()

    def _chunks(self) -> Iterator[tuple[int, torch.Tensor]]:
        for start in range(0, len(self), _CHUNK):
            yield start, self._waves.index_select(0, self._rows[start : start + _CHUNK])


def recordings_of(samples: object, *, rate: int, origin: str) -> tuple[RecordingSource, str]:
    """A person's own recordings, and how they were understood.

    Args:
        samples: (recordings [N, T], labels); int16, whose full scale is 2^15, or floating point, whose full scale is 1.
        rate: Hz.

    Raises:
        DataError: recordings of another shape or type.
        UsageError: a rate that is no whole number above 0, or samples that are no pair.
    """
    if isinstance(rate, bool) or not isinstance(rate, int) or rate < 1:
        raise UsageError(message("rate must be a whole number of Hz, as in rate=16000, got {rate}", rate=quote(rate)))
    if not isinstance(samples, tuple | list) or len(samples) != 2:
        raise UsageError(
            message(
                "{origin}: with rate=, samples are (recordings [N, T], labels), got {samples}",
                origin=origin,
                samples=quote(samples),
            )
        )
    waves, labels = (
        one.detach().cpu().numpy() if isinstance(one, torch.Tensor) else np.asarray(one) for one in samples
    )
    if waves.ndim == 3 and waves.shape[1] == 1:
        waves = waves[:, 0]
    if waves.ndim != 2 or 0 in waves.shape:
        raise DataError(
            message(
                "{origin}: recordings must have the axes [N, T], one channel, got {shape}",
                origin=origin,
                shape=waves.shape,
            )
        )
    if waves.dtype != np.int16 and waves.dtype.kind != "f":
        raise DataError(
            message(
                "{origin}: recordings must be int16 (full scale 2^15) or floating point (full scale 1), got {dtype}",
                origin=origin,
                dtype=waves.dtype,
            )
        )
    held = np.array(waves, dtype=np.int16 if waves.dtype == np.int16 else np.float32)  # a copy
    front = front_end_for(rate=rate, length=held.shape[1])
    numbers = torch.from_numpy(as_labels(labels, origin=origin))
    source = RecordingSource(torch.from_numpy(held), numbers, front_end=front, origin=origin)
    loud = float(np.abs(held).max()) if held.dtype == np.float32 else 0.0
    said = message("; they go up to {loud:.3g}, and full scale is 1", loud=loud) if loud > _LOUD else ""
    return (
        source,
        message(
            "{origin}: {count:,} recordings of {seconds:g} s at {rate} Hz{said}; a network sees {front}",
            origin=origin,
            count=len(held),
            seconds=held.shape[1] / rate,
            rate=rate,
            said=said,
            front=str(front),
        ),
    )
