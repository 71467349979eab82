"""Images and labels: where they lie, one reader a format, and the sources that training reads from."""

from __future__ import annotations

__all__: list[str] = []
