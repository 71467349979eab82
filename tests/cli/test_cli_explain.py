"""`calando explain` on the command line."""

from __future__ import annotations

import json


def test_the_command_prints_the_reading_and_json(calando, tmp_path) -> None:
    arguments = ["explain", "digits", "sgd(lr=0.05, momentum=0.9)", "--steps", "60", "--threads", "1"]
    ended = calando(*arguments, "--out", tmp_path / "a")
    assert ended.status == 0
    assert ended.out.startswith("rate 0.05 after 12 of 60 updates: ")
    assert (tmp_path / "a" / "explain.html").is_file()
    ended = calando(*arguments, "--out", tmp_path / "a", "--json")
    found = json.loads(ended.out)
    assert found["reading"]["verdict"] in ("too high", "too low", "nothing wrong is seen", "silent")
    assert found["updates"] == 12
    assert found["page"] == str(tmp_path / "a" / "explain.html")
    ended = calando("explain", tmp_path / "a" / "probes.json")
    assert ended.status == 0
    assert "updates: " in ended.out


def test_updates_are_a_length_and_the_time_left_is_that_of_what_is_made(calando, tmp_path) -> None:
    ended = calando(
        "explain", "digits", "sgd(lr=0.05)", "--steps", "60", "--until", "8", "--threads", "1", "--out", tmp_path
    )
    assert ended.status == 0
    assert "on top of 8 made" in ended.out
    assert "not seen: peak (highest mean of 8 losses in a row" in ended.out
    assert "step 1/8 " in ended.err


def test_what_cannot_be_changed_or_is_not_there_is_refused(calando, tmp_path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.sqlite").touch()
    ended = calando("explain", tmp_path / "study", "--lr", "3", "--steps", "9")
    assert ended.status == 2
    assert "--lr" in ended.err
    assert "--steps" in ended.err
    ended = calando("explain", tmp_path / "probes.json")
    assert ended.status == 2
    assert "there is no file" in ended.err
    assert "Watch.save" in ended.err
    ended = calando("explain", tmp_path / "nothing")
    assert ended.status == 2
    assert "there is no study in" in ended.err
    ended = calando("explain", "digits", "sgd", "--run", "fixed")
    assert ended.err.count("--run") == 1
