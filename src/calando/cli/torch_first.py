"""torch imported in one piece: Ctrl-C in the middle of it ends Python with an abort of C++'s, or leaves half of it."""

from __future__ import annotations

import importlib

__all__ = ["import_torch"]


def import_torch() -> None:
    """Ctrl-C meanwhile is heard afterwards."""
    from calando.engine.executors.start import without_interrupts

    with without_interrupts():
        importlib.import_module("torch")
