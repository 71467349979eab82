"""A session: one strategy at work on one network. Only here method, driver, average and controllers meet an optimizer.

Update t, in any loop:
    begin         the state is kept if a controller may go back to it; the driver writes the rates of update t
    (gradient)    the loop's own: a batch of our loop, a person's closure, a batch of a range test
    make_step     `optimizer.step` as the method needs it: plain, with the loss, or with a second pass over the batch
    end           the average takes the weights in; t becomes t + 1, unless a gradient scaler skipped the step
    answer        controllers see the result: they set multipliers, report events, keep states, go back, stop
and between two updates:
    evaluated     for as long as it is open, the network holds the weights to judge
    position      the session's own part of the state; the optimizer and the network hold the rest

A loop that calls `optimizer.step` itself calls `note_gradient` before it and `end` after it, instead of `make_step`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn
from torch.optim import Optimizer

from calando.controllers import Action, Controller, Observation, first_multiplier
from calando.methods import Closure
from calando.methods.driver import Driver, Noticed, was_skipped
from calando.schedules import Horizon, Schedule
from calando.strategy import Average, BoundStrategy
from calando.training.network_statistics import holding_statistics
from calando.training.restore import Snapshot, restoring
from calando.training.session_state import Kept, Memory, Position, RunningAverage

__all__ = ["Answer", "Session"]

KEPT = 2  # the newer may already hold what went wrong, so a rewind goes to the older

Pass = Callable[[], float | torch.Tensor]
"""A forward and a backward pass over the update's batch, which adds to `grad`; returns the loss."""


@final
@dataclass(frozen=True)
class Answer:
    """What the controllers made of an update: events in sentences; which of them asked to go back; why training ends.

    If one went back, all updates since the kept state are undone.
    """

    events: tuple[str, ...] = ()
    went_back: tuple[int, ...] = ()
    stop: str | None = None


@final
class Session:
    """A strategy's parts at work on a network.

    Args:
        optimizer: its method's, or a proxy of it.
        schedules, horizon: what the driver writes.
        closure, eval_mode: as of the method.
        controllers: in the order in which they answer.
        average: which updates are averaged, or None.
        remember: copies weights, optimizer's state and average, so that they can be restored; None: in memory.
        noticed: called where something else had written rates; see `Driver`.

    `step` updates were made; `wants` is what each controller asks for at the update that began last; `kept` holds the
    last KEPT states worth going back to, oldest first; `zero_gradient_share`, `slope` and `curvature` are of the last
    update, where a controller asked for them.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        *,
        schedules: Mapping[str, Schedule],
        horizon: Horizon,
        closure: Closure = "none",
        eval_mode: bool = False,
        controllers: tuple[Controller, ...] = (),
        average: Average | None = None,
        remember: Callable[[Session], Memory] | None = None,
        noticed: Callable[[Driver, list[Noticed]], None] | None = None,
    ) -> None:
        self.network, self.optimizer = network, optimizer
        self.closure, self.eval_mode = closure, eval_mode
        self.driver = Driver(optimizer, schedules=schedules, horizon=horizon, noticed=noticed)
        self.controllers = controllers
        self.controller_states = [controller.initial() for controller in controllers]
        self.multipliers = [first_multiplier(state) for state in self.controller_states]
        self.average = None if average is None else RunningAverage(network, average)
        self.wants = [controller.wants(0) for controller in controllers]
        self.step = 0
        self.stopped: str | None = None
        self.second_passes = 0
        self.evaluating = False
        self.kept: list[Kept] = []
        self.zero_gradient_share: float | None = None
        self.slope: float | None = None
        self.curvature: float | None = None
        self._remember = remember or in_memory
        self._noted: list[tuple[nn.Parameter, torch.Tensor, torch.Tensor]] = []

    @classmethod
    def of(cls, bound: BoundStrategy, network: nn.Module, optimizer: Optimizer, **options: Any) -> Session:
        """The session of a whole strategy, bound to its horizon; `options` win over what the strategy has."""
        return cls(
            network,
            optimizer,
            schedules=bound.schedules,
            horizon=bound.horizon,
            closure=bound.method.closure,
            eval_mode=bound.method.eval_mode,
            average=bound.average,
            **{"controllers": bound.controllers, **options},
        )

    # Rates

    @property
    def multiplier(self) -> float:
        return math.prod(self.multipliers)

    def write(self, *, exactly: bool = False) -> None:
        """Write the next update's rates; `exactly`: whatever the groups hold."""
        (self.driver.write_exactly if exactly else self.driver.write)(self.step, multiplier=self.multiplier)

    def next_rates(self) -> list[float]:
        """Each group's rate at the next update."""
        return [rate * self.multiplier for rate in self.driver.values(self.step)["lr"]]

    def scheduled_ahead(self) -> float | None:
        """The first group's rate at the next update as it is scheduled, where a controller asks for it."""
        return self.driver.values(self.step)["lr"][0] if any(want.ahead for want in self.wants) else None

    # An update

    def begin(self, *, exactly: bool = False) -> None:
        """Before the gradient: keep the state if a controller needs it, and write the rates."""
        self.wants = [controller.wants(self.step) for controller in self.controllers]
        if not self.kept and any(want.states for want in self.wants):
            self.keep()
        self.write(exactly=exactly)
        self.zero_gradient_share = self.slope = self.curvature = None

    @property
    def measures(self) -> bool:
        """Whether a controller asks for slope and curvature along this update, which costs a second pass."""
        return any(want.curvature for want in self.wants)

    def make_step(
        self,
        loss: float,
        again: Pass,
        *,
        clip: Callable[[], object] = lambda: None,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        """The method's step along the present gradients, with what else it needs; the gradients are then cleared.

        Args:
            loss: whose gradients they are.
            again: makes the same batch's pass a second time, at the present weights, with the same dropout.
            clip: limits the gradients, those of a second pass too.
            scaler: of half precision; may skip the step.
        """
        self.note_gradient()
        clip()

        def second() -> float:
            found = self.second_pass(again)
            clip()
            return float(found)

        match self.closure:
            case "none" if scaler is None:
                self.optimizer.step()
            case "none":
                assert scaler is not None
                scaler.step(self.optimizer)
                scaler.update()
            case "loss":
                self.optimizer.step(lambda: loss)
            case "again":
                self.optimizer.step(second)
        self.end(again)
        self.optimizer.zero_grad(set_to_none=True)

    def note_gradient(self) -> None:
        """Between gradient and step: count zero gradients, and copy what slope and curvature are measured from.

        Slope and curvature are those of the loss itself, so call it before gradients are clipped.
        """
        if any(want.dead for want in self.wants):
            self.zero_gradient_share = self._share_of_zero_gradients()
        parameters = self._parameters() if self.measures else []
        self._noted = [(p, p.detach().clone(), p.grad.detach().clone()) for p in parameters if p.grad is not None]

    def end(self, again: Pass | None = None) -> bool:
        """After the step: measure along it by `again`, average, and count it; False if a scaler skipped it."""
        if was_skipped(self.optimizer):
            self._noted = []
            return False
        if self.zero_gradient_share is None and any(want.dead for want in self.wants):
            self.zero_gradient_share = self._share_of_zero_gradients()
        if self._noted:
            assert again is not None, "a curvature is measured by a second pass"
            self._measure(again)
        if self.average is not None:
            self.average.update(self.step)
        self.step += 1
        return True

    def second_pass(self, again: Pass) -> float | torch.Tensor:
        """Loss and gradient again, at the weights as they are; running statistics are those of the first pass."""
        self.second_passes += 1
        self.optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad(), holding_statistics(self.network):
            return again()

    def _measure(self, again: Pass) -> None:
        """Along the update d: slope = -g d, curvature = d (g' - g), g and g' the gradients before and after it."""
        self.second_pass(again)
        self.slope = self.curvature = 0.0
        for parameter, weight, gradient in self._noted:
            assert parameter.grad is not None
            moved = (parameter.detach() - weight).double()
            self.slope -= float((gradient.double() * moved).sum())
            self.curvature += float(((parameter.grad - gradient).double() * moved).sum())
        self._noted = []
        self.optimizer.zero_grad(set_to_none=True)

    def _parameters(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _share_of_zero_gradients(self) -> float:
        trained = [p for p in self._parameters() if p.requires_grad]
        return sum(p.grad is None or not bool(p.grad.any()) for p in trained) / len(trained)

    # Controllers

    def answer(self, observation: Observation, *, seen: Collection[str], stop: str | None = None) -> Answer:
        """Let the controllers answer to an update, and carry out what they ask for.

        Args:
            seen: which values of the observation are there: "loss", "validation_loss", "validation_score"; controllers
                that answer to others are not asked.
            stop: why training must end whatever they answer, unless one of them goes back.
        """
        answers: dict[int, Action] = {}
        for index, controller in enumerate(self.controllers):
            if self.wants[index].seen in seen:
                self.controller_states[index], action = controller.respond(self.controller_states[index], observation)
                answers[index] = action
        back = tuple(index for index, action in answers.items() if action.rewind)
        for index, action in answers.items():
            if not back or index in back:
                self.multipliers[index] = action.multiplier
        events = tuple(action.event for action in answers.values() if action.event and action.stop is None)
        if back:
            self._go_back(back)
            return Answer(events, went_back=back)
        # The last controller's reason is the most specific: Divergence, which every run of ours carries, comes first.
        reasons = [reason for reason in (stop, *(action.stop for action in answers.values())) if reason is not None]
        if reasons:
            self.stopped = reasons[-1]
        if any(action.keep for action in answers.values()):
            self.keep()
        return Answer(events, stop=reasons[-1] if reasons else None)

    def keep(self) -> None:
        self.kept = [*self.kept, Kept(self.position(), self._remember(self))][-KEPT:]

    def _go_back(self, asked: tuple[int, ...]) -> None:
        """Restore the older kept state; the controllers that asked for it keep their present states."""
        back = self.kept[0]
        mine = {index: (self.controller_states[index], self.multipliers[index]) for index in asked}
        back.memory.put_back()
        self.driver.forget()  # the rates of that time came back
        self.optimizer.zero_grad(set_to_none=True)  # gradients of that time may have come back as well
        self.take_position(back.position)
        for index, (state, multiplier) in mine.items():
            self.controller_states[index], self.multipliers[index] = state, multiplier
        self.kept = [back]

    # State

    def position(self) -> Position:
        averaged = 0 if self.average is None else self.average.count
        return Position(self.step, averaged, tuple(self.controller_states), tuple(self.multipliers))

    def take_position(self, position: Position) -> None:
        """Go there; the caller restores what network, optimizer and average held."""
        self.step = position.step
        if self.average is not None:
            self.average.count = position.averaged
        self.controller_states = list(position.controller_states)
        self.multipliers = list(position.multipliers)

    @property
    def others_evaluated(self) -> bool:
        """Whether the weights to evaluate are others than those trained."""
        return self.eval_mode or (self.average is not None and self.average.count > 0)

    @contextmanager
    def evaluated(self, recalibrate: Callable[[], object], *, source: object = None) -> Iterator[bool]:
        """Put the weights to judge into the network; afterwards those that are trained, to the bit.

        Statistics of batch normalisation belong to the weights they were gathered with, so they are gathered again.
        Yields whether it put in other weights than those trained: within another evaluation they are in already.

        Args:
            recalibrate: gathers the statistics.
            source: what its batches come from, whose position is restored too.
        """
        if not self.others_evaluated or self.evaluating:
            yield False
            return
        switching: Any = self.optimizer  # has eval() and train() if its method has `eval_mode`
        # Not the network itself: attributes that its owner sets during the evaluation stay.
        with restoring([*self.network.parameters(), *self.network.buffers()], source=source):
            self.evaluating = True
            try:
                if self.eval_mode:
                    switching.eval()
                if self.average is not None and self.average.count:
                    self.average.put_in()
                recalibrate()
                yield True
            finally:
                self.evaluating = False
                if self.eval_mode:
                    switching.train()


def in_memory(session: Session) -> Memory:
    """Copies of weights, buffers, optimizer's state and average, restored in place.

    Not the network itself, on which its owner may set attributes, nor the optimizer, whose hooks may hold the session;
    methods keep their state nowhere else.
    """
    bits = Snapshot()
    bits.note([*session.network.parameters(), *session.network.buffers()])
    bits.note([session.optimizer.state, session.optimizer.param_groups])
    if session.average is not None:
        bits.note(session.average.tensors)
    return bits
