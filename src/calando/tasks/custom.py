"""Your own workload in Python.

# my_project/tasks.py, run as: calando compare my_project.tasks:workload
def workload():
    return calando.workload(train=(x, y), test=(x_test, y_test), model=MyNet)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, Literal

import numpy as np
import torch

from calando.errors import (
    DataError,
    DataWarning,
    UsageError,
    is_plain,
    line_of,
    quote,
    said_by,
    unless_it_fails,
)
from calando.language import message
from calando.records import WorkloadSpec
from calando.records.fields import check
from calando.tasks.assemble import assemble
from calando.tasks.assemble_nested import assemble_nested
from calando.tasks.catalog import UNNAMED
from calando.tasks.data.arrays import Channels, as_images, as_labels, check_channels, reading
from calando.tasks.given_doubts import doubts_of_images, varying
from calando.tasks.metrics import ACCURACY, METRICS, Metric, found_metric
from calando.tasks.nested_dataset import Collate, Nested, NestedDataset
from calando.tasks.nested_source import NestedSource, parted
from calando.tasks.objective import CrossEntropy, Forward, Loss, NamedLoss, found_loss
from calando.tasks.randomness import holding_seeded
from calando.tasks.recordings import recordings_of
from calando.tasks.run_copies import copied_alone
from calando.tasks.source import Source, TensorSource
from calando.tasks.torch_dataset import DatasetSource, MapDataset
from calando.tasks.workload import Workload

__all__ = ["Given", "workload"]

Given = tuple[Any, ...] | Mapping[str, Any] | MapDataset
"""(inputs, targets) as tensors or arrays, several inputs, a dict of named ones, or a map-style Dataset of such."""

_OF_CLASSES = ("accuracy", "balanced accuracy", "f1")


def workload(
    *,
    train: Given,
    model: str | Callable[..., object],
    test: Given | None = None,
    validation: Given | None = None,
    clean: Given | None = None,
    loss: str | Loss | None = None,
    forward: Forward | None = None,
    metric: str | object | None = None,
    goal: Literal["max", "min"] | None = None,
    unit: str | None = None,
    collate: Collate | None = None,
    images: bool | None = None,
    channels: Channels | None = None,
    rate: int | None = None,
    validation_fraction: float = 0.1,
    train_limit: int | None = None,
    batch_size: int = 64,
    augment: str = "none",
    label_smoothing: float = 0.0,
    classes: int | None = None,
    class_names: tuple[str, ...] | None = None,
    name: str = UNNAMED,
) -> Workload:
    """Put a workload together from your own data and network.

    Args:
        train: (inputs, targets), (input, input, …, targets) or a dict of the network's arguments, of tensors or arrays
            [N, …], nested in any way. Or a map-style Dataset whose samples have this structure, or are {"image": …,
            "label": …}. Images are uint8 or floating point [N, H, W], [N, C, H, W] or [N, H, W, C], or PIL images in a
            Dataset; labels are integers 0 … classes-1.
        model: a network's name, or a class or function that builds a network; it is given those of the arguments
            classes, in_channels, image_size and inputs that it names. It is called for each run, so an instance is not
            accepted.
        test: the test part, in the form of `train`. None: one fifth of `train` is cut off.
        validation: the validation part, in the form of `train`. None: `validation_fraction` of `train` is cut off,
            class by class.
        clean: the samples of `train` in the same order without random transforms; the parts cut off are taken from
            these.
        loss: "cross_entropy", "bce", "mse", "mae", "huber", or a function (outputs, targets) -> scalar, the mean over
            the batch. None: chosen by the type of the targets, see `calando.tasks.assemble_nested`; or the network's
            own.
        forward: (network, batch) -> loss, or (loss, outputs), instead of loss(network(inputs), targets); the batch has
            the structure of the data.
        metric: "accuracy", "balanced accuracy", "f1", "mean iou", "rmse", "r2", "perplexity", "loss", a function of
            (outputs, targets) of a whole part that returns a number, or a torchmetrics metric. None: chosen by the
            loss.
        goal: "max" or "min": whether a higher or a lower score of your own metric is better. None: "max", or what
            torchmetrics says.
        unit: unit of the score, for tables and figures.
        collate: list of samples of a Dataset -> batch. None: torch's own.
        images: whether the inputs are images, which are normalised and may be augmented. None: decided by their shape.
        channels: "first" or "last": position of the channels in tensors and arrays. None: decided by the shape; a shape
            that fits both is refused (see `calando.tasks.data.arrays`). The answer's `notes` say how it was read.
        rate: sampling rate of recordings in Hz. Inputs are [N, T], int16 (full scale 2^15) or floating point (full
            scale 1); the network gets their log-mel spectrograms (`calando.tasks.front_end`) with one channel.
        validation_fraction: share of the training samples, in (0, 1).
        train_limit: number of training samples to use. None: all.
        batch_size: samples per update.
        augment: augmentation of images, e.g. "crop(4)+flip", or of recordings, e.g. "shift(100)+noise(5, 20)".
        label_smoothing: label smoothing of the cross-entropy, in [0, 1).
        classes: number of classes. None: taken from the training labels.
        class_names: names of the classes, for display.
        name: name in tables, figures and pages.

    Raises:
        DataError: the data cannot be trained on: they are empty, have one class, labels out of range or values that are
            not finite, or are less than a batch.
        UsageError: another argument is wrong.

    Warns:
        DataWarning: two reads of one sample of the validation or test part differ, so its transforms are random. Or PIL
            images of a Dataset carry an EXIF rotation, which its transform must apply.

    >>> x, y = torch.rand(40, 1, 8, 8), torch.arange(40) % 2
    >>> mine = workload(train=(x, y), model="cnn", batch_size=8)
    >>> len(mine.train), len(mine.validation), len(mine.test), mine.steps_per_epoch
    (28, 4, 8, 3)

    Images with one class each need only data and a network. So do numbers, whose loss is the squared error:

    >>> numbers = workload(train=(x.flatten(1), x.sum((1, 2, 3))), model=lambda: torch.nn.Linear(64, 1), batch_size=8)
    >>> numbers.metric.name, numbers.metric.measure.goal
    ('rmse', 'min')
    """
    check(
        WorkloadSpec,
        batch_size=batch_size,
        label_smoothing=label_smoothing,
        validation_fraction=validation_fraction,
        train_limit=train_limit,
    )
    found = found_loss(loss)
    _check_given(train=train, augment=augment, loss=found, forward=forward, classes=classes, class_names=class_names)
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise UsageError(message("a workload's name must be one line that can be seen, got {name}", name=repr(name)))
    judged_by = None if metric is None else found_metric(metric, goal=goal, unit=unit)
    if metric is None and (goal is not None or unit is not None):
        raise UsageError(message("goal= and unit= are of a metric; give metric= as well"))
    if found == NamedLoss("cross_entropy"):
        found = CrossEntropy(label_smoothing)
    elif found is not None and label_smoothing:
        raise UsageError(
            message("label_smoothing belongs to the cross-entropy; leave it out where you give a loss of your own")
        )
    check_channels(channels)
    if clean is not None and validation is not None and test is not None:
        raise UsageError(message("clean= is what parts are cut from, and both are given: leave it out, or one of them"))
    if rate is not None and (forward, collate, images, channels, clean) != (None, None, None, None, None):
        raise UsageError(
            message("rate= says that the inputs are recordings; leave forward, collate, images, channels, clean out")
        )
    if rate is None and (
        forward is not None or collate is not None or not _of_image_classes(train, found, judged_by, images=images)
    ):
        return _nested(
            {"train": train, "validation": validation, "test": test, "clean": clean},
            collate=collate,
            images=images,
            channels=channels,
            model=model,
            name=name,
            batch_size=batch_size,
            augment=augment,
            loss=found,
            label_smoothing=label_smoothing,
            forward=forward,
            metric=judged_by,
            validation_fraction=validation_fraction,
            train_limit=train_limit,
            classes=classes,
            class_names=class_names,
        )
    parts = {"train": train, "validation": validation, "test": test, "clean": clean}
    given = {
        name: _source(samples, origin=name, channels=channels)
        if rate is None
        else recordings_of(samples, rate=rate, origin=name)
        for name, samples in parts.items()
        if samples is not None
    }
    sources: dict[str, Source] = {name: source for name, (source, _) in given.items()}
    doubts = doubts_of_images(sources)
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
        loss=CrossEntropy(label_smoothing) if found is None else found,
        metric=judged_by or ACCURACY,
        validation_fraction=validation_fraction,
        train_limit=train_limit,
        classes=classes,
        class_names=class_names,
        notes=tuple(note for _, note in given.values()),
        doubts=doubts,
    )


def _of_image_classes(train: Any, loss: Loss | None, metric: Metric | None, *, images: bool | None) -> bool:
    """Whether the samples are images of one class each, or nothing that could be another task."""
    if images is False or isinstance(loss, NamedLoss):
        return False
    if metric is not None and metric in METRICS.values() and metric.name not in _OF_CLASSES:
        return False
    if isinstance(train, tuple | list) and len(train) == 2 and isinstance(train[0], torch.Tensor | np.ndarray):
        inputs, targets = train
        # A list that makes no array is refused where images are read.
        shape = tuple(getattr(targets, "shape", ())) or unless_it_fails(lambda: np.shape(targets)) or (len(inputs),)
        if isinstance(loss, CrossEntropy | None):
            return len(inputs.shape) in (3, 4) and (len(shape) == 1 or shape[1:] == (1,))
        return len(inputs.shape) in (3, 4) and len(shape) == 1 and _are_whole(targets)
    if isinstance(train, tuple | list | Mapping) or not hasattr(train, "__getitem__") or not hasattr(train, "__len__"):
        return not isinstance(train, tuple | Mapping)
    return _yields_image_classes(train)


def _are_whole(targets: Any) -> bool:
    array = np.asarray(targets.detach().cpu() if isinstance(targets, torch.Tensor) else targets)
    return array.dtype.kind in "iu" or (array.dtype.kind == "f" and bool((array == np.round(array)).all()))


def _yields_image_classes(dataset: Any) -> bool:
    """Of a Dataset's first sample, read from a copy; True where it cannot be read: the reader of images says why."""
    try:
        with holding_seeded(0):
            sample = copied_alone(dataset)[0]  # type: ignore[index]
    except Exception:  # the user's code may raise anything
        return True
    if isinstance(sample, Mapping):
        if not {"image", "label"} <= set(sample):
            return False
        sample = (sample["image"], sample["label"])
    if not isinstance(sample, Sequence) or isinstance(sample, str) or len(sample) != 2:
        return not isinstance(sample, tuple | list)
    picture, label = sample
    if isinstance(picture, Mapping | tuple | list):
        return False
    if not hasattr(picture, "getbands") and len(np.shape(picture)) not in (2, 3):
        return False
    return int(np.asarray(label).size) == 1


def _nested(parts: dict[str, Any], *, collate: Any, images: bool | None, channels: Any, **options: Any) -> Workload:
    given = {part: samples for part, samples in parts.items() if samples is not None}
    read: dict[str, Nested] = {}
    for part, samples in given.items():
        if isinstance(samples, tuple | Mapping) or (isinstance(samples, list) and _are_arrays(samples)):
            if collate is not None:
                raise UsageError(
                    message(
                        "collate= puts samples of a Dataset together, and {part} is arrays; leave it out", part=part
                    )
                )
            read[part] = NestedSource(parted(samples), origin=part, channels=channels, images=images)
        else:
            read[part] = NestedDataset(samples, origin=part, collate=collate, channels=channels, images=images)
    notes = tuple(source.note for source in read.values() if source.note)
    doubts = (
        *varying(read, message("samples")),
        *(doubt for source in read.values() if isinstance(source, NestedSource) for doubt in source.doubts),
    )
    for doubt in doubts:
        warnings.warn(doubt, DataWarning, stacklevel=3)
    return assemble_nested(
        read["train"],
        validation=read.get("validation"),
        test=read.get("test"),
        clean=read.get("clean"),
        notes=notes,
        doubts=doubts,
        **options,
    )


def _are_arrays(samples: list[Any]) -> bool:
    return len(samples) in (2, 3) and all(isinstance(one, torch.Tensor | np.ndarray) for one in samples)


def _check_given(
    *, train: object, augment: object, loss: object, forward: object, classes: object, class_names: Any
) -> None:
    """Refuse the first that is not of its kind."""
    if train is None:
        raise UsageError(message("train must be (inputs, targets) or a Dataset, got None"))
    if forward is not None and not callable(forward):
        raise UsageError(
            message(
                "forward must be a function (network, batch) -> loss or (loss, outputs), got {forward}",
                forward=quote(forward),
            )
        )
    if not isinstance(augment, str):
        raise UsageError(
            message('augment must be a text like "crop(4)+flip" or "none", got {augment}', augment=quote(augment))
        )
    if loss is not None and not callable(loss):
        raise UsageError(message("loss must be a function (outputs, targets) -> scalar, got {loss}", loss=quote(loss)))
    if isinstance(loss, type) and issubclass(loss, torch.nn.Module):
        raise UsageError(
            message("loss must be a function or an instance, got the class {name}: {name}()", name=loss.__name__)
        )
    if classes is not None and (not isinstance(classes, Integral) or isinstance(classes, bool)):
        raise UsageError(message("classes must be a whole number, got {classes}", classes=quote(classes)))
    if class_names is None:
        return
    several = isinstance(class_names, Sequence) and not isinstance(class_names, str)
    if not several or not all(isinstance(one, str) and is_plain(one) for one in class_names):
        raise UsageError(
            message(
                "class_names must be texts of one line that can be seen, one a class, got {class_names}",
                class_names=quote(class_names),
            )
        )


def _source(samples: Any, *, origin: str, channels: Channels | None) -> tuple[Source, str]:
    """The samples, and how their axes were understood."""
    if isinstance(samples, tuple | list) and len(samples) == 2 and isinstance(samples[0], torch.Tensor | np.ndarray):
        images, labels = (
            _as_array(samples[0], origin),
            _as_array(samples[1], message("{origin}, labels", origin=origin)),
        )
        tensor = isinstance(samples[0], torch.Tensor)
        pixels = as_images(
            images, origin=origin, channels=channels, tensor=tensor, how=message(" in calando.workload(…)")
        )
        try:
            numbers = as_labels(labels, origin=origin)
        except DataError as error:
            if labels.dtype.kind != "f":
                raise
            raise DataError(
                message('{error} as classes; for targets that are numbers give loss="mse"', error=said_by(error))
            ) from error
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
            message(
                "{origin}: cannot be made an array ({reason}); give a plain tensor or array",
                origin=origin,
                reason=line_of(error),
            )
        ) from error
