"""`calando.watch` as a callback of Lightning and of Transformers' Trainer.

    course = for_lightning()                          or for_transformers()
    Trainer(…, callbacks=[course])
    …                                                 train
    print(course.watch.reading())

What is planned is read from the trainer. Lightning hands over each update's loss; the Trainer hands over means, at
`logging_steps`, each of which stands for the updates since the last one.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
from torch.optim import Optimizer

from calando.errors import UsageError
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
    base: Any = sys.modules[package].Callback

    class CalandoWatch(base):  # type: ignore[misc]
        watch: Watch | None = None

        def on_train_start(self, trainer: Any, module: Any) -> None:
            if len(trainer.optimizers) != 1:
                raise UsageError(f"watch looks at one optimizer, and the module has {len(trainer.optimizers)}")
            total = trainer.estimated_stepping_batches
            planned = int(total) if 0 < total < math.inf else None
            self.watch = watch(
                module, _innermost(trainer.optimizers[0]), total_steps=planned, chance=chance, share=share
            )

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
            loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
            if self.watch is not None and isinstance(loss, torch.Tensor):
                # Lightning divides by it before the backward pass.
                self.watch.batch(loss * trainer.accumulate_grad_batches)

        def on_train_end(self, trainer: Any, module: Any) -> None:
            if self.watch is not None:
                self.watch.close()

    return CalandoWatch()


def for_transformers(*, chance: Any = None, share: float = SHARE) -> Any:
    """A callback for Transformers' Trainer whose `watch` looks at the training; arguments as of `calando.watch`.

    Raises:
        UsageError: Transformers is not imported.
    """
    package = sys.modules.get("transformers")
    if package is None:
        raise UsageError("import transformers before its callback is made")
    base: Any = package.TrainerCallback

    class CalandoWatch(base):  # type: ignore[misc]
        watch: Watch | None = None
        _told = 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            inner = _innermost(given["optimizer"])
            planned = int(state.max_steps) or None
            self.watch = watch(given["model"], inner, total_steps=planned, chance=chance, share=share)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **given: Any) -> None:
            if self.watch is not None and logs and "loss" in logs:
                for _ in range(self.watch.step - self._told):
                    self.watch.batch(float(logs["loss"]))
                self._told = self.watch.step

        def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            if self.watch is not None:
                self.watch.close()

    return CalandoWatch()


def _innermost(optimizer: Any) -> Optimizer:
    *_, inner = wrapped(optimizer)
    return inner
