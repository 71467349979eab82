"""Import torch in one piece: Ctrl-C during `import torch` aborts Python or leaves torch half imported."""

from __future__ import annotations

import importlib

from calando.collector import nothing_collected
from calando.process_limits import is_want_of_files, memory_allowed

__all__ = ["import_torch"]


def import_torch() -> None:
    """Ctrl-C meanwhile is heard afterwards.

    Raises:
        MemoryError: this process may not have as much as torch takes.
    """
    from calando.study.workers.start import without_interrupts

    with without_interrupts(), nothing_collected():
        try:
            importlib.import_module("torch")
        except Exception as error:  # finding no room it ends in an ImportError, a RuntimeError, a SystemError …
            if memory_allowed() is not None and not is_want_of_files(str(error)):
                raise MemoryError(f"torch cannot be imported: {error}") from error
            raise
