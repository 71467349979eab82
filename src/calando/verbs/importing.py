"""`calando.import_runs`: runs that others logged, and the schedules that their rates came from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from calando.errors import UsageError, said_by
from calando.language import _, message
from calando.rows import Rows
from calando.shown import Shown
from calando.verbs.progress import counted

if TYPE_CHECKING:
    from calando.loops.logged_runs import LoggedRun
    from calando.schedules import Finding
    from calando.schedules.logged.recovered import Recovered

__all__ = ["Imported", "ImportedRuns", "import_runs"]


@final
@dataclass(frozen=True)
class Imported:
    """A run that was logged elsewhere.

    Args:
        logged: its rates, losses and scores, by step.
        recovered: the schedule that its rates came from, or the closest with its misfit.
        findings: what `lint` finds suspicious about that.
    """

    logged: LoggedRun
    recovered: Recovered
    findings: tuple[Finding, ...]

    @property
    def again(self) -> str:
        """The line that schedules a run like it."""
        text, steps = self.recovered.text, self.recovered.total_steps
        return f'calando.LRScheduler(optimizer, "{text}", total_steps={steps})'

    @property
    def row(self) -> dict[str, object]:
        """Its row in a table."""
        found = self.recovered
        return {
            "run": self.logged.name,
            "steps": found.total_steps,
            "base": found.base,
            "schedule": found.text if found.exact else message("none found; the closest: {text}", text=found.text),
            "misfit": found.misfit,
            "findings": "; ".join(map(str, self.findings)) or "none",
        }

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        found = self.recovered
        return {
            "run": self.logged.name,
            "logged": len(self.logged.rates),
            "steps": found.total_steps,
            "base": found.base,
            "schedule": found.text,
            "exact": found.exact,
            "misfit": found.misfit,
            "rounding": found.rounding,
            "findings": [str(one) for one in self.findings],
            "notes": list(found.notes),
            "again": self.again,
        }

    def __repr__(self) -> str:
        return f"{self.logged.name}: {self.recovered}"


@final
class ImportedRuns(Rows[Imported], Shown):
    """Runs that were logged elsewhere; `calando.draw` draws them, next to a study's where one was named."""

    study: Path | None = None

    def plot(self) -> Any:
        """Their rates and losses, next to the study's: unpaired, without a verdict."""
        from calando.report.figures.next_to import next_to_figure

        logged = [one.logged for one in self]
        if self.study is None:
            return next_to_figure(logged, {})
        from calando.analysis import summarize
        from calando.records import Store
        from calando.report.series import final_records

        with Store.open(self.study, read_only=True) as store:
            there = store.read()
        records = final_records(summarize(there.study, there.runs, there.tests), there.runs)
        return next_to_figure(logged, records, title=there.study.workload.heading)


def import_runs(
    *paths: str, steps: int | None = None, steps_per_epoch: int | None = None, study: Path | str | None = None
) -> ImportedRuns:
    """Read runs that other programs logged, and recover the schedules behind their rates.

    A recovered schedule meets every logged rate within the rounding of the log. If there is none, the closest is named
    with its misfit. Some logs give a rate at the update that used it, others at the next one: the simpler schedule
    decides.

    Args:
        paths: files, or folders to search: trainer_state.json of Transformers, metrics.csv of Lightning, event files of
            TensorBoard (extra "tensorboard"), MLflow's SQLite file or folder, Optuna's SQLite file or journal (extra
            "tune"); or any .csv file with columns step and lr. The rate is recognised by its name; a note says which.
        steps: updates that the runs were planned for. None: as the log says, else estimated from where the rates end.
        steps_per_epoch: updates in one pass over the data; lengths may then be in epochs.
        study: folder of a study to draw the runs next to: unpaired, and without a verdict.

    Returns:
        One entry per run; `.plot()` draws them all. An entry has `.recovered.text`, `.recovered.base` and
        `.recovered.misfit`; `.findings`, as of `calando.lint`; and `.again`, the line of code that builds the schedule.

    Raises:
        UsageError: a path does not exist or holds no log with rates, or `steps` is less than what was logged.

    Example:
        >>> import calando, tempfile, pathlib
        >>> log = pathlib.Path(tempfile.mkdtemp(), "log.csv")
        >>> _ = log.write_text("step,lr" + "".join(f"\\n{t},{0.1 * (1 - t / 100)}" for t in range(100)))
        >>> print(calando.import_runs(str(log))[0].again)
        calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=100)
    """
    from calando.loops.logged_runs import logged_runs
    from calando.schedules.checks import checked_count
    from calando.schedules.span import LONGEST_HORIZON

    for name, given in (("steps", steps), ("steps_per_epoch", steps_per_epoch)):
        if given is not None:
            checked_count(name, given, most=LONGEST_HORIZON)
    if study is not None:
        from calando.records import Store

        Store.open(Path(study), read_only=True).__exit__(None, None, None)
    if not paths:
        raise UsageError(message("nothing to import: give a file or a folder with logs"))
    left_out: list[str] = []
    runs = [run for path in paths for run in logged_runs(Path(path), left_out=left_out)]
    if left_out:
        print(
            _(
                "calando: {count} of the logs are left out; the first: {first}",
                count=len(left_out),
                first=left_out[0],
            ),
            file=sys.stderr,
        )
    shown = counted(runs, len(runs), doing=_("recovering schedules"))
    made = ImportedRuns([_imported(run, steps, steps_per_epoch) for run in shown], "runs read")
    made.study = None if study is None else Path(study)
    return made


def _imported(run: LoggedRun, steps: int | None, steps_per_epoch: int | None) -> Imported:
    from dataclasses import replace

    from calando.schedules.linting import lint_schedule
    from calando.schedules.logged.recovered import recover

    places, rates = zip(*run.rates, strict=True)
    total = steps if steps is not None else run.total_steps
    tried = []
    for late in (0, 1) if min(places) >= 1 else (0,):
        moved = [place - late for place in places]
        try:
            found = recover(moved, rates, total_steps=total, steps_per_epoch=steps_per_epoch)
        except UsageError as error:
            raise UsageError(message("{run}: {problem}", run=repr(run.name), problem=said_by(error))) from None
        digits = sum(letter in "123456789" for letter in found.text)
        tried.append(((not found.exact, found.misfit if not found.exact else len(found.text) + digits), late, found))
    _key, late, recovered = min(tried, key=lambda one: one[:2])
    if late:
        note = "the rate logged at step n is taken for that of update n - 1, counted from 0"
        recovered = replace(recovered, notes=(*recovered.notes, note))
    recovered = replace(recovered, notes=(*run.notes, *recovered.notes))
    findings = lint_schedule(recovered.schedule, recovered.total_steps, steps_per_epoch=steps_per_epoch)
    return Imported(run, recovered, tuple(findings))
