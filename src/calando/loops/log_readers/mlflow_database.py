"""MLflow's file of SQLite, read by its tables: no package is needed.

experiments(experiment_id, name), runs(run_uuid, name, experiment_id, lifecycle_stage)
metrics(key, value, timestamp, run_uuid, step, is_nan)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from calando.errors import UsageError
from calando.language import message
from calando.loops.log_readers import LoggedRun, Reader, Series, runs_of_series
from calando.loops.sqlite_logs import has_tables, open_read_only, sqlite_files

__all__ = ["READER"]

TABLES = ("experiments", "metrics", "runs", "params")


def _read(file: Path) -> Iterator[LoggedRun]:
    count = 0
    with closing(open_read_only(file)) as connection:
        runs = connection.execute(
            "SELECT run_uuid, runs.name, experiments.name FROM runs JOIN experiments USING (experiment_id) "
            "WHERE runs.lifecycle_stage = 'active' ORDER BY runs.start_time, run_uuid"
        ).fetchall()
        for run, name, experiment in runs:
            series: dict[str, Series] = {}
            logged = connection.execute(
                "SELECT key, step, value FROM metrics WHERE run_uuid = ? AND NOT is_nan ORDER BY step, timestamp",
                (run,),
            )
            for key, step, value in logged:
                series.setdefault(str(key), []).append((int(step), float(value)))
            for found in runs_of_series(f"{file} {experiment}/{name or run}", series):
                count += 1
                yield found
    if not count:
        raise UsageError(
            message(
                "{file} holds {count} runs of MLflow, and none of them logs a rate",
                file=repr(str(file)),
                count=len(runs),
            )
        )


READER = Reader(
    form=message("a file of SQLite of MLflow"),
    is_of=lambda path: has_tables(path, TABLES),
    found=lambda folder: [file for file in sqlite_files(folder) if has_tables(file, TABLES)],
    read=_read,
    many=True,
    fails=sqlite3.Error,
)
