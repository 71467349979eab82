"""A run looked at: which updates, at what cost, and what was seen; read without torch.

Looked at are update 1, with which later ones are compared; three updates each up to 5, 10 and 20 % of the run, at which
readings were tested; and others, in equal ratios. Sharpness, the dearest of all, is measured once at each of these ages
and, where runs are long, in between.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from calando.analysis.reading import Reading, read_rate
from calando.errors import CorruptFile, UsageError, fault_of, said_by
from calando.language import message
from calando.records import RunSpec
from calando.records.files import read_plain, write_atomically
from calando.records.probe import ProbeRow

__all__ = ["FILE", "UNPLANNED", "Looked", "Looks", "keep_looks", "kept_looks", "plan_looks"]

FILE = "probes.json"
UNPLANNED = "a reading needs the planned length: calando.watch(…, total_steps=…)"
AGES = (0.05, 0.1, 0.2)
NEIGHBOURS = 3
MORE = 12  # looks besides, for the eye
SHARP, LIGHT = 60, 4  # updates that a look costs with sharpness, and without, at most
SHARE = 0.05  # of the run, for further looks at sharpness


@final
@dataclass(frozen=True)
class Looks:
    """Which updates are looked at.

    Args:
        until: updates that are made.
        at: those looked at; `sharp`, with sharpness.
        cost: updates that the looks cost at most.
    """

    until: int
    at: tuple[int, ...]
    sharp: tuple[int, ...]

    @property
    def cost(self) -> int:
        return len(self.sharp) * SHARP + len(self.at) * LIGHT


def plan_looks(steps: int, *, until: int) -> Looks:
    """Looks at the first `until` updates of a run of `steps`.

    >>> plan_looks(1000, until=200).sharp
    (1, 49, 99, 199)
    """
    ages = [max(NEIGHBOURS, round(age * steps) - 1) for age in AGES]
    tested = {age - back for age in ages for back in range(NEIGHBOURS)}
    spread = {round(step) for step in np.geomspace(1, max(1, until - 1), MORE)}
    at = sorted(step for step in {1, *tested, *spread} if 1 <= step < until)
    sharp = {step for step in (1, *ages) if step in at}
    more = int(SHARE * steps // SHARP)
    rest = [step for step in at if step not in sharp and step not in tested]
    if more and rest:
        sharp |= {rest[round(place)] for place in np.linspace(0, len(rest) - 1, min(more, len(rest)))}
    return Looks(until, tuple(at), tuple(sorted(sharp)))


@final
@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was seen of a run.

    Args:
        spec: the run's; None for rows from a person's own loop.
        twin: a residual network's plain twin, at the same updates as far as it was made.
        rows: of the updates that were looked at.
        losses, rates: of every update that was made; rates may be empty.
        untold: updates whose loss is not known.
        method: the optimizer's name, in small letters; "": the spec's.
        total_steps: updates planned.
        chance: loss of a network that knows nothing of the inputs.
        stopped: why the run ended early.
    """

    rows: tuple[ProbeRow, ...]
    losses: np.ndarray = field(repr=False)
    rates: np.ndarray = field(repr=False)
    total_steps: int | None
    step: int
    chance: float | None = None
    batch: int | None = None
    stopped: str | None = None
    spec: RunSpec | None = None
    twin: tuple[ProbeRow, ...] = ()
    untold: tuple[int, ...] = ()
    method: str = ""

    @property
    def updates(self) -> float:
        """What the looks cost, in updates, those of the twin included."""
        return sum(row.updates for row in (*self.rows, *self.twin)) + (self.twin[-1].step + 1 if self.twin else 0)

    @property
    def count(self) -> str:
        """How many looks, in words."""
        return message("{count} look" if len(self.rows) == 1 else "{count} looks", count=len(self.rows))

    @property
    def cost(self) -> str:
        """What they cost, in words; in a person's own loop they cost time, which is not kept."""
        if self.spec is None:
            return message("{looks} at {step:,} updates", looks=self.count, step=self.step)
        return message(
            "{looks} cost {updates:.0f} updates, on top of {step:,} made",
            looks=self.count,
            updates=self.updates,
            step=self.step,
        )

    def reading(self) -> Reading:
        """Of the last look that readings were tested at."""
        total = self.total_steps
        if total is None:
            rate = self.rows[-1].rate if self.rows else None
            return Reading(verdict="silent", step=self.step, total_steps=self.step, rate=rate, because=(UNPLANNED,))
        last = self.rows[-1].step if self.rows else 0
        untold = set(self.untold)
        known = [place for place in range(len(self.losses)) if place not in untold]
        # A run that was looked at to its end is read where readings were tested; what ended it is known without them.
        broken = self.stopped is not None or (known and not math.isfinite(self.losses[known[-1]]))
        ages = [round(age * total) - 1 for age in AGES]
        asked = last if broken else max((age for age in ages if age <= last), default=last)
        end = self.step if asked == last else asked + 1
        known = [place for place in known if place < end]
        return read_rate(
            [row for row in self.rows if row.step <= asked],
            losses=self.losses[known],
            step=end,
            total_steps=total,
            chance=self.chance,
            batch=self.batch,
            method=self.method if self.spec is None else self.spec.strategy.method,
            stopped=self.stopped if end == self.step else None,
        )

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "calando": "probes",
            "spec": None if self.spec is None else self.spec.model_dump(mode="json"),
            "rows": [row.document() for row in self.rows],
            "twin": [row.document() for row in self.twin],
            "losses": [value if math.isfinite(value) else str(value) for value in map(float, self.losses)],
            "rates": [float(value) for value in self.rates],
            "total_steps": self.total_steps,
            "step": self.step,
            "chance": self.chance,
            "batch": self.batch,
            "stopped": self.stopped,
            "untold": list(self.untold),
            "method": self.method,
        }

    @classmethod
    def read(cls, path: Path) -> Looked:
        """From a file that `document` or `Watch.save` wrote.

        Raises:
            CorruptFile: it is none.
        """
        try:
            found = json.loads(read_plain(path, most=2**28))
            if found["calando"] != "probes":
                raise ValueError("of something else")
            spec, total, batch = found.get("spec"), found["total_steps"], found.get("batch")
            for count in (total, batch):
                if count is not None and (type(count) is not int or count < 1):
                    raise ValueError(f"{count!r} is no number of updates or samples")
            stopped = found.get("stopped")
            if not isinstance(stopped, str | None):
                raise TypeError(f"{stopped!r} is no reason")
            made = cls(
                spec=None if spec is None else RunSpec.model_validate(spec),
                rows=tuple(ProbeRow.read(row) for row in found["rows"]),
                twin=tuple(ProbeRow.read(row) for row in found.get("twin", [])),
                losses=np.array([float(value) for value in found["losses"]], np.float64),
                rates=np.array(found.get("rates", []), np.float64),
                total_steps=total,
                step=int(found["step"]),
                chance=None if found["chance"] is None else float(found["chance"]),
                batch=batch,
                stopped=stopped,
                untold=tuple(map(int, found.get("untold", ()))),
                method=str(found.get("method", "")),
            )
            steps = [row.step for row in made.rows]
            if steps != sorted(set(steps)) or (steps and steps[-1] >= made.step):
                raise ValueError("rows are not in the order of their updates")
            return made
        except OSError as error:
            raise CorruptFile(
                message("{path} cannot be read: {strerror}", path=path, strerror=error.strerror)
            ) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CorruptFile(
                message("{path} holds no probes, or is damaged ({kind})", path=path, kind=fault_of(error))
            ) from error


def kept_looks(folder: Path, spec: RunSpec, looks: Looks) -> Looked | None:
    """What was seen before of the same run, as far; None: nothing.

    Raises:
        CorruptFile: the file there is damaged.
        UsageError: it is of another run, and would be lost.
    """
    if not (folder / FILE).exists():
        return None
    try:
        found = Looked.read(folder / FILE)
    except CorruptFile as error:
        raise CorruptFile(
            message("{error}; remove it to have it made again, or name another folder=", error=said_by(error))
        ) from error
    if found.spec is None or found.spec.digest() != spec.digest():
        whose = (
            message("a training of its own")
            if found.spec is None
            else message("another run, of {text}", text=found.spec.strategy.text)
        )
        raise UsageError(
            message(
                "{folder!r} holds looks at {whose}: name another folder=, or remove {file} there",
                folder=str(folder),
                whose=whose,
                file=FILE,
            )
        )
    enough = found.stopped is not None or found.step >= looks.until
    return found if enough else None


def keep_looks(folder: Path, looked: Looked) -> Path:
    """Write them."""
    path = folder / FILE
    write_atomically(path, json.dumps(looked.document()).encode())
    return path
