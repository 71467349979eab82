"""What commands need from whoever trains: which runs there are, and that one is put away, or goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from calando.records import RunSpec

__all__ = ["Steered"]


class Steered(Protocol):
    """The coordinator, as steering sees it."""

    def in_progress(self) -> Mapping[str, tuple[RunSpec, int]]:
        """The runs that workers have now, by digest, each with the updates it has made as far as is known."""
        ...

    def all_runs(self) -> Mapping[str, RunSpec]:
        """Every run that can be named: those asked for, made, and branches."""
        ...

    def is_made(self, digest: str) -> bool:
        """Whether the run has ended."""
        ...

    def put_away(self, digest: str) -> bool:
        """Have a run in progress save its state and end; False where its executor cannot."""
        ...

    def unknown_to_workers(self, spec: RunSpec) -> list[str]:
        """Names of functions and parts of the user's own in a strategy, which the workers were not given."""
        ...

    def changed(self) -> None:
        """A run rests now or goes on, or there is a branch."""
        ...

    def tell(self, note: str) -> None:
        """Tell the user."""
        ...
