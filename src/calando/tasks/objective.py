"""From a batch of samples to its loss, and to the outputs that are judged.

    loss(outputs of network(inputs), targets)     a loss by name or a function; inputs may be several
    network(inputs).loss                          no loss given: a network that works out its own, as Transformers' do
    forward(network, batch)                       returns the loss, or (loss, outputs)

Losses by name, each a mean over all that a batch holds, of outputs z and targets y:

    cross_entropy    - log softmax(z)_y       z [N, K], [N, K, …] or [N, …, K], y whole numbers [N, …]; -100 is left out
    bce              - y log s(z) - (1 - y) log(1 - s(z)),  s the logistic function; y 0 or 1, of the shape of z
    mse              (z - y)^2
    mae              |z - y|
    huber            (z - y)^2 / 2 below 1, |z - y| - 1/2 above
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import nn

from calando.errors import UnknownName, UsageError, reason_of
from calando.language import message
from calando.tasks import tree

__all__ = [
    "FIT",
    "LOSSES",
    "CrossEntropy",
    "Forward",
    "Loss",
    "NamedLoss",
    "Samples",
    "called",
    "classes_last",
    "found_loss",
    "judged",
    "logits_of",
]

Loss = Callable[[Any, Any], torch.Tensor]
"""(outputs, targets) -> scalar: the mean over the batch."""

Forward = Callable[[nn.Module, Any], Any]
"""(network, batch) -> loss, or (loss, outputs)."""

IGNORED = -100  # torch's number of a target that is left out


@final
@dataclass(frozen=True, eq=False)
class Samples:
    """Some samples: what the network gets, and what is wanted of it; None where the inputs hold that themselves.

    >>> x, y = Samples(torch.zeros(2, 3), torch.ones(2))

    Attributes:
        inputs, targets: tensors [N, …], nested as the data are.
        paired: the data come as (inputs, targets); else `inputs` is the whole batch.
        number: N; None: the length of the tensors' first axis. A `collate` may put samples anywhere.
    """

    inputs: Any
    targets: Any
    paired: bool = True
    number: int | None = field(default=None, repr=False)

    def __iter__(self) -> Iterator[Any]:
        yield self.inputs
        yield self.targets

    def __getitem__(self, place: int) -> Any:
        """0: the inputs, 1: the targets."""
        return (self.inputs, self.targets)[place]

    @property
    def batch(self) -> Any:
        """As the data came: what `forward` gets."""
        return (self.inputs, self.targets) if self.paired else self.inputs

    @property
    def count(self) -> int:
        """N."""
        return max(tree.sizes((self.inputs, self.targets)), default=0) if self.number is None else self.number

    @property
    def weight(self) -> int:
        """By what a mean loss counts: how many targets are not left out, where a sample has several classes; else N."""
        wanted = self.targets
        if isinstance(wanted, torch.Tensor) and wanted.ndim > 1 and not wanted.is_floating_point():
            return int((wanted != IGNORED).sum())
        return self.count

    def split(self, count: int) -> list[Samples]:
        """Pieces of `count` samples; UsageError where samples are not the first axis of all that `collate` made."""
        if self.count <= count:
            return [self]
        found = [(where, len(one)) for where, one in tree.leaves(self.batch, "batch") if one.ndim]
        why = "" if found else message("it holds no tensors")
        why = next(
            (
                message("{where} has {size} in its first axis", where=where, size=size)
                for where, size in found
                if size != self.count
            ),
            why,
        )
        if why:
            raise UsageError(
                message(
                    "accumulate= cuts a batch of {count} samples, and what collate returned cannot be cut: "
                    "{why}; choose a smaller batch_size",
                    count=self.count,
                    why=why,
                )
            )
        pieces = tree.split((self.inputs, self.targets), count)
        return [Samples(inputs, targets, self.paired) for inputs, targets in pieces]

    def mapped(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Samples:
        """With every tensor changed."""
        return replace(self, inputs=tree.mapped(self.inputs, function), targets=tree.mapped(self.targets, function))


@final
@dataclass(frozen=True)
class CrossEntropy:
    """Mean cross-entropy with label smoothing s, in [0, 1): targets are (1 - s) one-hot + s / classes.

    >>> round(CrossEntropy()(torch.zeros(2, 10), torch.tensor([3, 4])).item(), 4)
    2.3026
    """

    label_smoothing: float = 0.0

    def __call__(self, outputs: Any, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits_of(outputs), targets, label_smoothing=self.label_smoothing)


@final
@dataclass(frozen=True)
class NamedLoss:
    """One of the losses by name.

    >>> NamedLoss("mse")(torch.zeros(2, 1), torch.tensor([1.0, 3.0])).item()
    5.0

    Raises:
        UsageError: outputs that do not fit the targets.
    """

    name: str

    def __call__(self, outputs: Any, targets: torch.Tensor) -> torch.Tensor:
        return LOSSES[self.name](logits_of(outputs), targets)


def found_loss(loss: str | Loss | None) -> Loss | None:
    """The loss of a name; a function as it is; UnknownName for a name that is none."""
    if not isinstance(loss, str):
        return loss
    name = loss.strip().lower().replace("-", "_").replace(" ", "_")
    if name not in LOSSES:
        raise UnknownName("loss", loss, LOSSES, hint=message("or give a function (outputs, targets) -> scalar"))
    return NamedLoss(name)


def logits_of(outputs: Any) -> torch.Tensor:
    """The one tensor of numbers that a network gives: itself, or "logits" or "out" of a dict or object.

    >>> logits_of({"out": torch.zeros(2, 3), "aux": torch.ones(2, 3)}).shape
    torch.Size([2, 3])

    Raises:
        UsageError: several, or none.
    """
    if isinstance(outputs, torch.Tensor):
        return outputs
    for name in ("logits", "out", "prediction_logits"):
        found = outputs.get(name) if isinstance(outputs, Mapping) else getattr(outputs, name, None)
        if isinstance(found, torch.Tensor):
            return found
    if isinstance(outputs, tuple | list) and len(outputs) == 1 and isinstance(outputs[0], torch.Tensor):
        return outputs[0]
    raise UsageError(
        message(
            "the network gives {outputs}, and which of it is judged is unknown: give loss= and "
            "metric= as functions of (outputs, targets), or forward=, called with (network, batch), "
            "which returns (loss, outputs)",
            outputs=_described(outputs),
        )
    )


def judged(
    network: nn.Module,
    samples: Samples,
    *,
    loss: Loss | None,
    forward: Forward | None,
    precision: Callable[[], AbstractContextManager[Any]],
) -> tuple[torch.Tensor, Any]:
    """The mean loss of the samples, of shape (), and the outputs; both in float32.

    Args:
        loss, forward: as the module says.
        precision: a context in which the network computes; a loss by name or function computes outside it.

    Raises:
        UsageError: a network that cannot be called with these inputs, a loss that is none.
    """
    if forward is not None:
        with precision():
            result = forward(network, samples.batch)
        found, outputs = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
        return _scalar(found, of="forward"), tree.mapped(outputs, _float)
    with precision():
        outputs = called(network, samples)
    if loss is None:
        found = outputs.get("loss") if isinstance(outputs, Mapping) else getattr(outputs, "loss", None)
        if found is None:
            raise UsageError(
                message(
                    "the network gives {outputs} and no loss of its own; give loss= by name ({names}) or as "
                    "a function of (outputs, targets), or forward=",
                    outputs=_described(outputs),
                    names=", ".join(LOSSES),
                )
            )
        return _scalar(found, of=message("the network")), tree.mapped(outputs, _float)
    outputs = tree.mapped(outputs, _float)
    return _scalar(loss(outputs, samples.targets), of=message("the loss")), outputs


def called(network: nn.Module, samples: Samples) -> Any:
    """The network's outputs: inputs in a dict go in by name, in a tuple one after the other."""
    inputs = samples.inputs
    try:
        if isinstance(inputs, Mapping):
            return network(**inputs)
        if isinstance(inputs, tuple) and not hasattr(inputs, "_fields"):
            return network(*inputs)
        return network(inputs)
    except TypeError as error:
        raise UsageError(
            message(
                "the network cannot be called with {inputs} ({reason}); give forward=, called with "
                "(network, batch), which calls it as it needs and returns the loss or (loss, outputs)",
                inputs=_described(inputs),
                reason=reason_of(error),
            )
        ) from error


def _float(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.is_floating_point() else value


def _scalar(found: Any, *, of: str) -> torch.Tensor:
    if not isinstance(found, torch.Tensor) or found.numel() != 1:
        came = (
            message("shape {shape}", shape=tuple(found.shape))
            if isinstance(found, torch.Tensor)
            else type(found).__name__
        )
        raise UsageError(
            message("{of} must give one number, the mean over the batch, as a tensor; got {came}", of=of, came=came)
        )
    loss: torch.Tensor = found.reshape(())
    return loss.float() if loss.itemsize < 4 else loss


def _described(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return message("a tensor {shape}", shape=tuple(value.shape))
    if isinstance(value, Mapping):
        return message("a dict of {names}", names=", ".join(map(str, value)))
    if isinstance(value, tuple | list):
        return message("{count} values", count=len(value))
    return message("an object of type {kind}", kind=type(value).__name__)


# The losses by name


def _cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    scores, wanted = classes_last(outputs, targets)
    found: torch.Tensor = F.cross_entropy(scores, wanted, ignore_index=IGNORED)
    return found


def classes_last(outputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores [M, K] and class numbers int64[M] of outputs [N, K, …] or [N, …, K] and targets [N, …].

    Raises:
        UsageError: targets that are no class numbers; shapes that do not fit, or fit both ways.
    """
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise UsageError(
            message(
                "cross_entropy needs class numbers as targets, got {dtype}; for targets of 0 and 1 take "
                "bce, for numbers mse",
                dtype=targets.dtype,
            )
        )
    shape = tuple(targets.shape)
    second = outputs.ndim == targets.ndim + 1 and (outputs.shape[0], *outputs.shape[2:]) == shape
    last = outputs.ndim == targets.ndim + 1 and tuple(outputs.shape[:-1]) == shape
    if second and last and outputs.ndim > 2:
        raise UsageError(
            message(
                "outputs {shape} may have the classes in the second or the last axis; give loss= as a "
                "function, as in loss=lambda z, y: F.cross_entropy(z.flatten(0, -2), y.flatten())",
                shape=tuple(outputs.shape),
            )
        )
    if not second and not last:
        raise UsageError(
            message(
                "outputs {shape} do not fit class numbers {wanted}: a score for each class is needed in the second or "
                'the last axis; labels of 0 and 1, several a sample, take loss="bce"'
                if tuple(outputs.shape) == shape
                else "outputs {shape} do not fit class numbers {wanted}: a score for each class is needed in the "
                "second or the last axis",
                shape=tuple(outputs.shape),
                wanted=shape,
            )
        )
    scores = outputs if last or outputs.ndim == 2 else outputs.movedim(1, -1)
    return scores.reshape(-1, scores.shape[-1]), targets.reshape(-1).long()


FIT = message("let the network give one number for each target")


def _alike(name: str, outputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both of one shape: torch would spread [N, 1] and [N] to [N, N] in silence."""
    if outputs.ndim == targets.ndim + 1 and tuple(outputs.shape) == (*targets.shape, 1):
        outputs = outputs.squeeze(-1)
    if outputs.shape != targets.shape:
        classes = not targets.is_floating_point() and targets.dtype != torch.bool and outputs.ndim == targets.ndim + 1
        raise UsageError(
            message(
                "{name} needs outputs and targets of one shape, got {outputs} and {targets}: {remedy}",
                name=name,
                outputs=tuple(outputs.shape),
                targets=tuple(targets.shape),
                remedy=message("the targets are class numbers, for which take cross_entropy") if classes else FIT,
            )
        )
    return outputs, targets.to(outputs.dtype)


def _of_difference(name: str, function: Callable[..., torch.Tensor]) -> Loss:
    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = function(*_alike(name, outputs, targets))
        return found

    return loss


LOSSES: dict[str, Loss] = {
    "cross_entropy": _cross_entropy,
    "bce": _of_difference("bce", F.binary_cross_entropy_with_logits),
    "mse": _of_difference("mse", F.mse_loss),
    "mae": _of_difference("mae", F.l1_loss),
    "huber": _of_difference("huber", F.huber_loss),
}
"""Name -> the mean over a batch."""
