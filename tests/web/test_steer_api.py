"""Steering from the page: looked at first, asked once, by who may; the rest is the coordinator's."""

import asyncio
import json

import httpx
import pytest
from tests.web.test_web_app import HOME, STUDY, Client, fill

from calando.records.command_log import CommandLog
from calando.web.access import Tokens
from calando.web.live_page import create_app

TOKENS = Tokens(look="a" * 32, steer="b" * 32)


class Page(Client):
    """With the token that steers, unless another is given."""

    def send(self, content, *, token=TOKENS.steer, origin=HOME, kind="application/json"):
        async def answer():
            there = httpx.ASGITransport(app=self.app)
            given = {"Authorization": f"Bearer {token}", "Origin": origin, "Content-Type": kind}
            async with httpx.AsyncClient(transport=there, base_url=HOME, headers=given) as client:
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                return await client.post("/api/steer", content=body)

        return asyncio.run(answer())

    def look(self, **asked):
        given = {"Authorization": f"Bearer {TOKENS.look}"}
        return self.get(f"/api/steer?{httpx.QueryParams(asked)}", given)


@pytest.fixture
def run(tmp_path):
    runs, _ = fill(tmp_path, until=3)
    return next(iter(runs))


@pytest.fixture
def page(run, tmp_path):
    return Page(create_app(tmp_path, tokens=TOKENS))


def rows(folder):
    with CommandLog.open(folder) as log:
        return log.rows()


def command(run, **other):
    return {"place": "", "run": run, "text": "from 10: rate *0.5", "id": "one", "expected_step": 10} | other


def test_a_command_is_looked_at_before_it_is_asked_and_nothing_is_written(page, run, tmp_path):
    before = sorted(tmp_path.iterdir())
    seen = page.look(place="", run=run, text="from 10: rate *0.5").json()
    assert "piecewise" in seen["text"]
    assert len(seen["x"]) == len(seen["before"]) == len(seen["after"])
    at = dict(zip(seen["x"], zip(seen["before"], seen["after"], strict=True), strict=True))
    assert at[9][0] == at[9][1]
    assert at[10][1] == pytest.approx(at[10][0] / 2)
    assert sorted(tmp_path.iterdir()) == before


def test_a_command_is_a_row_and_the_same_id_again_is_the_same_row(page, run, tmp_path):
    answers = [page.send(command(run)) for _ in range(3)]
    assert {one.status_code for one in answers} == {202}
    assert answers[0].json() == {"id": "one", "state": "asked"}
    (row,) = rows(tmp_path)
    assert (row.line, row.run, row.who, row.seen) == ("from 10: rate *0.5", run, "page", 10)
    other = page.send(command(run, text="stop"))
    assert other.status_code == 409
    assert "asked before" in other.json()["error"]
    assert len(rows(tmp_path)) == 1


def test_a_runs_page_has_what_was_asked_of_it(page, run):
    page.send(command(run))
    shown = page.get(f"/api/run?run={run}", {"Authorization": f"Bearer {TOKENS.look}"}).json()
    assert [one["line"] for one in shown["commands"]] == ["from 10: rate *0.5"]
    assert (shown["parent"], shown["branches"]) == (None, [])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"[]", 422),
        (b"null", 422),
        (b"[" * 30_000, 422),
        (b'{"place": "", "run": "x"}', 422),
        (b"\xff\xfe", 422),
        (b"x" * 100_000, 413),
        ({"text": "rate *-1"}, 422),
        ({"text": "rate *1e400"}, 422),
        ({"text": "__import__('os').system('x')"}, 422),
        ({"text": "schedule " + "(" * 1000}, 422),
        ({"text": ""}, 422),
        ({"text": ["rate *0.5"]}, 422),
        ({"id": ""}, 422),
        ({"id": "../x"}, 422),
        ({"id": "x" * 65}, 422),
        ({"expected_step": "10"}, 422),
        ({"expected_step": True}, 422),
        ({"expected_step": -1}, 422),
        ({"expected_step": 10**30}, 422),
        ({"run": "nothing like it"}, 422),
        ({"run": ""}, 422),
        ({"run": "<script>"}, 422),
        ({"place": "../other"}, 404),
        ({"who": "root"}, 422),
    ],
)
def test_what_is_no_command_is_refused_in_a_line_and_leaves_no_row(page, run, tmp_path, body, status):
    answer = page.send(command(run) | body if isinstance(body, dict) else body)
    assert answer.status_code == status, answer.text
    assert len(answer.text.splitlines()) == 1
    assert rows(tmp_path) == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_is_no_command(page, run, tmp_path, kind):
    """What a page elsewhere can send without being asked whether it may."""
    assert page.send(command(run), kind=kind).status_code == 415
    assert rows(tmp_path) == []


def test_who_looks_sees_what_a_command_would_do_and_asks_none(page, run, tmp_path):
    assert page.look(place="", run=run, text="rate *0.5").status_code == 200
    assert page.send(command(run), token=TOKENS.look).status_code == 403
    assert page.send(command(run), token="0" * 32).status_code == 403
    assert page.send(command(run), origin="http://evil.example").status_code == 403
    assert rows(tmp_path) == []


@pytest.mark.parametrize("text", ["", "rate", "reboot", "from 99999: rate *2", "<img src=x>", "x" * 5000])
def test_what_cannot_be_is_said_before_it_is_asked(page, run, text):
    answer = page.look(place="", run=run, text=text)
    assert answer.status_code == 200
    assert list(answer.json()) == ["error"]
    assert len(answer.json()["error"].splitlines()) == 1


def test_what_is_not_steered_is_said(tmp_path, monkeypatch):
    fill(tmp_path, until=3)
    page = Page(create_app(tmp_path, tokens=TOKENS))
    from calando.web.places import Places

    monkeypatch.setattr(Places, "found", lambda self: {"": "tuning"})
    answer = page.send(command(STUDY.strategies[0].name))
    assert answer.status_code == 422
    assert "a tuning is not steered from the page" in answer.json()["error"]
