"""What a coordinator does with commands: it puts a run away, makes the branch, and says what came of it.

    asked      a line in the folder's commands; the coordinator looks for some a few times a second
    put away   the run saves its state between two updates, at step n
    accepted   the parent's state at n lies where the branch starts, and the branch is stored: from here on a kill
               changes nothing, since what is stored is made after it
    done       a worker has taken the branch up; a pause is done as soon as it is accepted
    refused    with why; the run goes on as before

A branch starts from its parent's state where that is the branch's own past, to the bit; else, and where it is lost, it
is trained from the start, to the same bits: its spec alone says what it is.

What lies where is in branch_start.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import final

from calando.errors import CalandoError, CorruptFile, DiskFull, FileLocked, UsageError, reason_of, said_by
from calando.language import message
from calando.records import RunSpec
from calando.records.command import Command, branch_of, parse_command
from calando.records.command_log import Asked, Branch, CommandLog
from calando.records.files import write_atomically
from calando.records.task_spec import OwnTrainingSpec
from calando.study.branch_start import keep_start, kept_step, spec_file, start_of
from calando.study.checkpoint_cache import run_folder
from calando.study.jobs import Train
from calando.study.steered import Steered
from calando.training.checkpoint import furthest_of, step_of

__all__ = ["Steering"]

LOOK_SECONDS = 0.2
DEAF_SECONDS = 20.0
"""Until the file of commands is tried again where it could not be used."""
LEAST_LETTERS = 4
"""Of a digest, that name a run."""


class _Deaf(Exception):
    """The file of commands cannot be used now, and why."""

    def __init__(self, because: CalandoError) -> None:
        super().__init__(str(because))
        self.because = because


@final
class Steering:
    """The commands of a folder while its coordinator lives.

    Args:
        folder: of the study or the run.
        trainer: the coordinator.

    `resting` holds the runs that do not go on, and why; `branches` every branch by digest. A file of commands that is
    damaged or locked while runs are trained is a note: they go on, and it is tried again now and then.

    Raises:
        CorruptFile: the file of commands is damaged from the start: what rests is not known.
        FileLocked: another program holds it.
    """

    def __init__(self, folder: Path, trainer: Steered) -> None:
        self.folder, self._trainer = folder, trainer
        self._log: CommandLog | None = None
        self._looked = 0.0
        self._asked: dict[str, list[Asked]] = {}  # by the run in progress that is to be put away for them
        self._waits: set[int] = set()
        self._wrong = ""  # with the file of commands, as it was reported
        self._failed: set[str] = set()  # branches, in this session
        self.resting: dict[str, str] = {}
        self.branches: dict[str, Branch] = {}
        try:
            self._take_stock()
        except _Deaf as error:
            raise error.because from None

    def begin(self) -> None:
        """Take in what happened before: a stop of all that came too late for an earlier session is not for this one."""
        with self._unharmed():
            for one in self._rows():
                if one.state == "accepted" and not one.branch:
                    # Killed between the two: it rests, or goes on, since it was accepted.
                    self._done(one)
                elif one.state == "asked" and not one.run and one.line.lower() == "stop":
                    self._refuse(one, message("nobody trained when it was asked"))
        self.look(at_once=True)

    def close(self) -> None:
        """Nobody asks this coordinator any more."""
        if self._log is not None:
            self._log.__exit__(None, None, None)
            self._log = None

    @property
    def waiting(self) -> list[Branch]:
        """Branches that are still to be trained."""
        return [
            one
            for digest, one in self.branches.items()
            if digest not in self.resting and digest not in self._failed and not self._trainer.is_made(digest)
        ]

    def next(self, running: Collection[str]) -> Train | None:
        """The next branch to train, from its own checkpoint, or from where it leaves its parent."""
        branch = next((one for one in self.waiting if one.digest not in running), None)
        return None if branch is None else self.job_of(branch.spec)

    def job_of(self, spec: RunSpec) -> Train:
        """What trains a run: a branch starts where it leaves its parent, unless it has a checkpoint of its own."""
        branch = self.branches.get(spec.digest())
        return Train(spec, origin=start_of(branch) if branch is not None and branch.step else None)

    @property
    def pauses(self) -> bool:
        """Whether somebody has paused a run, and may let it go on."""
        return "paused" in self.resting.values()

    def look(self, *, at_once: bool = False) -> bool:
        """Carry out what was asked since the last look; True where all of it is to stop."""
        now = time.monotonic()
        if not at_once and now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        with self._unharmed():
            for asked in [one for one in self._rows() if one.state == "asked" and one.number not in self._waits]:
                with self._refused_unless_it_can_be(asked):
                    if self._take(asked, parse_command(asked.line)):
                        return True
        return False

    def was_put_away(self, spec: RunSpec, *, step: int) -> None:
        """A run that was to be put away has been; `step`: as it reported last."""
        with self._unharmed():
            for asked in self._no_longer_waits(spec.digest()):
                with self._refused_unless_it_can_be(asked, target=spec.digest()):
                    command = parse_command(asked.line)
                    if command.verb == "change":
                        self._branch(asked, command, spec, reported=step)
                    else:
                        kept = self._kept(spec)
                        self._rests_or_goes_on(asked, command, spec.digest(), step=step if kept is None else kept)

    def has_ended(self, digest: str) -> None:
        """A run has ended by itself: what was asked of it comes too late."""
        with self._unharmed():
            for asked in self._no_longer_waits(digest):
                self._refuse(asked, message("the run ended before it could be put away"), target=digest)

    def gave_up(self, digest: str) -> None:
        """A branch cannot be trained: it is tried again in the next session, since its code may be another then."""
        self._failed.add(digest)
        self.has_ended(digest)

    def was_lost(self, digest: str) -> None:
        """Its worker died: it is asked again when the run is back."""
        self._no_longer_waits(digest)

    def began(self, digest: str) -> None:
        """A worker has taken a branch up."""
        branch = self.branches.get(digest)
        if branch is not None:
            with self._unharmed():
                for one in self._rows():
                    if one.number == branch.command and one.state == "accepted":
                        self._done(one)

    # What is asked

    def _take(self, asked: Asked, command: Command) -> bool:
        if not asked.run and command.verb == "stop":
            self._accept(asked, "", step=0)
            self._done(asked)
            return True
        running = self._trainer.in_progress()
        digest = self._which(asked, command, running)
        spec = self._trainer.all_runs()[digest]
        if digest in running:
            if command.verb == "resume" and digest not in self._asked:
                raise UsageError(message("it is in progress"))
            if command.verb == "change":
                branch_of(spec, command, step=running[digest][1])  # refused at once where it cannot be
            if not self._trainer.put_away(digest):
                raise UsageError(message("its executor cannot put one run away; use --executor process, ray or inline"))
            self._asked.setdefault(digest, []).append(asked)
            self._waits.add(asked.number)
            return False
        match command.verb:
            case "resume":
                if digest not in self.resting:
                    raise UsageError(message("it does not rest: it has ended, or waits for a worker"))
            case "pause" | "stop":
                if self._trainer.is_made(digest):
                    raise UsageError(message("it has ended"))
            case "change":
                if self._trainer.is_made(digest) and command.since is None:
                    half, text = spec.steps // 2, command.text
                    raise UsageError(
                        message("it has ended; say from where, as 'from {step}: {text}'", step=half, text=text)
                    )
                self._branch(asked, command, spec, reported=self._kept(spec) or 0)
                return False
        self._rests_or_goes_on(asked, command, digest, step=self._kept(spec) or 0)
        return False

    def _kept(self, run: RunSpec) -> int | None:
        """Updates made before the state that a run has kept; None: it has kept none."""
        kept = run_folder(self.folder, run.digest())
        return kept_step(kept) if isinstance(run.workload, OwnTrainingSpec) else step_of(kept)

    def _rests_or_goes_on(self, asked: Asked, command: Command, digest: str, *, step: int) -> None:
        """A pause, a stop or a resume."""
        if command.verb != "resume" and self.resting.get(digest) == "left":
            raise UsageError(message("it was left for a branch, and rests already; name the branch"))
        self._accept(asked, digest, step=step)
        self._done(asked)

    def _which(self, asked: Asked, command: Command, running: Mapping[str, tuple[RunSpec, int]]) -> str:
        """The digest of the run that is meant.

        Raises:
            UsageError: none, or several.
        """
        known = self._trainer.all_runs()
        if asked.run in known:
            return asked.run
        paused, stopped, left = (
            [one for one, why in self.resting.items() if why == kind] for kind in ("paused", "stopped", "left")
        )
        to_come = [one for one in known if not self._trainer.is_made(one) and one not in self.resting]
        # What was left for a branch is meant last, unless it is to go on.
        order = [list(running), paused, stopped, to_come, left]
        if command.verb == "resume":
            order = [paused, stopped, list(running), left, to_come]
        likely = next((some for some in order if some), [])
        if not asked.run:
            found = likely
        elif len(asked.run) >= LEAST_LETTERS and (found := [one for one in known if one.startswith(asked.run)]):
            pass
        else:
            found = [digest for digest in likely if known[digest].strategy.name == asked.run]
        if len(found) == 1:
            return found[0]
        named = ", ".join(f"{one} ({known[one].strategy.name}, seed {known[one].seed})" for one in found or likely)
        raise UsageError(
            message(
                "several runs are meant by {run!r}; name one of {named}"
                if found
                else "no run is meant by {run!r}; name one of {named}",
                run=asked.run,
                named=named or message("none"),
            )
        )

    def _branch(self, asked: Asked, command: Command, parent: RunSpec, *, reported: int) -> None:
        """Store the branch, its start first; the parent rests unless both are to go on."""
        digest, own = parent.digest(), isinstance(parent.workload, OwnTrainingSpec)
        kept = run_folder(self.folder, digest)
        there = self._kept(parent)
        # Of one's own code what it reported last may be before what it kept at its end, or after.
        step = max(reported, there or 0) if own or there is None else there
        spec = branch_of(parent, command, step=step)
        if unknown := self._trainer.unknown_to_workers(spec):
            raise UsageError(
                message(
                    "its workers do not know {unknown}: they are given the functions of strategies and branches "
                    "when they start; stop the study, ask again, and run the same command again",
                    unknown=", ".join(map(repr, unknown)),
                )
            )
        since = step if command.since is None else command.since
        furthest = 0 if own or there is None else furthest_of(kept)
        if furthest > step and since < furthest:
            raise UsageError(
                message(
                    "a controller has taken the run back from update {furthest} on, so a change before it would "
                    "begin in another pass; ask 'from {furthest}: {text}'",
                    furthest=furthest,
                    text=command.text.rpartition(": ")[2],
                )
            )
        start, known = 0, self._trainer.is_made(spec.digest()) or spec.digest() in self.branches
        if not known:
            start = keep_start(self.folder, kept, parent, spec, since=since, there=there, own=own)
        branch = Branch(spec=spec, parent=digest, step=start, command=asked.number)
        document = {"spec": spec.model_dump(mode="json"), "data": "", "identity": ""}
        write_atomically(spec_file(self.folder, spec.digest()), json.dumps(document, indent=2).encode())
        self._accept(asked, digest, step=step, branch=branch)
        self._trainer.tell(
            message(
                "{name}, seed {seed}: {text!r} at update {since}; the branch {branch} goes on"
                if command.fork
                else "{name}, seed {seed}: {text!r} at update {since}; the branch {branch} goes on, and the run rests",
                name=parent.strategy.name,
                seed=parent.seed,
                text=command.text,
                since=since,
                branch=spec.digest(),
            )
        )
        if known:
            # Nothing is made for it that was not made, or is under way, already.
            self._done(asked)

    # What is stored

    @contextmanager
    def _using(self) -> Iterator[CommandLog]:
        """The file of commands; `_Deaf` where it cannot be used."""
        try:
            if self._log is None:
                self._log = CommandLog.open(self.folder)
            yield self._log
        except (CorruptFile, DiskFull, FileLocked) as error:
            self.close()  # another file may be put in its place
            raise _Deaf(error) from error
        if self._wrong:
            self._wrong = ""
            self._trainer.tell(message("commands are heard again"))

    @contextmanager
    def _unharmed(self) -> Iterator[None]:
        """What is wrong with the file of commands is a note, since no night may be lost for it."""
        try:
            yield
        except _Deaf as error:
            self._looked = time.monotonic() + DEAF_SECONDS
            if not self._wrong:
                self._trainer.tell(
                    message("no command is heard now: {error}; training goes on", error=said_by(error.because))
                )
            self._wrong = said_by(error)

    @contextmanager
    def _refused_unless_it_can_be(self, asked: Asked, *, target: str = "") -> Iterator[None]:
        try:
            yield
        except CorruptFile as error:
            self._refuse(asked, message("its state could not be read: {error}", error=said_by(error)), target=target)
        except (UsageError, DiskFull) as error:
            self._refuse(asked, said_by(error), target=target)
        except OSError as error:
            self._refuse(
                asked, message("its branch could not be stored ({reason})", reason=reason_of(error)), target=target
            )

    def _no_longer_waits(self, digest: str) -> list[Asked]:
        """What was asked of a run in progress."""
        those = self._asked.pop(digest, [])
        self._waits -= {one.number for one in those}
        return those

    def _rows(self) -> list[Asked]:
        if self._log is None and not CommandLog.there(self.folder):
            return []
        with self._using() as log:
            return log.rows()

    def _take_stock(self) -> None:
        if self._log is not None or CommandLog.there(self.folder):
            with self._using() as log:
                self.branches, self.resting = log.branches(), dict(log.at_rest())

    def _accept(self, asked: Asked, target: str, *, step: int, branch: Branch | None = None) -> None:
        with self._using() as log:
            log.accept(asked, target=target, step=step, branch=branch)
        self._take_stock()
        self._trainer.changed()

    def _done(self, asked: Asked) -> None:
        with self._using() as log:
            log.done(asked)

    def _refuse(self, asked: Asked, why: str, *, target: str = "") -> None:
        with self._using() as log:
            log.refuse(asked, why, target=target)
        self._trainer.tell(message("refused {line!r}: {why}", line=asked.line, why=why))
