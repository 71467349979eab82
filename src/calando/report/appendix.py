"""One run as a folder that a paper's appendix can hold.

README.md             what it is, what it gave, the command that makes it again; in the person's language
spec.json             all that decides its bits; `calando train spec.json` reads it
environment.json      where it was made, and with what it was exported
curve.csv             run, step, rate, loss: every update, to the last digit
evaluations.csv       run, step, score, loss, …: every look at the validation part
events.csv            what controllers and the loop did, where they did something
training.png, .svg    rate, loss and score; training.html where no pictures can be drawn
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, final

from calando.errors import NotDrawn, plain
from calando.language import _, joined, message, translated
from calando.loops.exported.csv_files import texts_of
from calando.records.command_log import Branch
from calando.records.files import write_atomically
from calando.records.kept_runs import KeptRun
from calando.records.record import RunRecord
from calando.records.task_spec import OwnTrainingSpec
from calando.report.use import OBJECT

__all__ = ["Origin", "write_appendix"]

PACKAGES = ("calando", "torch", "numpy")


@final
@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a run was taken from.

    Args:
        command: the line that made it all; "": unknown.
        data: fingerprint of the data.
        spec: the document that makes it again.
        place: where the files of the data lie, as seen from the appendix; None: they have none, or nobody knows.
        module: of the function that makes the task; "": none does.
    """

    command: str
    data: str
    spec: bytes
    place: str | None = None
    module: str = ""


def write_appendix(run: KeptRun, folder: Path, origin: Origin) -> None:
    """Write it.

    Raises:
        UsageError: an arm of a tuning that was dropped, which has no end to show.
        DiskFull: no space.
    """
    pictures, tables = _draw(run.whole(), folder), texts_of(run)
    files = {
        "spec.json": origin.spec,
        "environment.json": json.dumps(_environment(run, origin), indent=2).encode(),
        "curve.csv": tables["trace"].encode(),
        "evaluations.csv": tables["evaluations"].encode(),
        **({"events.csv": tables["events"].encode()} if run.events else {}),
    }
    for name, data in files.items():
        write_atomically(folder / name, data)
    write_atomically(folder / "README.md", _readme(run, origin, [*files, *pictures]).encode())


def _draw(record: RunRecord, folder: Path) -> list[str]:
    """The names of the pictures; a page where none can be drawn here."""
    from calando.report.figures.one_run import training_figure
    from calando.report.pictures import save

    figure, names = training_figure(record), ["training.png", "training.svg"]
    try:
        for name in names:
            save(figure, folder / name)
    except NotDrawn:
        names = ["training.html"]
        save(figure, folder / names[0])
    return names


def _environment(run: KeptRun, origin: Origin) -> dict[str, Any]:
    return {
        "made": run.host or "not recorded",
        "lane": run.spec.lane.model_dump(),
        "exported": {
            "python": platform.python_version(),
            **{name: found for name in PACKAGES if (found := _version(name))},
        },
        "data": origin.data,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _readme(run: KeptRun, origin: Origin, files: Sequence[str]) -> str:
    spec, test = run.spec, run.test
    measure = spec.workload.measure
    scores = (
        [message("validation {score}", score=measure.amount(run.score, decimals=2))] if run.score is not None else []
    )
    if test is not None:
        scores.append(
            message(
                "test {score} ({count} samples)" if test.n else "test {score}",
                score=measure.amount(test.score, decimals=2),
                count=test.n,
            )
        )
    facts = joined("{one}, {other}", (spec.workload.heading, *spec.workload.facts))
    made = ", ".join(value if key == "machine" else f"{key} {value}" for key, value in run.host.items())
    lines = [
        _(
            "# {name} on {task}, seed {seed}",
            name=_text(spec.strategy.name or spec.strategy.method),
            task=_text(spec.workload.title),
            seed=spec.seed,
        ),
        "",
        _(
            "{outcome} after {step:,} of {steps:,} updates; {scores}; 1 seed",
            outcome=message(run.outcome),
            step=run.steps_done,
            steps=spec.steps,
            scores=joined("{one}, {other}", scores) or message("no score"),
        ),
        "",
        *_fenced(spec.strategy.text),
        _("- task: {facts}", facts=_text(translated(facts))),
        _(
            "- made on: {machine}; {lane}",
            machine=_text(made) or message("not recorded"),
            lane=_text(translated(spec.lane.text)),
        ),
        _(
            "- cost: {updates:,} updates, {own:,} of them its own, {seconds:.1f} s",
            updates=run.updates,
            own=run.updates_spent,
            seconds=run.seconds_spent,
        ),
        *(_branched(run.branch) if run.branch is not None else ()),
        _("- run `{run}`, data {data}", run=run.digest, data=_code(origin.data))
        if origin.data
        else _("- run `{run}`", run=run.digest),
        "",
        _("## Make it again"),
        "",
        *_again(run, origin),
        _("## Files"),
        "",
        *(_("- `{name}`: {what}", name=name, what=WHAT[name]) for name in files),
        "",
    ]
    return "\n".join(lines)


def _branched(branch: Branch) -> list[str]:
    return [
        _(
            "- steered: a person changed run `{parent}`, which this one left after {step:,} updates",
            parent=branch.parent,
            step=branch.step,
        )
    ]


WHAT = {
    "spec.json": message("all that decides the run's bits"),
    "environment.json": message("the machine and versions that were recorded, and those of the export"),
    "curve.csv": message("rate and loss of every update"),
    "evaluations.csv": message("every look at the validation part"),
    "events.csv": message("what controllers and the loop did"),
    "training.png": message("rate, loss and score by update"),
    "training.svg": message("the same as a vector drawing"),
    "training.html": message("rate, loss and score by update; opens without a network"),
}


def _again(run: KeptRun, origin: Origin) -> list[str]:
    spec = run.spec
    if isinstance(spec.workload, OwnTrainingSpec):
        command = (
            [_("The line that made all runs: {command}.", command=_code(origin.command)), ""] if origin.command else []
        )
        return [
            _(
                "It was trained by code of its own, {code}, for {steps} updates, with this line in it; goal, unit and "
                "folder stay as the code has them:",
                code=_code(spec.workload.code),
                steps=spec.steps,
            ),
            "",
            *_fenced(f"run = calando.run({spec.strategy.text!r}, seed={spec.seed})"),
            *command,
        ]
    if spec.in_our_loop.data.startswith(OBJECT):
        call = f"calando.train(workload, {spec.strategy.text!r}, steps={spec.steps}, seed={spec.seed}"
        return [
            _("Its task was made in Python, which no file holds. With it as `workload`:"),
            "",
            *_fenced(f"{call}, threads={spec.lane.threads})"),
        ]
    return [
        _("In this folder, with calando installed:"),
        "",
        *_fenced("calando train spec.json --out again", "calando export again", "cmp curve.csv again/export/trace.csv"),
        _(
            "`cmp` prints nothing where each update is the same to the bit, as on the same machine with the same "
            "versions."
        ),
        _data_at(spec.in_our_loop.data, origin),
        "",
    ]


def _data_at(data: str, origin: Origin) -> str:
    """Where they are looked for, and what to do where they lie elsewhere."""
    if ":" not in data:
        return _("The data are {data}; where they lie elsewhere, `--data` says where.", data=_code(data))
    if origin.module:
        return _(
            "The task is made by {data}: run the commands where Python can import {module}, as with its folder in "
            "`PYTHONPATH`.",
            data=_code(data),
            module=_code(origin.module),
        )
    if origin.place is None:
        return _(
            "The data are {data}, and were not found at that path by the export: `calando train spec.json --data PATH "
            "--out again` names the place, and their content is checked.",
            data=_code(data),
        )
    return _(
        "The data are {data}, at {place} from this folder. Where they lie elsewhere, `calando train spec.json --data "
        "PATH --out again` names the place, and their content is checked.",
        data=_code(data),
        place=_code(origin.place),
    )


def _fenced(*lines: str) -> list[str]:
    fence = "`" * max(3, 1 + max(_longest_run(line) for line in lines))
    return [fence, *map(plain, lines), fence, ""]


def _code(text: str) -> str:
    """A text within a line, as code."""
    marks = "`" * (1 + _longest_run(text))
    return f"{marks} {plain(text)} {marks}" if len(marks) > 1 else f"`{plain(text)}`"


def _longest_run(text: str) -> int:
    longest = run = 0
    for letter in text:
        run = run + 1 if letter == "`" else 0
        longest = max(longest, run)
    return longest


def _text(text: str) -> str:
    """One line of Markdown that means nothing but itself."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#|" else letter for letter in plain(" ".join(text.split())))
