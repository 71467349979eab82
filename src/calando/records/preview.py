"""What a command would do to a run, before it is asked: the new curve over the old one, and what lint says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final, get_args

import numpy as np

from calando.errors import CorruptFile, UsageError
from calando.language import joined, message
from calando.records.command import Command, branch_of, parse_command
from calando.records.command_log import CommandLog
from calando.records.files import read_plain
from calando.records.live_picture import LivePicture, is_conducted
from calando.records.record import RunOutcome
from calando.records.spec import RunSpec
from calando.records.store import FILE_NAME as STUDY_FILE
from calando.records.store import Store
from calando.schedules import Finding, lint_schedule, parse
from calando.schedules.schedule import Array

__all__ = ["KnownRun", "Preview", "known_runs", "preview", "the_run"]

LEAST_LETTERS = 4
STATES = ("running", "paused", "stopped", "other", "left", "ended")
RESTING_FIRST = ("paused", "stopped", "running", "left", "other", "ended")
MOST_POINTS = 400
LARGEST_SPEC = 2**20


@final
@dataclass(frozen=True)
class KnownRun:
    """A run that can be steered, as the files of its folder have it.

    Args:
        step: updates made, as it reported last.
        state: "running"; "paused", "stopped", "left" for a branch; "ended"; or "other": it waits.
    """

    spec: RunSpec
    step: int
    state: str


@final
@dataclass(frozen=True, eq=False)
class Preview:
    """A command and what would come of it now.

    Args:
        run: the digest of the run that it means.
        parent: its spec.
        command: understood.
        branch: the run that would go on instead; None: the command makes none.
        step: updates made by then, as far as is known; the branch may leave a little later.
        findings: what lint finds suspicious about the branch's schedule, and not about the parent's.
    """

    run: str
    parent: RunSpec
    command: Command
    branch: RunSpec | None
    step: int
    findings: tuple[Finding, ...] = ()

    def curves(self) -> tuple[Array, Array, Array]:
        """Steps, planned rates and the branch's, of the first parameter group; NaN where one has ended."""
        longest = max(self.parent.steps, self.parent.steps if self.branch is None else self.branch.steps)
        steps = np.unique(np.linspace(0, longest - 1, min(longest, MOST_POINTS)).round())
        if self.branch is not None and self.command.since is None and self.step < longest:
            steps = np.unique([*steps, self.step, max(0, self.step - 1)])
        return steps, _rates(self.parent, steps), _rates(self.branch or self.parent, steps)

    @property
    def since(self) -> int:
        """The first update that differs, as far as is known."""
        return self.step if self.command.since is None else self.command.since

    def to_json(self) -> dict[str, Any]:
        """For the page and `--json`."""
        steps, before, after = self.curves()
        return {
            "run": self.run,
            "name": self.parent.strategy.name,
            "seed": self.parent.seed,
            "verb": self.command.verb,
            "step": self.step,
            "since": self.since,
            "text": None if self.branch is None else self.branch.strategy.text,
            "branch": None if self.branch is None else self.branch.digest(),
            "steps": None if self.branch is None else self.branch.steps,
            "lint": [finding.sentence for finding in self.findings],
            "x": [int(step) for step in steps],
            "before": [_or_none(value) for value in before],
            "after": [_or_none(value) for value in after],
        }


def known_runs(folder: Path) -> dict[str, KnownRun]:
    """The runs of a folder that are known from its files, by digest; those in progress and at rest first."""
    resting, found, others = {}, {}, {}
    if CommandLog.there(folder):
        with CommandLog.open(folder, read_only=True) as log:
            resting = dict(log.at_rest())
            others = {digest: KnownRun(one.spec, one.step, "other") for digest, one in log.branches().items()}
    conducted, picture = is_conducted(folder), LivePicture(folder)
    for row in picture.since(0).runs:
        if row.spec:
            spec = RunSpec.model_validate_json(row.spec)
            going = conducted and row.state == "running"
            ended = row.state in get_args(RunOutcome)
            found[row.digest] = KnownRun(spec, row.step, "running" if going else "ended" if ended else "other")
    picture.close()
    if (folder / STUDY_FILE).is_file():
        with Store.open(folder, read_only=True) as store:
            made = store.runs(traces=False)
        others |= {digest: KnownRun(one.spec, one.steps_done, "ended") for digest, one in made.items()}
    elif (folder / "spec.json").is_file():
        try:
            spec = RunSpec.model_validate(json.loads(read_plain(folder / "spec.json", most=LARGEST_SPEC))["spec"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptFile(message("{path} is damaged; remove the folder", path=folder / "spec.json")) from error
        others.setdefault(spec.digest(), KnownRun(spec, 0, "other"))
    known = {**others, **found}
    for digest in resting.keys() & known.keys():
        known[digest] = KnownRun(known[digest].spec, known[digest].step, resting[digest])
    return dict(sorted(known.items(), key=lambda one: STATES.index(one[1].state)))


def the_run(known: dict[str, KnownRun], name: str, *, verb: str = "change") -> str:
    """The digest of the run that is meant: by its digest or the beginning of it, or its strategy's name; "": the one.

    What was left for a branch is meant after what goes on, unless it is to go on: `resume` is of what rests.

    Args:
        known: as `known_runs` has them.
        name: as it was given.
        verb: of the command.

    Raises:
        UsageError: none is meant, or several.
    """
    if name in known:
        return name
    for state in RESTING_FIRST if verb == "resume" else STATES:
        likely = [digest for digest, one in known.items() if one.state == state]
        found = [digest for digest in likely if not name or known[digest].spec.strategy.name == name]
        if not found and len(name) >= LEAST_LETTERS:
            found = [digest for digest in likely if digest.startswith(name)]
        if len(found) == 1:
            return found[0]
        if found:
            named = joined(
                "{one}, {other}",
                [
                    message(
                        "{run} ({name}, seed {seed})",
                        run=one,
                        name=known[one].spec.strategy.name,
                        seed=known[one].spec.seed,
                    )
                    for one in found[:8]
                ],
            )
            stand = message("there" if state in ("other", "ended") else state)
            raise UsageError(
                message(
                    "{count} runs are {stand}; name one with run=: {named}", count=len(found), stand=stand, named=named
                )
            )
    raise UsageError(
        message("no run {name!r} here", name=name) if name else message("no run here yet; has the training begun?")
    )


def preview(folder: Path, line: str, *, run: str = "") -> Preview:
    """What a command would do now.

    Args:
        folder: of the study or the run.
        line: the command.
        run: as `the_run` takes it.

    Raises:
        UsageError: no command, no such run, or it cannot be.
        CorruptFile: a file there is damaged.
    """
    command, known = parse_command(line), known_runs(folder)
    digest = the_run(known, run, verb=command.verb)
    one = known[digest]
    if command.verb != "change":
        return Preview(digest, one.spec, command, None, one.step)
    if one.state == "ended" and command.since is None:
        raise UsageError(
            message(
                "it has ended; say from where, as 'from {step}: {text}'", step=one.spec.steps // 2, text=command.text
            )
        )
    branch = branch_of(one.spec, command, step=min(one.step, one.spec.steps - 1))
    before = {found.name for found in _findings(one.spec)}
    findings = tuple(found for found in _findings(branch) if found.name not in before)
    return Preview(digest, one.spec, command, branch, one.step, findings)


def _findings(spec: RunSpec) -> list[Finding]:
    text = spec.strategy.schedules.get("lr", "constant(1)")
    return lint_schedule(parse(text), spec.steps, steps_per_epoch=spec.steps_per_epoch)


def _rates(spec: RunSpec, steps: Array) -> Array:
    schedule = parse(spec.strategy.schedules.get("lr", "constant(1)"))
    if schedule.group_names:
        schedule = schedule.for_group(schedule.group_names[0])
    curve = schedule.bind(spec.steps, steps_per_epoch=spec.steps_per_epoch)
    return np.where(steps < spec.steps, curve(np.minimum(steps, spec.steps - 1)) * spec.lr, np.nan)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
