"""What `LRScheduler` and `attach` share: schedules on an optimizer, as state that is saved, loaded and extended.

    value of group g at update t = base value of g * schedule of g(t)      in closed form, never from the one before

State is the step, the horizon, the schedules' texts and the groups' base values; everything else follows, so
resuming does not depend on the order in which things are built and loaded.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, SupportsFloat, TypeVar, final

import numpy as np
from torch.optim import Optimizer

from calando.errors import UsageError
from calando.loops.other_writers import CLOSE, Origin, OtherWriters, origins
from calando.methods.driver import Driver
from calando.methods.known_groups import AddedAt, check_added_at, group_name
from calando.records import StrategySpec
from calando.schedules import Finding, Horizon, Schedule, lint_schedule, parse
from calando.strategy.only_schedule import only_schedule

__all__ = ["Jump", "ScheduledOptimizer"]

STATE = ("last_epoch", "schedule", "total_steps", "steps_per_epoch", "hyper_parameters", "base_lrs", "base_values")

WAITING = -1  # the step of a scheduler that has not had its turn in a sequence

T = TypeVar("T")
_Numbers = tuple[int, dict[str, list[float]], list[float], list[float] | None]
"""A saved state's step, base values, shares, and the rates that others wrote."""

SMALLEST_JUMP = 1e-9  # relative
MOST_LOOKED_AT = 1_000_000  # updates whose rates are compared with those found
LINTED_STEPS = 200  # looked at to compare groups


@final
@dataclass(frozen=True)
class Jump:
    """A value of a group's hyper-parameter that changes at once, at the next update `step`, when a horizon does."""

    group: str
    hyper_parameter: str
    step: int
    before: float
    after: float

    def __str__(self) -> str:
        return f"{self.hyper_parameter} of group {self.group} from {self.before:.6g} to {self.after:.6g}"


@final
class ScheduledOptimizer:
    """Schedules on an optimizer.

    Args:
        optimizer, schedule, total_steps, steps_per_epoch, hyper_parameters, added_at: as of `calando.LRScheduler`.
        writers: what happens to other writers' values; it may compose with them.

    Raises:
        UsageError: as `Driver`; something that is neither a schedule nor its text.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Schedule | str,
        *,
        total_steps: int,
        steps_per_epoch: int | None,
        hyper_parameters: Mapping[str, Schedule | str] | None,
        added_at: AddedAt,
        writers: OtherWriters,
    ) -> None:
        check_added_at(added_at)
        if not isinstance(hyper_parameters, Mapping | None):
            raise UsageError(
                f"hyper_parameters must be a dictionary of schedules, such as {{'momentum': 'linear(1, 0.9)'}}, got "
                f"{hyper_parameters!r}"
            )
        others = dict(hyper_parameters or {})
        if "lr" in others:
            raise UsageError("hyper_parameters holds 'lr'; the rate's schedule is the second argument")
        schedules = {key: _read(key, value) for key, value in {"lr": schedule, **others}.items()}
        horizon = Horizon(total_steps, steps_per_epoch)
        found = origins(optimizer)
        self.driver = Driver(
            optimizer, schedules=schedules, horizon=horizon, added_at=added_at, noticed=writers.noticed
        )
        self._composes = writers.compose
        self._places: list[int] | None = None  # the updates that have the rates in doubt
        self._doubted = [one for one in found if one.by == "unknown"]
        # A warning for the next update: until then a state that is loaded may settle the doubt.
        self.notice = _doubt(self._doubted[0]) if self._doubted else None
        self._of_horizon = False  # the notice is of a saved horizon
        by_hand = {one.index: one for one in found if one.by == "hand"}
        if by_hand:
            bases = self.driver.base_values["lr"]
            self.rebase([by_hand[i].held if i in by_hand else base for i, base in enumerate(bases)])
            first = next(iter(by_hand.values()))
            warnings.warn(
                f"lr of group {first.index} was set to {first.held:.6g} since a scheduler wrote it: that is its base "
                f"rate now, instead of {first.kept:.6g}, its 'initial_lr'",
                stacklevel=4,
            )
        if writers.compose:
            self.driver.scale({one.index: one.held / one.kept for one in found if one.by == "torch" and one.kept})

    def goes_on_at(self, step: int) -> bool:
        """Whether training may be on its way to an update that has the loaded rates: then a warning can wait.

        If the rates that were found are those of this update, nothing is in doubt, and the notice is dropped.
        """
        if self._places is None and self._doubted:
            self._places = self._places_of(self._doubted)
        if not self._places or step > self._places[-1]:
            return False
        if step in self._places:
            self.notice, self._doubted, self._places = None, [], None
        return True

    def _places_of(self, found: Sequence[Origin]) -> list[int]:
        curves, bases = self.driver.curves, self.driver.base_values["lr"]
        steps = np.arange(min(self.driver.horizon.total_steps, MOST_LOOKED_AT) + 1)
        fits = np.ones(len(steps), dtype=bool)
        for one in found:
            fits &= np.isclose(bases[one.index] * curves[one.index]["lr"](steps), one.held, rtol=CLOSE, atol=0)
        places: list[int] = steps[fits].tolist()
        return places

    def warn_notice(self, *, stacklevel: int) -> None:
        """Warn, at an update, of what is still in doubt."""
        if self.notice is not None:
            notice, self.notice, self._doubted, self._places = self.notice, None, [], None
            warnings.warn(notice, stacklevel=stacklevel + 1)

    @property
    def texts(self) -> dict[str, str]:
        return {key: str(schedule) for key, schedule in self.driver.schedules.items()}

    def state(self, step: int, *, others: bool = False) -> dict[str, Any]:
        """All state at `step`, as plain numbers and texts; `others`: with rates that other writers have set since."""
        base_lrs, base_values = _split(self.driver.base_values)
        schedule, hyper_parameters = _split(self.texts)
        names = self.driver.group_names
        usual = [group_name(group, index) for index, group in enumerate(self.driver.optimizer.param_groups)]
        # Below 0 it waits for its turn in a sequence, and another part writes the rates.
        rates = self.driver.rates_of_others(all_are=step < 0) if others else None
        return {
            **({} if rates is None else {"last_lr": rates}),
            **({} if names == usual else {"group_names": names}),
            **({} if set(self.driver.shares) <= {1.0} else {"shares": self.driver.shares}),
            "last_epoch": step,
            "schedule": schedule,
            "total_steps": self.driver.horizon.total_steps,
            "steps_per_epoch": self.driver.horizon.steps_per_epoch,
            "hyper_parameters": hyper_parameters,
            "base_lrs": base_lrs,
            "base_values": base_values,
        }

    def check(self, state: Mapping[str, Any]) -> _Numbers:
        """Check that a saved state fits these schedules and groups; UsageError where it does not."""
        if not isinstance(state, Mapping):
            raise UsageError(f"a state must be the dictionary that state_dict() gave, got {state!r}")
        if missing := [key for key in STATE if key not in state]:
            raise UsageError(
                f"not a state of calando's LRScheduler or attach: it holds {', '.join(map(str, state))}, "
                f"but not {missing[0]}"
            )
        for key in ("hyper_parameters", "base_values"):
            if not isinstance(state[key], Mapping):
                raise UsageError(f"the state is damaged: {key} must be a dictionary, got {state[key]!r}")
        saved = {"lr": state["schedule"], **state["hyper_parameters"]}
        if saved != self.texts:
            raise UsageError(f"the state was saved with {_spelled(saved)}; here it is {_spelled(self.texts)}")
        bases = {"lr": state["base_lrs"], **state["base_values"]}
        groups = len(self.driver.optimizer.param_groups)
        by_group = [*bases.values(), *(state[key] for key in ("shares", "group_names", "last_lr") if key in state)]
        for values in by_group:
            if not isinstance(values, list | tuple):
                raise UsageError(f"the state is damaged: it must hold a value for each parameter group, got {values!r}")
            if len(values) != groups:
                raise UsageError(f"the state was saved with {len(values)} parameter groups, the optimizer has {groups}")
        if bases.keys() != saved.keys():
            raise UsageError(f"the state is damaged: it holds base values of {', '.join(map(str, bases))}")
        try:
            numbers = _numbers(state)
        except (TypeError, ValueError) as problem:
            raise UsageError(f"the state holds what is no number: {problem}") from None
        step, base_values, shares, _ = numbers
        if step != state["last_epoch"] or step < WAITING:
            raise UsageError(f"the state is damaged: last_epoch is {state['last_epoch']!r}, no number of an update")
        if not all(math.isfinite(value) for values in (*base_values.values(), shares) for value in values):
            raise UsageError("the state is damaged: it holds base values that are not finite")
        return numbers

    def restore(self, state: Mapping[str, Any]) -> int:
        """Take the base values and the horizon of a saved state, and write the values of its step, which is returned.

        A horizon that is not the present one is reported at once, and by `notice` at the next update, where a framework
        has kept the first warning to itself. Raises as `check`.
        """
        step, base_values, shares, rates = self.check(state)
        saved_horizon = Horizon(state["total_steps"], state["steps_per_epoch"])
        notice = None
        if saved_horizon != self.driver.horizon:
            notice = (
                f"the state was saved with {_horizon_text(saved_horizon)}, which is kept; here it was built with "
                f"{_horizon_text(self.driver.horizon)}; extend() changes it"
            )
            warnings.warn(notice, stacklevel=3)
        self.notice, self._of_horizon, self._doubted = notice, notice is not None, []
        self._places = None
        self._follow(saved_horizon, base_values=base_values, names=state.get("group_names"), shares=shares)
        if step >= 0:
            self.driver.write(step)
        if rates is not None and self._composes:  # what composes with nobody writes its own
            self.driver.put_rates(rates)
        return step

    def rebase(self, rates: Iterable[SupportsFloat]) -> None:
        """Take other base rates; UsageError where there are not as many as groups, or one is no rate."""
        try:
            given = [float(rate) for rate in rates]
        except (TypeError, ValueError, RuntimeError):
            raise UsageError(f"base_lrs must be a list of numbers, a rate for each group, got {rates!r}") from None
        for rate in given:
            if not 0 <= rate < math.inf:
                raise UsageError(f"a base rate must be finite and not below 0, got {rate:g}")
        if len(given) != (groups := len(self.driver.optimizer.param_groups)):
            raise UsageError(f"base_lrs must hold a rate for each parameter group, got {len(given)} for {groups}")
        self._follow(self.driver.horizon, base_values={**self.driver.base_values, "lr": given})

    def extend(self, step: int, *, total_steps: int, steps_per_epoch: int | None) -> tuple[Jump, ...]:
        """Another horizon from `step` on, and what jumps then; UsageError where a schedule does not fit it."""
        before = self.driver.values(step)
        per_epoch = self.driver.horizon.steps_per_epoch if steps_per_epoch is None else steps_per_epoch
        self._follow(Horizon(total_steps, per_epoch), base_values=self.driver.base_values)
        if self._of_horizon:
            self.notice, self._of_horizon = None, False
        self.driver.write(step)
        after, names = self.driver.values(step), self.driver.group_names
        jumps = tuple(
            Jump(name, key, step, old, new)
            for key in before
            for name, old, new in zip(names, before[key], after[key], strict=True)
            if abs(new - old) > SMALLEST_JUMP * max(abs(new), abs(old))
        )
        if jumps:
            more = f" and {len(jumps) - 1} more" if len(jumps) > 1 else ""
            warnings.warn(
                f"total_steps={total_steps} moves {jumps[0]}{more} at step {step}; extend a schedule in a constant "
                "part, such as the stable phase of wsd, and nothing jumps",
                stacklevel=3,
            )
        return jumps

    def lint(self) -> list[Finding]:
        """What is suspicious about the schedules (`calando.schedules.lint`), and how they meet this optimizer:

        groups-flattened    base rates differ, but every group gets the same rate
        """
        driver, found = self.driver, _groups_flattened(self.driver)
        for key, schedule in driver.schedules.items():
            horizon = driver.horizon
            of_key = lint_schedule(schedule, horizon.total_steps, steps_per_epoch=horizon.steps_per_epoch, of=key)
            found += of_key if key == "lr" else [replace(one, message=f"{key}: {one.message}") for one in of_key]
        return sorted(found, key=lambda finding: (finding.step, finding.name))

    def _follow(
        self,
        horizon: Horizon,
        *,
        base_values: Mapping[str, Sequence[float]],
        names: Sequence[str] | None = None,
        shares: Sequence[float] | None = None,
    ) -> None:
        before = self.driver
        self.driver = Driver(
            before.optimizer,
            schedules=before.schedules,
            horizon=horizon,
            base_values=base_values,
            names=before.group_names if names is None else names,
            former_names=before.all_names,
            added_at=before.added_at,
            noticed=before.noticed,
        )
        self.driver.scale(dict(enumerate(before.shares if shares is None else shares)), again=False)


def _read(key: str, schedule: Schedule | str) -> Schedule:
    if isinstance(schedule, str):
        return parse(schedule)
    if isinstance(schedule, StrategySpec):
        raise UsageError(only_schedule(schedule, schedule.name))
    if not isinstance(schedule, Schedule):
        raise UsageError(f"the schedule of {key} must be a schedule or its text, got {schedule!r}")
    return schedule


def _split(values: Mapping[str, T]) -> tuple[T, dict[str, T]]:
    """The rate's, and the others'."""
    return values["lr"], {key: value for key, value in values.items() if key != "lr"}


def _numbers(state: Mapping[str, Any]) -> _Numbers:
    bases = {"lr": state["base_lrs"], **state["base_values"]}
    base_values = {key: [float(value) for value in values] for key, values in bases.items()}
    shares = [float(share) for share in state.get("shares", [1.0] * len(state["base_lrs"]))]
    rates = None if "last_lr" not in state else [float(rate) for rate in state["last_lr"]]
    return int(state["last_epoch"]), base_values, shares, rates


def _doubt(doubted: Origin) -> str:
    return (
        f"group {doubted.index} held lr={doubted.held:.6g} and 'initial_lr'={doubted.kept:.6g} when the "
        f"schedule was set up, and no state was loaded since: {doubted.kept:.6g} is the base rate; to start "
        "from the other, delete 'initial_lr' from the groups first"
    )


def _horizon_text(horizon: Horizon) -> str:
    epochs = "" if horizon.steps_per_epoch is None else f", steps_per_epoch={horizon.steps_per_epoch}"
    return f"total_steps={horizon.total_steps}{epochs}"


def _spelled(texts: Mapping[str, str]) -> str:
    schedule, others = _split(texts)
    return f"schedule {schedule!r}" + "".join(f", {key}: {text!r}" for key, text in others.items())


def _groups_flattened(driver: Driver) -> list[Finding]:
    bases = driver.base_values["lr"]
    if len(set(bases)) < 2:
        return []
    steps = np.linspace(0, driver.horizon.total_steps - 1, LINTED_STEPS).round()
    multipliers = {curve: curve(steps) for curve in {mine["lr"] for mine in driver.curves}}
    rates = np.array([base * multipliers[mine["lr"]] for base, mine in zip(bases, driver.curves, strict=True)])
    if not rates.any() or not np.allclose(rates, rates[0], rtol=SMALLEST_JUMP, atol=0):
        return []
    lowest, highest = min(bases), max(bases)
    message = f"base rates go from {lowest:g} to {highest:g}, but every group gets the same rate at every step"
    remedy = "leave out the factors that undo the base rates, or give all groups one base rate"
    return [Finding("groups-flattened", "warning", 0, message, remedy)]
