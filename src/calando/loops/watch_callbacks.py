"""`calando.watch` as a callback of Lightning and of Transformers' Trainer.

    course = for_lightning()                          or for_transformers()
    Trainer(…, callbacks=[course])
    …                                                 train
    print(course.watch.reading())

What is planned is read from the trainer. Lightning hands over each update's loss; the Trainer hands over means, at
`logging_steps`, each of which stands for the updates since the last one. It does not tell its callbacks of an
exception: `course.watch.close()` then takes the hooks away.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
from torch.optim import Optimizer

from calando.errors import UsageError
from calando.loops.framework_hooks import callback_of
from calando.loops.optimizer_hooks import wrapped
from calando.loops.watch import SHARE, Watch, watch

__all__ = ["for_lightning", "for_transformers"]

LIGHTNINGS = ("lightning.pytorch", "pytorch_lightning")


def for_lightning(*, chance: Any = None, share: float = SHARE) -> Any:
    """A callback whose `watch` looks at the module's training; arguments as of `calando.watch`.

    Raises:
        UsageError: Lightning is not imported.
    """
    package = next((name for name in LIGHTNINGS if name in sys.modules), None)
    if package is None:
        raise UsageError("import lightning, or pytorch_lightning, before its callback is made")
    return callback_of(_LightningHooks, sys.modules[package].Callback)(chance, share)


def for_transformers(*, chance: Any = None, share: float = SHARE) -> Any:
    """A callback for Transformers' Trainer whose `watch` looks at the training; arguments as of `calando.watch`.

    Raises:
        UsageError: Transformers is not imported.
    """
    package = sys.modules.get("transformers")
    if package is None:
        raise UsageError("import transformers before its callback is made")
    return callback_of(_TrainerHooks, package.TrainerCallback)(chance, share)


class _LightningHooks:
    """What Lightning calls; mixed with the callback class of the one that is imported."""

    def __init__(self, chance: Any, share: float) -> None:
        super().__init__()
        self.watch: Watch | None = None
        self._chance, self._share = chance, share
        self._seen = 0  # updates made when the last batch ended

    def on_train_start(self, trainer: Any, module: Any) -> None:
        if len(trainer.optimizers) != 1:
            raise UsageError(
                f"the callback looks at one optimizer, and the module has {len(trainer.optimizers)}: call "
                "calando.watch(network, optimizer) in configure_optimizers, for the one to look at"
            )
        self._close()
        total = trainer.estimated_stepping_batches
        # Of a training that goes on from a checkpoint the start was not seen, so its age here is another.
        planned = int(total) if 0 < total < math.inf and not trainer.global_step else None
        self._seen = 0
        self.watch = watch(
            module, _innermost(trainer.optimizers[0]), total_steps=planned, chance=self._chance, share=self._share
        )

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if self.watch is None:
            return
        # The update was made where this was the last of its batches; it is the one that this loss is of.
        made, self._seen = self.watch.step > self._seen, self.watch.step
        if isinstance(loss, torch.Tensor):
            # Lightning divides by it before the backward pass.
            self.watch.note_loss(loss * trainer.accumulate_grad_batches, self.watch.step - made)

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        self._close()

    def on_train_end(self, trainer: Any, module: Any) -> None:
        self._close()

    def _close(self) -> None:
        if self.watch is not None:
            self.watch.close()


class _TrainerHooks:
    """What Transformers' Trainer calls; mixed with the callback class of the one that is imported."""

    def __init__(self, chance: Any, share: float) -> None:
        super().__init__()
        self.watch: Watch | None = None
        self._chance, self._share = chance, share
        self._logged = 0  # updates whose losses were logged

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self.watch is not None:
            self.watch.close()
        self._logged = 0
        inner = _innermost(given["optimizer"])
        # Of a training that goes on from a checkpoint the start was not seen, so its age here is another.
        planned = int(state.max_steps) or None if not state.global_step else None
        self.watch = watch(given["model"], inner, total_steps=planned, chance=self._chance, share=self._share)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **given: Any) -> None:
        if self.watch is not None and logs and "loss" in logs:
            for step in range(self._logged, self.watch.step):
                self.watch.note_loss(float(logs["loss"]), step)
            self._logged = self.watch.step

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self.watch is not None:
            self.watch.close()


def _innermost(optimizer: Any) -> Optimizer:
    *_, inner = wrapped(optimizer)
    return inner
