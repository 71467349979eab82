"""How to use the strategy that a study advises: as a command, in a loop of one's own, and with torch alone.

command        calando train WORKLOAD "…"              of a person's own code: the line that its script has then
own loop       calando.follow(network, "…", …)         or calando.attach(…), where the code keeps its optimizer
torch alone    an optimizer and a LambdaLR; or why that is not enough
"""

from __future__ import annotations

import importlib
import re
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calando.analysis.results import StudySummary
from calando.errors import UsageError
from calando.language import message
from calando.records.strategy_spec import StrategySpec
from calando.records.task_spec import OwnTrainingSpec, WorkloadSpec

__all__ = ["UseForm", "forms_of", "use_forms"]

OBJECT = "python:"
_FORMS = ("audio:", "csv:", "folder:", "npz:", "parquet:", "text:")
WIDTH = 74
"""Letters of a line, where that is up to us: a terminal of 80 then cuts none, and what is pasted is whole."""


@dataclass(frozen=True)
class UseForm:
    """One way to use a strategy: what it is called, and lines to paste; `runs` is False where it is a reason alone."""

    title: str
    lines: tuple[str, ...]
    runs: bool = True

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)


def use_forms(summary: StudySummary, *, command: str = "") -> tuple[UseForm, ...]:
    """The three forms of the advised strategy; none before the study is complete.

    Args:
        command: the command line that made the study; "": unknown. What it says of the data's folder is kept.
    """
    advice, spec = summary.advice, summary.spec
    if advice is None:
        return ()
    asked = spec.strategy(advice.name)
    lr = next(one.lr for one in summary.results if one.name == advice.name)
    strategy = asked if lr is None or asked.lr is not None else asked.at_rate(lr)
    steps = spec.steps_of(strategy)
    return forms_of(
        strategy.without_horizon(), spec.workload, steps=steps, per_epoch=spec.steps_per_epoch, command=command
    )


def forms_of(
    strategy: StrategySpec, task: WorkloadSpec | OwnTrainingSpec, *, steps: int, per_epoch: int, command: str = ""
) -> tuple[UseForm, ...]:
    """The three forms of a strategy whose rate is settled, for runs of so many updates."""
    return (
        _alone(strategy, task, steps=steps, command=command),
        _in_own_loop(strategy, steps=steps, per_epoch=per_epoch),
        _torch_alone(strategy, steps=steps, per_epoch=per_epoch),
    )


def _alone(strategy: StrategySpec, task: WorkloadSpec | OwnTrainingSpec, *, steps: int, command: str) -> UseForm:
    if isinstance(task, OwnTrainingSpec):
        return UseForm(message("in your code"), _call_lines("run = calando.run(", strategy.text))
    if task.data.startswith(OBJECT):
        return UseForm(message("from Python"), _call_lines("calando.train(workload, ", strategy.text, f"steps={steps}"))
    words = ["calando", "train", task.data, strategy.text, "--steps", str(steps)]
    if named := ":" not in task.data or task.data.startswith(_FORMS):
        words += ["--model", task.model, "--batch-size", str(task.batch_size), "--augment", task.augment]
    for flag, value, usual in (
        ("--label-smoothing", task.label_smoothing, 0.0),
        ("--metric", task.metric if named else "", ""),
        ("--clip-norm", task.clip_norm, None),
        ("--accumulate", task.accumulate, 1),
        ("--train-limit", task.train_limit, None),
    ):
        if value != usual:
            words += [flag, str(value)]
    return UseForm(message("command"), _command_lines([*words, *_data_folder(command)]))


def _command_lines(words: Sequence[str]) -> tuple[str, ...]:
    """A command on one line, or on several that a shell takes for one and a terminal of 80 does not cut."""
    if len(whole := shlex.join(words)) <= WIDTH:
        return (whole,)
    # Inside quotes a new line is one more space to the strategy; outside them only a backslash carries it on.
    text = shlex.quote("\n    ".join(_filled(re.split(r"(?<=[|>]) ", words[3]), WIDTH - 6)))
    flags = [shlex.join(words[place : place + 2]) for place in range(4, len(words), 2)]
    lines = [shlex.join(words[:3]), f"  {text}", *(f"  {line}" for line in _filled(flags, WIDTH - 4))]
    return tuple(" \\\n".join(lines).splitlines())


def _filled(pieces: Sequence[str], width: int) -> list[str]:
    """The pieces, joined by spaces on as few lines as they need."""
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + 1 + len(piece) <= width:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return lines


def _call_lines(start: str, text: str, *rest: str) -> tuple[str, ...]:
    """A call with a long text in it, on one line or on several."""
    whole = f"{start}{', '.join([_quoted(text), *rest])})"
    if len(whole) <= WIDTH:
        return (whole,)
    head, bracket, first = start.partition("(")
    parts = textwrap.wrap(text, WIDTH - 8, break_long_words=False, break_on_hyphens=False, drop_whitespace=False)
    given = [*filter(None, [first.strip(" ,")])]
    return (
        f"{head}{bracket}",
        *(f"    {one}," for one in given),
        *(f"    {_quoted(part)}{',' if part is parts[-1] else ''}" for part in parts),
        *(f"    {one}," for one in rest),
        ")",
    )


def _data_folder(command: str) -> Sequence[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        return ()
    for place, word in enumerate(words):
        if word == "--data" and place + 1 < len(words):
            return words[place : place + 2]
        if word.startswith("--data="):
            return (word,)
    return ()


def _in_own_loop(strategy: StrategySpec, *, steps: int, per_epoch: int) -> UseForm:
    length = [f"total_steps={steps}", *([f"steps_per_epoch={per_epoch}"] if "epoch" in strategy.text else [])]
    if strategy.method != "own":
        return UseForm(message("your loop"), _call_lines("training = calando.follow(network, ", strategy.text, *length))
    others = {key: text for key, text in strategy.schedules.items() if key != "lr"}
    rest = [f"hyper_parameters={others!r}"] if others else []
    schedule = strategy.schedules.get("lr", "constant(1)")
    call = _call_lines("calando.attach(optimizer, ", schedule, *length, *rest)
    return UseForm(message("your loop"), (f"# optimizer: yours, made with lr={strategy.lr!r}", *call))


def _torch_alone(strategy: StrategySpec, *, steps: int, per_epoch: int) -> UseForm:
    # A room above, asked by name: reading a study needs no torch, and neither do these lines.
    without: Any = importlib.import_module("calando.strategy.without_calando")
    horizon = importlib.import_module("calando.schedules").Horizon(steps, per_epoch)
    try:
        why = without.why_calando_is_needed(strategy)
        lines = () if why else tuple(without.torch_lines(strategy, horizon))
    except UsageError as error:  # a schedule, method or option that this process does not know
        why, lines = str(error), ()
    if why:
        return UseForm(message("torch alone"), (message("needs calando: {why}", why=why),), runs=False)
    return UseForm(message("torch alone"), lines)


def _quoted(text: str) -> str:
    return f'"{text}"' if '"' not in text and "\\" not in text else repr(text)
