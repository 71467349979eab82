"""One run as a folder that makes itself again: the same digest, the same bits."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
from tests.report.fabricate import make_record, make_study
from tests.waiting import PATIENCE

import calando
from calando.errors import CorruptFile, UsageError
from calando.records import RunSpec, Store, StrategySpec, WorkloadSpec
from calando.records.task_spec import OwnTrainingSpec

DIGITS = {"threads": 1, "device": "cpu", "listen": lambda _: None}
HOSTILE = "sgd `rm` <b>|[x](y) #"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    hostile = StrategySpec(name=HOSTILE, method="sgd", lr=0.05, schedules={"lr": "linear(1, 0)"}, horizon="50%")
    calando.compare(
        "digits",
        "a = sgd(momentum=0.9) | cosine(1, 0) | rollback()",
        hostile,
        folder=folder,
        steps=24,
        seeds=2,
        rates=2,
        executor="inline",
        **DIGITS,
    )
    return folder


def commands(readme):
    """The commands of the page's first block."""
    lines = readme.partition("## Make it again")[2].split("```")[1].strip().splitlines()
    return [shlex.split(line) for line in lines]


def test_the_commands_make_the_same_run_to_the_bit(study, tmp_path):
    calando.export(study, to="appendix", run="a", seed=1, out=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for words in commands((tmp_path / "README.md").read_text()):
        if words[0] == "calando":
            words = [sys.executable, "-m", *words]
        ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
        assert (ended.returncode, words[0] == "cmp" and ended.stdout) in ((0, ""), (0, False)), ended
    spec = RunSpec.model_validate(json.loads(before["spec.json"])["spec"])
    with Store.open(study, read_only=True) as store:
        record = store.run(spec.digest())
    assert (record.spec.seed, record.spec.strategy.name) == (1, "a")
    again = calando.train(tmp_path / "spec.json", folder=tmp_path / "again", listen=lambda _: None)
    assert again.record.spec.digest() == record.spec.digest()
    assert again.record.losses.tobytes() == record.losses.tobytes()
    assert again.record.rates.tobytes() == record.rates.tobytes()
    assert again.record.evaluations == record.evaluations
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_run_that_options_could_not_say_is_made_again(study, tmp_path):
    # It is evaluated as often as the study's shortest runs are, which no option says.
    calando.export(study, to="appendix", run=HOSTILE, out=tmp_path)
    spec = RunSpec.model_validate(json.loads((tmp_path / "spec.json").read_text())["spec"])
    assert (spec.steps, spec.seed) == (12, 0)
    again = calando.train(tmp_path, folder=tmp_path / "again", listen=lambda _: None)
    with Store.open(study, read_only=True) as store:
        assert again.record.losses.tobytes() == store.run(spec.digest()).losses.tobytes()


def test_names_are_text_alone(study, tmp_path):
    calando.export(study, to="appendix", run=HOSTILE, out=tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("# sgd \\`rm\\` \\<b\\>\\|\\[x\\](y) \\# on digits, seed 0\n")
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")
    assert "<b>" not in (tmp_path / "training.svg").read_text()


def test_the_answer_of_a_tuning_and_a_training(tmp_path):
    tuned = calando.tune("digits", folder=tmp_path / "tune", steps=120, **DIGITS)
    done = calando.export(tmp_path / "tune", to="appendix")
    assert done.path == tmp_path / "tune" / "appendix"
    again = calando.train(done.path / "spec.json", folder=tmp_path / "again", listen=lambda _: None)
    assert again.record.spec.digest() == tuned.run.digest()
    assert again.test == tuned.test
    once_more = calando.export(tmp_path / "again", to="appendix")
    theirs = [json.loads((path / "spec.json").read_text()) for path in (done.path, once_more.path)]
    assert theirs[0]["spec"] == theirs[1]["spec"]
    assert (once_more.path / "evaluations.csv").read_text() == (done.path / "evaluations.csv").read_text()


@pytest.mark.parametrize(
    ("task", "again"),
    [
        (
            OwnTrainingSpec(code="train.py", goal="min", unit="RMSE"),
            'run = calando.run("sgd(lr=0.1) | linear(1, 0)", seed=0)',
        ),
        (
            WorkloadSpec(data="python:x", name="mine"),
            'calando.train(workload, "sgd(lr=0.1) | linear(1, 0)", steps=60, seed=0, threads=1)',
        ),
    ],
    ids=["code", "object"],
)
def test_what_no_file_holds_says_how_to_make_it_again(tmp_path, task, again):
    asked = make_study(["linear"], seeds=1, steps=60).model_copy(update={"workload": task})
    strategy = StrategySpec(name="linear", method="sgd", lr=0.1, schedules={"lr": "linear(1, 0)"})
    with Store.create(tmp_path, asked, fingerprint="", command="calando compare train.py") as store:
        store.put_run(make_record(asked.run(strategy, seed=0)))
    done = calando.export(tmp_path, to="appendix", run="linear")
    readme = (done.path / "README.md").read_text()
    assert again.replace('"', "'") in readme
    assert "calando train spec.json" not in readme


def test_files_that_lie_elsewhere_are_named_in_the_spec(tmp_path):
    generator = np.random.default_rng(0)
    first, moved = tmp_path / "first.npz", tmp_path / "moved.npz"
    np.savez(first, images=generator.random((300, 8, 8), np.float32), labels=np.arange(300) % 3)
    kept = {"listen": lambda _: None, "folder": tmp_path / "run"}
    trained = calando.train(f"npz:{first}", "sgd(lr=0.1) | linear(1, 0)", steps=4, **kept)
    done = calando.export(tmp_path / "run", to="appendix")
    assert "write that path into `spec.json`" in (done.path / "README.md").read_text()
    first.rename(moved)
    spec = done.path / "spec.json"
    spec.write_text(spec.read_text().replace(str(first), str(moved)))
    again = calando.train(spec, folder=tmp_path / "again", listen=lambda _: None)
    assert list(again.record.losses) == list(trained.record.losses)


def test_without_pictures_there_is_a_page(study, tmp_path, monkeypatch):
    monkeypatch.setattr("calando.report.drawing_process.can_draw", lambda: False)
    calando.export(study, to="appendix", run="a", out=tmp_path)
    assert sorted(path.name for path in tmp_path.glob("training.*")) == ["training.html"]
    assert "training.html" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda kept: kept | {"data": "others"}, "the data here are not those of the run"),
        (lambda kept: kept | {"spec": {"steps": 3}}, "is no spec of a run"),
        (lambda kept: [], "is no spec of a run"),
        (
            lambda kept: kept | {"spec": kept["spec"] | {"workload": kept["spec"]["workload"] | {"data": "python:x"}}},
            "made in Python",
        ),
        (lambda kept: kept | {"spec": kept["spec"] | {"workload": {"code": "train.py"}}}, "training code of its own"),
    ],
)
def test_what_cannot_be_made_again_is_named(study, tmp_path, change, said):
    calando.export(study, to="appendix", run="a", out=tmp_path)
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises((UsageError, CorruptFile)) as error:
        calando.train(path, folder=tmp_path / "again", listen=lambda _: None)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_options_next_to_a_spec_are_refused(study, tmp_path):
    calando.export(study, to="appendix", run="a", out=tmp_path)
    with pytest.raises(UsageError, match=r"steps=, seed= cannot be changed in"):
        calando.train(tmp_path / "spec.json", steps=3, seed=1)
    with pytest.raises(UsageError, match="a task needs a strategy to train with"):
        calando.train("digits")


@pytest.mark.parametrize(
    ("given", "said"),
    [({}, "an appendix holds one run: give run= the name of a strategy"), ({"run": "c"}, "has no run 'c'")],
)
def test_an_appendix_is_of_one_run(study, tmp_path, given, said):
    with pytest.raises(UsageError) as error:
        calando.export(study, to="appendix", out=tmp_path / "out", **given)
    assert said in str(error.value)
    assert not (tmp_path / "out").exists()
