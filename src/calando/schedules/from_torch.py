"""A torch scheduler as a schedule: the rates that stepping it would give, in closed form.

    from_torch(CosineAnnealingLR(optimizer, T_max=100), 100)     cosine(1, 0, over='100 steps')

Read from the scheduler's attributes, so torch is not imported. Lengths stay the steps they were. Where groups come
out differently, as a rate for all of them (eta_min) makes them, there is a part for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from calando.errors import UsageError
from calando.language import joined, message
from calando.schedules.by_group_and_batch import per_group
from calando.schedules.known_schedules import COUNTERPARTS, Seen, chain, counterpart, product
from calando.schedules.schedule import Extent, Schedule
from calando.schedules.span import Horizon
from calando.schedules.transform import cut

__all__ = ["from_torch"]


_COMPOUND = ("ChainedScheduler", "SequentialLR")


def from_torch(scheduler: Any, total_steps: int, *, hyper_parameter: str = "lr") -> Schedule:
    """The schedule whose first `total_steps` values are those of a torch scheduler, exactly.

    They are what the scheduler gives from its own start, whichever step it is at now, as multipliers of each group's
    "initial_lr", which is torch's base rate and that of `calando.LRScheduler`. For OneCycleLR that is its lowest
    rate at the start, for CyclicLR its base_lr.

    Args:
        scheduler: one of torch's own, or calando's, whose schedule is returned as it is.
        total_steps: the updates that the run has.
        hyper_parameter: "lr"; or "momentum" ("beta1" where the optimizer has betas), for the values that OneCycleLR
            and CyclicLR give to it, as multipliers of their max_momentum.

    Raises:
        UsageError: a scheduler that follows a metric (ReduceLROnPlateau) or is not torch's own; a combination
            of them without a closed form; a hyper-parameter that it does not schedule; a base rate of zero.

    Source: torch.optim.lr_scheduler.

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    >>> up = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=5)
    >>> down = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=95, eta_min=0.001)
    >>> from_torch(torch.optim.lr_scheduler.SequentialLR(optimizer, [up, down], milestones=[5]), 100)
    linear(0.1, 1, over='5 steps') >> cosine(1, 0.01, over='95 steps')
    """
    total_steps = Horizon(total_steps).total_steps
    if _home(scheduler) == "calando.loops.torch_scheduler" and hyper_parameter == "lr":
        ours: Schedule = scheduler.schedule
        return ours
    groups: list[Mapping[str, Any]] = getattr(getattr(scheduler, "optimizer", None), "param_groups", [{}])
    schedules: dict[str, Schedule] = {}
    for index, group in enumerate(groups):
        schedule = _read(Seen(scheduler, index, group, total_steps, hyper_parameter))
        name = str(group.get("name", index))
        if schedules.setdefault(name, schedule) != schedule:
            raise UsageError(
                message(
                    "two parameter groups are named {name!r} and have different rates; give each its own name",
                    name=name,
                )
            )
    first, *others = schedules.values()
    return first if all(other == first for other in others) else per_group(schedules)


def _read(seen: Seen) -> Schedule:
    """The schedule of one group, which fits into the room."""
    kind = type(seen.scheduler).__name__
    if kind == "ReduceLROnPlateau":
        raise UsageError(
            message("ReduceLROnPlateau follows a metric, so no schedule can replace it; keep it next to one")
        )
    if _home(seen.scheduler) not in ("torch.optim.lr_scheduler", "torch.optim.swa_utils") or kind not in COUNTERPARTS:
        raise UsageError(
            message(
                "{home}.{kind} is not known; known are {counterparts}; write it as a function of the step: "
                "function(f, of='steps')",
                home=_home(seen.scheduler),
                kind=kind,
                counterparts=", ".join(sorted(COUNTERPARTS)),
            )
        )
    if seen.key != "lr":
        _check_momentum(seen)
    elif kind not in ("CyclicLR", "OneCycleLR", *_COMPOUND):
        base, start = float(seen.scheduler.base_lrs[seen.index]), float(seen.group["initial_lr"])
        if base != start:
            raise UsageError(
                message(
                    "{kind} has base rate {base}, but its group starts from {start}: a scheduler built after it "
                    "changed that; give each scheduler an optimizer of its own and combine their schedules",
                    kind=kind,
                    base=base,
                    start=start,
                )
            )
    schedule = COUNTERPARTS[kind].read(seen)
    return cut(schedule, over=seen.room) if _length(schedule) > seen.room else schedule


@counterpart("SequentialLR")
def _sequential(seen: Seen) -> Schedule:
    starts = [0, *seen.scheduler._milestones]
    ends = [min(end, seen.room) for end in [*starts[1:], seen.room]]
    parts = []
    for child, start, end in zip(seen.scheduler._schedulers, starts, ends, strict=True):
        kind = type(child).__name__
        if kind in (*_COMPOUND, "SWALR") or (kind == "MultiplicativeLR" and start > 0):
            raise UsageError(
                message(
                    "{kind} that begins at step {start} of SequentialLR goes on from the rate before it; build "
                    "what it combines one by one and join their schedules with >> and *",
                    kind=kind,
                    start=start,
                )
            )
        if start < end:
            part = _read(replace(seen, scheduler=child, room=end - start))
            parts.append(part if _length(part) == end - start or end == seen.room else cut(part, over=end - start))
    return chain(parts)


@counterpart("ChainedScheduler")
def _chained(seen: Seen) -> Schedule:
    children = seen.scheduler._schedulers
    for child in children if len(children) > 1 else ():
        kind = type(child).__name__
        falls_to_zero = kind == "CosineAnnealingLR" and child.eta_min == 0 and child.T_max >= seen.room
        if not (kind in COUNTERPARTS and COUNTERPARTS[kind].multiplies) and not falls_to_zero:
            raise UsageError(
                message(
                    "{kind} in ChainedScheduler sets the rate whatever the others did, so it is no product; turn "
                    "each into a schedule and multiply those: a * b",
                    kind=kind,
                )
            )
    return product([_read(replace(seen, scheduler=child)) for child in children])


def _check_momentum(seen: Seen) -> None:
    name = "beta1" if getattr(seen.scheduler, "use_beta1", False) else "momentum"
    known = [name] if getattr(seen.scheduler, "cycle_momentum", False) else []
    if seen.key not in known:
        raise UsageError(
            message(
                "{kind} does not schedule {key!r}; it does {known}",
                kind=type(seen.scheduler).__name__,
                key=seen.key,
                known=joined("{one} and {other}", ["lr", *known]),
            )
        )


def _home(scheduler: object) -> str:
    return type(scheduler).__module__


def _length(schedule: Schedule) -> float:
    """In steps; 0 where it does not say. Every span here is in steps, so any horizon does."""
    return schedule.length(Horizon(1)) if schedule.extent is Extent.FIXED else 0.0
