"""Other hyper-parameters of a tuning: what is proposed, what cannot be, and whole tunings killed and resumed."""

from __future__ import annotations

import builtins
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from tests.waiting import PATIENCE

import calando
from calando.analysis.also import Tried
from calando.errors import UsageError
from calando.records import StrategySpec, WorkloadSpec
from calando.records.tuning import TuneSpec, TuneStore
from calando.strategy import read_strategy
from calando.study.proposals import own_values, propose, read_also
from calando.verbs.tuned import Tuned


def tune(folder: Path, strategy: str | None = None, **given: object) -> Tuned:
    known = {"steps": 100, "threads": 1, "page": False, "folder": folder, "budget": 3, "listen": lambda status: None}
    return calando.tune("digits", strategy, **{**known, **given})  # type: ignore[arg-type]


def spec_of(strategy: StrategySpec, also: str, *, seed: int = 0) -> TuneSpec:
    names = read_also(also, strategy, budget=5)
    return TuneSpec(
        workload=WorkloadSpec(data="digits"),
        strategy=strategy.at_rate(0.1).model_copy(update={"schedules": {"lr": "cosine(1, 0)"}}),
        steps=100,
        steps_per_epoch=10,
        evaluate_every=10,
        seed=seed,
        budget=5,
        also=names,
        own=own_values(strategy, names),
    )


@settings(max_examples=6, deadline=None)
@given(
    st.sampled_from(["sgd", "sgd(momentum=0.9, weight_decay=0.0005)", "lars(weight_decay=0)"]),
    st.integers(0, 2**62),
    st.lists(st.one_of(st.floats(0, 1), st.none()), min_size=1, max_size=4),
)
def test_proposals_are_within_their_ranges_and_a_function_of_the_runs_before(
    text: str, seed: int, merits: list[float | None]
) -> None:
    spec = spec_of(read_strategy(text), "weight_decay,momentum,warmup", seed=seed)
    tried = [Tried((), 0.5)]
    for merit in merits:
        values = propose(spec, tried)
        assert values == propose(spec, tried)
        assert [name for name, _ in values] == ["weight_decay", "momentum", "warmup"]
        found = dict(values)
        centre = spec.own["weight_decay"] or 0.0005
        assert centre / 30.2 <= found["weight_decay"] <= centre * 30.2
        assert 0.499 <= found["momentum"] <= 0.9901
        assert found["warmup"] in range(21)
        run = spec.run(0.1, steps=100, also=values)
        assert run.strategy.options["momentum"] == found["momentum"]
        assert "warmup" not in run.strategy.options
        assert read_strategy(run.strategy.text).text == run.strategy.text
        tried.append(Tried(values, merit))
    assert len({one.values for one in tried}) == len(tried)


def test_after_a_few_runs_proposals_go_where_scores_are_high() -> None:
    spec = spec_of(read_strategy("sgd(weight_decay=0.0005)"), "weight_decay")
    tried = [Tried((("weight_decay", 0.00002 * 4**place),), -abs(place - 3) / 10) for place in range(5)]
    assert 0.0004 < dict(propose(spec, tried))["weight_decay"] < 0.005


def test_what_was_tried_is_not_proposed_again() -> None:
    spec = spec_of(read_strategy("sgd"), "warmup")
    tried = [Tried((), 0.5)]
    for _ in range(4):
        tried.append(Tried(propose(spec, tried), 0.5))
    found = [dict(one.values).get("warmup", 0.0) for one in tried]
    assert len({*found}) == 5


@pytest.mark.parametrize(
    ("strategy", "also", "budget", "message"),
    [
        ("sgd", "weight_decay", 1.5, "a budget= of 3 or more, got 1.5"),
        ("sgd", "batch_size", 3, "another one makes another number of updates"),
        ("sgd", "dropout", 3, "unknown hyper-parameter of also= 'dropout'"),
        ("adamw", "momentum", 3, "adamw has no momentum to propose values for; there is weight_decay, warmup"),
        ("prodigy", "weight_decay", 3, "no rate to tune"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    strategy: str, also: str, budget: float, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        tune(tmp_path / "t", strategy, also=also, budget=budget)
    assert not (tmp_path / "t").exists()


def test_own_code_is_refused(tmp_path: Path) -> None:
    def train(run: object) -> None:
        """Train."""

    with pytest.raises(UsageError, match="also is an option of workloads"):
        calando.tune(train, budget=3, also="warmup", folder=tmp_path / "t")


def test_without_optuna_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name == "optuna":
            raise ModuleNotFoundError("No module named 'optuna'")
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=re.escape("pip install 'calando[tune]'")):
        read_also("warmup", read_strategy("sgd"), budget=3)


@pytest.fixture(scope="module")
def done(made_once: Callable) -> Tuned:
    return made_once("tuned-also", lambda folder: tune(folder / "t", also="warmup,momentum,weight_decay"))


def test_an_answer_has_the_proposals_and_their_cost(done: Tuned) -> None:
    facts = done.to_json()
    assert facts["updates"] <= 300
    assert sum(facts["ledger"].values()) == pytest.approx(facts["updates"], abs=0.01)
    assert facts["ledger"]["other hyper-parameters"] == 100
    (row,) = [row for row in facts["arms"] if row["also"]]
    assert list(row["also"]) == ["weight_decay", "momentum", "warmup"]
    assert row["why"].startswith(f"weight_decay {row['also']['weight_decay']:g}, ")
    assert done.plot() is not None
    assert json.loads(json.dumps(calando.show(done.folder).to_json())) == json.loads(json.dumps(facts))


def test_it_is_shown_without_optuna_and_torch(done: Tuned) -> None:
    script = (
        "import sys, calando; shown = calando.show(sys.argv[1]); print(shown);"
        "assert not {'torch', 'optuna'} & {*sys.modules}"
    )
    shown = subprocess.run([sys.executable, "-c", script, str(done.folder)], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(done)


KILLED = """
import os, signal
from calando.cli.main import main
from calando.study.tune import _Tuning
heard = _Tuning.on_progress
def last(self, progress):
    heard(self, progress)
    if self.store.proposals:
        os.kill(os.getpid(), signal.SIGKILL)
_Tuning.on_progress = last
main()
"""


def test_killed_while_a_proposal_is_trained_it_goes_on_to_the_same(done: Tuned, tmp_path: Path) -> None:
    words = ["tune", "digits", "--steps", "100", "--threads", "1", "--json", "--budget", "3", "--study", "t"]
    command = [sys.executable, "-c", KILLED, *words, "--also", "warmup,momentum,weight_decay"]
    killed = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=PATIENCE)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with TuneStore.open(tmp_path / "t", read_only=True) as store:
        assert store.proposals
    with pytest.raises(UsageError, match="has not come to its end"):
        calando.show(tmp_path / "t")
    # The command's question, asked from Python.
    facts, expected = tune(tmp_path / "t", also="warmup,momentum,weight_decay").to_json(), done.to_json()
    for name in ("strategy", "also", "test", "updates", "arms", "ledger", "verdict"):
        assert facts[name] == expected[name]


def test_a_larger_budget_tries_more_and_keeps_what_was_tried(done: Tuned, tmp_path: Path) -> None:
    shutil.copytree(done.folder, tmp_path / "t")
    more = tune(tmp_path / "t", also="weight_decay,momentum,warmup", budget=5, workers=2)
    tried = [row["also"] for row in more.to_json()["arms"] if row["also"]]
    assert next(row["also"] for row in done.table() if row["also"]) in tried
    assert len(tried) == 3
    assert more.updates <= 500
    whole = tune(tmp_path / "w", also="weight_decay,momentum,warmup", budget=5)
    ours, theirs = load_file(more.folder / "weights.safetensors"), load_file(whole.folder / "weights.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert more.strategy == whole.strategy
    with pytest.raises(UsageError, match="another question"):
        tune(tmp_path / "t", also="warmup", budget=5)


def test_a_proposal_that_wins_is_the_answer_and_trains_alone_to_its_weights(tmp_path: Path) -> None:
    """From a start with far too much weight decay, whatever is proposed is better."""
    tuned = tune(tmp_path / "t", "sgd(momentum=0.9, weight_decay=1.0)", also="weight_decay", budget=6)
    assert tuned.to_json()["also"]
    assert tuned.strategy.options["weight_decay"] < 1
    assert "the best on validation of" in tuned.verdict
    trained = calando.train(
        "digits", tuned.strategy, steps=100, threads=1, folder=tmp_path / "alone", listen=lambda _: None
    )
    assert tuned.weights is not None
    ours, theirs = load_file(tuned.weights), load_file(trained.weights)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
