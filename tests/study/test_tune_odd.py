"""Tunings that are odd: methods of two passes, rates out of reach, budgets that end early, folders that hold others."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import calando
from calando.errors import UsageError
from calando.records.tuning import TuneStore
from calando.study.tune import TuneStatus
from calando.verbs.tune import Tuned


def tune(folder: Path, strategy: str | None = None, **given: object) -> Tuned:
    known: dict[str, object] = {
        "steps": 100,
        "threads": 1,
        "page": False,
        "folder": folder,
        "listen": lambda status: None,
    }
    return calando.tune("digits", strategy, **{**known, **given})  # type: ignore[arg-type]


def test_a_run_of_a_method_with_two_passes_is_a_whole_run_of_the_budget(tmp_path: Path) -> None:
    tuned = tune(tmp_path / "t", "sam")
    assert len(tuned.table()) > 1
    assert not tuned.result.settled.died
    assert tuned.run.steps == 100
    assert 200 < tuned.updates <= 300
    assert tuned.runs <= 1.5


@pytest.mark.parametrize("rate", ["1e4", "1e-9"])
def test_a_rate_that_no_race_begins_at_is_refused(tmp_path: Path, rate: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"from 1e-08 to 1000, got {float(rate):g}")):
        tune(tmp_path / "t", f"sgd(lr={rate})")


def test_a_controller_that_takes_no_second_pass_leaves_room_for_a_race(tmp_path: Path) -> None:
    assert len(tune(tmp_path / "t", "sgd | cosine(1, 0) | plateau").table()) > 1


def test_a_rate_far_too_high_is_not_called_the_fault_of_the_data_alone(tmp_path: Path) -> None:
    verdict = tune(tmp_path / "t", "adamw(lr=100)").verdict
    assert verdict.startswith("nothing was learned at rates from 25 to 400")
    assert "begin at another rate" in verdict


def test_progress_goes_on_from_what_was_made(tmp_path: Path) -> None:
    tune(tmp_path / "t")
    seen: list[TuneStatus] = []
    tune(tmp_path / "t", listen=seen.append)
    with TuneStore.open(tmp_path / "t") as store:
        made = sum(piece.stop - piece.start for piece in store.pieces())
    assert seen[0].charged == made


def test_a_budget_of_one_run_says_that_there_was_no_race(tmp_path: Path) -> None:
    tuned = tune(tmp_path / "t", budget=1.0)
    assert "no room to race another" in tuned.verdict
    assert tuned.runs <= 1


def test_where_nothing_is_learned_no_arm_is_called_as_good_as_any_or_still_in_the_race(tmp_path: Path) -> None:
    rows = tune(tmp_path / "t", "sgd(lr=1e-7)").table()
    assert all("nothing was learned" in row["why"] for row in rows)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return tune(tmp_path_factory.mktemp("done") / "t")


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_checkpoint_that_is_gone_or_damaged_costs_time_alone(done: Tuned, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "t"
    shutil.copytree(done.folder, folder)
    (folder / "weights.safetensors").unlink()
    for path in folder.glob("checkpoints/*/tensors-*"):
        path.unlink() if how == "gone" else path.write_bytes(path.read_bytes()[:500])
    seen: list[TuneStatus] = []
    again = tune(folder, listen=seen.append)
    assert any("trained again" in note for note in seen[-1].notes)
    ours, theirs = load_file(done.weights), load_file(again.weights)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert again.to_json()["ledger"] == done.to_json()["ledger"]


def test_a_comparison_does_not_move_into_a_tuning(done: Tuned) -> None:
    with pytest.raises(UsageError, match="holds a tuning"):
        calando.compare("digits", "fixed", folder=done.folder, steps=5, seeds=1, lr=0.1, executor="inline")
    assert not (done.folder / "study.sqlite").exists()


@pytest.mark.parametrize(
    ("given", "named"), [({"batch_size": 32}, "batch_size 64, now 32"), ({"seed": 4}, "seed 0, now 4")]
)
def test_another_question_is_refused_by_what_differs(done: Tuned, given: dict[str, int], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        tune(done.folder, **given)


def test_a_folder_of_tunings_is_listed(done: Tuned) -> None:
    (listed,) = calando.show(done.folder.parent)
    assert listed.tuned is not None
    assert listed.state == f"tuned: {done.verdict}"
    assert listed.row["study"] == str(done.folder)


def test_a_tuning_has_a_page_that_opens_alone(done: Tuned) -> None:
    page = calando.write_report(done.folder)
    text = html.unescape(page.read_text())
    assert done.verdict[1:] in text
    assert done.strategy.text in text
    assert "weights.safetensors" in text
    assert all(row["why"] in text for row in done.table())
    assert all(name in text for name, cost in done.ledger.items() if cost)
    assert f"{done.runs:.2f}" in text
    assert not re.search(r"(src|href)=.https?:", text)
    assert (done.folder / "figures" / "race.svg").is_file()


def test_a_controller_that_measures_at_first_is_charged_for_that_alone(tmp_path: Path) -> None:
    tuned = tune(tmp_path / "t", "sgd | edge(until='10%')")
    assert tuned.run.steps == 100
    assert len(tuned.table()) > 1
    assert tuned.runs <= 1.5


def test_other_targets_are_other_data(tmp_path: Path) -> None:
    x = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))

    def ask(y: torch.Tensor) -> None:
        task = calando.workload(train=(x, y), model=lambda inputs: nn.Linear(inputs[0], 1), batch_size=32, name="d")
        calando.tune(task, steps=100, threads=1, folder=tmp_path / "t", listen=lambda status: None)

    ask(x.sum(1))
    with pytest.raises(UsageError, match="the data has changed"):
        ask(x.sum(1) + 1)
