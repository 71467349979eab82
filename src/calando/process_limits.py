"""What this process may have of memory and of open files (`ulimit -v`, `-d`, `-n`), and which errors speak of a want.

Whoever runs into such a limit hears it from libraries in many words, few of which name it.
"""

from __future__ import annotations

import errno

__all__ = [
    "files_allowed",
    "for_more_files",
    "for_more_memory",
    "is_want_of_files",
    "is_want_of_memory",
    "memory_allowed",
]

NO_ROOM = (
    "MemoryError",
    "bad_alloc",
    "allocate memory",
    "Memory allocation",
    "map segment",
    "start new thread",
    "thread creation failed",
    "pthread_create failed",
    "without exception set",
    "without setting an exception",
)
NO_FILES = ("Too many open files", f"[Errno {errno.EMFILE}]", f"[Errno {errno.ENFILE}]")


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
        return f"out of memory ({reason}); allow this process more, then run the same command again"
    return (
        f"out of memory ({reason}); each process may have {allowed / 1e6:,.0f} MB here (`ulimit -v`): allow more "
        "(`ulimit -v unlimited`, a larger container or job), then run the same command again"
    )


def for_more_files(reason: str) -> str:
    """The line for a command that could open no more files: what happened, and what to do."""
    return (
        f"too many open files ({reason}); each process may have {files_allowed()} open here (`ulimit -n`): allow more "
        "(`ulimit -n 256`), then run the same command again"
    )


def _least(*names: str) -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    softs = [resource.getrlimit(getattr(resource, name))[0] for name in names]
    return min((soft for soft in softs if soft != resource.RLIM_INFINITY), default=None)
