"""`calando`: how a command ends, and how errors reach the user: one line, exit status 2 (theirs) or 1 (the world's).

Little is imported here: where memory is limited, the verbs are imported by the process that may die of it (`guard`).
"""

from __future__ import annotations

import atexit
import errno
import gc
import os
import signal
import sys

from calando.cli.ending import Ending
from calando.collector import nothing_collected
from calando.errors import CalandoError, CodeFailed, UsageError, plain, said_by
from calando.language import _, translated
from calando.process_limits import (
    for_more_files,
    for_more_memory,
    is_want_of_files,
    is_want_of_memory,
    memory_allowed,
)

__all__ = ["main"]

NEAR = 0.5
"""Of the memory allowed: an error of any kind is taken for a want of it where the process has had that much."""
STOPPED = 130
"""The status of a command that Ctrl-C has stopped, as shells report it."""


def main() -> None:
    """Entry point of the `calando` command."""
    if memory_allowed() is not None and sys.platform == "linux":
        from calando.cli.guard import guarded

        guarded(_command)
    ending = _command()
    ending.say()
    if ending.at_once:
        os._exit(ending.status)
    sys.exit(ending.status)


def _command() -> Ending:
    """Do what the command line asks for.

    Raises:
        SystemExit: it is done, or typer has refused it.
    """
    # Else the end of a process with torch in it takes most of a second, in which Python looks for garbage.
    atexit.register(gc.freeze)
    atexit.register(_by_status)
    try:
        with nothing_collected():
            from calando.cli.app import run
        run()
    except KeyboardInterrupt:  # before typer, which answers it later, was there
        return Ending(STOPPED)
    except CalandoError as error:
        line = plain(str(error))  # English, by which it is known
        if is_want_of_files(line) and "ulimit" not in line:
            return Ending(1, for_more_files(line))
        if isinstance(error, CodeFailed):
            return Ending(2, "\n    ".join((plain(translated(error.args[0])), *error.printed)))
        return Ending(2 if isinstance(error, UsageError) else 1, plain(said_by(error)))
    except MemoryError as error:
        return _no_memory(error)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            return _no_memory(error)
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return _no_files(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Ending(1, _("no space left on the disk; free some and run the same command again"))
        path = error.filename2 or error.filename
        if path is None:
            raise
        return Ending(
            2,
            plain(
                _("{path}: {reason}; name another path, or change its permissions", path=path, reason=error.strerror)
            ),
        )
    except Exception as error:
        if _came_of_ctrl_c(error):
            return Ending(STOPPED)
        # Libraries in C++ that find no room end in errors of many kinds.
        if is_want_of_files(str(error)):
            return _no_files(error)
        allowed = memory_allowed()
        if allowed is None or not (is_want_of_memory(str(error)) or _most_had() > NEAR * allowed):
            raise
        return _no_memory(error)
    finally:
        # Registered last, and so the first to be called.
        atexit.register(_answered)
    raise AssertionError("typer ends with SystemExit")


def _came_of_ctrl_c(error: BaseException | None) -> bool:
    """Whether it stands for Ctrl-C: raised while that was handled, or a library in C answered with an error of its own.

    >>> _came_of_ctrl_c(ValueError("Error building `default` serializer: KeyboardInterrupt: "))
    True
    >>> _came_of_ctrl_c(ValueError("the log has 'KeyboardInterrupt: pressed'"))
    False
    """
    seen: list[BaseException] = []  # a person's code may make a circle of them
    while error is not None and all(error is not one for one in seen):
        if isinstance(error, KeyboardInterrupt) or str(error).rstrip().endswith(f"{KeyboardInterrupt.__name__}:"):
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False


def _no_memory(error: BaseException) -> Ending:
    # What is tidied up at a usual end needs memory too, and says so at length.
    return Ending(1, for_more_memory(_reason(error)), at_once=True)


def _no_files(error: BaseException) -> Ending:
    return Ending(1, for_more_files(_reason(error)), at_once=True)


def _reason(error: BaseException) -> str:
    return plain(str(error))[:200] or type(error).__name__


def _most_had() -> int:
    """The most bytes of addresses that this process has had at a time; 0: unknown."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123 (pathlib: memory)
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmPeak:")), 0)
    except OSError:
        return 0


def _by_status() -> None:
    """Ctrl-C that was answered ends the process with a status.

    Where it came within `exec` of a text, as dataclasses are made by, Python takes note of it, whoever catches it, and
    kills `python -m calando` by SIGINT at its end, whatever the status. Each `exec` takes a new note.
    """
    exec("")
    # Pressed once more, now that all is done, it would kill the process by SIGINT while Python goes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _answered() -> None:
    """What people's own code prints at its end does not follow the answer."""
    if sys.stdout is None:  # who called has closed it
        return
    sys.stdout.flush()
    os.dup2(2, 1)
    sys.stdout = sys.stderr
