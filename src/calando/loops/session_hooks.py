"""A session in a person's own loop: what torch's hooks around `optimizer.step` and `state_dict` do for it.

    step        before: `session.begin`, and the closure that the method needs; after: `session.end`
    state_dict  the session's position, the average, events and why it stopped, under "calando"

Two passes over a batch, where a method or a controller needs them, are two calls of the user's closure: both see the
same dropout, and running statistics are those of the first.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

import torch
from torch import nn
from torch.optim import Optimizer

from calando.controllers import Observation
from calando.errors import UsageError
from calando.loops.optimizer_hooks import KEY, put, take
from calando.loops.other_writers import OtherWriters
from calando.methods.rule import keep_types
from calando.schedules import parse
from calando.schedules.steering import same_before
from calando.strategy import BoundStrategy, parse_strategy
from calando.training.network_statistics import all_finite, network_broken, statistics_of
from calando.training.session import Pass, Session
from calando.training.session_state import Position

__all__ = ["SessionHooks"]

STATE = ("step", "averaged", "average", "controller_states", "multipliers", "events", "stopped")
ALL_SEEN = frozenset({"loss", "validation_loss", "validation_score"})

StepArguments = tuple[tuple[Any, ...], dict[str, Any]]


@final
class SessionHooks:
    """A session, and the hooks of its optimizer: `before`, `initialise`, `after`, `save`, `check` and `load`.

    `gathered` are the batch-norm layers that trained at the last update, the others being frozen.

    Args:
        optimizer: the strategy's, or a proxy of it: its hooks hold what is made here.
    """

    def __init__(self, network: nn.Module, optimizer: Optimizer, bound: BoundStrategy, *, chance: float | None) -> None:
        writers = OtherWriters(compose=False, remedy="a strategy has no other writer next to it")
        self.session = Session.of(bound, network, optimizer, noticed=writers.noticed)
        self.total_steps = bound.horizon.total_steps
        self.events: list[str] = []
        self._method, self._chance, self._texts = bound.method, chance, bound.spec.controllers
        self._spec, self._horizon = bound.spec, bound.horizon
        self._identity = {
            "strategy": bound.spec.text,
            "total_steps": bound.horizon.total_steps,
            "steps_per_epoch": bound.horizon.steps_per_epoch,
        }
        self._layers = statistics_of(network)
        self.gathered = _training(self._layers) if network.training else self._layers
        self._again: Pass | None = None  # the present update's second pass
        self._rate = 0.0  # the first group's, at the last update
        self._ahead = False  # the groups hold the next update's values already
        self._observed = 0  # updates made when `observe` was called last
        self._given: frozenset[str] = ALL_SEEN  # for that update
        self._unobserved = False  # a loss that was not given has been reported
        self._loading: Mapping[str, Any] = {}
        self._loading_state: Mapping[str, Any] = {}
        self.session.write()

    def get_last_lr(self) -> list[float]:
        """Each group's present rate; that this is here tells a range test that these hooks write rates."""
        return [float(group["lr"]) for group in self.session.optimizer.param_groups]

    def write_ahead(self) -> None:
        """Write the next update's values early, for what reads the groups before it."""
        self._ahead = True
        self.session.write()

    @property
    def rates(self) -> list[float]:
        return self.session.driver.written["lr"]

    # Around a step

    def before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> StepArguments | None:
        """Hook: the rates of this update, and the closure that the method needs."""
        session, method = self.session, self._method
        if session.evaluating:
            raise UsageError("an update within evaluated() would be lost; leave the `with` block first")
        self._look_for_observation()
        self.gathered = _training(self._layers)
        session.begin(exactly=True)
        self._ahead, self._again = False, None
        if session.controllers:
            self._rate = self.rates[0]
        if method.closure == "none" and not session.measures:
            return None
        # torch hands its hooks the optimizer in front of what `step` was called with.
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            needs = method.name if method.closure != "none" else self._measuring()
            what = "the loss of the batch" if method.closure == "loss" else "a second pass over the batch"
            raise UsageError(
                f"{needs} needs {what}: optimizer.step(closure), where the closure clears gradients, works the loss "
                "out, calls backward and returns the loss"
            )
        if method.closure == "loss" and not session.measures:
            return None
        loss = self._first_pass(closure)
        session.note_gradient()
        if method.closure == "again":
            return (args[0], lambda: (session.second_pass(self._pass()), loss)[1]), {}
        return (args[0], lambda: loss), {}

    def _look_for_observation(self) -> None:
        """Warn once where a controller was not given what it answers to: it can do nothing.

        A loss is due after every update; an evaluation before half of the training is over.
        """
        step = self.session.step
        if self._unobserved or step == self._observed:
            return
        late = self._observed == 0 and step >= max(1, self.total_steps // 2)
        for text, want in zip(self._texts, self.session.wants, strict=True):
            if want.seen == "loss":
                missed, when = f"the training loss and was not given that of update {step - 1}", "every update"
            elif late:
                missed, when = f"{want.seen.replace('_', ' ')} and was given none in {step} updates", "each evaluation"
            else:
                continue
            self._unobserved = True
            warnings.warn(
                f"{text} answers to {missed}: call observe({want.seen}=…) after {when}, or it can do nothing",
                stacklevel=5,
            )
            return

    def initialise(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> StepArguments | None:
        """Hook: a step that makes the optimizer's state and no update; it comes without a closure."""
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if self._method.closure == "none" or closure is not None:
            return None
        return (args[0], lambda: torch.zeros(())), {}

    def after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.session.end(self._again)

    def _first_pass(self, closure: Callable[[], Any]) -> Any:
        """The loss, with the gradient in `grad`; afterwards `_again` makes the same pass a second time."""
        parameters = self.session.network.parameters()
        devices = {parameter.device for parameter in parameters if parameter.is_cuda}
        generators = torch.get_rng_state(), {device: torch.cuda.get_rng_state(device) for device in devices}

        def again() -> Any:
            torch.set_rng_state(generators[0])
            for device, state in generators[1].items():
                torch.cuda.set_rng_state(state, device)
            return closure()

        self._again = again
        self.session.optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():
            loss = closure()
        if loss is None:
            raise UsageError("the closure must return the loss, one number, got None")
        return loss

    def _pass(self) -> Pass:
        assert self._again is not None
        return self._again

    def _measuring(self) -> str:
        wants = zip(self._texts, self.session.wants, strict=True)
        return next(text for text, want in wants if want.curvature)

    # Controllers

    def observe(self, *, batch_chance: float | None = None, **seen: float | torch.Tensor | None) -> tuple[str, ...]:
        """The controllers' answers to the last update: `Following.observe`."""
        session = self.session
        given = {name: _number(name, value) for name, value in seen.items() if value is not None}
        if session.step == self._observed and given.keys() == {"loss"}:
            return ()  # a gradient scaler skipped the update
        self._check_seen(given)
        before = self._given if session.step == self._observed else frozenset()
        self._observed, self._given = session.step, before | given.keys()
        ruined = self._ruined(given)
        observation = Observation(
            **{"loss": 0.0, **given},
            step=session.step - 1,
            rate=self._rate,
            broken=ruined or _not_finite(given),
            chance=self._chance,
            batch_chance=batch_chance,
            dead=session.zero_gradient_share,
            slope=session.slope,
            curvature=session.curvature,
            ahead=session.scheduled_ahead(),
        )
        answer = session.answer(
            observation, seen=given.keys(), stop=f"{ruined} after step {observation.step}" if ruined else None
        )
        if answer.went_back:
            self._observed, self._given = session.step, ALL_SEEN
        events = answer.events if answer.stop is None else (*answer.events, answer.stop)
        self.events += events
        if self._ahead:
            self.write_ahead()
        return events

    def _ruined(self, given: Mapping[str, float]) -> str:
        """Which weights are not finite, in words, or "".

        Looked at after the last update, where an evaluation is reported, and where something given is not finite. The
        loss of an update is that before it, and an infinite one need not have ruined anything.
        """
        session = self.session
        evaluated = given.keys() != {"loss"}
        if session.step < self.total_steps and not evaluated and all(map(math.isfinite, given.values())):
            return ""
        if session.average is not None and not all_finite(session.average.tensors.values()):
            return "the average of the weights is not finite"
        return network_broken(session.network)

    def _check_seen(self, given: Mapping[str, float]) -> None:
        wanted = [want.seen for want in self.session.wants]
        again = self.session.step == self._observed
        if again and (not given or given.keys() & self._given):
            raise UsageError("observe() reports an update, and none was made since the last call; give all in one call")
        for name in given:
            if name != "loss" and name not in wanted:
                reads = f"{', '.join(wanted)} is what is read" if wanted else "the strategy has no controller"
                raise UsageError(f"nothing answers to {name}: {reads}")
        for text, name in zip(self._texts, wanted, strict=True):
            if name == "loss" and name not in given and not again:
                raise UsageError(f"{text} answers to the training loss: pass loss= after every update")

    # State

    def save(self, optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
        """Hook: all that is ours goes into the optimizer's state."""
        session = self.session
        if session.evaluating:
            raise UsageError(
                "within evaluated() the network holds the weights to judge, not those that training goes on from: save "
                "the network's state there to use it, and outside, with the optimizer's, to go on"
            )
        tensors = {} if session.average is None else session.average.tensors
        entry = {
            **self._identity,
            **session.position().document(),
            "average": [tensor.clone() for tensor in tensors.values()],  # names change with wrappers
            "events": list(map(str, self.events)),  # plain texts: torch.load(weights_only=True) knows no others
            "stopped": session.stopped,
        }
        put(state_dict, entry)

    def _continues(self, saved: Mapping[str, Any]) -> bool:
        """Whether the strategy that was saved differs only in what its schedules do from here on, as a branch does."""
        try:
            before, step = parse_strategy(str(saved["strategy"])), int(saved["step"])
            schedules = {"lr": "constant(1)", **before.schedules}
            rest = {"name": "", "schedules": {}}
            return (
                schedules.keys() == self.session.driver.schedules.keys()
                and before.model_copy(update=rest) == self._spec.model_copy(update=rest)
                and all(
                    same_before(parse(text), self.session.driver.schedules[name], step=step, before=self._horizon)
                    for name, text in schedules.items()
                )
            )
        except (UsageError, ValueError, TypeError):
            return False

    def check(self, optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
        """Hook: refuse (UsageError) a state that is not of this strategy, before anything is loaded."""
        saved = take(state_dict)
        if saved is None:
            raise UsageError(
                "not a state of calando.follow: the optimizer was saved without its strategy, or by something that "
                "leaves an average out, as torch.distributed.checkpoint does; save optimizer.state_dict() itself"
            )
        if not isinstance(saved, Mapping) or any(name not in saved for name in (*self._identity, *STATE)):
            raise UsageError(f"not a state of calando.follow: {KEY!r} in it was written by something else")
        for name, mine in self._identity.items():
            if saved[name] != mine and not (name == "strategy" and self._continues(saved)):
                raise UsageError(f"the state was saved with {name}={saved[name]!r}; here it is {mine!r}")
        average = self.session.average
        mine = [] if average is None else [tensor.shape for tensor in average.tensors.values()]
        if [tensor.shape for tensor in saved["average"]] != mine:
            raise UsageError("the state was saved with another network: the average's tensors have other shapes")
        self._loading, self._loading_state = saved, state_dict

    def load(self, optimizer: Optimizer) -> None:
        """Hook: what `check` let pass, after the optimizer's own state."""
        session, saved = self.session, self._loading
        if session.average is not None:
            for mine, theirs in zip(session.average.tensors.values(), saved["average"], strict=True):
                mine.copy_(theirs)
        session.take_position(Position.read(saved, session.controllers))
        session.stopped, session.kept = saved["stopped"], []
        self._observed, self.events = session.step, list(saved["events"])
        # Its loss was given; an evaluation may follow yet.
        self._given = frozenset({"loss"}) if session.step else ALL_SEEN
        keep_types(optimizer, self._loading_state)
        self._loading, self._loading_state = {}, {}
        session.write()

    def keep_place(self) -> Callable[[], None]:
        """A function that restores the strategy's state; call it when optimizer and network are restored."""
        session, average = self.session, self.session.average
        mine = {name: getattr(self, name) for name in ("_observed", "_given", "_ahead", "_rate", "gathered")}
        its = {
            name: getattr(session, name)
            for name in ("stopped", "zero_gradient_share", "slope", "curvature", "wants", "kept")
        }
        position, events = session.position(), list(self.events)
        tensors = [] if average is None else [tensor.clone() for tensor in average.tensors.values()]

        def put_back() -> None:
            for owner, values in ((self, mine), (session, its)):
                for name, value in values.items():
                    setattr(owner, name, value)
            self.events = list(events)
            if average is not None:
                for held, kept in zip(average.tensors.values(), tensors, strict=True):
                    held.copy_(kept)
            session.take_position(position)
            session.driver.forget()

        return put_back


def _training(layers: Iterable[nn.modules.batchnorm._BatchNorm]) -> list[nn.modules.batchnorm._BatchNorm]:
    return [layer for layer in layers if layer.training]


def _not_finite(given: Mapping[str, float]) -> str:
    wrong = (f"{name.replace('_', ' ')} is {value}" for name, value in given.items() if not math.isfinite(value))
    return next(wrong, "")


def _number(name: str, value: Any) -> float:
    try:
        return float(value.detach() if isinstance(value, torch.Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(f"observe: {name} must be one number, got {value!r}") from None
