"""A run in a person's own training code: `calando.run`.

    run = calando.run("cosine", lr=0.1)        alone: this strategy; under `calando compare`: the one that is asked
    run.seed, run.epochs(10), run.total_steps  what the study asks; alone, what the code says
    run.follow(network, …)                     the whole strategy; run.scheduler(optimizer, …): its rate alone
    run.keep(model=model, training=training)   then a killed run goes on where it stood
    run.report(score)                          the validation score; run.finish(test=…) at the end

The code works by itself; a study starts it many times, each in a process of its own, and asks each time for another
strategy and seed (`calando.loops.run_channel`). What a run gave lies in its folder (`calando.loops.run_result`). Of
several ranks all follow the same strategy; the first one reports and keeps.
"""

from __future__ import annotations

import atexit
import hashlib
import math
import multiprocessing
import operator
import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeVar, final

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from calando.errors import UsageError, quote
from calando.loops.attach import attach
from calando.loops.follow import Following, follow
from calando.loops.kept_state import generators, read_kept, set_generators, write_kept
from calando.loops.ranks import agreed, gathered, leave, rank, world_size
from calando.loops.reported_rate import ReportedRate
from calando.loops.run_channel import Alone, Assignment, Channel, Connected, Direct, assigned
from calando.loops.run_result import Look, RunResult
from calando.methods.method import OWN
from calando.range_test.loss import Forward
from calando.records import StrategySpec
from calando.records.spec import Lane
from calando.schedules import Horizon
from calando.strategy import at_rate, bind, read_strategy
from calando.strategy.own_form import in_own_form
from calando.training.lane import describe_host
from calando.training.network_statistics import network_broken

__all__ = ["Run", "RunOver", "active", "run"]

STOPPED_STATUS = 75  # as sysexits.h's EX_TEMPFAIL: ask again
SAID_SECONDS = 0.1
STEPS_SECONDS = 20.0
"""Between two checkpoints of a loop over `run.steps`, which has no epochs, unless `keep` is told otherwise."""
MOST_LENGTH = 2**53
LARGEST = 1e150
"""A score beyond it counts as infinite: the square of a difference would be."""

LOOK = StrategySpec(name="look", method=OWN.name)

Item = TypeVar("Item")
Goal = Literal["max", "min"]


class RunOver(SystemExit):
    """The run is over before its code is: a study stopped it, has seen enough of it, or it diverged."""


_active: list[Run] = []
_asked_here: dict[int, Run] = {}
"""By process: the run that a study asked this script for. A forked process has its own."""


def run(
    strategy: str | os.PathLike[str] | StrategySpec = "cosine",
    *,
    lr: float | None = None,
    seed: int = 0,
    goal: Goal | None = None,
    unit: str | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Run:
    """The handle of this run: alone with the strategy given here, under `calando compare` with the one that is asked.

    Python's, NumPy's and torch's generators are seeded with the run's seed.

    Args:
        strategy: a preset's or a schedule's name, a text or a file, as `calando.follow` takes them.
        lr: the base rate, where the strategy leaves it open.
        seed: `Run.seed` of a run alone.
        goal: "max" (the default) or "min": whether a higher or a lower score is better.
        unit: of the score, as "%", "RMSE" or "BLEU"; scores are shown as they are reported, with the unit behind.
        folder: where a run alone keeps its checkpoint and leaves its result; None: nowhere.

    Raises:
        UsageError: a strategy that is none; a goal that is neither.

    >>> import torch, calando
    >>> handle = calando.run("cosine", lr=0.1)
    >>> model = torch.nn.Linear(2, 1)
    >>> training = handle.follow(model, total_steps=4)
    >>> for epoch in handle.epochs(4):
    ...     model(torch.ones(8, 2)).square().mean().backward()
    ...     training.optimizer.step()
    ...     training.optimizer.zero_grad()
    ...     handle.report(1 - epoch / 4)
    >>> handle.step
    4
    """
    if goal not in (None, "max", "min"):
        raise UsageError(f'goal must be "max" or "min": whether a higher or a lower score is better; got {quote(goal)}')
    if unit is not None and not isinstance(unit, str):
        raise UsageError(f'unit must be a text, such as "%" or "RMSE", got {quote(unit)}')
    if _active and not _active[-1].over:
        return _active[-1].judged_by(goal, unit)
    asked = assigned()
    if asked is None:
        if not isinstance(strategy, StrategySpec | str | os.PathLike):
            raise UsageError(f"calando.run: strategy must be a preset's name, a text or a file, got {quote(strategy)}")
        lr, seed = None if lr is None else _number("calando.run: lr", lr), _seed(seed)
        spec = strategy if isinstance(strategy, StrategySpec) else read_strategy(os.fspath(strategy))
        alone = Assignment(strategy="", seed=seed, folder="" if folder is None else str(folder))
        spec = spec if lr is None or spec.lr is not None else at_rate(spec, lr)
        return Run(spec, alone, Alone(), alone=True).judged_by(goal, unit)
    spec = StrategySpec.model_validate_json(asked.strategy)
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A process that a data loader spawns imports the script once more: that is no run.
        return Run(spec, replace(asked, folder="", address="", look=0), Alone()).judged_by(goal, unit)
    earlier = _asked_here.get(os.getpid())
    if earlier is not None and earlier.over:
        raise UsageError(
            "the study asks this script for one run, and it has made it: train the second one in a script of its own"
        )
    if earlier is not None:
        return earlier.judged_by(goal, unit)
    handle = _asked_here[os.getpid()] = Run(spec, asked, Connected(asked.address) if asked.address else Alone())
    handle.watch_exit()
    return handle.judged_by(goal, unit)


@contextmanager
def active(spec: StrategySpec, asked: Assignment, hear: Callable[[Any], bool]) -> Iterator[Run]:
    """A run of a function in this process: `calando.run` in it gives the same handle."""
    handle = Run(spec, asked, Direct(hear))
    _active.append(handle)
    try:
        yield handle
    finally:
        _active.remove(handle)


@final
class Run:
    """What a person's own training code is given; made by `calando.run`, or given to a function that is compared.

    Args:
        strategy: the one that is trained with.
        asked: its seed and length, and where its files lie.
        channel: to the study.
        alone: no study asked for it.
    """

    def __init__(self, strategy: StrategySpec, asked: Assignment, channel: Channel, *, alone: bool = False) -> None:
        self.strategy, self.asked, self.alone = strategy, asked, alone
        self.over = self.stopped = False
        self.goal: Goal = "min" if asked.goal == "min" else "max"
        self.unit = asked.unit
        self._channel, self._began, self._said = channel, time.monotonic(), 0.0
        self._carried = 0.0  # seconds before a kill
        self._attached = False  # an optimizer of the code's own follows
        self._horizon: Horizon | None = None
        self._known = False  # its length, to the study
        self._looping = self._looped = False
        self._followed: list[Following] = []
        self._weights: Callable[[], Iterable[torch.Tensor]] = tuple
        self._count: Callable[[], int] = lambda: self._own_step
        self._own_step = 0
        self._rates: list[float] = []
        self._losses: list[float] = []
        self._looks: list[Look] = []
        self._events: list[tuple[int, str, str]] = []
        self._test: float | None = None
        self._diverged = ""
        self._epochs_in_all: int | None = None
        self._steps_in_all: int | None = None
        self._goal_given = bool(asked.goal)
        # What is kept, and where the loop stands.
        self._kept: dict[str, Any] = {}
        self._save: Callable[[Path], object] | None = None
        self._saves_everywhere = False
        self.stops_between_steps = False  # a framework's callback saves and stops after any update
        self._every, self._saved = 0.0, time.monotonic()
        self._epoch = self._batch = self._kept_step = 0
        self._by_steps = False  # the loop is over `steps`
        self._restored: dict[str, Any] | None = None
        self._epoch_start: dict[str, Any] | None = None
        self.seed_everything()
        channel.send({"kind": "hello", "rank": rank(), "pid": os.getpid()})

    def judged_by(self, goal: Goal | None, unit: str | None) -> Run:
        """Take the goal and unit that the code says, unless the study says others."""
        self._goal_given = self._goal_given or goal is not None
        self.goal = self.goal if self.asked.goal or goal is None else goal
        self.unit = self.unit if self.asked.unit or unit is None else unit
        return self

    def __repr__(self) -> str:
        """The strategy, the seed, and how far it is."""
        length = self.total_steps or self.asked.total_steps
        of = f" of {length}" if length else ""
        return f"run of {self.strategy.name}, seed {self.seed}: update {self.step}{of}"

    # What is asked

    @property
    def seed(self) -> int:
        """For every generator that the code has: `torch.manual_seed(run.seed)`."""
        return self.asked.seed

    def seed_everything(self) -> None:
        """Seed Python's, NumPy's and torch's generators with `seed`."""
        torch.manual_seed(self.seed)
        np.random.seed(self.seed & 0xFFFFFFFF)
        random.seed(self.seed)

    @property
    def first_rank(self) -> bool:
        """Whether this process reports and keeps: of several ranks the first one does."""
        return rank() == 0

    @property
    def stopping(self) -> bool:
        """The study asks the run to save its state and end: `checkpoint` does both."""
        return self._channel.is_asked_to_stop()

    @property
    def step(self) -> int:
        """Updates made so far."""
        return self._count()

    @property
    def folder(self) -> Path | None:
        """This run's own, for whatever its code writes; None for a run alone that was given none, and for a look."""
        return Path(self.asked.folder) if self.asked.folder and not self.asked.look else None

    @property
    def kept_step(self) -> int:
        """Updates made at the checkpoint that this run goes on from; 0: it began at the start."""
        return self._kept_step

    @property
    def total_steps(self) -> int | None:
        """The horizon in updates: what a study asks for, or what the code has said; None: neither."""
        if self._horizon is not None:
            return self._horizon.total_steps
        return self.asked.total_steps or self.asked.steps

    @property
    def lr(self) -> float:
        """The rate of the next update, for code that sets it by hand.

        Raises:
            UsageError: the horizon or the base rate is unknown.
        """
        if self.strategy.lr is None:
            raise UsageError(f"{self.strategy.name} leaves its rate to trials: pass calando.run(…, lr=)")
        return self.strategy.lr * self._multiplier("lr")

    def value(self, name: str, usual: float) -> float:
        """Any other number of the training, which a strategy may set and schedule: `own(lr=auto, dropout=0.2)`.

        Args:
            name: as strategies write it.
            usual: what it is where the strategy does not say.
        """
        option = self.strategy.options.get(name, usual)
        if isinstance(option, bool) or not isinstance(option, int | float):
            raise UsageError(f"{name} must be a number, and the strategy has {quote(option)}")
        return option * self._multiplier(name) if name in self.strategy.schedules else option

    def _multiplier(self, name: str) -> float:
        if self._horizon is None:
            if self.total_steps is None:
                raise UsageError(
                    "the horizon is unknown: say total_steps= to run.follow or run.scheduler, or loop over run.steps(N)"
                )
            self._horizon = Horizon(self.total_steps, self.asked.steps_per_epoch)
        schedule = bind(self.strategy, self._horizon).schedules.get(name)
        if schedule is None:
            return 1.0
        horizon = self._horizon
        return float(schedule.bind(horizon.total_steps, steps_per_epoch=horizon.steps_per_epoch)(self.step))

    def epochs(self, usual: int) -> Epochs:
        """The epochs to train: `usual`, or as many as a study asks for; goes on after the last checkpoint.

        Saves what `keep` keeps at each end, and stops there if the study asks for it.

        >>> len(run("cosine", lr=0.1).epochs(10))
        10
        """
        usual = _whole("epochs", usual)
        asked, per_epoch = self.asked, self.asked.steps_per_epoch
        if asked.total_steps is not None and per_epoch:
            if asked.total_steps % per_epoch:
                raise UsageError(
                    f"{self.strategy.name} is asked for {asked.total_steps} updates, and this code trains whole epochs "
                    f"of {per_epoch}: ask for whole --epochs, or loop over run.steps(N)"
                )
            self._epochs_in_all = asked.total_steps // per_epoch
        else:
            self._epochs_in_all = usual if asked.epochs is None else _whole("epochs", asked.epochs)
        return Epochs(self, self._epochs_in_all)

    def steps(self, usual: int) -> Steps:
        """The updates to make, by number: `usual`, or as many as a study asks for; goes on like `epochs`."""
        usual = _whole("steps", usual)
        self._steps_in_all = self.asked.total_steps or self.asked.steps or usual
        return Steps(self, self._steps_in_all)

    # The strategy

    def follow(
        self,
        network: nn.Module,
        *,
        total_steps: int,
        steps_per_epoch: int | None = None,
        chance: float | torch.Tensor | Sequence[int] | None = None,
    ) -> Following:
        """Train a network with the whole strategy: as `calando.follow`, which says what the arguments are.

        Of several networks each follows it; the first one's updates are counted.

        Raises:
            UsageError: the study asks for another number of updates than `total_steps`.
        """
        if self.strategy.method == OWN.name:
            raise UsageError(f"{self.strategy.text} is for an optimizer of your own: use run.scheduler(optimizer, …)")
        training = follow(
            network, self.strategy, total_steps=total_steps, steps_per_epoch=steps_per_epoch, chance=chance
        )
        self._followed.append(training)
        if not self._known:
            self._weights = lambda: [
                tensor for one in self._followed for tensor in (*one.network.parameters(), *one.network.buffers())
            ]
            self._begin(training.optimizer, lambda: training.step, total_steps, steps_per_epoch, own=False)
        return training

    def scheduler(self, optimizer: Optimizer, *, total_steps: int, steps_per_epoch: int | None = None) -> ReportedRate:
        """Let an optimizer of your own follow the strategy's rate; `step()` may be called, each update or never.

        The rate that the optimizer was made with is where a study's trials are centred; groups keep their ratios. Of
        several optimizers each follows the strategy's rate; the first one's updates are counted.

        Raises:
            UsageError: the strategy says more than a rate and its schedule; as `calando.attach`.
        """
        # A look is made before it is known whose optimizer it is.
        spec = LOOK if self.asked.look else in_own_form(self.strategy)
        schedules = dict(spec.schedules)
        schedule = schedules.pop("lr", "constant(1)")
        groups = optimizer.param_groups if isinstance(optimizer, Optimizer) else []
        held = {key for group in groups for key in ("beta1", "beta2", *group)}
        attached = attach(
            optimizer,
            schedule,
            total_steps=total_steps,
            steps_per_epoch=steps_per_epoch,
            hyper_parameters={key: text for key, text in schedules.items() if key in held},
        )
        usual = float(attached.base_lrs[0])
        if spec.lr is not None:
            if not usual > 0:
                raise UsageError(f"the optimizer's rate must be positive, got {usual}: groups keep their ratios to it")
            attached.base_lrs = [rate * (spec.lr / usual) for rate in attached.base_lrs]
        if not self._known:
            self._weights = lambda: [p for group in optimizer.param_groups for p in group["params"]]
            self._begin(optimizer, lambda: attached.step, total_steps, steps_per_epoch, own=True, usual=usual)
        self._attached = True
        return attached.scheduler

    def _begin(
        self,
        optimizer: Optimizer | None,
        counted: Callable[[], int],
        total_steps: int,
        steps_per_epoch: int | None,
        *,
        own: bool,
        usual: float | None = None,
    ) -> None:
        """The length is known: tell the study, and count the optimizer's updates."""
        asked = self.asked
        wanted = asked.total_steps or asked.steps
        if asked.total_steps is None and asked.epochs is not None and steps_per_epoch:
            wanted = round(asked.epochs * steps_per_epoch)
        if wanted is not None and wanted != total_steps:
            raise UsageError(
                f"this run is asked to have {wanted} updates, and its code says total_steps={total_steps}; take the "
                "length from the run: epochs = run.epochs(10), then total_steps=len(epochs) * len(loader); or "
                "run.total_steps"
            )
        looped = self._steps_in_all
        if looped is None and self._epochs_in_all is not None and steps_per_epoch:
            looped = self._epochs_in_all * steps_per_epoch
        if looped is not None and looped != total_steps:
            raise UsageError(
                f"the run's loop makes {looped} updates, and total_steps={total_steps}; they must agree: "
                "total_steps=len(steps), or len(epochs) * len(loader)"
            )
        self._horizon, self._count, self._known = Horizon(total_steps, steps_per_epoch), counted, True
        if optimizer is not None:
            optimizer.register_step_post_hook(lambda it, args, kwargs: self._stepped(float(it.param_groups[0]["lr"])))
        self._tell(
            {
                "kind": "began",
                "total_steps": total_steps,
                "steps_per_epoch": steps_per_epoch,
                "epochs": self._epochs_in_all,
                "goal": self.goal,
                "goal_given": self._goal_given,
                "unit": self.unit,
                "own": own,
                "usual_rate": usual,
            }
        )

    def _stepped(self, rate: float) -> None:
        """After an update."""
        step = self._count()
        if step <= len(self._rates):
            return  # a gradient scaler skipped it
        self._rates.append(rate)
        self._losses.append(math.nan)
        if self.asked.look and step >= min(self.asked.look, self.total_steps or 1):
            self._end_look()
        now = time.monotonic()
        if now - self._said < SAID_SECONDS:
            return
        self._said = now
        # Every rank: the study answers with whether to stop.
        self._channel.send({"kind": "progress", "step": step, "lr": rate, "loss": _or_none(self._losses[-1])})
        if self.stopping and not self._resumes_within:
            self._stop()

    def _tell(self, report: dict[str, Any]) -> None:
        """Report what every rank knows, once."""
        if self.first_rank:
            self._channel.send(report)

    @property
    def _resumes_within(self) -> bool:
        """Whether the loop is at a place soon where its state can be saved, within an epoch."""
        return (
            bool(self._kept or self._save)
            and self._asks_within
            and (self.stops_between_steps or self._batch > 0 or self._by_steps)
        )

    @property
    def _asks_within(self) -> bool:
        """Whether each batch may end in a checkpoint; ranks must agree on it, which takes time a batch."""
        return self._every > 0 or world_size() == 1

    def observe(self, *, loss: float | torch.Tensor) -> None:
        """Report the training loss of the last update: it is drawn, and controllers such as `rollback` answer to it."""
        number = _number("run.observe: loss", loss)
        answering = [one for one in self._followed if "loss" in one.answers_to]
        if answering:
            number = agreed(number)  # else ranks, which see other batches, would go on with other rates
        if self._losses:
            self._losses[-1] = number
        for training in answering:
            self._note(training.observe(loss=number))

    def _note(self, events: Iterable[str]) -> None:
        self._events += [(max(0, self.step - 1), "controller", text) for text in events]

    # Results

    def report(self, score: float | torch.Tensor, *, loss: float | torch.Tensor | None = None, **others: float) -> None:
        """Report the validation score of the weights as they are now; call it after each epoch.

        Args:
            score: the number that is judged, in your own unit.
            loss: the validation loss, which a plateau answers to.
            others: any other numbers, kept next to it.

        Raises:
            UsageError: what is no number.
        """
        value, step = _number("run.report: score", score), self.step
        given = None if loss is None else _number("run.report: loss", loss)
        if self.asked.look:
            self._end_look()
        if any(one.answers_to - {"loss"} for one in self._followed):
            value, given = agreed((value, given))
        numbers = {name: _number(f"run.report: {name}", one) for name, one in others.items()}
        broken = next((text for one in self._followed if (text := network_broken(one.network))), "")
        if self._looks and self._looks[-1].step == step:
            self._looks.pop()
        self._looks.append(Look(step, value, given, numbers))
        for training in self._followed:
            self._answer(training, value, given)
        stopped = next((one.stopped for one in self._followed if one.stopped), None)
        why = broken or stopped or ("" if abs(value) < LARGEST else f"the score is {value}")
        if why:
            self._diverge(why)

    def _answer(self, training: Following, score: float, loss: float | None) -> None:
        """Let a plateau answer to what was reported."""
        seen: dict[str, Any] = {}
        for name in training.answers_to:
            if name == "validation_score":
                seen[name] = score if self.goal == "max" else -score
            elif name == "validation_loss" and loss is None:
                raise UsageError(f"{self.strategy.name} answers to the validation loss: run.report(score, loss=…)")
            elif name == "validation_loss":
                assert loss is not None
                seen[name] = loss
        if seen:
            self._note(training.observe(**seen))

    def _diverge(self, why: str) -> None:
        self._diverged = why
        if self.alone:
            print(f"calando: the run diverged: {why}", file=sys.stderr)
            return
        self._write_result()
        self._leave("finished")

    def finish(self, *, test: float | torch.Tensor | None = None) -> None:
        """The run is over; a study reads `test` once, after every choice is made.

        Args:
            test: the score on data that were never used for a choice.
        """
        if test is not None:
            self._test = _number("run.finish: test", test)
            if not abs(self._test) < LARGEST and not self.over and not self.asked.look:
                self._diverge(f"the test score is {self._test}")
        if not self.over:
            self.close()

    def close(self) -> None:
        """Leave the result, once; a run alone without a folder leaves none.

        Raises:
            UsageError: the code ended before its horizon, or reported no score.
        """
        if self.over or self.asked.look:
            return
        if not self.alone:
            total = self.total_steps
            if not self._looks and self.first_rank:
                raise UsageError("the run reports no score: call run.report(score) after each epoch")
            if total is not None and self.step != total and not self._diverged:
                made = f"ended after {self.step} of" if self.step < total else f"made {self.step} updates instead of"
                raise UsageError(f"the run {made} {total} updates; total_steps must be what the code trains")
        self._write_result()
        self.over = True
        self._channel.send({"kind": "ended", "status": "finished"})

    def _write_result(self) -> None:
        if not self.asked.folder or not self.first_rank:
            return
        events = list(self._events)
        if self._diverged:
            events.append((max(0, self.step - 1), "diverged", self._diverged))
        RunResult(
            outcome="diverged" if self._diverged else "finished",
            steps_done=self.step,
            looks=tuple(self._looks),
            test=self._test,
            events=tuple(events),
            second_passes=sum(one.second_passes for one in self._followed),
            seconds=self.seconds,
            host=describe_host(Lane()),
            rates=np.array(self._rates, np.float64),
            losses=np.array(self._losses, np.float32),
        ).write(Path(self.asked.folder))

    @property
    def seconds(self) -> float:
        """Of this run, those before a kill included."""
        return self._carried + time.monotonic() - self._began

    # State

    def keep(
        self,
        *,
        save: Callable[[Path], object] | None = None,
        load: Callable[[Path], object] | None = None,
        every: str | float = 0.0,
        every_rank: bool = False,
        **objects: Any,
    ) -> None:
        """Say what a checkpoint holds; where there is one, it is loaded now, and `epochs` goes on after it.

        Args:
            save, load: instead of `objects`, or with them: called with a folder that is the code's own.
            every: least time between two checkpoints, in seconds or as "60 s"; 0: at each end of an epoch, and every
                20 s of a loop over `steps`.
            every_rank: of several ranks each calls `save`, as sharded states and `accelerator.save_state` need it, and
                not the first one alone. Generators are kept of every rank in any case.
            objects: whatever has `state_dict` and `load_state_dict`, what `follow` gave, a `torch.Generator`.

        Raises:
            UsageError: an object without state, `save` without `load`; a checkpoint that does not fit the objects.
            CorruptFile: the checkpoint is damaged.
        """
        if (save is None) != (load is None):
            raise UsageError("run.keep takes save= and load= together: what one writes, the other reads")
        if not objects and save is None:
            raise UsageError("run.keep keeps what it is given: run.keep(model=model, training=training)")
        if self._looping:
            raise UsageError("call run.keep before the loop over run.epochs: a killed run goes on where it says")
        if self._kept or self._save:
            raise UsageError("call run.keep once, with all that a checkpoint holds")
        self._kept, self._save, self._every = dict(objects), save, _seconds(every)
        self._saves_everywhere = every_rank
        for name, one in objects.items():
            if not isinstance(one, Following | torch.Generator) and not hasattr(one, "load_state_dict"):
                raise UsageError(f"run.keep: {name} has no state_dict and load_state_dict; got {quote(one)}")
        if not self.asked.folder or self.asked.look:
            return
        states = read_kept(Path(self.asked.folder))
        if states is None:
            return
        missing = {*objects} ^ {*states["objects"]}
        if missing:
            raise UsageError(
                f"the checkpoint keeps other objects than run.keep is given now: {', '.join(sorted(missing))}"
            )
        for name, one in objects.items():
            try:
                _put_into(one, states["objects"][name])
            except (RuntimeError, KeyError, ValueError, TypeError) as error:
                raise UsageError(f"the checkpoint does not fit {name}, which the code makes now: {error}") from error
        if load is not None:
            load(Path(self.asked.folder) / str(states["own"]))
        mine = states["run"]
        self._epoch, self._batch, self._own_step = mine["epoch"], mine["batch"], mine["step"]
        self._kept_step = mine["step"]
        self._rates, self._losses = mine["rates"].tolist(), mine["losses"].tolist()
        self._looks = [Look(*look) for look in mine["looks"]]
        self._events, self._carried = [tuple(event) for event in mine["events"]], mine["seconds"]
        self._restored = states

    def batches(self, loader: Iterable[Item]) -> Iterator[Item]:
        """The batches of an epoch; with it a checkpoint may fall within an epoch, and a run goes on at its batch.

        The batches before are read again without being trained on, so that every generator stands where it stood.
        """
        restored, skipped = self._restored, self._batch
        if restored is not None and skipped:
            self._epoch_start = self._of_this_rank(restored)["epoch_start"]
            self._put_generators(self._epoch_start)
        else:
            self._epoch_start = self._generators()
        for number, batch in enumerate(loader):
            if number < skipped:
                if number == skipped - 1:  # before the next is drawn, as when it was saved
                    self._restore_generators()
                continue
            yield batch
            self._batch = number + 1
            self._between(within=True)
        self._batch = 0

    def _begin_loop(self, name: str) -> None:
        """A second loop would begin where the first one ended, and train nothing."""
        if self._looped:
            raise UsageError(
                f"a run has one loop over run.{name}(N), and it has ended: give it all that the run trains"
            )
        self._looping = True

    def checkpoint(self) -> None:
        """Save what is due, and end here if the study asks for it: in a loop that is a framework's, at an epoch's end.

        `epochs`, `steps` and `batches` call it themselves. Of several ranks each calls it.
        """
        self._between()

    def go_on(self) -> None:
        """Put the generators back where the checkpoint was made: in a framework's loop, where it goes on after one.

        It may be called again until the next checkpoint is made.
        """
        if self._restored is not None:
            self._put_generators(self._of_this_rank(self._restored))

    def wants_checkpoint(self, *, within: bool = False, least: float = 0.0) -> bool:
        """Whether to save now: a checkpoint is due, or the study asks the run to end; the same on every rank.

        Args:
            within: an epoch, where checkpoints are made only as `every` says.
            least: seconds between two checkpoints where `keep` was given no `every`.
        """
        if within and not self._asks_within:
            return False
        due = time.monotonic() - self._saved >= (self._every or (math.inf if within else least))
        return agreed(due or self.stopping)

    def _between(self, *, within: bool = False, least: float = 0.0) -> None:
        """Between two batches, steps or epochs: save what is due, stop where that is asked; as `wants_checkpoint`."""
        if not self.wants_checkpoint(within=within, least=least):
            return
        self._write_kept()
        if agreed(self.stopping):
            self._stop()

    def _write_kept(self) -> None:
        if not (self._kept or self._save) or not self.asked.folder or self.asked.look:
            return
        if not self.first_rank and world_size() == 1:
            return  # ranks that do not speak with each other: the first one keeps for all
        folder, own = Path(self.asked.folder), ""
        if self._save is not None:
            # Not where the checkpoint that holds now lies.
            own = agreed(next(name for n in count() if not (folder / (name := f"own-{self.step}-{n}")).exists()))
            if self.first_rank or self._saves_everywhere:
                (folder / own).mkdir(parents=True, exist_ok=True)
                self._save(folder / own)
        self._restored = None
        ranks = gathered({**self._generators(), "epoch_start": self._epoch_start if self._batch else None})
        if not self.first_rank:
            return
        mine = {
            "epoch": self._epoch,
            "batch": self._batch,
            "step": self.step,
            "rates": np.array(self._rates, np.float64),
            "losses": np.array(self._losses, np.float32),
            "looks": [[look.step, look.score, look.loss, look.others] for look in self._looks],
            "events": [list(event) for event in self._events],
            "seconds": self.seconds,
        }
        objects = {name: _taken_from(one) for name, one in self._kept.items()}
        write_kept(folder, {"run": mine, "objects": objects, "ranks": ranks, "own": own})
        for path in folder.glob("own-*"):
            if path.name != own:
                _remove(path)
        self._saved = time.monotonic()

    def _restore_generators(self) -> None:
        """Once, where the loop goes on: what was drawn between `keep` and here was drawn before the kill as well."""
        if self._restored is not None:
            if self.step != (kept := self._restored["run"]["step"]):
                raise UsageError(
                    f"the checkpoint was made after {kept} updates, and what run.keep keeps stands at {self.step}: "
                    "give it what run.follow gave as well, run.keep(model=model, training=training), or the optimizer"
                )
            self._put_generators(self._of_this_rank(self._restored))
            self._restored = None

    def _of_this_rank(self, states: dict[str, Any]) -> dict[str, Any]:
        ranks = states["ranks"]
        if len(ranks) != world_size():
            raise UsageError(
                f"the checkpoint was made by {len(ranks)} ranks, and here there are {world_size()}; start as many"
            )
        mine: dict[str, Any] = ranks[rank()]
        return mine

    def _generators(self) -> dict[str, Any]:
        """The states of all generators that are known: global ones, and those that are kept."""
        own = {name: one.get_state() for name, one in self._kept.items() if isinstance(one, torch.Generator)}
        return {"generators": generators(), "own": own}

    def _put_generators(self, states: dict[str, Any]) -> None:
        set_generators(states["generators"])
        for name, state in states["own"].items():
            self._kept[name].set_state(state)

    # The end

    def _end_look(self) -> None:
        """A look has seen enough: report a digest of the weights."""
        digest = hashlib.sha256()
        for tensor in self._weights():
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
        self._tell({"kind": "looked", "step": self.step, "digest": digest.hexdigest()[:16]})
        self._leave("finished")

    def _stop(self) -> None:
        self._leave("stopped")

    def _leave(self, status: str) -> None:
        """End the code here: this process, or the function."""
        self.over, self.stopped = True, status == "stopped"
        # The first rank has said all that there is to say: the study need not wait for the others.
        whole = self.first_rank and status == "finished"
        self._channel.send({"kind": "ended", "status": status, "whole": whole})
        if isinstance(self._channel, Direct):
            raise RunOver(0)
        # Not an exception: frameworks catch some, and a rank that unwinds waits for the others.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(STOPPED_STATUS if status == "stopped" else 0)

    def watch_exit(self) -> None:
        """Leave the result when the script ends; a script that fails leaves none."""
        before, process = sys.excepthook, os.getpid()

        def failed(kind: type[BaseException], error: BaseException, trace: Any) -> None:
            if os.getpid() == process:
                self.over = True
                self._channel.send({"kind": "ended", "status": "failed"})
            before(kind, error, trace)

        def ended() -> None:
            if os.getpid() != process:
                return  # a forked one ends, not the run
            if self.asked.look and not self.over:
                self._channel.send({"kind": "ended", "status": "finished"})
            try:
                self.close()
            except UsageError as error:
                self.over = True
                print(f"calando: {error}", file=sys.stderr)
                self._channel.send({"kind": "ended", "status": "failed"})
                sys.stderr.flush()
                os._exit(2)
            leave()

        sys.excepthook = failed
        atexit.register(ended)

    @contextmanager
    def evaluated(self, batches: Iterable[Any] | None = None, *, forward: Forward | None = None) -> Iterator[None]:
        """The weights to judge, of the first network that follows; as `Following.evaluated`."""
        with self._followed[0].evaluated(batches, forward=forward) if self._followed else nullcontext():
            yield


@final
class Epochs:
    """The epochs of a run; `len()` is how many there are in all."""

    def __init__(self, run: Run, count: int) -> None:
        self._run, self._number = run, count

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[int]:
        run = self._run
        run._begin_loop("epochs")
        for epoch in range(run._epoch, self._number):
            if run._batch == 0:
                run._restore_generators()
            yield epoch
            run._epoch, run._batch = epoch + 1, 0
            run._between()
        run._looped = True


@final
class Steps:
    """The updates of a run by number; `len()` is how many there are in all."""

    def __init__(self, run: Run, count: int) -> None:
        self._run, self._number = run, count

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[int]:
        run = self._run
        run._begin_loop("steps")
        if not run._known:
            run._begin(None, lambda: run._own_step, self._number, None, own=True)
        by_hand = not run._followed and not run._attached
        run._by_steps = True
        while run._own_step < self._number:
            run._restore_generators()
            step = run._own_step
            rate = run.lr if by_hand else math.nan
            yield step
            run._own_step = step + 1
            if by_hand:
                run._stepped(rate)
            run._between(least=STEPS_SECONDS)
        run._looped = True


def _taken_from(one: Any) -> Any:
    if isinstance(one, Following):
        return one.optimizer.state_dict()
    return one.get_state() if isinstance(one, torch.Generator) else one.state_dict()


def _put_into(one: Any, state: Any) -> None:
    if isinstance(one, Following):
        one.optimizer.load_state_dict(state)
    elif isinstance(one, torch.Generator):
        one.set_state(state)
    else:
        one.load_state_dict(state)


def _remove(path: Path) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def _number(name: str, value: Any) -> float:
    try:
        return float(value.detach() if isinstance(value, torch.Tensor) else value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise UsageError(f"{name} must be one number, got {quote(value)}") from None


def _seed(value: Any) -> int:
    try:
        seed = operator.index(value)
    except TypeError:
        seed = -(2**63)
    if not -(2**63) < seed < 2**63:
        raise UsageError(f"calando.run: seed must be a whole number of at most 63 bits, got {quote(value)}")
    return seed


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _whole(name: str, value: float) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 1 <= value <= MOST_LENGTH
        or value != round(value)
    ):
        raise UsageError(f"run.{name}: the number of {name} must be a whole number from 1, got {quote(value)}")
    return round(value)


def _seconds(every: str | float) -> float:
    if isinstance(every, int | float) and not isinstance(every, bool) and 0 <= every < math.inf:
        return every
    read = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min)?\s*", str(every))
    if read is None:
        raise UsageError(f'run.keep: every must be a time such as "60 s" or "5 min", got {quote(every)}')
    return float(read[1]) * (60 if read[2] == "min" else 1)
