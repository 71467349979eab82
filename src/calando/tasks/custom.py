"""Your own workload in Python.

# my_project/tasks.py, run as: calando compare my_project.tasks:workload
def workload():
    return calando.workload(train=(x, y), test=(x_test, y_test), model=MyNet)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch

from calando.errors import DataError, DataWarning, UsageError, is_plain, quote
from calando.records import WorkloadSpec
from calando.records.fields import check
from calando.tasks.assemble import assemble
from calando.tasks.catalog import UNNAMED
from calando.tasks.data.arrays import Channels, as_images, as_labels, check_channels, reading
from calando.tasks.source import Source, TensorSource
from calando.tasks.torch_dataset import DatasetSource, MapDataset
from calando.tasks.workload import CrossEntropy, Loss, Workload

__all__ = ["Samples", "workload"]

Samples = tuple[torch.Tensor | np.ndarray, torch.Tensor | np.ndarray] | MapDataset
"""(images, labels) as tensors or arrays, or a map-style torch.utils.data.Dataset."""


def workload(
    *,
    train: Samples,
    model: str | Callable[..., object],
    test: Samples | None = None,
    validation: Samples | None = None,
    clean: Samples | None = None,
    channels: Channels | None = None,
    validation_fraction: float = 0.1,
    train_limit: int | None = None,
    batch_size: int = 64,
    augment: str = "none",
    label_smoothing: float = 0.0,
    loss: Loss | None = None,
    classes: int | None = None,
    class_names: tuple[str, ...] | None = None,
    name: str = UNNAMED,
) -> Workload:
    """Put a workload together from your own data and network.

    >>> x, y = torch.rand(40, 1, 8, 8), torch.arange(40) % 2
    >>> mine = workload(train=(x, y), model="cnn", batch_size=8)
    >>> len(mine.train), len(mine.validation), len(mine.test), mine.steps_per_epoch
    (28, 4, 8, 3)

    Args:
        train: (images, labels), images uint8 or floating point [N, H, W], [N, C, H, W] or [N, H, W, C], labels whole
            numbers 0 … classes-1; or a map-style Dataset of (image, label) or {"image": …, "label": …}, an image a PIL
            image, or a tensor or array [H, W], [C, H, W] or [H, W, C].
        model: a network's name, or a class or function that builds a network (given classes=, in_channels= and
            image_size=, those of them that it names). Built again for each run, so an instance will not do.
        test: as `train`; None cuts one fifth from it.
        validation: as `train`; None cuts `validation_fraction` from it, class by class.
        clean: the samples of `train` in the same order without random transforms: what is cut is cut from these.
        channels: "first" or "last": where they are in tensors and arrays; None: the shape decides, and is refused where
            either may be (see `calando.tasks.data.arrays`). What was read is in the answer's `notes`.
        validation_fraction: in (0, 1).
        train_limit: train on this many samples only.
        batch_size: samples per update.
        augment: e.g. "crop(4)+flip"; see `augment`.
        label_smoothing: of the cross-entropy, in [0, 1).
        loss: (outputs, targets) -> scalar, instead of the cross-entropy.
        classes: number of classes; None takes it from the training labels.
        class_names: for display.
        name: what tables, figures and pages call it.

    Raises:
        DataError: data that cannot be trained on: empty, one class, labels out of range, not finite, less than a batch.
        UsageError: any other argument that cannot be.

    Warns:
        DataWarning: two reads of one sample of a part that is evaluated differ: its transforms are random. Or PIL
            images of a Dataset are to be rotated by their EXIF, which is its transform's to do.
    """
    check(
        WorkloadSpec,
        batch_size=batch_size,
        label_smoothing=label_smoothing,
        validation_fraction=validation_fraction,
        train_limit=train_limit,
    )
    _check_given(train=train, augment=augment, loss=loss, classes=classes, class_names=class_names)
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise UsageError(f"a workload's name must be one line that can be seen, got {name!r}")
    if loss is not None and label_smoothing:
        raise UsageError("label_smoothing belongs to the cross-entropy; leave it out where you give a loss of your own")
    check_channels(channels)
    if clean is not None and validation is not None and test is not None:
        raise UsageError("clean= is what parts are cut from, and both are given: leave it out, or one of them")
    parts = {"train": train, "validation": validation, "test": test, "clean": clean}
    given = {
        name: _source(samples, origin=name, channels=channels) for name, samples in parts.items() if samples is not None
    }
    sources = {name: source for name, (source, _) in given.items()}
    doubts = _doubts(sources)
    for doubt in doubts:
        warnings.warn(doubt, DataWarning, stacklevel=2)
    return assemble(
        sources["train"],
        validation=sources.get("validation"),
        test=sources.get("test"),
        clean=sources.get("clean"),
        model=model,
        name=name,
        batch_size=batch_size,
        augment=augment,
        loss=CrossEntropy(label_smoothing) if loss is None else loss,
        validation_fraction=validation_fraction,
        train_limit=train_limit,
        classes=classes,
        class_names=class_names,
        notes=tuple(note for _, note in given.values()),
        doubts=doubts,
    )


def _check_given(*, train: object, augment: object, loss: object, classes: object, class_names: Any) -> None:
    """Refuse the first that is not of its kind."""
    if train is None:
        raise UsageError("train must be (images, labels) or a Dataset, got None")
    if not isinstance(augment, str):
        raise UsageError(f'augment must be a text like "crop(4)+flip" or "none", got {quote(augment)}')
    if loss is not None and not callable(loss):
        raise UsageError(f"loss must be a function (outputs, targets) -> scalar, got {quote(loss)}")
    if isinstance(loss, type) and issubclass(loss, torch.nn.Module):
        raise UsageError(f"loss must be a function or an instance, got the class {loss.__name__}: {loss.__name__}()")
    if classes is not None and (not isinstance(classes, Integral) or isinstance(classes, bool)):
        raise UsageError(f"classes must be a whole number, got {quote(classes)}")
    if class_names is None:
        return
    several = isinstance(class_names, Sequence) and not isinstance(class_names, str)
    if not several or not all(isinstance(one, str) and is_plain(one) for one in class_names):
        raise UsageError(
            f"class_names must be texts of one line that can be seen, one a class, got {quote(class_names)}"
        )


def _source(samples: Samples, *, origin: str, channels: Channels | None) -> tuple[Source, str]:
    """The samples, and how their axes were understood."""
    if isinstance(samples, tuple | list) and len(samples) == 2 and isinstance(samples[0], torch.Tensor | np.ndarray):
        images, labels = _as_array(samples[0], origin), _as_array(samples[1], f"{origin}, labels")
        tensor = isinstance(samples[0], torch.Tensor)
        pixels = as_images(images, origin=origin, channels=channels, tensor=tensor, how=" in calando.workload(…)")
        numbers = as_labels(labels, origin=origin)
        # A copy: what the caller does to the array later must not change a run.
        source = TensorSource(torch.from_numpy(np.array(pixels)), torch.from_numpy(numbers), origin=origin)
        return source, reading(images.shape, pixels.shape, origin=origin, channels=channels)
    found = DatasetSource(samples, origin=origin, channels=channels)
    return found, found.reading


def _as_array(values: object, origin: str) -> np.ndarray:
    """Also of tensors that NumPy has no type for, and of lists."""
    try:
        if isinstance(values, torch.Tensor):
            values = values.detach().cpu().to_dense()
            values = values.float() if values.is_floating_point() and values.itemsize < 4 else values
        return np.asarray(values)
    except (RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"{origin}: cannot be made an array ({' '.join(str(error).split())}); give a plain tensor or array"
        ) from error


def _doubts(sources: dict[str, Source]) -> tuple[str, ...]:
    """Warnings of parts that are evaluated on samples that vary from read to read."""
    read = {name: source for name, source in sources.items() if isinstance(source, DatasetSource)}
    found = [
        f"{name}: two reads of sample {place} differ, so its scores are of pixels changed at random; give it without "
        "random transforms"
        for name in ("validation", "test", "clean")
        if name in read and (place := read[name].first_that_varies()) is not None
    ]
    cut = " and ".join(f"the {name} part" for name in ("validation", "test") if name not in sources)
    doubtful = cut and "clean" not in sources and "train" in read
    if doubtful and (place := read["train"].first_that_varies()) is not None:
        found.append(
            f"train: two reads of sample {place} differ: {cut} cut from it get its random transforms too; "
            "give clean=, the same samples in the same order without them, or validation= and test="
        )
    found += [
        f"{name}: {source.turned} of {len(source)} PIL images are to be rotated by their EXIF and are read without; "
        "rotate them in the data set's transform: PIL.ImageOps.exif_transpose(image)"
        for name, source in read.items()
        if source.turned
    ]
    return tuple(found)
