"""A spec, or parts as they came -> a checked Workload.

    training set --(no test part given)--> one fifth is the test part
                 --(no validation part given)--> validation_fraction is the validation part
                 --(train_limit)--> a stratified part of what is left is trained on

mean and std are those of what is trained on
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from calando.errors import CalandoError, DataWarning, UsageError, reason_of, unless_it_fails
from calando.records.task_spec import WorkloadSpec
from calando.tasks import tree
from calando.tasks.augment import Augment, parse_augment
from calando.tasks.augment_speech import Noise
from calando.tasks.catalog import OWN_NETWORK, find_network, is_callable_text, is_standard, no_reader
from calando.tasks.data.audio import AudioData
from calando.tasks.data.samples import SampleData
from calando.tasks.fetch import open_data
from calando.tasks.labels import TEST_FRACTION, WHOLE_CUT, check_enough, count_classes, hold_out, take_stratified
from calando.tasks.metrics import ACCURACY, Metric, found_metric
from calando.tasks.nested_source import NestedDataset, NestedSource
from calando.tasks.network_factory import check_network_fits, network_factory
from calando.tasks.objective import CrossEntropy, Loss, logits_of
from calando.tasks.randomness import Purpose, holding_generators, holding_seeded, steps_per_epoch
from calando.tasks.recordings import RecordingSource
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
from calando.tasks.workload import Workload

__all__ = ["assemble", "call_task", "fitting_network", "limited", "load", "normalisation", "smoothing_of"]


AnySource = TypeVar("AnySource", bound=Source)


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
    made = _own(spec) if is_callable_text(spec.data) else _named(spec, data_dir)
    if spec.metric in ("", made.metric.name):
        return made
    return fitting_network(replace(made, metric=found_metric(spec.metric)))


def _named(spec: WorkloadSpec, data_dir: Path | None) -> Workload:
    """The workload of data that are known by name or read from files."""
    find_network(spec.model)
    data = open_data(spec.data, data_dir=data_dir)
    if isinstance(data, AudioData):
        return _speech(data, spec)
    if isinstance(data, SampleData):
        from calando.tasks.assemble_samples import assemble_samples  # which is built on this file

        return assemble_samples(data, spec)
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


def _speech(data: AudioData, spec: WorkloadSpec) -> Workload:
    train, validation, test = (
        None
        if part is None
        else RecordingSource(
            torch.from_numpy(part.images), torch.from_numpy(part.labels), front_end=data.front_end, origin=part.origin
        )
        for part in (data.train, data.validation, data.test)
    )
    assert train is not None
    if data.cut:
        labels = np.concatenate([data.train.labels, data.test.labels])
        check_enough(labels, cut=WHOLE_CUT if validation is None else WHOLE_CUT[:1], names=data.class_names)
    augment, notes = parse_augment(spec.augment), data.notes
    if any(isinstance(part, Noise) for part in augment.parts) and not data.background:
        notes = (*notes, "the data bring no background noise: what is added is white")
    return assemble(
        train,
        validation=validation,
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
        background=data.background,
        notes=notes,
    )


def _own(spec: WorkloadSpec) -> Workload:
    """The user's workload, with what the spec changes of it."""
    made = call_task(spec.data)
    augment = parse_augment(spec.augment)
    if made.shape is not None:
        _check_augment(augment, made)
        augment.check_fits(*made.shape[1:])
    elif augment.parts:
        raise UsageError(
            f"augmentation {augment} is for images, and the samples of {spec.data!r} are none; leave it out"
        )
    train = limited(made.train, spec.train_limit)
    steps_per_epoch(len(train), spec.batch_size)
    changed = replace(made, name=spec.title, train=train, augment=augment, batch_size=spec.batch_size)
    if len(train) < len(made.train) and made.mean:
        moments = normalisation(train)
        changed = replace(changed, mean=moments.mean, std=moments.std)
    if spec.label_smoothing != smoothing_of(made):
        if not isinstance(made.loss, CrossEntropy):
            raise UsageError(
                f"{spec.data!r} has a loss of its own; label smoothing belongs to the cross-entropy: leave it out"
            )
        changed = replace(changed, loss=CrossEntropy(spec.label_smoothing))
    if spec.model != OWN_NETWORK:
        own = made.build
        factory = network_factory(
            spec.model, in_channels=own.in_channels, classes=own.classes, image_size=own.image_size, inputs=own.inputs
        )
        if isinstance(made.train, NestedSource | NestedDataset):
            return fitting_network(replace(changed, build=factory))
        check_network_fits(factory)
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
    metric: Metric = ACCURACY,
    clean: Source | None = None,
    background: tuple[np.ndarray, ...] = (),
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
    assert train.shape is not None
    channels, height, width = train.shape
    augmentation = parse_augment(augment)
    augmentation.check_fits(height, width)
    factory = network_factory(model, in_channels=channels, classes=count, image_size=(height, width))
    check_network_fits(factory)
    made = Workload(
        name=name,
        train=train,
        validation=validation,
        test=test,
        classes=count,
        class_names=class_names or tuple(map(str, range(count))),
        mean=moments.mean,
        std=moments.std,
        build=factory,
        augment=augmentation,
        batch_size=batch_size,
        loss=loss,
        metric=metric,
        outputs=(count,),
        front_end=train.front_end if isinstance(train, RecordingSource) else None,
        background=background,
        notes=notes,
        doubts=doubts,
    )
    _check_augment(augmentation, made)
    return made


def _check_augment(augment: Augment, made: Workload) -> None:
    """It acts on what the samples are; mixed targets are the cross-entropy's alone."""
    augment.check_acts(speech=made.front_end is not None)
    if augment.mixes and not isinstance(made.loss, CrossEntropy):
        raise UsageError(
            f"augmentation {augment}: mixup gives shares of classes as targets, which the cross-entropy takes; leave "
            "mixup or the loss of your own out"
        )


def fitting_network(task: Workload) -> Workload:
    """The task with the shape of its network's outputs: built once and shown two samples, whose loss has a gradient.

    On copies, so that what was given stays as it was.

    Raises:
        UsageError: a network that does not take the samples or has no weights; a loss or metric that does not fit.
    """
    with holding_generators():
        own = task.fresh()
        network = own.build()
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise UsageError(f"network {task.build.name!r} has no weights to train")
        samples = own.read(own.train, torch.tensor([0, min(1, len(own.train) - 1)]))
        try:
            with torch.enable_grad():
                loss, outputs = own.judged(network.eval(), samples, precision=nullcontext)
            if not loss.requires_grad:
                raise UsageError("the loss has no gradient: it was detached, or depends on no weight")
            tally = own.metric.begin()
            detached = tree.mapped(outputs, torch.Tensor.detach)
            if own.classes and (not isinstance(outputs, torch.Tensor) or outputs.shape[1:] != (own.classes,)):
                raise UsageError(f"it must give [N, {own.classes}] scores, and gives {_shape(outputs)} for N = 2")
            tally.add(detached, samples, float(loss.detach()))
            tally.score()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the user's code may raise anything
            why = str(error) if isinstance(error, CalandoError) else reason_of(error)
            raise UsageError(f"network {task.build.name!r} with its loss and metric: {why}") from error
    scores = unless_it_fails(lambda: logits_of(outputs))
    return replace(task, outputs=None if scores is None or scores.ndim < 2 else tuple(scores.shape[1:]))


def _shape(outputs: object) -> str:
    return str(tuple(outputs.shape)) if isinstance(outputs, torch.Tensor) else f"a {type(outputs).__name__}"


def limited(train: AnySource, train_limit: int | None) -> AnySource:
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
