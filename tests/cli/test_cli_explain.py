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
