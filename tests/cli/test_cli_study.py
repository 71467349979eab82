"""`compare`, `show` and `report` on real, small studies."""

import gc
import html
import re
import shutil
import sqlite3
import threading
from contextlib import closing

import pytest

import calando as public
from calando.analysis import choose
from calando.records import Store
from calando.records.database import Database
from calando.records.follower import Progress
from calando.study.jobs import JobProgress, Lease, TestLook, Train
from calando.study.standing import Status
from calando.verbs.progress import StudyProgress

D = ("compare", "digits")
SMALL = ("--executor", "inline", "--steps", "6", "--batch-size", "32", "--seeds", "2", "--rates", "1")


@pytest.fixture
def copied_study(finished_study, tmp_path):
    """The finished study, for a test that changes it."""
    return shutil.copytree(finished_study, tmp_path / "study")


def test_compare_ends_with_the_tables_and_the_report(calando, tmp_path):
    text = "sgd(lr=0.05) | linear(1, 0)"
    ended = calando(*D, "fixed", text, *SMALL)
    assert ended.status == 0
    path = re.search(r"^report: (calando-studies/digits-[0-9a-f]{8}/report\.html)$", ended.out, re.MULTILINE)
    assert path
    page = html.unescape((tmp_path / path[1]).read_text())
    assert f"calando compare digits fixed '{text}' --executor inline" in page
    assert re.search(r"^sgd.linear +0\.05 ", ended.out, re.MULTILINE)
    assert "digits with cnn, batch 32, 6 steps a run, 2 strategies, 2 paired seeds" in ended.err
    assert "starting the workers; 4 runs to make" in ended.err


def test_compare_json_is_json_and_nothing_else_and_goes_on_where_it_stood(calando):
    first = calando(*D, "fixed", "cosine", *SMALL, "--no-page", "--json")
    again = calando(*D, "fixed", "cosine", *SMALL, "--no-page", "--json")
    assert (first.status, first.err, again.err) == (0, "", "")
    assert first.json == again.json
    assert first.json["complete"] is True
    assert not again.left


def test_show_says_the_same_as_compare_said(calando, finished_study):
    summary = calando("show", finished_study, "--json").json
    assert gc.isenabled()
    table = calando("show", finished_study).out
    assert summary["complete"] is True
    assert [result["name"] for result in summary["results"]] == sorted(
        ("fixed", "cosine"), key=lambda name: -next(r["test"]["mean"] for r in summary["results"] if r["name"] == name)
    )
    headline = " ".join(re.sub("[│─╭╮╰╯]", " ", table.partition("╰")[0]).split())
    assert summary["headline"] in headline
    for result in summary["results"]:
        assert f"{100 * result['test']['mean']:.2f} ± {100 * result['test']['sd']:.2f} (2)" in table


def test_a_study_is_read_once_for_its_answer_and_once_for_its_page(copied_study, monkeypatch):
    """All of it of one moment, whatever is written meanwhile; what an answer knows is not worked out again."""
    looks, settled = [], []
    reading, settle = Database.reading, choose.settle_rate
    monkeypatch.setattr(Database, "reading", lambda self: looks.append(self) or reading(self))
    monkeypatch.setattr(choose, "settle_rate", lambda *given: settled.append(given) or settle(*given))
    for verb in (public.show, public.write_report):
        looks.clear()
        settled.clear()
        verb(copied_study)
        assert len(looks) == 1
        assert len(settled) == 2, "one for each strategy"


def test_report_is_written_anew(calando, copied_study):
    assert not (copied_study / "report.html").exists()
    ended = calando("report", copied_study)
    assert (ended.status, ended.out, ended.err) == (0, f"{copied_study}/report.html\n", "")
    assert {path.suffix for path in (copied_study / "figures").iterdir()} == {".png", ".svg"}


def test_a_folder_of_another_study_is_refused_and_stays_as_it_was(refused, calando, copied_study):
    before = calando("show", copied_study, "--json").json
    ended = refused(*D, "fixed", *SMALL, "--study", copied_study)
    assert "holds strategy 'fixed', whose runs have 20 updates, here 6; ask for both (two lengths" in ended.err
    assert calando("show", copied_study, "--json").json == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"garbage" * 100,
        lambda data: data[: len(data) // 2],
        lambda data: data[:4096] + bytes(len(data) - 4096),
    ],
    ids=["no store", "cut in half", "zeroed"],
)
def test_a_damaged_store_is_named_and_stays_as_it_was(refused, copied_study, damage):
    path = copied_study / "study.sqlite"
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    for arguments in (
        ("show", copied_study),
        ("show", copied_study, "--json"),
        ("report", copied_study),
        ("serve", copied_study),
        (*D, "fixed", *SMALL, "--study", copied_study),
    ):
        assert "study.sqlite" in refused(*arguments).err
    assert path.read_bytes() == before


def test_studies_are_listed_while_checkpoints_come_and_go(copied_study):
    """As another process makes and drops them, a thousand times a second."""
    over = threading.Event()

    def train():
        while not over.is_set():
            checkpoint = copied_study / "checkpoints" / "one"
            checkpoint.mkdir(parents=True)
            for name in "abcdefgh":
                (checkpoint / name).write_bytes(b"state")
            shutil.rmtree(checkpoint.parent)

    trains = threading.Thread(target=train)
    trains.start()
    try:
        for _ in range(20):
            assert [one.folder for one in public.show(copied_study.parent)] == [copied_study]
    finally:
        over.set()
        trains.join()


def test_a_study_shows_while_it_is_unfinished(calando, copied_study):
    with closing(sqlite3.connect(copied_study / "study.sqlite")) as connection, connection:
        connection.execute("DELETE FROM tests")
        connection.execute("DELETE FROM runs WHERE rowid > 1")
    assert "there is no verdict yet" in calando("show", copied_study).out
    assert calando("show", copied_study, "--json").json["complete"] is False


@pytest.fixture
def study(finished_study):
    with Store.open(finished_study, read_only=True) as store:
        return store.study


def statuses(study, folder):
    """A study under way: nothing yet, one run at step 5 and one lost, then the test looks."""
    run = study.run(study.strategies[0].at_rate(0.1), seed=1)
    progress = JobProgress(slot=0, lease=Lease(1, Train(run)), now=Progress(5, lr=0.0125, loss=1.5))
    yield Status(study, folder, expected=6, queued=6, steps_left=6 * study.steps)
    yield Status(
        study,
        folder,
        expected=6,
        done=2,
        queued=3,
        running={0: progress},
        steps_left=70,
        notes=["a worker was lost (x)"],
    )
    look = JobProgress(slot=1, lease=Lease(2, TestLook(run, diverged=False)), now=Progress(0, lr=0.0, loss=0.0))
    yield Status(
        study, folder, expected=6, done=6, looks=4, running={1: look}, notes=["a worker was lost (x)", "another note"]
    )


def test_the_live_display_says_what_runs(study, tmp_path, capsys, monkeypatch):
    """On a terminal: runs done, running, queued; each worker's step, rate and loss; time left; notes once."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    with StudyProgress() as listen:
        for status in statuses(study, tmp_path / "[bold]/x[/nope]"):
            listen(status)
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "digits with cnn, batch 32, 20 steps a run, 2 strategies, 2 paired seeds" in drawn
    assert "[bold]/x[/nope]" in drawn.replace("\n", "")
    assert "reading the test part with the final weights: 4 to go" in drawn
    assert re.search(r"worker 2 +test look", drawn)
    assert drawn.count("a worker was lost (x)") == 1
    assert drawn.count("another note") == 1


def test_the_live_display_shows_each_worker(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "140")
    _, under_way, _ = statuses(study, tmp_path)
    with StudyProgress() as listen:
        listen(under_way)
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "2 of 6 runs done, 1 running, 3 queued, ETA unknown yet" in drawn
    assert re.search(r"worker 1 +fixed lr=0.1 seed 1 +step 5/20 +rate 0.0125 +loss 1.500", drawn)


def test_without_a_terminal_there_are_plain_lines(study, tmp_path, capsys):
    with StudyProgress() as listen:
        for status in statuses(study, tmp_path):
            listen(status)
    lines = capsys.readouterr().err.splitlines()
    assert lines.count("starting the workers; 6 runs to make") == 1
    assert lines.count("a worker was lost (x)") == 1
    assert lines.count("another note") == 1


def test_nothing_is_said_before_the_first_status_nor_when_quiet(study, tmp_path, capsys):
    with StudyProgress():
        pass
    with StudyProgress(lambda status: None) as listen:
        for status in statuses(study, tmp_path):
            listen(status)
    assert capsys.readouterr() == ("", "")
