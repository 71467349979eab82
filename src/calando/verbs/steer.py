"""`calando.steer`: ask something of a run in progress, and hear what came of it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from calando.errors import UsageError
from calando.language import _, message, translated
from calando.stored_words import recognized

if TYPE_CHECKING:
    from calando.records.command_log import Asked
    from calando.records.preview import Preview

__all__ = ["Steering", "steer"]

POLL_SECONDS = 0.1


@final
@dataclass(frozen=True)
class Steering:
    """What was asked of a run, and what came of it.

    Args:
        preview: what it was to do, as seen before it was asked; None: of all runs of the folder.
        asked: the command with its last answer; None: it was only looked at.
        again: the line that makes the branch again from the beginning; "": there is none.
        rests: the line that lets the run go on that was paused or left; "": none rests by this.
    """

    preview: Preview | None
    asked: Asked | None
    again: str = ""
    rests: str = ""

    def __str__(self) -> str:
        """What came of it, in a line."""
        asked = self.asked
        if asked is None:
            return _("not asked")
        match asked.state:
            case "asked":
                return _(
                    "asked; nobody trains there now: it is done when the command that made the folder is run again"
                )
            case "refused":
                return _("refused: {why}", why=recognized(asked.why))
        said: str = message(asked.state)
        if asked.step is not None:
            said = message("{state} at step {step}", state=said, step=asked.step)
        since = None if self.preview is None else self.preview.command.since
        if not asked.branch:
            return translated(said)
        return _(
            "{state}; the branch {branch} goes on"
            if since is None
            else "{state}; the branch {branch} goes on, changed from step {since} on",
            state=said,
            branch=asked.branch,
            since=since,
        )

    def to_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return {
            "preview": None if self.preview is None else self.preview.to_json(),
            "asked": None if self.asked is None else self.asked.to_json(),
            "again": self.again,
            "rests": self.rests,
        }


def steer(
    folder: Path | str,
    command: str,
    *,
    run: str | None = None,
    key: str | None = None,
    who: str | None = None,
    wait: float = 30.0,
    look: bool = False,
) -> Steering:
    """Change, pause, resume or stop a run while it trains. A changed run goes on as a branch.

    The commands:

    - `rate *0.5`: from the next update on, half of the planned rate
    - `rate =0.01`: this rate
    - `schedule TEXT`: this schedule of the base rate over what is left
    - `horizon 600`: this length, also as `20 epochs`
    - `from 100: rate *2`: from update 100 on; if that is past, the run goes back
    - `fork: rate *2`: the original run goes on too
    - `pause`, `resume`, `stop`: of the run; `stop` without `run`, where several are in progress, stops all

    Args:
        folder: folder of a study, or of a `calando train`.
        command: one of these, or several changes joined by "; ".
        run: the run's digest or its first digits, or its strategy's name. None: the only run in progress.
        key: a command with a key that was used before is not carried out again. None: a new key.
        who: who gives the command, for the record. None: this user.
        wait: seconds to wait for the answer of the training process.
        look: only show what the command would do.

    Raises:
        UsageError: there is no such folder, run or command, or the command cannot be carried out.
        CorruptFile: a file in the folder is damaged.
        DiskFull: the disk is full, and the command was not written.

    Example:
        >>> import tempfile, calando
        >>> folder = tempfile.mkdtemp()
        >>> _ = calando.train("digits", "sgd(lr=0.1)", steps=5, threads=1, folder=folder, listen=lambda status: None)
        >>> calando.steer(folder, "from 3: rate *0.5", look=True).preview.branch.strategy.text
        "sgd(lr=0.1) | constant(1) * piecewise(values=[1, 0.5], at=['3 steps'])"
    """
    from calando.records.command import parse_command
    from calando.records.command_log import CommandLog
    from calando.records.live_picture import is_conducted
    from calando.records.preview import known_runs, preview

    folder = Path(folder)
    if (folder / "tune.sqlite").exists():
        raise UsageError(
            message(
                "{folder!r} is a tuning, whose arms are raced by rules; stop it by Ctrl-C, or steer a run",
                folder=str(folder),
            )
        )
    if not (folder / "study.sqlite").is_file() and not (folder / "spec.json").is_file():
        if (folder / "live.sqlite").is_file():
            raise UsageError(
                message(
                    "{folder!r} is of code that runs by itself, which nobody conducts: start it as `calando compare "
                    "train.py STRATEGY --seeds 1`, and steer that study",
                    folder=str(folder),
                )
            )
        raise UsageError(
            message(
                "no study and no run in {folder!r}; name the folder that `calando compare` or `calando train` made",
                folder=str(folder),
            )
        )
    asked, seen = (None if key is None else _asked_before(folder, key, command)), None
    if asked is None:
        stops = parse_command(command).verb == "stop" and run is None
        if not stops or sum(one.state == "running" for one in known_runs(folder).values()) == 1:
            seen = preview(folder, command, run=run or "")
    if look:
        return Steering(seen, asked)
    with CommandLog.open(folder) as log:
        if asked is None:
            asked = log.ask(
                command,
                run="" if seen is None else seen.run,
                key=key or secrets.token_hex(8),
                who=_user() if who is None else who,
                seen=None if seen is None else seen.step,
            )
        number, until = asked.number, time.monotonic() + wait
        while asked.state in ("asked", "accepted") and time.monotonic() < until and is_conducted(folder):
            time.sleep(POLL_SECONDS)
            asked = next(one for one in log.rows() if one.number == number)
        branch = log.branches().get(asked.branch)
        rests = ""
        if seen is not None and asked.state == "done" and log.at_rest().get(seen.run) in ("paused", "left"):
            rests = f"calando steer {folder} resume --run {seen.run}"
    again = "" if branch is None else branch.again(folder)
    return Steering(seen, asked, again, rests)


def _asked_before(folder: Path, key: str, command: str) -> Asked | None:
    """What was asked with this key; refused where it was something else."""
    from calando.records.command import parse_command
    from calando.records.command_log import CommandLog

    if not CommandLog.there(folder):
        return None
    with CommandLog.open(folder, read_only=True) as log:
        found = next((one for one in log.rows() if one.key == key), None)
    if found is not None and found.line != parse_command(command).text:
        raise UsageError(
            message(
                "key {key} stands for {line!r}, which was asked before; give another key=", key=key, line=found.line
            )
        )
    return found


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()[:100]
    except (OSError, KeyError):
        return ""
