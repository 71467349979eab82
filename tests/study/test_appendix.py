"""One run as a folder that makes itself again: the same digest, the same bits."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.cli.test_language import HAN
from tests.report.fabricate import make_record, make_study
from tests.waiting import PATIENCE

import calando
from calando.errors import CorruptFile, DataError, UsageError
from calando.language import in_language
from calando.records import RunSpec, Store, StrategySpec, WorkloadSpec
from calando.records.task_spec import OwnTrainingSpec
from calando.tasks.catalog import path_of
from calando.tasks.data_place import relative_to

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


def test_the_readme_is_in_the_persons_language_and_the_data_are_not(study, tmp_path):
    def texts(name):
        return {path.name: path.read_text("utf-8") for path in (tmp_path / name).iterdir() if path.suffix != ".png"}

    calando.export(study, to="appendix", run="a", seed=1, out=tmp_path / "en")
    with in_language("zh"):
        calando.export(study, to="appendix", run="a", seed=1, out=tmp_path / "zh")
    english, chinese = texts("en"), texts("zh")
    readme = chinese.pop("README.md")
    assert {name: text for name, text in chinese.items() if name != "training.svg"} == {
        name: text for name, text in english.items() if name not in ("README.md", "training.svg")
    }
    assert readme.startswith("# digits 上的 a，种子 1\n")
    assert readme.split("```")[1::2] == english["README.md"].split("```")[1::2]
    prose = re.sub(r"```.*?```|`[^`]*`", "", readme, flags=re.DOTALL)
    assert [line for line in prose.splitlines() if line and not HAN.search(line)] == []
    assert not re.search(r"[a-z]{3,} (?:of|is|the|and|by|at) ", prose)


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


def write_npz(path):
    generator = np.random.default_rng(0)
    np.savez(path, images=generator.random((300, 8, 8), np.float32), labels=np.arange(300) % 3)


def write_folder(path):
    from PIL import Image

    generator = np.random.default_rng(0)
    for place in range(90):
        picture = path / f"class {place % 3}" / f"{place}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (8, 8), np.uint8)).save(picture)


def write_csv(path):
    generator = np.random.default_rng(0)
    path.write_text("a,b,price\n" + "".join(f"{a},{b},{a - b}\n" for a, b in generator.random((200, 2))))


FILES = {
    "npz:data/x.npz": write_npz,
    "folder:data/my photos": write_folder,
    "csv:data/houses.csv,target=price": write_csv,
}


def made_again(appendix, **options):
    return calando.train(appendix / "spec.json", listen=lambda _: None, **options).record


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "kind"),
    [*((data, "training") for data in FILES), ("npz:data/x.npz", "study"), ("npz:data/x.npz", "tuning")],
)
def test_data_at_a_relative_path_are_found_from_the_appendix(data, kind, tmp_path, monkeypatch):
    """In the appendix, in the folder of the command, and where both were moved; with the same name and bits."""
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (project / "data").mkdir(parents=True)
    elsewhere.mkdir()
    monkeypatch.chdir(project)
    path = path_of(data)[0]
    FILES[data](path)
    strategy, name = "sgd(lr=0.01) | linear(1, 0)", None
    if kind == "training":
        calando.train(data, strategy, folder="kept", steps=4, **DIGITS)
    elif kind == "study":
        name = "linear"
        calando.compare(data, f"linear = {strategy}", folder="kept", steps=4, seeds=1, executor="inline", **DIGITS)
    else:
        calando.tune(data, folder="kept", steps=100, **DIGITS)
    done = calando.export("kept", to="appendix", run=name, out=project / "appendix")
    readme, stored = (done.path / "README.md").read_text(), json.loads((done.path / "spec.json").read_text())
    assert stored["spec"]["workload"]["data"] == data
    assert str(tmp_path) not in readme + json.dumps(stored)  # nobody reads where the author's home is
    first = made_again(done.path, folder="again")

    monkeypatch.chdir(done.path)
    assert made_again(Path(), folder="again").losses.tobytes() == first.losses.tobytes()
    once_more = calando.export("again", to="appendix", out=done.path / "again" / "appendix")
    assert (once_more.path / "curve.csv").read_text() == (done.path / "curve.csv").read_text()
    monkeypatch.chdir(once_more.path)
    assert made_again(Path(), folder="again").spec.digest() == first.spec.digest()

    moved = tmp_path / "moved"
    project.rename(moved)
    monkeypatch.chdir(elsewhere)
    assert made_again(moved / "appendix", folder="again").losses.tobytes() == first.losses.tobytes()

    (moved / path).rename(elsewhere / path.name)
    with pytest.raises(DataError, match="name the place with data_dir=$") as error:
        made_again(moved / "appendix", folder="other")
    assert "\n" not in str(error.value)
    for place in (elsewhere, elsewhere / path.name):
        found = made_again(moved / "appendix", folder=tmp_path / f"from {place.name}", data_dir=place)
        assert (found.spec.digest(), found.losses.tobytes()) == (first.spec.digest(), first.losses.tobytes())


@pytest.mark.slow
def test_the_commands_of_an_appendix_of_relative_data_make_the_same_run(tmp_path):
    write_npz(tmp_path / "x.npz")
    module = [sys.executable, "-m"]

    def run(words, folder):
        words = [*module, *words] if words[0] == "calando" else words
        return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=True)

    run(["calando", "train", "npz:x.npz", "sgd(lr=0.1)", "--steps", "4", "--threads", "1", "--out", "run"], tmp_path)
    run(["calando", "export", "run", "--to", "appendix", "--out", "appendix"], tmp_path)
    for words in commands((tmp_path / "appendix" / "README.md").read_text()):
        assert words[0] != "cmp" or run(words, tmp_path / "appendix").stdout == ""
        if words[0] == "calando":
            run(words, tmp_path / "appendix")


def test_files_that_lie_elsewhere_are_named_by_an_option(tmp_path):
    first, moved = tmp_path / "first.npz", tmp_path / "moved.npz"
    write_npz(first)
    kept = {"listen": lambda _: None, "folder": tmp_path / "run"}
    trained = calando.train(f"npz:{first}", "sgd(lr=0.1) | linear(1, 0)", steps=4, **kept)
    done = calando.export(tmp_path / "run", to="appendix")
    assert "`calando train spec.json --data PATH --out again` names" in (done.path / "README.md").read_text()
    first.rename(moved)
    again = made_again(done.path, folder=tmp_path / "again", data_dir=moved)
    assert list(again.losses) == list(trained.record.losses)
    # A spec that an earlier version wrote, with another path written into it.
    spec = done.path / "spec.json"
    spec.write_text(spec.read_text().replace(str(first), str(moved)))
    assert list(made_again(done.path, folder=tmp_path / "written").losses) == list(trained.record.losses)


def test_other_data_at_that_place_are_refused(tmp_path):
    write_npz(tmp_path / "x.npz")
    calando.train(f"npz:{tmp_path / 'x.npz'}", "sgd(lr=0.1)", steps=4, folder=tmp_path / "run", listen=lambda _: None)
    others = np.random.default_rng(1).random((300, 8, 8), np.float32)
    np.savez(tmp_path / "y.npz", images=others, labels=np.arange(300) % 3)
    with pytest.raises(UsageError, match="the data here are not those of the run"):
        made_again(tmp_path / "run", folder=tmp_path / "again", data_dir=tmp_path / "y.npz")


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


def test_a_place_is_found_from_a_folder_reached_by_a_link(tmp_path):
    for name in ("photos", "elsewhere/deep"):
        (tmp_path / name).mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere" / "deep")
    assert (link / relative_to(tmp_path / "photos", link)).samefile(tmp_path / "photos")
