"""Whole tunings on digits: killed, resumed, on more workers, replayed, with more budget, and where nothing learns."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.waiting import PATIENCE

import calando
from calando.analysis.tuned import concluded
from calando.errors import UsageError
from calando.records.tuning import TuneStore
from calando.study.tune import TuneStatus
from calando.verbs.tune import Tuned

COMMAND = [sys.executable, "-m", "calando", "tune", "digits", "--steps", "200", "--threads", "1", "--json"]


def quiet(status: TuneStatus) -> None:
    """Nothing is shown."""


def tune(folder: Path, **given: object) -> Tuned:
    known: dict[str, object] = {"steps": 200, "threads": 1, "page": False, "folder": folder, "listen": quiet}
    return calando.tune("digits", **{**known, **given})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def alone(made_once: Callable) -> Tuned:
    """A tuning that nobody disturbed."""
    return made_once("tuned", lambda folder: tune(folder / "t"))


def same(one: Tuned, other: Tuned) -> None:
    """The same answer, to the bit."""
    facts, others = one.to_json(), other.to_json()
    for fact in ("seconds", "weights"):
        facts.pop(fact), others.pop(fact)
    assert facts == others
    ours, theirs = load_file(one.weights), load_file(other.weights)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_an_answer_has_weights_a_strategy_and_accounts(alone: Tuned) -> None:
    facts = json.loads(json.dumps(alone.to_json()))
    assert {"test", "strategy", "updates", "updates_of_one_run", "weights", "arms"} <= facts.keys()
    assert facts["updates"] <= 1.5 * facts["updates_of_one_run"] == 300
    assert sum(facts["ledger"].values()) == pytest.approx(facts["updates"], abs=0.01)
    assert facts["test"] > 0.95
    assert len(alone.table()) == len(facts["arms"]) >= 3
    assert "rate" in str(alone)
    made = sum(piece.stop - piece.start for piece in TuneStore.open(alone.folder).pieces())
    assert made + alone.ledger["evaluations"] == pytest.approx(alone.updates)


def test_its_strategy_trained_alone_gives_its_weights(alone: Tuned, tmp_path: Path) -> None:
    trained = calando.train("digits", alone.strategy, steps=200, threads=1, folder=tmp_path, listen=lambda _: None)
    ours, theirs = load_file(alone.weights), load_file(trained.weights)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert trained.test.score == alone.test.score


def test_asked_again_it_trains_nothing(alone: Tuned) -> None:
    before = TuneStore.open(alone.folder).pieces()
    same(alone, tune(alone.folder))
    assert len(TuneStore.open(alone.folder).pieces()) == len(before)


def test_the_answer_is_a_function_of_what_is_stored(alone: Tuned) -> None:
    with TuneStore.open(alone.folder, read_only=True) as store:
        pieces, spec = store.pieces(), store.spec
        test = store.test
    random.Random(0).shuffle(pieces)
    result = concluded(spec, pieces, test)
    assert result is not None
    assert result.settled.leg == alone.result.settled.leg
    assert result.settled.charged == alone.updates
    assert concluded(spec, pieces[1:], test) is None


def test_it_is_shown_without_torch(alone: Tuned) -> None:
    script = (
        "import sys, json, calando; shown = calando.show(sys.argv[1]); assert 'torch' not in sys.modules;"
        "print(json.dumps(shown.to_json()))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script, str(alone.folder)], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(shown) == json.loads(json.dumps(alone.to_json()))


KILLED = """
import os, signal, sys
from calando.cli.main import main
from calando.records.tuning import TuneStore
put, left = TuneStore.put, int(sys.argv.pop(1))
def last(self, piece):
    global left
    put(self, piece)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
TuneStore.put = last
main()
"""


@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.torture)])
def test_killed_anywhere_it_goes_on_to_the_same_answer(alone: Tuned, tmp_path: Path, kills: int) -> None:
    chosen = random.Random(4)
    made = 0
    for _ in range(kills):
        more = chosen.randrange(1, 5)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(more), *COMMAND[3:], "--study", "t"],
            cwd=tmp_path,
            capture_output=True,
            timeout=PATIENCE,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        made += more
        with TuneStore.open(tmp_path / "t", read_only=True) as store:
            assert len(store.pieces()) == made
    # The command's question, asked from Python.
    done = tune(tmp_path / "t")
    facts, expected = done.to_json(), alone.to_json()
    for name in ("strategy", "test", "updates", "arms", "ledger", "validation", "notes"):
        assert facts[name] == expected[name]
    ours, theirs = load_file(alone.weights), load_file(done.weights)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_several_workers_come_to_the_same(alone: Tuned, tmp_path: Path) -> None:
    same(alone, tune(tmp_path / "t", workers=2))


def test_a_larger_budget_goes_on_from_there(tmp_path: Path) -> None:
    first = tune(tmp_path / "t", budget=1.2)
    more = tune(tmp_path / "t", budget=1.5)
    assert more.updates <= 300
    assert first.updates <= 240
    with pytest.raises(UsageError, match="what is spent is spent"):
        tune(tmp_path / "t", budget=1.2)


def test_a_schedule_that_is_given_stays(tmp_path: Path) -> None:
    tuned = tune(tmp_path / "t", strategy="sgd(momentum=0.9) | cosine(1, 0)")
    assert tuned.strategy.schedules["lr"] == "cosine(1, 0)"
    assert tuned.updates <= 300


def nothing_to_learn() -> calando.Workload:
    """Labels that have nothing to do with the pictures."""
    drawn = np.random.default_rng(0)
    pictures = drawn.integers(0, 255, (256, 1, 8, 8), dtype=np.uint8)
    return calando.workload(train=(pictures, drawn.integers(0, 10, 256)), model=_linear, batch_size=32)


def _linear(classes: int) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.999), torch.nn.Linear(64, classes))


def test_where_nothing_learns_a_line_says_so(tmp_path: Path) -> None:
    tuned = calando.tune(nothing_to_learn(), steps=100, threads=1, folder=tmp_path / "t", listen=quiet)
    assert tuned.updates <= 150
    assert "nothing was learned" in tuned.verdict
    assert tuned.weights.is_file()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget": 0.5}, "budget must be"),
        ({"steps": 20}, "at least 100 updates"),
        ({"strategy": "prodigy"}, "no rate to tune"),
        ({"strategy": "sgd(momentum=0.9) | cosine(1, 0) | rollback()"}, "leave rollback"),
        ({"strategy": "sdg"}, "sdg"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(given: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        tune(tmp_path / "t", **given)
    assert not (tmp_path / "t" / "tune.sqlite").exists()


def test_a_folder_of_something_else_is_refused(alone: Tuned, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another question"):
        tune(alone.folder, seed=1)
    (tmp_path / "study.sqlite").touch()
    with pytest.raises(UsageError, match="holds a comparison"):
        tune(tmp_path)


def fragile() -> calando.Workload:
    """Digits and a network that breaks once its weights have grown by so much: sooner at higher rates."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pictures = (found.images[:, None] * 15).astype(np.uint8)
    return calando.workload(train=(pictures, found.target), model=Fragile, batch_size=32)


class Fragile(torch.nn.Module):
    """A linear network whose outputs are not finite where a weight is above a bound."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.linear(x.flatten(1))
        return torch.where(self.linear.weight.detach().abs().max() > BOUND, torch.nan, scores)


BOUND = 0.5


def test_a_run_that_breaks_goes_back_and_its_strategy_says_how(tmp_path: Path) -> None:
    tuned = calando.tune(
        fragile(), "sgd(lr=0.05, momentum=0.9)", steps=400, threads=1, folder=tmp_path / "t", listen=quiet
    )
    print(tuned, tuned.table(), tuned.strategy.text, tuned.ledger, tuned.result.settled.notes)
    assert tuned.ledger["going back"] > 0
    assert not tuned.result.settled.died
    assert tuned.updates <= 600
    given = {"steps": tuned.run.steps, "threads": 1, "folder": tmp_path / "alone", "listen": lambda _: None}
    trained = calando.train(fragile(), tuned.strategy, **given)  # type: ignore[arg-type]
    ours, theirs = load_file(tuned.weights), load_file(trained.weights)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
