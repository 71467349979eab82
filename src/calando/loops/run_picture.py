"""A training that no study asked for, as a picture in its folder: what `calando serve` shows of a person's own code.

    run = calando.run(…, folder=…)        its updates and scores
    watch = calando.watch(…, folder=…)    its updates and looks
    calando.explain(…)                    its updates and looks, until they are kept as a whole

Of several ranks the first one writes. Training needs none of it: what cannot be written is reported once.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import math
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, final

from calando.errors import reason_of
from calando.language import message
from calando.loops.ranks import rank
from calando.records.live_file import FILE, LOCK, LiveFile, RunRow, hold
from calando.standing import ETA, Standing

__all__ = ["Pictured", "pictured_for_now"]


@final
class Pictured:
    """A run's channel where no study listens: reports become points, scores and probes of `live.sqlite`.

    Args:
        folder: the run's; made where it is missing, once the run's length is known.
        name, text, lr, seed: what the picture says of it.
    """

    def __init__(self, folder: Path, *, name: str, text: str, lr: float | None, seed: int = 0) -> None:
        self._folder, self._about = folder, (name, text, seed, lr)
        self._digest = hashlib.sha256(f"{name} {text} {seed}".encode()).hexdigest()[:16]
        self._file: LiveFile | None = None
        self._held: IO[str] | None = None
        self._over, self._step, self._steps, self._eta = rank() != 0, 0, 0, ETA()

    def send(self, report: Any) -> None:
        """Write it; never fails."""
        if self._over:
            return
        try:
            self._write(report)
        except (sqlite3.Error, OSError) as error:
            self._over = True
            what = f"{self._folder / FILE} cannot be written ({reason_of(error)}); training goes on"
            print(f"calando: {what}", file=sys.stderr)
            self._let_go()

    @property
    def is_written(self) -> bool:
        """Whether the file is this run's."""
        return self._file is not None

    def is_asked_to_stop(self) -> bool:
        """Never."""
        return False

    def _write(self, report: Any) -> None:
        match report:
            case {"kind": "began", "total_steps": steps}:
                self._begin(steps or 0)
            case {"kind": "progress", "step": step, "lr": lr, "loss": loss} if self._file is not None:
                self._step = step
                self._file.point(self._digest, step, lr, math.nan if loss is None else loss)
                self._file.stands(self._standing(lr, loss))
            case {"kind": "score", "step": step, "score": score, "loss": loss} if self._file is not None:
                self._step = max(self._step, step)
                self._file.score(self._digest, step, score, math.nan if loss is None else loss)
            case {"kind": "probe", "step": step, "row": row} if self._file is not None:
                self._file.probe(self._digest, step, json.dumps(row))
            case {"kind": "ended"}:
                self._end()

    def _begin(self, steps: int) -> None:
        self._steps = steps
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._held = hold(self._folder)
            if self._held is None:
                self._over = True
                print(f"calando: another run writes {self._folder / FILE}; this one is not shown", file=sys.stderr)
                return
            self._file = LiveFile(self._folder)
            # A script may end with its last update, and call nothing more.
            atexit.register(self._end)
        self._file.began(RunRow(self._digest, "", *self._about, steps or None))

    def _standing(self, lr: float, loss: float | None) -> Standing:
        of = f"/{self._steps}" if self._steps else ""
        left = ""
        if self._steps:
            left = message("  ETA {left}", left=self._eta.remaining(self._steps - self._step))
        words = message(
            "step {step}{of}  rate {rate:.3g}{left}"
            if loss is None
            else "step {step}{of}  rate {rate:.3g}  loss {loss:.3f}{left}",
            step=self._step,
            of=of,
            rate=lr,
            loss=loss,
            left=left,
        )
        return Standing(words, self._step, self._steps, eta_s=self._eta.seconds)

    def _end(self) -> None:
        file, self._file, self._over = self._file, None, True
        atexit.unregister(self._end)
        if file is None or not file.is_own:
            return
        try:
            file.put_away(self._digest, "finished" if self._steps and self._step >= self._steps else "left")
            file.close()
        except sqlite3.Error as error:
            print(f"calando: {self._folder / FILE} is not whole ({reason_of(error)})", file=sys.stderr)
        self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()


@contextmanager
def pictured_for_now(folder: Path, *, name: str, text: str, lr: float | None, seed: int) -> Iterator[Pictured]:
    """A picture that goes when it is over, and the folder with it where it holds nothing else."""
    picture = Pictured(folder, name=name, text=text, lr=lr, seed=seed)
    try:
        yield picture
    finally:
        written = picture.is_written
        picture.send({"kind": "ended"})
        with suppress(OSError):
            for path in [folder / f"{FILE}{end}" for end in ("", "-wal", "-shm")] + [folder / LOCK]:
                if written:
                    path.unlink(missing_ok=True)
            folder.rmdir()
