"""By parameter group and by batch size: what a rate is multiplied by in one group, or at one batch size.

    per_group({"body": 0.1, "head": 1})        in group "body": 0.1, in group "head": 1
    layer_decay        factor ^ depth          below 1: the first layers learn more slowly
    discriminative     factor ^ -depth         above 1: likewise
    linear_scaling     batch_size / reference          SGD
    sqrt_scaling       sqrt(batch_size / reference)    Adam and the like

A group's name is its "name" where the optimizer's group has one, else its index as text. A number stands for a
constant, so all of them are factors: `cosine(1, 0) * per_group({"body": 0.1}, others=1)`. What is bound to a horizon is
the schedule of one group: `schedule.for_group("body").bind(1000)`. depth counts from the last group, which has depth 0
and the full rate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, final

from calando.errors import UsageError
from calando.language import message
from calando.schedules.checks import (
    MOST_PARTS,
    BadArgument,
    checked_count,
    checked_label,
    checked_number,
    did_you_mean,
    quote,
    spell_number,
)
from calando.schedules.compose import Constant, constant, widest
from calando.schedules.known_schedules import register
from calando.schedules.primitive import as_part
from calando.schedules.schedule import Bound, Extent, Schedule, check_limits
from calando.schedules.span import Horizon

__all__ = ["PerGroup", "discriminative", "layer_decay", "linear_scaling", "per_group", "sqrt_scaling"]


@register(family="By group and batch size", example="cosine(1, 0) * per_group({'body': 0.3, 'head': 1})")
def per_group(groups: Mapping[str, Schedule | float], *, others: Schedule | float | None = None) -> Schedule:
    """A schedule for each parameter group, by the group's name.

    Formula: groups[name] in the group of that name, others in any other

    Args:
        groups: group name -> schedule, or a number for a constant one.
        others: schedule of groups that are not named; without it, an optimizer that has one is refused.

    Raises:
        UsageError: no group, a name that is not a short text without quotes, or something that is no schedule.

    Source: discriminative fine-tuning, Howard & Ruder 2018, arXiv:1801.06146.

    >>> from calando.schedules import cosine
    >>> rates = cosine(1, 0) * per_group({"body": 0.1}, others=1)
    >>> rates.for_group("body").bind(10)(0), rates.for_group("head").bind(10)(0)
    (0.1, 1.0)
    """
    if not isinstance(groups, Mapping) or not groups:
        raise BadArgument(
            "groups", message("must map group names to schedules, as in {'body': 0.1, 'head': 1}"), groups
        )
    named = tuple((checked_label("groups", name), as_part(part, name="groups")) for name, part in groups.items())
    return PerGroup(named, None if others is None else as_part(others, name="others"))


@final
@dataclass(frozen=True, repr=False)
class PerGroup(Schedule):
    """A schedule for each group; write `per_group({"body": 0.1}, others=1)`."""

    groups: tuple[tuple[str, Schedule], ...]
    others: Schedule | None

    def __post_init__(self) -> None:
        if len(self.groups) > MOST_PARTS:
            raise BadArgument(
                "groups", message("must name at most {most_parts} groups", most_parts=MOST_PARTS), len(self.groups)
            )
        check_limits(self)

    @property
    def extent(self) -> Extent:
        return widest(self.parts)

    @property
    def parts(self) -> tuple[Schedule, ...]:
        others = () if self.others is None else (self.others,)
        return (*(part for _, part in self.groups), *others)

    @property
    def own_groups(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.groups)

    @property
    def group_names(self) -> tuple[str, ...]:
        names = [name for name, _ in self.groups]
        return tuple(dict.fromkeys([*names, *(name for part in self.parts for name in part.group_names)]))

    def for_group(self, name: str) -> Schedule:
        chosen = dict(self.groups).get(name, self.others)
        if chosen is None:
            names = [known for known, _ in self.groups]
            guess = did_you_mean(name, names)
            raise UsageError(
                message(
                    "no schedule for group {name}{guess}; there is {names}; add others=",
                    name=quote(name),
                    guess=guess,
                    names=", ".join(names),
                )
            )
        return chosen.for_group(name)

    def rebuilt(self, parts: Sequence[Schedule]) -> PerGroup:
        named = tuple((name, part) for (name, _), part in zip(self.groups, parts, strict=False))
        return PerGroup(named, None if self.others is None else parts[-1])

    def length(self, horizon: Horizon) -> float:
        self._refuse()

    def place(self, horizon: Horizon, room: float) -> Bound:
        self._refuse()

    def __str__(self) -> str:
        named = ", ".join(f"'{name}': {_spelled(part)}" for name, part in self.groups)
        others = "" if self.others is None else f", others={_spelled(self.others)}"
        return f"per_group({{{named}}}{others})"

    def _refuse(self) -> NoReturn:
        name = self.groups[0][0]
        raise UsageError(
            message(
                "this schedule differs between groups {groups}; bind that of one group: .for_group({name!r})",
                groups=", ".join(n for n, _ in self.groups),
                name=name,
            )
        )


def _spelled(part: Schedule) -> str:
    return spell_number(part.value) if isinstance(part, Constant) and part.over is None else str(part)


@register(family="By group and batch size", example="cosine(1, 0) * layer_decay(['stem', 'body', 'head'], factor=0.6)")
def layer_decay(groups: Iterable[str], *, factor: float = 0.75, others: Schedule | float | None = None) -> Schedule:
    """A constant for each group, smaller by a factor from each to the one before it.

    Formula: factor ** (number of groups behind this one)

    Args:
        groups: names of the parameter groups, from the input to the output.
        factor: ratio between neighbouring groups, above 0.
        others: schedule of groups that are not named; without it, an optimizer that has one is refused.

    Raises:
        UsageError: an argument out of range; no group, or a group twice.

    Source: Clark et al. 2020, arXiv:2003.10555; BEiT, Bao et al. 2021, arXiv:2106.08254; timm's layer_decay.

    >>> layer_decay(["stem", "body", "head"], factor=0.5)
    per_group({'stem': 0.25, 'body': 0.5, 'head': 1})
    """
    return per_group({name: _power(factor, depth) for name, depth in _depths(groups)}, others=others)


@register(family="By group and batch size", example="cosine(1, 0) * discriminative(['stem', 'body', 'head'])")
def discriminative(groups: Iterable[str], *, factor: float = 2.6, others: Schedule | float | None = None) -> Schedule:
    """A constant for each group, greater by a factor from each to the one behind it.

    Formula: factor ** -(number of groups behind this one)

    Args:
        groups: names of the parameter groups, from the input to the output.
        factor: ratio between neighbouring groups, above 0.
        others: schedule of groups that are not named; without it, an optimizer that has one is refused.

    Raises:
        UsageError: an argument out of range; no group, or a group twice.

    Source: ULMFiT, Howard & Ruder 2018, arXiv:1801.06146; fastai's slice(low, high) over n groups has
    factor = (high / low) ** (1 / (n - 1)) and high as the base rate.

    >>> discriminative(["stem", "body", "head"], factor=2)
    per_group({'stem': 0.25, 'body': 0.5, 'head': 1})
    """
    return per_group({name: _power(factor, -depth) for name, depth in _depths(groups)}, others=others)


def _depths(groups: Iterable[str]) -> list[tuple[str, int]]:
    """Each group's name and how many groups are behind it."""
    wanted = message("must be a list of group names such as ['stem', 'head']")
    if isinstance(groups, str) or not isinstance(groups, Iterable):
        raise BadArgument("groups", wanted, groups)
    names = list(groups)
    for name in names:
        if not isinstance(name, str):
            raise BadArgument("groups", wanted, name)
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise BadArgument(
            "groups", message("must name each group once, and {twice} is there more often", twice=quote(twice)), names
        )
    return [(name, len(names) - 1 - index) for index, name in enumerate(names)]


def _power(factor: float, exponent: int) -> float:
    base = checked_number("factor", factor, above=0)
    try:
        return float(base**exponent)
    except OverflowError:
        raise BadArgument(
            "factor", message("must leave a finite rate {count} groups away", count=abs(exponent)), factor
        ) from None


LARGEST_BATCH = 10**9


@register(family="By group and batch size", example="cosine(1, 0) * linear_scaling(batch_size=512, reference=1024)")
def linear_scaling(batch_size: int, *, reference: int = 256) -> Schedule:
    """A constant that grows as the batch size does.

    Formula: batch_size / reference

    The base rate is the one for batches of `reference`.

    Args:
        batch_size: examples in one update.
        reference: batch size that the base rate is meant for.

    Raises:
        UsageError: an argument out of range.

    Source: Goyal et al. 2017, arXiv:1706.02677.

    >>> linear_scaling(1024)
    constant(4)
    """
    return constant(_ratio(batch_size, reference))


@register(family="By group and batch size", example="cosine(1, 0) * sqrt_scaling(batch_size=512, reference=1024)")
def sqrt_scaling(batch_size: int, *, reference: int = 256) -> Schedule:
    """A constant that grows as the square root of the batch size does.

    Formula: sqrt(batch_size / reference)

    The base rate is the one for batches of `reference`.

    Args:
        batch_size: examples in one update.
        reference: batch size that the base rate is meant for.

    Raises:
        UsageError: an argument out of range.

    Source: Krizhevsky 2014, arXiv:1404.5997; for Adam, Malladi et al. 2022, arXiv:2205.10287.

    >>> sqrt_scaling(1024)
    constant(2)
    """
    return constant(math.sqrt(_ratio(batch_size, reference)))


def _ratio(batch_size: int, reference: int) -> float:
    examples = checked_count("batch_size", batch_size, most=LARGEST_BATCH)
    return examples / checked_count("reference", reference, most=LARGEST_BATCH)
