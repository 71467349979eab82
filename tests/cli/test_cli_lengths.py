"""Several lengths in one command, and strategies that say their own."""

import json
import re

import numpy as np
import pytest

from calando.errors import UsageError
from calando.records import Store
from calando.records.follower import Progress
from calando.study.jobs import JobProgress, Lease, Train
from calando.study.standing import Status
from calando.verbs.progress import StudyProgress
from calando.verbs.schedules import horizon_of

SMALL = ("--executor", "inline", "--batch-size", "32", "--seeds", "2", "--rates", "1")


def test_compare_runs_every_strategy_at_every_length(calando, tmp_path):
    own = "own = sgd(lr=0.05) | linear(1, 0) | horizon('50%')"
    ended = calando("compare", "digits", "fixed", own, "--steps", "12,6", *SMALL, "--study", "s")
    assert ended.status == 0, ended
    assert "digits with cnn, batch 32, 6 / 12 steps a run, 3 strategies, 2 paired seeds" in ended.err
    for name in ("fixed 6 steps", "fixed 12 steps", "own"):
        assert re.search(rf"^{name} ", ended.out, re.MULTILINE)
    with Store.open(tmp_path / "s", read_only=True) as store:
        runs = store.runs().values()
        assert store.study.evaluate_every == 6
    lengths = {(record.spec.strategy.method, record.spec.lr, record.spec.steps): len(record.losses) for record in runs}
    assert lengths[("sgd", 0.05, 6)] == 6
    assert sorted(lengths.values()) == [6, 6, 12]
    assert "6 / 12 steps" in (tmp_path / "s" / "report.html").read_text()


def test_one_length_makes_the_study_it_always_made(calando):
    first = calando("compare", "digits", "fixed", "--steps", "6", *SMALL, "--no-page", "--json")
    again = calando("compare", "digits", "fixed", "--steps", " 6 ", *SMALL, "--no-page", "--json")
    assert first.json == again.json
    assert [result["name"] for result in first.json["results"]] == ["fixed"]
    assert not again.left


def test_train_is_as_long_as_the_strategy_says(calando, tmp_path):
    text = "sgd(lr=0.05) | linear(1, 0) | horizon(6)"
    ended = calando("train", "digits", text, "--batch-size", "32", "--threads", "1", "--out", "run", "--json")
    assert (ended.status, ended.json["steps_done"]) == (0, 6)
    spec = json.loads((tmp_path / "run" / "spec.json").read_text())["spec"]
    assert spec["steps"] == 6
    assert "horizon" not in spec["strategy"]


def test_plot_and_lint_take_a_strategys_own_length(calando):
    text = "sgd | linear(1, 0) | horizon('25%')"
    shown = calando("plot", text, "linear(1, 0)", "--steps", "40", "--json").json
    assert np.allclose(shown[text], shown["linear(1, 0)"][::4])
    warmup = "sgd | linear(0.1, 1, over='30 steps') >> constant(1)"
    assert calando("lint", warmup, "--steps", "40").status == 0
    refused = calando("lint", f"{warmup} | horizon(20)", "--steps", "40")
    assert refused.status != 0


def test_a_length_is_a_strategys_own_or_what_is_asked_for():
    assert horizon_of("cosine(1, 0)", 40, steps_per_epoch=None) == 40
    assert horizon_of("sgd | horizon('2 epochs')", 40, steps_per_epoch=15) == 30
    with pytest.raises(UsageError, match="needs steps_per_epoch"):
        horizon_of("sgd | horizon('2 epochs')", 40, steps_per_epoch=None)
    with pytest.raises(UsageError, match="must be at most what .* 40;"):
        horizon_of("sgd | horizon(41)", 40, steps_per_epoch=None)


def test_the_live_display_shows_every_runs_own_length(finished_study, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "140")
    with Store.open(finished_study, read_only=True) as store:
        study = store.study
    short = study.strategies[0].model_copy(update={"horizon": "10 steps"})
    study = study.model_copy(update={"strategies": (short, *study.strategies[1:])})
    runs = [study.run(strategy.at_rate(0.1), seed=1) for strategy in study.strategies]
    running = {
        slot: JobProgress(slot=slot, lease=Lease(slot, Train(run)), now=Progress(5, lr=0.1, loss=1.5))
        for slot, run in enumerate(runs)
    }
    with StudyProgress() as listen:
        listen(Status(study, tmp_path, expected=6, running=running, steps_left=80))
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "10 / 20 steps a run" in drawn
    assert re.search(rf"worker 1 +{runs[0].strategy.name} lr=0.1 seed 1 +step 5/10 ", drawn)
    assert re.search(rf"worker 2 +{runs[1].strategy.name} lr=0.1 seed 1 +step 5/20 ", drawn)


def test_the_same_study_takes_more_lengths_strategies_and_seeds(calando, refused, tmp_path):
    """Runs there are stay as they are and are not made again; what was asked first is not taken back."""
    small = ("--executor", "inline", "--batch-size", "32", "--rates", "1", "--study", "s", "--json")

    def runs() -> dict[str, bytes]:
        with Store.open(tmp_path / "s", read_only=True) as store:
            return {digest: record.losses.tobytes() for digest, record in store.runs().items()}

    assert calando("compare", "digits", "fixed", "--steps", "6", "--seeds", "2", *small).status == 0
    before = runs()
    larger = ("compare", "digits", "fixed", "sgd(lr=0.05)", "--steps", "6,12", "--seeds", "3", *small)
    ended = calando(*larger)
    assert (ended.status, ended.json["complete"]) == (0, True), ended
    assert {one["name"] for one in ended.json["results"]} == {
        f"{name} {steps} steps" for name in ("fixed", "sgd") for steps in (6, 12)
    }
    assert len(runs()) == 12
    assert before.items() <= runs().items()
    assert calando(*larger).json == ended.json
    assert "has 3 seeds, got 2" in refused("compare", "digits", "fixed", "--steps", "6", "--seeds", "2", *small).err
    left_out = refused("compare", "digits", "fixed", "--steps", "6,12", "--seeds", "3", *small).err
    assert "holds strategy 'sgd 6 steps', which is left out here" in left_out
