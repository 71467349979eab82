"""Samples of any make: arrays nested in tuples and dicts, or a map-style Dataset that yields such.

    (x, y)            what the network gets, and what is wanted of it; each a tensor or array [N, …], or several, nested
    (x1, x2, y)       several inputs: the last is what is wanted
    {"name": …}       named inputs of the network, which finds what it wants among them ("labels")

A Dataset yields one sample of such a make. Samples are put together as torch does it (`default_collate`), or by a
`collate` of one's own, called with the list of samples, which returns the batch. Arrays of float64 are read as float32.

Where the inputs are pictures (see `given_arrays.as_pictures`), they have the axes [C, H, W], and are normalised as
those of an image data set are.
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
from calando.tasks import tree
from calando.tasks.data.arrays import Channels, described, reading
from calando.tasks.given_arrays import as_pictures, listed, refuse_masked, refuse_uncut, rounded
from calando.tasks.objective import Samples
from calando.tasks.one_image import came, channels_of, image_of
from calando.tasks.randomness import holding_seeded
from calando.tasks.run_copies import copied_alone
from calando.tasks.sample_makes import difference, hash_of, make_of, number_of
from calando.tasks.source import Moments, Source, TensorSource
from calando.tasks.whole_targets import WholeTargets

__all__ = ["Collate", "Nested", "NestedDataset", "NestedSource", "parted"]

Collate = Callable[[list[Any]], Any]
"""A list of samples -> the batch."""

_WANTED = ("labels", "label", "targets", "target")
_READ_TWICE, _LOOKED_AT = 64, 32
_CHUNK = 512


def parted(sample: Any) -> Samples:
    """A sample, or a batch, as inputs and targets.

    >>> parted((1, 2, 3))
    Samples(inputs=(1, 2), targets=3, paired=True)
    >>> parted({"input_ids": 1, "labels": 2}).targets
    2
    """
    if isinstance(sample, tuple | list) and not hasattr(sample, "_fields") and len(sample) >= 2:
        inputs = sample[0] if len(sample) == 2 else tuple(sample[:-1])
        return Samples(inputs, sample[-1])
    if isinstance(sample, Mapping):
        return Samples(sample, next((sample[name] for name in _WANTED if name in sample), None), paired=False)
    return Samples(sample, None, paired=False)


class NestedSource(Source):
    """Arrays held in memory.

    >>> source = NestedSource(parted((torch.rand(4, 3), torch.rand(4))), origin="mine")
    >>> source.read(torch.tensor([2])).inputs.shape
    torch.Size([1, 3])

    Args:
        samples: all of them; lists of numbers are arrays.
        origin: what to call it in an error.
        labels: int64[N]: classes by which parts are cut; None: there are none.
        channels, images: as `as_pictures` takes them.

    Raises:
        DataError: no samples, other numbers of them in its parts, or values that are no tensor.
    """

    in_memory = True

    def __init__(
        self,
        samples: Samples,
        *,
        origin: str,
        labels: torch.Tensor | None = None,
        channels: Channels | None = None,
        images: bool | None = False,
    ) -> None:
        self.origin, self.note = origin, ""
        samples = replace(samples, inputs=listed(samples.inputs), targets=listed(samples.targets))
        refuse_masked(samples.batch, origin=origin)
        self.doubts = tuple(rounded(samples.batch, origin=origin))
        pictures = as_pictures(samples.inputs, origin=origin, channels=channels, images=images)
        if pictures is not None:
            self.note = reading(np.shape(samples.inputs), pictures.shape, origin=origin, channels=channels)
            samples = replace(samples, inputs=torch.from_numpy(np.array(pictures)))
        # A copy: what the caller does to an array later must not change a run.
        self._samples = replace(
            samples, inputs=tree.as_tensors(samples.inputs), targets=tree.as_tensors(samples.targets)
        ).mapped(torch.clone)
        found = sorted(set(tree.sizes((self._samples.inputs, self._samples.targets))))
        scalars = [place for place, one in tree.leaves(self._samples.batch, "samples") if not one.ndim]
        if scalars:
            raise DataError(f"{origin}: {scalars[0]} is a single number; every array needs an axis of samples")
        if len(found) != 1 or found[0] == 0:
            raise DataError(f"{origin}: holds {self._counted(found)}; give arrays [N, …] of one N, at least 1")
        refuse_uncut(self._samples.batch, found[0], origin=origin)
        self._rows = torch.arange(found[0])
        self.labels = torch.zeros(found[0], dtype=torch.int64) if labels is None else labels
        self._pictures = None
        if pictures is not None:
            self._pictures = TensorSource(self._samples.inputs, self.labels, origin=origin)
            self.shape, self.dtype = self._pictures.shape, self._pictures.dtype

    def _counted(self, found: list[int]) -> str:
        """How many samples each array holds, where they differ."""
        if len(found) < 2:
            return "no samples"
        parts = {"inputs": self._samples.inputs, "targets": self._samples.targets} if self._samples.paired else {}
        named = parts or {"batch": self._samples.inputs}
        each = [f"{where} {len(one)}" for name, part in named.items() for where, one in tree.leaves(part, name)]
        return f"arrays of {' and '.join(map(str, found))} samples ({', '.join(each)})"

    def take(self, rows: torch.Tensor) -> NestedSource:
        part = super().take(rows)
        if self._pictures is not None:
            part._pictures = self._pictures.take(rows)
        return part

    def fetch(self, rows: torch.Tensor) -> Any:
        """A copy of what is held."""
        return tree.take(self._samples.inputs, self._rows[rows])

    def targets(self, rows: torch.Tensor) -> Any:
        return tree.take(self._samples.targets, self._rows[rows])

    def read(self, rows: torch.Tensor) -> Samples:
        places = self._rows[rows]
        return self._samples.mapped(lambda tensor: tensor.index_select(0, places))

    @property
    def class_numbers(self) -> torch.Tensor | None:
        """int64[N]: the targets, where each is one whole number."""
        return _class_numbers(self.targets(torch.arange(len(self))))

    def whole_targets(self) -> WholeTargets:
        """The class numbers among the targets."""
        found = WholeTargets()
        for rows in torch.arange(len(self)).split(_CHUNK):
            found.add(self.targets(rows))
        return found

    def moments(self) -> Moments:
        assert self._pictures is not None
        return self._pictures.moments()

    def first_not_finite(self) -> int | None:
        for _, tensor in tree.leaves(self._samples.batch):
            good = torch.isfinite(tensor[self._rows]).reshape(len(self), -1).all(1)
            if not bool(good.all()):
                return int(self._rows[int(good.logical_not().nonzero()[0])])
        return None

    def fingerprint(self) -> bytes:
        """SHA-256 of all samples."""
        digest = hashlib.sha256(f"{len(self)}".encode())
        for start in range(0, len(self), _CHUNK):
            digest.update(hash_of(self.read(torch.arange(start, min(start + _CHUNK, len(self)))).batch))
        return digest.digest()


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
                f"{origin}: samples must be (inputs, targets), a dict of arrays, or a map-style Dataset, got "
                f"{type(dataset).__name__}"
            )
        if len(dataset) == 0:
            raise DataError(f"{origin}: the data set is empty; give at least one sample")
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
                self._channels = channels or channels_of(pictures, name=f"{origin}, sample 0")
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
                        f"{self.origin}, sample {place}: is of another make than sample 0: {other}; make them alike, "
                        "or give collate=, called with the list of samples, which returns the batch"
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
            self.note = f"{self.origin}: {len(self):,} images of {size}, read as {self._came} and normalised"

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
            raise DataError(f"{self.origin}, sample {place}: cannot be read: {reason_of(error)}") from error
        return self._picture_first(sample, place) if self._images else sample

    def _picture_first(self, sample: Any, place: int) -> Any:
        """The sample with its picture as a tensor [C, H, W]."""
        samples = parted(sample)
        pixels = image_of(samples.inputs, name=f"{self.origin}, sample {place}", channels=self._channels)
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
                f"{self.origin}: samples cannot be put together ({reason_of(error)}); give collate=, called with the "
                "list of samples, which returns the batch"
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


def _is_whole(wanted: Any) -> bool:
    """Whether a sample's target is one whole number."""
    if isinstance(wanted, torch.Tensor):
        return (
            not wanted.is_floating_point() and wanted.dtype != torch.bool and wanted.numel() == 1 and wanted.ndim == 0
        )
    return isinstance(wanted, int) and not isinstance(wanted, bool)


def _class_numbers(targets: Any) -> torch.Tensor | None:
    if not isinstance(targets, torch.Tensor) or targets.ndim != 1:
        return None
    return None if targets.is_floating_point() or targets.dtype == torch.bool else targets.long()


def _are_pictures(first: Any, images: bool | None, collate: Collate | None) -> bool:
    if images is False or collate is not None:
        return False
    inputs = parted(first).inputs
    pil = hasattr(inputs, "getbands")
    shape = unless_it_fails(lambda: np.shape(inputs)) or ()
    levels = str(getattr(inputs, "dtype", "")).endswith("uint8")
    if images and not (pil or len(shape) in (2, 3)):
        raise UsageError(f"images=True, but inputs of a sample have {len(shape)} axes; pictures have two or three")
    return (
        pil or (len(shape) in (2, 3) and (bool(images) or levels)) if not isinstance(inputs, tuple | Mapping) else False
    )


def _collated(samples: list[Any]) -> Any:
    """As torch does it; numbers as float32, in which networks compute."""
    from torch.utils.data import default_collate

    return tree.as_tensors(default_collate([tree.as_tensors(sample) for sample in samples]))


Nested = NestedSource | NestedDataset
