"""The store's tables, and how those of an older calando become them.

    schema 1    specs without averages and skipped batches; runs without skips and undone
    schema 2    a run's traces in its own row; no seals
    schema 3    traces in a table of their own, rows sealed; a run's second passes were not counted
    schema 4    studies without `beyond`: their grids go on by one rate
    schema 5    today's, below

A run's key is the digest of its spec. Specs have grown fields since, so an older store's keys are not what today's
code computes: on the way here every run and test look gets today's. A range test whose key cannot be known from the
store alone keeps the old one, and where it is still wanted it is made again. A study keeps the rule by which its
rates were chosen.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from calando.language import message
from calando.records import rows
from calando.records.spec import RunSpec

__all__ = ["SCHEMA_VERSION", "bring_up_to_date", "create_tables", "in_memory", "schema_of"]

SCHEMA_VERSION = 5
_OLD = ("1", "2", "3", "4")
_FIRST_SEALED = 3
_ADDED: dict[str, Any] = {"skips": "[]", "undone": 0, "second_passes": 0, "inherited": 0, "inherited_seconds": 0.0}
"""Columns of runs that came later, and what they are in runs from before."""

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, seal INTEGER NOT NULL)",
    """CREATE TABLE runs (
    digest TEXT PRIMARY KEY, spec TEXT NOT NULL, outcome TEXT NOT NULL, steps_done INTEGER NOT NULL,
    evaluations TEXT NOT NULL, chance REAL NOT NULL, events TEXT NOT NULL, skips TEXT NOT NULL,
    undone INTEGER NOT NULL, second_passes INTEGER NOT NULL, seconds REAL NOT NULL, inherited INTEGER NOT NULL,
    inherited_seconds REAL NOT NULL, host TEXT NOT NULL, seal INTEGER NOT NULL
)""",
    """CREATE TABLE traces (
    digest TEXT PRIMARY KEY REFERENCES runs (digest), losses BLOB NOT NULL, rates BLOB NOT NULL, seal INTEGER NOT NULL
)""",
    """CREATE TABLE tests (
    digest TEXT PRIMARY KEY REFERENCES runs (digest), score REAL NOT NULL, loss REAL, n INTEGER NOT NULL,
    seal INTEGER NOT NULL
)""",
    "CREATE TABLE commands (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL)",
)
_REPLACED = ("tests", "traces", "runs", "meta", "commands")


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of today's schema, within the open transaction."""
    for statement in _TABLES:
        connection.execute(statement)


def schema_of(connection: sqlite3.Connection) -> str | None:
    """The version in a store, sealed or from before there were seals; None where there is none."""
    names = _columns(connection, "meta")
    row = connection.execute("SELECT * FROM meta WHERE key = 'schema'").fetchone()
    if row is None:
        return None
    if "seal" in names:
        return str(rows.unsealed(row)[1])
    # What has no seals is older than they are; a younger version without them is damaged.
    if row[1] in map(str, range(_FIRST_SEALED, SCHEMA_VERSION + 1)):
        raise rows.Damaged(message("its tables are not what was written"))
    return str(row[1])


def in_memory(connection: sqlite3.Connection) -> sqlite3.Connection:
    copied = sqlite3.connect(":memory:")
    connection.backup(copied)
    return copied


def bring_up_to_date(connection: sqlite3.Connection, *, path: Path | None) -> None:
    """Make a store of an older schema today's, in one transaction; ValueError where it is damaged.

    Args:
        path: of the store; a copy as it was is left next to it, named after its schema. None: there is no file.
    """
    # What has no seals is checked in the one way there is.
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise rows.Damaged(message("SQLite's own check fails"))
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        schema = schema_of(connection)
        # Another process may have done it since this one looked.
        if schema not in _OLD:
            return
        if path is not None:
            # Over a connection of its own: SQLite copies nothing from one that is about to write.
            with (
                closing(sqlite3.connect(path)) as source,
                closing(sqlite3.connect(path.with_name(f"{path.name}.v{schema}"))) as copy,
            ):
                source.backup(copy)
        replaced = [table for table in _REPLACED if _columns(connection, table)]
        for table in replaced:
            connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
        create_tables(connection)
        connection.executemany(rows.insert("meta", rows.META), _meta(connection))
        digests = {}
        for old, run, losses, rates in _runs(connection):
            digests[old] = run["digest"]
            row = rows.sealed(*(run[name] for name in rows.RUNS[:-1]))
            connection.execute(rows.insert("runs", rows.RUNS), row)
            connection.execute(rows.insert("traces", rows.TRACES), rows.packed_trace_row(run["digest"], losses, rates))
        for old, *values in _read(connection, "tests"):
            connection.execute(rows.insert("tests", rows.TESTS), rows.sealed(digests[old], *values))
        connection.execute("INSERT INTO commands (text) SELECT text FROM old_commands ORDER BY id")
        for table in replaced:
            connection.execute(f"DROP TABLE old_{table}")


def _columns(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})"))


def _read(connection: sqlite3.Connection, table: str) -> Iterator[rows.Row]:
    """The rows of an old table in the order of their making, without seals, which are checked where there are any."""
    sealed = "seal" in _columns(connection, f"old_{table}")
    for row in connection.execute(f"SELECT * FROM old_{table} ORDER BY rowid").fetchall():
        yield rows.unsealed(row) if sealed else row


def _meta(connection: sqlite3.Connection) -> list[rows.Row]:
    kept: dict[str, str] = dict(_read(connection, "meta"))
    for key in kept.keys() & {"study", "settled"}:
        kept[key] = json.dumps({**json.loads(kept[key]), "beyond": None})
    return [rows.sealed(key, value) for key, value in {**kept, "schema": str(SCHEMA_VERSION)}.items()]


def _runs(connection: sqlite3.Connection) -> Iterator[tuple[str, dict[str, Any], bytes, bytes]]:
    """Old key, today's columns by name, and the traces as they are packed."""
    names = [name for name in _columns(connection, "old_runs") if name != "seal"]
    for row in _read(connection, "runs"):
        run = _ADDED | dict(zip(names, row, strict=True))
        losses, rates = (run["losses"], run["rates"]) if "losses" in run else _traces(connection, run["digest"])
        spec = RunSpec.model_validate_json(run["spec"])
        yield run["digest"], {**run, "digest": spec.digest(), "spec": spec.model_dump_json()}, losses, rates


def _traces(connection: sqlite3.Connection, digest: str) -> tuple[bytes, bytes]:
    row = connection.execute("SELECT * FROM old_traces WHERE digest = ?", (digest,)).fetchone()
    if row is None or row != rows.packed_trace_row(*row[:-1]):
        raise rows.Damaged(message("the traces of run {digest} are not what was written", digest=digest))
    return row[1], row[2]
