"""Tunings of functions that train: what has no weights, own optimizers, failing runs, more budget, refusals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import calando
from calando.errors import UsageError
from calando.records.tuning import TuneStore
from calando.study.tune import TuneStatus
from calando.verbs.tuned import Tuned


def quiet(status: TuneStatus) -> None:
    """Nothing is shown."""


def regression(run, *, keep: str = "") -> None:
    """Ten updates on a straight line, with an optimizer of its own where nothing is kept."""
    x = torch.randn(40, 3)
    y = x.sum(1, keepdim=True)
    model = nn.Linear(3, 1)
    epochs = run.epochs(2)
    training = run.follow(model, total_steps=len(epochs) * 5, steps_per_epoch=5)
    if keep == "objects":
        run.keep(model=model, teacher=nn.Linear(2, 2), training=training)
    if keep == "save":
        run.keep(
            save=lambda folder: torch.save(model.state_dict(), folder / "mine.pt"),
            load=lambda folder: model.load_state_dict(torch.load(folder / "mine.pt")),
        )
    if keep == "optimizer":
        run.keep(training=training)
    for _ in epochs:
        for batch in torch.arange(40).split(8):
            nn.functional.mse_loss(model(x[batch]), y[batch]).backward()
            training.optimizer.step()
            training.optimizer.zero_grad()
        run.report(nn.functional.mse_loss(model(x), y))


def own_optimizer(run) -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.004)
    run.scheduler(optimizer, total_steps=4, steps_per_epoch=2)
    for _ in run.epochs(2):
        for _ in range(2):
            model(torch.ones(4, 2)).square().mean().backward()
            optimizer.step()
        run.report(-model(torch.ones(1, 2)).square())
    run.finish(test=1.0)


def tune(code, folder: Path, **given) -> Tuned:
    known = {"budget": 3, "threads": 1, "folder": folder, "listen": quiet, "executor": "inline", "page": False}
    return calando.tune(code, **{**known, **given})


def keeping(what: str):
    def train(run) -> None:
        regression(run, keep=what)

    return train


def test_a_function_that_keeps_nothing_has_no_weights_and_is_told_how(tmp_path: Path) -> None:
    tuned = tune(keeping(""), tmp_path / "t", goal="min")
    assert tuned.weights is None
    facts = tuned.to_json()
    assert facts["weights"] is None
    assert facts["test"] is None
    (untested, lacking) = facts["notes"]
    assert "run.finish(test=…)" in untested
    assert "keeps no state" in lacking
    assert f'calando.run("{tuned.strategy.text}")' in lacking
    assert "no test score" in str(tuned)
    assert calando.show(tmp_path / "t").to_json() == facts


def test_several_networks_are_named_and_a_folder_of_the_codes_own_is_copied(tmp_path: Path) -> None:
    named = tune(keeping("objects"), tmp_path / "n", goal="min")
    assert named.weights is not None
    assert sorted(load_file(named.weights)) == ["model.bias", "model.weight", "teacher.bias", "teacher.weight"]
    saved = tune(keeping("save"), tmp_path / "s", goal="min")
    assert saved.weights == tmp_path / "s" / "weights"
    own = torch.load(saved.weights / "mine.pt")
    assert torch.equal(own["weight"], load_file(named.weights)["model.weight"])
    assert "is no network" in tune(keeping("optimizer"), tmp_path / "o", goal="min").remarks[-1]


def test_an_average_that_was_judged_is_not_passed_off_as_the_networks_weights(tmp_path: Path) -> None:
    tuned = tune(keeping("objects"), tmp_path / "t", strategy="sgd | cosine(1, 0) | ema(decay=0.9)", goal="min")
    assert tuned.weights is None
    assert "average" in tuned.remarks[-1]


def test_the_rate_of_an_optimizer_of_its_own_is_where_it_begins(tmp_path: Path) -> None:
    tuned = tune(own_optimizer, tmp_path / "t")
    assert sorted(arm["rate"] for arm in tuned.table()) == pytest.approx([0.001, 0.004, 0.016])
    assert tuned.strategy.method == "own"
    assert tuned.test.score == 1.0


def test_a_larger_budget_goes_on_and_what_was_made_counts(tmp_path: Path) -> None:
    first = tune(keeping("objects"), tmp_path / "t", goal="min")
    made = {piece.spec.digest() for piece in TuneStore.open(tmp_path / "t", read_only=True).pieces()}
    more = tune(keeping("objects"), tmp_path / "t", goal="min", budget=5)
    with TuneStore.open(tmp_path / "t", read_only=True) as store:
        assert made < {piece.spec.digest() for piece in store.pieces()}
        assert len(store.pieces()) == 5
    assert more.updates == 50
    assert (first.validation or 0) >= (more.validation or 0)
    whole = tune(keeping("objects"), tmp_path / "w", goal="min", budget=5)
    assert whole.strategy == more.strategy
    assert whole.weights is not None
    assert more.weights is not None
    ours, theirs = load_file(more.weights), load_file(whole.weights)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    with pytest.raises(UsageError, match="what is spent is spent"):
        tune(keeping("objects"), tmp_path / "t", goal="min")


def test_a_test_score_of_another_run_is_not_shown_as_the_answers(tmp_path: Path) -> None:
    """As after a kill between the last run of a larger budget and the look at the test part."""
    tune(keeping("objects"), tmp_path / "t", goal="min")
    with TuneStore.open(tmp_path / "t") as store:
        store.put_meta("tested", "another")
    with pytest.raises(UsageError, match="has not come to its end"):
        calando.show(tmp_path / "t")
    again = tune(keeping("objects"), tmp_path / "t", goal="min")
    assert calando.show(tmp_path / "t").to_json() == again.to_json()


def test_weights_that_were_removed_are_taken_again(tmp_path: Path) -> None:
    first = tune(keeping("objects"), tmp_path / "t", goal="min")
    assert first.weights is not None
    before = first.weights.read_bytes()
    first.weights.unlink()
    tune(keeping("objects"), tmp_path / "t", goal="min")
    assert first.weights.read_bytes() == before


def test_runs_that_fail_are_charged_and_lost_and_all_of_them_is_said(tmp_path: Path) -> None:
    def sane_below(most: float):
        def train(run) -> None:
            model = nn.Linear(2, 1)
            training = run.follow(model, total_steps=10, steps_per_epoch=5)
            for _ in run.epochs(2):
                for _ in range(5):
                    model(torch.ones(4, 2)).square().mean().backward()
                    training.optimizer.step()
                run.report(float("nan") if run.strategy.lr > most else float(run.step))

        return train

    some = tune(sane_below(0.2), tmp_path / "some")
    assert {row["ended"] for row in some.table()} == {"won", "dead", "lost"}
    assert any("the score is nan" in row["why"] for row in some.table())
    assert some.updates == 25
    none = tune(sane_below(0.0), tmp_path / "none")
    assert "every run failed" in none.verdict
    assert none.to_json()["test"] is None
    assert none.updates <= 30
    assert none.plot() is not None


def test_code_that_raises_at_a_rate_loses_it_and_at_the_usual_one_ends_the_tuning(tmp_path: Path) -> None:
    def raising(when):
        def train(run) -> None:
            model = nn.Linear(2, 1)
            training = run.follow(model, total_steps=10, steps_per_epoch=5)
            for _ in run.epochs(2):
                for _ in range(5):
                    model(torch.ones(4, 2)).square().mean().backward()
                    training.optimizer.step()
                if when(run.strategy.lr):
                    raise ArithmeticError("the loss is nan")
                run.report(run.step * run.strategy.lr)

        return train

    tuned = tune(raising(lambda rate: rate > 0.2), tmp_path / "high")
    rows = {row["rate"]: row for row in tuned.table()}
    assert rows[0.4]["ended"] == "dead"
    assert "ArithmeticError: the loss is nan" in rows[0.4]["why"]
    assert tuned.run.lr == 0.1
    assert tuned.updates == 30
    assert calando.show(tmp_path / "high").to_json() == tuned.to_json()
    with pytest.raises(UsageError, match="ArithmeticError: the loss is nan"):
        tune(raising(lambda rate: rate == 0.1), tmp_path / "usual")
    # Mended, the same folder goes on.
    assert tune(raising(lambda rate: False), tmp_path / "usual").updates == 30


def test_where_scores_do_not_tell_rates_apart_it_is_said(tmp_path: Path) -> None:
    def stuck(run) -> None:
        model = nn.Linear(2, 1)
        training = run.follow(model, total_steps=10, steps_per_epoch=5)
        for _ in run.epochs(2):
            for _ in range(5):
                model(torch.ones(4, 2)).square().mean().backward()
                training.optimizer.step()
            run.report(0.1)

    tuned = tune(stuck, tmp_path / "t", budget=5)
    assert "perhaps nothing was learned" in tuned.verdict
    assert sorted(row["rate"] for row in tuned.table()) == [0.00625, 0.025, 0.1, 0.4, 1.6]
    assert tuned.updates == 50


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget": 1.5}, "a budget= of 3 or more, got 1.5"),
        ({"budget": 0}, "budget must be"),
        ({"model": "cnn"}, "model is an option of workloads"),
        ({"strategy": "prodigy"}, "no rate to tune"),
        ({"strategy": "own(lr=0.1)"}, "is for an optimizer of your own"),
        ({"strategy": "sgd(lr=1e-9)"}, "begins at a rate from"),
        ({"steps": 7}, "asked to have 7 updates"),
        ({"seed": -1}, "seed must be"),
        ({"goal": "most"}, "goal must be"),
    ],
)
def test_what_cannot_be_is_said_before_a_folder_is_made(tmp_path: Path, given: dict, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        tune(keeping(""), tmp_path / "t", **given)
    assert not (tmp_path / "t").exists()


def test_a_workload_takes_no_goal(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="goal is for your own training code"):
        calando.tune("digits", goal="min", folder=tmp_path / "t")
