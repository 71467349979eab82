"""What happens round an optimizer's step where a strategy is followed: `calando.loops.follow`.

State is the step, the average, and each controller's state and multiplier; rates follow from it in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn
from torch.optim import Optimizer

from calando.controllers import Action, Observation
from calando.controllers.base import State
from calando.errors import UsageError
from calando.loops.attach import was_skipped
from calando.loops.carried import KEY, put, take
from calando.loops.other_writers import OtherWriters
from calando.loops.second_pass import Closure, second_pass
from calando.methods import find_method
from calando.methods.driver import Driver
from calando.methods.own.memory import keep_types
from calando.records import StrategySpec
from calando.schedules.span import Horizon
from calando.strategy.strategies import bind_average, bind_strategy
from calando.training.average import RunningAverage
from calando.training.batch_norm import statistics_of
from calando.training.finite import all_finite, network_broken
from calando.training.rewind import KEPT
from calando.training.snapshot import Snapshot
from calando.training.update import dead_share

__all__ = ["Updates"]

STATE = ("step", "averaged", "average", "controller_states", "multipliers", "events", "stopped")


@final
@dataclass(frozen=True)
class _Kept:
    """A state worth coming back to."""

    bits: Snapshot
    step: int
    averaged: int
    controller_states: tuple[State, ...]
    multipliers: tuple[float, ...]


@final
class Updates:
    """The updates of one optimizer; `before`, `initialise`, `after`, `save`, `check` and `load` are hooks of its.

    `gathered`, for `evaluated`, are the batch-norm layers that trained at the last update, the others being frozen;
    while `evaluating` nothing may be updated or saved.

    Args:
        network: what is trained.
        optimizer: the strategy's, or a proxy of it.
        strategy, chance, total_steps, steps_per_epoch: as `follow` takes them.

    Raises:
        UsageError: as `follow`.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        strategy: StrategySpec,
        *,
        chance: float | None,
        total_steps: int,
        steps_per_epoch: int | None,
    ) -> None:
        horizon = Horizon(total_steps, steps_per_epoch)
        schedules, self.controllers = bind_strategy(strategy, steps=total_steps, steps_per_epoch=steps_per_epoch)
        average = bind_average(strategy, steps=total_steps, steps_per_epoch=steps_per_epoch)
        if any(controller.wants(0).curvature for controller in self.controllers):
            raise UsageError(
                "edge measures by a second pass over each batch, which calando's own loop alone makes (calando train, "
                "calando compare); leave it out, or warm up as in linear(0.01, 1, over='10%') >> cosine(1, 0)"
            )
        self.step = 0
        self.total_steps = total_steps
        self.stopped: str | None = None
        self.events: list[str] = []
        self.average = None if average is None else RunningAverage(network, average)
        self._network, self._method, self._chance = network, find_method(strategy.method), chance
        writers = OtherWriters(compose=False, remedy="a strategy has no other writer next to it")
        self._driver = Driver(optimizer, schedules=schedules, horizon=horizon, noticed=writers.noticed)
        self._identity = {"strategy": strategy.text, "total_steps": total_steps, "steps_per_epoch": steps_per_epoch}
        self._states = [controller.initial() for controller in self.controllers]
        self._multipliers = [float(state.get("multiplier", 1.0)) for state in self._states]
        self._texts = strategy.controllers
        self.evaluating = False
        self._layers = statistics_of(network)
        self.gathered = _training(self._layers) if network.training else self._layers
        self._kept: list[_Kept] = []
        self._dead: float | None = None
        self._ahead = False  # the groups hold the next update's values already
        self._observed = 0  # updates made when `observe` was called last
        self._loading: Mapping[str, Any] = {}
        self._loading_state: Mapping[str, Any] = {}
        self._driver.write(0, multiplier=math.prod(self._multipliers))

    @property
    def others_evaluated(self) -> bool:
        """Whether the weights to evaluate are others than those trained."""
        return self._method.eval_mode or (self.average is not None and self.average.count > 0)

    def get_last_lr(self) -> list[float]:
        """Each group's present rate; that this is here tells a range test that these hooks write rates."""
        return [float(group["lr"]) for group in self._driver.optimizer.param_groups]

    def write_ahead(self) -> None:
        """Write the next update's values early, for what reads the groups before it."""
        self._ahead = True
        self._driver.write(self.step, multiplier=math.prod(self._multipliers))

    def next_lrs(self) -> list[float]:
        """Each group's rate at the next update."""
        multiplier = math.prod(self._multipliers)
        return [rate * multiplier for rate in self._driver.values(self.step)["lr"]]

    def base_lrs(self) -> list[float]:
        """Each group's base rate."""
        return list(self._driver.base_values["lr"])

    def before(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Hook: the rates of this update, and the closure that the method wants."""
        if self.evaluating:
            raise UsageError("an update within evaluated() would be lost; leave the `with` block first")
        self.gathered = _training(self._layers)
        if not self._kept and any(controller.wants(self.step).states for controller in self.controllers):
            self._keep(optimizer)
        self._driver.write_exactly(self.step, multiplier=math.prod(self._multipliers))
        self._ahead = False
        if self._method.closure == "none":
            return None
        # torch hands its hooks the optimizer in front of what `step` was called with.
        closure: Closure | None = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            wanted = "the loss of the batch" if self._method.closure == "loss" else "a second pass over the batch"
            raise UsageError(
                f"{self._method.name} needs {wanted}: optimizer.step(closure), where the closure clears gradients, "
                "works the loss out, calls backward and returns the loss"
            )
        if self._method.closure == "loss":
            return None
        return (args[0], second_pass(self._network, optimizer, closure)), {}

    @property
    def rates(self) -> list[float]:
        """Each group's rate as it was written last."""
        return self._driver.written["lr"]

    def initialise(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Hook: a step that makes the optimizer's state and no update; it comes without a closure."""
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if self._method.closure == "none" or closure is not None:
            return None
        return (args[0], lambda: torch.zeros(())), {}

    def after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Hook: an update was made, unless a gradient scaler skipped it."""
        if was_skipped(optimizer):
            return
        if self.average is not None:
            self.average.update(self.step)
        looked_for = any(controller.wants(self.step).dead for controller in self.controllers)
        self._dead = dead_share(optimizer) if looked_for else None
        self.step += 1

    def save(self, optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
        """Hook: all that is ours goes into the optimizer's state."""
        if self.evaluating:
            raise UsageError(
                "within evaluated() the network holds the weights to judge, not those that training goes on from: save "
                "the network's state there to use it, and outside, with the optimizer's, to go on"
            )
        tensors = {} if self.average is None else self.average.tensors
        entry = {
            **self._identity,
            "step": self.step,
            "averaged": 0 if self.average is None else self.average.count,
            "average": [tensor.clone() for tensor in tensors.values()],  # names change with wrappers
            "controller_states": [dict(state) for state in self._states],
            "multipliers": list(self._multipliers),
            "events": list(self.events),
            "stopped": self.stopped,
        }
        put(state_dict, entry)

    def check(self, optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
        """Hook: refuse a state that is not of this strategy, before anything is loaded.

        Raises:
            UsageError: it is not.
        """
        saved = take(state_dict)
        if saved is None:
            raise UsageError(
                "not a state of calando.follow: the optimizer was saved without its strategy, or by something that "
                "leaves an average out, as torch.distributed.checkpoint does; save optimizer.state_dict() itself"
            )
        if not isinstance(saved, Mapping) or any(name not in saved for name in (*self._identity, *STATE)):
            raise UsageError(f"not a state of calando.follow: {KEY!r} in it was written by something else")
        for name, mine in self._identity.items():
            if saved[name] != mine:
                raise UsageError(f"the state was saved with {name}={saved[name]!r}; here it is {mine!r}")
        mine = [] if self.average is None else [tensor.shape for tensor in self.average.tensors.values()]
        if [tensor.shape for tensor in saved["average"]] != mine:
            raise UsageError("the state was saved with another network: the average's tensors have other shapes")
        self._loading, self._loading_state = saved, state_dict

    def load(self, optimizer: Optimizer) -> None:
        """Hook: what `check` let pass, after the optimizer's own state."""
        saved = self._loading
        if self.average is not None:
            self.average.count = saved["averaged"]
            for mine, theirs in zip(self.average.tensors.values(), saved["average"], strict=True):
                mine.copy_(theirs)
        self.step = self._observed = saved["step"]
        self._states = [dict(state) for state in saved["controller_states"]]
        self._multipliers, self.events = list(saved["multipliers"]), list(saved["events"])
        self.stopped = saved["stopped"]
        keep_types(optimizer, self._loading_state)
        self._kept, self._loading, self._loading_state = [], {}, {}
        self._driver.write(self.step, multiplier=math.prod(self._multipliers))

    def keep_place(self) -> Callable[[], None]:
        """What puts the strategy back to where it is now, once the optimizer and the network are as they are now."""
        plain = {name: getattr(self, name) for name in ("step", "stopped", "_observed", "_dead", "_ahead", "gathered")}
        states, multipliers = [dict(state) for state in self._states], list(self._multipliers)
        events, kept = list(self.events), list(self._kept)
        average = self.average
        count = 0 if average is None else average.count
        tensors = [] if average is None else [tensor.clone() for tensor in average.tensors.values()]

        def put_back() -> None:
            for name, value in plain.items():
                setattr(self, name, value)
            self._states, self._multipliers = [dict(state) for state in states], list(multipliers)
            self.events, self._kept = list(events), list(kept)
            if average is not None:
                average.count = count
                for mine, held in zip(average.tensors.values(), tensors, strict=True):
                    mine.copy_(held)
            self._driver.forget()

        return put_back

    def observe(
        self, optimizer: Optimizer, *, batch_chance: float | None = None, **seen: float | torch.Tensor | None
    ) -> tuple[str, ...]:
        """The controllers' answers to the last update: `Following.observe`."""
        given = {name: _number(name, value) for name, value in seen.items() if value is not None}
        if self.step == self._observed and given.keys() == {"loss"}:
            return ()  # a gradient scaler skipped the update
        wanted = [controller.wants(self.step).seen for controller in self.controllers]
        self._check_seen(given, wanted)
        self._observed = self.step
        ruined = self._ruined(given)
        observation = Observation(
            **{"loss": 0.0, **given},
            step=self.step - 1,
            broken=ruined or _not_finite(given),
            chance=self._chance,
            batch_chance=batch_chance,
            dead=self._dead,
        )
        answers: dict[int, Action] = {}
        for index, controller in enumerate(self.controllers):
            if wanted[index] in given:
                self._states[index], answers[index] = controller.respond(self._states[index], observation)
        stops = [f"{ruined} after step {self.step - 1}"] if ruined else []
        stops += [action.stop for action in answers.values() if action.stop is not None]
        rewinding = [index for index, action in answers.items() if action.rewind]
        said = tuple(action.event for action in answers.values() if action.event)
        if stops and not rewinding:
            self.stopped = stops[-1]
            said = (*said, stops[-1])
        self.events += said
        for index, action in answers.items():
            if not rewinding or index in rewinding:
                self._multipliers[index] = action.multiplier
        if rewinding:
            self._go_back(optimizer, rewinding)
        if self._ahead:
            self.write_ahead()
        if rewinding:
            return said
        if any(action.keep for action in answers.values()):
            self._keep(optimizer)
        return said

    def _ruined(self, given: Mapping[str, float]) -> str:
        """Which weights are not finite, in words, or "".

        Looked at after the last update, where an evaluation is reported, and where something given is not finite. The
        loss of an update is that before it, and an infinite one need not have ruined anything.
        """
        evaluated = given.keys() != {"loss"}
        if self.step < self.total_steps and not evaluated and all(map(math.isfinite, given.values())):
            return ""
        if self.average is not None and not all_finite(self.average.tensors.values()):
            return "the average of the weights is not finite"
        return network_broken(self._network)

    def _check_seen(self, given: Mapping[str, float], wanted: list[str]) -> None:
        if self.step == self._observed:
            raise UsageError("observe() tells of an update, and none was made since the last call; give all in one")
        for name in given:
            if name != "loss" and name not in wanted:
                reads = f"{', '.join(wanted)} is what is read" if wanted else "the strategy has no controller"
                raise UsageError(f"nothing answers to {name}: {reads}")
        for text, name in zip(self._texts, wanted, strict=True):
            if name == "loss" and name not in given:
                raise UsageError(f"{text} answers to the training loss: pass loss= after every update")

    def _keep(self, optimizer: Optimizer) -> None:
        bits = Snapshot()
        # Not the network itself: what the user notes on it stays. Nor the optimizer, which holds these hooks; a method
        # remembers nothing elsewhere.
        bits.note([*self._network.parameters(), *self._network.buffers()])
        bits.note([optimizer.state, optimizer.param_groups])
        if self.average is not None:
            bits.note(self.average.tensors)
        averaged = 0 if self.average is None else self.average.count
        states = tuple(dict(state) for state in self._states)
        kept = _Kept(bits, self.step, averaged, states, tuple(self._multipliers))
        self._kept = [*self._kept, kept][-KEPT:]

    def _go_back(self, optimizer: Optimizer, asked: list[int]) -> None:
        """To the older kept state; the controllers that asked keep theirs."""
        back = self._kept[0]
        back.bits.put_back()
        self._driver.forget()  # the rates of that time came back
        optimizer.zero_grad(set_to_none=True)  # gradients of that time came back as well
        self.step = self._observed = back.step
        if self.average is not None:
            self.average.count = back.averaged
        for index in set(range(len(self.controllers))).difference(asked):
            self._states[index] = dict(back.controller_states[index])
            self._multipliers[index] = back.multipliers[index]
        self._kept = [back]


def _training(layers: Iterable[nn.modules.batchnorm._BatchNorm]) -> list[nn.modules.batchnorm._BatchNorm]:
    return [layer for layer in layers if layer.training]


def _not_finite(given: Mapping[str, float]) -> str:
    """Which result of an evaluation is not finite, in words, or ""."""
    wrong = (f"{name.replace('_', ' ')} is {value}" for name, value in given.items() if not math.isfinite(value))
    return next(wrong, "")


def _number(name: str, value: Any) -> float:
    try:
        return float(value.detach() if isinstance(value, torch.Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(f"observe: {name} must be one number, got {value!r}") from None
