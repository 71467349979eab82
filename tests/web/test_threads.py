"""Many threads ask of one place at once, as a page's charts do, while it is written: each gets an answer."""

import json
import threading
from contextlib import closing

import pytest
from tests.waiting import PATIENCE

from calando.records import live_file
from calando.records.live_file import LiveFile, RunRow, hold
from calando.records.live_picture import LivePicture


@pytest.fixture
def writing(tmp_path, monkeypatch):
    """A run in progress that is looked at, whose file grows until the test is over."""
    monkeypatch.setattr(live_file, "COMMIT_SECONDS", 0.0)
    over = threading.Event()
    begun = threading.Event()

    def write():
        with closing(LiveFile(tmp_path)) as file:
            file.began(RunRow("a" * 16, "", "watch", "", 0, None, 1000))
            for step in range(1, 100_000):
                file.point("a" * 16, step, 0.1, 1.0)
                file.probe("a" * 16, step, json.dumps({"step": step, "slope": 0.5}))
                file.flush()
                begun.set()
                if over.wait(0.002):
                    return

    with hold(tmp_path):
        thread = threading.Thread(target=write)
        thread.start()
        assert begun.wait(PATIENCE)
        yield tmp_path
        over.set()
        thread.join()


def at_once(*asks, times=40):
    """Each in a thread of its own; what went wrong."""
    wrong = []

    def ask(one):
        try:
            for _ in range(times):
                one()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(one,)) for one in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_a_picture_is_read_by_many_threads(writing):
    picture, run = LivePicture(writing), "a" * 16
    with closing(picture):
        asks = (lambda: picture.curve(run), lambda: picture.probes(run), lambda: picture.since(0), picture.has_changed)
        assert at_once(*asks * 2) == []
        assert picture.probes(run)


def test_every_route_of_a_place_answers_many_at_once(writing):
    pytest.importorskip("starlette")
    from starlette.testclient import TestClient

    from calando.web.live_page import create_app

    app = create_app(writing)
    paths = [f"/api/curves?of={of}&run={'a' * 16}" for of in ("loss", "rate", "score", "slope")]
    paths += ["/api/status", "/api/runs", f"/api/run?run={'a' * 16}", "/api/changes?cursor=x"]
    with TestClient(app, base_url="http://127.0.0.1:8321") as client:

        def ask(path):
            answer = client.get(path)
            assert answer.status_code == 200, (path, answer.text)

        assert at_once(*(lambda path=path: ask(path) for path in paths), times=12) == []
