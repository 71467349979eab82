"""What a person asks of a run in progress, as a line of text, and the branch that it makes.

    rate *0.5                        from the next update on, half of what was planned
    rate =0.01                       from the next update on, this rate
    schedule cosine(1, 0)            from the next update on, this schedule of the base rate over what is left
    horizon 600                      as long as this; the schedule goes on as it is over the new length
    horizon 20 epochs; schedule …    both
    from 100: rate *0.5              from update 100, which may be past (the run goes back) or to come
    fork: rate *0.5                  the run that it leaves goes on too
    pause, resume, stop              of the run itself

A branch is a `RunSpec` like any other: its values before the change are the parent's, to the bit, so that both have one
past (`calando.study.stages`) and `calando train` makes the branch again from its spec alone.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np

from calando.errors import UsageError, quote, said_by
from calando.language import message
from calando.records.spec import MOST_STEPS, RunSpec
from calando.records.strategy_spec import StrategySpec
from calando.records.task_spec import OwnTrainingSpec
from calando.schedules import parse
from calando.schedules.schedule import Array, Schedule
from calando.schedules.span import Horizon, Span
from calando.schedules.steering import followed, lengthened, multiplied

__all__ = ["Command", "branch_of", "parse_command", "verb_of"]

Verb = Literal["change", "pause", "resume", "stop"]

MOST_LETTERS = 2000
FORMS = message("rate *0.5, rate =0.01, schedule cosine(1, 0), horizon 600, pause, resume or stop")
_BEFORE = re.compile(r"\s*(?P<fork>fork\b\s*)?(?:from\s+(?P<since>[0-9]{1,9})\s*)?:", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9.]+(?:[eE][+-]?[0-9]+)?")


@final
@dataclass(frozen=True, kw_only=True)
class Command:
    """A line of text, understood.

    Args:
        text: as it was given, in one line.
        verb: what is done to the run itself; "change": it is left, and a branch goes on.
        factor: what the rate is multiplied by; None: not asked.
        rate: what it is set to.
        schedule: what follows, of the base rate.
        horizon: the branch's length.
        since: the first update that differs; None: the next one.
        fork: whether the run that the branch leaves goes on too.
    """

    text: str
    verb: Verb = "change"
    factor: float | None = None
    rate: float | None = None
    schedule: Schedule | None = None
    horizon: Span | None = None
    since: int | None = None
    fork: bool = False


def parse_command(text: str) -> Command:
    """Read a command.

    Raises:
        UsageError: it is none; it says what there is.

    >>> parse_command("from 100: rate *0.5").factor, parse_command("fork: horizon 20 epochs").horizon
    (0.5, Span('20 epochs'))
    >>> parse_command("pause").verb
    'pause'
    """
    line = " ".join(str(text).split())
    if not line or len(line) > MOST_LETTERS:
        raise UsageError(
            message(
                "a command is one of {forms}, in at most {most} letters; got {line}",
                forms=FORMS,
                most=MOST_LETTERS,
                line=quote(line[:60]),
            )
        )
    verb, fork = verb_of(line)
    if verb != "change":
        return Command(text=line, verb=verb)
    before = _BEFORE.match(line)
    since = int(before["since"]) if before and before["since"] else None
    command = Command(text=line, since=since, fork=fork)
    for part in line[before.end() if before else 0 :].split(";"):
        command = _with_part(command, part.strip())
    return command


def verb_of(line: str) -> tuple[Verb, bool]:
    """What is done to the run itself by a line that was read before, and whether the run goes on too.

    Its schedule is not read: it may be of functions that only whoever trains has registered.

    >>> verb_of("fork: schedule hump()"), verb_of("Pause")
    (('change', True), ('pause', False))
    """
    match line.lower():
        case "pause" | "resume" | "stop" as verb:
            return verb, False
    before = _BEFORE.match(line)
    return "change", bool(before and before["fork"])


def _with_part(command: Command, part: str) -> Command:
    """The command with one change more."""
    word, _, rest = part.partition(" ")
    rest = rest.strip()
    match word.lower():
        case "horizon" if rest and command.horizon is not None:
            raise UsageError(message("command {text} names the horizon twice; name it once", text=quote(command.text)))
        case "horizon" if rest:
            return replace(command, horizon=Span.parse(int(rest) if rest.isdecimal() else rest, name="horizon"))
        case "rate" | "schedule" if rest and (command.factor, command.rate, command.schedule) != (None, None, None):
            raise UsageError(
                message("command {text} changes the rate twice; give one of rate, schedule", text=quote(command.text))
            )
        case "schedule" if rest:
            return replace(command, schedule=parse(rest))
        case "rate" if rest[:1] in ("*", "x", "×"):
            return replace(command, factor=_number("rate *", rest[1:].strip(), least=0.0))
        case "rate" if rest.startswith("="):
            return replace(command, rate=_number("rate =", rest[1:].strip(), least=math.ulp(0.0)))
        case "rate" if rest:
            raise UsageError(
                message(
                    "{part} may mean two things: say 'rate *{rest}' (times) or 'rate ={rest}' (set to)",
                    part=quote(part),
                    rest=rest,
                )
            )
    raise UsageError(message("a command is one of {forms}; got {part}", forms=FORMS, part=quote(part)))


def _number(what: str, text: str, *, least: float) -> float:
    value = float(text) if _NUMBER.fullmatch(text) and text.count(".") < 2 and text != "." else math.nan
    if not least <= value < math.inf:
        raise UsageError(
            message(
                "{what} needs a number of 0 or more, got {text}"
                if least == 0
                else "{what} needs a number above 0, got {text}",
                what=what,
                text=quote(text),
            )
        )
    return value


def branch_of(spec: RunSpec, command: Command, *, step: int) -> RunSpec:
    """The run that goes on as the command says.

    Args:
        spec: the run that it leaves.
        step: updates that one has made: the first that may differ, unless the command says another.

    Raises:
        UsageError: what is asked for changes nothing, cannot be, or lies behind the end.

    >>> from calando.records import StrategySpec, WorkloadSpec
    >>> run = RunSpec(workload=WorkloadSpec(data="digits"), strategy=StrategySpec(name="mine", method="sgd", lr=0.1),
    ...               steps=300, steps_per_epoch=30, evaluate_every=30, seed=0)
    >>> branch_of(run, parse_command("rate *0.5"), step=100).strategy.text
    "sgd(lr=0.1) | constant(1) * piecewise(values=[1, 0.5], at=['100 steps'])"
    >>> branch_of(run, parse_command("from 50: rate =0.01"), step=100).strategy.text
    "sgd(lr=0.1) | constant(1, over='50 steps') >> constant(0.1)"
    """
    assert command.verb == "change"
    since = step if command.since is None else command.since
    before = spec.horizon
    if command.horizon is not None and isinstance(spec.workload, OwnTrainingSpec):
        raise UsageError(message("the code of its own says how long it trains; compare it at another length instead"))
    steps = spec.steps if command.horizon is None else round(before.steps(command.horizon))
    if not since < steps <= MOST_STEPS:
        what = "horizon" if command.horizon is not None else "from"
        raise UsageError(
            message(
                "{what}: the change is to begin at update {since}, and the run has {steps} updates; give more",
                what=what,
                since=since,
                steps=steps,
            )
        )
    after = Horizon(steps, spec.steps_per_epoch)
    schedules = {name: parse(text) for name, text in spec.strategy.schedules.items()}
    rates = schedules.get("lr", parse("constant(1)"))
    by = command.schedule
    if command.rate is not None:
        by = parse(f"constant({_multiplier(command.rate, spec.lr)!r})")
    if by is None and steps != spec.steps:
        rates = lengthened(rates, step=since, before=before, after=after)
    elif by is not None and steps != spec.steps:
        rates = followed(rates, by, step=since, horizon=before, after=after)
    elif by is not None:
        rates = followed(rates, by, step=since, horizon=before)
    if command.factor is not None:
        rates = multiplied(rates, command.factor, step=since)
    others = {
        name: lengthened(schedule, step=since, before=before, after=after) if steps != spec.steps else schedule
        for name, schedule in schedules.items()
        if name != "lr"
    }
    strategy = _with(spec.strategy, {"lr": rates, **others})
    branch = spec.model_copy(update={"strategy": strategy, "steps": steps})
    branch = RunSpec.model_validate(branch.model_dump())
    changed = {name: _values(schedule, after, name) for name, schedule in {"lr": rates, **others}.items()}
    planned = {name: _values(parse(text), before, name) for name, text in spec.strategy.schedules.items()}
    planned.setdefault("lr", {"": np.ones(spec.steps)})
    if all(_are_equal(planned[name], values) for name, values in changed.items()):
        raise UsageError(message("{text} changes nothing: the run is planned so", text=quote(command.text)))
    return branch


def _with(strategy: StrategySpec, schedules: dict[str, Schedule]) -> StrategySpec:
    return strategy.model_copy(update={"schedules": {name: str(schedule) for name, schedule in schedules.items()}})


def _values(schedule: Schedule, horizon: Horizon, name: str) -> dict[str, Array]:
    """By group, the multiplier of every update."""
    found = {}
    try:
        for group in schedule.group_names or ("",):
            one = schedule.for_group(group) if group else schedule
            values = one.bind(horizon.total_steps, steps_per_epoch=horizon.steps_per_epoch).sample()
            if not (np.isfinite(values).all() and values.min() >= 0):
                raise UsageError(message("it has values that are negative or not finite; change its numbers"))
            found[group] = values
    except UsageError as error:
        raise UsageError(message("the schedule of {name} from here: {why}", name=name, why=said_by(error))) from None
    return found


def _are_equal(one: dict[str, Array], other: dict[str, Array]) -> bool:
    alike = len(one) == len(other) == 1 or one.keys() == other.keys()
    return alike and all(map(np.array_equal, one.values(), other.values()))


def _multiplier(rate: float, base: float) -> float:
    """What times `base` is `rate`: a short number, where one is as near as rounding allows."""
    exact = rate / base
    short = float(f"{exact:.12g}")
    return short if abs(short * base - rate) <= 2 * math.ulp(rate) else exact
