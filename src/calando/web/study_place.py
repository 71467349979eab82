"""A study as a place: finished runs from its store, read once each and kept; the summary made when something came."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import final

import numpy as np

from calando.analysis.results import StudySummary
from calando.analysis.summary import summarize
from calando.records.measure import Measure
from calando.records.record import RunRecord, TestScore
from calando.records.spec import RunSpec, StudySpec
from calando.records.store import Store
from calando.report.use import forms_of
from calando.web.curves import Curve
from calando.web.place import Place, columns_of
from calando.web.table import Row

__all__ = ["StudyPlace"]

REST = 4.0
"""Between two summaries so many times as long as the last one took: a study of thousands of runs is not held up."""


FIRST_SECONDS = 1.5
FEW = 500
"""Runs of which the first summary is made at once."""


@final
class StudyPlace(Place):
    """A study."""

    kind = "study"

    def __init__(self, path: str, folder: Path) -> None:
        super().__init__(path, folder)
        self._store = Store.open(folder, read_only=True)
        self._seen: object = None
        self._run = self._test = 0
        self._text = ""
        self.records: dict[str, RunRecord] = {}
        self.tests: dict[str, TestScore] = {}
        self.command = self._store.command
        self.study: StudySpec = self._store.study
        self._summary: StudySummary | None = None
        self._summary_of = ""
        self._took, self._summarized = 0.0, 0.0
        self._background: threading.Thread | None = None

    def take(self) -> Iterable[Row]:
        """Rows of runs and test scores that came."""
        version = self._store.version
        if version == self._seen:
            return ()
        self._seen = version
        added = self._store.after(run=self._run, test=self._test)
        self._run, self._test = added.run, added.test
        self.records |= added.runs
        self.tests |= added.tests
        if added.study != self._text:
            self._text, self.study = added.study, StudySpec.model_validate_json(added.study)
        return [self._row(digest) for digest in dict.fromkeys((*added.runs, *added.tests)) if digest in self.records]

    def _row(self, digest: str) -> Row:
        return Row.of_record(digest, self.records[digest], self.tests.get(digest))

    def spec(self, run: str) -> RunSpec | None:
        """From its record, else as the picture has it."""
        if run in self.records:
            return self.records[run].spec
        live = self.live.get(run)
        return RunSpec.model_validate_json(live.spec) if live is not None and live.spec else None

    def trace(self, run: str) -> tuple[np.ndarray, np.ndarray, int]:
        """Of a finished run."""
        if run not in self.records:
            return np.empty(0), np.empty(0), 0
        ((_, losses, rates),) = self._store.traces([run])
        return losses, rates, 0

    def curves(self, runs: Sequence[str], of: str) -> Iterator[Curve]:
        """In one look at the store."""
        if of == "score":
            yield from super().curves(runs, of)
            return
        finished = [run for run in runs if run in self.records]
        for run, losses, rates in self._store.traces(finished, only="losses" if of == "loss" else "rates"):
            yield self._with_live(run, of, losses, rates, 0)
        for run in runs:
            if run not in self.records:
                yield self.curve(run, of)

    def stored_looks(self, run: str) -> tuple[list[int], list[float], list[float]]:
        """Of a finished run."""
        return columns_of(self.records[run].evaluations if run in self.records else ())

    def record(self, run: str) -> RunRecord | None:
        """With its traces left in the store."""
        return self.records.get(run)

    def counts(self) -> tuple[int, int]:
        """Runs."""
        known = self._summary
        return (len(self.records), 0) if known is None else (known.runs_done, known.runs_expected)

    @property
    def title(self) -> str:
        """The task."""
        return self.study.workload.title

    @property
    def measure(self) -> Measure:
        """The task's."""
        return self.study.workload.measure

    @property
    def is_complete(self) -> bool:
        """Whether it is answered."""
        return self._summary is not None and self._summary.complete

    @property
    def is_settled(self) -> bool:
        """Whether the summary is of all runs and scores there are."""
        return self._now == self._summary_of

    @property
    def headline(self) -> str:
        """As the terminal has it."""
        return "" if self._summary is None else self._summary.headline

    def texts(self, run: str) -> tuple[str, str]:
        """As `calando report` writes them."""
        spec = self.spec(run)
        if spec is None:
            return "", ""
        forms = forms_of(
            spec.strategy, spec.workload, steps=spec.steps, per_epoch=spec.steps_per_epoch, command=self.command
        )
        command = forms[0].text + (f" \\\n  --seed {spec.seed}" if forms[0].title == "command" and spec.seed else "")
        return spec.strategy.text, command

    @property
    def _now(self) -> str:
        """What a summary is of: there are never fewer runs or scores, and the question may become larger."""
        return f"{len(self.records)} {len(self.tests)} {self._text}"

    def summary(self) -> StudySummary:
        """What it has concluded, of the runs that are known now."""
        with self.lock:
            now = self._now
            if self._summary is not None and now == self._summary_of:
                return self._summary
            study, runs, tests = self.study, dict(self.records), dict(self.tests)
        began = time.monotonic()
        made = summarize(study, runs, tests)
        with self.lock:
            self._summary, self._summary_of = made, now
            self._took, self._summarized = time.monotonic() - began, time.monotonic()
            self._queue(made)
        return made

    def _queue(self, summary: StudySummary) -> None:
        """Rows of the runs that will be made; one that will not be after all is none."""
        self.version += 1
        pending: dict[str, RunSpec] = {}
        for result in summary.results:
            planned = result.planned
            pending |= {run.digest(): run for run in planned.choice.pending}
            finals = zip(planned.finals, planned.final_runs, strict=True)
            pending |= {digest: run for digest, run in finals if digest not in self.records}
        for digest in [one for one, row in self.rows.items() if row.state == "queued" and not row.steered]:
            if digest not in pending:
                del self.rows[digest]
        for digest, run in pending.items():
            if digest not in self.rows:
                self.rows[digest] = Row(digest, run.strategy.name, run.seed, run.lr, run.steps, step=0, state="queued")
                self._log.append((self.version, digest))

    def refresh(self) -> None:
        """Take in what came; another summary is made in the background."""
        with self.lock:
            super().refresh()
            if self._summary is None and len(self.records) <= FEW:
                self.summary()
            rested = time.monotonic() - self._summarized > REST * self._took
            busy = self._background is not None and self._background.is_alive()
            if not self.is_settled and rested and not busy:
                # The first one of many runs comes after what a page asks for first.
                wait = FIRST_SECONDS if self._summary is None else 0.0
                self._background = threading.Timer(wait, self.summary)
                self._background.daemon = True
                self._background.start()

    def close(self) -> None:
        """Close the store as well."""
        super().close()
        self._store.__exit__(None, None, None)
