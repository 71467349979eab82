"""torch imported in one piece: Ctrl-C in the middle of it ends Python with an abort of C++'s, or leaves half of it."""

from __future__ import annotations

import importlib

__all__ = ["import_torch", "memory_is_limited"]


def import_torch() -> None:
    """Ctrl-C meanwhile is heard afterwards.

    Raises:
        MemoryError: this process may not have as much as torch takes.
    """
    from calando.study.executors.start import without_interrupts

    with without_interrupts():
        try:
            importlib.import_module("torch")
        except Exception as error:  # finding no room it ends in an ImportError, a RuntimeError, a SystemError …
            if memory_is_limited():
                raise MemoryError(f"torch cannot be imported: {error}") from error
            raise


def memory_is_limited() -> bool:
    """Whether a limit is set on what this process may have, as by `ulimit -v`."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
