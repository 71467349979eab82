"""MLflow's folder of files (mlruns): a folder a run, with meta.yaml and a file a metric.

EXPERIMENT/RUN/metrics/KEY     lines of timestamp, value, step; "/" in a key is a folder
EXPERIMENT/RUN/tags/mlflow.runName
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from calando.errors import UsageError, quote
from calando.language import message
from calando.loops.log_readers import LoggedRun, Reader, Series, runs_of_series
from calando.records.files import read_plain

__all__ = ["READER"]

LARGEST = 2**28


def _found(folder: Path) -> Sequence[Path]:
    return sorted(file for file in folder.rglob("meta.yaml") if (file.parent / "metrics").is_dir())


def _read(file: Path) -> Iterator[LoggedRun]:
    folder = file.parent
    series: dict[str, Series] = {}
    for metric in sorted(path for path in (folder / "metrics").rglob("*") if path.is_file()):
        lines = read_plain(metric, most=LARGEST).decode().splitlines()
        words = [line.split() for line in lines if line.strip()]
        pairs = [(int(one[2]) if len(one) > 2 else 0, float(one[1])) for one in words]
        key = metric.relative_to(folder / "metrics").as_posix()
        series[key] = sorted(pair for pair in pairs if math.isfinite(pair[1]))
    name = folder / "tags" / "mlflow.runName"
    called = read_plain(name, most=2**16).decode().strip() if name.is_file() else ""
    runs = list(runs_of_series(f"{folder} {called}".strip(), series))
    if not runs:
        metrics = ", ".join(sorted(series)) or "none"
        raise UsageError(
            message(
                "{folder} logs no rate, under no usual name; its metrics: {metrics}",
                folder=repr(str(folder)),
                metrics=quote(metrics),
            )
        )
    yield from runs


READER = Reader(
    form=message("a folder of MLflow (mlruns)"),
    is_of=lambda path: path.name == "meta.yaml" and (path.parent / "metrics").is_dir(),
    found=_found,
    read=_read,
    many=True,
    fails=IndexError,
)
