"""Names -> WorkloadSpec -> Workload.

    resolve("digits")     fills in the defaults of that data set
    load(spec)            reads the data, makes every check, and puts the workload together

Resolving needs no torch, except for your own MODULE:CALLABLE, which says its defaults itself.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calando.errors import DataWarning, UsageError, quote
from calando.records.fields import check
from calando.records.spec import WorkloadSpec
from calando.tasks.augment import parse_augment
from calando.tasks.catalog import (
    OWN_NETWORK,
    UNNAMED,
    check_network,
    data_entry,
    is_callable_text,
    is_standard,
    no_reader,
)
from calando.tasks.user_code import call_user, import_callable

if TYPE_CHECKING:
    from calando.tasks.workload import Workload

__all__ = ["default_epochs", "load", "resolve", "task_of"]


def default_epochs(data: str) -> int:
    """Passes over the training part of one run of a comparison, where nothing else is asked for.

    >>> default_epochs("cifar10")
    5

    Raises:
        UnknownName: no data set or form of that name.
    """
    return data_entry(data).epochs


def resolve(
    data: str,
    *,
    model: str | None = None,
    batch_size: int | None = None,
    accumulate: int = 1,
    augment: str | None = None,
    label_smoothing: float | None = None,
    clip_norm: float | None = None,
    validation_fraction: float | None = None,
    train_limit: int | None = None,
) -> WorkloadSpec:
    """The spec of a workload; what is None is the data set's default, or what your own workload says.

    >>> resolve("digits", batch_size=32).model
    'cnn'

    Args:
        data: a data text, see `catalog`.
        model: a network's name, see `catalog`.
        batch_size, accumulate, augment, label_smoothing, clip_norm, validation_fraction, train_limit: see WorkloadSpec.

    Raises:
        UnknownName: no data, network or augmentation of that name.
        UsageError: an option out of its range.
    """
    entry, smoothing, name = data_entry(data), 0.0, ""
    if is_callable_text(data):
        if validation_fraction is not None:
            raise UsageError(
                f"{data!r} cuts its own validation part; set validation_fraction in calando.workload there"
            )
        own = _call(data)
        name = "" if own.name == UNNAMED else own.name
        entry, smoothing = replace(entry, batch_size=own.batch_size, augment=str(own.augment)), _smoothing(own)
    numbers: dict[str, Any] = {
        "batch_size": entry.batch_size if batch_size is None else batch_size,
        "accumulate": accumulate,
        "label_smoothing": smoothing if label_smoothing is None else label_smoothing,
        "clip_norm": clip_norm,
        "validation_fraction": entry.validation_fraction if validation_fraction is None else validation_fraction,
        "train_limit": train_limit,
    }
    check(WorkloadSpec, **numbers)
    return WorkloadSpec(
        data=data,
        model=entry.model if model is None or model == entry.model else check_network(model),
        augment=str(parse_augment(entry.augment if augment is None else augment)),
        name=name,
        **numbers,
    )


def task_of(
    workload: str | Workload,
    *,
    model: str | None,
    batch_size: int | None,
    augment: str | None,
    label_smoothing: float | None,
    clip_norm: float | None,
    accumulate: int,
    train_limit: int | None,
) -> WorkloadSpec | Workload:
    """A workload by name as its spec; a person's own object as it is, since it has settled all that a name leaves open.

    Raises:
        UnknownName, UsageError: as `resolve`; an option given with an object.
    """
    if isinstance(workload, str):
        return resolve(
            workload,
            model=model,
            batch_size=batch_size,
            augment=augment,
            label_smoothing=label_smoothing,
            clip_norm=clip_norm,
            accumulate=accumulate,
            train_limit=train_limit,
        )
    # Only here: importing it imports torch, which a name does not need.
    from calando.tasks.workload import Workload

    if not isinstance(workload, Workload | WorkloadSpec):
        raise UsageError(f"workload must be a name or calando.workload(…), got {quote(workload)}")
    called = workload.title if isinstance(workload, WorkloadSpec) else workload.name
    options = {
        "model": model,
        "batch_size": batch_size,
        "augment": augment,
        "label_smoothing": label_smoothing,
        "clip_norm": clip_norm,
        "accumulate": None if accumulate == 1 else accumulate,
        "train_limit": train_limit,
    }
    if given := [name for name, value in options.items() if value is not None]:
        raise UsageError(
            f"{given[0]} is an option of named workloads; {called!r} is an object, which has settled it: leave "
            f"{given[0]} out, or change the object"
        )
    return workload


def load(spec: WorkloadSpec, *, data_dir: Path | None = None) -> Workload:
    """The workload of a spec: data read and checked, network built once to see that it fits.

    >>> digits = load(resolve("digits"))
    >>> digits.classes, digits.shape
    (10, (1, 8, 8))

    Args:
        spec: from `resolve`.
        data_dir: where named data are looked for first (--data).

    Raises:
        UnknownName: no data set or network of that name.
        DataError: data not found, damaged, or not to be trained on.
        UsageError: anything else that does not fit.
    """
    if is_callable_text(spec.data):
        return _own(spec)
    import numpy as np
    import torch

    from calando.tasks.assemble import assemble
    from calando.tasks.data.open import open_data
    from calando.tasks.data.source import TensorSource
    from calando.tasks.split import WHOLE_CUT, check_enough
    from calando.tasks.workload import CrossEntropy

    check_network(spec.model)
    data = open_data(spec.data, data_dir=data_dir)
    if data.cut:
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
    """The user's workload, with what the spec asks for otherwise changed."""
    from calando.tasks.assemble import limited, network_factory, normalisation
    from calando.tasks.order import steps_per_epoch
    from calando.tasks.workload import CrossEntropy

    made = _call(spec.data)
    channels, height, width = made.shape
    augment = parse_augment(spec.augment)
    augment.check_fits(height, width)
    train = limited(made.train, spec.train_limit)
    steps_per_epoch(len(train), spec.batch_size)
    changed = replace(made, name=spec.title, train=train, augment=augment, batch_size=spec.batch_size)
    if len(train) < len(made.train):
        moments = normalisation(train)
        changed = replace(changed, mean=moments.mean, std=moments.std)
    if spec.label_smoothing != _smoothing(made):
        if not isinstance(made.loss, CrossEntropy):
            raise UsageError(
                f"{spec.data!r} has a loss of its own; label smoothing belongs to the cross-entropy: leave it out"
            )
        changed = replace(changed, loss=CrossEntropy(spec.label_smoothing))
    if spec.model != OWN_NETWORK:
        factory = network_factory(spec.model, in_channels=channels, classes=made.classes, image_size=(height, width))
        changed = replace(changed, build=factory)
    return changed


def _call(data: str) -> Workload:
    from calando.tasks.generators import holding_seeded
    from calando.tasks.workload import Workload

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


def _smoothing(workload: Workload) -> float:
    from calando.tasks.workload import CrossEntropy

    return workload.loss.label_smoothing if isinstance(workload.loss, CrossEntropy) else 0.0
