"""Trackers hear what is stored, in the order of the protocol; none of them fails, slows or changes a run."""

import itertools
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest

import calando
from calando.errors import CalandoError, UsageError
from calando.loops import tracking
from calando.loops.trackers import TRACKERS, Tracked, TrackedRun, find_tracker, register, tracker_names
from calando.loops.tracking import LogTo, Tracking, read_log, tracked_folder
from calando.records import RunRecord, RunSpec, Store, StrategySpec, TestScore, WorkloadSpec
from calando.records.follower import Progress
from calando.records.record import Evaluation

DIGITS = {"threads": 1, "device": "cpu", "listen": lambda _: None}
STEPS = 30


class Heard:
    """A tracker that remembers, and may fail or wait until it is let go."""

    def __init__(self, *, fails=lambda what: False, let_go=None):
        self.calls, self.points_of, self.fails, self.let_go = [], {}, fails, let_go

    def make(self, place, tracked: Tracked):
        self.place, self.tracked = place, tracked
        self._call("open", "")
        return self

    def _call(self, what, key, *more):
        if self.let_go is not None:
            self.let_go.wait()
        if self.fails(what):
            raise OSError("no space left on device")
        self.calls.append((what, key, *more))

    def begin(self, run, *, since):
        if since is None:
            self.points_of.pop(run.key, None)
        self._call("begin", run.key, since)

    def points(self, run, points):
        self._call("points", run.key)
        self.points_of.setdefault(run.key, []).extend(points)

    def end(self, run, outcome):
        self._call("end", run.key, outcome)

    def leave(self, run):
        self._call("leave", run.key)

    def late(self, run, points):
        self._call("late", run.key)
        self.points_of.setdefault(run.key, []).extend(points)

    def close(self):
        self._call("close", "")

    def numbers(self, key, name):
        return [(step, found[name]) for step, found in self.points_of[key] if name in found]


@contextmanager
def registered(heard):
    register("heard", package="json", place="heard", see="look at {place}")(heard.make)
    try:
        yield LogTo(find_tracker("heard"))
    finally:
        TRACKERS.remove("heard")


def spec(steps=STEPS, seed=0):
    strategy = StrategySpec(name="cosine", method="sgd", lr=0.1, schedules={"lr": "cosine(1, 0)"})
    return RunSpec(
        workload=WorkloadSpec(data="digits"),
        strategy=strategy,
        steps=steps,
        steps_per_epoch=10,
        evaluate_every=10,
        seed=seed,
    )


def record(run, outcome="finished"):
    rng = np.random.default_rng(run.seed)
    return RunRecord(
        spec=run,
        outcome=outcome,
        steps_done=run.steps,
        losses=rng.random(run.steps).astype(np.float32),
        rates=np.linspace(0.1, 0.0, run.steps),
        evaluations=tuple(Evaluation(step, 0.5, 0.9) for step in range(10, run.steps + 1, 10)),
        chance=0.1,
    )


def whole_trace(record):
    return list(enumerate(map(float, record.losses)))


def test_a_study_is_heard_as_it_is_stored(tmp_path):
    heard = Heard()
    with registered(heard):
        summary = calando.compare(
            "digits",
            "a = sgd(lr=0.1) | cosine(1, 0)",
            "b = sgd(lr=50.0) | linear(1, 0)",
            folder=tmp_path / "study",
            steps=20,
            seeds=2,
            executor="inline",
            log=["heard"],
            **DIGITS,
        )
        live = heard.points_of.copy()
        done = calando.export(tmp_path / "study", to="heard")
    assert summary.complete
    assert (done.runs, done.path) == (4, tmp_path / "study" / "heard")
    assert done.notes == (f"to look at it: look at {done.path}",)
    with Store.open(tmp_path / "study", read_only=True) as store:
        runs, tests = store.runs(), store.tests()
    assert set(runs) == set(live) == set(heard.points_of)
    for digest, one in runs.items():
        # No more than ten reports a second come in while a run is made; the end of it comes whole.
        for name, values in (("train/loss", one.losses), ("rate", one.rates)):
            everything = [(step, float(value)) for step, value in enumerate(values) if np.isfinite(value)]
            assert heard.numbers(digest, name) == everything
            during = [pair for pair in live[digest] if name in pair[1]]
            assert {(step, found[name]) for step, found in during} <= set(everything)
            assert during[-1][0] == everything[-1][0]
        scores = [(look.step, look.score) for look in one.evaluations]
        assert heard.numbers(digest, "validation/score") == scores
        during = [pair for pair in live[digest] if "validation/score" in pair[1]]
        assert [(step, found["validation/score"]) for step, found in during] == scores
        assert heard.numbers(digest, "test/score") == [(20, tests[digest].score)]
        of_run = [call[0] for call in heard.calls if call[1] == digest and call[0] != "points"]
        assert of_run == ["begin", "end", "late", "begin", "end"]
    assert [call[2] for call in heard.calls if call[0] == "end"].count("diverged") == 2 * 2
    assert heard.tracked.title == "digits"


def test_a_training_and_a_tuning_are_heard_too(tmp_path):
    heard = Heard()
    with registered(heard):
        trained = calando.train("digits", "cosine", lr=0.1, steps=20, folder=tmp_path / "train", log="heard", **DIGITS)
        key = trained.record.spec.digest()
        assert heard.numbers(key, "train/loss")[-1] == (19, float(trained.record.losses[-1]))
        assert heard.numbers(key, "test/score") == [(20, trained.test.score)]
        tuned = calando.tune("digits", steps=120, folder=tmp_path / "tune", log="heard", **DIGITS)
        calls = [call for call in heard.calls if call[1] != key]
        answer = tuned.run.digest()
        assert [call[0] for call in calls if call[1] == answer and call[0] != "points"] == ["begin", "end", "late"]
        others = {call[1] for call in calls} - {"", answer}
        for other in others:
            assert [call[0] for call in calls if call[1] == other and call[0] != "points"] == ["begin", "leave"]
        # Its answer is there, so nothing is trained, and nothing is heard.
        heard.calls.clear()
        calando.tune("digits", steps=120, folder=tmp_path / "tune", log="heard", **DIGITS)
        assert heard.calls == []


def test_runs_that_were_made_before_are_named(tmp_path, capsys):
    """The second time everything is there, so nothing would be heard."""
    asked = {"folder": tmp_path, "steps": 5, "seeds": 1, "lr": 0.1, "executor": "inline", "page": False}
    calando.compare("digits", "fixed", threads=1, **asked)
    capsys.readouterr()
    with registered(Heard()):
        calando.compare("digits", "fixed", threads=1, log="heard", **asked)
    assert f"not written again; `calando export {tmp_path} --to heard` writes all" in capsys.readouterr().err


def test_a_tracker_that_fails_is_reported_once_and_changes_no_bit(tmp_path):
    plain = calando.train("digits", "cosine", lr=0.1, steps=20, folder=tmp_path / "plain", **DIGITS)
    for what in ("open", "begin", "points", "end", "late", "close"):
        heard = Heard(fails=what.__eq__)
        with registered(heard):
            folder = tmp_path / what
            notes = []
            answer = calando.compare(
                "digits",
                plain.record.spec.strategy,
                folder=folder,
                steps=20,
                seeds=1,
                executor="inline",
                log="heard",
                **DIGITS | {"listen": lambda status, notes=notes: notes.extend(status.notes)},
            )
        assert answer.complete
        assert len([note for note in set(notes) if note.startswith("heard follows no longer")]) == 1
        with Store.open(folder, read_only=True) as store:
            (record,) = store.runs().values()
        assert record.losses.tobytes() == plain.record.losses.tobytes()


def test_the_note_names_the_export_that_writes_what_was_missed(tmp_path, capsys):
    heard = Heard(fails=lambda what: what == "points")
    with registered(heard):
        calando.train("digits", "cosine", lr=0.1, steps=20, folder=tmp_path, log="heard", **DIGITS)
    said = capsys.readouterr().err
    assert said.count("heard follows no longer (OSError: no space left on device") == 1
    assert f"`calando export {tmp_path} --to heard` writes all runs that are over" in said


def test_a_tracker_that_ends_its_process_ends_its_thread_and_is_reported(tmp_path, monkeypatch):
    """Python says nothing of a thread that ends by SystemExit: what it did not write would be lost in silence."""
    heard = Heard()

    def begin(run, *, since):
        raise SystemExit("not logged in")

    monkeypatch.setattr(heard, "begin", begin)
    monkeypatch.setattr(tracking, "BATCH_SECONDS", 1e6)  # nothing is written before the run has ended
    run = spec()
    with registered(heard) as log:
        follower = Tracking(log, tracked_folder(tmp_path, "digits"), tmp_path)
        follower.progressed(run, Progress(1, 0.1, 1.0))
        follower.ended(record(run))
        with pytest.raises(CalandoError, match="SystemExit: not logged in"):
            follower.close()


def test_a_slow_tracker_holds_nothing_up(tmp_path, monkeypatch):
    """It is held at its very first call, and all that training does of it is over meanwhile, its end too."""
    let_go = threading.Event()
    heard = Heard(let_go=let_go)
    monkeypatch.setattr(tracking, "LONGEST_SECONDS", 0.2)
    run = spec()
    with registered(heard) as log:
        follower = Tracking(log, tracked_folder(tmp_path, "digits"), tmp_path)
        for step in range(1, STEPS + 1):
            follower.progressed(run, Progress(step, 0.1, 1.0))
        follower.ended(record(run))
        with pytest.raises(CalandoError, match=r"did not write everything within 0.2 s; `calando export"):
            follower.close()
        (thread,) = [one for one in threading.enumerate() if one.name == "calando heard"]
        assert thread.daemon  # the process ends without it
        assert heard.calls == []
        let_go.set()
        thread.join()
    assert [call[0] for call in heard.calls if call[0] != "points"] == ["open", "begin", "end", "close"]
    assert heard.numbers(run.digest(), "train/loss")[-1][0] == STEPS - 1


def test_what_waits_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "MOST_WAITING", 5)
    let_go = threading.Event()
    heard = Heard(fails=lambda what: bool(what == "open" and not let_go.wait()))
    run = spec()
    with registered(heard) as log:
        follower = Tracking(log, tracked_folder(tmp_path, "digits"), tmp_path)
        for step in range(1, 21):
            follower.progressed(run, Progress(step, 0.1, 1.0))
        follower.ended(record(run))
        let_go.set()
        with pytest.raises(CalandoError, match=r"too slow: \d+ reports were left out"):
            follower.close()
    assert 1 <= len(heard.numbers(run.digest(), "rate")) <= 6
    # Its end and its scores are there all the same.
    assert [call[0] for call in heard.calls if call[0] != "points"] == ["open", "begin", "end", "close"]
    assert len(heard.numbers(run.digest(), "validation/score")) == 3


def test_a_run_that_goes_on_says_from_where(tmp_path):
    heard, run = Heard(), spec()
    with registered(heard) as log:
        for first in (1, 16):
            follower = Tracking(log, tracked_folder(tmp_path, "digits"), tmp_path)
            for step in range(first, 21 if first == 1 else STEPS + 1):
                follower.progressed(run, Progress(step, 0.1, 1.0))
            if first == 16:
                follower.ended(record(run))
            follower.close()
    assert [call[2] for call in heard.calls if call[0] == "begin"] == [0, 15]
    assert [call[0] for call in heard.calls if call[0] in ("leave", "end")] == ["leave", "end"]


def test_numbers_that_are_none_are_left_out(tmp_path):
    heard, run = Heard(), spec()
    with registered(heard) as log:
        follower = Tracking(log, tracked_folder(tmp_path, "digits"), tmp_path)
        follower.progressed(run, Progress(1, 0.1, float("nan")))
        follower.progressed(run, Progress(2, 0.1, float("inf"), (Evaluation(2, float("nan"), 0.5),)))
        follower.tested(run, TestScore(0.5, float("inf"), 9))
        follower.close()
    found = heard.points_of[run.digest()]
    names = sorted(itertools.chain(*(numbers for _, numbers in found)))
    assert names == ["rate", "rate", "test/score", "validation/score"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tensorbord", "did you mean 'tensorboard'"),
        ("heard,heard:elsewhere", "heard is named twice"),
        ([3], "is the names of trackers"),
    ],
)
def test_what_is_no_tracker_is_refused_before_anything_is_read(tmp_path, given, said):
    with registered(Heard()), pytest.raises(UsageError) as error:
        calando.train("digits", "cosine", folder=tmp_path / "run", log=given)
    assert said in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb", "trackio"])
def test_a_missing_package_is_refused_in_a_line_with_its_extra(monkeypatch, name):
    assert name in tracker_names()
    entry = find_tracker(name)
    monkeypatch.setitem(sys.modules, entry.package, None)
    with pytest.raises(UsageError, match=rf"^{name} needs {entry.package}: pip install 'calando\[{name}\]'$"):
        read_log(name)


def test_names_of_runs_differ_and_say_what_they_are():
    one, other = TrackedRun.of(spec()), TrackedRun.of(spec(seed=1))
    assert one.name != other.name
    assert one.name.startswith("cosine lr=0.1 seed=0 ")
    assert {"text", "lr", "seed", "steps", "schedule.lr"} <= set(one.parameters)
