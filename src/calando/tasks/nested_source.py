"""Samples of any make: arrays nested in tuples and dicts; `nested_dataset` has those that a Dataset yields.

    (x, y)            what the network gets, and what is wanted of it; each a tensor or array [N, …], or several, nested
    (x1, x2, y)       several inputs: the last is what is wanted
    {"name": …}       named inputs of the network, which finds what it wants among them ("labels")

Arrays of float64 are read as float32.

Where the inputs are pictures (see `given_arrays.as_pictures`), they have the axes [C, H, W], and are normalised as
those of an image data set are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from calando.errors import DataError
from calando.language import joined, message
from calando.tasks import tree
from calando.tasks.data.arrays import Channels, reading
from calando.tasks.given_arrays import as_pictures, listed, refuse_masked, refuse_uncut, rounded
from calando.tasks.objective import Samples
from calando.tasks.sample_makes import hash_of
from calando.tasks.source import Moments, Source, TensorSource
from calando.tasks.whole_targets import WholeTargets

__all__ = ["NestedSource", "parted"]

_WANTED = ("labels", "label", "targets", "target")
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
            raise DataError(
                message(
                    "{origin}: {name} is a single number; every array needs an axis of samples",
                    origin=origin,
                    name=scalars[0],
                )
            )
        if len(found) != 1 or found[0] == 0:
            raise DataError(
                message(
                    "{origin}: holds {counted}; give arrays [N, …] of one N, at least 1",
                    origin=origin,
                    counted=self._counted(found),
                )
            )
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
            return message("no samples")
        parts = {"inputs": self._samples.inputs, "targets": self._samples.targets} if self._samples.paired else {}
        named = parts or {"batch": self._samples.inputs}
        each = [f"{where} {len(one)}" for name, part in named.items() for where, one in tree.leaves(part, name)]
        return message(
            "arrays of {counts} samples ({each})",
            counts=joined("{one} and {other}", map(str, found)),
            each=", ".join(each),
        )

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


def _class_numbers(targets: Any) -> torch.Tensor | None:
    if not isinstance(targets, torch.Tensor) or targets.ndim != 1:
        return None
    return None if targets.is_floating_point() or targets.dtype == torch.bool else targets.long()
