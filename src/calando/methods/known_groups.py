"""What is known of an optimizer's parameter groups: which each is, its name, its base values, the curves it follows.

A group is recognised by its dictionary or, if loading an optimizer's state replaced that, by its list of parameters. So
groups may be added, removed and put into another order at any time, and each keeps its base values and its name.

A group's name is its "name" where it has one, else the index it had when it joined. "beta1", "beta2" and "beta3" are
the elements of a group's "betas" where it has no such key itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Real
from typing import Any, Literal, final, get_args

from calando.errors import UnknownName, UsageError
from calando.language import joined, message
from calando.schedules import Curve, Horizon, Schedule
from calando.sizes import LEAST, check_size

__all__ = ["BETAS", "AddedAt", "Group", "GroupReader", "KnownGroup", "check_added_at", "group_name", "held_value"]

Group = dict[str, Any]

AddedAt = Literal["base", "present"]
"""What the values are that a group is added with."""

BETAS = {"beta1": 0, "beta2": 1, "beta3": 2}
"""Name -> place in a group's "betas"."""


@final
@dataclass(slots=True)
class KnownGroup:
    """A group, and what it keeps wherever it stands in the list."""

    group: Group
    params: list[Any]  # the group's very list
    name: str
    bases: dict[str, float]  # by hyper-parameter
    curves: dict[str, Curve]  # by hyper-parameter
    share: float  # of the rate: `Driver.scale`

    def base(self, key: str) -> float:
        """What the schedule multiplies."""
        return self.bases[key] * self.share if key == "lr" else self.bases[key]


@final
@dataclass(frozen=True)
class GroupReader:
    """Reads parameter groups for a driver; calling it writes nothing.

    Args:
        schedules: hyper-parameter -> schedule.
        horizon: to which they are bound.
        added_at: what a group holds that joins later.
    """

    schedules: Mapping[str, Schedule]
    horizon: Horizon
    added_at: AddedAt

    def __call__(
        self,
        groups: Sequence[Group],
        before: Collection[KnownGroup],
        *,
        placed: Mapping[int, dict[str, float]],
        names: Sequence[str] | None,
        former: Collection[str],
        last: tuple[int, float] | None,
    ) -> tuple[list[KnownGroup], set[int]]:
        """What is known of each group now, and the ids of those that joined.

        A known group keeps its base values: what was loaded into it is not a base value. `optimizer.load_state_dict`
        puts new dictionaries around the same lists of parameters, so the lists identify groups too.

        Args:
            before: the groups as they were known.
            placed: base values by the group's place.
            names: by the group's place; None: as the groups have them.
            former: the names of all groups so far, also of those removed.
            last: the update and the multiplier that were written last.

        Raises:
            UsageError: a group does not fit; a schedule names one that never was there.
        """
        by_group = {id(known.group): known for known in before}
        by_params = {id(known.params): known for known in before}
        known = [by_group.get(id(group)) or by_params.get(id(group["params"])) for group in groups]
        here = list(names) if names is not None else _names(groups, known, former)
        found = []
        for index, (group, was, name, mine) in enumerate(
            zip(groups, known, here, self._bind(here, former), strict=True)
        ):
            held = {key: _base_value(group, key, index) for key in self.schedules}
            if was is not None:
                bases = was.bases
            elif index in placed:
                bases = placed[index]
            else:
                bases = {key: self._base_of(group, key, value, mine[key], name, last) for key, value in held.items()}
            found.append(KnownGroup(group, group["params"], name, bases, mine, 1.0 if was is None else was.share))
        return found, {id(group) for group, was in zip(groups, known, strict=True) if was is None}

    def _base_of(
        self, group: Group, key: str, value: float, curve: Curve, name: str, last: tuple[int, float] | None
    ) -> float:
        """The base value of a group that joins and holds `value`."""
        if self.added_at == "base" or last is None or f"initial_{key}" in group:
            return value
        step, multiplier = last
        factor = curve(step) * (multiplier if key == "lr" else 1.0)
        if factor == 0:
            raise UsageError(
                message(
                    "group {name} was added at the present {key}, {value:g}, where the schedule multiplies by 0 "
                    "(update {step}): give the group its base value as 'initial_{key}'",
                    name=name,
                    key=key,
                    value=value,
                    step=step,
                )
            )
        return value / factor

    def _bind(self, names: Sequence[str], former: Collection[str]) -> list[dict[str, Curve]]:
        """Each group's curves; equal schedules are bound once."""
        for key, schedule in self.schedules.items():
            for name in schedule.group_names:
                if name not in names and name not in former:  # it may have been removed since
                    raise UnknownName(message("parameter group in the schedule of {key}", key=key), name, names)

        @cache
        def bind(schedule: Schedule) -> Curve:
            return schedule.bind(self.horizon.total_steps, steps_per_epoch=self.horizon.steps_per_epoch)

        return [{key: bind(schedule.for_group(name)) for key, schedule in self.schedules.items()} for name in names]


def _names(groups: Sequence[Group], known: Sequence[KnownGroup | None], former: Collection[str]) -> list[str]:
    """Each group's name; one that joins without a name gets the index that it has, if no other had it before."""
    names: list[str] = []
    for index, (group, before) in enumerate(zip(groups, known, strict=True)):
        if "name" in group or before is not None:
            names.append(group_name(group, index) if before is None or "name" in group else before.name)
        else:
            taken = {*former, *names}
            free = (str(number) for number in range(index, index + len(taken) + 1))
            names.append(next(name for name in free if name not in taken))
    return names


def check_added_at(value: str) -> None:
    """Check that it is one of `AddedAt`.

    Raises:
        UsageError: it is not.
    """
    if value not in get_args(AddedAt):
        raise UsageError(
            message(
                "added_at must be {choices}, got {given}",
                choices=joined("{one} or {other}", map(repr, get_args(AddedAt))),
                given=repr(value),
            )
        )


def group_name(group: Mapping[str, Any], index: int) -> str:
    """A parameter group's name: its own, else its index.

    >>> group_name({"name": "head"}, 0), group_name({}, 1)
    ('head', '1')
    """
    return str(group.get("name", index))


def _base_value(group: Group, key: str, index: int) -> float:
    value = held_value(group, key)
    if value is None:
        numbers = ", ".join(sorted(name for name, value in group.items() if _is_number(value)))
        raise UsageError(
            message(
                "cannot schedule {key!r}: group {index} of the optimizer has {numbers}",
                key=key,
                index=index,
                numbers=numbers or message("no number"),
            )
        )
    if not _is_number(value):
        raise UsageError(
            message(
                "cannot schedule {key!r}: it is {given} in group {index}, neither a number nor a floating-point tensor",
                key=key,
                given=repr(value),
                index=index,
            )
        )
    kept = f"initial_{key}"
    if kept in group and not _is_number(group[kept]):
        raise UsageError(
            message(
                "group {index} of the optimizer has {kept}={given}, which is no base value; delete it from there",
                index=index,
                kept=kept,
                given=repr(group[kept]),
            )
        )
    base = float(group[kept]) if kept in group else float(value)
    check_size(message("{key} of group {index}", key=key, index=index), base, least=LEAST if key == "lr" else 0.0)
    return base


def _is_number(value: Any) -> bool:
    if hasattr(value, "fill_"):
        return bool(value.is_floating_point() and value.numel() == 1)
    return isinstance(value, Real) and not isinstance(value, bool)


def held_value(group: Group, key: str) -> Any:
    """The value of a hyper-parameter; None where there is none."""
    if key in group or key not in BETAS:
        return group.get(key)
    return dict(enumerate(group.get("betas", ()))).get(BETAS[key])
