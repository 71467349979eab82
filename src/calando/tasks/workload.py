"""What is trained: data + network + loss + metric + batch size, of any kind.

    batch(step, seed) = prepare(augment(samples of batch_indices(seed, step)))      of log-mel pictures some strips
                        hidden; then mixed, where there is a mixup (`calando.tasks.augment_speech`)
    prepare(raw)      = (raw / 255 - mean) / std  for uint8,   (raw - mean) / std  for floats;  per channel of images,
                        raw itself of samples that are none; of recordings that of their log-mel pictures
    judged(batch)     = its loss, and the outputs that the metric judges (`calando.tasks.objective`)

Both are pure functions: which samples, in which order and how augmented depends on (seed, step) alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from calando.errors import UsageError
from calando.language import message
from calando.tasks.augment import Augment
from calando.tasks.chance import Answer, Chance, chance_of, constant_answer, no_chance
from calando.tasks.front_end import LogMel
from calando.tasks.metrics import ACCURACY, Metric, Tally
from calando.tasks.nested_dataset import NestedDataset
from calando.tasks.network_factory import NetworkFactory
from calando.tasks.objective import CrossEntropy, Forward, Loss, NamedLoss, Samples, called, judged, logits_of
from calando.tasks.randomness import batch_indices, holding_seeded, steps_per_epoch
from calando.tasks.run_copies import Pristine
from calando.tasks.source import Source
from calando.tasks.torch_dataset import DatasetSource
from calando.tasks.user_code import look_behind

__all__ = ["CrossEntropy", "Loss", "Workload"]

Precision = Callable[[], AbstractContextManager[Any]]
"""The context in which a network computes."""

_NETWORK, _LOSS = message("the workload's model"), message("the workload's loss")
_FORWARD, _METRIC = message("the workload's forward"), message("the workload's metric")
_COLLATE = message("the workload's collate")
_PARTS = {
    "train": message("the workload's training data"),
    "validation": message("the workload's validation data"),
    "test": message("the workload's test data"),
}
_CHUNK = 500  # images evaluated at once
_LOOKED_AT = 4096  # training samples from which the constant answer is found


@dataclass(frozen=True, eq=False)
class Workload:
    """Data, network, loss, metric and batch size to train with; `calando.workload` makes and checks it.

    Args:
        name: its name in tables.
        train, validation, test: the three parts; labels are 0 … classes-1.
        classes: number of classes; 0 where samples have no class.
        class_names: names of the classes, for display.
        mean, std: per channel of the training part, in the unit of x / 255 for uint8; std is 1 where a channel is
            constant; () where samples are not images.
        build: makes a new network; the caller seeds torch's generator.
        augment: augmentation of training batches.
        batch_size: samples per update.
        loss: (outputs, targets) -> scalar. None: the network or `forward` computes it.
        forward: (network, batch) -> loss, or (loss, outputs), instead of loss(network(inputs), targets).
        metric: what computes the score.
        outputs: shape of one sample's outputs. None: they are not one tensor of one shape.
        front_end: turns recordings into the spectrograms that the network gets. None: samples are not recordings.
        background: recordings of noise, for augmentation.
        notes: how the data were read, in sentences; shown once when training on them.
        doubts: what may be wrong with them, shown in the same way; `calando.workload` has warned of it.
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
    loss: Loss | None
    forward: Forward | None = None
    metric: Metric = ACCURACY
    outputs: tuple[int, ...] | None = None
    front_end: LogMel | None = None
    background: tuple[np.ndarray, ...] = ()
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) of an image. None: samples are not images."""
        return self.train.shape

    @property
    def scored(self) -> dict[str, Any]:
        """What a score is, as fields of a WorkloadSpec; empty for the share of right answers."""
        return {} if self.metric == ACCURACY else {"metric": self.metric.name, "measure": self.metric.measure}

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one pass over the training part; an incomplete last batch is dropped."""
        return steps_per_epoch(len(self.train), self.batch_size)

    @cached_property
    def chance(self) -> Chance | Answer:
        """What a network reaches that knows only the distribution of the targets."""
        if self.classes and self.metric == ACCURACY:
            smoothing = self.loss.label_smoothing if isinstance(self.loss, CrossEntropy) else 0.0
            return chance_of(self.train.labels, classes=self.classes, label_smoothing=smoothing)
        own = self.fresh()  # it may run the user's loss and forward, which stay as they were given
        size = self._evaluated_at_once
        places = torch.linspace(0, len(own.train) - 1, min(len(own.train), _LOOKED_AT)).round().long()
        with holding_seeded(
            0
        ):  # a Dataset, loss or forward may draw: chance is the same at whatever step it is asked for
            answer = constant_answer(
                [own.read(own.train, rows) for rows in places.split(size)],
                [own.read(own.validation, rows) for rows in torch.arange(len(own.validation)).split(size)],
                loss=NamedLoss("cross_entropy") if isinstance(own.loss, CrossEntropy) else own.loss,
                forward=own.forward,
                metric=own.metric,
                outputs=own.outputs,
            )
        if not math.isfinite(answer.score):
            answer = replace(answer, score=self.metric.measure.worst)
        return answer

    @property
    def chance_loss(self) -> float | None:
        """The training loss at chance level. None: unknown."""
        if self.classes and not isinstance(self.loss, CrossEntropy):
            return None  # cross-entropy is what the labels' chance is of
        return self.chance.loss

    def chance_on(self, samples: Samples) -> float | None:
        """The loss at chance level on these samples. None: unknown."""
        if self.chance_loss is None:
            return None
        chance = self.chance
        return chance.of_batch(samples.targets) if isinstance(chance, Chance) else chance.of_batch(samples)

    def fresh(self) -> Workload:
        """A copy with its own network factory, loss and Datasets, as they were given; each run gets one.

        Raises:
            UsageError: a Dataset writes to the large arrays that all runs share.
        """
        if self._pristine is None:
            return self
        copies = self._pristine.copies()
        parts: dict[str, Any] = {
            name: source.reading_from(copies[_PARTS[name]], collate=copies.get(_COLLATE))
            if isinstance(source, NestedDataset)
            else source.reading_from(copies[_PARTS[name]])
            for name, source in self._datasets.items()
        }
        if _NETWORK in copies:
            parts["build"] = replace(self.build, own=copies[_NETWORK])
        if _METRIC in copies:
            parts["metric"] = self.metric.with_own(copies[_METRIC])
        loss, forward = copies.get(_LOSS, self.loss), copies.get(_FORWARD, self.forward)
        return replace(self, loss=loss, forward=forward, **parts)

    @property
    def _datasets(self) -> dict[str, DatasetSource | NestedDataset]:
        """The parts that are read from a Dataset, by name."""
        parts = {name: getattr(self, name) for name in _PARTS}
        return {name: part for name, part in parts.items() if isinstance(part, DatasetSource | NestedDataset)}

    @cached_property
    def theirs(self) -> dict[str, object]:
        """The user's code and data, by name: what is not calando's own."""
        found: dict[str, object] = {_PARTS[name]: source.given for name, source in self._datasets.items()}
        named = {_NETWORK: self.build.own, _FORWARD: self.forward, _METRIC: self.metric.own}
        if not isinstance(self.loss, CrossEntropy | NamedLoss):
            named[_LOSS] = self.loss
        if isinstance(self.train, NestedDataset):
            named[_COLLATE] = self.train.collate
        return found | {name: part for name, part in named.items() if part is not None}

    @cached_property
    def _pristine(self) -> Pristine | None:
        """None: everything is."""
        samples = frozenset(_PARTS[name] for name in self._datasets)
        return Pristine(self.theirs, samples=samples) if self.theirs else None

    def __getstate__(self) -> dict[str, object]:
        """Without the copies: who is sent the workload makes its own."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_pristine", "theirs", "chance")}

    def left_behind(self) -> Mapping[str, bytes]:
        """Digests of the state that the user's code keeps where `fresh` does not copy it, by name."""
        given = [source.given for source in self._datasets.values()]
        others = [self.theirs[name] for name in (_FORWARD, _METRIC, _COLLATE) if name in self.theirs]
        return look_behind(self.build.own, self.loss, *given, *others)

    @property
    def is_ours(self) -> bool:
        """Whether training runs only calando's own code, none of the user's or of another package."""
        return self._pristine is None and ":" not in self.build.name

    @property
    def cautions(self) -> tuple[str, ...]:
        """Notes that are shown once: sizes of the parts, what cannot be copied for each run, unidentifiable data."""
        train, validation, test = (len(part) for part in (self.train, self.validation, self.test))
        # A reader of files says how much there is by itself; what is given as an argument is called by its name.
        parts = message(
            "parts: {train:,} samples are trained on, {validation:,} are validated on, {test:,} are tested on",
            train=train,
            validation=validation,
            test=test,
        )
        shared = () if self._pristine is None else self._pristine.shared.items()
        return (
            *((no_chance(self.chance),) if self.chance_loss is None else ()),
            *([parts] if self.train.origin == "train" else []),
            *(
                message("{what} cannot be copied ({why}): all runs share one, and what it keeps", what=what, why=why)
                for what, why in shared
            ),
            *(
                message(
                    "{data}: two reads of sample {place} differ though the generators were seeded "
                    "alike; a study knows it by its labels alone",
                    data=_PARTS[name],
                    place=source.unrepeatable,
                )
                for name, source in self._datasets.items()
                if source.unrepeatable is not None
            ),
        )

    @cached_property
    def hash_of_samples(self) -> str:
        """16 hexadecimal digits that identify all samples of the Datasets; "" if there are none."""
        digests = [source.hash_of_samples() for source in self._datasets.values()]
        return hashlib.sha256(b"".join(digests)).hexdigest()[:16] if digests else ""

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the data: labels and images of the three parts.

        Of a Dataset: all labels, and the first, middle and last image; `hash_of_samples` covers all images.
        """
        parts = (self.train, self.validation, self.test)
        return hashlib.sha256(b"".join(part.fingerprint() for part in parts)).hexdigest()[:16]

    def batch(self, step: int, *, seed: int) -> Samples:
        """The batch of update `step`; for images float32 [batch_size, C, H, W] and int64 [batch_size]."""
        raw = self.raw_batch(step, seed=seed)
        inputs = self.prepare(raw.inputs)
        if self.front_end is not None:
            inputs = self.augment.on_pictures(inputs, seed=seed, step=step)
        if not self.augment.mixes:
            return replace(raw, inputs=inputs)
        targets = self.augment.mixed_targets(raw.targets, classes=self.classes, seed=seed, step=step)
        return replace(raw, inputs=self.augment.mixed(inputs, seed=seed, step=step), targets=targets)

    def raw_batch(self, step: int, *, seed: int) -> Samples:
        """The batch before `prepare`; on its way to a GPU, uint8 takes a quarter of the bytes."""
        raw = self.train.read(self._rows(step, seed))
        if not self.augment.parts:
            return raw
        # In NumPy, on the CPU: the same bits on every device.
        if self.front_end is not None:
            waves = raw.inputs.numpy()
            waves = waves.astype(np.float32) / np.float32(2**15) if waves.dtype == np.int16 else waves
            heard = self.augment.on_recordings(
                waves, rate=self.front_end.rate, background=self.background, seed=seed, step=step
            )
            return replace(raw, inputs=torch.from_numpy(heard))
        return replace(raw, inputs=torch.from_numpy(self.augment(raw.inputs.numpy(), seed=seed, step=step)))

    def batch_targets(self, step: int, *, seed: int) -> Samples:
        """The targets of update `step`; inputs are not read if the targets are known without them."""
        rows = self._rows(step, seed)
        if isinstance(self.train, NestedDataset) or self.forward is not None:
            return self.read(self.train, rows)
        targets = self.train.targets(rows)
        if self.augment.mixes:
            targets = self.augment.mixed_targets(targets, classes=self.classes, seed=seed, step=step)
        return Samples(None, targets)

    def read(self, part: Source, rows: torch.Tensor) -> Samples:
        """Samples of a part as the network gets them, without augmentation."""
        raw = part.read(rows)
        return replace(raw, inputs=self.prepare(raw.inputs))

    def _rows(self, step: int, seed: int) -> torch.Tensor:
        return batch_indices(size=len(self.train), batch_size=self.batch_size, seed=seed, step=step)

    def prepare(self, raw: Any) -> Any:
        """Normalised inputs on the device of `raw`; images become float32 [N, C, H, W], mean 0 and deviation 1."""
        if self.front_end is not None:
            raw = self.front_end(raw)
        return self.normalise(raw) if self.mean else raw

    def normalise(self, raw: torch.Tensor) -> torch.Tensor:
        """Normalise images: mean 0 and deviation 1 over the training part."""
        scale, shift = _affine(self.mean, self.std, 255 if raw.dtype == torch.uint8 else 1, raw.device)
        return raw.to(torch.float32, copy=True).mul_(scale).add_(shift)

    def judged(self, network: nn.Module, samples: Samples, *, precision: Precision) -> tuple[torch.Tensor, Any]:
        """The mean training loss of prepared samples, of shape (), and the outputs."""
        return judged(network, samples, loss=self.loss, forward=self.forward, precision=precision)

    def evaluate(
        self,
        network: nn.Module,
        part: Source,
        *,
        precision: Precision,
        placed: Callable[[torch.Tensor], torch.Tensor],
        undefined: Callable[[str], None] | None = None,
    ) -> tuple[float, float]:
        """Evaluate a network on a part, in evaluation mode and without gradients: (loss, score).

        The loss is the mean training loss; for classes it is the cross-entropy without label smoothing. If the loss or
        the score is not finite, the score is that of chance.

        Args:
            precision: precision that the network computes in.
            placed: moves a tensor to the network's device and memory layout.
            undefined: called with a sentence if the loss is finite and the score is not.
        """
        tally, total, weights = self.metric.begin(), 0.0, 0
        with torch.inference_mode():
            for rows in torch.arange(len(part)).split(self._evaluated_at_once):
                samples = self.read(part, rows).mapped(placed)
                if self.classes:
                    loss, outputs = self._class_loss(network, samples, precision)
                else:
                    mean, outputs = self.judged(network, samples, precision=precision)
                    # The mean over no target at all is nan, and says nothing.
                    loss = float(mean) * samples.weight if samples.weight else 0.0
                total, weights = total + loss, weights + samples.weight
                tally.add(outputs, samples, loss / max(samples.weight, 1))
            loss = total / max(weights, 1)
            return loss, self._score(tally, undefined) if math.isfinite(loss) else self.chance.score

    def _score(self, tally: Tally, undefined: Callable[[str], None] | None) -> float:
        score = tally.score()
        if math.isfinite(score):
            return score
        chance = self.chance.score
        if undefined is not None:
            undefined(
                message(
                    "metric {name} is {score}; counted as the score of chance, {chance:.4g}",
                    name=self.metric.name,
                    score=score,
                    chance=chance,
                )
            )
        return chance

    def _class_loss(self, network: nn.Module, samples: Samples, precision: Precision) -> tuple[float, torch.Tensor]:
        """The summed cross-entropy, and the scores of the classes."""
        with precision():
            outputs = logits_of(called(network, samples))
        if tuple(outputs.shape) != (samples.count, self.classes):
            raise UsageError(
                message(
                    "the network must give [N, {classes}] scores when it is evaluated, got {shape} for N = {count}",
                    classes=self.classes,
                    shape=tuple(outputs.shape),
                    count=samples.count,
                )
            )
        outputs = outputs.float()
        return float(F.cross_entropy(outputs, samples.targets, reduction="sum")), outputs

    @property
    def _evaluated_at_once(self) -> int:
        return _CHUNK if self.classes and self.mean else max(self.batch_size, 1)


@lru_cache(maxsize=16)
def _affine(
    mean: tuple[float, ...], std: tuple[float, ...], unit: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    scale = [1 / (unit * s) for s in std]
    shift = [-m / s for m, s in zip(mean, std, strict=True)]
    return torch.tensor(scale, device=device)[:, None, None], torch.tensor(shift, device=device)[:, None, None]
