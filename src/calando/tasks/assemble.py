"""Images with a class each, in parts as they came -> a checked Workload.

    training set --(no test part given)--> one fifth is the test part
                 --(no validation part given)--> validation_fraction is the validation part
                 --(train_limit)--> a stratified part of what is left is trained on

mean and std are those of what is trained on
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from calando.errors import CalandoError, DataWarning, UsageError, plain, reason_of, said_by, unless_it_fails
from calando.language import message
from calando.tasks import tree
from calando.tasks.augment import Augment, parse_augment
from calando.tasks.labels import TEST_FRACTION, WHOLE_CUT, check_enough, count_classes, hold_out, take_stratified
from calando.tasks.metrics import ACCURACY, Metric
from calando.tasks.network_factory import check_network_fits, network_factory
from calando.tasks.objective import CrossEntropy, Loss, NamedLoss, Samples, called, logits_of
from calando.tasks.randomness import Purpose, holding_generators, steps_per_epoch
from calando.tasks.recordings import RecordingSource
from calando.tasks.source import (
    Moments,
    Source,
    check_moments,
    check_normalised,
    check_samples,
    check_twin,
)
from calando.tasks.workload import Workload

__all__ = ["assemble", "check_augment", "fitting_network", "limited", "normalisation"]


AnySource = TypeVar("AnySource", bound=Source)


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
        raise UsageError(
            message(
                "class_names has {names} names for {count} classes; give one a class",
                names=len(class_names),
                count=count,
            )
        )
    cut = tuple(what for part, what in ((test, WHOLE_CUT[0]), (validation, WHOLE_CUT[1])) if part is None)
    if len(cut) == 2 or class_names is not None:
        check_enough(train.labels.numpy(), cut=cut, names=class_names)
    if clean is not None:
        check_twin(clean, of=train)
    twin = train if clean is None else clean
    # The test part first, so that it is the same whatever the validation fraction.
    if test is None:
        kept, held = _cut(train, fraction=TEST_FRACTION, purpose=Purpose.TEST_SPLIT, what=WHOLE_CUT[0])
        train, twin, test = train.take(kept), twin.take(kept), twin.take(held)
    if validation is None:
        kept, held = _cut(train, fraction=validation_fraction, purpose=Purpose.VALIDATION_SPLIT, what=WHOLE_CUT[1])
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
    scores = check_network_fits(factory)
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
    check_augment(augmentation, made)
    return replace(made, doubts=(*doubts, *_shares(made, None if scores is None else logits_of(scores))))


def check_augment(augment: Augment, made: Workload) -> None:
    """It acts on what the samples are; mixed targets are the cross-entropy's alone."""
    augment.check_acts(speech=made.front_end is not None)
    if augment.mixes and not isinstance(made.loss, CrossEntropy):
        raise UsageError(
            message(
                "augmentation {augment}: mixup gives shares of classes as targets, which the "
                "cross-entropy takes; leave mixup or the loss of your own out",
                augment=str(augment),
            )
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
            raise UsageError(message("network {name!r} has no weights to train", name=task.build.name))
        samples = own.read(own.train, torch.tensor([0, min(1, len(own.train) - 1)]))
        try:
            if own.classes:
                _check_scores(own, network.eval(), samples)
            with torch.enable_grad(), warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                loss, outputs = own.judged(network.eval(), samples, precision=nullcontext)
            spread = [str(one.message) for one in warned if _SPREADS in str(one.message)]
            if spread and task.forward is None:
                raise UsageError(
                    message(
                        "the loss spreads outputs {outputs} over targets {targets}, each to every other: let the "
                        'network or the loss give both one shape; loss="mse" does so by itself',
                        outputs=_shape(outputs),
                        targets=_shape(samples.targets),
                    )
                )
            for one in warned:
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
            if not loss.requires_grad:
                raise UsageError(message("the loss has no gradient: it was detached, or depends on no weight"))
            tally = own.metric.begin()
            detached = tree.mapped(outputs, torch.Tensor.detach)
            tally.add(detached, samples, float(loss.detach()))
            # R² of one target, or of equal ones, is nan whatever a network answers.
            doubtful = own.metric.name == "r2" or math.isnan(tally.score())
            if doubtful and math.isnan(_untrained_score(own, network)):
                raise UsageError(
                    message(
                        "metric {name!r} gives nan for the untrained network on the {count} samples of the "
                        "validation part: give it one that is a number there, or a larger part",
                        name=own.metric.name,
                        count=len(own.validation),
                    )
                )
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the user's code may raise anything
            why = said_by(error)
            if not isinstance(error, CalandoError):
                why = message("{reason}; {given}", reason=reason_of(error), given=_given(samples, task))
            raise UsageError(
                message("network {name!r} with its loss and metric: {why}", name=task.build.name, why=why)
            ) from error
    scores = unless_it_fails(lambda: logits_of(outputs))
    return replace(
        task,
        outputs=None if scores is None or scores.ndim < 2 else tuple(scores.shape[1:]),
        doubts=tuple(
            dict.fromkeys(
                [
                    *task.doubts,
                    *(message("forward: {warning}", warning=plain(why)) for why in spread),
                    *_shares(task, scores),
                ]
            )
        ),
    )


_SPREADS = "Using a target size"
"""How torch's warning begins where a loss broadcasts [N, 1] and [N] to [N, N]: each output is trained to the mean."""


def _shares(task: Workload, scores: torch.Tensor | None) -> list[str]:
    """A doubt where an untrained network gives probabilities to a loss that makes them of scores by itself."""
    entropy = isinstance(task.loss, CrossEntropy) or task.loss == NamedLoss("cross_entropy")
    if task.forward is not None or not entropy or scores is None or scores.ndim < 2 or scores.shape[1] < 2:
        return []
    sums = [scores.detach().sum(axis) for axis in {1, scores.ndim - 1}]
    if bool((scores < 0).any()) or not any(torch.allclose(one, torch.ones_like(one), atol=1e-4) for one in sums):
        return []
    doubt = message(
        "the network's outputs are probabilities, and the cross-entropy takes scores (logits): leave its softmax out"
    )
    warnings.warn(doubt, DataWarning, stacklevel=4)
    return [doubt]


def _untrained_score(task: Workload, network: nn.Module) -> float:
    """The metric's on the validation part, nan where it has none."""
    tally = task.metric.begin()
    with torch.no_grad():
        for rows in torch.arange(len(task.validation)).split(task.batch_size):
            samples = task.read(task.validation, rows)
            loss, outputs = task.judged(network, samples, precision=nullcontext)
            tally.add(outputs, samples, float(loss))
    score: float = tally.score()
    return score


def _check_scores(task: Workload, network: nn.Module, samples: Samples) -> None:
    """Before the loss is computed, which says less of what is wrong."""
    with torch.no_grad():
        outputs = called(network, samples)
    scores = logits_of(outputs)
    if tuple(scores.shape) != (samples.count, task.classes):
        raise UsageError(
            message(
                "it must give [N, {classes}] scores, and gives {shape} for N = 2",
                classes=task.classes,
                shape=tuple(scores.shape),
            )
        )


def _given(samples: Samples, task: Workload) -> str:
    """What the network was given, and which of ours take such samples."""
    parts = {"inputs": samples.inputs, "targets": samples.targets} if samples.paired else {"batch": samples.inputs}
    each = [
        f"{where} {str(one.dtype).removeprefix('torch.')} [{', '.join(['N', *map(str, one.shape[1:])])}]"
        for name, part in parts.items()
        for where, one in tree.leaves(part, name)
    ]
    if task.build.own is None and isinstance(samples.inputs, torch.Tensor) and samples.inputs.ndim == 2:
        rows = samples.inputs.is_floating_point()
        return message(
            "the samples are {each}; networks of rows are mlp-128-128 and linear"
            if rows
            else "the samples are {each}; networks of tokens are gru-128 and transformers:gpt2",
            each=", ".join(each),
        )
    return message(
        "the samples are {each}"
        if task.forward is None
        else "the samples are {each}; forward is called with the network and the batch, nothing else",
        each=", ".join(each),
    )


def _shape(outputs: object) -> str:
    if isinstance(outputs, torch.Tensor):
        return str(tuple(outputs.shape))
    return message("an object of type {kind}", kind=type(outputs).__name__)


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
