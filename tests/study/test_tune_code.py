"""Tunings of people's own scripts: whole runs, killed and stopped anywhere, repeated, shown, refused."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.waiting import PATIENCE, until

import calando
from calando.errors import UsageError

SCRIPT = """
import argparse, time, torch
from pathlib import Path
import calando
parser = argparse.ArgumentParser()
parser.add_argument("--out", default="")
options = parser.parse_args()
run = calando.run(STRATEGY, goal="min", unit="MSE")
x = torch.randn(64, 3, generator=torch.Generator().manual_seed(1)); y = x.sin().sum(1, keepdim=True)
model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.1), torch.nn.Linear(8, 1))
epochs = run.epochs(4)
training = run.follow(model, total_steps=len(epochs) * 8, steps_per_epoch=8)
run.keep(model=model, training=training, every=EVERY)
for epoch in epochs:
    model.train()
    for batch in run.batches(torch.randperm(64).split(8)):
        torch.nn.functional.mse_loss(model(x[batch]), y[batch]).backward()
        training.optimizer.step(); training.optimizer.zero_grad()
        time.sleep(0.5 * Path(__file__).with_name("slowly").exists())
    model.eval()
    run.report(torch.nn.functional.mse_loss(model(x), y))
run.finish(test=torch.nn.functional.mse_loss(model(x), y) + 1)
if options.out:
    from safetensors.torch import save_file
    save_file(model.state_dict(), options.out)
"""


def write(folder: Path, *, strategy: str = '"cosine", lr=0.1', every: object = 60, name: str = "train.py") -> Path:
    path = folder / name
    path.write_text(SCRIPT.replace("STRATEGY", strategy).replace("EVERY", repr(every)))
    return path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "calando", "tune", "train.py", "--threads", "1", "--json", *words]


def ended(folder: Path, *words: str) -> dict:
    done = subprocess.run(command(*words), cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def same(one: dict, other: dict) -> None:
    facts = ("strategy", "test", "validation", "updates", "arms", "ledger", "verdict", "notes", "runs")
    assert {name: one[name] for name in facts} == {name: other[name] for name in facts}


@pytest.fixture(scope="module")
def alone(made_once: Callable) -> tuple[Path, dict]:
    """A script's tuning that nobody disturbed."""

    def make(folder: Path) -> tuple[Path, dict]:
        write(folder)
        return folder, ended(folder, "--budget", "3", "--study", "t")

    return made_once("tuned-script", make)


@pytest.mark.slow
def test_a_script_is_tuned_repeated_shown_and_noticed_where_it_was_edited(
    alone: tuple[Path, dict], tmp_path: Path
) -> None:
    """In one test, as tests of a module are spread over processes, and each would tune it again."""
    has_weights_a_strategy_and_accounts(*alone)
    gives_the_same_weights_alone(*alone, tmp_path)
    is_shown_without_torch(*alone)
    is_refused_where_it_was_edited(alone[0])


def has_weights_a_strategy_and_accounts(folder: Path, facts: dict) -> None:
    assert {"test", "strategy", "updates", "updates_of_one_run", "weights", "arms"} <= facts.keys()
    assert facts["updates_of_one_run"] == 32
    assert 2 * 32 <= facts["updates"] <= 3 * 32
    assert sum(facts["ledger"].values()) == pytest.approx(facts["updates"])
    assert len(facts["arms"]) == 3
    assert facts["test"] == pytest.approx(facts["validation"] + 1)
    assert sorted(load_file(folder / facts["weights"])) == ["0.bias", "0.weight", "2.bias", "2.weight"]
    assert (folder / facts["figure"]).stat().st_size > 1000
    assert len([*(folder / "t").glob("checkpoints/*/kept.json")]) == 1


def gives_the_same_weights_alone(folder: Path, facts: dict, tmp_path: Path) -> None:
    script = write(tmp_path, strategy=repr(facts["strategy"]))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    words = [sys.executable, str(script), "--out", str(tmp_path / "w.safetensors")]
    subprocess.run(words, check=True, env=environment, cwd=tmp_path, timeout=PATIENCE)
    ours, theirs = load_file(folder / facts["weights"]), load_file(tmp_path / "w.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "signs"),
    [
        ("1", (signal.SIGKILL,)),
        *[pytest.param(one, (signal.SIGINT, signal.SIGKILL), marks=pytest.mark.torture) for one in ("1", "2")],
    ],
)
def test_stopped_and_killed_anywhere_it_goes_on_to_the_same_answer(
    alone: tuple[Path, dict], tmp_path: Path, workers: str, signs: tuple[signal.Signals, ...]
) -> None:
    """Ctrl-C, then SIGKILL, while runs are made that keep checkpoints within their epochs."""
    write(tmp_path, every=1e-9)
    chosen = random.Random(int(workers))
    words = ("--budget", "3", "--study", "t", "--workers", workers, "--no-check-repeats")
    (tmp_path / "slowly").touch()  # while it is stopped; alone its three runs take a second
    for sign in signs:
        process = subprocess.Popen(
            command(*words), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        until(lambda: any((tmp_path / "t").glob("checkpoints/*/kept.json")))
        time.sleep(chosen.uniform(0.0, 2.0))  # of the 16 s of a run
        assert process.poll() is None
        process.send_signal(sign)
        _, error = process.communicate(timeout=PATIENCE)
        if sign == signal.SIGINT:
            assert process.returncode == 130
            assert "nothing is lost" in error
        with pytest.raises(UsageError, match="has not come to its end"):
            calando.show(tmp_path / "t")
    (tmp_path / "slowly").unlink()
    facts = ended(tmp_path, *words)
    same(facts, alone[1])
    ours, theirs = load_file(alone[0] / alone[1]["weights"]), load_file(tmp_path / facts["weights"])
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def _fails(words: list[str], folder: Path) -> str:
    done = subprocess.run([sys.executable, "-m", "calando", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 2
    return done.stderr


def is_shown_without_torch(folder: Path, facts: dict) -> None:
    script = (
        "import sys, json, calando; shown = calando.show('t'); assert 'torch' not in sys.modules;"
        "print(json.dumps(shown.to_json()))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=folder
    ).stdout
    assert json.loads(shown) == {name: fact for name, fact in facts.items() if name != "figure"}


def is_refused_where_it_was_edited(folder: Path) -> None:
    text = (folder / "train.py").read_text()
    try:
        (folder / "train.py").write_text(text.replace("Linear(8, 1)", "Linear(8, 1, bias=False)"))
        error = _fails(["tune", "train.py", "--threads", "1", "--budget", "3", "--study", "t"], folder)
    finally:
        (folder / "train.py").write_text(text)
    assert "its code, data or packages have changed" in error
    assert "name another --study" in error


def test_a_script_with_too_little_budget_is_refused_in_a_line_with_the_option(tmp_path: Path) -> None:
    write(tmp_path)
    assert "give a --budget of 3 or more, got 1.5" in _fails(["tune", "train.py"], tmp_path)
    assert not (tmp_path / "calando-studies").exists()
