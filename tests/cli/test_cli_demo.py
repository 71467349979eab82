"""`calando demo`, on a lesson of a few updates: trained, read again, gone on with, refused."""

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.waiting import PATIENCE, until

import calando as package
from calando.records import Store
from calando.records import lesson as lessons
from calando.records.lesson import LESSONS, find_lesson, read_lesson

TINY = replace(
    find_lesson("diverge-and-crawl"), name="tiny", steps=6, rates=(0.01, 10.0), at=(1, 4),
    networks={"plain8-nonorm": "neither", "plain8": "batch norm", "resnet8-nonorm": "shortcuts", "resnet8": "both"},
)  # fmt: skip
ONE = ("demo", "tiny", "--executor", "inline")


HOME = Path("calando-demos/tiny")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The tiny lesson is known; pictures are drawn elsewhere."""
    monkeypatch.setattr(lessons, "LESSONS", {**LESSONS, "tiny": TINY})
    monkeypatch.setattr("calando.report.lesson_page.can_draw", lambda: False)
    monkeypatch.setattr("calando.report.drawing_process.can_draw", lambda: True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The tiny lesson, trained once."""
    folder = tmp_path_factory.mktemp("lesson") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lessons, "LESSONS", {**LESSONS, "tiny": TINY})
        patch.setattr("calando.report.lesson_page.can_draw", lambda: False)
        package.demo("tiny", folder=folder, executor="inline", listen=lambda status: None)
    return folder


@pytest.fixture
def there(trained, tmp_path):
    """A copy of it, where the command puts it."""
    return shutil.copytree(trained, tmp_path / HOME)


def test_it_trains_says_what_it_saw_and_is_immediate_afterwards(calando, tmp_path, monkeypatch):
    ended = calando(*ONE, "--json")
    assert ended.status == 0, ended.err
    assert {"report.html", "lesson.json", "gradients.json", *TINY.networks} <= {
        path.name for path in (tmp_path / HOME).iterdir()
    }
    told = ended.json
    assert told["page"] == str(HOME / "report.html")
    assert len(told["runs"]) == 4 * 2 + 4
    assert {"small", "large", "norm", "depth"} <= {claim["name"] for claim in told["claims"]}
    for run in told["runs"]:
        record = read_lesson(tmp_path / HOME, TINY).runs[run["network"]][run["run"]][0]
        assert (run["updates"], run["score"]) == (record.steps_done, record.score)
        assert (run["ending"] == "diverged") == (record.outcome == "diverged")

    # What is stored is read: nothing is trained or loaded again.
    monkeypatch.setitem(sys.modules, "calando.study.lesson", None)
    again = calando(*ONE, "--json")
    assert again.json == told
    assert again.left == frozenset()
    text = calando(*ONE).out
    for claim in told["claims"]:
        assert claim["title"] in text
    assert f"page: {HOME / 'report.html'}" in text


def test_its_studies_are_shown_like_any_other(calando, there):
    shown = calando("show", HOME)
    assert shown.status == 0
    assert all(network in shown.out for network in TINY.networks)
    assert "fixed 0.03" in calando("show", HOME / "plain8-nonorm").out


def test_more_seeds_are_added_to_what_is_there(calando, there):
    first = calando(*ONE, "--json").json
    more = calando(*ONE, "--seeds", 2, "--json").json
    assert [claim["seeds"] for claim in more["claims"]] == [2] * (len(more["claims"]) - 1) + [1]
    assert more["runs"] == first["runs"]
    assert calando(*ONE, "--json").json["seeds"] == 2


def test_what_is_lost_is_made_again(calando, there):
    first = calando(*ONE, "--json").json
    (there / "gradients.json").unlink()
    (there / "plain8/study.sqlite").unlink()
    assert calando(*ONE, "--json").json == first


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("gradients.json", "{"),
        ("gradients.json", '{"plain8": 3}'),
        (
            "gradients.json",
            '{"plain8": {"run": "", "rows": [{"step": 1, "rate": 1, "layers": [{"name": "a", "gradient": "x"}]}]}}',
        ),
        ("lesson.json", "[]"),
        ("lesson.json", ""),
        ("lesson.json", "[" * 100_000),
    ],
)
def test_what_is_damaged_is_refused_in_a_line_and_its_advice_works(calando, there, name, damage):
    first = calando(*ONE, "--json").json
    (there / name).write_text(damage)
    ended = calando(*ONE, "--json")
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert f"{HOME / name} is damaged; remove it" in ended.err
    (there / name).unlink()
    assert calando(*ONE, "--json").json == first


def test_without_a_name_lessons_are_listed(calando):
    assert "diverge-and-crawl  rates that are too small" in calando("demo").out
    assert {one["name"] for one in calando("demo", "--json").json} == {*lessons.LESSONS}
    assert [one.name for one in package.demo()] == [*lessons.LESSONS]
    assert all(name in calando("demo", "--help").out for name in LESSONS)


def test_mistakes_are_one_line(refused):
    assert "did you mean 'diverge-and-crawl'" in refused("demo", "diverge-and-craw").err
    assert "seeds" in refused(*ONE, "--seeds", "0").err
    for seeds in (True, 1.5, "auto", None):
        with pytest.raises(package.UsageError, match="seeds must be"):
            package.demo("tiny", seeds=seeds)
    with pytest.raises(package.UsageError, match="unknown lesson '3'"):
        package.demo(3)
    assert "workers" in refused(*ONE, "--workers", "0").err
    assert "unknown executor" in refused("demo", "tiny", "--executor", "nonsense").err


def test_a_folder_that_holds_something_else_is_refused(calando, there, tmp_path):
    before = {path.name for path in (there / "plain8").iterdir()}
    ended = calando(*ONE, "--study", HOME / "plain8")
    assert ended.status == 2
    assert ended.err == f"calando: '{HOME / 'plain8'}' holds a comparison; name another --study\n"
    assert {path.name for path in (there / "plain8").iterdir()} <= before | {"study.sqlite-shm", "study.sqlite-wal"}
    (tmp_path / "file").write_text("")
    ended = calando(*ONE, "--study", "file")
    assert (ended.status, ended.err.count("\n")) == (2, 1)


def test_a_page_of_something_else_stays(calando, there, tmp_path):
    """Of a comparison too, which is refused: before anything is removed."""
    (tmp_path / "own").mkdir()
    for folder in (tmp_path / "own", there / "plain8"):
        (folder / "report.html").write_text("mine")
        ended = calando(*ONE, "--study", folder)
        assert (ended.status, ended.err.count("\n")) == (2, 1)
        assert "name another --study" in ended.err
        assert (folder / "report.html").read_text() == "mine"
    assert {path.name for path in (tmp_path / "own").iterdir()} == {"report.html"}


def test_a_study_that_was_enlarged_by_hand_still_teaches(calando, there):
    first = calando(*ONE, "--json").json
    with Store.open(there / "plain8", read_only=True) as store:
        strategies = store.study.strategies
    package.compare(
        "digits", *strategies, "cosine", model="plain8", batch_size=32, steps=6, seeds=1, rates=1,
        folder=there / "plain8",
        executor="inline", device="cpu", precision="fp32", threads=1, listen=lambda status: None,
    )  # fmt: skip
    assert calando(*ONE, "--json").json == first


def test_a_page_that_was_not_written_is_written(calando, there):
    (there / "report.html").unlink()
    ended = calando(*ONE, "--json")
    assert ended.left == {str(HOME / "report.html")}
    assert ended.json["page"] == str(HOME / "report.html")


def test_another_folder_is_left_alone(calando, tmp_path):
    (tmp_path / "calando-demos/tiny/plain8-nonorm").mkdir(parents=True)
    (tmp_path / "calando-demos/tiny/plain8-nonorm/study.sqlite").write_text("mine")
    ended = calando(*ONE)
    assert ended.status == 2
    assert (tmp_path / "calando-demos/tiny/plain8-nonorm/study.sqlite").read_text() == "mine"


def test_progress_is_reported_from_first_to_last(tmp_path):
    seen = []

    taught = package.demo("tiny", folder=tmp_path, executor="inline", listen=seen.append)
    assert str(taught).count("\n") == len(taught.claims) - 1
    assert len(taught.table()) == 12
    assert package.draw(taught, tmp_path / "drawn.json").exists()
    assert "text/html" in taught._repr_mimebundle_()
    assert {status.network for status in seen} == {*TINY.networks}
    done = [status.done for status in seen]
    assert done == sorted(done)
    assert (done[0], done[-1], seen[0].runs) == (0, 12, 12)
    left = [status.left for status in seen]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0


def test_without_docstrings_the_answer_stands(trained, tmp_path):
    """Altair needs them: the page cannot be drawn, and that is a line."""
    folder = shutil.copytree(trained, tmp_path / "tiny")
    (folder / "report.html").unlink()
    program = f"""
import tests.cli.test_cli_demo as here
here.lessons.LESSONS = {{"tiny": here.TINY}}
taught = here.package.demo("tiny", folder={str(folder)!r})
print(taught.page, taught.lacking)
print(len(taught.claims))
"""
    command = [sys.executable, "-OO", "-c", program]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=PATIENCE)
    first, second = ended.stdout.splitlines()
    assert first.startswith("None no page was written (pictures need altair, which needs docstrings")
    assert int(second) == 9


@pytest.mark.slow
def test_ctrl_c_leaves_what_was_trained_and_the_same_command_goes_on(tmp_path):
    command = [sys.executable, "-m", "calando", "demo", "diverge-and-crawl", "--executor", "inline"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    store = tmp_path / "calando-demos/diverge-and-crawl/plain14-nonorm/study.sqlite"
    until(store.exists)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "stopped; nothing is lost: the same command goes on" in err
    assert "Traceback" not in err
    assert out == ""
    assert not (store.parents[1] / "lesson.json").exists()


def test_a_lesson_that_was_changed_is_not_taken_for_the_stored_one(calando, there, monkeypatch):
    monkeypatch.setattr(lessons, "LESSONS", {"tiny": replace(TINY, steps=7)})
    ended = calando(*ONE)
    assert ended.status == 2
    assert "name another --study" in ended.err
