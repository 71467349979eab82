"""What `calando plot` and `calando lint` take: schedules, strategies' names and texts, .toml files."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

from calando.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from calando.records import StrategySpec
    from calando.schedules import Schedule

__all__ = ["distinct", "horizon_of", "read_schedules"]


def read_schedules(text: str, *, of: str = "lr") -> dict[str, Schedule]:
    """Hyper-parameter -> schedule: all that a strategy schedules, its rate in any case; or a schedule `of` one.

    A name that is both a strategy and a schedule is the strategy.

    Raises:
        ScheduleTextError: a text that does not parse; it points at the place.
        UsageError: a bare name that names nothing, or a schedule that needs arguments; a file that cannot be read.

    >>> read_schedules("sgd | cosine(1, 0) | momentum: linear(0.9, 1)")
    {'lr': cosine(1, 0), 'momentum': linear(0.9, 1)}
    """
    from calando.schedules import SCHEDULES, parse
    from calando.strategy import PRESETS

    if (strategy := _strategy(text)) is not None:
        written = {"lr": "constant(1)", **strategy.schedules}
        return {key: parse(schedule) for key, schedule in written.items()}
    if text and _head(text) == text:
        if text not in SCHEDULES:
            raise UnknownName("schedule or strategy", text, {*SCHEDULES, *PRESETS})
        _check_bare(text)
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


def _strategy(text: str) -> StrategySpec | None:
    from calando.methods import METHODS
    from calando.strategy import PRESETS, read_strategy

    known = text in PRESETS or _head(text) in METHODS or "|" in text or text.endswith(".toml")
    return read_strategy(text) if known else None


def _head(text: str) -> str:
    head = re.match(r"[\w.-]*", text.strip())
    assert head is not None, "the pattern matches the empty text"
    return head[0]


def distinct(labels: list[str], width: int) -> dict[str, str]:
    """Label -> the same in at most `width` letters, cut in its middle; labels that differ still differ.

    >>> distinct(["linear(0, 1, over='5%') >> cosine(1, 0)", "cosine"], 20)
    {"linear(0, 1, over='5%') >> cosine(1, 0)": 'linear(0…osine(1, 0)', 'cosine': 'cosine'}
    """
    shown: dict[str, str] = {}
    for label in dict.fromkeys(labels):
        short, count = _cut(label, width), 1
        while short in shown.values():
            count += 1
            mark = f" ({count})"
            short = _cut(label, width - len(mark)) + mark
        shown[label] = short
    return shown


def _cut(label: str, width: int) -> str:
    tail = (3 * width) // 5 - 1
    return label if len(label) <= width else f"{label[: width - 1 - tail]}…{label[-tail:]}"


def _check_bare(name: str) -> None:
    """Refuses a name whose schedule needs arguments, with an example of them."""
    from calando.schedules import SCHEDULES
    from calando.schedules.checks import signature_text

    parameters = inspect.signature(SCHEDULES[name]).parameters.values()
    needed = [parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty]
    if needed:
        example = _example(name, inspect.getdoc(SCHEDULES[name]) or "")
        raise UsageError(
            f"{name} needs {' and '.join(needed)}: it is {signature_text(name, SCHEDULES[name])}"
            + (f'; write for example "{example}"' if example else "")
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
