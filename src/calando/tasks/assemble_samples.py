"""Tables, text and other samples that a reader of ours gives -> a checked Workload.

    classes     cross-entropy, accuracy; the validation part is cut class by class
    numbers     mean squared error of the standardised target; RMSE in the target's own unit: RMSE of what the network
                gives, times the target's standard deviation in the training part
    text        cross-entropy of each token, perplexity

Where samples follow each other (text, rows in time), the validation part is the end of the training part.
"""

from __future__ import annotations

import torch

from calando.records.task_spec import WorkloadSpec
from calando.tasks.assemble_nested import assemble_nested
from calando.tasks.data.samples import SampleData, SamplePart
from calando.tasks.metrics import METRICS, Metric, rmse_in_unit
from calando.tasks.nested_source import NestedSource
from calando.tasks.objective import NamedLoss, Samples
from calando.tasks.workload import Workload

__all__ = ["assemble_samples"]


def assemble_samples(data: SampleData, spec: WorkloadSpec) -> Workload:
    """The task of a spec whose data were read.

    Raises:
        DataError: data that cannot be trained on.
        UsageError: a network, or an option of images, that does not fit them.
    """
    train, test = _source(data.train), _source(data.test)
    validation: NestedSource | None = None
    if data.by_position and len(train) > 1:
        held = min(max(round(spec.validation_fraction * len(train)), 1), len(train) - 1)
        places = torch.arange(len(train))
        train, validation = train.take(places[:-held]), train.take(places[-held:])
    classes = data.class_names is not None
    return assemble_nested(
        train,
        validation=validation,
        test=test,
        model=spec.model,
        name=spec.data,
        batch_size=spec.batch_size,
        augment=spec.augment,
        loss=None if classes else NamedLoss(data.loss),
        label_smoothing=spec.label_smoothing,
        metric=_metric(data),
        validation_fraction=spec.validation_fraction,
        train_limit=spec.train_limit,
        class_names=data.class_names,
        outputs=data.outputs,
        notes=data.notes,
    )


def _source(part: SamplePart) -> NestedSource:
    return NestedSource(Samples(part.inputs, part.targets), origin=part.origin)


def _metric(data: SampleData) -> Metric:
    return rmse_in_unit(data.scale) if data.metric == "rmse" and data.scale else METRICS[data.metric]
