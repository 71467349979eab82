"""Steering a study: a rate changed by hand makes a branch that replays to the bit, whoever is killed when."""

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.study.steering_kit import STEPS, TEXT, ask, at_step, compare, quickly, records, replayed, rows, same_bits
from tests.waiting import PATIENCE

import calando
from calando.errors import CorruptFile, StudyStopped, UsageError
from calando.records import command_log
from calando.records.command_log import CommandLog
from calando.report.columns import footnotes
from calando.schedules import named_function
from calando.study import executors
from calando.study.executors.inline import InlineExecutor
from calando.testing.executor_trial import moody_task


@pytest.fixture(autouse=True)
def told_at_once(monkeypatch):
    """Runs of a second are steered in the midst: each update reports, and commands are looked for after each."""
    quickly(monkeypatch.setattr)


@pytest.mark.parametrize("line", ["rate *0.5", "rate =0.003", "schedule cosine(0.3, 0)", "horizon 250"])
def test_a_branch_replays_to_the_bit_from_its_text(tmp_path, line):
    with pytest.raises(StudyStopped, match="rest by command"):
        compare(tmp_path / "study", listen=at_step(tmp_path / "study", 30, line))
    (row,), branches, resting = rows(tmp_path / "study")
    (branch,) = branches.values()
    assert (row.state, row.branch) == ("done", branch.digest)
    assert row.step is not None
    assert row.step >= 30
    assert resting == {branch.parent: "left"}
    made = records(tmp_path / "study")[branch.digest]
    assert made.updates == branch.spec.steps  # charged with its past
    same_bits(made, replayed(tmp_path / "study", branch.spec, tmp_path / "again"))
    # The parent's state at that step is kept, and it goes on to what it would have been.
    ask(tmp_path / "study", "resume", run=branch.parent)
    summary = compare(tmp_path / "study")
    assert summary.complete
    (said,) = summary.steered
    assert said.startswith(
        f"mine, seed 0, was steered ({line!r}); the branch {branch.digest} takes no part in verdicts"
    )
    assert said in [note.text for note in footnotes(summary)]
    undisturbed = compare(tmp_path / "alone")
    same_bits(records(tmp_path / "study")[branch.parent], records(tmp_path / "alone")[branch.parent])
    assert summary.results[0].test == undisturbed.results[0].test
    assert summary.updates == undisturbed.updates


def test_a_fork_lets_both_go_on(tmp_path):
    summary = compare(tmp_path, listen=at_step(tmp_path, 30, "fork: rate *0.5"))
    _, branches, resting = rows(tmp_path)
    assert summary.complete
    assert resting == {}
    assert set(records(tmp_path)) == {*branches, *(one.parent for one in branches.values())}


def test_going_back_and_a_branch_of_a_branch(tmp_path):
    first = at_step(tmp_path, 60, "from 20: rate *0.5", key="one")
    second = at_step(tmp_path, 120, "from 100: rate =0.01", key="two")

    def listen(status):
        first(status)
        if CommandLog.there(tmp_path) and rows(tmp_path)[1]:
            second(status)

    with pytest.raises(StudyStopped):
        compare(tmp_path, listen=listen)
    _, branches, resting = rows(tmp_path)
    once, twice = branches.values()
    assert twice.parent == once.digest
    assert resting == {once.parent: "left", once.digest: "left"}
    same_bits(records(tmp_path)[twice.digest], replayed(tmp_path, twice.spec, tmp_path / "again"))


def test_paused_it_waits_and_resumed_it_is_what_it_would_have_been(tmp_path):
    paused = at_step(tmp_path / "study", 30, "pause")
    seen = []

    def listen(status):
        paused(status)
        if not status.running and CommandLog.there(tmp_path / "study") and rows(tmp_path / "study")[2] and not seen:
            seen.append(ask(tmp_path / "study", "resume"))

    summary = compare(tmp_path / "study", listen=listen)
    assert seen
    assert summary.complete
    compare(tmp_path / "alone")
    for digest, record in records(tmp_path / "alone").items():
        same_bits(records(tmp_path / "study")[digest], record)


@pytest.mark.parametrize(
    ("line", "run", "why"),
    [
        ("rate *0.5", "other", "no run is meant"),
        ("rate *1", "mine", "changes nothing"),
        ("resume", "mine", "in progress"),
        ("horizon 10", "mine", "begin at update"),
    ],
)
def test_what_cannot_be_is_refused_and_the_run_goes_on(tmp_path, line, run, why):
    notes = []

    asked = at_step(tmp_path, 30, line, run=run)

    def listen(status):
        asked(status)
        notes[:] = status.notes

    assert compare(tmp_path, listen=listen).complete
    ((row,), branches, resting) = rows(tmp_path)
    assert row.state == "refused"
    assert why in row.why
    assert (branches, resting) == ({}, {})
    assert any(why in note for note in notes)


def test_stopping_all(tmp_path):
    with pytest.raises(StudyStopped, match="stopped by command"):
        compare(tmp_path, listen=at_step(tmp_path, 30, "stop", run=""))
    assert compare(tmp_path).complete


KILLED = """
import os, sys
from pathlib import Path
from calando.records.command_log import CommandLog
real = CommandLog.accept
def accept(self, *args, **kwargs):
    if sys.argv[1] == "after":
        real(self, *args, **kwargs)
    os._exit(9)
CommandLog.accept = accept
sys.path.insert(0, sys.argv[3])
from steering_kit import compare, at_step, quickly
quickly()
compare(Path(sys.argv[2]), listen=at_step(Path(sys.argv[2]), 30, "rate *0.5", key="once"))
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_the_acceptance_it_is_done_once(tmp_path, when):
    command = [sys.executable, "-c", KILLED, when, str(tmp_path / "study"), str(Path(__file__).parent)]
    killed = subprocess.run(command, check=False, timeout=PATIENCE, capture_output=True, text=True)
    assert killed.returncode == 9, killed.stderr
    (row,), branches, _ = rows(tmp_path / "study")
    assert row.state == ("accepted" if when == "after" else "asked")
    with pytest.raises(StudyStopped, match="rest by command"):
        compare(tmp_path / "study")
    (row,), after, _ = rows(tmp_path / "study")
    assert row.state == "done"
    assert set(branches) <= set(after)
    ((digest, branch),) = after.items()
    assert set(records(tmp_path / "study")) == {digest}
    same_bits(records(tmp_path / "study")[digest], replayed(tmp_path / "study", branch.spec, tmp_path / "again"))


def test_in_worker_processes(tmp_path):
    """One of two runs is steered while both are trained; verdicts are of the runs that were asked for.

    They take a minute, unless they have been steered.
    """
    folder, mood = tmp_path / "study", tmp_path / "mood"
    strategies = (TEXT, "other = sgd(lr=0.05, momentum=0.9)")
    workload, asked = moody_task(mood), at_step(folder, 5, "fork: rate *0.25")
    mood.write_text("dawdle 0.3")

    def listen(status):
        asked(status)
        if CommandLog.there(folder) and rows(folder)[1]:
            mood.write_text("calm")

    summary = calando.compare(
        workload, *strategies, seeds=1, steps=STEPS, folder=folder, workers=2, threads=1, page=False, listen=listen
    )
    (row,), branches, _ = rows(folder)
    assert (row.state, summary.complete) == ("done", True)
    (branch,) = branches.values()
    assert branch.digest in records(folder)
    assert {result.name for result in summary.results} == {"mine", "other"}
    assert summary.runs_done == 2


def test_a_pause_that_is_taken_back_at_once_is_taken_back(tmp_path):
    """Both are asked before the run could be put away: nobody is to find it paused in the morning."""
    asked = []

    def listen(status):
        if not asked and any(one.now.step >= 30 for one in status.running.values()):
            asked.extend(ask(tmp_path, line) for line in ("pause", "resume"))

    assert compare(tmp_path, listen=listen).complete
    assert [row.state for row in rows(tmp_path)[0]] == ["done", "done"]


def test_what_is_asked_twice_under_two_keys_is_one_branch_and_both_are_done(tmp_path):
    asked = []

    def listen(status):
        if not asked and any(one.now.step >= 30 for one in status.running.values()):
            asked.extend(ask(tmp_path, line) for line in ("from 150: rate *0.5", "from 150: rate *0.5", "stop"))

    with pytest.raises(StudyStopped, match="rest by command"):
        compare(tmp_path, listen=listen)
    found, branches, resting = rows(tmp_path)
    (branch,) = branches.values()
    assert [row.state for row in found] == ["done", "done", "refused"]
    assert "name the branch" in found[2].why
    assert {row.branch for row in found[:2]} == {branch.digest}
    assert resting == {branch.parent: "left"}


def test_a_branch_that_rests_goes_on_where_it_is_asked_for_again(tmp_path):
    first = at_step(tmp_path, 30, "from 150: rate *0.5")
    second = at_step(tmp_path, 60, "stop")

    def listen(status):
        first(status)
        if CommandLog.there(tmp_path) and rows(tmp_path)[1]:
            second(status)

    with pytest.raises(StudyStopped):
        compare(tmp_path, listen=listen)
    (branch,) = rows(tmp_path)[1].values()
    assert rows(tmp_path)[2] == {branch.parent: "left", branch.digest: "stopped"}
    ask(tmp_path, "from 150: rate *0.5", run=branch.parent)
    with pytest.raises(StudyStopped):
        compare(tmp_path)
    assert rows(tmp_path)[0][-1].state == "done"
    assert branch.digest in records(tmp_path)


@pytest.mark.parametrize("wrong", ["damaged", "locked"])
def test_no_study_ends_for_its_file_of_commands(tmp_path, monkeypatch, wrong):
    """Which is damaged or locked in the midst: that is a note, and the runs and verdicts are what they would be."""
    undisturbed = compare(tmp_path / "alone")
    monkeypatch.setattr(command_log, "PATIENCE_SECONDS", 0.0)
    held = []

    def listen(status):
        if not held and any(one.now.step >= 30 for one in status.running.values()):
            held.append(sqlite3.connect(tmp_path / "commands.sqlite", isolation_level=None))
            if wrong == "locked":
                held[0].execute("CREATE TABLE another (number)")
                held[0].execute("BEGIN EXCLUSIVE")
            else:
                (tmp_path / "commands.sqlite").write_bytes(b"no database" * 1000)

    summary = compare(tmp_path, listen=listen)
    held[0].close()
    assert summary.complete
    assert (summary.results[0].test, summary.updates) == (undisturbed.results[0].test, undisturbed.updates)
    if wrong == "damaged":
        assert "which runs were steered is not known" in summary.steered[0]
        with pytest.raises(CorruptFile, match="or remove this file"):  # at a start somebody is there
            compare(tmp_path)
        (tmp_path / "commands.sqlite").unlink()
        assert compare(tmp_path).complete


def test_a_branch_that_cannot_be_stored_is_refused_and_the_run_goes_on(tmp_path):
    (tmp_path / "branches").write_text("in its place")
    summary = compare(tmp_path, listen=at_step(tmp_path, 30, "rate *0.5"))
    (row,), branches, _ = rows(tmp_path)
    assert summary.complete
    assert (row.state, branches) == ("refused", {})
    assert "could not be stored" in row.why


def test_resume_means_the_run_that_was_paused_and_not_the_one_in_progress(tmp_path):
    text = "other = sgd(lr=0.05) | linear(1, 0)"
    paused = at_step(tmp_path, 30, "pause", run="mine")
    asked = []

    def listen(status):
        paused(status)
        if not asked and any(one.job.spec.strategy.name == "other" for one in status.running.values()):
            with contextlib.suppress(UsageError):  # until the folder's picture knows a run
                asked.append(calando.steer(tmp_path, "resume", wait=0.0))

    assert compare(tmp_path, strategies=(TEXT, text), listen=listen).complete
    assert asked
    assert [row.state for row in rows(tmp_path)[0]] == ["done", "done"]


def test_a_study_that_has_its_answer_takes_what_was_asked_since(tmp_path):
    summary = compare(tmp_path)
    ((parent, _),) = records(tmp_path).items()
    ask(tmp_path, "from 150: rate *0.5", run=parent)
    again = compare(tmp_path)
    ((row,), branches, _) = rows(tmp_path)
    assert row.state == "done"
    assert set(records(tmp_path)) == {parent, *branches}
    assert again.results[0].test == summary.results[0].test


def test_workers_are_given_the_functions_of_branches_when_they_start(tmp_path):
    """One that they were not given is refused: the branch could not be trained, nor the study go on ever after."""

    @executors.register("elsewhere", pickles=True)
    class Elsewhere(InlineExecutor):
        """As if it were another process."""

    @named_function("half_of_it")
    def half_of_it(x):
        return 1 - x / 2

    line = "from 150: schedule function('half_of_it')"
    try:
        summary = compare(tmp_path, executor="elsewhere", listen=at_step(tmp_path, 30, line))
        assert summary.complete
        (row,), branches, _ = rows(tmp_path)
        assert (row.state, branches) == ("refused", {})
        assert "do not know 'half_of_it'" in row.why
        # As the refusal says: asked while nobody trains.
        ask(tmp_path, line, run=next(iter(records(tmp_path))))
        assert compare(tmp_path, executor="elsewhere").complete
        (branch,) = rows(tmp_path)[1].values()
        assert branch.digest in records(tmp_path)
    finally:
        executors.EXECUTORS.remove("elsewhere")
