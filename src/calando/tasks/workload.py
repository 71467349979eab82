"""What is trained: model + data + augmentation + loss + batch size.

    batch(step, seed) = normalise(augment(images of batch_indices(seed, step)))
    normalise(raw)    = (raw / 255 - mean) / std  for uint8,   (raw - mean) / std  for floats;  per channel

Both are pure functions: which samples, in which order and how augmented depends on (seed, step) alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import torch
import torch.nn.functional as F

from calando.tasks.augment import Augment
from calando.tasks.labels import Chance, chance_of
from calando.tasks.network_factory import NetworkFactory
from calando.tasks.randomness import batch_indices, steps_per_epoch
from calando.tasks.run_copies import Pristine
from calando.tasks.source import Source
from calando.tasks.torch_dataset import DatasetSource
from calando.tasks.user_code import look_behind

__all__ = ["CrossEntropy", "Loss", "Workload"]

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(outputs [N, classes], targets int64[N]) -> scalar: the mean over the batch."""


_NETWORK, _LOSS = "the workload's model", "the workload's loss"
_PARTS = {
    "train": "the workload's training data",
    "validation": "the workload's validation data",
    "test": "the workload's test data",
}


@dataclass(frozen=True)
class CrossEntropy:
    """Mean cross-entropy with label smoothing s, in [0, 1): targets are (1 - s) one-hot + s / classes.

    >>> round(CrossEntropy()(torch.zeros(2, 10), torch.tensor([3, 4])).item(), 4)
    2.3026
    """

    label_smoothing: float = 0.0

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)


@dataclass(frozen=True, eq=False)
class Workload:
    """Made by `assemble.load` or `calando.workload`, which check what is put together.

    Args:
        name: what it is called in tables.
        train, validation, test: the three parts; labels are 0 … classes-1.
        classes: number of classes.
        class_names: for display; one a class.
        mean, std: per channel of the training part, in the unit of x / 255 for uint8; std 1 where constant.
        build: makes a new network; the caller seeds torch's generator.
        augment: applied to training batches.
        batch_size: samples per update.
        loss: (outputs, targets) -> scalar.
        notes: how the data were understood, in sentences; shown once when they are trained on.
        doubts: what may be wrong with them, shown likewise; `calando.workload` has warned of it.
    """

    name: str
    train: Source
    validation: Source
    test: Source
    classes: int
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    build: NetworkFactory
    augment: Augment
    batch_size: int
    loss: Loss
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        return self.train.shape

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one pass over the training part; a last batch that is not full is dropped."""
        return steps_per_epoch(len(self.train), self.batch_size)

    @cached_property
    def chance(self) -> Chance:
        """What a network scores that knows the class shares alone; its losses are the cross-entropy's."""
        smoothing = self.loss.label_smoothing if isinstance(self.loss, CrossEntropy) else 0.0
        return chance_of(self.train.labels, classes=self.classes, label_smoothing=smoothing)

    @property
    def chance_loss(self) -> float | None:
        """The training loss of such a network; None where the loss is not the cross-entropy."""
        return self.chance.loss if isinstance(self.loss, CrossEntropy) else None

    def fresh(self) -> Workload:
        """The workload with network factory, loss and Datasets of its own, as they were given: each run gets one.

        Raises:
            UsageError: a Dataset writes to the large arrays that all runs share.
        """
        if self._pristine is None:
            return self
        copies = self._pristine.copies()
        parts: dict[str, Any] = {
            name: source.reading_from(copies[_PARTS[name]]) for name, source in self._datasets.items()
        }
        if _NETWORK in copies:
            parts["build"] = replace(self.build, own=copies[_NETWORK])
        return replace(self, loss=copies.get(_LOSS, self.loss), **parts)

    @property
    def _datasets(self) -> dict[str, DatasetSource]:
        """The parts that are read from a Dataset, by name."""
        parts = {name: getattr(self, name) for name in _PARTS}
        return {name: part for name, part in parts.items() if isinstance(part, DatasetSource)}

    @cached_property
    def _pristine(self) -> Pristine | None:
        """What is not calando's own; None: everything is."""
        theirs: dict[str, object] = {_PARTS[name]: source.given for name, source in self._datasets.items()}
        samples = frozenset(theirs)
        if self.build.own is not None:
            theirs[_NETWORK] = self.build.own
        if not isinstance(self.loss, CrossEntropy):
            theirs[_LOSS] = self.loss
        return Pristine(theirs, samples=samples) if theirs else None

    def __getstate__(self) -> dict[str, object]:
        """Without the copies: who is sent the workload makes its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_pristine"}

    def left_behind(self) -> Mapping[str, bytes]:
        """Digests of the state that its code keeps where `fresh` does not reach, by name (`tasks.user_code`)."""
        given = [source.given for source in self._datasets.values()]
        return look_behind(self.build.own, self.loss, *given)

    @property
    def is_ours(self) -> bool:
        """Whether no code of the user's, or of another package, runs when it is trained."""
        return self._pristine is None and ":" not in self.build.name

    @property
    def cautions(self) -> tuple[str, ...]:
        """What cannot be copied for each run, and what data cannot be known by; in sentences, shown once."""
        shared = () if self._pristine is None else self._pristine.shared.items()
        return (
            *(f"{what} cannot be copied ({why}): all runs share one, and what it keeps" for what, why in shared),
            *(
                f"{_PARTS[name]}: two reads of sample {source.unrepeatable} differ though the generators were "
                "seeded alike; a study knows it by its labels alone"
                for name, source in self._datasets.items()
                if source.unrepeatable is not None
            ),
        )

    @cached_property
    def hash_of_samples(self) -> str:
        """16 hexadecimal digits that name all samples of the Datasets; "" where there are none."""
        digests = [source.hash_of_samples() for source in self._datasets.values()]
        return hashlib.sha256(b"".join(digests)).hexdigest()[:16] if digests else ""

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that name the data: labels and images of the three parts.

        Of a Dataset: all labels and the first, middle and last image; `hash_of_samples` is of all.
        """
        parts = (self.train, self.validation, self.test)
        return hashlib.sha256(b"".join(part.fingerprint() for part in parts)).hexdigest()[:16]

    def batch(self, step: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """What update `step` trains on: float32 [batch_size, C, H, W] and int64 [batch_size]."""
        raw, targets = self.raw_batch(step, seed=seed)
        return self.normalise(raw), targets

    def raw_batch(self, step: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The same before normalisation: where that is done on a GPU, uint8 is a quarter of the bytes."""
        rows = self._rows(step, seed)
        raw = self.train.fetch(rows)
        # In NumPy, on the CPU: the same bits on every device.
        if self.augment.parts:
            raw = torch.from_numpy(self.augment(raw.numpy(), seed=seed, step=step))
        return raw, self.train.labels[rows]

    def batch_labels(self, step: int, *, seed: int) -> torch.Tensor:
        """The targets of update `step`, int64 [batch_size]; reads no image."""
        return self.train.labels[self._rows(step, seed)]

    def _rows(self, step: int, seed: int) -> torch.Tensor:
        return batch_indices(size=len(self.train), batch_size=self.batch_size, seed=seed, step=step)

    def normalise(self, raw: torch.Tensor) -> torch.Tensor:
        """float32 [N, C, H, W] of mean 0 and standard deviation 1 over the training part; on the device of `raw`."""
        scale, shift = _affine(self.mean, self.std, 255 if raw.dtype == torch.uint8 else 1, raw.device)
        return raw.to(torch.float32, copy=True).mul_(scale).add_(shift)


@lru_cache(maxsize=16)
def _affine(
    mean: tuple[float, ...], std: tuple[float, ...], unit: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    scale = [1 / (unit * s) for s in std]
    shift = [-m / s for m, s in zip(mean, std, strict=True)]
    return torch.tensor(scale, device=device)[:, None, None], torch.tensor(shift, device=device)[:, None, None]
