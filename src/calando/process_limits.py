"""What ends a process without its own doing: limits on memory and open files (`ulimit -v`, `-d`, `-n`), and signals.

Libraries report such a limit in many words, few of which name it.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence

from calando.language import message

__all__ = [
    "FROM_OTHERS",
    "files_allowed",
    "for_more_files",
    "for_more_memory",
    "is_want_of_files",
    "is_want_of_memory",
    "look_before_blas",
    "memory_allowed",
    "signals",
]

NO_ROOM = (
    "MemoryError",
    "bad_alloc",
    "allocate memory",
    "Memory allocation",
    "map segment",
    "start new thread",
    "hread creation failed",
    "pthread_create failed",
    "without exception set",
    "without setting an exception",
)
BLAS_BYTES, BLAS_BYTES_A_CORE = 32 * 2**20, 40 * 2**20
"""OpenBLAS's library, and a buffer and a stack for each of its threads."""
BLAS_IS_THERE = ("scipy.special._ufuncs", "scipy.linalg._fblas")
NO_FILES = ("Too many open files", f"[Errno {errno.EMFILE}]", f"[Errno {errno.ENFILE}]")


def signals(*names: str) -> frozenset[signal.Signals]:
    """Those of these signals that this system has; Windows lacks most."""
    return frozenset(one for one in signal.Signals if one.name in names)


FROM_OTHERS = signals("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGKILL")
"""Signals by which somebody else ends a process."""


def memory_allowed() -> int | None:
    """Bytes of memory that a limit leaves this process; None: no limit is set."""
    return _least("RLIMIT_AS", "RLIMIT_DATA")


def files_allowed() -> int | None:
    """How many files, pipes and sockets this process may have open; None: no limit is set."""
    return _least("RLIMIT_NOFILE")


def is_want_of_memory(text: str) -> bool:
    """Whether an error's text says that there was no memory.

    >>> is_want_of_memory("libtorch.so: failed to map segment from shared object"), is_want_of_memory("no such file")
    (True, False)
    """
    return any(sign in text for sign in NO_ROOM)


def is_want_of_files(text: str) -> bool:
    """Whether an error's text says that no more files could be opened."""
    return any(sign in text for sign in NO_FILES)


def for_more_memory(reason: str) -> str:
    """The line for a command that found no memory: what happened, and what to do."""
    allowed = memory_allowed()
    if allowed is None:
        return message(
            "out of memory ({reason}); allow this process more, then run the same command again", reason=reason
        )
    return message(
        "out of memory ({reason}); each process may have {allowed:,.0f} MB here (`ulimit -v`): allow more "
        "(`ulimit -v unlimited`, a larger container or job), then run the same command again",
        reason=reason,
        allowed=allowed / 1e6,
    )


def for_more_files(reason: str) -> str:
    """The line for a command that could open no more files: what happened, and what to do."""
    return message(
        "too many open files ({reason}); each process may have {allowed} open here (`ulimit -n`): allow more "
        "(`ulimit -n 256`), then run the same command again",
        reason=reason,
        allowed=files_allowed(),
    )


def look_before_blas() -> None:
    """Where memory is limited: have an import of SciPy end in a MemoryError where its OpenBLAS would find no room.

    It asks the system for its buffers again and again, for ever, and no signal of Python's gets through.
    """
    if memory_allowed() is not None and not any(isinstance(finder, _RoomFirst) for finder in sys.meta_path):
        sys.meta_path.insert(0, _RoomFirst())


class _RoomFirst:
    """Finds no module; sees whether there is room for one of SciPy's."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> None:
        if name.partition(".")[0] != "scipy" or not sys.modules.keys().isdisjoint(BLAS_IS_THERE):
            return
        import mmap

        needed = BLAS_BYTES + BLAS_BYTES_A_CORE * (os.cpu_count() or 1)
        try:
            mmap.mmap(-1, needed).close()
        except OSError:
            raise MemoryError(f"SciPy takes up to {needed / 1e6:,.0f} MB more") from None


def _least(*names: str) -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    softs = [resource.getrlimit(getattr(resource, name))[0] for name in names]
    return min((soft for soft in softs if soft != resource.RLIM_INFINITY), default=None)
