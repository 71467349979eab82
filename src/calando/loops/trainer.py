"""A run in the loop of Transformers' Trainer: a callback; the optimizer and its rate are those of `run.follow`.

    arguments = TrainingArguments("out", max_steps=len(run.steps(1000)), seed=run.seed, eval_strategy="steps")
    training = run.follow(model, total_steps=arguments.max_steps)
    course = trainer.callback(run, score="eval_loss")
    Trainer(model, arguments, …, optimizers=(training.optimizer, training.scheduler), callbacks=[course]).train(
        resume_from_checkpoint=course.checkpoint)           goes on after the last checkpoint
    run.finish()

    after each evaluation    the score is reported, of the weights that the strategy judges
    at each epoch's end      the Trainer's own checkpoint is kept; after any update where the study stops the run, or
                             where the time between two checkpoints is over

Under a study the Trainer writes into the run's own folder instead of `output_dir`, where runs would meet.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calando.errors import UsageError, quote
from calando.loops.framework_hooks import FrameworkHooks, callback_of
from calando.loops.ranks import gathered, rank
from calando.loops.run_handle import Run
from calando.range_test.loss import Forward

__all__ = ["callback"]

FOLDER = "trainer"


def callback(
    run: Run, *, score: str, loss: str | None = None, every: str | float = 0.0, forward: Forward | None = None
) -> Any:
    """A callback for Transformers' Trainer that reports, keeps and stops `run`.

    Its `checkpoint` is for `Trainer.train(resume_from_checkpoint=…)`: the folder to go on from, or None.

    Args:
        score, loss: which of the evaluation's metrics is judged, as "eval_loss", and what a plateau answers to.
        every: least time between two checkpoints, as for `run.keep`; with it they are made within epochs too.
        forward: as for `Following.evaluated`, where the network has batch normalisation, is judged with other weights
            than it trains, and does not take a batch's entries by name.

    Raises:
        UsageError: Transformers is not imported.
    """
    package = sys.modules.get("transformers")
    if package is None:
        raise UsageError("import transformers before its callback is made")
    made = callback_of(_Hooks, package.TrainerCallback)
    return made(run, score=score, loss=loss, every=every, forward=forward)


class _Hooks(FrameworkHooks):
    """What the Trainer calls; mixed with Transformers' callback class."""

    _between_steps = True
    checkpoint: str | None = None
    _written = Path()
    _is_training = False

    def on_init_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Check the seed, and let the Trainer write into the run's folder."""
        if args.seed != self.run.seed:
            raise UsageError(
                f"the Trainer seeds every generator with {args.seed}, and this run has seed {self.run.seed}: "
                "TrainingArguments(…, seed=run.seed)"
            )
        if self.run.folder is not None:
            args.output_dir = str(self.run.folder / FOLDER)

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Check that what is trained is what was followed, from where it was kept."""
        total = self.run.total_steps
        if total is not None and state.max_steps != total:
            raise UsageError(
                f"the Trainer makes {state.max_steps} updates, and the strategy is for {total}: give both the same, as "
                "TrainingArguments(max_steps=…) and run.follow(total_steps=…)"
            )
        if self.checkpoint is not None and state.global_step == 0:
            raise UsageError(
                f"the run goes on from a checkpoint after {self.run.kept_step} updates: "
                "Trainer.train(resume_from_checkpoint=course.checkpoint), where course is the callback"
            )
        self._is_training = True

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Ask for a checkpoint where one is due; before an evaluation, put the weights to judge into the model."""
        # At an epoch's last update the evaluation of the epoch is still to come.
        if not float(state.epoch).is_integer() and self.run.wants_checkpoint(within=True):
            control.should_save = True
        self._before_evaluation(state, control, others.get("train_dataloader"))

    def on_epoch_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """As after a step."""
        if self.run.wants_checkpoint():
            control.should_save = True
        self._before_evaluation(state, control, others.get("train_dataloader"))

    def on_evaluate(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Report the score; an evaluation that the person makes after training is theirs."""
        self._judging.close()
        if self._is_training:
            self._report(others["metrics"])

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Keep the checkpoint that the Trainer has written, and stop here if the study asks for it."""
        self._written = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self.run.checkpoint()
        if args.save_strategy == "no":
            gathered(None)
            shutil.rmtree(self._written, ignore_errors=True)  # only the run asked for it

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """The run is over, but for what is done with the model afterwards."""
        self._is_training = False

    def _before_evaluation(self, state: Any, control: Any, batches: Any) -> None:
        if not control.should_evaluate:
            return
        # Accelerate's loader numbers its orders, and starts with 0 again where a run goes on: statistics of the weights
        # to judge would be those of other batches.
        number = getattr(batches, "iteration", None)
        if number is not None:
            batches.set_epoch(int(state.epoch))
        self._judging.enter_context(self.run.evaluated(batches, forward=self._forward))
        if number is not None:
            batches.set_epoch(number)

    def _save(self, folder: Path) -> None:
        gathered(None)  # each rank has written its part
        if rank() == 0:
            shutil.copytree(self._written, folder, dirs_exist_ok=True, copy_function=_link)

    def _load(self, folder: Path) -> None:
        self.checkpoint = str(folder)

    def _absent(self, name: str, metrics: Mapping[str, Any]) -> UsageError:
        return UsageError(
            f"evaluation gives no {quote(name)}, which is to be judged; it gives {', '.join(metrics)}: see "
            "Trainer(compute_metrics=…)"
        )


def _link(source: str, target: str) -> None:
    """A second name for a file that is not written to again; a copy where there are no such names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
