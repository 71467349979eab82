"""How to use the strategy that a study advises: as a command, in a loop of one's own, and with torch alone.

command        calando train WORKLOAD "…"              of a person's own code: the line that its script has then
own loop       calando.follow(network, "…", …)         or calando.attach(…), where the code keeps its optimizer
torch alone    an optimizer and a LambdaLR; or why that is not enough
"""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calando.analysis.results import StudySummary
from calando.errors import UsageError
from calando.records.spec import OwnTrainingSpec, StrategySpec, WorkloadSpec

__all__ = ["UseForm", "use_forms"]

OBJECT = "python:"


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
    plain = strategy.without_horizon()
    return (
        _alone(plain, spec.workload, steps=steps, command=command),
        _in_own_loop(plain, steps=steps, per_epoch=spec.steps_per_epoch),
        _torch_alone(plain, steps=steps, per_epoch=spec.steps_per_epoch),
    )


def _alone(strategy: StrategySpec, task: WorkloadSpec | OwnTrainingSpec, *, steps: int, command: str) -> UseForm:
    if isinstance(task, OwnTrainingSpec):
        return UseForm("in your code", (f"run = calando.run({_quoted(strategy.text)})",))
    if task.data.startswith(OBJECT):
        return UseForm("from Python", (f"calando.train(workload, {_quoted(strategy.text)}, steps={steps})",))
    words = ["calando", "train", task.data, strategy.text, "--steps", str(steps)]
    if ":" not in task.data or task.data.startswith(("folder:", "parquet:", "npz:")):
        words += ["--model", task.model, "--batch-size", str(task.batch_size), "--augment", task.augment]
    for flag, value, usual in (
        ("--label-smoothing", task.label_smoothing, 0.0),
        ("--clip-norm", task.clip_norm, None),
        ("--accumulate", task.accumulate, 1),
        ("--train-limit", task.train_limit, None),
    ):
        if value != usual:
            words += [flag, str(value)]
    return UseForm("command", (shlex.join([*words, *_data_folder(command)]),))


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
    epochs = f", steps_per_epoch={per_epoch}" if "epoch" in strategy.text else ""
    if strategy.method != "own":
        call = f"training = calando.follow(network, {_quoted(strategy.text)}, total_steps={steps}{epochs})"
        return UseForm("your loop", (call,))
    others = {key: text for key, text in strategy.schedules.items() if key != "lr"}
    rest = f", hyper_parameters={others!r}" if others else ""
    schedule = _quoted(strategy.schedules.get("lr", "constant(1)"))
    call = f"calando.attach(optimizer, {schedule}, total_steps={steps}{epochs}{rest})"
    return UseForm("your loop", (f"{call}  # optimizer: yours, made with lr={strategy.lr!r}",))


def _torch_alone(strategy: StrategySpec, *, steps: int, per_epoch: int) -> UseForm:
    # A room above, asked by name: reading a study needs no torch, and neither do these lines.
    without: Any = importlib.import_module("calando.strategy.without_calando")
    horizon = importlib.import_module("calando.schedules").Horizon(steps, per_epoch)
    try:
        why = without.why_calando_is_needed(strategy)
    except UsageError as error:  # a schedule or method of one's own, which this process has not
        why = str(error)
    if why:
        return UseForm("torch alone", (f"needs calando: {why}",), runs=False)
    return UseForm("torch alone", tuple(without.torch_lines(strategy, horizon)))


def _quoted(text: str) -> str:
    return f'"{text}"' if '"' not in text and "\\" not in text else repr(text)
