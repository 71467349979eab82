"""How the outputs of a network are judged on a part of the data: the score.

By name, over all samples of a part, C_ij the number of targets of class i answered with class j (argmax of the scores):

    accuracy             sum_i C_ii / sum C; of labels of 0 and 1 the share that is right; the answer is 1 where z > 0
    balanced accuracy    mean over classes i among the targets of  C_ii / sum_j C_ij
    mean iou             mean of  C_ii / (sum_j C_ij + sum_j C_ji - C_ii)  over classes that are wanted or answered
    f1                   mean of  2 C_ii / (sum_j C_ij + sum_j C_ji)  over them; of labels of 0 and 1, over labels of 1
    rmse                 sqrt(mean (z - y)^2)                                              lower is better
    r2                   1 - sum (z - y)^2 / sum (y - mean y)^2, mean over the target's columns
    perplexity           exp(mean of - log softmax(z)_y) over all targets                  lower is better
    loss                 the mean training loss of the part                                lower is better

Counts and sums are float64 or int64, so the score does not depend on how a part is cut into batches. Your own: a
function of (outputs, targets) of the whole part that gives a number, or a torchmetrics metric.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, final

import torch

from calando.errors import UnknownName, UsageError, quote
from calando.language import message
from calando.records.measure import SHARE, Measure
from calando.tasks.objective import FIT, IGNORED, Samples, classes_last, logits_of
from calando.tasks.own_metrics import OfFunction, OfTorchmetrics
from calando.tasks.tally import Tally, labels_of, wanted_of

__all__ = ["ACCURACY", "METRICS", "Metric", "Tally", "by_own_loss", "found_metric", "rmse_in_unit"]


@final
@dataclass(frozen=True)
class Metric:
    """A way to judge, and what its score means.

    Args:
        name: as tables call it.
        measure: goal and unit of the score.
        begin: a new tally.
        own: the function or torchmetrics metric of the user, if it is one.
    """

    name: str
    measure: Measure
    begin: partial[Any] = field(compare=False)
    own: object = field(default=None, compare=False)

    def with_own(self, own: object) -> Metric:
        """The same on a copy of the user's function or metric."""
        return Metric(self.name, self.measure, partial(self.begin.func, own, *self.begin.args[1:]), own)


def found_metric(metric: str | object, *, goal: Literal["max", "min"] | None = None, unit: str | None = None) -> Metric:
    """The metric of a name, a function, or a torchmetrics metric.

    >>> found_metric("rmse").measure.goal
    'min'

    Args:
        goal: whether a higher or lower score is better; None: as the metric has it, "max" where that is unknown.
        unit: of the score; None: as the metric has it.

    Raises:
        UnknownName: no metric of that name.
        UsageError: a goal or unit that a named metric has not, or something that judges nothing.
    """
    if goal not in (None, "max", "min"):
        raise UsageError(message('goal must be "max" or "min", got {goal}', goal=quote(goal)))
    if isinstance(metric, str):
        name = metric.strip().lower().replace("_", " ").replace("-", " ")
        found = METRICS.get({"iou": "mean iou", "miou": "mean iou", "r²": "r2", "f1 score": "f1"}.get(name, name))
        if found is None:
            hint = message("or give a function (outputs, targets) -> number, or a torchmetrics metric")
            raise UnknownName("metric", metric, METRICS, hint=hint)
        if goal not in (None, found.measure.goal):
            raise _other_goal(found.name, rises=found.measure.goal == "max")
        return found if unit is None else Metric(found.name, _in_unit(found.measure, unit), found.begin)
    if _is_torchmetric(metric) and not isinstance(metric, type):
        rises = getattr(metric, "higher_is_better", None)
        known: Literal["max", "min"] | None = None if rises is None else "max" if rises else "min"
        if goal is not None and known is not None and goal != known:
            raise _other_goal(type(metric).__name__, rises=bool(rises))
        measure = Measure(goal or known or "max", unit or "")
        return Metric(type(metric).__name__, measure, partial(OfTorchmetrics, metric), metric)
    if callable(metric) and not isinstance(metric, type):
        name = str(getattr(metric, "__name__", type(metric).__name__)).replace("<lambda>", unit or "own")
        return Metric(name, Measure(goal or "max", unit or ""), partial(OfFunction, metric, name), metric)
    raise UsageError(
        message(
            "metric must be a name ({names}), a function of (outputs, targets) that gives a "
            "number, or a torchmetrics metric, got {metric}",
            names=", ".join(METRICS),
            metric=quote(metric),
        )
    )


def _other_goal(name: str, *, rises: bool) -> UsageError:
    return UsageError(
        message(
            "{name}: higher is better; leave goal= out" if rises else "{name}: lower is better; leave goal= out",
            name=name,
        )
    )


def rmse_in_unit(scale: tuple[float, ...]) -> Metric:
    """RMSE of targets that are (value - shift) / scale, in the values' own unit; one scale a column."""
    return Metric("rmse", METRICS["rmse"].measure, partial(_Squares, name="rmse", scale=scale))


def by_own_loss(metric: Metric) -> Metric:
    """The metric where the network works its loss out by itself."""
    if metric.name != "perplexity":
        return metric
    return Metric(metric.name, metric.measure, partial(_Perplexity, of_loss=True))


def _in_unit(measure: Measure, unit: str) -> Measure:
    if measure.share and unit != "%":
        raise UsageError(message("a share of samples is written in %, got unit={unit!r}; leave it out", unit=unit))
    return measure if measure.share else Measure(measure.goal, unit)


def _is_torchmetric(metric: object) -> bool:
    return all(callable(getattr(metric, name, None)) for name in ("update", "compute", "reset"))


@final
class _Right(Tally):
    """Right answers; no table of all classes, of which there may be thousands."""

    def __init__(self) -> None:
        self._right, self._count = 0, 0

    def add(self, outputs: Any, samples: Samples, loss: float) -> None:
        scores = logits_of(outputs)
        wanted = wanted_of(samples, metric="accuracy").to(scores.device)
        if (labels := labels_of(scores, wanted, metric="accuracy")) is not None:
            self._right += int((labels[0] == labels[1]).sum())
            self._count += labels[0].numel()
            return
        flat, wanted = classes_last(scores, wanted)
        kept = wanted != IGNORED
        self._right += int(((flat.argmax(-1) == wanted) & kept).sum())
        self._count += int(kept.sum())

    def score(self) -> float:
        return self._right / max(self._count, 1)


Score = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], float]
"""(right answers, targets, answers) of each class, float64[K] -> the score."""


@final
class _Counts(Tally):
    """How often each class is answered rightly, wanted, and answered; labels of 0 and 1 are two classes, or F1's K."""

    def __init__(self, score: Score, *, name: str, several: bool = False) -> None:
        self._score, self._name, self._several = score, name, several
        self._counts: torch.Tensor | None = None

    def add(self, outputs: Any, samples: Samples, loss: float) -> None:
        scores, targets = logits_of(outputs), wanted_of(samples, metric=self._name).to(logits_of(outputs).device)
        if (labels := labels_of(scores, targets, metric=self._name)) is not None:
            answers, named = (part.reshape(len(part), -1) for part in labels)
            if self._several:
                counts = torch.stack([(answers & named).sum(0), named.sum(0), answers.sum(0)]).cpu()
            else:
                counts = self._of_classes(answers.reshape(-1).long(), named.reshape(-1).long(), 2)
        else:
            flat, wanted = classes_last(scores, targets)
            kept, classes = wanted != IGNORED, flat.shape[-1]
            wanted, found = wanted[kept], flat.argmax(-1)[kept]
            if len(wanted) and not 0 <= int(wanted.min()) <= int(wanted.max()) < classes:
                raise UsageError(
                    message(
                        "{name}: a target is none of the {classes} classes that the network scores",
                        name=self._name,
                        classes=classes,
                    )
                )
            counts = self._of_classes(found, wanted, classes)
        self._counts = counts if self._counts is None else self._counts + counts

    @staticmethod
    def _of_classes(answers: torch.Tensor, wanted: torch.Tensor, classes: int) -> torch.Tensor:
        parts = (wanted[answers == wanted], wanted, answers)
        return torch.stack([torch.bincount(part, minlength=classes) for part in parts]).cpu()

    def score(self) -> float:
        assert self._counts is not None
        return self._score(*self._counts.double())


def _balanced(hit: torch.Tensor, sizes: torch.Tensor, answered: torch.Tensor) -> float:
    return _mean((hit / sizes.clamp(min=1))[sizes > 0])


def _f1(hit: torch.Tensor, sizes: torch.Tensor, answered: torch.Tensor) -> float:
    return _mean((2 * hit / (sizes + answered).clamp(min=1))[sizes + answered > 0])


def _iou(hit: torch.Tensor, sizes: torch.Tensor, answered: torch.Tensor) -> float:
    return _mean((hit / (sizes + answered - hit).clamp(min=1))[sizes + answered > 0])


def _mean(values: torch.Tensor) -> float:
    return float(values.double().mean()) if len(values) else math.nan


_TAKE_CLASSES = message(
    "the targets are class numbers, for which take {names} or loss", names="accuracy, balanced accuracy, f1"
)


@final
class _Squares(Tally):
    """Sums over all targets, a column each: their number, y, y^2 and (z - y)^2, about the first batch's mean."""

    def __init__(self, *, name: str, scale: tuple[float, ...] = (1.0,)) -> None:
        self._name, self._count, self._shift = name, 0, torch.zeros(())
        self._scale = torch.tensor(scale, dtype=torch.float64)
        self._sums: torch.Tensor | None = None

    def add(self, outputs: Any, samples: Samples, loss: float) -> None:
        answers = logits_of(outputs).detach().cpu().double()
        given = wanted_of(samples, metric=self._name).detach().cpu()
        wanted = given.double()
        if answers.ndim == wanted.ndim + 1 and answers.shape[-1] == 1:
            answers = answers.squeeze(-1)
        if answers.shape != wanted.shape:
            classes = not given.is_floating_point() and given.dtype != torch.bool and answers.ndim == given.ndim + 1
            raise UsageError(
                message(
                    "{name} needs outputs and targets of one shape, got {outputs} and {targets}: {remedy}",
                    name=self._name,
                    outputs=tuple(answers.shape),
                    targets=tuple(wanted.shape),
                    remedy=_TAKE_CLASSES if classes else FIT,
                )
            )
        answers, wanted = answers.reshape(len(answers), -1), wanted.reshape(len(wanted), -1)
        if self._sums is None:
            self._shift = wanted.mean(0)
        centred = wanted - self._shift
        sums = torch.stack([centred.sum(0), centred.square().sum(0), (answers - wanted).square().sum(0)])
        self._sums, self._count = sums if self._sums is None else self._sums + sums, self._count + len(wanted)

    def score(self) -> float:
        assert self._sums is not None
        total, squares, errors = self._sums
        if self._name == "rmse":
            return math.sqrt(float((errors * self._scale.square()).mean()) / self._count)
        spread = squares - total.square() / self._count
        # What rounding leaves of a column that is constant is no spread.
        least = 1e-12 * self._count * (self._shift.square() + squares / self._count)
        return float((1 - errors / spread).mean()) if bool((spread > least).all()) else math.nan


@final
class _Perplexity(Tally):
    """Of the scores of each target; `of_loss`: of the network's own mean loss, which knows how they are shifted."""

    def __init__(self, *, of_loss: bool = False) -> None:
        self._total, self._count, self._of_loss = 0.0, 0, of_loss

    def add(self, outputs: Any, samples: Samples, loss: float) -> None:
        if self._of_loss:
            self._total, self._count = self._total + loss * samples.weight, self._count + samples.weight
            return
        scores = logits_of(outputs)
        flat, wanted = classes_last(scores, wanted_of(samples, metric="perplexity").to(scores.device))
        losses = torch.nn.functional.cross_entropy(flat, wanted, ignore_index=IGNORED, reduction="none")
        self._total += float(losses.double().sum())
        self._count += int((wanted != IGNORED).sum())

    def score(self) -> float:
        mean = self._total / max(self._count, 1)
        return math.exp(mean) if mean < 700 else math.inf


@final
class _MeanLoss(Tally):
    def __init__(self) -> None:
        self._total, self._count = 0.0, 0

    def add(self, outputs: Any, samples: Samples, loss: float) -> None:
        self._total, self._count = self._total + loss * samples.weight, self._count + samples.weight

    def score(self) -> float:
        return self._total / max(self._count, 1)


def _counted(name: str, score: Score, *, several: bool = False) -> Metric:
    return Metric(name, SHARE, partial(_Counts, score, name=name, several=several))


ACCURACY = Metric("accuracy", SHARE, partial(_Right))
"""The share of right answers."""

_NAMED: Sequence[Metric] = (
    ACCURACY,
    _counted("balanced accuracy", _balanced),
    _counted("f1", _f1, several=True),
    _counted("mean iou", _iou),
    Metric("rmse", Measure("min", "RMSE"), partial(_Squares, name="rmse")),
    Metric("r2", Measure("max", "R²"), partial(_Squares, name="r2")),
    Metric("perplexity", Measure("min", "perplexity"), partial(_Perplexity)),
    Metric("loss", Measure("min", "loss"), partial(_MeanLoss)),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _NAMED}
"""Name -> metric."""
