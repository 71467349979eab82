"""A WorkloadSpec -> its Workload: data found, read and put together, or a person's function called.

digits, folder:PATH …      `assemble`: images with a class each
csv:FILE, text:FILE …      `assemble_samples`: tables and text
fsdd, audio:PATH           `assemble`, behind a front end
MODULE:CALLABLE            what a person's function returns, with what the spec changes of it
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from calando.errors import DataWarning, UsageError, said_by
from calando.language import message
from calando.records.task_spec import WorkloadSpec
from calando.tasks.assemble import assemble, check_augment, fitting_network, limited, normalisation
from calando.tasks.assemble_samples import assemble_samples
from calando.tasks.augment import parse_augment
from calando.tasks.augment_speech import Noise
from calando.tasks.catalog import OWN_NETWORK, find_network, is_callable_text, is_standard, no_reader
from calando.tasks.data.audio import AudioData
from calando.tasks.data.samples import SampleData
from calando.tasks.fetch import open_data
from calando.tasks.labels import WHOLE_CUT, check_enough
from calando.tasks.metrics import found_metric
from calando.tasks.nested_dataset import NestedDataset
from calando.tasks.nested_source import NestedSource
from calando.tasks.network_factory import check_network_fits, network_factory
from calando.tasks.objective import CrossEntropy
from calando.tasks.randomness import holding_seeded, steps_per_epoch
from calando.tasks.recordings import RecordingSource
from calando.tasks.source import TensorSource
from calando.tasks.user_code import call_user, import_callable
from calando.tasks.workload import Workload

__all__ = ["call_task", "load", "load_settled", "smoothing_of"]


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
    return load_settled(spec, data_dir=data_dir)[1]


def load_settled(spec: WorkloadSpec, *, data_dir: Path | None = None) -> tuple[WorkloadSpec, Workload]:
    """The same, and the spec with what a score is; of a table that is known only once its target is read.

    The usual metric has no name where it is accuracy, as in studies that were made before there were others.
    """
    made = _own(spec) if is_callable_text(spec.data) else _named(spec, data_dir)
    if spec.metric in ("", made.metric.name):
        return spec.model_copy(update={"metric": "", **made.scored}), made
    judged = fitting_network(replace(made, metric=found_metric(spec.metric)))
    return spec.model_copy(update={"metric": judged.metric.name, "measure": judged.metric.measure}), judged


def _named(spec: WorkloadSpec, data_dir: Path | None) -> Workload:
    """The workload of data that are known by name or read from files."""
    find_network(spec.model)
    data = open_data(spec.data, data_dir=data_dir)
    if isinstance(data, AudioData):
        return _speech(data, spec)
    if isinstance(data, SampleData):
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
        notes = (*notes, message("the data bring no background noise: what is added is white"))
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
        check_augment(augment, made)
        augment.check_fits(*made.shape[1:])
    elif augment.parts:
        raise UsageError(
            message(
                "augmentation {augment} is for images, and the samples of {data!r} are none; leave it out",
                augment=str(augment),
                data=spec.data,
            )
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
                message(
                    "{data!r} has a loss of its own; label smoothing belongs to the cross-entropy: leave it out",
                    data=spec.data,
                )
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
        found = False
        try:
            function = import_callable(data)
            found = True
            made = call_user(function, name=message("workload {data!r}", data=data), offered={})
        except UsageError as error:
            if is_standard(module):
                raise UsageError(
                    message("{module}; as that, {error}", module=no_reader(module), error=said_by(error))
                ) from error
            # Where the function is there, or its module imports what is not, the form was understood as it was meant.
            lacks = error.__cause__
            is_meant = found or (isinstance(lacks, ModuleNotFoundError) and lacks.name != module)
            if isinstance(lacks, ModuleNotFoundError | None) and "." not in module and not is_meant:
                raise UsageError(
                    message("{error}; {module}", error=said_by(error), module=no_reader(module))
                ) from error
            raise
    if not isinstance(made, Workload):
        raise UsageError(
            message(
                "workload {data!r} must return calando.workload(…), got {name}", data=data, name=type(made).__name__
            )
        )
    return made


def smoothing_of(workload: Workload) -> float:
    """The label smoothing of its cross-entropy; 0 for a loss of one's own."""
    return workload.loss.label_smoothing if isinstance(workload.loss, CrossEntropy) else 0.0
