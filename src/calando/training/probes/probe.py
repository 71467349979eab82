"""A probe around one update of any loop: opened before its forward pass, closed after its step.

    probe = Probe(network, optimizer)
    probe.open()                    hooks: nothing is computed yet
    ...                             the loop's own forward and backward pass, and `optimizer.step()`
    row = probe.close(step, batch=loss)    the hooks go; what needs the batch again is measured

Who has hooks of their own round the optimizer's step opens it without ours, and calls `before_step` and `after_step`.

Without the batch a row holds what the passes showed: rates, gradients by layer, update ratios. With it the loss is
computed again at weights along the update (`along`), and on request its sharpness and its noise.

Everything that a measurement touches is put back, bit by bit, on success, exception and Ctrl-C: weights, buffers,
gradients, modes, generators. The optimizer's state is read, never written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import torch
from torch import nn
from torch.optim import Optimizer

from calando.errors import UsageError
from calando.language import message
from calando.records.probe import LayerRow, ProbeRow
from calando.training.network_statistics import holding_statistics
from calando.training.probes.along import critical_ratio
from calando.training.probes.entries import entries
from calando.training.probes.layers import LayerGradients
from calando.training.probes.noise import noise_and_signal
from calando.training.probes.sharpness import largest_eigenvalue
from calando.training.probes.stability import equilibrium, sharpness_limit
from calando.training.restore import Snapshot

__all__ = ["BatchLoss", "Halves", "Probe", "undisturbed"]

FORWARD = 1 / 3  # of an update: a backward pass costs about two forward passes
PRODUCT = 2.3  # a pass back through the graph of a gradient, as measured on a ResNet-20

BatchLoss = Callable[[], torch.Tensor]
"""The loss of the update's batch at the present weights, of shape (), with its graph; the same batch at each call."""


@final
@dataclass(frozen=True)
class Halves:
    """Two losses, each the mean over half of a batch, and the samples in each."""

    losses: tuple[BatchLoss, BatchLoss]
    samples: int


@final
class Probe:
    """A look at one update.

    Args:
        network: in training mode when its update is made.
        optimizer: whose step makes the update.
    """

    def __init__(self, network: nn.Module, optimizer: Optimizer) -> None:
        self.network, self.optimizer = network, optimizer
        self._layer_handles: list[Any] = []
        self._step_handles: list[Any] = []
        self._gradients: LayerGradients | None = None
        self._depth = 0  # a step that calls another one runs the hooks again
        self._before: list[torch.Tensor] = []
        self._after: list[torch.Tensor] | None = None
        self._norm: float | None = None
        self._slope: float | None = None
        self._rates: list[float] = []

    @property
    def opened(self) -> bool:
        return self._gradients is not None

    @property
    def stepped(self) -> bool:
        """Whether the optimizer has made a step since the probe was opened."""
        return self._after is not None

    @property
    def seconds(self) -> float:
        """What the look under way took within the training's own passes."""
        return 0.0 if self._gradients is None else self._gradients.seconds

    def open(self, *, hooked: bool = True) -> None:
        """Look at the update that begins; `hooked`: by hooks of the optimizer's step."""
        self.drop()
        self._gradients = LayerGradients(self.network)
        self._layer_handles = self._gradients.attach()
        if hooked:
            self._step_handles = [
                self.optimizer.register_step_pre_hook(lambda _, args, kwargs: self._enter(bool(args or kwargs))),
                self.optimizer.register_step_post_hook(lambda *_: self._leave()),
            ]

    def drop(self) -> None:
        """Take the hooks away, without a row."""
        for handle in [*self._layer_handles, *self._step_handles]:
            handle.remove()
        self._layer_handles, self._step_handles, self._gradients, self._depth = [], [], None, 0
        self._before, self._after = [], None

    def close(
        self,
        step: int,
        *,
        batch: BatchLoss | None = None,
        sharp: BatchLoss | None = None,
        halves: Halves | None = None,
    ) -> ProbeRow | None:
        """The row of the update that was made; None if the optimizer made none.

        Args:
            step: the update's number, from 0.
            batch: its loss, to be computed again.
            sharp: the loss whose sharpness is measured, at some tens of updates; in full precision, as second
                derivatives of less are slow and rough.
            halves: measure noise as well, at an update.
        """
        gradients, after = self._gradients, self._after
        try:
            if gradients is None or after is None:
                return None
            group = self.optimizer.param_groups[0]
            layers = self._layers(gradients, after)
            found: dict[str, Any] = {}
            if any(given is not None for given in (batch, sharp, halves)):
                with undisturbed(self.network, self.optimizer) as again:
                    found = self._measure(after, batch, again, sharp=sharp, halves=halves)
            limit = sharpness_limit(self.optimizer, {**group, "lr": self._rates[0]})
            return ProbeRow(
                step=step,
                rate=self._rates[0],
                gradient_norm=self._norm,
                slope=self._slope,
                limit=limit,
                layers=layers,
                **found,
            )
        finally:
            self.drop()

    # Around the step

    def _enter(self, closure: bool) -> None:
        self._depth += 1
        if self._depth == 1:
            self.before_step(closure=closure)

    def _leave(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.after_step()

    def before_step(self, *, closure: bool = False) -> None:
        """The rates are written, and the gradients are there; with a closure, which makes the passes, after it."""
        if not closure:
            for handle in self._layer_handles:  # a second pass inside the step is not the batch's
                handle.remove()
        parameters = self._parameters()
        self._rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self._before = [p.detach().clone() for p in parameters]
        self._norm = None if closure else self._gradient_norm()

    def _gradient_norm(self) -> float | None:
        gradients = [entries(p.grad) for p in self._parameters() if p.grad is not None]
        return float(nn.utils.get_total_norm(gradients)) if gradients else None

    def after_step(self) -> None:
        """The weights have moved."""
        for handle in self._layer_handles:
            handle.remove()
        parameters = self._parameters()
        if self._norm is None:
            self._norm = self._gradient_norm()
        self._after = [p.detach().clone() for p in parameters]
        slope, known = 0.0, False
        for p, old, new in zip(parameters, self._before, self._after, strict=True):
            if p.grad is not None:
                slope, known = slope - float((entries(p.grad) * entries(new - old)).sum()), True
        self._slope = slope if known else None

    def _parameters(self) -> list[torch.Tensor]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    # The row

    def _layers(self, gradients: LayerGradients, after: Sequence[torch.Tensor]) -> tuple[LayerRow, ...]:
        groups = [group for group in self.optimizer.param_groups for _ in group["params"]]
        moved = {
            id(p): (old, new, group)
            for p, old, new, group in zip(self._parameters(), self._before, after, groups, strict=True)
        }
        rest = [name for name in gradients.layers if name not in gradients.order]
        # What a scaler skipped was no update, and its passes went before those of this one.
        seen = [size for name in gradients.order if (size := gradients.gradient(name)) is not None]
        whole = all(map(math.isfinite, seen)) or self._norm is None or not math.isfinite(self._norm)
        rows = []
        for name in [*gradients.order, *rest]:
            ratio = tends = size = None
            if (found := moved.get(id(gradients.layers[name].weight))) is not None:
                old, new, group = found
                size = float(old.norm())
                ratio = float((new - old).norm()) / size if size > 0 else None
                tends = equilibrium(self.optimizer, group)
            rows.append(
                LayerRow(
                    name=name,
                    weight=size,
                    update_ratio=ratio,
                    equilibrium=tends,
                    gradient=gradients.gradient(name) if whole else None,
                    dead=gradients.dead(name),
                )
            )
        return tuple(rows)

    def _measure(
        self,
        after: Sequence[torch.Tensor],
        batch: BatchLoss | None,
        again: Callable[[], object],
        *,
        sharp: BatchLoss | None,
        halves: Halves | None,
    ) -> dict[str, Any]:
        parameters, updates, found = self._parameters(), 0.0, dict[str, Any]()
        made = [new - old for new, old in zip(after, self._before, strict=True)]

        def put(s: float) -> None:
            with torch.no_grad():
                for p, old, new, step in zip(parameters, self._before, after, made, strict=True):
                    p.copy_(old if s == 0 else new if s == 1 else torch.add(old, step, alpha=s))

        def along(loss: BatchLoss, s: float) -> float:
            nonlocal updates
            updates += FORWARD
            put(s)
            again()
            with torch.enable_grad():  # a loss may take gradients itself, as a penalty of them does
                return _number(loss())

        if batch is not None:
            found["loss"], found["after"] = along(batch, 0.0), along(batch, 1.0)
            found["ratio"] = critical_ratio(partial(along, batch), before=found["loss"], after=found["after"])
        put(1.0)
        if sharp is not None:
            again()
            sharpness = largest_eigenvalue(sharp, self.optimizer)
            if sharpness is not None:
                found["sharpness"] = sharpness.value
                updates += 1 + PRODUCT * sharpness.products
        if halves is not None:
            again()
            trained = [p for p in parameters if p.requires_grad]
            found["noise"], found["signal"] = noise_and_signal(halves.losses, trained, samples=halves.samples)
            updates += 1
        return {**found, "updates": updates}


def _number(loss: torch.Tensor | float) -> float:
    if isinstance(loss, int | float) or (isinstance(loss, torch.Tensor) and loss.numel() == 1):
        return float(loss.detach()) if isinstance(loss, torch.Tensor) else float(loss)
    what = (
        message("a tensor of shape {shape}", shape=tuple(loss.shape))
        if isinstance(loss, torch.Tensor)
        else type(loss).__name__
    )
    raise UsageError(message("what computes the batch's loss again must return one number, got {what}", what=what))


@contextmanager
def undisturbed(network: nn.Module, optimizer: Optimizer) -> Iterator[Callable[[], object]]:
    """Put back what passes through the network change; yields what brings the generators to where they were.

    Running statistics are held, gradients are those from before, and the generators of Python, NumPy and torch go on
    as if nothing had drawn.
    """
    kept, drawn = Snapshot(), Snapshot()
    drawn.note_global_generators()
    kept.note(network)
    kept.note([p for group in optimizer.param_groups for p in group["params"]])
    try:
        with holding_statistics(network):
            yield drawn.put_back
    finally:
        kept.put_back()
        drawn.put_back()
