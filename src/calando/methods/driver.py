"""The driver: the one place that writes rates (and other scheduled hyper-parameters) into an optimizer.

    value of group g at update t  =  base value of g  *  schedule of g(t)  [*  controllers' multiplier, for the rate]

Each group has its own base values, read once (`calando.methods.known_groups`), so ratios between groups survive. The
group keeps them as "initial_lr", as torch's schedulers do, "initial_momentum" and so on, so they survive saving and
loading. Tensor values are written in place, so a compiled or captured step sees them without being rebuilt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import is_
from typing import TYPE_CHECKING, Any, final

import numpy as np

from calando.errors import UsageError
from calando.language import message
from calando.methods.known_groups import BETAS, AddedAt, Group, GroupReader, KnownGroup, held_value
from calando.schedules import Curve, Horizon, Schedule
from calando.sizes import check_products

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["Driver", "Noticed", "was_skipped"]

# Multipliers are computed for a block of updates at once: MOST_HELD of all curves together, but LEAST_AHEAD updates.
MOST_HELD = 4096
LEAST_AHEAD = 256
# Where there are more groups, one of them, in turn, is compared with what was written last, and all only if it differs.
MOST_COMPARED = 64


@final
@dataclass(frozen=True)
class Noticed:
    """A value that a driver found and did not write."""

    index: int  # the group's, and its name
    name: str
    key: str  # the hyper-parameter
    held: float  # what the group held
    ours: float  # what the driver had written there
    loaded: bool  # whether it came with the optimizer's state


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
        names: each group's name, where it is known from before.
        former_names: names of former groups, which a schedule may still name.
        added_at: what a group holds that is added later: "base" values, or those of the update at "present".
        noticed: called with the driver and the values of others that it overwrote.

    Raises:
        UsageError: a group lacks a scheduled hyper-parameter, or it is not a number; a schedule names a group that
            the optimizer does not have, lacks one that it has, or does not fit the horizon.

    >>> import torch
    >>> from calando.schedules import Horizon, linear
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
        names: Sequence[str] | None = None,
        former_names: Iterable[str] = (),
        added_at: AddedAt = "base",
        noticed: Callable[[Driver, list[Noticed]], None] | None = None,
    ) -> None:
        assert schedules, "a driver writes something"
        assert base_values is None or base_values.keys() == schedules.keys(), "base values are of what is scheduled"
        self.optimizer = optimizer
        self.schedules = dict(schedules)
        self.horizon = horizon
        self.added_at = added_at
        self.noticed = noticed
        self._look_up = GroupReader(self.schedules, horizon, added_at)
        self._known: list[KnownGroup] = []  # of each group, in the order of the optimizer's
        self._names = set(former_names)  # of all groups that there ever were
        self._tracks: tuple[_Track, ...] = ()
        # Updates start .. start + ahead - 1 are those whose multipliers the tracks hold.
        self._start, self._ahead = 0, 0
        self._last: tuple[int, float] | None = None  # what was written last: the update's number, the multiplier
        self._newcomers: tuple[object, set[int]] = None, set()  # the groups that joined, by id, since which write
        self._loaded: tuple[object, set[int]] = None, set()  # and those that were put in another dictionary
        # Groups have changed since the last write if there is another list, another group, or another type of the
        # first group's value of a key that it has: scripts make rates tensors when they begin to compile.
        groups: list[Group] = optimizer.param_groups
        self._groups, self._members, self._first, self._kind = groups, list[Group](), Group(), type(None)
        if not groups:
            raise UsageError(message("the optimizer has no parameter group to schedule"))
        self._key = next((key for key in self.schedules if key in groups[0]), "params")
        given = base_values or {}
        rows = enumerate(zip(*given.values(), strict=True))
        placed = {index: dict(zip(given, row, strict=True)) for index, row in rows}
        self._adopt_groups(placed, names)

    def write(self, step: int, multiplier: float = 1.0) -> None:
        """Set every scheduled value for update `step`; `multiplier` is the controllers', for the rate alone.

        Raises:
            UsageError: the step is below zero; a group added since does not fit. Nothing was written then.
        """
        # This runs once an update, so `_adopt_groups` and `_work_out` prepare all that they can, and no argument is
        # keyword-only, which is slower to call. Lists of the same objects are equal without a look at what these hold.
        groups = self.optimizer.param_groups
        try:
            same = groups is self._groups and groups == self._members and type(self._first[self._key]) is self._kind
        except Exception:  # values that cannot be compared, such as tensors: not the group that was there
            same = False
        if not same:
            self._adopt_groups()
        place = step - self._start
        if not 0 <= place < self._ahead:
            place = self._work_out(self._tracks, step)
        found: list[tuple[Group, str, float, float]] | None = None
        for track in self._tracks:
            key, factor, last = track.key, track.multipliers[place], track.last
            if multiplier != 1.0 and key == "lr":
                factor *= multiplier
            numbers = track.numbers
            if track.many and (probe := numbers[step % len(numbers)])[0][key] == probe[1] * last:
                for group, base in numbers:
                    group[key] = base * factor
            else:
                for group, base in numbers:
                    if group[key] != base * last:
                        found = found or []
                        found.append((group, key, group[key], base * last))
                    group[key] = base * factor
            if track.others:
                for group, base in track.others:
                    if self.noticed is not None and _was_replaced(group, key, base * last):
                        found = found or []
                        found.append((group, key, float(held_value(group, key)), base * last))
                    _put(group, key, base * factor)
            track.last = factor
        before, self._last = self._last, (step, multiplier)
        if found is not None and self.noticed is not None:
            self._report(found, before)

    def _report(self, found: Sequence[tuple[Group, str, float, float]], before: object) -> None:
        places = {id(known.group): (index, known.name) for index, known in enumerate(self._known)}
        joined, loaded = (ids if since is before else set() for since, ids in (self._newcomers, self._loaded))
        noticed = [
            Noticed(*places[id(group)], key, float(held), ours, id(group) in loaded)
            for group, key, held, ours in found
            if ours == ours and id(group) not in joined  # not a number: written for the first time
        ]
        if noticed and self.noticed is not None:
            self.noticed(self, noticed)

    def forget(self) -> None:
        """Do not compare what the groups hold now with what was written last."""
        for track in self._tracks:
            track.last = math.nan

    def scale(self, factors: Mapping[int, float], *, again: bool = True) -> None:
        """Multiply the rates of groups, by their index, from now on; with `again`, also those written last."""
        for index, factor in factors.items():
            self._known[index].share *= factor
        scaled = {id(self._known[index].group): factor for index, factor in factors.items()}
        for track in self._tracks:
            if track.key == "lr":
                for held in (track.numbers, track.others):
                    for place, (group, base) in enumerate(held):
                        if id(group) in scaled:
                            held[place] = group, base * scaled[id(group)]
                            if again:
                                _put(group, "lr", held[place][1] * track.last)

    @property
    def shares(self) -> list[float]:
        """The factor by which `scale` has multiplied each group's rate."""
        self._notice_groups()
        return [known.share for known in self._known]

    def put_rates(self, rates: Sequence[float]) -> None:
        """Set the groups' rates to what something else had written there."""
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            _put(group, "lr", rate)

    def rates_of_others(self, *, all_are: bool = False) -> list[float] | None:
        """Each group's present rate, if one of them is not what was written last, or `all_are`; else None."""
        self._notice_groups()
        held = [float(group["lr"]) for group in self.optimizer.param_groups if "lr" in group]
        ours = self.written["lr"]
        tolerance = 1e-6 if any(hasattr(group.get("lr"), "fill_") for group in self.optimizer.param_groups) else 0.0
        same = len(held) == len(ours) and all(map(partial(math.isclose, rel_tol=tolerance), held, ours))
        return None if same and self._last is not None and not all_are else held

    def write_exactly(self, step: int, multiplier: float = 1.0) -> None:
        """As `write`, where what an optimizer holds is used at once: also in a group that was replaced by a copy."""
        self._notice_groups()
        self.write(step, multiplier)

    def look_for_newcomers(self) -> bool:
        """Whether a group joined since the last write; what it holds is not read yet."""
        if not self._same_groups():
            known = {id(known.group) for known in self._known}, {id(known.params) for known in self._known}
            groups = self.optimizer.param_groups
            if any(id(group) not in known[0] and id(group["params"]) not in known[1] for group in groups):
                return True
            self._adopt_groups()
        last, newcomers = self._newcomers
        return last is self._last and bool(newcomers)

    def write_newcomers(self, step: int) -> None:
        """As `write`, for the groups alone that joined since the last write."""
        self._notice_groups()
        last, newcomers = self._newcomers
        place = self._work_out(self._tracks, step)
        for track in self._tracks:
            for group, base in (*track.numbers, *track.others):
                if last is self._last and id(group) in newcomers:
                    _put(group, track.key, base * track.multipliers[place])
        self._newcomers = last, set()

    def values(self, step: int) -> dict[str, list[float]]:
        """What `write` sets: hyper-parameter -> each group's value at update `step`."""
        self._notice_groups()
        return {key: [known.base(key) * known.curves[key](step) for known in self._known] for key in self.schedules}

    @property
    def base_values(self) -> dict[str, list[float]]:
        """Hyper-parameter -> each group's base value."""
        self._notice_groups()
        return {key: [known.bases[key] for known in self._known] for key in self.schedules}

    @property
    def written(self) -> dict[str, list[float]]:
        """Hyper-parameter -> what `write` set last in each group that was there."""
        step, multiplier = self._last or (0, 1.0)
        factors = {key: multiplier if key == "lr" else 1.0 for key in self.schedules}
        return {
            key: [known.base(key) * (known.curves[key](step) * factors[key]) for known in self._known]
            for key in self.schedules
        }

    @property
    def curves(self) -> list[dict[str, Curve]]:
        """Each group's curves, by hyper-parameter; groups with equal schedules share a curve."""
        self._notice_groups()
        return [dict(known.curves) for known in self._known]

    @property
    def group_names(self) -> list[str]:
        """Each group's name."""
        self._notice_groups()
        return [known.name for known in self._known]

    @property
    def all_names(self) -> frozenset[str]:
        """The names of all groups, former ones included."""
        return frozenset(self._names)

    def _same_groups(self) -> bool:
        """Whether the groups are those known; `write`, which runs more often, misses one replaced by an equal copy."""
        groups = self.optimizer.param_groups
        return groups is self._groups and len(groups) == len(self._members) and all(map(is_, groups, self._members))

    def _notice_groups(self) -> None:
        if not self._same_groups():
            self._adopt_groups()

    def _adopt_groups(
        self, placed: Mapping[int, dict[str, float]] | None = None, names: Sequence[str] | None = None
    ) -> None:
        """Take the groups as they are now: at the start, after one was added, after the state was loaded.

        Base values `placed` and `names` are by the group's place. Where a group does not fit, nothing was written.
        """
        groups: list[Group] = self.optimizer.param_groups
        before = {id(known.group) for known in self._known}
        found, joined = self._look_up(
            groups, self._known, placed=placed or {}, names=names, former=self._names, last=self._last
        )
        tracks: dict[tuple[str, Curve], _Track] = {}
        for known in found:
            for key, curve in known.curves.items():
                track = tracks.setdefault((key, curve), _Track(key, curve, [], [], [], self._last_factor(key, curve)))
                held = track.numbers if type(known.group.get(key)) is float else track.others
                held.append((known.group, known.base(key)))
        for track in tracks.values():
            track.many = len(track.numbers) > MOST_COMPARED
        self._work_out(tracks.values(), self._start)
        _unshare(groups, self.schedules)
        for known in found:
            known.group.update({f"initial_{key}": value for key, value in known.bases.items()})
        self._known, self._tracks = found, tuple(tracks.values())
        self._names.update(known.name for known in found)
        since, newcomers = self._newcomers
        self._newcomers = self._last, joined | (newcomers if since is self._last else set())
        self._loaded = self._last, {id(known.group) for known in found}.difference(before, joined)
        self._groups, self._members = groups, list(groups)
        self._first = groups[0] if groups else {self._key: None}
        self._kind = type(self._first[self._key])

    def _last_factor(self, key: str, curve: Curve) -> float:
        """What a value was multiplied by at the last write; not a number where there was none."""
        if self._last is None:
            return math.nan
        return curve(self._last[0]) * (self._last[1] if key == "lr" else 1.0)

    def _work_out(self, tracks: Collection[_Track], step: int) -> int:
        """Compute the multipliers of the block of updates that has `step`; its place there."""
        if step < 0:
            raise UsageError(message("a step must be 0 or more, got {step}", step=step))
        # Blocks have fixed places, so that a resumed run works out the same ones as one that never stopped.
        ahead = max(LEAST_AHEAD, MOST_HELD // max(1, len(tracks)))
        start = step - step % ahead
        blocks = [track.curve(np.arange(start, start + ahead)).tolist() for track in tracks]
        for track, block in zip(tracks, blocks, strict=True):
            base = max((abs(base) for _, base in (*track.numbers, *track.others)), default=0.0)
            check_products(track.key, base, np.asarray(block), first=start)
        for track, block in zip(tracks, blocks, strict=True):
            track.multipliers[:] = block
        self._start, self._ahead = start, ahead
        return step - start


@final
@dataclass(slots=True)
class _Track:
    """One hyper-parameter of the groups that follow one curve."""

    key: str
    curve: Curve
    multipliers: list[float]  # of a block of updates
    numbers: list[tuple[Group, float]]  # groups whose value is a float, with what the schedule multiplies
    others: list[tuple[Group, float]]  # groups whose value is a tensor, or an element of "betas"
    last: float  # what they were multiplied by at the last write
    many: bool = False  # more than MOST_COMPARED of numbers


def was_skipped(optimizer: Optimizer) -> bool:
    """Whether the step that just ended made no update: a gradient scaler made a fused optimizer skip it."""
    infinite = getattr(optimizer, "found_inf", None)
    return infinite is not None and bool(infinite.item())


def _unshare(groups: Sequence[Group], keys: Iterable[str]) -> None:
    """A tensor given for all groups is the same one in each, and could hold one group's value only."""
    seen = set()
    for group in groups:
        for key in keys:
            value = held_value(group, key)
            if hasattr(value, "fill_"):
                if id(value) in seen:
                    value = value.clone()
                    _replace(group, key, value)
                seen.add(id(value))


def _was_replaced(group: Group, key: str, ours: float) -> bool:
    """Whether a value that is a tensor or in "betas" is not what was written; one on a device is not waited for."""
    held = held_value(group, key)
    if hasattr(held, "fill_"):
        return bool(held.device.type == "cpu" and held.item() != held.new_tensor(ours).item())
    return bool(held != ours)


def _put(group: Group, key: str, value: float) -> None:
    held = held_value(group, key)
    if hasattr(held, "fill_"):
        (held.detach() if held.requires_grad else held).fill_(value)
    else:
        _replace(group, key, value)


def _replace(group: Group, key: str, value: Any) -> None:
    if key in group:
        group[key] = value
    else:
        betas, place = group["betas"], BETAS[key]
        group["betas"] = (*betas[:place], value, *betas[place + 1 :])
