"""A study that runs, followed over HTTP: both are processes of their own, as they are for a person."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from tests.waiting import PATIENCE, until
from tests.web.test_server import Served

import calando
from calando.records import Store

COMPARE = """
import sys, time
import calando
calando.compare(
    "digits", "fixed", "cosine", lr=0.1, seeds=1, steps=300, threads=1, folder=sys.argv[1], executor="inline",
    listen=lambda _: time.sleep(float(sys.argv[2])), page=False,
)
"""


def compare(folder, *, pause):
    """A study whose every update takes `pause` seconds."""
    return subprocess.Popen(
        [sys.executable, "-c", COMPARE, str(folder), str(pause)],
        env=os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])},
    )


class Follower:
    """Keeps what a page keeps, and asks as it does."""

    def __init__(self, folder):
        self.server = Served(folder)
        self.cursor, self.states, self.points, self.words = "", {}, {}, []

    def ask(self, what, **parameters):
        asked = urlencode({"token": self.server.token.partition("=")[2], **parameters}, doseq=True)
        with urllib.request.urlopen(f"{self.server.address}/api/{what}?{asked}", timeout=PATIENCE) as answer:
            return json.load(answer)

    def look(self):
        news = self.ask("changes", cursor=self.cursor)
        self.cursor = news["cursor"]
        if news.get("reset"):
            news["rows"] = self.ask("runs", limit=1000)["rows"]
        for run, some in news.get("points", {}).items():
            known = self.points.setdefault(run, {})
            for step, loss in zip(some["step"], some["loss"], strict=True):
                for later in [one for one in known if one >= step]:
                    del known[later]
                known[step] = loss
        for row in news.get("rows", []):
            self.states.setdefault(row["run"], []).append(row["state"])
        if "status" in news:
            self.words.append(news["status"]["words"])
        return news.get("status")


@pytest.fixture
def study(tmp_path):
    """A study of two runs that is under way, for five minutes if it is let alone, and one who follows it."""
    folder = tmp_path / "study"
    coordinators = [compare(folder, pause=0.5)]
    until((folder / "live.sqlite").exists)
    follower = Follower(folder)
    try:
        yield folder, coordinators, follower
    finally:
        for one in coordinators:
            one.kill()
            one.wait()
        follower.server.end()


def test_a_study_is_followed_over_its_coordinators_death_to_what_its_store_has(study):
    folder, coordinators, follower = study
    until(lambda: follower.look() and any(len(points) > 1 for points in follower.points.values()))
    assert any("running" in seen for seen in follower.states.values())
    os.kill(coordinators[0].pid, signal.SIGKILL)
    coordinators[0].wait()

    def has_stopped():
        status = follower.look()
        return status is not None and status["state"] == "stopped" and not status["running"] and status["words"]

    assert until(has_stopped).startswith("stopped: ")
    assert all(seen[-1] != "running" for seen in follower.states.values())
    coordinators.append(compare(folder, pause=0.0))
    until(lambda: (status := follower.look()) is not None and status["state"] == "complete")
    assert coordinators[1].wait(timeout=PATIENCE) == 0
    follower.look()
    with Store.open(folder, read_only=True) as store:
        runs = store.runs()
    assert set(follower.states) == set(runs)
    assert all(seen[-1] == "finished" for seen in follower.states.values())
    assert any("of 2 runs done" in words for words in follower.words)
    for run, points in follower.points.items():
        losses = runs[run].losses
        assert all(loss == pytest.approx(losses[step - 1]) for step, loss in points.items())
        (curve,) = follower.ask("curves", run=run, pixels=4000)["curves"]
        assert np.allclose(curve["y"], losses)
    assert follower.ask("changes", cursor=follower.cursor) == {"cursor": follower.cursor}


def test_the_stream_brings_the_same_and_ends_with_the_server(study):
    _, _, follower = study
    address = f"{follower.server.address}/api/stream?{follower.server.token}"
    with urllib.request.urlopen(address, timeout=PATIENCE) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        names, cursors = [], []
        while len(cursors) < 4:
            line = stream.readline().decode().rstrip("\n")
            if line.startswith("id: "):
                cursors.append(line.removeprefix("id: "))
            elif line.startswith("data: "):
                news = json.loads(line.removeprefix("data: "))
                assert news["cursor"] == cursors[-1]
                names.append("reset" if "reset" in news else "points")
        assert names[0] == "reset"
        assert "points" in names[1:]
        follower.server.process.send_signal(signal.SIGINT)
        stream.read()  # to its end: one that is cut off, as the server does after a while, raises IncompleteRead
        assert follower.server.process.wait(timeout=PATIENCE) in (0, 130)
