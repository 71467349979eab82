"""Your own workload in Python.

# my_project/tasks.py, run as: calando compare my_project.tasks:workload
def workload():
    return calando.workload(train=(x, y), test=(x_test, y_test), model=MyNet)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from calando.errors import UsageError
from calando.workloads.assemble import assemble
from calando.workloads.data.arrays import as_images, as_labels
from calando.workloads.data.dataset import DatasetSource, MapDataset
from calando.workloads.data.source import Source, TensorSource
from calando.workloads.options import check_options
from calando.workloads.workload import CrossEntropy, Loss, Workload

__all__ = ["Samples", "workload"]

Samples = tuple[torch.Tensor | np.ndarray, torch.Tensor | np.ndarray] | MapDataset
"""(images, labels) as tensors or arrays, or a map-style torch.utils.data.Dataset."""


def workload(
    *,
    train: Samples,
    model: str | Callable[..., object],
    test: Samples | None = None,
    validation: Samples | None = None,
    validation_fraction: float = 0.1,
    train_limit: int | None = None,
    batch_size: int = 64,
    augment: str = "none",
    label_smoothing: float = 0.0,
    loss: Loss | None = None,
    classes: int | None = None,
    class_names: tuple[str, ...] | None = None,
    name: str = "custom",
) -> Workload:
    """Put a workload together from your own data and network.

    >>> x, y = torch.rand(40, 1, 8, 8), torch.arange(40) % 2
    >>> mine = workload(train=(x, y), model="cnn", batch_size=8)
    >>> len(mine.train), len(mine.validation), len(mine.test), mine.steps_per_epoch
    (28, 4, 8, 3)

    Args:
        train: (images, labels), images uint8 or floating point [N, H, W], [N, C, H, W] or [N, H, W, C], labels whole
            numbers 0 … classes-1; or a map-style Dataset of (image, label) or {"image": …, "label": …}.
        model: a network's name, or a class or function that builds a network (given classes=, in_channels= and
            image_size=, those of them that it names). Built anew for each run, so an instance will not do.
        test: as `train`; None cuts one fifth from it.
        validation: as `train`; None cuts `validation_fraction` from it, class by class.
        validation_fraction: in (0, 1).
        train_limit: train on this many samples only.
        batch_size: samples per update.
        augment: e.g. "crop(4)+flip"; see `augment`.
        label_smoothing: of the cross-entropy, in [0, 1).
        loss: (outputs, targets) -> scalar, instead of the cross-entropy.
        classes: number of classes; None takes it from the training labels.
        class_names: for display.
        name: what tables call it.

    Raises:
        DataError: data that cannot be trained on: empty, one class, labels out of range, not finite, less than a batch.
        UsageError: any other argument that cannot be.
    """
    check_options(
        batch_size=batch_size,
        label_smoothing=label_smoothing,
        validation_fraction=validation_fraction,
        train_limit=train_limit,
    )
    if loss is not None and label_smoothing:
        raise UsageError("label_smoothing belongs to the cross-entropy; leave it out where you give a loss of your own")
    return assemble(
        _source(train, origin="train"),
        validation=None if validation is None else _source(validation, origin="validation"),
        test=None if test is None else _source(test, origin="test"),
        model=model,
        name=name,
        batch_size=batch_size,
        augment=augment,
        loss=CrossEntropy(label_smoothing) if loss is None else loss,
        validation_fraction=validation_fraction,
        train_limit=train_limit,
        classes=classes,
        class_names=class_names,
    )


def _source(samples: Samples, *, origin: str) -> Source:
    if isinstance(samples, tuple | list) and len(samples) == 2 and all(_is_array(part) for part in samples):
        images, labels = (
            np.asarray(part.detach().cpu() if isinstance(part, torch.Tensor) else part) for part in samples
        )
        pixels, numbers = as_images(images, origin=origin), as_labels(labels, origin=origin)
        return TensorSource(torch.from_numpy(np.array(pixels)), torch.from_numpy(numbers), origin=origin)
    return DatasetSource(samples, origin=origin)


def _is_array(value: object) -> bool:
    return isinstance(value, torch.Tensor | np.ndarray)
