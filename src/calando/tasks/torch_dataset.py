"""Samples read one by one from a map-style torch.utils.data.Dataset.

A sample is (image, label) or {"image": …, "label": …}. An image is a PIL image, or a tensor or array [C, H, W],
[H, W, C] or [H, W], uint8 or floating point; the first sample decides where the channels are (`axes`). The data set is
read through once when it is taken in: every image must have one shape, finite values and a whole-numbered label; what
is seen then gives the mean and standard deviation of any part of it.

The transforms of a Dataset may draw random numbers: the training loop seeds the generators of torch, random and NumPy
each step; here they are seeded with 0 for each read and put back afterwards. What is read is a copy of the Dataset, so
that one that keeps state of its own (a generator, a counter) stays as it was given. Pixels that differ nevertheless in
a second read, of another copy, are not repeatable: nothing is known by them.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch

from calando.errors import DataError, reason_of, said_by
from calando.language import message
from calando.tasks.data.arrays import Channels, described
from calando.tasks.one_image import Named, came, channels_of, image_of, is_to_be_turned, named
from calando.tasks.randomness import holding_seeded
from calando.tasks.run_copies import copied_alone
from calando.tasks.source import Moments, Source

__all__ = ["DatasetSource", "MapDataset"]

_LOOKED_AT = 32  # samples that are read twice more: a transform of one read in ten is missed once in 800 times
_LOOKED_AT_TWICE = 64  # the first samples: a second read of all of them may take minutes


class MapDataset(Protocol):
    """What is asked of a Dataset: a length, and samples by position."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> object: ...


@dataclass(frozen=True, eq=False)
class _Scan:
    """What one read of every sample gave: labels int64[M]; means float64[M, C] of x and x² (x / 255 for uint8).

    `channels` are where they are in tensors and arrays, `came` is the form of the first image, `turned` how
    many PIL images are rotated or mirrored by their EXIF; `hashes` uint8[M, 16] of each sample's pixels.
    """

    shape: tuple[int, int, int]
    dtype: torch.dtype
    channels: Channels
    came: str
    labels: torch.Tensor
    sums: np.ndarray
    squares: np.ndarray
    turned: int
    hashes: np.ndarray


class DatasetSource(Source):
    """A Dataset as a source.

    >>> dataset = [(torch.full((1, 2, 2), float(i)), i % 2) for i in range(4)]
    >>> source = DatasetSource(dataset, origin="mine")
    >>> source.shape, source.labels.tolist(), source.moments().mean
    ((1, 2, 2), [0, 1, 0, 1], (1.5,))

    Args:
        dataset: map-style: `len(dataset)` and `dataset[i]`.
        origin: what to call it in an error.
        channels: where they are in tensors and arrays; None: the shape of the first decides.

    Attributes:
        given: the Dataset as it was given, never read: a copy, where it can be copied.
        unrepeatable: the first sample whose pixels are not repeatable, among those that are read twice.
        turned: how many PIL images are rotated or mirrored by their EXIF.

    Raises:
        DataError: no length, no samples, or a sample that cannot be used; names its position.
    """

    in_memory = False
    shape: tuple[int, int, int]

    def __init__(self, dataset: MapDataset, *, origin: str, channels: Channels | None = None) -> None:
        self.given, self._dataset = _copied(dataset), _copied(dataset)
        self.origin = origin
        with holding_seeded(0):
            scan = _scan(self._dataset, origin=origin, channels=channels)
        # From another copy: a Dataset that counts its reads gives the first ones again only where it is new.
        with holding_seeded(0):
            again = _first_unrepeatable(_copied(dataset), scan, origin=origin)
        self._scan, self.unrepeatable, self.turned = scan, again, scan.turned
        self._rows, self.labels = torch.arange(len(scan.labels)), scan.labels
        self.shape, self.dtype = scan.shape, scan.dtype

    def fetch(self, rows: torch.Tensor) -> torch.Tensor:
        """Reads the samples in the order of `rows`; DataError where a shape or type differs from the first's."""
        images = []
        for place in self._rows[rows].tolist():
            image, _, _ = _sample(self._dataset, place, origin=self.origin, channels=self._scan.channels)
            _same(image, self.shape, self.dtype, name=named(self.origin, place))
            images.append(image)
        return torch.stack(images)

    def reading_from(self, dataset: MapDataset) -> DatasetSource:
        """The same samples read from a copy of the Dataset that was given."""
        part = copy.copy(self)
        part.given = part._dataset = dataset
        return part

    @property
    def reading(self) -> str:
        """How the axes of the images were understood."""
        what = described(self._scan.shape, "first")
        return message(
            "{origin}: {count:,} images of {what}, read from {came}",
            origin=self.origin,
            count=len(self),
            what=what,
            came=self._scan.came,
        )

    def first_that_varies(self) -> int | None:
        """Position of the first sample, among some, of which two reads differ: something draws at random there."""
        places = np.linspace(0, len(self) - 1, min(len(self), _LOOKED_AT)).round().astype(np.int64).tolist()

        def read(place: int, seed: int) -> torch.Tensor:
            with holding_seeded(seed):
                return self.fetch(torch.tensor([place]))

        for turn, place in enumerate(places):  # other seeds for each: with a few, every read might draw alike
            one, other = read(place, 2 * turn + 1), read(place, 2 * turn + 2)
            if not torch.equal(one.nan_to_num(), other.nan_to_num()):
                return int(place)
        return None

    def moments(self) -> Moments:
        """From what the first read kept of each sample."""
        rows = self._rows.numpy()
        mean = self._scan.sums[rows].mean(0)
        variance = self._scan.squares[rows].mean(0) - mean**2
        return Moments(tuple(mean.tolist()), tuple(np.sqrt(np.maximum(variance, 0)).tolist()))

    def first_not_finite(self) -> int | None:
        rows = self._rows.numpy()
        bad = np.flatnonzero(~np.isfinite(self._scan.sums[rows]).all(1))
        return int(rows[bad[0]]) if len(bad) else None

    def fingerprint(self) -> bytes:
        """SHA-256 of all labels and of the first, middle and last sample, as studies of older calandos know data."""
        digest = hashlib.sha256(f"{self._scan.dtype} {len(self)} {self.shape}".encode())
        digest.update(self.labels.numpy().tobytes())
        if self.unrepeatable is None:
            with holding_seeded(0):
                digest.update(self.fetch(torch.tensor([0, len(self) // 2, len(self) - 1])).numpy().data)
        return digest.digest()

    def hash_of_samples(self) -> bytes:
        """SHA-256 of all labels and samples, as the first read found them; of labels alone where pixels vary."""
        rows = self._rows.numpy()
        digest = hashlib.sha256(self.labels.numpy().tobytes())
        if self.unrepeatable is None:
            digest.update(self._scan.hashes[rows].tobytes())
        return digest.digest()


def _copied(dataset: MapDataset) -> MapDataset:
    return cast("MapDataset", copied_alone(dataset))


def _scan(dataset: MapDataset, *, origin: str, channels: Channels | None) -> _Scan:
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise DataError(
            message(
                "{origin}: a data set must have a length and be indexed by position (map-style), got {kind}",
                origin=origin,
                kind=type(dataset).__name__,
            )
        )
    if len(dataset) == 0:
        raise DataError(
            message("{origin}: the data set is empty; give at least one sample of each class", origin=origin)
        )
    name = named(origin, 0)
    content, _ = _content(dataset, 0, name=name)
    channels = channels or channels_of(content, name=name)
    first = image_of(content, name=name, channels=channels)
    shape, dtype = (first.shape[0], first.shape[1], first.shape[2]), first.dtype
    labels = torch.empty(len(dataset), dtype=torch.int64)
    sums, squares = np.empty((2, len(dataset), shape[0]))
    turned, hashes = 0, np.empty((len(dataset), 16), np.uint8)
    for place in range(len(dataset)):
        image, labels[place], content = _sample(dataset, place, origin=origin, channels=channels)
        turned += is_to_be_turned(content)
        _same(image, shape, dtype, name=named(origin, place))
        pixels = image.flatten(1).double() / (255 if dtype == torch.uint8 else 1)
        sums[place], squares[place] = pixels.mean(1).numpy(), pixels.square().mean(1).numpy()
        hashes[place] = _hash(image)
    return _Scan(shape, dtype, channels, came(content, channels), labels, sums, squares, turned, hashes)


def _hash(image: torch.Tensor) -> np.ndarray:
    pixels = image.contiguous().numpy().data
    return np.frombuffer(hashlib.blake2b(pixels, digest_size=16).digest(), np.uint8)


def _first_unrepeatable(dataset: MapDataset, scan: _Scan, *, origin: str) -> int | None:
    """Of the samples that are read twice: from another copy of the Dataset, with the generators as at first."""
    _sample(dataset, 0, origin=origin, channels=scan.channels)  # the first read began with it, for shape and type
    for place in range(min(len(scan.hashes), _LOOKED_AT_TWICE)):
        image, _, _ = _sample(dataset, place, origin=origin, channels=scan.channels)
        if not np.array_equal(_hash(image), scan.hashes[place]):
            return place
    return None


def _sample(dataset: MapDataset, place: int, *, origin: str, channels: Channels) -> tuple[torch.Tensor, int, object]:
    """Pixels, label, and the image as it came."""
    name = named(origin, place)
    image, label = _content(dataset, place, name=name)
    return image_of(image, name=name, channels=channels), _label(label, name=name), image


def _content(dataset: MapDataset, place: int, *, name: Named) -> tuple[object, object]:
    try:
        sample = dataset[place]
    except (OSError, SyntaxError, ValueError) as error:  # what PIL and readers raise for a damaged file
        raise DataError(message("{name}: cannot be read: {reason}", name=name(), reason=said_by(error))) from error
    except Exception as error:  # the user's code may raise anything
        raise DataError(message("{name}: cannot be read: {reason}", name=name(), reason=reason_of(error))) from error
    if isinstance(sample, Mapping) and "image" in sample and "label" in sample:
        return sample["image"], sample["label"]
    if isinstance(sample, Sequence) and len(sample) == 2:
        return sample[0], sample[1]
    raise DataError(
        message(
            "{name}: must be (image, label) or a dict with 'image' and 'label', got {kind}; "
            "samples without labels need forward=, a function (network, batch) -> loss",
            name=name(),
            kind=type(sample).__name__,
        )
    )


def _label(label: object, *, name: Named) -> int:
    value = np.asarray(label)
    if value.size == 1 and value.dtype.kind in "biuf" and float(value.item()).is_integer():
        number = int(value.item())
        if -(2**63) <= number < 2**63:
            return number
    raise DataError(
        message("{name}: the label must be a whole number 0 … classes-1, got {label}", name=name(), label=repr(label))
    )


def _same(image: torch.Tensor, shape: tuple[int, int, int], dtype: torch.dtype, *, name: Named) -> None:
    if tuple(image.shape) != shape or image.dtype != dtype:
        raise DataError(
            message(
                "{name}: the image is {dtype} {shape}, the first is {dtype2} {shape2}; all must be "
                "alike: resize or convert them in the data set's transform",
                name=name(),
                dtype=image.dtype,
                shape=tuple(image.shape),
                dtype2=dtype,
                shape2=shape,
            )
        )
