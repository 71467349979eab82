"""Samples of any make, as they were read -> a checked Workload: what is not said of loss and metric, found and noted.

targets                                          loss                metric
one whole number a sample, 0 … classes-1         cross_entropy       accuracy
whole numbers [N, …]                             cross_entropy       accuracy
true and false [N, …]                            bce                 f1
other numbers                                    mse                 rmse
none, or among the network's inputs              the network's own   loss
any, with `forward` or a loss of one's own       theirs              loss
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from calando.errors import DataError, UsageError, said_by, unless_it_fails
from calando.language import message
from calando.tasks.assemble import fitting_network, limited, normalisation
from calando.tasks.augment import parse_augment
from calando.tasks.labels import TEST_FRACTION, WHOLE_CUT, check_enough, count_classes, hold_out
from calando.tasks.metrics import METRICS, Metric, by_own_loss
from calando.tasks.nested_checks import check_alike, check_twin, class_numbers_of, gaps, refuse_constant
from calando.tasks.nested_dataset import Nested
from calando.tasks.nested_notes import chosen_parts, collated, far_from_zero, maybe_labels
from calando.tasks.nested_source import NestedSource
from calando.tasks.network_factory import network_factory
from calando.tasks.objective import CrossEntropy, Forward, Loss, NamedLoss, Samples, classes_last
from calando.tasks.randomness import Purpose, steps_per_epoch
from calando.tasks.source import Source, check_normalised
from calando.tasks.workload import Workload

__all__ = ["Nested", "assemble_nested"]

_TOKENS = ("accuracy", "balanced accuracy", "f1", "mean iou")


def assemble_nested(
    train: Nested,
    *,
    validation: Nested | None,
    test: Nested | None,
    clean: Nested | None = None,
    model: str | Callable[..., object],
    name: str,
    batch_size: int,
    augment: str = "none",
    loss: Loss | None = None,
    label_smoothing: float = 0.0,
    forward: Forward | None = None,
    metric: Metric | None = None,
    validation_fraction: float = 0.1,
    train_limit: int | None = None,
    classes: int | None = None,
    class_names: tuple[str, ...] | None = None,
    outputs: int | None = None,
    notes: tuple[str, ...] = (),
    doubts: tuple[str, ...] = (),
) -> Workload:
    """Cut, check and put together; the arguments are those of `custom.workload`.

    Args:
        outputs: how many numbers a network gives for one target; None: as the targets show.

    Raises:
        DataError: data that cannot be trained on.
        UsageError: a network, loss, metric or augmentation that does not fit the data.
    """
    first = train.read(torch.tensor([0, min(1, len(train) - 1)]))
    asked = loss
    wanted = train.class_numbers if forward is None and isinstance(loss, CrossEntropy | None) else None
    count = 0
    if wanted is not None and first.paired:
        parts = {id(part): part for part in (train, validation, test, clean) if part is not None}
        for part in parts.values():
            if part.class_numbers is None:
                raise DataError(
                    message(
                        "{origin}: its labels are no whole numbers, those of {train} are",
                        origin=part.origin,
                        train=train.origin,
                    )
                )
            part.labels = part.class_numbers
        with _numbers_meant(asked is None and class_names is None and classes is None):
            count = count_classes(train, names=class_names, classes=classes)
        if class_names is not None and len(class_names) != count:
            raise UsageError(
                message(
                    "class_names has {names} names for {count} classes; give one a class",
                    names=len(class_names),
                    count=count,
                )
            )
        loss = CrossEntropy(label_smoothing)
        missing = tuple(what for what, part in zip(WHOLE_CUT, (test, validation), strict=True) if part is None)
        with _numbers_meant(asked is None and class_names is None and classes is None):
            check_enough(train.labels.numpy(), cut=missing, names=class_names)
    elif classes is not None or class_names is not None or label_smoothing:
        what = "classes" if classes is not None else "class_names" if class_names is not None else "label_smoothing"
        raise UsageError(
            message(
                "{what} is for samples of one class each, and the targets of {origin} are none; leave it out",
                what=what,
                origin=train.origin,
            )
        )
    elif isinstance(loss, CrossEntropy):
        loss = NamedLoss("cross_entropy")
    elif loss is None and forward is None:
        loss = _usual_loss(first, origin=train.origin)
    metric = metric or _usual_metric(loss, forward=forward)
    if loss is None:
        metric = by_own_loss(metric)
    if loss is None and forward is None and metric.name in _TOKENS and getattr(first.targets, "ndim", 1) > 1:
        raise UsageError(
            message(
                "metric {name!r} would compare each output with the label at its own place, and whether "
                "the network shifts them is unknown; give metric= as a function of (outputs, batch)",
                name=metric.name,
            )
        )
    train, validation, test = _in_parts(train, validation, test, clean, validation_fraction)
    train = limited(train, train_limit)
    check_alike(train, (validation, test), classes=count)
    if forward is None and isinstance(loss, NamedLoss) and isinstance(train, NestedSource):
        refuse_constant(train)
    several = forward is None and loss == NamedLoss("cross_entropy")
    largest = class_numbers_of((train, validation, test)) if several else -1
    if several and outputs is None:
        notes = (*notes, *gaps(train))
    steps_per_epoch(len(train), batch_size)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    if train.shape is not None:
        moments = normalisation(train)
        mean, std = moments.mean, moments.std
        for part in (validation, test):
            check_normalised(part, by=moments, of=train.origin)
    inputs = tuple(first.inputs.shape[1:]) if isinstance(first.inputs, torch.Tensor) else None
    made = Workload(
        name=name,
        train=train,
        validation=validation,
        test=test,
        classes=count,
        class_names=(class_names or tuple(map(str, range(count)))) if count else (),
        mean=mean,
        std=std,
        build=network_factory(
            model,
            in_channels=None if train.shape is None else train.shape[0],
            image_size=None if train.shape is None else train.shape[1:],
            classes=count or outputs or _width(first, loss, train),
            inputs=inputs,
        ),
        augment=_fitting_augment(augment, train, first),
        batch_size=batch_size,
        loss=loss,
        forward=forward,
        metric=metric,
        notes=(
            *notes,
            *collated(train, batch_size),
            *chosen_parts(made_of=(asked, loss), forward=forward, metric=metric, classes=count),
            *maybe_labels(train, asked=asked, loss=loss),
            *far_from_zero(train, loss=loss),
        ),
        doubts=doubts,
    )
    return _enough_scores(fitting_network(made), largest=largest)


def _enough_scores(task: Workload, *, largest: int) -> Workload:
    """The task, whose network has a score for each class number (UsageError)."""
    outputs = task.outputs
    if outputs is None or largest < 0:
        return task

    def scores() -> int:
        seen = task.train.read(torch.tensor([0, min(1, len(task.train) - 1)]))
        return classes_last(torch.zeros(seen.count, *outputs), seen.targets)[0].shape[-1]

    # Of a Dataset that is padded at random it is unknown.
    if (count := unless_it_fails(scores)) is not None and count <= largest:
        raise UsageError(
            message(
                "network {name!r} gives {count} scores, and the largest class number among the targets "
                "is {largest}; give it more outputs, or write -100 where a target is left out",
                name=task.build.name,
                count=count,
                largest=largest,
            )
        )
    return task


@contextmanager
def _numbers_meant(unsaid: bool) -> Iterator[None]:
    """Whole numbers are taken for classes; where they make none, they may have been meant as numbers."""
    try:
        yield
    except DataError as error:
        if not unsaid:
            raise
        raise DataError(
            message('{error}; or, if the targets are numbers and no classes, give loss="mse"', error=said_by(error))
        ) from error


def _usual_loss(first: Samples, *, origin: str) -> Loss | None:
    targets = first.targets
    if not first.paired or targets is None:
        return None
    if not isinstance(targets, torch.Tensor):
        if _holds_text(targets):
            raise DataError(
                message(
                    "{origin}: targets are texts; number the classes 0, 1, 2 … and give their names as class_names=",
                    origin=origin,
                )
            )
        raise UsageError(
            message(
                "{origin}: targets are several; give loss= as a function of (outputs, targets), or "
                "forward=, or numbers",
                origin=origin,
            )
        )
    if targets.dtype == torch.bool:
        return NamedLoss("bce")
    return NamedLoss("mse" if targets.is_floating_point() else "cross_entropy")


def _holds_text(targets: object) -> bool:
    parts = targets if isinstance(targets, list | tuple) else [targets]
    return any(isinstance(one, str) for one in parts)


def _usual_metric(loss: Loss | None, *, forward: Forward | None) -> Metric:
    if forward is None and isinstance(loss, CrossEntropy):
        return METRICS["accuracy"]
    usual = {"cross_entropy": "accuracy", "bce": "f1", "mse": "rmse", "mae": "rmse", "huber": "rmse"}
    named = usual[loss.name] if forward is None and isinstance(loss, NamedLoss) else "loss"
    return METRICS[named]


def _in_parts(
    train: Nested, validation: Nested | None, test: Nested | None, clean: Nested | None, fraction: float
) -> tuple[Nested, Nested, Nested]:
    twin = train if clean is None else clean
    if len(twin) != len(train):
        raise DataError(
            message(
                "clean: {count} samples, but train has {wanted}; it must hold the same in the same order",
                count=len(twin),
                wanted=len(train),
            )
        )
    if clean is not None:
        check_twin(train, clean)
    if test is None:
        kept, held = _cut(train, TEST_FRACTION, Purpose.TEST_SPLIT, WHOLE_CUT[0])
        train, twin, test = train.take(kept), twin.take(kept), twin.take(held)
    if validation is None:
        kept, held = _cut(train, fraction, Purpose.VALIDATION_SPLIT, WHOLE_CUT[1])
        train, validation = train.take(kept), twin.take(held)
    return train, validation, test


def _cut(source: Source, fraction: float, purpose: Purpose, what: str) -> tuple[torch.Tensor, torch.Tensor]:
    if len(source) < 2:
        raise DataError(
            message(
                "{origin}: one sample cannot be cut; a {what} is cut off, which needs at least 2",
                origin=source.origin,
                what=what,
            )
        )
    kept, held = hold_out(source.labels.numpy(), fraction=fraction, purpose=purpose, what=what)
    return torch.from_numpy(kept), torch.from_numpy(held)


def _width(first: Samples, loss: Loss | None, train: Nested) -> int | None:
    """How many numbers a network gives for one target, where that follows from the targets."""
    targets = first.targets
    if not isinstance(targets, torch.Tensor) or not isinstance(loss, NamedLoss):
        return None
    if loss.name == "cross_entropy":
        return (train.whole_targets().most or 0) + 1
    return 1 if targets.ndim == 1 else int(targets.shape[-1])


def _fitting_augment(text: str, train: Nested, first: Samples) -> Any:
    augment = parse_augment(text)
    if not augment.parts:
        return augment
    if train.shape is None:
        raise UsageError(
            message(
                "augmentation {text} is for images, and the samples of {origin} are none; leave it out",
                text=text,
                origin=train.origin,
            )
        )
    if isinstance(first.targets, torch.Tensor) and first.targets.ndim > 2:
        raise UsageError(
            message(
                "augmentation {text} moves pixels, and targets {shape} would stay where they are; "
                "augment in a Dataset of your own, which changes both",
                text=text,
                shape=tuple(first.targets.shape),
            )
        )
    augment.check_fits(*train.shape[1:])
    return augment
