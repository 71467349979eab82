"""Runs in progress as a picture: the follower that writes `live.sqlite` for the page."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import final

from calando.errors import reason_of
from calando.language import message, translated
from calando.records.follower import Follower, Followers, Progress
from calando.records.live_file import FILE, LiveFile, RunRow
from calando.records.record import RunRecord, TestScore
from calando.records.spec import RunSpec
from calando.standing import Standing

__all__ = ["Live", "following", "live_in"]


@final
class Live(Follower):
    """Writes what it hears into `live.sqlite`; a run that ends leaves it, since its store has the whole of it.

    Args:
        folder: of the study, the tuning or the run; there must be one.
        whole: keep a run that ends: there is no store.

    Raises:
        sqlite3.Error, OSError: the file cannot be written.
    """

    name = FILE

    def __init__(self, folder: Path, *, whole: bool = False) -> None:
        self._file, self._whole = LiveFile(folder), whole
        self._digests: dict[int, tuple[RunSpec, str]] = {}  # worked out once a run, not with every report

    def began(self, run: RunSpec, slot: int) -> None:
        """A row for it."""
        digest = self._digest(run)
        strategy = run.strategy
        self._file.began(
            RunRow(digest, run.model_dump_json(), strategy.name, strategy.text, run.seed, run.lr, run.steps, slot=slot)
        )

    def progressed(self, run: RunSpec, progress: Progress) -> None:
        """A point, and the scores since the last one."""
        digest = self._digest(run)
        self._file.point(digest, progress.step, progress.lr, progress.loss)
        for look in progress.evaluations:
            self._file.score(digest, look.step, look.score, look.loss)

    def left(self, run: RunSpec) -> None:
        """It is not in progress."""
        self._file.put_away(self._digest(run))

    def ended(self, record: RunRecord) -> None:
        """It is over."""
        self._digests.pop(id(record.spec), None)
        if self._whole:
            self._file.keep(record)
        else:
            self._file.drop(record.spec.digest())

    def tested(self, run: RunSpec, score: TestScore) -> None:
        """Kept where there is no store."""
        if self._whole:
            self._file.keep_test(run.digest(), score)

    def noted(self, sentence: str) -> None:
        """A note."""
        self._file.note(sentence)

    def stands(self, standing: Standing) -> None:
        """In place of the last one."""
        self._file.stands(standing)

    def close(self) -> None:
        """Nothing is in progress any more."""
        self._file.close()

    def _digest(self, run: RunSpec) -> str:
        known = self._digests.get(id(run))
        if known is None or known[0] is not run:
            if len(self._digests) > 1000:
                self._digests.clear()
            known = self._digests[id(run)] = run, run.digest()
        return known[1]


def live_in(folder: Path, *, whole: bool = False) -> tuple[tuple[Follower, ...], tuple[str, ...]]:
    """The follower for a folder, and what to report: a training needs no picture, so one that cannot be is a note."""
    try:
        return (Live(folder, whole=whole),), ()
    except (sqlite3.Error, OSError) as error:
        return (), (
            message(
                "{path} cannot be written ({reason}); `calando serve` shows finished runs alone",
                path=folder / FILE,
                reason=reason_of(error),
            ),
        )


@contextmanager
def following(folder: Path, others: Sequence[Follower] = ()) -> Iterator[Followers]:
    """The followers of a run that no store keeps, to its end; what cannot be written is a line on standard error."""

    def tell(sentence: str) -> None:
        print(f"calando: {translated(sentence)}", file=sys.stderr)

    live, lacking = live_in(folder, whole=True)
    for note in lacking:
        tell(note)
    followers = Followers((*live, *others), tell=tell)
    try:
        yield followers
    finally:
        followers.close()
