"""A run in a person's own training code: the handle that `calando.run` gives (`run_start`).

    run = calando.run("cosine", lr=0.1)        alone: this strategy; under `calando compare`: the one that is asked
    run.seed, run.epochs(10), run.total_steps  what the study asks; alone, what the code says
    run.follow(network, …)                     the whole strategy; run.scheduler(optimizer, …): its rate alone
    run.keep(model=model, training=training)   then a killed run goes on where it stood
    run.report(score)                          the validation score; run.finish(test=…) at the end

The code works by itself; a study starts it many times, each in a process of its own, and asks each time for another
strategy and seed. Of several ranks all follow the same strategy; the first one reports and keeps.

What it is made of: what is asked and reported (`run_channel`), the strategy at work (`run_strategy`), loops
(`run_loops`), checkpoints (`run_keeping`), what was done so far (`run_trace`) and what is left (`run_result`).
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeVar, final

import torch
from torch import nn
from torch.optim import Optimizer

from calando.errors import UsageError
from calando.loops.follow import Following
from calando.loops.kept_state import seed_generators
from calando.loops.ranks import agreed, rank
from calando.loops.reported_rate import ReportedRate
from calando.loops.run_channel import Assignment, Channel, Direct
from calando.loops.run_inputs import number, seconds
from calando.loops.run_keeping import Keeping
from calando.loops.run_loops import Epochs, Steps
from calando.loops.run_result import Look
from calando.loops.run_strategy import AtWork, Length
from calando.loops.run_trace import LARGEST, Trace
from calando.range_test.loss import Forward
from calando.records import StrategySpec

__all__ = ["Goal", "Run", "RunOver"]

STOPPED_STATUS = 75  # as sysexits.h's EX_TEMPFAIL: ask again
SAID_SECONDS = 0.1

Item = TypeVar("Item")
Goal = Literal["max", "min"]


class RunOver(SystemExit):
    """The run is over before its code is: a study stopped it, has seen enough of it, or it diverged."""


@final
class Run:
    """Handle of a run in your own training code; from `calando.run`, or the argument of a function that is compared.

    Args:
        strategy: the strategy to train with.
        asked: its seed, length and files.
        channel: connection to the study.
        alone: whether no study asked for the run.
    """

    def __init__(self, strategy: StrategySpec, asked: Assignment, channel: Channel, *, alone: bool = False) -> None:
        self.strategy, self.asked, self.alone = strategy, asked, alone
        self.over = self.stopped = False
        self.goal: Goal = "min" if asked.goal == "min" else "max"
        self.unit, self._goal_given = asked.unit, bool(asked.goal)
        self._channel, self._sent = channel, 0.0
        self._trace, self._keeping = Trace(), Keeping(self.folder)
        self._work = AtWork(strategy, asked, began=self._began, updated=self._updated)
        seed_generators(asked.seed)
        channel.send({"kind": "hello", "rank": rank(), "pid": os.getpid()})

    def judged_by(self, goal: Goal | None, unit: str | None) -> Run:
        """Take the goal and unit that the code states, unless the study states others."""
        self._goal_given = self._goal_given or goal is not None
        self.goal = self.goal if self.asked.goal or goal is None else goal
        self.unit = self.unit if self.asked.unit or unit is None else unit
        return self

    def __repr__(self) -> str:
        """The strategy, the seed, how far it is, and the score that was reported last."""
        length = self.total_steps or self.asked.total_steps
        far = f"{self.step} of {length}" if length else str(self.step)
        score = "".join(f", {self.unit or 'score'} {look.score:.4g}" for look in self._trace.looks[-1:])
        return f"run of {self.strategy.name}, seed {self.seed}: update {far}{score}"

    # What is asked

    @property
    def seed(self) -> int:
        """Seed for every generator of the code: `torch.manual_seed(run.seed)`."""
        return self.asked.seed

    @property
    def stopping(self) -> bool:
        """Whether the study asks the run to save its state and end; `checkpoint` does both."""
        return self._channel.is_asked_to_stop()

    @property
    def step(self) -> int:
        """Updates made so far."""
        return self._work.step

    @property
    def folder(self) -> Path | None:
        """The run's own folder, for any files. None: a run without one, or a study's first look at the code."""
        return Path(self.asked.folder) if self.asked.folder and not self.asked.look else None

    @property
    def kept_step(self) -> int:
        """Updates made at the checkpoint that this run resumed from; 0: it started from the beginning."""
        return self._keeping.step

    @property
    def total_steps(self) -> int | None:
        """The horizon in updates, from the study or from the code. None: neither has stated it yet."""
        return self._work.total_steps

    @property
    def lr(self) -> float:
        """The rate of the next update, for code that sets it by hand.

        Raises:
            UsageError: the horizon or the base rate is unknown.
        """
        return self._work.lr

    def value(self, name: str, usual: float) -> float:
        """Another number of the training, which a strategy may set and schedule: `own(lr=auto, dropout=0.2)`.

        Args:
            name: its name in strategy texts.
            usual: its value where the strategy does not set it.
        """
        return self._work.value(name, usual)

    def epochs(self, usual: int) -> Epochs:
        """The epochs to train: `usual`, or as many as a study asks for; resumes after the last checkpoint.

        At the end of each epoch it saves what `keep` names, and stops there if the study asks for it.

        >>> import calando
        >>> len(calando.run("cosine", lr=0.1).epochs(10))
        10
        """
        return Epochs(self._work.count_epochs(usual), self._work, self._keeping, self._between)

    def steps(self, usual: int) -> Steps:
        """The updates to make, by number: `usual`, or as many as a study asks for; resumes as `epochs` does."""
        return Steps(self._work.count_steps(usual), self._work, self._keeping, self._between, self._updated)

    def batches(self, loader: Iterable[Item]) -> Iterator[Item]:
        """The batches of an epoch. With it, checkpoints may be made within an epoch, and a run resumes at its batch.

        The earlier batches are read again without training on them, so that every generator has the same state.
        """
        work = self._work
        return self._keeping.batches(loader, step=lambda: work.step, between=lambda: self._between(within=True))

    # The strategy

    def follow(
        self,
        network: nn.Module,
        *,
        total_steps: int,
        steps_per_epoch: int | None = None,
        chance: float | torch.Tensor | Sequence[int] | None = None,
    ) -> Following:
        """Train a network with the whole strategy; see `calando.follow` for the arguments.

        Of several networks each follows the strategy; the updates of the first are counted.

        Raises:
            UsageError: the study asks for another number of updates than `total_steps`.
        """
        return self._work.follow(network, total_steps=total_steps, steps_per_epoch=steps_per_epoch, chance=chance)

    def scheduler(self, optimizer: Optimizer, *, total_steps: int, steps_per_epoch: int | None = None) -> ReportedRate:
        """Let your own optimizer follow the strategy's rate; `step()` may be called after each update, or never.

        A study centres its trials on the rate that the optimizer was made with; groups keep their ratios. Of several
        optimizers each follows the rate; the updates of the first are counted.

        Raises:
            UsageError: the strategy is more than a rate and its schedule, or `calando.attach` would raise it.
        """
        return self._work.schedule(optimizer, total_steps=total_steps, steps_per_epoch=steps_per_epoch)

    def _began(self, length: Length) -> None:
        """The length is known."""
        judged = {"goal": self.goal, "goal_given": self._goal_given, "unit": self.unit}
        self._tell({"kind": "began", "epochs": self._work.epochs_in_all, **asdict(length), **judged})

    def _updated(self, rate: float) -> None:
        """After an update."""
        step = self.step
        if not self._trace.update(step, rate):
            return
        if self.asked.look and step >= min(self.asked.look, self.total_steps or 1):
            self._end_look()
        now = time.monotonic()
        if now - self._sent < SAID_SECONDS:
            return
        self._sent = now
        # The update's own loss is mostly reported after it.
        known = next(filter(math.isfinite, self._trace.losses[:-3:-1]), None)
        self._channel.send({"kind": "progress", "step": step, "lr": rate, "loss": known})  # every rank: see `stopping`
        if self.stopping and not self._keeping.saves_within:
            self._leave("stopped")

    def _tell(self, report: dict[str, Any]) -> None:
        """Report what every rank knows: of several ranks the first one does."""
        if rank() == 0:
            self._channel.send(report)

    def evaluated(
        self, batches: Iterable[Any] | None = None, *, forward: Forward | None = None
    ) -> AbstractContextManager[None]:
        """Put the weights to evaluate into the first network that follows; see `Following.evaluated`."""
        return self._work.evaluated(batches, forward=forward)

    # Results

    def observe(self, *, loss: float | torch.Tensor) -> None:
        """Report the training loss of the last update; it is plotted, and controllers such as `rollback` use it."""
        value = self._work.agree_on_loss(number("run.observe: loss", loss))
        self._trace.loss(value)
        for events in self._work.observe(value):
            self._trace.note(self.step, events)

    def report(self, score: float | torch.Tensor, *, loss: float | torch.Tensor | None = None, **others: float) -> None:
        """Report the validation score of the current weights; call it after each epoch.

        Args:
            score: the number that is judged, in your own unit.
            loss: validation loss, which `plateau` reacts to.
            others: any other numbers, stored with it.

        Raises:
            UsageError: a value is not a number.
        """
        value = number("run.report: score", score)
        given = None if loss is None else number("run.report: loss", loss)
        if self.asked.look:
            self._end_look()
        value, given = self._work.agree_on_report(value, given)
        numbers = {name: number(f"run.report: {name}", one) for name, one in others.items()}
        broken = self._work.broken
        self._trace.look(Look(self.step, value, given, numbers))
        self._tell({"kind": "score", "step": self.step, "score": value, "loss": given})
        for events in self._work.answer(value if self.goal == "max" else -value, given):
            self._trace.note(self.step, events)
        why = broken or self._work.stopped or ("" if abs(value) < LARGEST else f"the score is {value}")
        if why:
            self._diverge(why)

    def _diverge(self, why: str) -> None:
        self._trace.diverged = why
        if self.alone:
            print(f"calando: the run diverged: {why}", file=sys.stderr)
            return
        self._write_result()
        self._leave("finished")

    def finish(self, *, test: float | torch.Tensor | None = None) -> None:
        """End the run. A study reads `test` once, after every choice is made.

        Args:
            test: score on data that were never used for a choice.
        """
        if test is not None:
            found = self._trace.test = number("run.finish: test", test)
            if not abs(found) < LARGEST and not self.over and not self.asked.look:
                self._diverge(f"the test score is {found}")
        if not self.over:
            self.close()

    def close(self) -> None:
        """Write the result, once. A run that is alone and has no folder writes none.

        Raises:
            UsageError: the code ended before its horizon, or reported no score.
        """
        if self.over:
            return
        if self.asked.look:  # it ended before it had shown enough
            self.over = True
            self._channel.send({"kind": "ended", "status": "finished"})
            return
        if not self.alone:
            total = self.total_steps
            if not self._trace.looks and rank() == 0:
                raise UsageError("the run reports no score: call run.report(score) after each epoch")
            if total is not None and self.step != total and not self._trace.diverged:
                made = f"ended after {self.step} of" if self.step < total else f"made {self.step} updates instead of"
                raise UsageError(f"the run {made} {total} updates; total_steps must be what the code trains")
        self._write_result()
        self.over = True
        self._channel.send({"kind": "ended", "status": "finished"})

    def _write_result(self) -> None:
        if self.asked.folder and rank() == 0:
            result = self._trace.result(step=self.step, second_passes=self._work.second_passes)
            result.write(Path(self.asked.folder))

    def keep(
        self,
        *,
        save: Callable[[Path], object] | None = None,
        load: Callable[[Path], object] | None = None,
        every: str | float = 0.0,
        every_rank: bool = False,
        between_steps: bool = False,
        **objects: Any,
    ) -> None:
        """Say what a checkpoint holds. If there is one, it is loaded now, and `epochs` resumes after it.

        Args:
            save, load: functions that write and read your own files in a folder, instead of `objects` or with them.
            every: least time between two checkpoints, in seconds or as "60 s". 0: at the end of each epoch, and every
                20 s of a loop over `steps`.
            every_rank: whether every rank calls `save`, as sharded states and `accelerator.save_state` need it, not
                only the first. Generators of every rank are saved in any case.
            between_steps: the code calls `checkpoint` after any update, as a framework's callback may.
            objects: objects with `state_dict` and `load_state_dict`, what `follow` returned, a `torch.Generator`.

        Raises:
            UsageError: an object has no state, `save` has no `load`, or the checkpoint does not fit the objects.
            CorruptFile: the checkpoint is damaged.
        """
        mine = self._keeping.begin(objects, save=save, load=load, every=seconds(every), every_rank=every_rank)
        self._keeping.by_steps = between_steps
        if mine is not None:
            self._work.by_hand = mine["step"]
            self._trace.take(mine)

    def checkpoint(self) -> None:
        """Save if it is due, and end here if the study asks for it. For a framework's loop, at the end of an epoch.

        `epochs`, `steps` and `batches` call it themselves. Each of several ranks must call it.
        """
        self._between()

    def go_on(self) -> None:
        """Restore the generators to their state at the checkpoint. For a framework's loop that resumes from one.

        It may be called again until the next checkpoint is made.
        """
        self._keeping.put_back_again()

    def wants_checkpoint(self, *, within: bool = False, least: float = 0.0) -> bool:
        """Whether to save now: it is due, or the study asks for the end or the final weights; equal on all ranks.

        Args:
            within: whether this is within an epoch, where checkpoints are made only as `every` says.
            least: seconds between two checkpoints if `keep` was given no `every`.
        """
        # The weights at the end are asked for: whatever `every` says, they are saved.
        last = self.asked.leave and self.step == self.total_steps
        return self._keeping.is_due(stopping=self.stopping or last, within=within, least=least)

    def _between(self, *, within: bool = False, least: float = 0.0) -> None:
        """Between two batches, steps or epochs: save what is due, stop where that is asked; as `wants_checkpoint`."""
        if not self.wants_checkpoint(within=within, least=least):
            return
        self._keeping.write(self._trace.document(), step=self.step)
        if agreed(self.stopping):
            self._leave("stopped")

    def _end_look(self) -> None:
        """A look has seen enough: report a digest of the weights."""
        self._tell({"kind": "looked", "step": self.step, "digest": self._work.digest()})
        self._leave("finished")

    def _leave(self, status: str) -> None:
        """End the code here: this process, or the function."""
        self.over, self.stopped = True, status == "stopped"
        # The first rank has said all that there is to say: the study need not wait for the others.
        self._channel.send({"kind": "ended", "status": status, "whole": rank() == 0 and status == "finished"})
        if isinstance(self._channel, Direct):
            raise RunOver(0)
        # Not an exception: frameworks catch some, and a rank that unwinds waits for the others.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(STOPPED_STATUS if status == "stopped" else 0)

    def fail(self) -> None:
        """Report that the code has failed; there is no result."""
        self.over = True
        self._channel.send({"kind": "ended", "status": "failed"})
