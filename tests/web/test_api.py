"""What the page asks for: places, tables, curves as few points, and changes by cursor, of real stores."""

import json
import os
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.fabricate import fabricate
from tests.waiting import until
from tests.web.test_web_app import STUDY, Client, fill

import calando
from calando.records import Store, live_file
from calando.records.command_log import Branch, CommandLog
from calando.records.follower import Progress
from calando.records.live import Live
from calando.records.store import sole_coordinator
from calando.records.tuning import TuneStore
from calando.web.live_page import create_app


def ask(client, what, **parameters):
    from urllib.parse import urlencode

    answer = client.get(f"/api/{what}?{urlencode(parameters, doseq=True)}")
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_constant=pytest.fail)  # no NaN


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished study, and its client."""
    folder = tmp_path_factory.mktemp("whole")
    runs, tests = fill(folder)
    return runs, tests, Client(create_app(folder))


def test_places_status_and_table_agree_with_the_summary(whole):
    runs, tests, client = whole
    (place,) = ask(client, "places")["places"]
    assert (place["path"], place["kind"], place["state"]) == ("", "study", "complete")
    status, summary = ask(client, "status"), ask(client, "summary")
    assert status["headline"] == place["headline"] == summary["headline"]
    assert (status["done"], status["expected"]) == (summary["runs_done"], summary["runs_expected"])
    page = ask(client, "runs", sort="-score", limit=5)
    assert page["total"] == page["matching"] == len(runs)
    best = max(runs.values(), key=lambda one: one.score)
    assert page["rows"][0]["score"] == best.score
    every = [row for offset in range(0, 100, 7) for row in ask(client, "runs", offset=offset, limit=7)["rows"]]
    assert {row["run"]: row["test"] for row in every} == {
        digest: tests[digest].score if digest in tests else None for digest in runs
    }


def test_curves_are_those_of_the_store(whole):
    runs, _, client = whole
    digests = list(runs)[:3]
    for of, values in (("loss", "losses"), ("rate", "rates")):
        found = ask(client, "curves", of=of, run=digests, pixels=1000)["curves"]
        assert [one["run"] for one in found] == digests
        for one in found:
            assert np.allclose(one["y"], getattr(runs[one["run"]], values))
            assert one["x"] == list(range(1, len(one["y"]) + 1))
    (one,) = ask(client, "curves", of="loss", run=digests[0], pixels=5)["curves"]
    assert len(one["x"]) <= 10
    (part,) = ask(client, "curves", of="loss", run=digests[0], **{"from": 10, "to": 20})["curves"]
    assert part["x"] == list(range(10, 21))
    for of in ("loss", "rate", "score"):
        bands = ask(client, "bands", of=of)["bands"]
        assert {one["strategy"] for one in bands} == {record.spec.strategy.name for record in runs.values()}
        assert all(low <= high for one in bands for low, high in zip(one["low"], one["high"], strict=True))
    about = ask(client, "run", run=digests[0])
    assert about["spec"]["seed"] == runs[digests[0]].spec.seed
    assert about["command"].startswith("calando train digits")
    assert len(about["evaluations"]) == len(runs[digests[0]].evaluations)


@pytest.mark.parametrize(
    "place",
    [
        "..",
        "../..",
        "/",
        "/etc",
        "a/../b",
        "a/..",
        "./",
        "%2e%2e",
        "a\\..\\b",
        "link",
        "link/inner",
        ".hidden",
        "a\0b",
        "x" * 9999,
    ],
)
def test_only_what_was_found_is_a_place(tmp_path, place):
    fill(tmp_path / "served" / "a", until=1)
    fill(tmp_path / "served" / ".hidden", until=1)
    fill(tmp_path / "outside" / "inner", until=1)
    (tmp_path / "served" / "link").symlink_to(tmp_path / "outside")
    client = Client(create_app(tmp_path / "served"))
    assert [one["path"] for one in ask(client, "places")["places"]] == ["a"]
    from urllib.parse import quote

    for what in ("status", "summary", "runs", "curves", "run", "changes", "stream", "rows.csv"):
        answer = client.get(f"/api/{what}?place={quote(place)}")
        assert answer.status_code == 404, what
    answer = client.get(f"/api/run?place=a&run={quote('../' + place)}")
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "asked",
    ["runs?sort=nope", "runs?state=nope", "runs?limit=0", "runs?limit=1001", "runs?offset=-1", "runs?offset=1e3",
     "runs?offset=" + "9" * 5000, "curves?of=nope", "curves?pixels=1", "curves?pixels=x", "bands?of=",
     "curves?" + "&".join(f"run={n}" for n in range(201))],
)  # fmt: skip
def test_what_is_asked_wrongly_is_a_line(whole, asked):
    answer = whole[2].get(f"/api/{asked}")
    assert answer.status_code == 422
    assert list(answer.json()) == ["error"]


def test_who_only_reads_changes_no_time(tmp_path):
    fill(tmp_path / "study")
    before = time.time() - 7200
    for file in (tmp_path / "study").iterdir():
        os.utime(file, (before, before))
    client = Client(create_app(tmp_path))
    for _ in range(2):
        (one,) = ask(client, "places")["places"]
        assert one["changed"] == pytest.approx(before, abs=1)


def test_a_folder_is_listed_with_all_that_lies_in_it(tmp_path):
    fill(tmp_path / "studies" / "a", until=2)
    fill(tmp_path / "b")
    calando.train("digits", "cosine", lr=0.1, steps=20, threads=1, folder=tmp_path / "c", listen=lambda _: None)
    (tmp_path / "deep" / "er" / "still").mkdir(parents=True)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "study.sqlite").write_bytes(b"nothing" * 999)
    client = Client(create_app(tmp_path))
    there = {one["path"]: (one["kind"], one["state"]) for one in ask(client, "places")["places"]}
    assert there == {
        "studies/a": ("study", "stopped"),
        "b": ("study", "complete"),
        "c": ("training", "complete"),
        "d": ("study", "unreadable"),
    }
    assert client.get("/api/status?place=d").status_code == 503
    assert ask(client, "status", place="c")["headline"].startswith("finished after 20 of 20 steps: validation")
    (row,) = ask(client, "runs", place="c")["rows"]
    (one,) = ask(client, "curves", place="c", run=row["run"])["curves"]
    assert len(one["x"]) == 20


@settings(max_examples=25, deadline=None)
@given(looks=st.sets(st.integers(0, 40)))
def test_whoever_applies_every_change_sees_what_one_who_reads_all_sees(tmp_path_factory, looks):
    folder, before = tmp_path_factory.mktemp("changes"), live_file.COMMIT_SECONDS
    live_file.COMMIT_SECONDS = 0.0
    runs, _ = fabricate(STUDY)
    chosen, moment = list(runs.values())[:8], iter(range(10**6))
    try:
        with Store.create(folder, STUDY, fingerprint="x") as store, sole_coordinator(folder):
            client, live = Client(create_app(folder)), Live(folder)
            cursor, rows, points = "", {}, {}

            def look(*, anyway=False):
                nonlocal cursor
                if next(moment) not in looks and not anyway:
                    return
                news = ask(client, "changes", cursor=cursor)
                if news.get("reset"):
                    rows.clear()
                    points.clear()
                    rows.update((row["run"], row) for row in ask(client, "runs", limit=1000)["rows"])
                    for run in rows:
                        (one,) = ask(client, "curves", run=run, pixels=4000)["curves"]
                        points[run] = dict(zip(one["x"], one["y"], strict=True))
                for run, some in news.get("points", {}).items():
                    for step, loss in zip(some["step"], some["loss"], strict=True):
                        assert step not in points.setdefault(run, {}) or news["cursor"] == cursor
                        points[run][step] = loss
                rows.update((row["run"], row) for row in news.get("rows", []))
                cursor = news["cursor"]

            for record in chosen:
                live.began(record.spec, 0)
                look()
                for step in (5, 11, 17):
                    live.progressed(record.spec, Progress(step, 0.1, 2.0 / step))
                    look()
                if record is chosen[-1]:
                    break
                store.put_run(record)
                live.ended(record)
                look()
            look(anyway=True)
            look(anyway=True)
            now = {row["run"]: row for row in ask(client, "runs", limit=1000)["rows"]}
            began = {run: row for run, row in now.items() if row["state"] != "queued"}
            assert {run: rows[run] for run in began} == began
            assert [row["state"] for row in began.values()].count("running") == 1
            last = chosen[-1].spec.digest()
            assert list(points[last]) == [5, 11, 17]

            def nothing_is_new():  # a summary may be under way
                nonlocal cursor
                news = ask(client, "changes", cursor=cursor)
                cursor = news["cursor"]
                assert {row["state"] for row in news.get("rows", [])} <= {"queued"}
                assert not news.get("points")
                return len(news) == 1

            until(nothing_is_new)
            live.close()
    finally:
        live_file.COMMIT_SECONDS = before


@pytest.mark.parametrize(
    "cursor", ["", "nonsense", "----", "1-2-3-4", "0-99999999999999999999-0-0", "\ud83d", "a" * 9000]
)
def test_a_cursor_of_nowhere_begins_again(whole, cursor):
    news = ask(whole[2], "changes", cursor=cursor.encode("utf-8", "replace").decode())
    assert news["reset"]
    assert ask(whole[2], "changes", cursor=news["cursor"]) == {"cursor": news["cursor"]}


@pytest.mark.parametrize("damage", ["gone", "noise", "a folder"])
def test_without_its_picture_a_study_shows_what_is_finished(tmp_path, damage):
    runs, _ = fill(tmp_path, until=4)
    path = tmp_path / "live.sqlite"
    client = Client(create_app(tmp_path))
    with closing(Live(tmp_path)) as live:
        live.began(next(iter(fabricate(STUDY)[0].values())).spec, 0)
    if damage != "gone":
        ask(client, "status")
    for extra in tmp_path.glob("live.sqlite*"):
        extra.unlink()
    if damage == "noise":
        path.write_bytes(b"noise" * 9000)
    elif damage == "a folder":
        path.mkdir()
    done = [row for row in ask(client, "runs", limit=1000)["rows"] if row["state"] == "finished"]
    assert {row["run"] for row in done} <= set(runs)
    assert len(done) == 4
    assert ask(client, "status")["running"] == []


def test_a_branch_is_a_row_of_its_own_from_when_it_is_made(tmp_path):
    runs, _ = fill(tmp_path, until=3)
    parent = next(iter(runs.values())).spec
    other = parent.model_copy(update={"seed": 77})
    client = Client(create_app(tmp_path))
    cursor = ask(client, "status")["cursor"]
    with CommandLog.open(tmp_path) as log:
        asked = log.ask("rate *0.5", run=parent.digest(), key="one")
        log.accept(
            asked, target=parent.digest(), step=9, branch=Branch(spec=other, parent=parent.digest(), step=9, command=1)
        )
    news = ask(client, "changes", cursor=cursor)
    assert [(row["run"], row["state"], row["step"], row["steered"]) for row in news["rows"]] == [
        (other.digest(), "queued", 9, True)
    ]
    assert ask(client, "runs", state="steered")["matching"] == 1
    about = ask(client, "run", run=other.digest())
    assert about["parent"] == parent.digest()
    with Store.open(tmp_path) as store:
        store.put_run(replace(runs[parent.digest()], spec=other))
    (row,) = ask(client, "runs", state="steered")["rows"]
    assert (row["run"], row["state"]) == (other.digest(), "finished")
    (tmp_path / "commands.sqlite").write_bytes(b"noise" * 999)
    assert ask(client, "runs")["total"] > 3


def test_the_arms_of_a_tuning_are_its_rows_with_what_was_trained_of_each(tmp_path):
    tuned = calando.tune("digits", steps=100, budget=1.5, threads=1, folder=tmp_path, listen=lambda _: None)
    with TuneStore.open(tmp_path, read_only=True) as store:
        pieces = store.pieces()
    client = Client(create_app(tmp_path))
    status = ask(client, "status")
    assert (status["kind"], status["state"], status["running"]) == ("tuning", "complete", [])
    assert status["done"] == round(sum(piece.stop - piece.start for piece in pieces))
    assert f"rate {tuned.run.lr:.3g}" in status["headline"]
    rows = {row["run"]: row for row in ask(client, "runs")["rows"]}
    assert set(rows) == {piece.spec.digest() for piece in pieces}
    answer = rows[tuned.run.digest()]
    assert (answer["state"], answer["test"]) == ("finished", tuned.test.score)
    alone = calando.train("digits", tuned.strategy, steps=100, threads=1, folder=tmp_path / "a", listen=lambda _: None)
    for of, values in (("loss", alone.record.losses), ("rate", alone.record.rates)):
        (curve,) = ask(client, "curves", of=of, run=tuned.run.digest(), pixels=1000)["curves"]
        assert np.allclose(curve["y"], values)


def test_a_study_put_in_the_place_of_another_is_another(tmp_path):
    served = tmp_path / "served"
    fill(served / "a", until=5)
    fill(tmp_path / "new", until=2)
    client = Client(create_app(served))
    cursor = ask(client, "status", place="a")["cursor"]
    (served / "a").rename(tmp_path / "old")
    assert client.get("/api/status?place=a").status_code == 404
    (tmp_path / "new").rename(served / "a")
    assert ask(client, "changes", place="a", cursor=cursor)["reset"]
    rows = ask(client, "runs", place="a", limit=1000)["rows"]
    assert sum(row["state"] == "finished" for row in rows) == 2


def test_more_places_than_stay_open_are_all_answered(tmp_path, monkeypatch):
    monkeypatch.setattr("calando.web.places.MOST_OPEN", 2)
    names = [f"s{n}" for n in range(5)]
    for n, name in enumerate(names):
        fill(tmp_path / name, until=n + 1)
    client = Client(create_app(tmp_path))
    for _ in range(2):
        for n, name in enumerate(names):
            rows = ask(client, "runs", place=name, limit=1000)["rows"]
            assert sum(row["state"] == "finished" for row in rows) == n + 1
    assert len(ask(client, "places")["places"]) == 5


def test_a_list_that_takes_long_comes_at_once_and_is_filled_in(tmp_path, monkeypatch):
    monkeypatch.setattr("calando.web.places.LIST_SECONDS", 0.0)
    for name in ("a", "b"):
        fill(tmp_path / name)
    client = Client(create_app(tmp_path))
    assert {row["state"] for row in ask(client, "places")["places"]} == {"reading"}
    until(lambda: {row["state"] for row in ask(client, "places")["places"]} == {"complete"})


def test_a_study_that_is_asked_for_more_has_more_to_make(tmp_path):
    fill(tmp_path)
    client = Client(create_app(tmp_path))
    before = ask(client, "status")
    larger = STUDY.model_copy(update={"seeds": STUDY.seeds + 2})
    with Store.open(tmp_path) as store:
        store.enlarge(asked=larger, study=larger, command="")
    until(lambda: ask(client, "status")["expected"] != before["expected"])
    assert ask(client, "status")["state"] == "stopped"
    assert ask(client, "runs", state="queued")["matching"] > 0
