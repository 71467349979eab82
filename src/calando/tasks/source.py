"""Where training reads samples from, and what samples must satisfy before a step is trained on them.

    source.fetch(rows)  ->  uint8 or float32 [len(rows), C, H, W]
    source.take(rows)   ->  a source of those samples only; copies nothing

Positions are int64 tensors. A source holds all samples in memory, or reads them from a Dataset (`torch_dataset`).

Samples must have labels of every part among the training part's classes; images of one shape and kind in every part;
finite values; pixels that are not all equal.
"""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch

from calando.errors import DataError
from calando.language import message
from calando.sizes import LEAST, MOST
from calando.tasks.objective import Samples

__all__ = ["Moments", "Source", "TensorSource", "check_moments", "check_normalised", "check_samples", "check_twin"]

_CHUNK = 512  # samples looked at together: some MB, so that a scan stays in cache and takes no memory


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of each channel, in the unit of x / 255 for uint8."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Source(ABC):
    """Samples that can be read in any order.

    Attributes:
        labels: int64[N], the class of each sample; 0 where there are no classes.
        shape: (C, H, W) of every sample; None where samples are no images.
        dtype: uint8 or float32, of images.
        origin: what to call it in an error: a file's name, or "test".
        in_memory: no code of the user's runs when it is read.
    """

    labels: torch.Tensor
    shape: tuple[int, int, int] | None = None
    dtype: torch.dtype
    origin: str
    in_memory: bool
    _rows: torch.Tensor  # which samples of what it was made of

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, rows: torch.Tensor) -> Self:
        """The samples at these positions as a source of their own, which shares all that is held."""
        part = copy.copy(self)
        part._rows, part.labels = self._rows[rows], self.labels[rows]
        return part

    @abstractmethod
    def fetch(self, rows: torch.Tensor) -> Any:
        """The inputs at these positions (int64), new: of images a tensor [len(rows), C, H, W], uint8 or float32."""

    def targets(self, rows: torch.Tensor) -> Any:
        """What is wanted of the network there: int64[len(rows)] of classes."""
        return self.labels[rows]

    def read(self, rows: torch.Tensor) -> Samples:
        """Both."""
        return Samples(self.fetch(rows), self.targets(rows))

    @abstractmethod
    def moments(self) -> Moments:
        """Mean and standard deviation per channel, over all samples; of images only."""

    @abstractmethod
    def first_not_finite(self) -> int | None:
        """The first sample with a NaN or infinity, by its number in what this source was taken from."""

    @abstractmethod
    def fingerprint(self) -> bytes:
        """Names the content: equal for equal samples and labels."""


class TensorSource(Source):
    """Images held in memory (or mapped from a file), read through a list of rows.

    >>> images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    >>> source = TensorSource(images, torch.tensor([0, 1, 0, 1]), origin="zeros")
    >>> len(source.take(torch.tensor([1, 3]))), source.shape
    (2, (1, 8, 8))

    Args:
        images: uint8 or float32 [N, C, H, W]; never written to.
        labels: int64[N].
        origin: what to call it in an error.
    """

    in_memory = True
    shape: tuple[int, int, int]

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, *, origin: str) -> None:
        assert images.ndim == 4
        assert images.dtype in (torch.uint8, torch.float32)
        assert labels.dtype == torch.int64
        if len(images) != len(labels):
            raise DataError(
                message(
                    "{origin}: {images} images but {labels} labels; there must be one label an image",
                    origin=origin,
                    images=len(images),
                    labels=len(labels),
                )
            )
        self._images, self.labels, self._rows = images, labels, torch.arange(len(images))
        self.shape = (images.shape[1], images.shape[2], images.shape[3])
        self.dtype, self.origin = images.dtype, origin

    def fetch(self, rows: torch.Tensor) -> torch.Tensor:
        """A copy of what is held: what comes back may be changed."""
        return self._images.index_select(0, self._rows[rows])

    def first_not_finite(self) -> int | None:
        """Integers are always finite."""
        if self._images.dtype == torch.uint8:
            return None
        for start, chunk in self._chunks():
            good = torch.isfinite(chunk).flatten(1).all(1)
            if not good.all():
                return int(self._rows[start + int(good.logical_not().nonzero()[0])])
        return None

    def moments(self) -> Moments:
        """Exact for uint8 (counts of the 256 values); in float64 else."""
        if self._images.dtype == torch.uint8:
            return self._integer_moments()
        channels = self.shape[0]
        total, squares, count = np.zeros(channels), np.zeros(channels), 0
        # It keeps the difference of squares from cancelling.
        shift = next(self._chunks())[1].double().mean((0, 2, 3)).numpy()
        for _, chunk in self._chunks():
            values = chunk.double().transpose(0, 1).flatten(1).numpy() - shift[:, None]
            total, squares, count = total + values.sum(1), squares + np.square(values).sum(1), count + values.shape[1]
        mean = total / count
        return Moments(
            tuple((mean + shift).tolist()), tuple(np.sqrt(np.maximum(squares / count - mean**2, 0)).tolist())
        )

    def fingerprint(self) -> bytes:
        """SHA-256 of labels and images: 1 to 2 GB/s."""
        digest = hashlib.sha256(f"{self._images.dtype} {len(self)} {self.shape}".encode())
        digest.update(self.labels.numpy().tobytes())
        for _, chunk in self._chunks():
            digest.update(chunk.numpy().data)
        return digest.digest()

    def _integer_moments(self) -> Moments:
        # Counts are whole numbers, so the moments do not depend on the order or size of the chunks.
        counts = np.zeros((self.shape[0], 256), dtype=np.int64)
        for _, chunk in self._chunks():
            for channel, row in enumerate(counts):
                row += np.bincount(chunk[:, channel].numpy().ravel(), minlength=256)
        levels = np.arange(256)
        n = counts.sum(1)
        mean = (counts * levels).sum(1) / n
        variance = (counts * (levels - mean[:, None]) ** 2).sum(1) / n
        return Moments(tuple((mean / 255).tolist()), tuple((np.sqrt(variance) / 255).tolist()))

    def _chunks(self) -> Iterator[tuple[int, torch.Tensor]]:
        """Where each begins, and its samples."""
        for start in range(0, len(self), _CHUNK):
            yield start, self._images.index_select(0, self._rows[start : start + _CHUNK])


def check_samples(parts: Sequence[Source], *, classes: int) -> None:
    """Refuse parts whose shape, labels or scale do not fit the first, or whose values are not finite (DataError)."""
    for part in parts:
        if len(part) == 0:
            raise DataError(message("{origin}: holds no samples; give at least one", origin=part.origin))
        if part.shape != parts[0].shape:
            raise DataError(
                message(
                    "{origin}: images are {shape}, those of {first} {wanted}; make them alike",
                    origin=part.origin,
                    shape=part.shape,
                    first=parts[0].origin,
                    wanted=parts[0].shape,
                )
            )
        check_labels(part, classes=classes)
        check_finite(part)
    _check_scales(parts)


class Checked(Protocol):
    """A part of any make, as the two checks below need it."""

    @property
    def origin(self) -> str: ...

    @property
    def labels(self) -> torch.Tensor: ...

    def first_not_finite(self) -> int | None: ...


def check_labels(part: Checked, *, classes: int) -> None:
    """Refuse a part with a label outside 0 … classes - 1 (DataError); where there are no classes, all labels are 0."""
    outside = ((part.labels < 0) | (part.labels >= max(classes, 1))).nonzero().flatten()
    if len(outside):
        place = int(outside[0])
        raise DataError(
            message(
                "{origin}: sample {place} has label {label}, but the training part's classes are 0 … {most}; correct "
                "or remove it",
                origin=part.origin,
                place=place,
                label=int(part.labels[place]),
                most=classes - 1,
            )
        )


def check_finite(part: Checked) -> None:
    """Refuse a part with a value that is not finite (DataError)."""
    if (bad := part.first_not_finite()) is not None:
        raise DataError(
            message(
                "{origin}: sample {place} has a NaN or infinite value; correct or remove it",
                origin=part.origin,
                place=bad,
            )
        )


def _check_scales(parts: Sequence[Source]) -> None:
    """uint8 is read as x / 255. Floats in another part fit that from 0 to 1: their mean is there, their deviation at
    most 1/2, and other floats have a scale of their own."""
    whole = next((part for part in parts if part.dtype == torch.uint8), None)
    for part in parts:
        if whole is None or part.dtype == torch.uint8:
            continue
        found = part.moments()
        fits = all(-1e-3 <= mean <= 1 + 1e-3 for mean in found.mean) and all(std <= 0.5 + 1e-3 for std in found.std)
        if not fits:
            raise DataError(
                message(
                    "{origin}: images are floats of mean {mean:.3g} and standard deviation {std:.3g}, those "
                    "of {train} uint8, which are read as x / 255: no scale in common; give both in one "
                    "type and scale",
                    origin=part.origin,
                    mean=found.mean[0],
                    std=found.std[0],
                    train=whole.origin,
                )
            )


def check_twin(clean: Source, *, of: Source) -> None:
    """Refuse labels that differ from those of `of`, in number or order (DataError)."""
    what = message("it must hold the same samples in the same order")
    if len(clean) != len(of):
        raise DataError(
            message(
                "{origin}: {count} samples, but {other} has {wanted}; {what}",
                origin=clean.origin,
                count=len(clean),
                other=of.origin,
                wanted=len(of),
                what=what,
            )
        )
    differ = (clean.labels != of.labels).nonzero().flatten()
    if differ.numel():
        place = int(differ[0])
        raise DataError(
            message(
                "{origin}: sample {place} has label {label}, but in {other} {wanted}; {what}",
                origin=clean.origin,
                place=place,
                label=int(clean.labels[place]),
                other=of.origin,
                wanted=int(of.labels[place]),
                what=what,
            )
        )


def check_moments(moments: Moments, *, origin: str) -> None:
    """Refuse images that do not vary, or by what single precision cannot normalise (DataError)."""
    for channel, (mean, std) in enumerate(zip(moments.mean, moments.std, strict=True)):
        if 0 < std < LEAST or max(std, abs(mean)) > MOST:
            raise DataError(
                message(
                    "{origin}: pixels of channel {channel} have mean {mean:.3g} and standard deviation "
                    "{std:.3g}, which single precision cannot normalise; scale the images to values of a "
                    "size near 1",
                    origin=origin,
                    channel=channel,
                    mean=mean,
                    std=std,
                )
            )
    if not any(std > 0 for std in moments.std):
        raise DataError(
            message(
                "{origin}: every pixel of every image is the same; check how the images were written", origin=origin
            )
        )


def check_normalised(part: Source, *, by: Moments, of: str) -> None:
    """Refuse a part that becomes infinite when it is normalised by the moments of another (DataError)."""
    if part.fetch(torch.tensor([0])).dtype == torch.uint8:
        return
    mine = part.moments()
    for channel, (mean, std, center, unit) in enumerate(zip(mine.mean, mine.std, by.mean, by.std, strict=True)):
        if not max(abs(mean - center), std, abs(mean)) / unit <= MOST:
            raise DataError(
                message(
                    "{origin}: pixels of channel {channel} have mean {mean:.3g} and standard deviation "
                    "{std:.3g}, but those of {of} {center:.3g} and {unit:.3g}, by which they are normalised; "
                    "scale all parts alike",
                    origin=part.origin,
                    channel=channel,
                    mean=mean,
                    std=std,
                    of=of,
                    center=center,
                    unit=unit,
                )
            )
