"""Looks at a run as a place: what `calando explain` or `Watch.save` wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import final

import numpy as np

from calando.analysis.looked import FILE, Looked
from calando.errors import UsageError, said_by
from calando.language import message
from calando.records.spec import RunSpec
from calando.web.curves import Curve
from calando.web.place import Place
from calando.web.table import Row

__all__ = ["LooksPlace", "probe_curve", "probe_names"]


def probe_names(rows: Iterable[dict[str, object]]) -> tuple[str, ...]:
    """What was measured at looks."""
    names = {name for row in rows for name, value in row.items() if type(value) in (int, float)}
    return tuple(sorted(names - {"step", "rate", "loss", "updates"}))


def probe_curve(rows: Iterable[dict[str, object]], of: str) -> Curve:
    """One of them, a value a look."""
    found = [(row["step"], row[of]) for row in rows if type(row.get(of)) in (int, float)]
    x, y = zip(*found, strict=True) if found else ((), ())
    return Curve(np.array(x, np.int64) + 1, np.array(y, np.float64))


@final
class LooksPlace(Place):
    """Looks that are over."""

    kind = "run"

    def __init__(self, path: str, folder: Path) -> None:
        super().__init__(path, folder)
        self._looked = Looked.read(folder / FILE)
        self._rows = [row.document() for row in self._looked.rows]
        spec = self._looked.spec
        self._run = hashlib.sha256(path.encode()).hexdigest()[:16] if spec is None else spec.digest()

    def take(self) -> Iterable[Row]:
        """The one run."""
        looked, spec = self._looked, self._looked.spec
        if self.rows:
            return ()
        name = looked.method if spec is None else spec.strategy.name or spec.strategy.method
        seed, lr = (0, None) if spec is None else (spec.seed, spec.lr)
        return [
            Row(
                self._run, name, seed, lr, looked.total_steps, looked.step, "diverged" if looked.stopped else "finished"
            )
        ]

    def spec(self, run: str) -> RunSpec | None:
        """None for a training of a person's own."""
        return self._looked.spec

    def trace(self, run: str) -> tuple[np.ndarray, np.ndarray, int]:
        """Losses, and rates where they were kept."""
        return self._looked.losses, self._looked.rates, 0

    def stored_looks(self, run: str) -> tuple[list[int], list[float], list[float]]:
        """The validation part was not looked at."""
        return [], [], []

    def measured(self) -> tuple[str, ...]:
        """With what looks measured, by name."""
        return *super().measured(), *probe_names(self._rows)

    def curve(self, run: str, of: str) -> Curve:
        """Of what was measured: a value a look."""
        return super().curve(run, of) if of in super().measured() else probe_curve(self._rows, of)

    def counts(self) -> tuple[int, int]:
        """Updates."""
        return self._looked.step, self._looked.step

    @property
    def title(self) -> str:
        """The task, or the method."""
        spec = self._looked.spec
        return message("looks at {name}", name=self._looked.method if spec is None else spec.workload.title)

    @property
    def is_complete(self) -> bool:
        """They are over."""
        return True

    @property
    def headline(self) -> str:
        """What they say of the rate."""
        try:
            return self._looked.reading().first_line
        except UsageError as error:
            return said_by(error)

    def texts(self, run: str) -> tuple[str, str]:
        """The strategy, where it is known."""
        spec = self._looked.spec
        return ("", "") if spec is None else (spec.strategy.text, "")
