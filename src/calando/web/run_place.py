"""A single run as a place: of `calando train`, or of a person's own code that `calando.run` was given a folder for.

FOLDER/spec.json      of `calando train`: what is run in it
FOLDER/live.sqlite    the run while it goes on; of `calando train` all of it afterwards
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, final

import numpy as np

from calando.errors import CorruptFile
from calando.language import joined, message
from calando.records.files import read_plain
from calando.records.measure import Measure
from calando.records.record import RunRecord, TestScore
from calando.records.spec import RunSpec
from calando.report.use import forms_of
from calando.web.curves import Curve
from calando.web.looks_place import probe_curve, probe_names
from calando.web.place import Place, columns_of
from calando.web.table import Row

__all__ = ["RunPlace"]

LARGEST_SPEC = 2**20


@final
class RunPlace(Place):
    """A single run."""

    def __init__(self, path: str, folder: Path) -> None:
        super().__init__(path, folder)
        self._asked: RunSpec | None = None
        self._seen: object = None
        self._records: dict[str, RunRecord] = {}
        self._tests: dict[str, TestScore] = {}
        spec = folder / "spec.json"
        self.kind = "training" if spec.exists() else "run"
        if spec.exists():
            try:
                self._asked = RunSpec.model_validate(json.loads(read_plain(spec, most=LARGEST_SPEC))["spec"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise CorruptFile(f"{spec} is damaged; remove the folder or restore a copy") from error

    def take(self) -> Iterable[Row]:
        """The row of the whole run, once it is over."""
        now = self.news.generation, self.news.seq
        if now == self._seen:
            return ()
        self._seen = now
        self._records, self._tests = self.picture.records()
        rows = [Row.of_record(digest, self._records[digest], self._tests.get(digest)) for digest in self._records]
        if (
            self._asked is not None
            and (digest := self._asked.digest()) not in self._records
            and digest not in self.live
        ):
            run = self._asked
            rows.append(Row(digest, run.strategy.name, run.seed, run.lr, run.steps, step=0, state="paused"))
        return [row for row in rows if row != self.rows.get(row.run)]

    def spec(self, run: str) -> RunSpec | None:
        """From its record, its picture or its folder."""
        if run in self._records:
            return self._records[run].spec
        live = self.live.get(run)
        if live is not None and live.spec:
            return RunSpec.model_validate_json(live.spec)
        return self._asked if self._asked is not None and self._asked.digest() == run else None

    def trace(self, run: str) -> tuple[np.ndarray, np.ndarray, int]:
        """Of a run that is over."""
        record = self._records.get(run)
        return (np.empty(0), np.empty(0), 0) if record is None else (record.losses, record.rates, 0)

    def stored_looks(self, run: str) -> tuple[list[int], list[float], list[float]]:
        """Of a run that is over."""
        return columns_of(self._records[run].evaluations if run in self._records else ())

    def record(self, run: str) -> RunRecord | None:
        """Of a run that is over."""
        return self._records.get(run)

    def measured(self) -> tuple[str, ...]:
        """With what looks measured, by name."""
        return *super().measured(), *probe_names(row for run in self.live for row in self.picture.probes(run))

    def curve(self, run: str, of: str) -> Curve:
        """Of what was measured: a value a look."""
        with self.lock:
            return super().curve(run, of) if of in super().measured() else probe_curve(self.picture.probes(run), of)

    def counts(self) -> tuple[int, int]:
        """Updates."""
        row = self._latest()
        return (0, 0) if row is None else (row.step, row.steps or 0)

    def _latest(self) -> Row | None:
        return self.rows[next(reversed(self.rows))] if self.rows else None

    @property
    def title(self) -> str:
        """The task, or that it is code of one's own."""
        if self._asked is not None:
            return self._asked.workload.title
        row = self._latest()
        return self.folder.name if row is None else row.strategy

    @property
    def measure(self) -> Measure | None:
        """The task's, where it is known."""
        return None if self._asked is None else self._asked.workload.measure

    def run_folder(self, run: str) -> Path:
        """Its own."""
        return self.folder

    @property
    def is_complete(self) -> bool:
        """Whether it is over."""
        row = self._latest()
        return row is not None and row.state in ("finished", "diverged", "died")

    @property
    def headline(self) -> str:
        """How it ended, and with which scores."""
        row = self._latest()
        if row is None or not self.is_complete:
            return ""
        over = message(
            "{state} after {step} of {steps} steps", state=message(row.state), step=row.step, steps=row.steps
        )
        scores = [] if row.score is None else [message("validation {score}", score=self._amount(row.score))]
        if row.test is not None:
            scores.append(message("test {score}", score=self._amount(row.test)))
        return message("{one}: {other}", one=over, other=joined("{one}, {other}", scores)) if scores else over

    def _amount(self, score: float) -> str:
        return f"{score:.4g}" if self.measure is None else self.measure.amount(score)

    def texts(self, run: str) -> tuple[str, str]:
        """The strategy, and the command that makes the run again."""
        spec, live = self.spec(run), self.live.get(run)
        if spec is None:
            return ("", "") if live is None else (live.text, "")
        forms: Any = forms_of(spec.strategy, spec.workload, steps=spec.steps, per_epoch=spec.steps_per_epoch)
        command = forms[0].text + (f" \\\n  --seed {spec.seed}" if forms[0].title == "command" and spec.seed else "")
        return spec.strategy.text, command
