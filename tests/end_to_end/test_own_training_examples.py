"""Six tasks that are no image classification, each compared in its own loop and judged in its own unit."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.waiting import PATIENCE

import calando
from calando.loops import run_handle
from calando.loops.run_channel import Assignment
from calando.loops.run_handle import RunOver
from calando.loops.run_result import read_result
from calando.loops.run_start import active
from calando.strategy import read_strategy

FOLDER = Path(__file__).parents[2] / "examples" / "own_training"
TASKS = ("characters", "multi_label", "regression", "segmentation", "transformer", "two_networks")
STRATEGIES = ("fixed", "cosine", "adamw-cosine")


def test_there_are_six():
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted(TASKS)


@pytest.fixture(params=TASKS)
def task(request):
    needed = {"multi_label": "sklearn", "regression": "sklearn", "transformer": "transformers"}
    if request.param in needed:
        pytest.importorskip(needed[request.param])
    place = importlib.util.spec_from_file_location(f"own_{request.param}", FOLDER / f"{request.param}.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_a_task_is_compared_and_judged_in_its_own_unit(task, tmp_path, capsys):
    answer = calando.compare(
        task.train,
        *STRATEGIES,
        goal=task.GOAL,
        unit=task.UNIT,
        folder=tmp_path,
        executor="inline",
        seeds=2,
        rates=2,
        beyond=0,
    )
    assert "not repeatable" not in capsys.readouterr().err
    measure = answer.spec.workload.measure
    assert (measure.goal, measure.unit) == (task.GOAL, task.UNIT)
    assert {one.name for one in answer.results} == set(STRATEGIES)
    assert any(len(set(one.test.values)) == 2 for one in answer.results), "a seed changes what is trained"
    means = {one.name: measure.merit(one.test.mean) for one in answer.results}
    assert means[answer.best] == max(means.values())
    assert len(answer.comparisons) == 2
    for words in (answer.headline, *(one.text for one in answer.comparisons)):
        assert "point" not in words or task.UNIT == "%"


@pytest.mark.parametrize("strategy", ["adamw-cosine", "ema-cosine", "schedule_free_sgd", "rollback"])
def test_a_task_that_is_stopped_again_and_again_comes_to_the_same_numbers(task, strategy, tmp_path, monkeypatch):
    """Both networks of two, the average next to the weights, generators."""
    monkeypatch.setattr(run_handle, "SAID_SECONDS", 0.0)
    spec = read_strategy(strategy)
    spec = spec if spec.lr is not None else spec.at_rate(0.02)
    results = []
    for stops in (0, 3):
        folder = tmp_path / str(stops)
        folder.mkdir()
        asked = Assignment(strategy="", seed=1, folder=str(folder), goal=task.GOAL)
        began_at = []
        for left in range(stops, -1, -1):
            seen = []

            def hear(report, seen=seen, left=left) -> bool:
                seen += [report["step"]] if report["kind"] == "progress" else []
                # Half of it, and one more: past the end of an epoch.
                return left > 0 and len(seen) > run.total_steps / 2

            with active(spec, asked, hear) as run:
                try:
                    task.train(run)
                except RunOver:
                    assert run.stopped
                    continue
                finally:
                    began_at.append(seen[0])
            break
        assert (max(began_at) > 1) == (stops > 0), "it goes on where it stood"
        results.append(read_result(folder))
    one, other = results
    assert one.test == other.test
    assert (one.looks, one.rates.tolist(), one.losses.tolist()) == (
        other.looks,
        other.rates.tolist(),
        other.losses.tolist(),
    )


@pytest.mark.torture
def test_the_script_is_compared_as_its_first_lines_say(tmp_path):
    """One through processes: the others differ in what is trained alone."""
    script = FOLDER / "two_networks.py"
    command = [sys.executable, "-W", "error", "-c", "from calando.cli.main import main; main()", "compare", script]
    options = ["fixed", "adamw-cosine", "--seeds", "2", "--lr", "0.01", "--workers", "2", "--json"]
    found = os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])}
    ended = subprocess.run(
        [*command, *options, "--", "--size", "tiny"],
        cwd=tmp_path,
        env=found,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert (answer["spec"]["workload"]["goal"], answer["spec"]["workload"]["unit"]) == ("min", "energy distance")
    assert all(len(one["test"]["values"]) == 2 for one in answer["results"])
