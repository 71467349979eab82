"""Steering a single run, `calando train`: it goes on as its branch, and the same command again does so too."""

import numpy as np
import pytest
from tests.study.steering_kit import STEPS, TEXT, ask, quickly, replayed, rows, same_bits

import calando
from calando.errors import StudyStopped
from calando.records.preview import known_runs, the_run


@pytest.fixture(autouse=True)
def told_at_once(monkeypatch):
    """Runs of a second are steered in the midst: each update reports, and commands are looked for after each."""
    quickly(monkeypatch.setattr)


def both_at(folder, lines, **more):
    """A listener of `calando train` that asks two things at once."""
    asked = []

    def listen(status):
        if not asked and status.step >= 30:
            asked.extend(ask(folder, line, **more) for line in lines)

    return listen


def train(folder, listen=lambda status: None):
    return calando.train("digits", TEXT.partition("= ")[2], steps=STEPS, threads=1, folder=folder, listen=listen)


def at_update(folder, step, line, **more):
    asked = []

    def listen(status):
        if not asked and status.step >= step and status.lr is not None:
            asked.append(ask(folder, line, **more))

    return listen


def test_a_single_run_goes_on_as_its_branch_and_again_so(tmp_path):
    alone = train(tmp_path / "alone")
    steered = train(tmp_path / "run", at_update(tmp_path / "run", 50, "rate *0.5", run=""))
    (row,), branches, resting = rows(tmp_path / "run")
    (branch,) = branches.values()
    assert (row.state, row.branch) == ("done", branch.digest)
    assert steered.record.spec == branch.spec
    assert resting == {alone.record.spec.digest(): "left"}
    assert np.array_equal(steered.record.losses[: row.step], alone.record.losses[: row.step])
    assert not np.array_equal(steered.record.losses, alone.record.losses)
    same_bits(steered.record, replayed(tmp_path / "run", branch.spec, tmp_path / "again"))
    # The same command again: the branch is the answer still, and nothing is asked twice.
    again = train(tmp_path / "run")
    same_bits(again.record, steered.record)
    assert [one.state for one in rows(tmp_path / "run")[0]] == ["done"]
    # The parent, let go on, is what it would have been, and the answer once more.
    ask(tmp_path / "run", "resume", run=branch.parent)
    same_bits(train(tmp_path / "run").record, alone.record)


def test_a_single_run_stopped_by_command_says_how_it_goes_on(tmp_path):
    with pytest.raises(StudyStopped, match="rests by command; `calando steer"):
        train(tmp_path, at_update(tmp_path, 50, "stop", run="sgd|linear>>cosine"))
    with pytest.raises(StudyStopped, match="rests by command"):
        train(tmp_path)
    ask(tmp_path, "resume", run="")
    assert train(tmp_path).record.outcome == "finished"


def test_a_run_that_a_controller_took_back_is_not_changed_in_its_past(tmp_path):
    """Its second pass over an update is another than the first, which the branch's spec would change too."""
    text = "sgd(lr=3, momentum=0.9) | rollback(factor=0.5)"
    asked = []

    def listen(status):
        if not asked and status.lr is not None and status.lr < 3:
            asked.append(ask(tmp_path, "rate *0.5", run=""))

    calando.train("digits", text, steps=STEPS, threads=1, folder=tmp_path, listen=listen)
    ((row,), branches, _) = rows(tmp_path)
    if row.state == "refused":
        assert "taken the run back" in row.why
    else:
        (branch,) = branches.values()
        same_bits(
            calando.train("digits", text, steps=STEPS, threads=1, folder=tmp_path, listen=lambda status: None).record,
            replayed(tmp_path, branch.spec, tmp_path / "again"),
        )


def test_whoever_names_no_run_means_what_goes_on(tmp_path):
    """Between two sessions that is the branch, and not the run that it left; `resume` means what rests."""
    with pytest.raises(StudyStopped):
        train(tmp_path, both_at(tmp_path, ("from 190: rate *0.5", "stop"), run=""))
    (row, _), branches, _ = rows(tmp_path)
    parent, branch = next(iter(branches.values())).parent, row.branch
    assert the_run(known_runs(tmp_path), "") == branch
    assert the_run(known_runs(tmp_path), "", verb="resume") == parent
    ask(tmp_path, "from 195: rate *0.5", run="")
    train(tmp_path)
    assert [one.parent for one in rows(tmp_path)[1].values()] == [parent, branch]
