"""A person's own training code is steered too: with what it keeps it goes on, else it begins again; the same bits."""

import time

import pytest
import torch
from tests.study.steering_kit import ask, records, rows, same_bits
from torch.nn.functional import mse_loss

import calando
from calando.errors import StudyStopped
from calando.study import own_training, steering

STEPS = 300


def train(run, *, keeps=True):
    made = []
    x = torch.randn(256, 8)
    y = x[:, :1] * x[:, 1:2]
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    steps = run.steps(STEPS)
    training = run.follow(model, total_steps=len(steps))
    if keeps:
        run.keep(model=model, training=training)
    for step in steps:
        batch = torch.randint(0, 256, (32,))
        mse_loss(model(x[batch]), y[batch]).backward()
        training.optimizer.step()
        training.optimizer.zero_grad()
        made.append(step)
        time.sleep(0.002)
        if step % 100 == 99:
            run.report(mse_loss(model(x), y))
    UPDATES.append(len(made))


def without_keeping(run):
    train(run, keeps=False)


UPDATES: list[int] = []


@pytest.fixture(autouse=True)
def heard_at_once(monkeypatch):
    # What it reports comes now and then, so that it keeps its state some updates after the last report.
    monkeypatch.setattr(own_training, "SAID_SECONDS", 0.03)
    monkeypatch.setattr("calando.loops.run_handle.SAID_SECONDS", 0.03)
    monkeypatch.setattr(steering, "LOOK_SECONDS", 0.0)
    UPDATES.clear()


def compare(code, folder, *strategies, listen=lambda status: None):
    given = {"goal": "min", "seeds": 1, "check_repeats": False, "executor": "inline", "page": False}
    return calando.compare(code, *strategies, folder=folder, listen=listen, threads=1, **given)


@pytest.mark.parametrize("code", [train, without_keeping])
def test_a_branch_of_ones_own_code(tmp_path, code):
    asked = []

    def listen(status):
        if not asked and any(one.now.step >= 100 for one in status.running.values()):
            asked.append(ask(tmp_path / "study", "rate *0.5"))

    text = "mine = adamw(lr=0.01) | cosine(1, 0)"
    with pytest.raises(StudyStopped, match="rest by command"):
        compare(code, tmp_path / "study", text, listen=listen)
    (row,), branches, resting = rows(tmp_path / "study")
    (branch,) = branches.values()
    assert (row.state, resting) == ("done", {branch.parent: "left"})
    made = records(tmp_path / "study")[branch.digest]
    # Of what it keeps it goes on; else it begins again, to the same bits.
    assert (UPDATES[-1] == STEPS) == (code is without_keeping)
    compare(code, tmp_path / "alone", f"mine = {branch.spec.strategy.text}")
    (alone,) = records(tmp_path / "alone").values()
    same_bits(made, alone)
    ask(tmp_path / "study", "resume", run=branch.parent)
    assert compare(code, tmp_path / "study", text).complete
    resumed = rows(tmp_path / "study")[0][-1]
    # Of code that keeps nothing there is no step that it goes on from.
    assert (resumed.state, resumed.step > 0) == ("done", code is train)
    parent = records(tmp_path / "study")[branch.parent]
    assert parent.losses[:100].tobytes() == made.losses[:100].tobytes()


def test_its_length_is_its_own(tmp_path):
    asked = []

    def listen(status):
        if not asked and any(one.now.step >= 50 for one in status.running.values()):
            asked.append(ask(tmp_path, "horizon 500"))

    assert compare(train, tmp_path, "mine = adamw(lr=0.01)", listen=listen).complete
    ((row,), _, resting) = rows(tmp_path)
    assert (row.state, resting) == ("refused", {})
    assert "says how long it trains" in row.why


def breaks_when_steered(run):
    if "piecewise" in run.strategy.text:
        raise RuntimeError("this rate breaks it")
    train(run)


def test_a_branch_whose_code_fails_ends_no_study(tmp_path):
    asked, notes = [], []

    def listen(status):
        notes[:] = status.notes
        if not asked and any(one.now.step >= 50 for one in status.running.values()):
            asked.append(ask(tmp_path, "fork: rate *0.5"))

    for _ in range(2):  # and again when the study goes on
        assert compare(breaks_when_steered, tmp_path, "mine = adamw(lr=0.01)", listen=listen).complete
    ((row,), _, _) = rows(tmp_path)
    assert row.state in ("accepted", "done")
    assert any("this rate breaks it" in note for note in notes)
