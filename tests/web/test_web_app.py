"""The live page reads the store, follows the study, and writes nothing but a command from its own origin."""

import asyncio
import json
import re
import sqlite3
import xml.etree.ElementTree as ET
from pathlib import Path

import httpx
import pytest
from tests.report.fabricate import fabricate, make_study

from calando import web
from calando.analysis.summary import summarize
from calando.errors import CorruptFile, UsageError
from calando.records.command_log import CommandLog
from calando.records.store import Store
from calando.report.palette import COLOURS, DASHES
from calando.web.access import Tokens
from calando.web.live_page import create_app

STATIC = Path(web.__file__).parent / "static"
HOME = "http://127.0.0.1:8321"
STUDY = make_study(("fixed", "cosine", "<script>alert(1)</script>"), seeds=2, steps=60)


def fill(folder, *, until=None):
    """A store in `folder` with the first runs of the study, or all of them."""
    runs, tests = fabricate(STUDY, until=until)
    with Store.create(folder, STUDY, fingerprint="digits 1f2e") as store:
        for record in runs.values():
            store.put_run(record)
        for digest, test in tests.items():
            store.put_test(digest, test)
    return runs, tests


class Client:
    """Asks an application as a browser on this machine would."""

    def __init__(self, app):
        self.app = app

    def ask(self, method, path, headers=None):
        async def answer():
            there = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=there, base_url=HOME) as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(answer())

    def get(self, path, headers=None):
        return self.ask("GET", path, headers)

    def post(self, path, headers=None):
        return self.ask("POST", path, headers)


@pytest.fixture
def begun(tmp_path):
    """A study of which seven runs are done, and a client of its page."""
    fill(tmp_path, until=7)
    return Client(create_app(tmp_path))


def test_the_report_shows_the_study_as_far_as_it_is(begun):
    answer = begun.get("/report")
    assert answer.status_code == 200
    assert "Not finished." in answer.text
    assert 'data-live="running"' in answer.text
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_every_script_the_page_names_is_served_and_no_other(begun):
    named = {
        *re.findall(r'(?:src|href)="(static/[^"]+)"', begun.get("/").text + begun.get("/report").text),
        *(
            f"static/{name}"
            for path in STATIC.glob("*.js")
            for name in re.findall(r'from "\./(.+?)"', path.read_text())
        ),
    }
    assert {"static/app.js", "static/uplot.js", "static/vega.js", "static/live.js", "static/palette.js"} <= named
    for path in named:
        answer = begun.get(f"/{path}")
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith("text/css" if path.endswith(".css") else "text/javascript")
        again = begun.get(f"/{path}", {"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert begun.get("/static/style.css").status_code == 404
    assert begun.get("/static/uplot.LICENSE.txt").status_code == 404
    assert begun.get("/static/..%2fapp.py").status_code == 404


def test_lines_have_the_colours_of_the_report(begun):
    served = begun.get("/static/palette.js").text
    assert f"COLOURS = {json.dumps(COLOURS, separators=(',', ':'))};" in served
    assert f"DASHES = {json.dumps(DASHES, separators=(',', ':'))};" in served


def test_the_summary_is_that_of_the_store_and_moves_with_it(tmp_path):
    fill(tmp_path, until=7)
    everything, tests = fabricate(STUDY)
    client = Client(create_app(tmp_path))
    before = client.get("/api/summary").json()
    assert (before["complete"], before["runs_done"]) == (False, 7)
    with Store.open(tmp_path) as store:
        for record in everything.values():
            store.put_run(record)
        for digest, test in tests.items():
            store.put_test(digest, test)
    after = client.get("/api/summary").json()
    assert after == summarize(STUDY, everything, tests).to_json()
    assert after["complete"]
    assert 'data-live="done"' in client.get("/report").text


def commands_in(folder):
    with CommandLog.open(folder) as log:
        return [one.line for one in log.rows()]


def test_figures_are_svg_and_absent_ones_say_why(begun):
    ET.fromstring(begun.get("/figures/sensitivity.svg").content)
    absent = begun.get("/figures/differences.svg")
    assert absent.status_code == 404
    assert absent.text == "Test scores are read once every run is finished; the comparison is made then."
    assert "there are rates, loss" in begun.get("/figures/other.svg").text


def test_stop_is_written_once_asked_from_the_page(begun, tmp_path):
    answer = begun.post("/commands/stop", headers={"Origin": HOME})
    assert answer.status_code == 202
    assert commands_in(tmp_path) == ["stop"]


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://127.0.0.1:9999", "https://127.0.0.1:8321"]
)
def test_a_command_from_elsewhere_is_refused(begun, tmp_path, origin):
    headers = {} if origin is None else {"Origin": origin}
    assert begun.post("/commands/stop", headers=headers).status_code == 403
    assert commands_in(tmp_path) == []


def test_a_rebound_name_is_refused(begun):
    for path in ("/", "/api/summary"):
        assert begun.get(path, headers={"Host": "evil.example:8321"}).status_code == 400
    refused = begun.post("/commands/stop", headers={"Host": "evil.example", "Origin": "http://evil.example"})
    assert refused.status_code == 400


def test_reading_writes_nothing(begun, tmp_path):
    def content():
        with sqlite3.connect(tmp_path / "study.sqlite") as connection:
            return list(connection.iterdump())

    before = content()
    for path in ("/", "/report", "/api/summary", "/api/status", "/api/runs", "/figures/cost.svg"):
        begun.get(path)
    assert content() == before
    assert begun.get("/commands/stop").status_code == 405


def test_no_study_is_said_at_once(tmp_path):
    with pytest.raises(UsageError, match="no study"):
        create_app(tmp_path)


def test_a_store_that_breaks_later_is_one_line(tmp_path):
    fill(tmp_path, until=3)
    client = Client(create_app(tmp_path))
    (tmp_path / "study.sqlite").write_bytes(b"no database at all, just bytes" * 200)
    for extra in tmp_path.glob("study.sqlite-*"):
        extra.unlink()
    answer = client.get("/api/summary")
    assert answer.status_code == 503
    assert "study.sqlite" in answer.text
    assert len(answer.text.splitlines()) == 1
    with pytest.raises(CorruptFile):
        create_app(tmp_path)


TOKENS = Tokens(look="0123456789abcdef", steer="fedcba9876543210")
TOKEN = TOKENS.steer


@pytest.fixture
def guarded(tmp_path):
    """A study that is for whoever knows the token."""
    fill(tmp_path, until=7)
    return Client(create_app(tmp_path, tokens=TOKENS))


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/api/summary", {}),
        ("/static/page.js", {}),
        ("/figures/cost.svg", {}),
        ("/?token=0123456789abcdeX", {}),
        ("/?token=", {}),
        ("/api/summary", {"Authorization": "Bearer 0123"}),
        ("/api/summary", {"Authorization": TOKEN}),
        ("/api/summary", {"Cookie": f"calando-9999-steer={TOKEN}"}),
        ("/api/summary?token=%ff%fe", {}),
    ],
)
def test_whoever_does_not_know_the_token_reads_nothing(guarded, path, headers):
    answer = guarded.get(path, headers)
    assert answer.status_code == 403
    assert "open an address that it printed" in answer.text


def test_whoever_knows_the_token_is_let_in(guarded, tmp_path):
    first = guarded.get(f"/?token={TOKEN}")
    assert first.status_code == 303
    assert first.headers["location"] == "./"
    cookie, dropped = first.headers.get_list("set-cookie")[::-1]
    assert 'calando-8321-look=""' in dropped
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    carried = {"Cookie": cookie.split(";")[0]}
    assert guarded.get("/", carried).status_code == 200
    assert guarded.get(f"/api/summary?token={TOKEN}").status_code == 200
    assert guarded.get("/api/summary", {"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert guarded.post("/commands/stop", {"Origin": HOME}).status_code == 403
    assert guarded.post("/commands/stop", {"Origin": HOME, **carried}).status_code == 202
    assert commands_in(tmp_path) == ["stop"]
