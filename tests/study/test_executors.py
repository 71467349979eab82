"""What every executor keeps to, by the public kit. A new one joins with one line in `MAKERS`."""

import os
import re
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from tests.waiting import is_alive, until

import calando
from calando.study import executors
from calando.study.checkpoint_cache import run_folder
from calando.study.executors import EXECUTORS
from calando.study.executors.inline import InlineExecutor
from calando.study.executors.process import ProcessExecutor
from calando.study.jobs import Finished, Lost, OnProgress, Stopped, Train
from calando.study.workers.messages import Setup
from calando.testing.executor_trial import CONSTANT, ExecutorTrial, Make, alone, same
from calando.testing.executors import EXECUTOR_CHECKS, FALLING

LONG, SLOW = 240, "dawdle 0.5"  # two minutes


def inline(setup: Setup, on_progress: OnProgress) -> InlineExecutor:
    return InlineExecutor(setup, on_progress=on_progress)


def process(setup: Setup, on_progress: OnProgress) -> ProcessExecutor:
    return ProcessExecutor(setup, workers=2, on_progress=on_progress)


@pytest.fixture(scope="module", autouse=True)
def ray_is_ended():
    """The one that all tests here share."""
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


def ray(setup: Setup, on_progress: OnProgress, *, shared: bool | None = None):
    """On the Ray that the tests share."""
    there = pytest.importorskip("ray")
    from calando.study.executors.ray import RayExecutor
    from calando.study.workers.ray_cluster import join

    if not there.is_initialized():
        join(None, cpus=2)
    return RayExecutor(setup, workers=2, on_progress=on_progress, shared=shared)


MAKERS: dict[str, Make] = {
    "inline": inline,
    "process": process,
    "ray": ray,
    "ray without a shared path": partial(ray, shared=False),
}


@pytest.fixture(scope="module", params=MAKERS)
def kept(request, tmp_path_factory):
    """One that all tests of an executor share: what they do to its workers is not to be noticed by the next."""
    crew = ExecutorTrial(MAKERS[request.param], tmp_path_factory.mktemp("crew"))
    yield crew
    crew.executor.stop()


@pytest.fixture
def crew(kept):
    if kept.stopped:
        kept.start()
    kept.mood.write_text("calm")
    return kept


# Those whose workers can be killed.
mortal = pytest.mark.parametrize("kept", ["process", pytest.param("ray", marks=pytest.mark.torture)], indirect=True)


# Inline passes all of them in the example of `check_executor`; over Ray one is shown, which holds records and weights
# against those of the run alone too, in the harder of its two ways; all by `make torture`; stopping, by
# `test_stop_puts_away_and_the_next_goes_on_to_the_same_bits`.
SHOWN_OVER_RAY = ("a_fork_is_reported_and_other_leases_start_from_it",)


@pytest.mark.parametrize(
    ("kept", "check"),
    [
        pytest.param(
            kept,
            check,
            marks=[] if kept == "process" or (kept != "ray" and check in SHOWN_OVER_RAY) else [pytest.mark.torture],
        )
        for kept in ("process", "ray", "ray without a shared path")
        for check in EXECUTOR_CHECKS
    ],
    indirect=["kept"],
)
def test_it_does_what_every_executor_must(crew, check):
    EXECUTOR_CHECKS[check](crew)


@mortal
def test_workers_killed_and_silent_are_lost_and_their_slots_live_again(crew, tmp_path, monkeypatch):
    """SIGKILL for one. SIGSTOP for the other: it answers no more, and must not come back and write where others do."""
    crew.mood.write_text(SLOW)
    specs = [crew.run(FALLING, seed=seed, steps=LONG) for seed in (7, 8)]
    leases = [crew.submit(Train(spec)) for spec in specs]
    victims = [crew.process_of(lease) for lease in leases]
    os.kill(victims[0], signal.SIGKILL)
    (killed,) = crew.hear(leases[0])
    assert isinstance(killed, Lost)
    assert "killed by SIGKILL" in killed.reason
    again = crew.submit(Train(specs[0]))
    # The new worker, which starts meanwhile, is still to be heard of often enough: it gives a sign every two seconds.
    crew.process_of(again)
    monkeypatch.setattr(executors, "SILENT_SECONDS", 20.0)
    os.kill(victims[1], signal.SIGSTOP)
    (silent,) = crew.hear(leases[1])
    monkeypatch.undo()
    assert isinstance(silent, Lost)
    assert "no sign of life for 20 s" in silent.reason
    assert gone(victims[1])
    crew.mood.write_text("calm")
    words = crew.hear(again, crew.submit(Train(specs[1])))
    for spec, word in zip(specs, words, strict=True):
        assert same(word.result, alone(spec, crew.workload, tmp_path)[0])
    assert not {*victims} & {*crew.executor.process_ids}


@pytest.mark.parametrize(
    "kept",
    ["inline", "process", pytest.param("ray", marks=pytest.mark.torture), "ray without a shared path"],
    indirect=True,
)
def test_stop_puts_away_and_the_next_goes_on_to_the_same_bits(crew, tmp_path):
    """The next is of another kind even: what was put away lies where any finds it."""
    specs = [crew.run(CONSTANT, seed=30 + slot, steps=LONG) for slot in range(crew.executor.slots)]
    crew.mood.write_text(SLOW)
    leases = [crew.submit(Train(spec)) for spec in specs]
    if isinstance(crew.executor, InlineExecutor):
        assert crew.stop() == []
    else:
        processes = [crew.process_of(lease) for lease in leases]
        words = crew.stop()
        assert {word.lease.number for word in words if isinstance(word, Stopped)} == {one.number for one in leases}
        assert all(map(gone, processes))
        assert all((run_folder(crew.folder, spec.digest()) / "state.json").is_file() for spec in specs)
    assert crew.stop() == []
    assert {path.name for path in crew.folder.iterdir()} <= {"checkpoints", "forks", "error.log"}
    crew.mood.write_text("calm")
    heir = ExecutorTrial(inline, crew.folder.parent)
    for spec, word in zip(specs, heir.do(*map(Train, specs)), strict=True):
        record, weights = alone(spec, crew.workload, tmp_path)
        assert same(word.result, record)
        assert crew.weights(spec) == weights


def test_the_guides_executor_does_what_every_executor_must(tmp_path):
    """And holds back jobs while its file is there."""
    page = (Path(__file__).parents[2] / "docs/how-to/your-own.md").read_text()
    namespace = {"__name__": "guide"}
    try:
        for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
            if "executor" in block:
                exec(compile(block, "your-own.md", "exec"), namespace)
        crew = ExecutorTrial(lambda setup, said: namespace["Pausable"](setup, workers=1, on_progress=said), tmp_path)
        (crew.folder / "pause").touch()
        lease = crew.submit(Train(crew.run(CONSTANT, seed=0)))
        assert crew.executor.poll(seconds=1) == crew.progress == []
        (crew.folder / "pause").unlink()
        assert isinstance(crew.hear(lease)[0], Finished)
        crew.stop()
        folder = tmp_path / "compared"
        answers = [
            calando.compare(
                crew.workload, "fixed", folder=folder / name, steps=5, seeds=2, lr=0.1, executor=name, workers=1
            )
            for name in ("pausable", "inline")
        ]
        assert [one.results[0].test for one in answers[:1]] == [one.results[0].test for one in answers[1:]]
    finally:
        EXECUTORS.remove("pausable")


def gone(process: int) -> bool:
    return until(lambda: not is_alive(process))
