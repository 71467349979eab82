"""`calando.lint` and `calando.plot`: what schedules, strategies' names and texts, and .toml files say of a rate."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from textwrap import shorten
from typing import TYPE_CHECKING, Any, final

from calando.errors import UnknownName, UsageError, quote
from calando.language import joined, message
from calando.rows import WIDTH, Rows
from calando.shown import Drawn

if TYPE_CHECKING:
    import numpy as np

    from calando.records import StrategySpec
    from calando.schedules import Finding, Schedule

__all__ = ["Linted", "Plotted", "horizon_of", "lint", "named", "plot", "read_schedules"]

MOST_STEPS = 10_000_000
LEGEND_WIDTH = 52  # letters that a figure's legend has room for


@final
@dataclass(frozen=True)
class Linted:
    """What is suspicious about one schedule.

    Args:
        text: as it was given.
        of: the hyper-parameter that it is of.
        findings: by step; empty: nothing.
    """

    text: str
    of: str
    findings: tuple[Finding, ...]

    @property
    def row(self) -> dict[str, object]:
        """Its row in a table."""
        return {"schedule": named(self.text, self.of), "findings": "; ".join(map(str, self.findings)) or "none"}

    def __repr__(self) -> str:
        """The schedule, and what was found by name."""
        found = ", ".join(f"{one.name} ({one.level}, step {one.step})" for one in self.findings)
        return f"{named(self.text, self.of)}: {found or 'nothing suspicious'}"


def lint(
    *schedules: str,
    steps: int | None = None,
    epochs: float | None = None,
    steps_per_epoch: int | None = None,
    of: str | None = None,
) -> Rows[Linted]:
    """Report what is suspicious about schedules, before a step is trained.

    Every finding has a name, a level, the update it is about, and a remedy (`calando.schedules.Finding`).

    Args:
        schedules: schedule or strategy texts, names of strategies, or paths of TOML files.
        steps: horizon in updates.
        epochs: horizon in passes over the data, instead of `steps`; needs `steps_per_epoch`.
        steps_per_epoch: updates in one pass over the data; with it, epochs mistaken for steps are found too.
        of: the hyper-parameter that a schedule is for (None: lr), or which one of a strategy to check (None: all).

    Returns:
        One entry per schedule of each text, in order.

    Raises:
        UsageError: a text is no schedule and no strategy, or the horizon is missing or out of range.

    >>> (checked,) = lint("linear(1, 0, over=5) >> constant(0)", steps=1000)
    >>> print(checked.findings[0])
    warning: ends-early at step 5: the rate is zero for the last 995 of 1000 updates, which change nothing; ...
    """
    from calando.schedules import lint_schedule

    horizon = _horizon(steps, epochs, steps_per_epoch)
    linted = []
    for text in dict.fromkeys(_some(schedules)):
        own = horizon_of(text, horizon, steps_per_epoch=steps_per_epoch)
        for key, schedule in _chosen(read_schedules(text, of=of or "lr"), text, of).items():
            findings = lint_schedule(schedule, own, steps_per_epoch=steps_per_epoch, of=key)
            linted.append(Linted(text, key, tuple(findings)))
    return Rows(linted, "schedules checked")


@final
@dataclass(frozen=True)
class Plotted(Drawn):
    """The values of schedules, as multipliers of the base value; `calando.draw` makes a picture of it.

    Args:
        curves: hyper-parameter -> label -> float64[steps], the values of updates 0, 1, …; a label for each parameter
            group where a schedule differs between them.
        notes: what is suspicious about them, a sentence each.
    """

    curves: Mapping[str, Mapping[str, np.ndarray]]
    notes: tuple[str, ...]

    def plot(self) -> Any:
        """A panel for each hyper-parameter, a line for each schedule."""
        from calando.report import schedule_figure
        from calando.report.formatting import distinct

        shown = distinct((label for curves in self.curves.values() for label in curves), LEGEND_WIDTH)
        panels = {key: {shown[label]: one for label, one in curves.items()} for key, curves in self.curves.items()}
        return schedule_figure(panels.pop("lr"), others=panels)

    def table(self) -> list[dict[str, Any]]:
        """A row for each curve: the schedule, what it is of, its length, and its first, highest and last value."""
        return [
            {
                "schedule": label,
                "of": key,
                "steps": len(values),
                "first": float(values[0]),
                "highest": float(values.max()),
                "last": float(values[-1]),
            }
            for key, curves in self.curves.items()
            for label, values in curves.items()
        ]

    def __repr__(self) -> str:
        """Which curves, and how many notes."""
        rows = self.table()
        names = ", ".join(named(row["schedule"], row["of"]) for row in rows)
        notes = f"; {len(self.notes)} in .notes" if self.notes else ""
        return shorten(f"{rows[0]['steps']} values each of {names}", WIDTH - len(notes), placeholder=" …") + notes


def plot(*schedules: str, steps: int = 1000, steps_per_epoch: int | None = None) -> Plotted:
    """Sample learning-rate schedules at every update.

    Args:
        schedules: schedule or strategy texts, names of strategies, or paths of TOML files.
        steps: horizon in updates.
        steps_per_epoch: updates in one pass over the data, for lengths in epochs.

    Raises:
        UsageError: a text is no schedule and no strategy, the horizon is out of range, or a value is not finite.

    >>> curve = plot("cosine(1, 0)", steps=4).curves["lr"]["cosine(1, 0)"]
    >>> curve.round(3).tolist()
    [1.0, 0.854, 0.5, 0.146]
    """
    if not isinstance(steps, Integral) or not 1 <= steps <= MOST_STEPS:
        raise UsageError(
            message("steps= must be from 1 to {MOST_STEPS}, got {steps}", MOST_STEPS=MOST_STEPS, steps=steps)
        )
    curves: dict[str, dict[str, np.ndarray]] = {}
    notes: list[str] = []
    for text in dict.fromkeys(_some(schedules)):
        own = horizon_of(text, steps, steps_per_epoch=steps_per_epoch)
        for key, schedule in read_schedules(text).items():
            sampled, doubts = _sampled(text, schedule, own, steps_per_epoch, of=key)
            curves.setdefault(key, {}).update(sampled)
            notes += doubts
    return Plotted(curves, tuple(notes))


def read_schedules(text: str, *, of: str = "lr") -> dict[str, Schedule]:
    """Hyper-parameter -> schedule: all that a strategy schedules, its rate in any case; or a schedule `of` one.

    A name that is both a strategy and a schedule is the strategy; names are spelled with - or with _.

    Raises:
        ScheduleTextError: a text that does not parse; it points at the place.
        UsageError: a bare name that names nothing, or a schedule that needs arguments; a file that cannot be read.

    >>> read_schedules("sgd | cosine(1, 0) | momentum: linear(0.9, 1)")
    {'lr': cosine(1, 0), 'momentum': linear(0.9, 1)}
    """
    from calando.schedules import SCHEDULES, parse
    from calando.schedules.by_name import text_of_name
    from calando.strategy import PRESETS

    if (strategy := _strategy(text)) is not None:
        written = {"lr": "constant(1)", **strategy.schedules}
        return {key: parse(schedule) for key, schedule in written.items()}
    if text and _head(text) == text:
        called = text_of_name(text)
        if called is None:
            raise UnknownName(message("schedule or strategy"), text, {*SCHEDULES, *PRESETS})
        _check_bare(called)
    return {of: parse(text)}


def horizon_of(text: str, steps: int, *, steps_per_epoch: int | None) -> int:
    """How long what a text says is: a strategy's own horizon within `steps`, else `steps`.

    Raises:
        UsageError: a strategy's horizon is longer, or is in epochs and `steps_per_epoch` is not given.

    >>> horizon_of("sgd | cosine(1, 0) | horizon('50%')", 1000, steps_per_epoch=None)
    500
    """
    strategy = _strategy(text)
    return steps if strategy is None else strategy.steps_within(steps, steps_per_epoch=steps_per_epoch)


def _some(schedules: tuple[str, ...]) -> tuple[str, ...]:
    if not schedules:
        raise UsageError(message("give at least one schedule, such as cosine"))
    for one in schedules:
        if not isinstance(one, str):
            raise UsageError(
                message(
                    "a schedule is given as text, such as 'cosine(1, 0)', got {one}; str(it) is its text",
                    one=quote(one),
                )
            )
    return schedules


def _horizon(steps: int | None, epochs: float | None, steps_per_epoch: int | None) -> int:
    """The number of updates that was asked for, one way or the other."""
    if steps is not None and epochs is not None:
        raise UsageError(message("give steps= or epochs=, not both"))
    if steps is not None:
        if not isinstance(steps, Integral) or not 1 <= steps <= MOST_STEPS:
            raise UsageError(
                message("steps= must be from 1 to {MOST_STEPS}, got {steps}", MOST_STEPS=MOST_STEPS, steps=steps)
            )
        return steps
    if epochs is None:
        raise UsageError(message("say how long the run is: steps=N, or epochs=E and steps_per_epoch=M"))
    if steps_per_epoch is None:
        raise UsageError(message("epochs= needs steps_per_epoch= (batches in one pass over the data)"))
    # `not <=` so that NaN is refused too
    if not 1 <= epochs * steps_per_epoch <= MOST_STEPS:
        raise UsageError(
            message(
                "epochs= times steps_per_epoch= must be from 1 to {MOST_STEPS} updates, got {epochs:g} epochs",
                MOST_STEPS=MOST_STEPS,
                epochs=epochs,
            )
        )
    return round(epochs * steps_per_epoch)


def _chosen(written: dict[str, Schedule], text: str, of: str | None) -> dict[str, Schedule]:
    """The schedules of a text that are asked about."""
    if of is None:
        return written
    if of not in written:
        raise UsageError(
            message("{text} has no schedule of {of!r}; it has {written}", text=text, of=of, written=", ".join(written))
        )
    return {of: written[of]}


def _sampled(
    text: str, schedule: Schedule, steps: int, steps_per_epoch: int | None, *, of: str
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Label -> values, a label for each group; and what is suspicious about them."""
    from calando.schedules import lint_schedule
    from calando.schedules.linting import by_group

    curves = {
        text if group is None else f"{text} [{group}]": one.bind(steps, steps_per_epoch=steps_per_epoch)
        for group, one in by_group(schedule).items()
    }
    findings = lint_schedule(schedule, steps, steps_per_epoch=steps_per_epoch, of=of)
    for finding in findings:
        if finding.name == "not-finite":
            raise UsageError(
                message(
                    "{text} cannot be drawn: at step {step} {message}; {remedy}",
                    text=text,
                    step=finding.step,
                    message=finding.message,
                    remedy=finding.remedy,
                )
            )
    notes = [f"{named(text, of)}: {str(finding).partition(': ')[2]}" for finding in findings]
    return {label: curve.sample() for label, curve in curves.items()}, notes


def named(label: str, key: str) -> str:
    """A curve's own name among those of several hyper-parameters."""
    return label if key == "lr" else f"{label} | {key}"


def _strategy(text: str) -> StrategySpec | None:
    from calando.methods import METHODS
    from calando.strategy import read_strategy
    from calando.strategy.presets import preset_named

    known = preset_named(text) or _head(text) in METHODS or "|" in text or text.endswith(".toml")
    return read_strategy(text) if known else None


def _head(text: str) -> str:
    head = re.match(r"[\w.-]*", text.strip())
    assert head is not None, "the pattern matches the empty text"
    return head[0]


def _check_bare(name: str) -> None:
    """Refuses a name whose schedule needs arguments, with an example of them."""
    from calando.schedules import SCHEDULES
    from calando.schedules.checks import signature_text

    parameters = inspect.signature(SCHEDULES[name]).parameters.values()
    needed = [parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty]
    if needed:
        example = _example(name, inspect.getdoc(SCHEDULES[name]) or "")
        raise UsageError(
            message(
                '{name} needs {needed}: it is {whole}; write for example "{example}"'
                if example
                else "{name} needs {needed}: it is {whole}",
                name=name,
                needed=joined("{one} and {other}", needed),
                whole=signature_text(name, SCHEDULES[name]),
                example=example,
            )
        )


def _example(name: str, doc: str) -> str | None:
    """The first call of `name` among the examples of its docstring that a text can say, for a shell's double quotes."""
    from calando.errors import ScheduleTextError
    from calando.schedules import parse

    examples = doc.partition(">>> ")[2].replace('"', "'")
    for found in re.finditer(rf"\b{name}\(", examples):
        for end in re.finditer(r"\)", examples[found.start() :]):
            text = examples[found.start() :][: end.end()]
            try:
                parse(text)
            except ScheduleTextError:
                continue  # a bracket is still open, or the example is Python's only
            return text
    return None
