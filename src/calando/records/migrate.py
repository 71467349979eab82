"""The store's tables, and how those of an older calando become them.

    schema 1    specs without averages and skipped batches; runs without skips and undone
    schema 2    a run's traces in its own row; no seals
    schema 3    today's, below

A run's key is the digest of its spec. Specs have grown fields since, so an older store's keys are not what today's
code computes: on the way here every run and test look gets today's. A range test whose key cannot be known from the
store alone keeps the old one, and where it is still wanted it is made again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from calando.records import rows
from calando.records.record import RunRecord, TestScore
from calando.records.spec import RunSpec

__all__ = ["SCHEMA_VERSION", "bring_up_to_date", "create_tables", "in_memory", "schema_of"]

SCHEMA_VERSION = 3
_OLD = ("1", "2")

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, seal INTEGER NOT NULL)",
    """CREATE TABLE runs (
    digest TEXT PRIMARY KEY, spec TEXT NOT NULL, outcome TEXT NOT NULL, steps_done INTEGER NOT NULL,
    evaluations TEXT NOT NULL, chance REAL NOT NULL, events TEXT NOT NULL, skips TEXT NOT NULL,
    undone INTEGER NOT NULL, seconds REAL NOT NULL, inherited INTEGER NOT NULL, inherited_seconds REAL NOT NULL,
    host TEXT NOT NULL, seal INTEGER NOT NULL
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
_REPLACED = ("tests", "runs", "meta", "commands")


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of today's schema, within the transaction that is open."""
    for statement in _TABLES:
        connection.execute(statement)


def schema_of(connection: sqlite3.Connection) -> str | None:
    """The version that a store says it has, sealed or from before there were seals; None where it says none."""
    names = {name for _, name, *_ in connection.execute("PRAGMA table_info(meta)")}
    row = connection.execute("SELECT * FROM meta WHERE key = 'schema'").fetchone()
    if row is None:
        return None
    if "seal" in names:
        return str(rows.unsealed(row)[1])
    # What has no seals is older than they are; today's version without them is damaged.
    if row[1] == str(SCHEMA_VERSION):
        raise rows.Damaged("its tables are not what was written")
    return str(row[1])


def in_memory(connection: sqlite3.Connection) -> sqlite3.Connection:
    """A copy of a store that is gone when it is closed."""
    copied = sqlite3.connect(":memory:")
    connection.backup(copied)
    return copied


def bring_up_to_date(connection: sqlite3.Connection, *, path: Path | None) -> None:
    """Make a store of schema 1 or 2 today's, in one transaction: all of it or nothing.

    Args:
        path: of the store, of which a copy as it was is left beside it, named after its schema; None: there is no file.

    Raises:
        ValueError: it is damaged.
    """
    # What has no seals is checked in the one way there is.
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise rows.Damaged("SQLite's own check fails")
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
                closing(sqlite3.connect(path.with_name(f"{path.name}.v{schema}"))) as beside,
            ):
                source.backup(beside)
        for table in _REPLACED:
            connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
        create_tables(connection)
        connection.executemany(rows.insert("meta", rows.META), _meta(connection))
        digests = {}
        for old, record, losses, rates in _runs(connection):
            row = rows.run_row(record)
            digests[old] = row[0]
            connection.execute(rows.insert("runs", rows.RUNS), row)
            connection.execute(rows.insert("traces", rows.TRACES), rows.packed_trace_row(row[0], losses, rates))
        for old, score, loss, n in connection.execute("SELECT digest, score, loss, n FROM old_tests").fetchall():
            row = rows.score_row(digests[old], TestScore(score=score, loss=loss, n=n))
            connection.execute(rows.insert("tests", rows.TESTS), row)
        connection.execute("INSERT INTO commands (text) SELECT text FROM old_commands ORDER BY id")
        for table in _REPLACED:
            connection.execute(f"DROP TABLE old_{table}")


def _meta(connection: sqlite3.Connection) -> list[rows.Row]:
    kept = dict(connection.execute("SELECT key, value FROM old_meta ORDER BY rowid").fetchall())
    return [rows.meta_row(key, value) for key, value in {**kept, "schema": str(SCHEMA_VERSION)}.items()]


def _runs(connection: sqlite3.Connection) -> Iterator[tuple[str, RunRecord, bytes, bytes]]:
    """Old key, record without traces, and these as they are packed."""
    names = {name for _, name, *_ in connection.execute("PRAGMA table_info(old_runs)")}
    younger = "skips, undone" if {"skips", "undone"} <= names else "'[]', 0"
    found = connection.execute(
        "SELECT digest, spec, outcome, steps_done, losses, rates, evaluations, chance, events, seconds, host, "
        f"{younger} FROM old_runs ORDER BY rowid"
    )
    for digest, spec, outcome, steps, losses, rates, looks, chance, events, seconds, host, skips, undone in found:
        yield (
            digest,
            RunRecord(
                spec=RunSpec.model_validate_json(spec),
                outcome=outcome,
                steps_done=steps,
                losses=rows.NO_LOSSES,
                rates=rows.NO_RATES,
                evaluations=rows.read_evaluations(looks),
                chance=chance,
                events=rows.read_events(events),
                skips=tuple((step, count) for step, count in json.loads(skips)),
                undone=undone,
                seconds=seconds,
                host=json.loads(host),
            ),
            losses,
            rates,
        )
