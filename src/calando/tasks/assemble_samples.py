"""Tables, text and other samples that a reader of ours gives -> a checked Workload.

    classes     cross-entropy, accuracy; the validation part is cut class by class
    numbers     mean squared error of the standardised target; RMSE in the target's own unit: RMSE of what the network
                gives, times the target's standard deviation in the training part
    text        cross-entropy of each token, perplexity

Where samples follow each other (text, rows in time), the validation part is the end of the training part. What is
fitted to a table, its moments, categories and fillings, is fitted to the rows that are trained on alone.
"""

from __future__ import annotations

import numpy as np
import torch

from calando.records.task_spec import WorkloadSpec
from calando.tasks.assemble_nested import assemble_nested
from calando.tasks.data.samples import SampleData, SamplePart
from calando.tasks.labels import WHOLE_CUT, check_enough, hold_out, take_stratified
from calando.tasks.metrics import METRICS, Metric, rmse_in_unit
from calando.tasks.nested_source import NestedSource
from calando.tasks.objective import NamedLoss, Samples
from calando.tasks.randomness import Purpose
from calando.tasks.workload import Workload

__all__ = ["assemble_samples"]


def assemble_samples(data: SampleData, spec: WorkloadSpec) -> Workload:
    """The task of a spec whose data were read.

    Raises:
        DataError: data that cannot be trained on.
        UsageError: a network, or an option of images, that does not fit them.
    """
    classes, count = data.class_names is not None, len(data.train)
    train, test = _source(data.train), _source(data.test)
    validation: NestedSource | None = None
    if count > 1:
        labels = data.train.targets if classes else np.zeros(count, np.int64)
        if classes:
            check_enough(labels, cut=WHOLE_CUT[1:], names=data.class_names)
        kept, held = _cut(data, labels, spec.validation_fraction)
        if data.fitted is not None:
            trained = kept if spec.train_limit is None else kept[take_stratified(labels[kept], count=spec.train_limit)]
            data = data.fitted(trained)
            train, test = _source(data.train), _source(data.test)
        train, validation = train.take(torch.from_numpy(kept)), train.take(torch.from_numpy(held))
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


def _cut(data: SampleData, labels: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are kept, and those of the validation part."""
    if not data.by_position:
        return hold_out(labels, fraction=fraction, purpose=Purpose.VALIDATION_SPLIT, what=WHOLE_CUT[1])
    held = min(max(round(fraction * len(labels)), 1), len(labels) - 1)
    places = np.arange(len(labels))
    return places[:-held], places[-held:]


def _source(part: SamplePart) -> NestedSource:
    return NestedSource(Samples(part.inputs, part.targets), origin=part.origin)


def _metric(data: SampleData) -> Metric:
    return rmse_in_unit(data.scale) if data.metric == "rmse" and data.scale else METRICS[data.metric]
