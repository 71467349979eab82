"""The driver: the one place that writes rates (and other scheduled hyper-parameters) into an optimizer.

    value of group g at update t  =  base value of g  *  schedule of g(t)  [*  controllers' multiplier, for the rate]

Base values are each group's own, read once, so ratios between groups survive. They are kept in the group as
"initial_lr", where torch's schedulers keep it too, "initial_momentum" and so on: they are found again after the
optimizer was saved and loaded. Tensor values are written in place, so a compiled or captured step sees them
without being rebuilt.

A group's name is its "name" where it has one, else its index. "beta1", "beta2" and "beta3" are the elements of a
group's "betas" where it has no such key itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Real
from typing import TYPE_CHECKING, Any, final

import numpy as np

from calando.errors import UnknownName, UsageError
from calando.schedules import Curve, Schedule
from calando.schedules.span import Horizon

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["BETAS", "Driver", "group_name"]

Group = dict[str, Any]

BETAS = {"beta1": 0, "beta2": 1, "beta3": 2}
"""Name -> place in a group's "betas"."""

# Multipliers are worked out for a block of updates at once: as many updates as make MOST_HELD multipliers of all
# curves together, but at least LEAST_AHEAD.
MOST_HELD = 4096
LEAST_AHEAD = 256


@final
class Driver:
    """Writes scheduled values into an optimizer's parameter groups.

    Args:
        optimizer: any torch optimizer; its groups' present values are taken as the base ("initial_lr" and the like
            where they were kept). Groups may be added, and its state loaded, at any time.
        schedules: hyper-parameter -> schedule of multipliers, e.g. {"lr": cosine(1, 0)}; may differ between groups.
        horizon: the run's length in updates, beyond which the last value holds, and an epoch's.
        base_values: hyper-parameter -> each group's base value, where it is known from before; wins over what
            the groups hold.

    Raises:
        UsageError: a group lacks a scheduled hyper-parameter, or it is not a number; a schedule names a group that
            the optimizer does not have, lacks one that it has, or does not fit the horizon.

    >>> import torch
    >>> from calando.schedules import linear
    >>> from calando.schedules.span import Horizon
    >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)
    >>> driver = Driver(optimizer, schedules={"lr": linear(1, 0)}, horizon=Horizon(10))
    >>> driver.write(5)
    >>> optimizer.param_groups[0]["lr"]
    0.05
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        schedules: Mapping[str, Schedule],
        horizon: Horizon,
        base_values: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        assert schedules, "a driver writes something"
        assert base_values is None or base_values.keys() == schedules.keys(), "base values are of what is scheduled"
        self.optimizer = optimizer
        self.schedules = dict(schedules)
        self.horizon = horizon
        self._bases: list[dict[str, float]] = []  # each group's, by hyper-parameter
        if base_values is not None:
            rows = zip(*base_values.values(), strict=True)
            self._bases = [dict(zip(base_values, row, strict=True)) for row in rows]
        self._curves: list[dict[str, Curve]] = []  # each group's, by hyper-parameter
        self._tracks: tuple[_Track, ...] = ()
        # Updates start .. start + ahead - 1 are those whose multipliers the tracks hold.
        self._start, self._ahead = 0, 0
        # What tells that the groups changed since the last write: another list, more or fewer groups, or another type
        # of the first group's value of a key that it has (scripts make rates tensors when they begin to compile).
        self._groups: list[Group] = []
        self._members: tuple[Group, ...] = ()
        self._count, self._kind = 0, type(None)
        self._key = next((key for key in self.schedules if key in optimizer.param_groups[0]), "params")
        self._adopt_groups()

    def write(self, step: int, multiplier: float = 1.0) -> None:
        """Set every scheduled value for update `step`; `multiplier` is the controllers', for the rate alone.

        Raises:
            UsageError: the step is below zero; a group added since does not fit. Nothing was written then.
        """
        # Runs once an update: what can be settled before is settled in `_adopt_groups` and `_look_ahead`, and
        # Python is slower to call what has keyword-only arguments. benchmarks/schedules.py measures it.
        groups = self.optimizer.param_groups
        if groups is not self._groups or len(groups) != self._count or type(groups[0][self._key]) is not self._kind:
            self._adopt_groups()
        place = step - self._start
        if not 0 <= place < self._ahead:
            place = self._look_ahead(step)
        for track in self._tracks:
            key, factor = track.key, track.multipliers[place]
            if multiplier != 1.0 and key == "lr":
                factor *= multiplier
            for group, base in track.numbers:
                group[key] = base * factor
            if track.others:
                for group, base in track.others:
                    _put(group, key, base * factor)

    def values(self, step: int) -> dict[str, list[float]]:
        """What `write` sets: hyper-parameter -> each group's value at update `step`."""
        self._notice_groups()
        return {
            key: [base[key] * curves[key](step) for base, curves in zip(self._bases, self._curves, strict=True)]
            for key in self.schedules
        }

    @property
    def base_values(self) -> dict[str, list[float]]:
        """Hyper-parameter -> each group's base value."""
        self._notice_groups()
        return {key: [base[key] for base in self._bases] for key in self.schedules}

    @property
    def curves(self) -> list[dict[str, Curve]]:
        """Each group's curves, by hyper-parameter; groups with equal schedules share a curve."""
        self._notice_groups()
        return [dict(curves) for curves in self._curves]

    @property
    def group_names(self) -> list[str]:
        """Each group's name."""
        return [group_name(group, index) for index, group in enumerate(self.optimizer.param_groups)]

    def _notice_groups(self) -> None:
        """What `write` does in line, for what is not called every update."""
        groups = self.optimizer.param_groups
        if groups is not self._groups or len(groups) != self._count:
            self._adopt_groups()

    def _adopt_groups(self) -> None:
        """Take the groups as they are now: at the start, after one was added, after the state was loaded."""
        groups: list[Group] = self.optimizer.param_groups
        bases = self._find_bases(groups)
        curves = self._bind(self.group_names)
        _unshare(groups, self.schedules)
        tracks: dict[tuple[str, Curve], _Track] = {}
        for group, base, mine in zip(groups, bases, curves, strict=True):
            for key, curve in mine.items():
                track = tracks.setdefault((key, curve), _Track(key, curve, [], [], []))
                (track.numbers if type(group.get(key)) is float else track.others).append((group, base[key]))
            group.update({f"initial_{key}": value for key, value in base.items()})
        self._bases, self._curves, self._tracks = bases, curves, tuple(tracks.values())
        self._start, self._ahead = 0, 0
        self._groups, self._members = groups, tuple(groups)
        self._count, self._kind = len(groups), type(groups[0][self._key])

    def _find_bases(self, groups: Sequence[Group]) -> list[dict[str, float]]:
        """Each group's base values; those known stay.

        A group known by its place is not read again either: `optimizer.load_state_dict` replaces every group, and
        what was loaded into it must not become the base.
        """
        found = [{key: _base_value(group, key, index) for key in self.schedules} for index, group in enumerate(groups)]
        placed = dict(enumerate(self._bases))
        seen = {id(group): base for group, base in zip(self._members, self._bases, strict=False)}
        return [seen.get(id(group)) or placed.get(index) or found[index] for index, group in enumerate(groups)]

    def _bind(self, names: Sequence[str]) -> list[dict[str, Curve]]:
        """Each group's curves; equal schedules are bound once."""
        for key, schedule in self.schedules.items():
            for name in schedule.group_names:
                if name not in names:
                    raise UnknownName(f"parameter group in the schedule of {key}", name, names)

        @cache
        def bind(schedule: Schedule) -> Curve:
            return schedule.bind(self.horizon.total_steps, steps_per_epoch=self.horizon.steps_per_epoch)

        return [{key: bind(schedule.for_group(name)) for key, schedule in self.schedules.items()} for name in names]

    def _look_ahead(self, step: int) -> int:
        """Work out the multipliers of the block of updates that has `step`; its place there."""
        if step < 0:
            raise UsageError(f"a step must be 0 or more, got {step}")
        # Blocks have fixed places, so that a resumed run works out the same ones as one that never stopped.
        ahead = max(LEAST_AHEAD, MOST_HELD // len(self._tracks))
        start = step - step % ahead
        blocks = [track.curve(np.arange(start, start + ahead)).tolist() for track in self._tracks]
        for track, block in zip(self._tracks, blocks, strict=True):
            track.multipliers[:] = block
        self._start, self._ahead = start, ahead
        return step - start


@final
@dataclass(frozen=True, slots=True)
class _Track:
    """One hyper-parameter of the groups that follow one curve."""

    key: str
    curve: Curve
    multipliers: list[float]  # of a block of updates
    numbers: list[tuple[Group, float]]  # groups whose value is a float, with their base
    others: list[tuple[Group, float]]  # groups whose value is a tensor, or an element of "betas"


def group_name(group: Mapping[str, Any], index: int) -> str:
    """A parameter group's name: its own, else its index.

    >>> group_name({"name": "head"}, 0), group_name({}, 1)
    ('head', '1')
    """
    return str(group.get("name", index))


def _base_value(group: Group, key: str, index: int) -> float:
    value = _held(group, key)
    if value is None:
        numbers = ", ".join(sorted(name for name, value in group.items() if _is_number(value)))
        raise UsageError(f"cannot schedule {key!r}: group {index} of the optimizer has {numbers or 'no number'}")
    if not _is_number(value):
        raise UsageError(
            f"cannot schedule {key!r}: it is {value!r} in group {index}, neither a number nor a floating-point tensor"
        )
    kept = f"initial_{key}"
    return float(group[kept]) if kept in group else float(value)


def _unshare(groups: Sequence[Group], keys: Iterable[str]) -> None:
    """A tensor given for all groups is the same one in each, and could hold one group's value only."""
    seen = set()
    for group in groups:
        for key in keys:
            value = _held(group, key)
            if hasattr(value, "fill_"):
                if id(value) in seen:
                    value = value.clone()
                    _replace(group, key, value)
                seen.add(id(value))


def _is_number(value: Any) -> bool:
    if hasattr(value, "fill_"):
        return bool(value.is_floating_point())
    return isinstance(value, Real) and not isinstance(value, bool)


def _held(group: Group, key: str) -> Any:
    """The value of a hyper-parameter; None where there is none."""
    if key in group or key not in BETAS:
        return group.get(key)
    return dict(enumerate(group.get("betas", ()))).get(BETAS[key])


def _put(group: Group, key: str, value: float) -> None:
    held = _held(group, key)
    if hasattr(held, "fill_"):
        held.fill_(value)
    else:
        _replace(group, key, value)


def _replace(group: Group, key: str, value: Any) -> None:
    if key in group:
        group[key] = value
    else:
        betas, place = group["betas"], BETAS[key]
        group["betas"] = (*betas[:place], value, *betas[place + 1 :])
