"""Runs written to trackers while they are made: in a thread of its own, which training never waits for.

    coordinator  ->  messages, bounded  ->  thread: some seconds' numbers at a time  ->  tracker

A tracker that fails ends its thread, which is reported once; where one is too slow, numbers are left out, which is
reported at the end. `calando export --to TRACKER` writes everything of the runs that are over.
"""

from __future__ import annotations

import hashlib
import math
import queue
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from calando.errors import CalandoError, UsageError, quote, reason_of
from calando.language import message
from calando.loops.trackers import Point, Tracked, TrackedRun, Tracker, TrackerEntry, find_tracker
from calando.records.follower import Follower, Progress
from calando.records.kept_runs import KeptRun, kind_of
from calando.records.record import Evaluation, RunRecord, TestScore
from calando.records.spec import RunSpec

__all__ = ["LogTo", "Tracking", "backfill", "followers_to", "made_before", "read_log", "tracked_folder"]

MOST_WAITING = 20_000
"""Messages; a run reports ten times a second."""
BATCH_SECONDS = 5.0
"""Numbers are written together: a commit of SQLite costs as much as a hundred of its rows."""
LONGEST_SECONDS = 60.0
"""What a tracker is given at the end to write what waits."""


@final
@dataclass(frozen=True)
class LogTo:
    """A tracker to write to, and where: "NAME" or "NAME:PLACE"."""

    entry: TrackerEntry
    place: str = ""


def read_log(log: str | Sequence[str] | None) -> tuple[LogTo, ...]:
    """The trackers named in a text, joined by commas, or in a sequence of texts; None: none.

    Raises:
        UsageError: no such tracker, one named twice, or its package is not installed.

    >>> read_log(None)
    ()
    """
    given = [part for part in log.split(",") if part] if isinstance(log, str) else list(log or ())
    found: list[LogTo] = []
    for text in given:
        if not isinstance(text, str):
            raise UsageError(
                message('log= is the names of trackers, such as ["tensorboard"], got {text}', text=quote(text))
            )
        name, _, place = text.strip().partition(":")
        entry = find_tracker(name)
        if any(one.entry is entry for one in found):
            raise UsageError(message("{name} is named twice in log=; name it once", name=name))
        entry.check()
        found.append(LogTo(entry, place))
    return tuple(found)


def tracked_folder(folder: Path, title: str, **facts: str) -> Tracked:
    """What the runs of a folder belong to."""
    place = str(folder.resolve())
    key = hashlib.sha256(place.encode(errors="surrogateescape")).hexdigest()[:16]
    return Tracked(title, folder.resolve().name, key, {"folder": place, **{k: v for k, v in facts.items() if v}})


def followers_to(trackers: Sequence[LogTo], folder: Path, title: str, *, command: str = "") -> tuple[Tracking, ...]:
    """What writes the runs of a folder to trackers while they are made."""
    tracked = tracked_folder(folder, title, command=command)
    return tuple(Tracking(log, tracked, folder) for log in trackers)


def made_before(trackers: Sequence[LogTo], folder: Path) -> str:
    """What to say of a folder whose runs were made in part before they are written to trackers; "": nothing."""
    if not trackers or kind_of(folder) not in ("study", "tuning"):
        return ""
    first, *others = [log.entry.name for log in trackers]
    likewise = message(" (likewise {names})", names=", ".join(others)) if others else ""
    return message(
        "runs made before are not written again; `calando export {folder} --to {first}` writes all{likewise}",
        folder=folder,
        first=first,
        likewise=likewise,
    )


class _TooSlow(CalandoError):
    """Something was left out."""


_CLOSE: Final = object()


@final
@dataclass
class _Known:
    """What the thread knows of a run in progress."""

    run: TrackedRun
    waiting: list[Point] = field(default_factory=list)
    begun: bool = False
    last: int = -1  # the last update whose rate and loss were taken in
    looked: int = -1  # the step of the last evaluation that was
    since: int | None = None  # the first update that was reported here: the run may have been begun by another process


class Tracking(Follower):
    """A follower that writes to a tracker.

    Args:
        log: which one, and where.
        tracked: what the runs belong to.
        folder: that a place within is meant of.
    """

    def __init__(self, log: LogTo, tracked: Tracked, folder: Path) -> None:
        self.entry, self.name = log.entry, log.entry.name
        self.place = log.entry.where(folder, log.place)
        self.again = message(
            "`calando export {folder} --to {name}` writes all runs that are over", folder=folder, name=self.name
        )
        self._tracked = tracked
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._left_out, self._failure = 0, ""
        self._latest: tuple[RunSpec, str] | None = None
        self._thread: threading.Thread | None = None

    def began(self, run: RunSpec, slot: int) -> None:
        """The tracker is opened: that imports its package, which takes a second or two."""
        self._send(self._of, run)

    def progressed(self, run: RunSpec, progress: Progress) -> None:
        """Numbers, unless too many wait."""
        if self._messages.qsize() >= MOST_WAITING:
            self._left_out += 1
            return
        self._send(self._points, run, progress)

    def ended(self, record: RunRecord) -> None:
        """The numbers since the last report; without them where too many wait."""
        if self._messages.qsize() >= MOST_WAITING:
            self._left_out += len(record.losses)
            record = _shortened(record)
        self._send(self._end, record)

    def answered(self, record: RunRecord) -> None:
        """The same of a tuning's arm that is its answer."""
        self.ended(record)

    def tested(self, run: RunSpec, score: TestScore) -> None:
        """A number that comes late."""
        self._send(self._late, run, score)

    def close(self) -> None:
        """Wait for what is on its way, but not for ever.

        Raises:
            CalandoError: the tracker failed, is too slow, or numbers were left out.
        """
        if self._thread is None:
            return
        self._messages.put(_CLOSE)
        self._thread.join(LONGEST_SECONDS)
        if self._failure:
            raise CalandoError(message("{failure}; {again}", failure=self._failure, again=self.again))
        if self._thread.is_alive():
            raise _TooSlow(
                message(
                    "it did not write everything within {longest_seconds:g} s; {again}",
                    longest_seconds=LONGEST_SECONDS,
                    again=self.again,
                )
            )
        if self._left_out:
            raise _TooSlow(
                message(
                    "it was too slow: {left_out:,} reports were left out; {again}",
                    left_out=self._left_out,
                    again=self.again,
                )
            )

    def _send(self, *sent: Any) -> None:
        if self._failure:
            raise CalandoError(message("{failure}; {again}", failure=self._failure, again=self.again))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"calando {self.name}", daemon=True)
            self._thread.start()
        self._messages.put(sent)

    # In the thread

    def _work(self) -> None:
        try:
            self._tracker: Tracker = self.entry.make(self.place, self._tracked)
            self._known: dict[str, _Known] = {}
            due = time.monotonic() + BATCH_SECONDS
            while True:
                try:
                    taken = self._messages.get(timeout=max(0.0, due - time.monotonic()))
                except queue.Empty:
                    taken = None
                if taken is _CLOSE:
                    break
                if taken is not None:
                    handle, *arguments = taken
                    handle(*arguments)
                if time.monotonic() >= due:
                    self._write()
                    due = time.monotonic() + BATCH_SECONDS
            self._write()
            # Only now: an arm of a tuning is put away many times, and goes on.
            for known in self._known.values():
                if known.begun:
                    self._tracker.leave(known.run)
            self._tracker.close()
        except (
            BaseException
        ) as error:  # another package's code, which may end the process; a full disk, a server that is away
            self._failure = reason_of(error)

    def _points(self, run: RunSpec, progress: Progress) -> None:
        known = self._of(run)
        if known.since is None:
            known.since = max(0, progress.step - 1)
        self._looked(known, progress.evaluations)
        if progress.step - 1 > known.last:
            known.last = progress.step - 1
            known.waiting += _finite([(known.last, {"rate": progress.lr, "train/loss": progress.loss})])

    def _end(self, record: RunRecord) -> None:
        known = self._of(record.spec)
        known.waiting += _trace(record.rates, record.losses, since=known.last + 1)
        self._looked(known, record.evaluations)
        self._flush(known)
        if not known.begun:  # it has no numbers at all
            self._tracker.begin(known.run, since=0)
        self._tracker.end(known.run, record.outcome)
        del self._known[known.run.key]

    def _late(self, run: RunSpec, score: TestScore) -> None:
        self._tracker.late(TrackedRun.of(run), _tested(run, score))

    def _of(self, run: RunSpec) -> _Known:
        # Of most reports it is the object of the last one, whose digest takes longer than all the rest.
        if self._latest is not None and self._latest[0] is run and self._latest[1] in self._known:
            return self._known[self._latest[1]]
        key = run.digest()
        self._latest = run, key
        if key not in self._known:
            self._known[key] = _Known(TrackedRun.of(run))
        return self._known[key]

    @staticmethod
    def _looked(known: _Known, looks: Iterable[Evaluation]) -> None:
        new = [look for look in looks if look.step > known.looked]
        known.looked = max((look.step for look in new), default=known.looked)
        known.waiting += _looks(new)

    def _write(self) -> None:
        for known in self._known.values():
            self._flush(known)

    def _flush(self, known: _Known) -> None:
        if not known.waiting:
            return
        points, known.waiting = known.waiting, []
        if not known.begun:
            self._tracker.begin(known.run, since=known.since or 0)
            known.begun = True
        self._tracker.points(known.run, points)


def backfill(runs: Iterable[KeptRun], entry: TrackerEntry, place: str, tracked: Tracked) -> int:
    """Write runs that are over to a tracker, each in the place of what is there of it; how many there were."""
    tracker, count = entry.make(place, tracked), 0
    for kept in runs:
        run = TrackedRun.of(kept.spec)
        tracker.begin(run, since=None)
        points = [*_trace(kept.rates, kept.losses, since=0), *_looks(kept.evaluations)]
        tracker.points(run, [*points, *(() if kept.test is None else _tested(kept.spec, kept.test))])
        tracker.end(run, kept.outcome)
        count += 1
    tracker.close()
    return count


def _looks(looks: Iterable[Evaluation]) -> list[Point]:
    return _finite([(look.step, {"validation/score": look.score, "validation/loss": look.loss}) for look in looks])


def _trace(rates: Any, losses: Any, *, since: int) -> list[Point]:
    pairs = zip(rates[since:].tolist(), losses[since:].tolist(), strict=False)
    return _finite([(step, {"rate": rate, "train/loss": loss}) for step, (rate, loss) in enumerate(pairs, since)])


def _tested(run: RunSpec, score: TestScore) -> list[Point]:
    return _finite([(run.steps, {"test/score": score.score, "test/loss": score.loss})])


def _finite(points: Sequence[Point]) -> list[Point]:
    """Without what is no number, which some trackers refuse and others draw as the largest there is."""
    found: list[Point] = []
    for step, numbers in points:
        kept: Mapping[str, float] = {name: value for name, value in numbers.items() if math.isfinite(value)}
        if kept:
            found.append((step, kept))
    return found


def _shortened(record: RunRecord) -> RunRecord:
    from dataclasses import replace

    return replace(record, losses=record.losses[:0], rates=record.rates[:0])
