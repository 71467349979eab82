"""What the page shows of one folder: its rows, how it stands, its curves, and what has changed since.

    row           a run: finished (its store has it), in progress (the picture has it), or to be made
    version       counts the changes of rows; each row knows in which it changed
    cursor        EPOCH-VERSION-GENERATION-SEQ: what one who looks has seen of rows, and of the picture's points

A place is asked by many threads; each question is answered under its lock, from memory where nothing has changed.
What a kind of folder adds (`study_place`, `tuning_place`, `run_place`) is where its rows and traces come from.
"""

from __future__ import annotations

import bisect
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from calando.collector import nothing_collected
from calando.language import Message, message
from calando.records.live_file import RunRow
from calando.records.live_picture import LivePicture, News, is_conducted
from calando.records.measure import Measure
from calando.records.record import Evaluation, Event, RunRecord
from calando.records.spec import RunSpec
from calando.stored_words import recognized, restored
from calando.web.audit import Branches, audit
from calando.web.bands import Band, Bands
from calando.web.curves import Curve
from calando.web.run_files import files_in, tail_of
from calando.web.table import Row

__all__ = ["MEASURED", "Kind", "Place", "State", "columns_of"]

OVER = ("finished", "diverged", "died")
Kind = Literal["study", "tuning", "training", "run", "folder"]
State = Literal["running", "complete", "stopped", "reading", "unreadable"]
MEASURED = ("loss", "rate", "score")
"""What every run has."""
MOST_NEWS = 2000
"""Changed rows, of which one answer tells; whoever has missed more reads the table again."""


def columns_of(looks: Iterable[Evaluation]) -> tuple[list[int], list[float], list[float]]:
    """Steps, scores and losses of looks at the validation part."""
    looks = tuple(looks)
    return [one.step for one in looks], [one.score for one in looks], [one.loss for one in looks]


class Place(ABC):
    """A folder that is shown; made by `places.Places`.

    Args:
        path: relative to the folder that is served, with "/" between its parts; "" is that folder itself.
        folder: where it is.
    """

    kind: Kind

    def __init__(self, path: str, folder: Path) -> None:
        self.path, self.folder = path, folder
        self.lock = threading.RLock()
        self.epoch = os.urandom(4).hex()
        self.rows: dict[str, Row] = {}
        self.live: dict[str, RunRow] = {}
        self.picture = LivePicture(folder)
        self.news = News()  # the last one
        self.version, self.conducted = 0, False
        self.branches = Branches(folder)
        self._bands = Bands()
        self._log: list[tuple[int, str]] = []  # version, and the row that changed in it

    # What a kind of folder says

    @abstractmethod
    def take(self) -> Iterable[Row]:
        """Rows of the store that are new or have changed since it was last asked; usually none, and at once."""

    @abstractmethod
    def spec(self, run: str) -> RunSpec | None:
        """What a run is; None: it is not known."""

    @abstractmethod
    def trace(self, run: str) -> tuple[np.ndarray, np.ndarray, int]:
        """Losses and rates that the store has of a run, and the update that they begin with; empty: none."""

    @abstractmethod
    def stored_looks(self, run: str) -> tuple[list[int], list[float], list[float]]:
        """Steps, scores and losses of the looks at the validation part that the store has."""

    @abstractmethod
    def counts(self) -> tuple[int, int]:
        """What is done, and what is expected, by the store."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What is trained."""

    @property
    @abstractmethod
    def is_complete(self) -> bool:
        """Whether nothing is left to make."""

    @property
    def headline(self) -> str:
        """What it has concluded; "" where that is not known so far."""
        return ""

    @property
    def measure(self) -> Measure | None:
        """What the score is; None: unknown."""
        return None

    @property
    def is_settled(self) -> bool:
        """Whether what is concluded is known of all that has come."""
        return True

    def record(self, run: str) -> RunRecord | None:
        """The whole record of a finished run."""
        return None

    def texts(self, run: str) -> tuple[str, str]:
        """The strategy's text, and the command that makes the run again."""
        return "", ""

    def refresh(self) -> None:
        """Take in what has changed."""
        with self.lock, nothing_collected():
            conducted = is_conducted(self.folder)
            # The picture first: a run that has left it was in the store before.
            moved = self.picture.has_changed() or conducted != self.conducted
            before = self.live
            if moved:
                self.conducted = conducted
                self._look(before)
            stored = list(self.take())
            steered = self.branches.have_changed()
            if not moved and not stored and not steered:
                return
            self.version += 1
            changed = {row.run: row for row in stored}
            for digest in {*before, *self.live}:
                row = self._shown(digest, changed.get(digest) or self.rows.get(digest))
                if row is not None and replace(row, steered=digest in self.branches.made) != self.rows.get(digest):
                    changed[digest] = row
            for digest in self.branches.made if steered else ():
                changed.setdefault(digest, self.rows.get(digest) or self._of_branch(digest))
            for digest, row in changed.items():
                row.steered = digest in self.branches.made
                self.rows[digest] = row
                self._log.append((self.version, digest))

    def _look(self, before: dict[str, RunRow]) -> None:
        same = self.news.generation
        news = self.picture.since(self.news.seq, generation=same)
        known = before if news.generation == same else {}
        self.live = {digest: row for digest, row in known.items() if digest in news.there}
        self.live |= {row.digest: row for row in news.runs}
        news.points, news.scores = {}, {}
        self.news = news

    def _of_branch(self, digest: str) -> Row:
        """One that waits to be trained."""
        made = self.branches.made[digest]
        run = made.spec
        return Row(digest, run.strategy.name, run.seed, run.lr, run.steps, made.step, "queued")

    def _shown(self, digest: str, stored: Row | None) -> Row | None:
        """A row as the picture has it, unless the store knows that its run is over."""
        live = self.live.get(digest)
        if live is None and stored is not None and stored.state == "running":
            return replace(stored, state="paused", slot=None)  # the picture was lost
        if live is None or (stored is not None and stored.state in OVER):
            return stored
        running = live.state == "running" and self.conducted
        state = "running" if running else "paused" if live.state in ("running", "left") else live.state
        return Row(
            run=digest,
            strategy=live.name,
            seed=live.seed,
            lr=live.lr,
            steps=live.steps,
            step=max(live.step, 0 if stored is None else stored.step),
            state=state,
            score=live.score if live.score is not None or stored is None else stored.score,
            loss=live.score_loss if live.score_loss is not None or stored is None else stored.loss,
            slot=live.slot + 1 if running else None,
        )

    # What is asked

    @property
    def state(self) -> State:
        """Running, complete or stopped; "reading" as long as nobody has looked at all that is there."""
        if self.conducted:
            return "running"
        return "complete" if self.is_complete else "stopped" if self.is_settled else "reading"

    def status(self) -> dict[str, Any]:
        """How it stands, as of the last `refresh`."""
        with self.lock:
            standing = self.news.standing if self.conducted else None
            done, expected = self.counts()
            words = self._words(done, expected) if standing is None else restored(standing.words, self.news.said)
            return {
                "kind": self.kind,
                "state": self.state,
                "words": words,
                "done": done if standing is None else standing.done,
                "expected": expected if standing is None else standing.expected,
                "queued": 0 if standing is None else standing.queued,
                "eta_s": None if standing is None else standing.eta_s,
                "notes": [restored(*one) for one in zip(self.news.notes, self.news.forms, strict=True)],
                "running": [self._running(row) for row in self.live.values() if self._is_running(row)],
                "headline": self.headline,
                "title": self.title,
                "score": self.scale_of("score") | {"goal": None if self.measure is None else self.measure.goal},
                "measures": list(self.measured()),
            }

    def _words(self, done: int, expected: int) -> str:
        updates = self.kind in ("training", "run", "tuning")
        if not self.conducted and not self.is_settled:
            return message("reading {done} updates" if updates else "reading {done} runs", done=done)
        if expected:
            of = message(
                "{done} of {expected} updates done" if updates else "{done} of {expected} runs done",
                done=done,
                expected=expected,
            )
        else:
            of = message("{done} updates done" if updates else "{done} runs done", done=done)
        return of if self.is_complete else message("stopped: {of}; the same command goes on from there", of=of)

    def _is_running(self, row: RunRow) -> bool:
        return self.conducted and row.state == "running"

    def _running(self, row: RunRow) -> dict[str, Any]:
        left = None
        if row.steps and row.step > row.start and (since := time.time() - row.began) > 1:
            left = max(0.0, (row.steps - row.step) * since / (row.step - row.start))
        return {
            "run": row.digest,
            "strategy": row.name,
            "seed": row.seed,
            "slot": row.slot + 1,
            "step": row.step,
            "steps": row.steps,
            "base": row.lr,
            "steered": row.digest in self.branches.made,
            "lr": row.rate,
            "loss": row.loss,
            "score": row.score,
            "eta_s": left,
        }

    def cursor(self, seq: int | None = None) -> str:
        """What has been seen by now."""
        at = self.news.seq if seq is None else seq
        return f"{self.epoch}-{self.version}-{self.news.generation or 0}-{at}"

    def changes(self, cursor: str) -> dict[str, Any]:
        """What has changed since a cursor; of a cursor that is none of this place's, that all has."""
        with self.lock:
            self.refresh()
            if cursor == self.cursor():
                return {"cursor": cursor}
            epoch, _, rest = cursor.partition("-")
            parts = rest.split("-")
            if epoch != self.epoch or len(parts) != 3 or not (parts[0].isdecimal() and parts[2].isdecimal()):
                return {"cursor": self.cursor(), "reset": True, "status": self.status()}
            version, seq = int(parts[0]), int(parts[2])
            changed = {digest for _, digest in self._log[bisect.bisect_right(self._log, (version, "~")) :]}
            if len(changed) > MOST_NEWS or (parts[1] != self.news.generation and parts[1] != "0"):
                return {"cursor": self.cursor(), "reset": True, "status": self.status()}
            news = self.picture.since(seq, generation=parts[1])
            if news.generation != self.news.generation:
                news = News(generation=self.news.generation, seq=self.news.seq)  # it is gone: the next look says so
            return {
                "cursor": self.cursor(news.seq),
                "points": {
                    run: {"step": steps, "lr": rates, "loss": losses}
                    for run, (steps, rates, losses) in news.points.items()
                },
                "scores": {
                    run: {"step": steps, "score": scores, "loss": losses}
                    for run, (steps, scores, losses) in news.scores.items()
                },
                "rows": [asdict(self.rows[digest]) for digest in changed if digest in self.rows],
                "status": self.status(),
            }

    def curve(self, run: str, of: str) -> Curve:
        """The curve of a run: "loss", "rate" or "score", against the updates made."""
        with self.lock:
            if of == "score":
                steps, scores, _ = self.stored_looks(run)
                if run in self.live:
                    seen = self.picture.looks(run)
                    more = [(x, y) for x, y in zip(*seen[:2], strict=True) if not steps or x > steps[-1]]
                    steps, scores = [*steps, *(x for x, _ in more)], [*scores, *(_float(y) for _, y in more)]
                return Curve(np.array(steps, np.int64), np.array(scores, np.float64))
            return self._with_live(run, of, *self.trace(run))

    def curves(self, runs: Sequence[str], of: str) -> Iterator[Curve]:
        """Those of many runs."""
        return (self.curve(run, of) for run in runs)

    def _with_live(self, run: str, of: str, losses: np.ndarray, rates: np.ndarray, since: int) -> Curve:
        """What is stored, and the points of the picture after it."""
        stored = losses if of == "loss" else rates
        x, y = np.arange(since + 1, since + 1 + len(stored)), np.asarray(stored, np.float64)
        if run not in self.live or (len(stored) and self.rows[run].state in OVER):
            return Curve(x, y)
        points = self.picture.curve(run)
        new_x, new_y = np.array(points[0], np.int64), np.array(points[2 if of == "loss" else 1], np.float64)
        later = new_x > (x[-1] if len(x) else 0)
        return Curve(np.concatenate([x, new_x[later]]), np.concatenate([y, new_y[later]]))

    def measured(self) -> tuple[str, ...]:
        """What curves there are."""
        return MEASURED

    def scale_of(self, of: str) -> dict[str, Any]:
        """What a curve's values are: their unit, and whether they are shares, which are shown in percent."""
        measure = self.measure if of == "score" else None
        unit, share = ("", False) if measure is None else (measure.unit, measure.share)
        return {"of": of, "unit": unit, "share": share}

    def bands(self, of: str, *, pixels: int) -> list[Band]:
        """A band for each strategy, of the runs that have begun."""
        return self._bands.of(self, of, pixels=pixels)

    def details(self, run: str) -> dict[str, Any]:
        """All of one run that is not a curve."""
        with self.lock:
            row, spec, record = self.rows[run], self.spec(run), self.record(run)
            text, command = self.texts(run)
            steps, scores, losses = self.stored_looks(run)
            return {
                **asdict(row),
                "text": text,
                "spec": None if spec is None else spec.model_dump(mode="json"),
                "command": command,
                "outcome": row.state,
                "events": [] if record is None else [_event(event) for event in record.events],
                "evaluations": [
                    {"step": step, "score": score, "loss": loss}
                    for step, score, loss in zip(steps, scores, losses, strict=True)
                ],
                "host": {} if record is None else record.host,
                "files": files_in(self.run_folder(run)),
                "log": tail_of(self.folder / "logs" / f"{run}.log"),
                **audit(self.folder, run),
            }

    def run_folder(self, run: str) -> Path:
        """Where a run that is known keeps its files."""
        return self.folder / "checkpoints" / run

    def close(self) -> None:
        """Close its files."""
        self.picture.close()


def _event(event: Event) -> dict[str, Any]:
    """As it is stored; a sentence of ours leaves its step away, which stands next to it, where it is translated."""
    known = recognized(event.what)
    return {**asdict(event), "text": known if isinstance(known, Message) else event.text}


def _float(value: float | None) -> float:
    return float("nan") if value is None else value
