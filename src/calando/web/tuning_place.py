"""A tuning as a place: its arms are its rows, each with what was trained of it so far."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import final

import numpy as np

from calando.analysis.tuned import TuneResult, concluded
from calando.language import joined, message
from calando.records.measure import Measure
from calando.records.record import TestScore
from calando.records.spec import RunSpec
from calando.records.tuning import FILE, Piece, TuneSpec, TuneStore
from calando.report.use import forms_of
from calando.schedules.text import parse
from calando.web.place import Place, columns_of
from calando.web.table import Row

__all__ = ["TuningPlace"]


@final
class TuningPlace(Place):
    """A tuning."""

    kind = "tuning"

    def __init__(self, path: str, folder: Path) -> None:
        super().__init__(path, folder)
        self._seen: object = None
        self._pieces: dict[str, list[Piece]] = {}
        self._answer: TuneResult | None = None
        self._test: TestScore | None = None
        self._command = ""
        with TuneStore.open(folder, read_only=True) as store:
            self.question: TuneSpec = store.spec

    def take(self) -> Iterable[Row]:
        """Rows of the arms that got further. There are few: all are read where the file has changed."""
        there = (self.folder / FILE).stat()
        if (now := (there.st_mtime_ns, there.st_size, there.st_ino)) == self._seen:
            return ()
        self._seen = now
        with TuneStore.open(self.folder, read_only=True) as store:
            self.question, pieces, self._test = store.spec, store.pieces(), store.test
            self._command = store.meta("command")
            proposals = store.proposals
        self._answer = None if self._test is None else concluded(self.question, pieces, self._test, proposals)
        self._pieces = {}
        for piece in sorted(pieces, key=lambda one: one.until):
            self._pieces.setdefault(piece.spec.digest(), []).append(piece)
        rows = [self._row(digest) for digest in self._pieces]
        return [row for row in rows if row != self.rows.get(row.run)]

    def _row(self, digest: str) -> Row:
        pieces = self._pieces[digest]
        last, looks = pieces[-1], [look for piece in pieces for look in piece.evaluations]
        over = "diverged" if last.diverged else "finished" if last.stop >= last.spec.steps else "paused"
        is_answer = self._answer is not None and self._answer.run.digest() == digest
        return Row(
            run=digest,
            strategy=last.spec.strategy.name,
            seed=last.spec.seed,
            lr=last.spec.lr,
            steps=last.spec.steps,
            step=last.stop,
            state=over,
            score=looks[-1].score if looks else None,
            loss=looks[-1].loss if looks else None,
            test=self._test.score if is_answer and self._test is not None else None,
            seconds=sum(piece.seconds for piece in pieces),
        )

    def spec(self, run: str) -> RunSpec | None:
        """From its pieces, else as the picture has it."""
        if run in self._pieces:
            return self._pieces[run][-1].spec
        live = self.live.get(run)
        return RunSpec.model_validate_json(live.spec) if live is not None and live.spec else None

    def trace(self, run: str) -> tuple[np.ndarray, np.ndarray, int]:
        """Losses of its pieces; rates follow from its schedule, unless a controller changed them."""
        pieces = self._pieces.get(run, [])
        if not pieces:
            return np.empty(0), np.empty(0), 0
        losses = np.concatenate([piece.losses for piece in pieces])
        spec = pieces[-1].spec
        if spec.strategy.controllers:
            rates = np.full(len(losses), np.nan)
        else:
            curve = parse(spec.strategy.schedules["lr"]).bind(spec.steps, steps_per_epoch=spec.steps_per_epoch)
            first = pieces[0].since
            rates = spec.lr * curve(np.arange(first, first + len(losses)))
        return losses, rates, pieces[0].since

    def stored_looks(self, run: str) -> tuple[list[int], list[float], list[float]]:
        """Of its pieces."""
        return columns_of(look for piece in self._pieces.get(run, ()) for look in piece.evaluations)

    def counts(self) -> tuple[int, int]:
        """Updates charged, and the most that may be."""
        spec = self.question
        pieces = [piece for known in self._pieces.values() for piece in known]
        charged = sum(one.charged if spec.whole else (one.stop - one.start) * spec.passes for one in pieces)
        return round(charged), round(spec.budget * spec.run_cost)

    @property
    def title(self) -> str:
        """The task."""
        return self.question.workload.title

    @property
    def measure(self) -> Measure:
        """The task's."""
        return self.question.workload.measure

    @property
    def is_complete(self) -> bool:
        """Whether there is an answer."""
        return self._answer is not None

    @property
    def headline(self) -> str:
        """The rate that was settled, and its scores."""
        answer = self._answer
        if answer is None:
            return ""
        amount = self.question.workload.measure.amount
        looks = answer.evaluations
        facts = [message("rate {rate:.3g}", rate=answer.run.lr)]
        if looks:
            facts.append(message("validation {score}", score=amount(looks[-1].score)))
        if answer.test is not None:
            facts.append(message("test {score}", score=amount(answer.test.score)))
        return joined("{one}, {other}", facts)

    def texts(self, run: str) -> tuple[str, str]:
        """As the report writes them."""
        spec = self.spec(run)
        if spec is None:
            return "", ""
        forms = forms_of(
            spec.strategy, spec.workload, steps=spec.steps, per_epoch=spec.steps_per_epoch, command=self._command
        )
        return spec.strategy.text, forms[0].text
