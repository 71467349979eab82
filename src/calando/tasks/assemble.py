"""A spec, or parts as they came -> a checked Workload.

    training set --(no test part given)--> one fifth is the test part
                 --(no validation part given)--> validation_fraction is the validation part
                 --(train_limit)--> a stratified part of what is left is trained on

mean and std are those of what is trained on
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from calando.errors import DataWarning, UsageError
from calando.records.task_spec import WorkloadSpec
from calando.tasks.augment import parse_augment
from calando.tasks.catalog import OWN_NETWORK, find_network, is_callable_text, is_standard, no_reader
from calando.tasks.fetch import open_data
from calando.tasks.labels import TEST_FRACTION, WHOLE_CUT, check_enough, count_classes, hold_out, take_stratified
from calando.tasks.network_factory import network_factory
from calando.tasks.randomness import Purpose, holding_seeded, steps_per_epoch
from calando.tasks.source import (
    Moments,
    Source,
    TensorSource,
    check_moments,
    check_normalised,
    check_samples,
    check_twin,
)
from calando.tasks.user_code import call_user, import_callable
from calando.tasks.workload import CrossEntropy, Loss, Workload

__all__ = ["assemble", "call_task", "limited", "load", "normalisation", "smoothing_of"]


def load(spec: WorkloadSpec, *, data_dir: Path | None = None) -> Workload:
    """The workload of a spec: data read and checked, network built once to see that it fits.

    >>> from calando.tasks.catalog import resolve
    >>> digits = load(resolve("digits"))
    >>> digits.classes, digits.shape
    (10, (1, 8, 8))

    Args:
        spec: from `catalog.resolve`.
        data_dir: where named data are looked for first (--data).

    Raises:
        UnknownName: no data set or network of that name.
        DataError: data not found, damaged, or not to be trained on.
        UsageError: anything else that does not fit.
    """
    if is_callable_text(spec.data):
        return _own(spec)
    find_network(spec.model)
    data = open_data(spec.data, data_dir=data_dir)
    if data.cut:  # the reader cut the test part off already, so the whole is put together to count
        check_enough(np.concatenate([data.train.labels, data.test.labels]), cut=WHOLE_CUT, names=data.class_names)
    train, test = (
        TensorSource(torch.from_numpy(part.images), torch.from_numpy(part.labels), origin=part.origin)
        for part in (data.train, data.test)
    )
    return assemble(
        train,
        validation=None,
        test=test,
        model=spec.model,
        name=spec.data,
        batch_size=spec.batch_size,
        augment=spec.augment,
        loss=CrossEntropy(spec.label_smoothing),
        validation_fraction=spec.validation_fraction,
        train_limit=spec.train_limit,
        classes=None,
        class_names=data.class_names,
        notes=data.notes,
    )


def _own(spec: WorkloadSpec) -> Workload:
    """The user's workload, with what the spec changes of it."""
    made = call_task(spec.data)
    channels, height, width = made.shape
    augment = parse_augment(spec.augment)
    augment.check_fits(height, width)
    train = limited(made.train, spec.train_limit)
    steps_per_epoch(len(train), spec.batch_size)
    changed = replace(made, name=spec.title, train=train, augment=augment, batch_size=spec.batch_size)
    if len(train) < len(made.train):
        moments = normalisation(train)
        changed = replace(changed, mean=moments.mean, std=moments.std)
    if spec.label_smoothing != smoothing_of(made):
        if not isinstance(made.loss, CrossEntropy):
            raise UsageError(
                f"{spec.data!r} has a loss of its own; label smoothing belongs to the cross-entropy: leave it out"
            )
        changed = replace(changed, loss=CrossEntropy(spec.label_smoothing))
    if spec.model != OWN_NETWORK:
        factory = network_factory(spec.model, in_channels=channels, classes=made.classes, image_size=(height, width))
        changed = replace(changed, build=factory)
    return changed


def call_task(data: str) -> Workload:
    """What a person's function of the name MODULE:CALLABLE returns; UsageError where that is no workload."""
    # Data that are drawn or split at random are the same in every process.
    with holding_seeded(0), warnings.catch_warnings():
        # It is in the workload's doubts, which are shown once and not by every worker.
        warnings.simplefilter("ignore", DataWarning)
        module = data.partition(":")[0]
        try:
            made = call_user(import_callable(data), name=f"workload {data!r}", offered={})
        except UsageError as error:
            if is_standard(module):
                raise UsageError(f"{no_reader(module)}; as that, {error}") from error
            if isinstance(error.__cause__, ModuleNotFoundError | None) and "." not in module:
                raise UsageError(f"{error}; {no_reader(module)}") from error
            raise
    if not isinstance(made, Workload):
        raise UsageError(f"workload {data!r} must return calando.workload(…), got {type(made).__name__}")
    return made


def smoothing_of(workload: Workload) -> float:
    """The label smoothing of its cross-entropy; 0 for a loss of one's own."""
    return workload.loss.label_smoothing if isinstance(workload.loss, CrossEntropy) else 0.0


def assemble(
    train: Source,
    *,
    validation: Source | None,
    test: Source | None,
    model: str | Callable[..., object],
    name: str,
    batch_size: int,
    augment: str,
    loss: Loss,
    validation_fraction: float,
    train_limit: int | None,
    classes: int | None,
    class_names: tuple[str, ...] | None,
    clean: Source | None = None,
    notes: tuple[str, ...] = (),
    doubts: tuple[str, ...] = (),
) -> Workload:
    """Cut, check and put together; the arguments are those of `custom.workload`.

    Raises:
        DataError: data that cannot be trained on.
        UsageError: a network or augmentation that does not fit the data.
    """
    count = count_classes(train, names=class_names, classes=classes)
    if class_names is not None and len(class_names) != count:
        raise UsageError(f"class_names has {len(class_names)} names for {count} classes; give one a class")
    cut = tuple(what for part, what in ((test, WHOLE_CUT[0]), (validation, WHOLE_CUT[1])) if part is None)
    if len(cut) == 2 or class_names is not None:
        check_enough(train.labels.numpy(), cut=cut, names=class_names)
    if clean is not None:
        check_twin(clean, of=train)
    twin = train if clean is None else clean
    # The test part first, so that it is the same whatever the validation fraction.
    if test is None:
        kept, held = _cut(train, fraction=TEST_FRACTION, purpose=Purpose.TEST_SPLIT, what="test part")
        train, twin, test = train.take(kept), twin.take(kept), twin.take(held)
    if validation is None:
        kept, held = _cut(train, fraction=validation_fraction, purpose=Purpose.VALIDATION_SPLIT, what="validation part")
        train, validation = train.take(kept), twin.take(held)
    # After the cuts, so that a limited training is judged on the same samples as a whole one.
    train = limited(train, train_limit)
    check_samples([train, validation, test], classes=count)
    steps_per_epoch(len(train), batch_size)
    moments = normalisation(train)
    for part in (validation, test):
        check_normalised(part, by=moments, of=train.origin)
    channels, height, width = train.shape
    augmentation = parse_augment(augment)
    augmentation.check_fits(height, width)
    return Workload(
        name=name,
        train=train,
        validation=validation,
        test=test,
        classes=count,
        class_names=class_names or tuple(map(str, range(count))),
        mean=moments.mean,
        std=moments.std,
        build=network_factory(model, in_channels=channels, classes=count, image_size=(height, width)),
        augment=augmentation,
        batch_size=batch_size,
        loss=loss,
        notes=notes,
        doubts=doubts,
    )


def limited(train: Source, train_limit: int | None) -> Source:
    """A stratified, fixed part of at most `train_limit` samples; all where None."""
    if train_limit is None or train_limit >= len(train):
        return train
    return train.take(torch.from_numpy(take_stratified(train.labels.numpy(), count=train_limit)))


def normalisation(train: Source) -> Moments:
    """Mean and standard deviation of what is trained on; a channel that is constant is shifted only (std 1)."""
    moments = train.moments()
    check_moments(moments, origin=train.origin)
    return Moments(moments.mean, tuple(std if std > 0 else 1.0 for std in moments.std))


def _cut(source: Source, *, fraction: float, purpose: Purpose, what: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions that stay and that are held out."""
    kept, held = hold_out(source.labels.numpy(), fraction=fraction, purpose=purpose, what=what)
    return torch.from_numpy(kept), torch.from_numpy(held)
