"""What is suspicious about a schedule, before a step is trained.

    overrun              the parts are longer than the run                                error
    not-finite           a value overflows or is not a number                             error
    negative             a value is below zero                                            error
    long-warmup          the warmup is longer than the run (error), or the greatest
                         rate comes in the second half of it                              warning
    never-reached        a milestone that comes after the end                             warning
    floor-not-reached    the run stops in the middle of a cycle, or no value falls to a
                         clip's floor                                                     warning
    ends-early           the rate is zero for more than 1% of the run (warning), or the
                         parts end and the last value holds                               info
    jump                 a leap up where one part hands over to the next                  warning
    rises-at-end         the rate still rises when the run ends                           warning
    short-cool-down      the last fall takes less than 1% of the run                      warning
    starts-at-zero       the first update changes nothing                                 info
    epochs-as-steps      a number of steps that is less than an epoch, and would fit
                         the run as a number of epochs                                    warning, info
    steps-as-epochs      a number of epochs that is longer than the run, and would fit
                         it as a number of steps                                          warning, info
    groups-flattened     the groups of a per_group all have the same schedule             warning
    momentum-overwritten the multiplier never is 1, so the momentum given to the
                         optimizer is never used                                          warning

Steps and epochs, the field's most common slip:

    epochs-as-steps     v steps < 1 epoch <= v epochs <= the run
    steps-as-epochs     v steps <= the run < v epochs

Curves of other hyper-parameters than the rate (`of="weight_decay"`) are not held to the rules for rates only:
long-warmup in a run that is long enough, ends-early, rises-at-end, short-cool-down, starts-at-zero.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calando.errors import UsageError
from calando.language import message as said
from calando.schedules.curve import Curve
from calando.schedules.finding import Finding
from calando.schedules.lint_rules import (
    MOMENTA,
    RULES,
    changed,
    in_order,
    negative,
    nodes,
    not_finite,
    spans,
)
from calando.schedules.schedule import SEAM, DoesNotFit, Extent, Schedule, quote_schedule
from calando.schedules.span import Horizon, Span, spell_steps

__all__ = ["MOMENTA", "OTHERS", "by_group", "lint", "lint_schedule"]


def lint(curve: Curve, *, of: str = "lr") -> list[Finding]:
    """What is suspicious about a curve, by step; empty where nothing is.

    Looks at every update, so time and memory grow with the horizon: some 0.1 s for a million updates.

    Args:
        curve: a schedule bound to a horizon.
        of: the hyper-parameter it multiplies; some rules hold for the rate only, one for momentum only.

    >>> from calando.schedules import linear
    >>> for finding in lint(linear(1, -1).bind(100)):
    ...     print(finding)
    error: negative at step 51: the multiplier is -0.02; raise start or end to 0 or more
    """
    sampled = curve.sample()
    findings = not_finite(sampled)
    if not findings:
        findings = negative(sampled)
        calm = _without_scatter(curve)
        if calm is not curve:
            curve, sampled = calm, calm.sample()
        for rule, wanted in RULES:
            findings += rule(curve, sampled, of) if not wanted or of in wanted else []
    findings += taken_units(curve.schedule, Horizon(curve.total_steps, curve.steps_per_epoch))
    return in_order(findings)


def lint_schedule(
    schedule: Schedule, total_steps: int, *, steps_per_epoch: int | None = None, of: str = "lr"
) -> list[Finding]:
    """What is suspicious about a schedule on a horizon, for every group: as `lint`, and whether it fits at all.

    Args:
        schedule: a schedule, which may differ from group to group.
        total_steps: the horizon, in optimizer updates.
        steps_per_epoch: updates in one epoch; needed if a length is given in epochs.
        of: the hyper-parameter it multiplies.

    Raises:
        UsageError: a count out of range, `steps_per_epoch` is missing, milestones do not increase.

    >>> from calando.schedules import cosine, linear
    >>> for finding in lint_schedule(linear(0.1, 1, over=500) >> cosine(1, 0), 400):
    ...     print(finding)
    error: long-warmup at step 399: the warmup "linear(0.1, 1, over='500 steps')" takes 500 steps of a run of
    400 steps; warm up over some 5% of the run, or train longer
    """
    horizon = Horizon(total_steps, steps_per_epoch)
    for node in nodes(schedule):
        for given in spans(node).values():
            for span in given:
                horizon.steps(span)  # refused where an epoch's length is missing
    groups = {name: _lint_one(one, horizon, of) for name, one in by_group(schedule).items()}
    everywhere = [
        finding for finding in next(iter(groups.values())) if all(finding in some for some in groups.values())
    ]
    findings = [*flattened(schedule), *everywhere]
    for name, found in groups.items():
        findings += [replace(finding, group=name) for finding in found if finding not in everywhere]
    return in_order(findings)


def _lint_one(schedule: Schedule, horizon: Horizon, of: str) -> list[Finding]:
    try:
        curve = schedule.bind(horizon.total_steps, steps_per_epoch=horizon.steps_per_epoch)
    except DoesNotFit as refusal:
        return [*misfit(schedule, horizon, refusal), *taken_units(schedule, horizon)]
    return lint(curve, of=of)


def _without_scatter(curve: Curve) -> Curve:
    """The same curve where random and alternating factors are 1: what they do at a single step means nothing."""
    calm = changed(curve.schedule, lambda part: part.calm())
    if calm is curve.schedule:
        return curve
    return calm.bind(curve.total_steps, steps_per_epoch=curve.steps_per_epoch)


def misfit(schedule: Schedule, horizon: Horizon, refusal: DoesNotFit) -> list[Finding]:
    """What `bind` refused, as a finding: a warmup longer than the run, or other parts that are too long."""
    end = horizon.total_steps - 1
    if (warmup := _endless_warmup(schedule, horizon)) is not None:
        length = spell_steps(warmup.length(horizon))
        message = said(
            "the warmup {schedule} takes {length} of a run of {steps}",
            schedule=quote_schedule(warmup),
            length=length,
            steps=spell_steps(end + 1),
        )
        return [Finding("long-warmup", "error", end, message, said("warm up over some 5% of the run, or train longer"))]
    return [Finding("overrun", "error", end, refusal.problem, refusal.remedy)]


def _endless_warmup(schedule: Schedule, horizon: Horizon) -> Schedule | None:
    """The first part, if it rises and leaves nothing of the run for others."""
    first = schedule.sequence[0]
    if first.extent is not Extent.FIXED:
        return None
    length = first.length(horizon)
    if length < horizon.total_steps - SEAM:
        return None
    try:
        start, end = first.place(horizon, length)(np.array([0.0, length]))
    except DoesNotFit:
        return None  # it does not fit itself: that is what is wrong
    return first if end > start else None


OTHERS = "others"
_NOBODY = "'"  # no group that a schedule names can be called this


def by_group(schedule: Schedule) -> dict[str | None, Schedule]:
    """The schedule of each group by its name, and of "others" where there may be any; {None: itself} where all agree.

    >>> from calando.schedules import cosine, per_group
    >>> by_group(cosine(1, 0) * per_group({"body": 0.1}, others=1))
    {'body': cosine(1, 0) * 0.1, 'others': cosine(1, 0) * 1}
    >>> by_group(cosine(1, 0))
    {None: cosine(1, 0)}
    """
    if not schedule.group_names:
        return {None: schedule}
    found: dict[str | None, Schedule] = {}
    refused = None
    for name in (*schedule.group_names, _NOBODY):
        try:
            found[OTHERS if name == _NOBODY else name] = schedule.for_group(name)
        except UsageError as refusal:
            refused = refusal  # a name that only one of several per_group parts knows
    if not found and refused is not None:
        raise refused
    return found


def flattened(schedule: Schedule) -> list[Finding]:
    """Every per_group whose groups all have the same schedule."""
    findings = []
    for node in nodes(schedule):
        if node.own_groups and len(node.parts) > 1 and len(set(node.parts)) == 1:
            message = said(
                "groups {groups} all have the schedule {schedule}",
                groups=", ".join(node.own_groups),
                schedule=quote_schedule(node.parts[0]),
            )
            remedy = said(
                "give the groups different schedules, or write {schedule} alone", schedule=quote_schedule(node.parts[0])
            )
            findings.append(Finding("groups-flattened", "warning", 0, message, remedy))
    return findings


MOST_EPOCHS = 1000  # more is no number of epochs
FEWEST_STEPS = 10  # fewer is no length that anybody gives in steps
FAR_BEYOND = 5  # times the run: nobody means that many epochs


def taken_units(schedule: Schedule, horizon: Horizon) -> list[Finding]:
    """Numbers of steps that look like numbers of epochs, and the reverse; nothing without `steps_per_epoch`."""
    per_epoch = horizon.steps_per_epoch
    if per_epoch is None:
        return []
    findings = []
    if horizon.total_steps < per_epoch and horizon.total_steps <= MOST_EPOCHS:
        message = said(
            "the run of {steps} steps is less than one epoch of {per_epoch}",
            steps=horizon.total_steps,
            per_epoch=per_epoch,
        )
        remedy = said(
            "if {epochs} is a number of epochs, the horizon is {steps} steps",
            epochs=horizon.total_steps,
            steps=horizon.total_steps * per_epoch,
        )
        findings.append(Finding("epochs-as-steps", "warning", 0, message, remedy))
    for node in dict.fromkeys(nodes(schedule)):
        for argument, given in spans(node).items():
            findings += _epochs_as_steps(node, argument, given, horizon, per_epoch)
            findings += _steps_as_epochs(node, argument, given, horizon, per_epoch)
    return findings


def _epochs_as_steps(
    node: Schedule, argument: str, given: tuple[Span, ...], horizon: Horizon, per_epoch: int
) -> list[Finding]:
    if any(span.unit != "steps" for span in given) or given[0].value >= per_epoch:
        return []
    if given[-1].value * per_epoch > horizon.total_steps:
        return []
    level = node.suspicion(argument, given[0].value, horizon)
    if level is None:
        return []
    message = said(
        "{length} in {schedule} is less than one epoch of {per_epoch} steps",
        length=_spelled(argument, given),
        schedule=quote_schedule(node),
        per_epoch=per_epoch,
    )
    remedy = said(
        "if epochs are meant, write {length}",
        length=_spelled(argument, tuple(Span(s.value, "epochs") for s in given)),
    )
    return [Finding("epochs-as-steps", level, 0, message, remedy)]


def _steps_as_epochs(
    node: Schedule, argument: str, given: tuple[Span, ...], horizon: Horizon, per_epoch: int
) -> list[Finding]:
    last = given[-1]
    if any(span.unit != "epochs" for span in given) or last.value < FEWEST_STEPS:
        return []
    if not last.value <= horizon.total_steps < last.value * per_epoch:
        return []
    likely = last.value >= per_epoch or last.value * per_epoch >= FAR_BEYOND * horizon.total_steps
    epochs = horizon.total_steps / per_epoch
    message = said(
        "{length} in {schedule} is longer than the run of {epochs:.4g} epochs",
        length=_spelled(argument, given),
        schedule=quote_schedule(node),
        epochs=epochs,
    )
    remedy = said(
        "if steps are meant, write {length}",
        length=_spelled(argument, tuple(Span(s.value, "steps") for s in given)),
    )
    return [Finding("steps-as-epochs", "warning" if likely else "info", 0, message, remedy)]


def _spelled(argument: str, given: tuple[Span, ...]) -> str:
    words = [f"'{span}'" for span in given]
    if len(words) > 4:
        words[3:-1] = ["…"]
    return f"{argument}=[{', '.join(words)}]" if argument == "at" else f"{argument}={words[0]}"
