"""Rows of commands: asked twice done once, never lost, never changed, and every run's state follows from them."""

import os
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import CorruptFile, UsageError
from calando.records import RunSpec, StrategySpec, WorkloadSpec
from calando.records.command import branch_of, parse_command
from calando.records.command_log import Branch, CommandLog
from calando.schedules import SCHEDULES, linear, register

STRATEGY = StrategySpec(name="mine", method="sgd", lr=0.1, schedules={"lr": "cosine(1, 0)"})
RUN = RunSpec(
    workload=WorkloadSpec(data="digits"), strategy=STRATEGY, steps=300, steps_per_epoch=30, evaluate_every=30, seed=0
)


def a_branch(asked, step=100):
    spec = branch_of(RUN, parse_command(asked.line), step=step)
    return Branch(spec=spec, parent=RUN.digest(), step=step, command=asked.number)


def test_asked_twice_under_one_key_is_one_command(tmp_path):
    with CommandLog.open(tmp_path) as log:
        first = log.ask("rate *0.5", run="abc", key="k1", who="me", seen=7)
        assert log.ask("rate *0.5", run="abc", key="k1") == first
        with pytest.raises(UsageError, match="give another key"):
            log.ask("rate *0.25", run="abc", key="k1")
        assert log.rows() == [first]
        assert (first.state, first.seen, first.who) == ("asked", 7, "me")


def test_an_accepted_command_has_its_branch_from_that_moment(tmp_path):
    with CommandLog.open(tmp_path) as log:
        asked = log.ask("rate *0.5", key="k1")
        log.accept(asked, target=RUN.digest(), step=100, branch=a_branch(asked))
    with CommandLog.open(tmp_path) as log:
        (row,) = log.rows()
        (branch,) = log.branches().values()
        assert (row.state, row.step, row.branch) == ("accepted", 100, branch.digest)
        assert branch == a_branch(asked)
        log.done(row)
        log.done(row)
        assert [one.state for one in log.rows()] == ["done"]
        assert log.rows()[0].step == 100


@pytest.mark.parametrize(
    ("line", "more", "message"),
    [
        ("faster", {}, "a command is one of"),
        ("pause", {"key": "a b"}, "key is up to 64"),
        ("pause", {"key": ""}, "key is up to 64"),
        ("pause", {"run": "x" * 300}, "at most 200"),
        ("pause", {"who": "a\nb"}, "printable"),
        ("pause", {"seen": -1}, "0 or more"),
    ],
)
def test_what_is_refused_at_the_door_leaves_no_row(tmp_path, line, more, message):
    with CommandLog.open(tmp_path) as log:
        with pytest.raises(UsageError, match=message):
            log.ask(line, **{"key": "k", **more})
        assert log.rows() == []
        assert log.ask("pause", key="later").number == 1  # nothing is left half open


LINES = st.sampled_from(["pause", "resume", "stop", "rate *0.5", "fork: rate *0.5"])


@given(lines=st.lists(st.tuples(LINES, st.booleans()), max_size=12))
def test_who_rests_is_a_function_of_the_rows(lines, tmp_path_factory):
    """The last accepted command about a run decides; refused ones and forks do not."""
    expected = None
    with CommandLog.open(tmp_path_factory.mktemp("log")) as log:
        for place, (line, taken) in enumerate(lines):
            asked = log.ask(line, key=f"k{place}")
            if not taken:
                log.refuse(asked, "no")
                continue
            log.accept(asked, target="parent", step=1)
            expected = {"pause": "paused", "stop": "stopped", "resume": None, "rate *0.5": "left"}.get(line, expected)
        assert log.at_rest() == ({} if expected is None else {"parent": expected})


def test_who_rests_is_known_where_a_function_of_ones_own_is_not(tmp_path):
    """It was registered by whoever trained; a terminal that lets the run go on, and the page, know nothing of it."""

    @register(name="half_line")
    def half_line():
        return linear(0.5, 0)

    try:
        with CommandLog.open(tmp_path) as log:
            asked = log.ask("schedule half_line()", key="one")
            log.accept(asked, target="parent", step=1)
    finally:
        SCHEDULES.remove("half_line")
    with CommandLog.open(tmp_path) as log:
        assert log.at_rest() == {"parent": "left"}
        log.accept(log.ask("resume", key="two"), target="parent", step=1)
        assert log.at_rest() == {}


def test_a_damaged_file_is_reported_in_a_line(tmp_path):
    (tmp_path / "commands.sqlite").write_bytes(b"not a database at all" * 100)
    with (
        pytest.raises(CorruptFile, match=r"commands\.sqlite is damaged .*or remove this file: runs and verdicts stay"),
        CommandLog.open(tmp_path) as log,
    ):
        log.rows()


def test_it_is_read_on_a_medium_that_nobody_writes_to(tmp_path, monkeypatch):
    """Where SQLite cannot make the files that its readers share."""
    with CommandLog.open(tmp_path) as log:
        asked = log.ask("rate *0.5", key="k1")
        log.accept(asked, target=RUN.digest(), step=100, branch=a_branch(asked))
    assert not (tmp_path / "commands.sqlite-wal").exists()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with CommandLog.open(tmp_path, read_only=True) as log:
        assert len(log.branches()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["commands.sqlite"]


def test_rows_are_only_ever_added(tmp_path):
    """What the file held stays in it, whatever follows."""
    with CommandLog.open(tmp_path) as log:
        seen: set[tuple[object, ...]] = set()
        for place in range(4):
            asked = log.ask("rate *0.5", key=f"k{place}")
            log.accept(asked, target="x", step=place)
            log.done(asked)
            with sqlite3.connect(tmp_path / "commands.sqlite") as file:
                now = {("c", *row) for row in file.execute("SELECT * FROM commands")}
                now |= {("a", *row) for row in file.execute("SELECT * FROM answers")}
            file.close()
            assert seen <= now
            seen = now
