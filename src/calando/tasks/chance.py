"""What a network reaches that knows how the targets are distributed, and nothing of the inputs.

Of classes:

    shares   p_k = n_k / n                         of the training labels
    target   t_k = (1 - s) p_k + s / K             with label smoothing s over K classes
    loss     H   = - sum_k t_k log t_k             log K where all classes are equally frequent, less elsewhere
    score    max_k p_k                             of naming the most frequent class always; 1 / K likewise

No constant answer has a lower mean loss than H. A single batch is compared with its own, since at 1000 : 52 batches of
64 have anything from 0.05 to 0.5:

    batch    1/B sum_i c(y_i),   c(y) = - (1 - s) log t_y - s / K sum_k log t_k,   with mean H over the training part

Of any other targets: the constant answer a that has the least mean loss,

    cross_entropy   the logarithms of the shares of all class numbers, wherever they stand in a sample
    bce             the logit of each column's mean
    mse, mae        each column's mean, its median
    any other       found by L-BFGS from 0, over SEARCHED samples; `forward` gets a network that always answers a
    none            a network with a loss of its own, as Transformers' have: the entropy of its labels

Its score is the metric's of that answer on the validation part. Where no answer is found, chance is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import nn

from calando.errors import reason_of
from calando.language import message
from calando.tasks.metrics import Metric
from calando.tasks.objective import IGNORED, Forward, Loss, NamedLoss, Samples, classes_last, judged

__all__ = ["Answer", "Chance", "chance_of", "constant_answer", "no_chance"]

SEARCHED = 1024
_LEAST = 1e-6  # of a share, so that its logarithm is finite


@dataclass(frozen=True, eq=False)
class Chance:
    """What is known of a network that knows class frequencies alone.

    Args:
        score: share of samples that it gets right, in (0, 1].
        costs: its cross-entropy on a sample of each class, float64[K].
        loss: the mean of that over the training part.
    """

    score: float
    costs: torch.Tensor
    loss: float

    @property
    def classes(self) -> int:
        """K."""
        return len(self.costs)

    def of_batch(self, targets: torch.Tensor) -> float:
        """Its loss on a batch with these targets, int64[B], or shares of classes, float [B, K]."""
        if targets.is_floating_point():
            return float((targets.cpu().double() @ self.costs).mean())
        return float(self.costs[targets].mean())


def chance_of(labels: torch.Tensor, *, classes: int, label_smoothing: float = 0.0) -> Chance:
    """From the labels that are trained on.

    >>> chance = chance_of(torch.tensor([0] * 3 + [1]), classes=2)
    >>> chance.score, round(chance.loss, 4)
    (0.75, 0.5623)
    >>> round(chance.of_batch(torch.tensor([0, 0])), 4)
    0.2877

    Args:
        labels: int64[n], at least one, each below `classes`.
        classes: K.
        label_smoothing: s, in [0, 1).
    """
    counts = torch.bincount(labels, minlength=classes).double()
    shares = counts / counts.sum()
    even = label_smoothing / classes
    target = (1 - label_smoothing) * shares + even
    # A class that is never trained on costs nothing: it is in no batch.
    surprise = torch.where(target > 0, -target.clamp(min=1e-300).log(), 0.0)
    costs = (1 - label_smoothing) * surprise + even * surprise.sum()
    return Chance(float(shares.max()), costs, float((shares * costs).sum()))


# Targets of any other kind


@final
@dataclass(frozen=True, eq=False)
class Answer:
    """The best constant answer.

    Args:
        score: what the metric gives it on the validation part; nan: unknown.
        loss: its mean loss on the training part; None: unknown.
        of_batch: its loss on a batch; None where that is unknown.
        why: the loss is unknown, in words, where something is known of that.
    """

    score: float
    loss: float | None
    of_batch: Callable[[Samples], float | None]
    why: str = ""


def constant_answer(
    train: list[Samples],
    validation: list[Samples],
    *,
    loss: Loss | None,
    forward: Forward | None,
    metric: Metric,
    outputs: tuple[int, ...] | None,
) -> Answer:
    """From batches of the training and of the validation part.

    Args:
        loss, forward, metric: of the task.
        outputs: shape of one sample's outputs; None: not one tensor of one shape.
    """
    unknown = Answer(math.nan, None, lambda _: None)
    if not (forward is None and (loss is None or loss == NamedLoss("cross_entropy"))) and outputs is None:
        return replace(unknown, why=message("a network's outputs are not one tensor of one shape"))
    try:
        return _found(train, validation, loss=loss, forward=forward, metric=metric, outputs=outputs) or unknown
    except Exception as error:  # code of the user's, which may take no other network than its own
        return replace(unknown, why=reason_of(error))


def no_chance(chance: Chance | Answer) -> str:
    """The sentence where no answer was found that ignores the inputs."""
    why = chance.why if isinstance(chance, Answer) else ""
    return message(
        "what a network loses that ignores its inputs is unknown ({why}): a run that never learned is not noticed"
        if why
        else "what a network loses that ignores its inputs is unknown: a run that never learned is not noticed",
        why=why,
    )


def _found(
    train: list[Samples],
    validation: list[Samples],
    *,
    loss: Loss | None,
    forward: Forward | None,
    metric: Metric,
    outputs: tuple[int, ...] | None,
) -> Answer | None:
    if forward is None and (loss is None or loss == NamedLoss("cross_entropy")):
        return _of_shares(train, validation, metric=metric, outputs=outputs)
    assert outputs is not None
    of_batch = _loss_of(loss, forward)
    answer = _known(train, loss) if isinstance(loss, NamedLoss) and forward is None else None
    if answer is None:
        answer = _searched(train, of_batch, outputs)
    if answer is None:
        return None
    found = answer.detach()

    def cost(samples: Samples) -> float | None:
        with torch.no_grad():
            return float(of_batch(found, samples))

    mean = _mean_over(train, cost)
    if mean is None or not 0 < mean < math.inf:
        return Answer(_score(validation, found, cost, metric), None, lambda _: None)
    return Answer(_score(validation, found, cost, metric), mean, cost)


def _of_shares(
    train: list[Samples], validation: list[Samples], *, metric: Metric, outputs: tuple[int, ...] | None
) -> Answer | None:
    """Of class numbers anywhere in a sample: the entropy of their shares."""
    wanted = [_class_numbers(samples) for samples in train]
    numbers = torch.cat([part for part in wanted if part is not None]) if wanted and wanted[0] is not None else None
    if numbers is None or not len(numbers) or int(numbers.min()) < 0:
        return None
    counts = torch.bincount(numbers).double()
    shares = (counts / counts.sum()).clamp(min=_LEAST)
    costs = -shares.log()
    loss = float((counts * costs).sum() / counts.sum())

    def cost(samples: Samples) -> float | None:
        found = _class_numbers(samples)
        if found is None or not len(found):
            return None
        return float(costs[found.clamp(max=len(costs) - 1)].mean())

    score = math.nan
    if metric.name == "perplexity":
        score = math.exp(min(loss, 700.0))
    elif metric.name == "loss":
        score = loss
    elif outputs is not None and numbers is not None:
        answer = _spread(-costs.float(), outputs, train[0].targets)
        score = math.nan if answer is None else _score(validation, answer, cost, metric)
    return Answer(score, loss if loss > 0 else None, cost)


def _class_numbers(samples: Samples) -> torch.Tensor | None:
    """int64[M]: all that are not left out; None where the targets are no class numbers."""
    wanted = samples.targets
    if not isinstance(wanted, torch.Tensor) or wanted.is_floating_point() or wanted.dtype == torch.bool:
        return None
    flat = wanted.detach().cpu().reshape(-1).long()
    return flat[flat != IGNORED]


def _spread(scores: torch.Tensor, outputs: tuple[int, ...], targets: torch.Tensor) -> torch.Tensor | None:
    """One sample's outputs that score the classes alike everywhere; None where the shapes do not say how."""
    probe = torch.zeros(len(targets), *outputs)
    last = tuple(probe.shape[:-1]) == tuple(targets.shape)
    classes = outputs[-1] if last else outputs[0]
    filled = torch.full((classes,), math.log(_LEAST))
    filled[: len(scores)] = scores[:classes]
    answer = filled if last else filled.view(-1, *[1] * (len(outputs) - 1))
    classes_last(probe, targets)  # refuses what does not fit
    return answer.expand(outputs)


def _known(train: list[Samples], loss: NamedLoss) -> torch.Tensor | None:
    wanted = torch.cat([samples.targets for samples in train]).float()
    if loss.name == "bce":
        return torch.logit(wanted.mean(0), eps=_LEAST)
    return {"mse": wanted.mean(0), "mae": wanted.median(0).values}.get(loss.name)


@final
class _Constant(nn.Module):
    """A network that gives the same answer for each of so many samples, or of fewer where it is shown a part."""

    def __init__(self, answer: torch.Tensor, count: int) -> None:
        super().__init__()
        self.answer, self.count = answer, count

    def forward(self, *inputs: Any, **named: Any) -> torch.Tensor:
        given = [value for value in (*inputs, *named.values()) if isinstance(value, torch.Tensor)]
        count = self.count if self.count in given[0].shape else len(given[0])
        return self.answer.expand(count, *self.answer.shape)


def _loss_of(loss: Loss | None, forward: Forward | None) -> Callable[[torch.Tensor, Samples], torch.Tensor]:
    def of_batch(answer: torch.Tensor, samples: Samples) -> torch.Tensor:
        if forward is not None:
            found, _ = judged(
                _Constant(answer, samples.count), samples, loss=None, forward=forward, precision=nullcontext
            )
            return found
        assert loss is not None
        # A copy, since a loss may change its inputs; one column less where the targets are numbers.
        outputs = answer.expand(samples.count, *answer.shape).clone()
        return loss(outputs, samples.targets).reshape(())

    return of_batch


def _searched(
    train: list[Samples], of_batch: Callable[[torch.Tensor, Samples], torch.Tensor], outputs: tuple[int, ...]
) -> torch.Tensor | None:
    seen, count = [], 0
    for samples in train:
        if count < SEARCHED:
            seen.append(samples)
            count += samples.count
    answer = torch.zeros(outputs, requires_grad=True)
    search = torch.optim.LBFGS([answer], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        search.zero_grad()
        total = torch.stack([of_batch(answer, samples) * samples.count for samples in seen]).sum() / count
        total.backward()
        return total

    with torch.enable_grad():
        search.step(closure)
    return answer if bool(torch.isfinite(answer).all()) else None


def _mean_over(parts: list[Samples], cost: Callable[[Samples], float | None]) -> float | None:
    found = [(cost(samples), samples.count) for samples in parts]
    if any(value is None for value, _ in found):
        return None
    return math.fsum(value * count for value, count in found if value is not None) / sum(count for _, count in found)


def _score(
    validation: list[Samples], answer: torch.Tensor, cost: Callable[[Samples], float | None], metric: Metric
) -> float:
    """The metric's of that answer; nan where it cannot judge it."""
    tally = metric.begin()
    try:
        for samples in validation:
            loss: float | None = cost(samples)
            tally.add(answer.expand(samples.count, *answer.shape), samples, math.nan if loss is None else loss)
        score: float = tally.score()
    except Exception:  # code of the user's
        return math.nan
    return score
