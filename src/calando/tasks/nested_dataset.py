"""Samples of any make from a map-style Dataset, which yields one at a time; see `nested_source` for the makes.

Samples are put together as torch does it (`default_collate`), or by a `collate` of one's own, called with the list of
samples, which returns the batch.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from calando.errors import DataError, UsageError, reason_of, unless_it_fails
from calando.language import message
from calando.tasks import tree
from calando.tasks.data.arrays import Channels, described
from calando.tasks.nested_source import NestedSource, parted
from calando.tasks.objective import Samples
from calando.tasks.one_image import came, channels_of, image_of, named
from calando.tasks.randomness import holding_seeded
from calando.tasks.run_copies import copied_alone
from calando.tasks.sample_makes import difference, hash_of, make_of, number_of
from calando.tasks.source import Moments, Source
from calando.tasks.whole_targets import WholeTargets

__all__ = ["Collate", "Nested", "NestedDataset"]

Collate = Callable[[list[Any]], Any]
"""A list of samples -> the batch."""

_READ_TWICE, _LOOKED_AT = 64, 32


class NestedDataset(Source):
    """A map-style Dataset, read once when it is taken in.

    Args:
        dataset: map-style: `len(dataset)` and `dataset[i]`.
        origin: what to call it in an error.
        collate: a list of samples -> the batch; None: as torch does it.
        labels: int64[N]: classes by which parts are cut; None: there are none.
        channels: where they are in pictures that are tensors or arrays; None: the first one's shape decides.
        images: whether inputs are pictures; None: PIL images and uint8 of three axes are.

    Attributes:
        given: the Dataset as it was given, never read: a copy, where it can be copied.
        unrepeatable: the first sample of which two reads differ, among those that are read twice.

    Raises:
        DataError: no length, no samples, or a sample that cannot be read.
    """

    in_memory = False

    def __init__(
        self,
        dataset: Any,
        *,
        origin: str,
        collate: Collate | None = None,
        labels: torch.Tensor | None = None,
        channels: Channels | None = None,
        images: bool | None = None,
    ) -> None:
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise DataError(
                message(
                    "{origin}: samples must be (inputs, targets), a dict of arrays, or a map-style Dataset, got {kind}",
                    origin=origin,
                    kind=type(dataset).__name__,
                )
            )
        if len(dataset) == 0:
            raise DataError(message("{origin}: the data set is empty; give at least one sample", origin=origin))
        self.given: Any = copied_alone(dataset)
        self._dataset: Any = copied_alone(dataset)
        self.origin, self.collate, self.note = origin, collate, ""
        self._rows = torch.arange(len(dataset))
        self.labels = torch.zeros(len(dataset), dtype=torch.int64) if labels is None else labels
        self._images = False
        with holding_seeded(0):
            first = self._sample(0)
            self._images, pictures = _are_pictures(first, images, collate), parted(first).inputs
            if self._images:
                self._channels = channels or channels_of(pictures, name=named(origin, 0))
                self._came = came(pictures, self._channels)
            self._scan()
        self.unrepeatable = self._first_unrepeatable(copied_alone(dataset))

    def _scan(self) -> None:
        """Read every sample once: whether it is finite, what it holds, and what pictures are normalised by."""
        self._hashes = np.empty((len(self._dataset), 16), np.uint8)
        self._bad: set[int] = set()
        sums: list[np.ndarray] = []
        numbers: list[int] = []
        self._whole = WholeTargets()
        made: dict[str, str] | None = None
        for place in range(len(self._dataset)):
            sample = tree.as_tensors(self._sample(place))
            if self.collate is None:
                this = make_of(sample)
                made = this if made is None else made
                if other := difference(made, this):
                    raise DataError(
                        message(
                            "{origin}, sample {place}: is of another make than sample 0: {other}; make them alike, "
                            "or give collate=, called with the list of samples, which returns the batch",
                            origin=self.origin,
                            place=place,
                            other=other,
                        )
                    )
            self._hashes[place] = np.frombuffer(hash_of(sample), np.uint8)
            if any(one.is_floating_point() and not bool(torch.isfinite(one).all()) for _, one in tree.leaves(sample)):
                self._bad.add(place)
            wanted = parted(sample).targets
            if _is_whole(wanted):
                numbers.append(int(wanted))
            self._whole.add(wanted)
            if self._images:
                picture = parted(sample).inputs
                pixels = picture.flatten(1).double() / (255 if picture.dtype == torch.uint8 else 1)
                sums.append(np.stack([pixels.mean(1).numpy(), pixels.square().mean(1).numpy()]))
        self._numbers = np.array(numbers, np.int64) if len(numbers) == len(self._dataset) else None
        if self._images:
            first = parted(self._sample(0)).inputs
            self.shape, self.dtype = tuple(first.shape), first.dtype
            self._sums = np.stack(sums)
            c, h, w = self.shape
            size = described((c, h, w), "first")
            self.note = message(
                "{origin}: {count:,} images of {size}, read as {came} and normalised",
                origin=self.origin,
                count=len(self),
                size=size,
                came=self._came,
            )

    def _first_unrepeatable(self, dataset: Any) -> int | None:
        mine, self._dataset = self._dataset, dataset
        try:
            with holding_seeded(0):
                self._sample(0)  # the first read began with it
                for place in range(min(len(self), _READ_TWICE)):
                    if hash_of(tree.as_tensors(self._sample(place))) != self._hashes[place].tobytes():
                        return place
        finally:
            self._dataset = mine
        return None

    def _sample(self, place: int) -> Any:
        try:
            sample = self._dataset[place]
        except Exception as error:  # the user's code may raise anything
            raise DataError(
                message("{name}: cannot be read: {reason}", name=named(self.origin, place)(), reason=reason_of(error))
            ) from error
        return self._picture_first(sample, place) if self._images else sample

    def _picture_first(self, sample: Any, place: int) -> Any:
        """The sample with its picture as a tensor [C, H, W]."""
        samples = parted(sample)
        pixels = image_of(samples.inputs, name=named(self.origin, place), channels=self._channels)
        return (pixels, samples.targets) if samples.paired else pixels

    def first_that_varies(self) -> int | None:
        """The first sample, among some, of which two reads differ that begin with other generators."""
        places = np.linspace(0, len(self) - 1, min(len(self), _LOOKED_AT)).round().astype(np.int64).tolist()
        for turn, place in enumerate(places):
            hashes = set()
            for seed in (2 * turn + 1, 2 * turn + 2):
                with holding_seeded(seed):
                    hashes.add(hash_of(self.read(torch.tensor([place])).batch))
            if len(hashes) > 1:
                return int(self._rows[place])
        return None

    def read(self, rows: torch.Tensor) -> Samples:
        samples = [self._sample(place) for place in self._rows[rows].tolist()]
        try:
            batch = _collated(samples) if self.collate is None else self.collate(samples)
        except (RuntimeError, TypeError, ValueError, KeyError) as error:
            raise DataError(
                message(
                    "{origin}: samples cannot be put together ({reason}); give collate=, called with the list "
                    "of samples, which returns the batch",
                    origin=self.origin,
                    reason=reason_of(error),
                )
            ) from error
        made = parted(tree.as_tensors(batch))
        return replace(made, number=number_of(made, len(rows)))

    @property
    def class_numbers(self) -> torch.Tensor | None:
        """int64[N]: the targets, where each is one whole number."""
        return None if self._numbers is None else torch.from_numpy(self._numbers[self._rows.numpy()])

    def whole_targets(self) -> WholeTargets:
        """The class numbers among the targets, of all samples of the Dataset."""
        return self._whole

    def fetch(self, rows: torch.Tensor) -> Any:
        return self.read(rows).inputs

    def targets(self, rows: torch.Tensor) -> Any:
        return self.read(rows).targets

    def reading_from(self, dataset: Any, *, collate: Collate | None) -> NestedDataset:
        """The same samples read from a copy of the Dataset that was given."""
        part = copy.copy(self)
        part.given = part._dataset = dataset
        part.collate = collate
        return part

    def moments(self) -> Moments:
        means, squares = self._sums[self._rows.numpy()].mean(0)
        return Moments(tuple(means.tolist()), tuple(np.sqrt(np.maximum(squares - means**2, 0)).tolist()))

    def first_not_finite(self) -> int | None:
        return next((row for row in self._rows.tolist() if row in self._bad), None)

    def fingerprint(self) -> bytes:
        """SHA-256 of all samples as they were first read; of their number alone where reads differ."""
        return self.hash_of_samples()

    def hash_of_samples(self) -> bytes:
        """The same."""
        digest = hashlib.sha256(f"{len(self)}".encode() + self.labels.numpy().tobytes())
        if self.unrepeatable is None:
            digest.update(self._hashes[self._rows.numpy()].tobytes())
        return digest.digest()


def _are_pictures(first: Any, images: bool | None, collate: Collate | None) -> bool:
    if images is False or collate is not None:
        return False
    inputs = parted(first).inputs
    pil = hasattr(inputs, "getbands")
    shape = unless_it_fails(lambda: np.shape(inputs)) or ()
    levels = str(getattr(inputs, "dtype", "")).endswith("uint8")
    if images and not (pil or len(shape) in (2, 3)):
        raise UsageError(
            message(
                "images=True, but inputs of a sample have {count} axes; pictures have two or three", count=len(shape)
            )
        )
    return (
        pil or (len(shape) in (2, 3) and (bool(images) or levels)) if not isinstance(inputs, tuple | Mapping) else False
    )


def _collated(samples: list[Any]) -> Any:
    """As torch does it; numbers as float32, in which networks compute."""
    from torch.utils.data import default_collate

    return tree.as_tensors(default_collate([tree.as_tensors(sample) for sample in samples]))


def _is_whole(wanted: Any) -> bool:
    """Whether a sample's target is one whole number."""
    if isinstance(wanted, torch.Tensor):
        return (
            not wanted.is_floating_point() and wanted.dtype != torch.bool and wanted.numel() == 1 and wanted.ndim == 0
        )
    return isinstance(wanted, int) and not isinstance(wanted, bool)


Nested = NestedSource | NestedDataset
"""What `assemble_nested` takes."""
