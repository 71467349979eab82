"""`calando steer`, typed while another process trains: shown first, done once, refused with why."""

import contextlib
import json
import subprocess
import sys

import numpy as np
import pytest
from tests.waiting import PATIENCE, until

import calando
from calando.errors import UsageError
from calando.records import RunSpec, StrategySpec, WorkloadSpec
from calando.records.command_log import CommandLog
from calando.records.live_picture import LivePicture
from calando.records.preview import KnownRun, known_runs, the_run

TRAIN = [
    "train",
    "digits",
    "sgd(lr=0.05) | cosine(1, 0)",
    "--steps",
    "1000000",
    "--threads",
    "1",
    "--train-limit",
    "200",
]


def started(folder):
    """A training in a process of its own, which has begun."""
    command = [sys.executable, "-m", "calando", *TRAIN, "--out", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def has_begun():
        assert process.poll() is None
        return any(one.state == "running" and one.step for one in known_runs(folder).values())

    until(has_begun)
    return process


def stood(folder, words):
    """Whether the folder's picture comes to say so."""

    def says_so():
        with contextlib.closing(LivePicture(folder)) as picture:
            standing = picture.since(0).standing
        return standing is not None and standing.words.startswith(words)

    return until(says_so)


def typed(*words, status=0):
    ended = subprocess.run(
        [sys.executable, "-m", "calando", "steer", *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == status, ended.stderr
    return ended.stdout + ended.stderr


def test_a_training_in_another_process_is_steered(tmp_path):
    folder = tmp_path / "run"
    process = started(folder)
    try:
        shown = typed(str(folder), "rate *0.5", "--look")
        assert "planned" in shown
        assert "piecewise(values=[1, 0.5]" in shown
        assert not CommandLog.there(folder)
        done = json.loads(typed(str(folder), "rate *0.5", "--json", "--key", "once"))
        assert done["asked"]["state"] == "done"
        assert json.loads(typed(str(folder), "rate *0.5", "--json", "--key", "once"))["asked"] == done["asked"]
        assert "changes nothing" in typed(str(folder), "rate *1", status=2)
        refused = calando.steer(folder, "resume", wait=PATIENCE)
        assert (refused.asked.state, refused.asked.why) == ("refused", "it is in progress")
        paused = calando.steer(folder, "pause", wait=PATIENCE)
        assert paused.rests == f"calando steer {folder} resume --run {done['asked']['branch']}"
        assert stood(folder, "paused at step")  # who only looks sees it, though nothing is trained that would say so
        assert calando.steer(folder, "resume", wait=PATIENCE).asked.state == "done"
        assert stood(folder, "step")
        assert calando.steer(folder, "stop", wait=PATIENCE).asked.state == "done"
        _, error = process.communicate(timeout=PATIENCE)
        assert "rests by command" in error
    finally:
        process.kill()
        process.communicate()
    late = calando.steer(folder, "resume")
    assert "nobody trains there now" in str(late)
    (branch,) = {one["branch"] for one in [done["asked"]]}
    assert done["again"] == f"calando train {folder}/branches/{branch}.json"


@pytest.mark.parametrize(
    ("make", "line", "message"),
    [
        (lambda folder: None, "rate *0.5", "no study and no run"),
        (lambda folder: (folder / "tune.sqlite").touch(), "rate *0.5", "is a tuning"),
        (lambda folder: (folder / "live.sqlite").touch(), "rate *0.5", "code that runs by itself"),
        (lambda folder: (folder / "spec.json").write_text("{"), "rate *0.5", "damaged"),
    ],
)
def test_what_cannot_be_steered_is_refused_in_a_line(tmp_path, make, line, message):
    make(tmp_path)
    with pytest.raises(calando.CalandoError, match=message):
        calando.steer(tmp_path, line)
    assert not CommandLog.there(tmp_path)


def test_the_preview_is_the_branch(tmp_path):
    calando.train("digits", "sgd(lr=0.1) | cosine(1, 0)", steps=20, threads=1, folder=tmp_path, listen=lambda s: None)
    with pytest.raises(UsageError, match="no run 'other'"):
        calando.steer(tmp_path, "from 5: rate *0.5", run="other", look=True)
    with pytest.raises(UsageError, match=r"it has ended; say from where, as 'from 10: rate \*0.5'"):
        calando.steer(tmp_path, "rate *0.5", look=True)
    looked = calando.steer(tmp_path, "from 5: horizon 40; schedule linear(1, 0.2)", look=True).preview
    steps, before, after = looked.curves()
    assert (steps[0], steps[-1], looked.branch.steps) == (0, 39, 40)
    assert np.isnan(before[20:]).all()
    assert np.array_equal(before[:5], after[:5])
    assert after[5] == pytest.approx(0.1)
    assert json.loads(json.dumps(looked.to_json(), allow_nan=False))["branch"] == looked.branch.digest()
    assert looked.to_json()["since"] == 5
    rising = calando.steer(tmp_path, "from 5: schedule linear(0.1, 1)", look=True).preview
    assert [found.name for found in rising.findings] == ["rises-at-end"]


def test_resume_means_the_run_that_was_paused_whatever_else_goes_on():
    spec = RunSpec(
        workload=WorkloadSpec(data="digits"),
        strategy=StrategySpec(name="mine", method="sgd", lr=0.1),
        steps=300, steps_per_epoch=30, evaluate_every=30, seed=0,
    )  # fmt: skip
    known = {"a" * 16: KnownRun(spec, 5, "running"), "b" * 16: KnownRun(spec, 5, "paused")}
    assert the_run(known, "") == "a" * 16
    assert the_run(known, "", verb="resume") == "b" * 16
