"""Who follows runs while they are made: the picture of what goes on, and trackers.

    began(run, slot)              a worker has taken it up, from its start or from where it stood
    progressed(run, progress)     some ten times a second
    left(run)                     it was put away, by a stop, a pause or a worker's death; it may begin again
    ended(record)                 it is over, and its record is stored
    answered(record)              it is the answer of a tuning, whose arms do not end: they are put away
    tested(run, score)            its one look at the test part
    noted(sentence)               a note for the user
    stands(standing)              how the whole stands, in the terminal's words
    close()                       nothing comes after it

The coordinator calls them, in its own process and between its other work: none of them may wait for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from calando.errors import CalandoError, reason_of, said_by
from calando.language import message
from calando.records.record import Evaluation, RunRecord, TestScore
from calando.records.spec import RunSpec
from calando.standing import Standing

__all__ = ["Follower", "Followers", "Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, and what happened since its last report.

    Args:
        step: updates made.
        lr, loss: of the last update; NaN where there is none yet, or none is known.
        evaluations: looks at the validation part since the last report.
    """

    step: int
    lr: float
    loss: float
    evaluations: tuple[Evaluation, ...] = ()


class Follower:
    """Hears everything and does nothing; override what is of use.

    Args:
        name: what a note calls it where it fails.
    """

    name: str = ""

    def began(self, run: RunSpec, slot: int) -> None:
        """A worker has taken a run up."""

    def progressed(self, run: RunSpec, progress: Progress) -> None:
        """A run in progress has reported."""

    def left(self, run: RunSpec) -> None:
        """A run was put away unfinished."""

    def ended(self, record: RunRecord) -> None:
        """A run is over."""

    def answered(self, record: RunRecord) -> None:
        """An arm of a tuning is its answer; the record has all its pieces."""

    def tested(self, run: RunSpec, score: TestScore) -> None:
        """A run's weights were tested."""

    def noted(self, sentence: str) -> None:
        """A note for the user."""

    def stands(self, standing: Standing) -> None:
        """How the whole stands."""

    def close(self) -> None:
        """The end."""


@final
class Followers(Follower):
    """All who follow. One that raises an error is dropped, which is reported once; training never suffers from it.

    >>> class Broken(Follower):
    ...     name = "broken"
    ...     def stands(self, standing):
    ...         raise OSError("no space left")
    >>> notes = []
    >>> all_of_them = Followers([Broken()], tell=notes.append)
    >>> all_of_them.stands(Standing("3 of 8 runs")); all_of_them.stands(Standing("4 of 8 runs")); notes
    ['broken follows no longer (OSError: no space left); training goes on']
    """

    def __init__(self, followers: Sequence[Follower] = (), *, tell: Callable[[str], None] = print) -> None:
        self._followers, self._tell = list(followers), tell

    def began(self, run: RunSpec, slot: int) -> None:
        """Passed on."""
        self._each(lambda one: one.began(run, slot))

    def progressed(self, run: RunSpec, progress: Progress) -> None:
        """Passed on."""
        self._each(lambda one: one.progressed(run, progress))

    def left(self, run: RunSpec) -> None:
        """Passed on."""
        self._each(lambda one: one.left(run))

    def ended(self, record: RunRecord) -> None:
        """Passed on."""
        self._each(lambda one: one.ended(record))

    def answered(self, record: RunRecord) -> None:
        """Passed on."""
        self._each(lambda one: one.answered(record))

    def tested(self, run: RunSpec, score: TestScore) -> None:
        """Passed on."""
        self._each(lambda one: one.tested(run, score))

    def noted(self, sentence: str) -> None:
        """Passed on."""
        self._each(lambda one: one.noted(sentence))

    def stands(self, standing: Standing) -> None:
        """Passed on."""
        self._each(lambda one: one.stands(standing))

    def close(self) -> None:
        """Passed on, and nothing after it."""
        self._each(lambda one: one.close())
        self._followers.clear()

    def _each(self, call: Callable[[Follower], None]) -> None:
        for one in list(self._followers):
            try:
                call(one)
            except Exception as error:  # a follower is others' code, or a full disk
                self._followers.remove(one)
                why = said_by(error) if isinstance(error, CalandoError) else reason_of(error)
                self._tell(message("{name} follows no longer ({why}); training goes on", name=one.name, why=why))
