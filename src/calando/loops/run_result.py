"""What a run in a process of its own leaves for the study: RUN/result.json and RUN/traces.npz.

The result holds its own digest, so a half-written one counts as none and the run is made again.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, final

import numpy as np

from calando.errors import CorruptFile, fault_of
from calando.language import message
from calando.records.files import read_plain, write_atomically

__all__ = ["Look", "RunResult", "drop_result", "read_result"]

MOST_BYTES = 2**32


@final
@dataclass(frozen=True)
class Look:
    """One `run.report`: the score after `step` updates, and what else was reported with it.

    Args:
        score: in the code's own unit; not finite where training failed.
        loss: of the same weights on the same data, where one was reported.
        others: any other numbers, by name.
    """

    step: int
    score: float
    loss: float | None = None
    others: dict[str, float] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class RunResult:
    """A whole run, as its own code reported it.

    Args:
        outcome: "finished", or "diverged" with `events` saying why.
        steps_done: updates made.
        looks: ascending in step.
        test: the score that was read once, at the end; None: the code has none.
        events: what controllers and the run did: (step, kind, sentence).
        second_passes: updates that took a second pass over their batch.
        seconds: of the run, those before a kill included.
        rates, losses: float64 and float32, of each update made; a loss is nan where none was reported.
    """

    outcome: Literal["finished", "diverged"]
    steps_done: int
    looks: tuple[Look, ...]
    test: float | None
    events: tuple[tuple[int, str, str], ...]
    second_passes: int
    seconds: float
    host: dict[str, str]
    rates: np.ndarray
    losses: np.ndarray

    def write(self, folder: Path) -> None:
        """Write it, traces first: the result holds their digest.

        Raises:
            DiskFull: no space left.
        """
        file = io.BytesIO()
        np.savez(file, rates=self.rates, losses=self.losses)
        plain = {key: value for key, value in self.__dict__.items() if key not in ("rates", "losses")}
        plain["looks"] = [asdict(look) for look in self.looks]
        plain["traces"] = hashlib.sha256(file.getvalue()).hexdigest()
        text = json.dumps(plain)  # scores may be nan or infinite, which Python's json writes and reads
        write_atomically(folder / "traces.npz", file.getvalue(), sync=False)
        sealed = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "result": text}
        write_atomically(folder / "result.json", json.dumps(sealed).encode(), sync=False)


def drop_result(folder: Path) -> None:
    """Remove what a run left before its code failed: a failed run has no result, when it is asked for again too."""
    (folder / "result.json").unlink(missing_ok=True)
    (folder / "traces.npz").unlink(missing_ok=True)


def read_result(folder: Path) -> RunResult | None:
    """What a run left in its folder; None where it left nothing.

    Raises:
        CorruptFile: it is damaged.
    """
    path = folder / "result.json"
    if not path.exists():
        return None
    try:
        sealed = json.loads(read_plain(path, most=MOST_BYTES))
        if hashlib.sha256(sealed["result"].encode()).hexdigest() != sealed["sha256"]:
            raise CorruptFile(message("{path!r} fails its checksum; remove it to make this run again", path=str(path)))
        plain = json.loads(sealed["result"])
        data = read_plain(folder / "traces.npz", most=MOST_BYTES)
        if hashlib.sha256(data).hexdigest() != plain.pop("traces"):
            raise CorruptFile(
                message(
                    "the traces next to {path!r} fail their checksum; remove it to make this run again", path=str(path)
                )
            )
        traces = np.load(io.BytesIO(data), allow_pickle=False)
        plain["looks"] = tuple(Look(**look) for look in plain["looks"])
        plain["events"] = tuple((int(step), str(kind), str(text)) for step, kind, text in plain["events"])
        return RunResult(**plain, rates=traces["rates"], losses=traces["losses"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, CorruptFile):
            raise
        raise CorruptFile(
            message(
                "{path!r} cannot be read ({kind}); remove it to make this run again",
                path=str(path),
                kind=fault_of(error),
            )
        ) from error
