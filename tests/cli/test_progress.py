"""Progress from plain Python: what is printed, where, and when nothing is."""

import io
import re
import sys
import types

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import calando
from calando.errors import DiskFull, NotDrawn
from calando.verbs import progress
from calando.verbs.progress import ETA, Screen

QUESTION = {"lr": 0.05, "seeds": 2, "executor": "inline", "check_repeats": False}


def train(run) -> None:
    model = nn.Linear(2, 1)
    training = run.follow(model, total_steps=4)
    for _ in run.steps(4):
        model(torch.ones(4, 2)).square().mean().backward()
        training.optimizer.step()
    run.report(1.0)


def test_a_study_from_python_says_what_it_does_and_where_its_page_is(tmp_path, capsys, pages):
    answer = calando.compare(train, "fixed", folder=tmp_path / "study", **QUESTION)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == f"starting {train.__module__}:train for a first look at its length and score"
    assert f"study folder: {tmp_path / 'study'}" in lines
    assert sum("runs to make" in line or "runs done" in line for line in lines) == 1  # ten seconds apart
    assert lines[-1] == f"report: {answer.folder / 'report.html'}"
    assert (answer.folder / "report.html").is_file()


def test_a_listener_of_ones_own_hears_everything_and_nothing_is_shown(tmp_path, capsys, pages):
    heard = []
    answer = calando.compare(
        train, "fixed", folder=tmp_path, listen=lambda status: heard.append(status.done), **QUESTION
    )
    assert capsys.readouterr() == ("", "")
    assert heard[-1] == 2
    assert (answer.folder / "report.html").is_file()
    (answer.folder / "report.html").unlink()
    calando.compare(train, "fixed", folder=tmp_path, listen=lambda status: None, page=False, **QUESTION)
    assert not (answer.folder / "report.html").exists()


@pytest.mark.parametrize(
    "error", [NotDrawn("no room for pictures"), DiskFull("no space left"), MemoryError(), OSError(5)]
)
def test_what_becomes_of_the_page_does_not_lose_the_answer(tmp_path, capsys, monkeypatch, pages, error):
    def fail(folder):
        raise error

    monkeypatch.setattr("calando.verbs.study._report_of", fail)
    answer = calando.compare(train, "fixed", folder=tmp_path, **QUESTION)
    assert answer.results[0].test.n == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("calando: no report was written (")
    assert last.endswith(f"`calando report {tmp_path}` tries again")


def test_a_run_and_a_range_test_from_python_show_how_they_stand(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    calando.train("digits", "sgd(lr=0.1)", folder=tmp_path, steps=5, threads=1)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("sgd on digits: cpu") for line in lines)
    assert re.fullmatch(r"step \d/5  rate 0\.1  loss \d\.\d+  ETA .*", lines[-1])
    calando.find("digits", steps=40, repeats=1, hold=0, threads=1)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("range test of sgd on digits: cpu") for line in lines)
    assert re.fullmatch(r"range test: update \d+/\d+  ETA .*", lines[-1])


def test_a_terminal_gets_a_picture_that_goes(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setenv("FORCE_COLOR", "1")
    screen = Screen()
    screen.say("it stays [here]")
    screen.show(lambda: "it [goes]")
    screen.stop()
    text = written.getvalue()
    assert "it stays [here]\n" in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "it [goes]" in text
    assert text.rstrip().endswith("\x1b[2K")  # its line is erased


def test_a_notebook_gets_one_output_that_is_brought_up_to_date(monkeypatch):
    shown = []
    output = types.SimpleNamespace(update=lambda data, raw: shown.append(data["text/plain"]))

    def display(data, raw, display_id):
        shown.append(data["text/plain"])
        return output

    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    screen = Screen()
    screen.say("heading")
    for number in range(3):
        screen.show(lambda number=number: f"line {number}")
    screen.say("note")
    screen.stop()
    assert shown == ["heading", "heading\nline 0", "heading\nnote", "heading\nnote"]


def test_the_time_left_is_the_pace_so_far(monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    eta = ETA()
    assert eta.remaining(1000, begun=False) == "unknown yet"
    now = 150.0
    assert eta.remaining(1000) == "unknown yet"  # it counts from here
    now = 160.0
    assert eta.remaining(900) == "1 min 30 s"
    now = 161.0
    assert eta.remaining(1800) == "3 min 18 s"  # a grid went on: what was made stays made
    now = 260.0
    assert eta.remaining(900) == "1 min 39 s"


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3000)), min_size=1, max_size=30))
def test_the_pace_stays_whatever_is_asked_for_on_the_way(rounds):
    """At ten updates a second, whether a look asks for more seeds, a grid goes on, or nothing does."""
    now, left, made = 100.0, 3000, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress.time, "monotonic", lambda: now)
        eta = ETA()
        eta.estimate(left)
        for seconds, more in rounds:
            done = min(10 * seconds, left)
            now, left, made = now + done / 10, left - done, made + done
            found = eta.estimate(left)
            assert found == (pytest.approx(left / 10) if made >= 10 else None)
            left += more
            found = eta.estimate(left)
            assert found == (pytest.approx(left / 10) if made >= 10 else None)
