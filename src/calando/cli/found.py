"""The rate of `calando train --lr find`: measured once, kept in the run's folder, the same when the command goes on."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from calando.cli.find import measuring

if TYPE_CHECKING:
    from calando.records import Centre, RangeRecord, RunSpec
    from calando.tasks.workload import Workload

__all__ = ["FILE_NAME", "settle_rate"]

FILE_NAME = "range_test.json"


def settle_rate(spec: RunSpec, workload: Workload, folder: Path, *, quiet: bool) -> tuple[RunSpec, Centre]:
    """The run at the rate found for it, and what finding it gave and cost.

    Raises:
        UsageError: no rate that can be relied on was found.
        CorruptFile: what was kept is damaged.
    """
    from calando.errors import UsageError
    from calando.study.centre import centre_of, range_run

    asked = range_run(spec)
    kept = _read(folder / FILE_NAME, asked.digest())
    found = _measure(asked, workload, folder / FILE_NAME, quiet=quiet) if kept is None else kept
    centre = centre_of(spec.strategy, found, spec.horizon)
    if centre.lr is None:
        guess = found.decayed or found.constant
        told = f" (it would say {guess[0]:.3g})" if guess is not None else ""
        raise UsageError(
            f"the range test found no rate to rely on: {'; '.join(centre.doubts)}{told}; "
            "look at it with `calando find`, then give --lr a number"
        )
    return spec.model_copy(update={"strategy": spec.strategy.at_rate(centre.lr)}), centre


def _measure(asked: RunSpec, workload: Workload, path: Path, *, quiet: bool) -> RangeRecord:
    from calando.range_test import find_for_run
    from calando.records.files import write_atomically
    from calando.study.work import range_record

    began = time.monotonic()
    with measuring(quiet=quiet) as progress:
        found = range_record(find_for_run(asked, workload, progress=progress), seconds=time.monotonic() - began)
    said = {"run": asked.digest(), "found": asdict(found)}
    write_atomically(path, json.dumps(said, indent=2).encode())
    return found


def _read(path: Path, digest: str) -> RangeRecord | None:
    """What was found before, for the same run; None: nothing."""
    from calando.errors import CorruptFile
    from calando.records.plain_file import read_plain
    from calando.records.record import range_record_of

    if not path.exists():
        return None
    try:
        said = json.loads(read_plain(path, most=2**20))
        return range_record_of(said["found"]) if said["run"] == digest else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFile(f"{path} is damaged; remove it, and the range test is made again") from error
