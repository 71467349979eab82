"""A run in Lightning's own loop: a callback, and `configure_optimizers` from it.

    course = lightning.callback(run, score="val_loss")
    def configure_optimizers(self):                                   in the module: the strategy's optimizer, and a
        return course.configure_optimizers(self)                      scheduler that counts updates and shows their rate
    trainer = Trainer(max_epochs=len(run.epochs(10)), callbacks=[course])
    trainer.fit(module, …, ckpt_path=course.ckpt_path)                goes on after the last checkpoint
    run.finish()

    after each validation    the score is reported, of the weights that the strategy judges
    at each epoch's end      Lightning's own checkpoint is kept, with the states of the generators

Lightning is `lightning` or `pytorch_lightning`, whichever the code has imported.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from calando.errors import UsageError, quote
from calando.loops.framework_hooks import FrameworkHooks, callback_of
from calando.loops.run_handle import Run
from calando.range_test.loss import Forward

__all__ = ["callback"]

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
FILE = "lightning.ckpt"


def callback(
    run: Run, *, score: str, loss: str | None = None, every: str | float = 0.0, forward: Forward | None = None
) -> Any:
    """A Lightning callback that reports, keeps and stops `run`, and whose `configure_optimizers` follows its strategy.

    Its `ckpt_path` is for `trainer.fit`: the checkpoint to go on from, or None.

    Args:
        score, loss: what validation logs under these names is judged, and what a plateau answers to.
        every: least time between two checkpoints, as for `run.keep`.
        forward: as for `Following.evaluated`, where the network has batch normalisation and is judged with other
            weights than it trains, and its `forward` does not take a batch's inputs.

    Raises:
        UsageError: Lightning is not imported.
    """
    package = next((name for name in PACKAGES if name in sys.modules), None)
    if package is None:
        raise UsageError("import lightning, or pytorch_lightning, before its callback is made")
    made = callback_of(_Hooks, sys.modules[package].Callback)
    return made(run, score=score, loss=loss, every=every, forward=forward)


class _Hooks(FrameworkHooks):
    """What Lightning calls; mixed with the callback class of the Lightning that is imported."""

    ckpt_path: str | None = None
    _trainer: Any = None
    _resuming = False

    def configure_optimizers(self, module: Any, optimizer: Optimizer | None = None) -> dict[str, Any]:
        """What the module's `configure_optimizers` returns: it follows the whole strategy, or its rate alone.

        Args:
            module: the LightningModule.
            optimizer: one of your own; then the strategy says the rate alone.

        Raises:
            UsageError: the trainer has no end; as `run.follow` and `run.scheduler`.
        """
        trainer = module.trainer
        total = trainer.estimated_stepping_batches
        if not 0 < total < math.inf:
            raise UsageError("the trainer has no end: pass Trainer(max_epochs=len(run.epochs(10)))")
        batches = trainer.num_training_batches
        per_epoch = None if batches == math.inf else math.ceil(batches / trainer.accumulate_grad_batches)
        if optimizer is None:
            training = self.run.follow(module, total_steps=int(total), steps_per_epoch=per_epoch)
            optimizer, scheduler = training.optimizer, training.scheduler
        else:
            scheduler = self.run.scheduler(optimizer, total_steps=int(total), steps_per_epoch=per_epoch)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    # What Lightning calls

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Check that a run that was resumed is the one that is trained."""
        self._trainer = trainer
        if self._resuming and trainer.global_step == 0:
            raise UsageError(
                f"the run goes on from a checkpoint after {self.run.kept_step} updates: "
                "trainer.fit(…, ckpt_path=course.ckpt_path), where course is the callback"
            )

    def on_validation_start(self, trainer: Any, module: Any) -> None:
        """Put the weights to judge into the module."""
        if _is_judged(trainer):
            self._judging.enter_context(self._evaluated(trainer.train_dataloader))

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Report the score."""
        if not _is_judged(trainer):
            return
        self._judging.close()
        self._report(trainer.callback_metrics)

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        """Draw as after the checkpoint that the run goes on from."""
        if self._resuming:
            self.run.go_on()
            # Lightning drew the order of this epoch when it was set up, which was before the generators stood where
            # they stood at the checkpoint.
            if getattr(trainer.fit_loop, "is_resuming", False):
                iter(trainer.fit_loop._data_fetcher)

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """What the checkpoint held is in use."""
        self._resuming = False

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Save and stop; going on, Trainer(max_steps=) ends the epoch before once more, without a batch."""
        if self._resuming:
            self.run.go_on()
        else:
            self.run.checkpoint()

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        """Put the trained weights back."""
        self._judging.close()

    @contextmanager
    def _evaluated(self, batches: Any) -> Iterator[None]:
        """As `Run.evaluated`; tensors that are made here are trained on, and Lightning validates in inference mode."""
        judged = self.run.evaluated(batches, forward=self._forward)
        with torch.inference_mode(False), torch.no_grad():
            judged.__enter__()
        try:
            yield
        finally:
            with torch.inference_mode(False), torch.no_grad():
                judged.__exit__(None, None, None)

    def _absent(self, name: str, metrics: Mapping[str, Any]) -> UsageError:
        return UsageError(
            f"validation logs no {quote(name)}, which is to be judged; it logs {', '.join(metrics) or 'nothing'}: "
            f"self.log({quote(name)}, …) in validation_step"
        )

    def _save(self, folder: Path) -> None:
        self._trainer.save_checkpoint(folder / FILE, weights_only=False)

    def _load(self, folder: Path) -> None:
        self.ckpt_path, self._resuming = str(folder / FILE), True


def _is_judged(trainer: Any) -> bool:
    """Whether a validation is one of the training, and not Lightning's trial of it, or the person's own."""
    return trainer.state.fn == "fit" and not trainer.sanity_checking
