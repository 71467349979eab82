"""Probes in a person's own loop: what `calando.explain` looks at, at a bounded cost.

    watch = calando.watch(network, optimizer, total_steps=…)
    for x, y in loader:
        loss = criterion(network(x), y)
        loss.backward()
        watch.batch(loss, lambda: criterion(network(x), y))     optional: the loss, and how it is computed again
        optimizer.step()
        optimizer.zero_grad()
    print(watch.reading())

The next look is made as soon as all of them, at what the last one took, stay within `share` of the time since the first
update; the first one, of update 1, is made at once, to compare later ones to.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from calando.analysis.looked import UNPLANNED, Looked
from calando.analysis.reading import Reading
from calando.errors import UsageError
from calando.loops.follow import chance_given
from calando.loops.optimizer_hooks import StepHooks, check_runs_hooks
from calando.loops.run_picture import Pictured
from calando.records.files import write_atomically
from calando.records.probe import ProbeRow
from calando.tasks.chance import Chance
from calando.training.probes.probe import BatchLoss, Probe

__all__ = ["Watch", "watch"]

SHARE = 0.01
FIRST = 1
PICTURE_SECONDS = 1.0
"""Between two points of the picture: the losses are read then, for which a GPU is waited for."""


def watch(
    network: nn.Module,
    optimizer: Optimizer,
    *,
    total_steps: int | None = None,
    chance: float | torch.Tensor | Sequence[int] | None = None,
    share: float = SHARE,
    folder: str | os.PathLike[str] | None = None,
) -> Watch:
    """Probe a training now and then, in any loop, and leave it as it is, to the bit.

    Args:
        network: the network whose gradients are probed, layer by layer.
        optimizer: the optimizer whose updates are counted; it must run torch's hooks.
        total_steps: planned number of updates. A reading needs it, since what signals mean depends on how far the run
            is.
        chance: the loss of a network that knows only how frequent each class is, or the class numbers of the training
            samples. None: the mean of the first eight losses is used.
        share: share of the training's time that the probes may take, in (0, 1].
        folder: folder that `calando serve` follows; of several ranks the first writes it. None: nothing is written.

    Returns:
        A `Watch` with `rows`, `reading()`, and `batch`, which you call between the backward pass and the step.

    Raises:
        UsageError: the optimizer runs no hooks, or a number is out of range.

    >>> import torch, calando
    >>> x, y = torch.randn(64, 8), torch.arange(64) % 2
    >>> network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    >>> watch = calando.watch(network, optimizer, total_steps=400, share=1.0)
    >>> for _ in range(4):
    ...     loss = nn.functional.cross_entropy(network(x), y)
    ...     loss.backward()
    ...     watch.batch(loss)
    ...     optimizer.step()
    ...     optimizer.zero_grad()
    >>> watch.rows[0].step, watch.rows[0].layers[0].update_ratio > 0
    (1, True)
    """
    if not isinstance(network, nn.Module):
        raise UsageError(f"network must be a torch.nn.Module, got {type(network).__name__}")
    check_runs_hooks(optimizer, "watch")
    for place, group in enumerate(optimizer.param_groups):
        if not isinstance(group.get("lr"), Real | torch.Tensor):
            raise UsageError(
                f"watch reads each group's rate, and group {place} of {type(optimizer).__name__} has "
                f"{group.get('lr')!r} for it: give the optimizer lr=, a number"
            )
    theirs = {id(p) for p in network.parameters()}
    if not any(id(p) in theirs for group in optimizer.param_groups for p in group["params"]):
        raise UsageError("the optimizer trains none of the network's parameters: pass the network that it was made for")
    if total_steps is not None and not (_is_number(total_steps) and total_steps >= 1 and total_steps % 1 == 0):
        raise UsageError(f"total_steps must be a whole number of updates, at least 1, got {total_steps!r}")
    if not (_is_number(share) and 0 < share <= 1):
        raise UsageError(f"share must be above 0 and at most 1, got {share!r}")
    known = chance_given(chance)
    known = known.loss if isinstance(known, Chance) else known
    return Watch(network, optimizer, total_steps=total_steps, chance=known, share=share, folder=folder)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


@final
class Watch:
    """Looks at a training; made by `watch`.

    Args:
        rows: one a look, in order.
        step: updates made since it was made.
        seconds: what the looks took.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        *,
        total_steps: int | None,
        chance: float | None,
        share: float,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self.rows: list[ProbeRow] = []
        self.step = 0
        self.total_steps, self._chance, self._share = total_steps, chance, share
        self._probe = Probe(network, optimizer)
        self._again: BatchLoss | None = None
        self._told: list[tuple[int, torch.Tensor | float]] = []  # whose numbers were not read yet
        self._losses: dict[int, tuple[float, int]] = {}  # update -> sum of the losses given of it, and how many
        self._stepping = False  # a step, whose closure makes the passes
        self.seconds = 0.0
        self._last = self._opened = self._lasted = 0.0
        self._began: float | None = None
        self._picture: Pictured | None = None
        self._news: list[int] = []  # updates whose losses are not in the picture yet
        self._picture_due = 0.0
        if folder is not None:
            about = f"{type(network).__name__} trained by {type(optimizer).__name__}"
            self._picture = Pictured(Path(folder), name="watch", text=about, lr=None)
            self._picture.send({"kind": "began", "total_steps": total_steps})
        self._hooks: StepHooks | None = StepHooks(
            optimizer, before=self._before, after=self._after, rates=lambda: [g["lr"] for g in optimizer.param_groups]
        )

    def batch(self, loss: torch.Tensor | float, again: BatchLoss | None = None) -> None:
        """Tell it the update's training loss; call it after the backward pass and before the step.

        Told several times before one step, as with accumulated gradients, an update's loss is the mean of them; within
        a step, whose closure is called several times, the first one.

        Args:
            loss: of shape (); its number is read when it is needed.
            again: computes the same batch's loss at the weights of that moment, with its graph: then the critical ratio
                is measured too. It is called at looks only, and what it changes in the network is put back.
        """
        self.note_loss(loss, self.step)
        if again is not None and not callable(again):
            raise UsageError(f"again must be a function that computes the batch's loss, got {type(again).__name__}")
        self._again = again

    def note_loss(self, loss: torch.Tensor | float, step: int) -> None:
        """Take the loss of an update, also of one that was made already."""
        if isinstance(loss, torch.Tensor):
            if loss.numel() != 1:
                raise UsageError(f"loss must be one number, got a tensor of shape {tuple(loss.shape)}")
            loss = loss.detach().reshape(()).clone()
        elif not _is_number(loss):
            raise UsageError(f"loss must be one number, got {loss!r}")
        if not (self._stepping and (step in self._losses or (self._told and self._told[-1][0] == step))):
            self._told.append((step, loss))

    def _read(self) -> None:
        for step, loss in self._told:
            total, times = self._losses.get(step, (0.0, 0))
            self._losses[step] = total + float(loss), times + 1
            if self._picture is not None:
                self._news.append(step)
        self._told.clear()

    @property
    def losses(self) -> np.ndarray:
        """The training loss of each update, float64, up to the last one that was given; nan of others."""
        self._read()
        found = np.full(max(self._losses, default=-1) + 1, np.nan)
        for step, (total, times) in self._losses.items():
            found[step] = total / times
        return found

    def reading(self) -> Reading:
        """What the signals say of the rate, in words; silent where they were not shown to predict.

        Raises:
            UsageError: `total_steps` was not given.
        """
        if self.total_steps is None:
            raise UsageError(UNPLANNED)
        found = self.looked.reading()
        if found.verdict == "silent" and self._rare is not None:
            found = replace(found, because=(*found.because, self._rare))
        return found

    @property
    def _rare(self) -> str | None:
        """Why the last look was long ago, and what makes looks more frequent; None: it was not."""
        share = (self.seconds + self._last) / max(self._lasted, 1e-9)
        if not self.rows or self.step < 2 * (self.rows[-1].step + 1) or share <= self._share:
            return None
        enough = min(1.0, float(f"{3 * share:.1g}"))
        updates = self._last / self._lasted * self.step
        return (
            f"a look takes as long as {updates:.2g} updates here, and all of them together may take "
            f"{self._share:.2g} of the time: calando.watch(…, share={enough:g}) looks more often"
        )

    def __str__(self) -> str:
        """The reading; without the planned length how often it looked."""
        return self.looked.cost if self.total_steps is None else str(self.reading())

    __repr__ = __str__

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write rows and losses as JSON, which `calando explain PATH` draws."""
        write_atomically(Path(path), json.dumps(self.looked.document()).encode())

    @property
    def looked(self) -> Looked:
        """All that was seen."""
        losses = self.losses
        return Looked(
            rows=tuple(self.rows),
            losses=losses,
            method=type(self._probe.optimizer).__name__.lower(),
            untold=tuple(step for step in range(self.step) if step not in self._losses),
            rates=np.array([]),
            total_steps=self.total_steps,
            step=self.step,
            chance=self._chance,
        )

    def close(self) -> None:
        """Look no more, and take the hooks away."""
        self._probe.drop()
        if self._hooks is not None:
            for handle in self._hooks.handles:
                handle.remove()
            self._hooks = None
        if self._picture is not None:
            self._picture.send({"kind": "ended"})
            self._picture = None

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Around the updates

    def _before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._stepping = True
        if self._probe.opened:
            began = time.perf_counter()
            self._probe.before_step(closure=bool(args or kwargs))
            self._last = self._opened + time.perf_counter() - began

    def _after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        again, self._again, self._stepping = self._again, None, False
        made = self.step
        self.step += 1  # also where `again` raises
        now = time.perf_counter()
        if self._began is None:
            self._began = now
        if self._probe.opened:
            self._probe.after_step()
            self._last += self._probe.seconds
            row = self._probe.close(made, batch=again)
            self._read()
            if row is not None:
                self.rows.append(row)
                if self._picture is not None:
                    self._picture.send({"kind": "probe", "step": row.step, "row": row.document()})
            self._last += time.perf_counter() - now
            self.seconds += self._last
        self._lasted = now - self._began
        if self._picture is not None and now >= self._picture_due:
            self._put_in_picture(self._picture)
            self._picture_due = now + PICTURE_SECONDS
            self.seconds += time.perf_counter() - now
        due = self.seconds + self._last <= self._share * self._lasted
        if self.step == FIRST or (self.step > FIRST and due):
            began = time.perf_counter()
            self._probe.open(hooked=False)  # of the update that comes
            if self._hooks is not None:
                self._hooks.run_last(optimizer)
            self._opened = time.perf_counter() - began

    def _put_in_picture(self, picture: Pictured) -> None:
        """Of the losses that were given since the last time the least, the greatest and the last."""
        self._read()
        rate = float(self._probe.optimizer.param_groups[0]["lr"])
        given = {step: self._losses[step][0] / self._losses[step][1] for step in self._news}
        self._news.clear()
        if not self._losses:
            picture.send({"kind": "progress", "step": self.step, "lr": rate, "loss": None})
        ordered = sorted(given, key=lambda step: given[step])
        for step in sorted({*ordered[:1], *ordered[-1:], *([max(given)] if given else [])}):
            picture.send({"kind": "progress", "step": step + 1, "lr": rate, "loss": given[step]})
