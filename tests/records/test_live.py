"""The picture of runs in progress: nothing read twice or missed, and nothing lost with it but the picture."""

import itertools
import math
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import calando
from calando import host
from calando.records import Store
from calando.records import live_file as module
from calando.records.follower import Followers, Progress
from calando.records.live import Live, live_in
from calando.records.live_file import MOST_STRETCHES, LiveFile, RunRow, _Thinned, hold
from calando.records.live_picture import LivePicture, is_conducted
from calando.records.store import sole_coordinator
from calando.standing import Standing


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(module, "COMMIT_SECONDS", 0.0)


def row(digest="a", steps=100):
    return RunRow(digest, "", "fixed", "sgd(lr=0.1)", 0, 0.1, steps)


def curve(picture, digest="a"):
    return [list(column) for column in picture.curve(digest)]


STEPS = st.lists(st.integers(1, 40), max_size=60)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, looks=st.sets(st.integers(0, 60)), resumed=st.sets(st.integers(0, 59)), waits=st.booleans())
def test_a_cursor_gets_every_point_once_whenever_it_looks(tmp_path_factory, steps, looks, resumed, waits):
    folder = tmp_path_factory.mktemp("live")
    seen, known = [], {}
    with closing(LiveFile(folder)) as file, closing(LivePicture(folder)) as picture:
        file.began(row())
        seq, generation = 0, ""
        for place, step in enumerate(steps):
            if place in resumed:
                file.put_away("a")
                file.began(row())
            file.point("a", step, 0.1, float(place))
            if not waits:
                file.flush()
            if place in looks:
                news = picture.since(seq, generation=generation)
                seq, generation = news.seq, news.generation
                seen += list(zip(*news.points.get("a", ([], [], [])), strict=True))
        file.flush()
        news = picture.since(seq, generation=generation)
        seen += list(zip(*news.points.get("a", ([], [], [])), strict=True))
        marks = [loss for _, _, loss in seen]
        assert len(set(marks)) == len(marks)
        for step, _, loss in seen:
            known = {one: value for one, value in known.items() if one < step} | {step: loss}
        assert [list(known), list(known.values())] == curve(picture)[::2]
        assert picture.since(news.seq, generation=news.generation).points == {}


def test_what_is_reported_again_after_a_resume_is_there_once(tmp_path):
    with closing(LiveFile(tmp_path)) as file, closing(LivePicture(tmp_path)) as picture:
        for _ in range(2):
            file.began(row())
            for step in (10, 20):
                file.point("a", step, 0.1, 1.0)
                file.score("a", step, 0.5, 1.0)
                file.probe("a", step, "{}")
            file.put_away("a")
        assert picture.looks("a")[0] == [10, 20]
        assert curve(picture)[0] == [10, 20]
        assert len(picture.probes("a")) == 2


def test_of_a_long_run_that_goes_back_what_lies_before_stays(tmp_path):
    with closing(LiveFile(tmp_path)) as file, closing(LivePicture(tmp_path)) as picture:
        file.began(row(steps=20_000))
        for step in (101, 102, 107, 105):
            file.point("a", step, 0.1, float(step))
        file.put_away("a")
        assert curve(picture)[0] == [101, 105]  # of a stretch two points stay


@settings(max_examples=40, deadline=None)
@given(data=st.data(), steps=st.integers(1, 40_000))
def test_of_a_long_run_few_points_stay_and_its_extremes_are_among_them(data, steps):
    count = data.draw(st.integers(1, 400))
    at = sorted(data.draw(st.sets(st.integers(1, steps), min_size=1, max_size=count)))
    losses = [data.draw(st.floats(0, 10) | st.just(math.inf)) for _ in at]
    thinned = _Thinned(steps)
    kept = [point for step, loss in zip(at, losses, strict=True) for point in thinned.add(step, 0.1, loss)]
    kept += thinned.rest()
    assert [step for step, _, _ in kept] == sorted({step for step, _, _ in kept})
    assert {(step, loss) for step, _, loss in kept} <= set(zip(at, losses, strict=True))
    assert {min(losses), max(losses)} <= {loss for _, _, loss in kept}
    assert len(kept) <= 4 * MOST_STRETCHES


def test_a_run_without_an_end_in_sight_stays_small():
    thinned, kept = _Thinned(None), 0
    for step in range(1, 300_000):
        kept += len(thinned.add(step, 0.1, 1.0))
    assert kept < 30_000


@pytest.mark.parametrize("what", ["gone", "damaged"])
def test_a_file_that_goes_while_it_is_written_is_begun_again(tmp_path, what):
    with closing(LiveFile(tmp_path)) as file, closing(LivePicture(tmp_path)) as picture:
        file.began(row())
        file.point("a", 1, 0.1, 2.0)
        first = picture.since(0)
        assert list(first.points) == ["a"]
        for name in ("live.sqlite", "live.sqlite-wal", "live.sqlite-shm"):
            if what == "gone":
                (tmp_path / name).unlink()
            else:
                (tmp_path / name).write_bytes(b"nothing that SQLite knows" * 400)
        for step in range(2, 12):
            file.point("a", step, 0.1, 1.0)
        news = picture.since(first.seq, generation=first.generation)
        assert news.generation not in ("", first.generation)
        assert [one.digest for one in news.runs] == ["a"]
        assert curve(picture)[0][-1] == 11
        assert any("damaged" in note for note in news.notes) == (what == "damaged")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no database at all" * 300,
        "CREATE TABLE meta (key, value)",
        "CREATE TABLE meta (key, value); INSERT INTO meta VALUES ('version', '99')",
        "CREATE VIEW runs AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n",
    ],
    ids=["empty", "noise", "no version", "newer", "a view without end"],
)
def test_what_lies_there_and_is_none_is_no_picture_and_another_is_begun(tmp_path, content):
    path = tmp_path / "live.sqlite"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as other:
            other.executescript(content)
    with closing(LivePicture(tmp_path)) as picture:
        assert picture.since(0).generation == ""
        assert picture.curve("a") == ([], [], [])
        with closing(LiveFile(tmp_path)) as file:
            file.began(row())
            file.point("a", 1, 0.1, 2.0)
        assert curve(picture) == [[1], [0.1], [2.0]]


def test_a_folder_in_its_place_is_a_note_and_training_goes_on(tmp_path):
    (tmp_path / "live.sqlite").mkdir()
    followers, notes = live_in(tmp_path)
    assert followers == ()
    assert "live.sqlite cannot be written" in notes[0]


def test_a_full_disk_ends_the_picture_and_nothing_else(tmp_path):
    live, told = Live(tmp_path), []
    followers = Followers([live], tell=told.append)
    (pages,) = live._file._file.execute("PRAGMA page_count").fetchone()
    live._file._file.execute(f"PRAGMA max_page_count = {pages}")
    for place in range(200):
        followers.noted(f"{place} " + "x" * 200)
    followers.stands(Standing("more"))
    assert len(told) == 1
    assert "live.sqlite follows no longer" in told[0]


KILLED = """
import os, signal, sys, time
from pathlib import Path
from calando.records import live_file
from calando.records.store import sole_coordinator
live_file.COMMIT_SECONDS = 0.0
folder = Path(sys.argv[1])
with sole_coordinator(folder):
    file = live_file.LiveFile(folder)
    file.began(live_file.RunRow("a", "", "fixed", "sgd", 0, 0.1, 100))
    for step in range(1, 31):
        file.point("a", step, 0.1, 1 / step)
    print("written", flush=True)
    time.sleep(600)
"""


def test_a_killed_coordinator_is_seen_and_the_next_one_goes_on(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "written\n"
    with closing(LivePicture(tmp_path)) as picture:
        assert is_conducted(tmp_path)
        assert picture.since(0).runs[0].state == "running"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert not is_conducted(tmp_path)
        assert curve(picture)[0] == list(range(1, 31))
        before = picture.since(0)
        with sole_coordinator(tmp_path), closing(LiveFile(tmp_path)) as file:
            news = picture.since(before.seq, generation=before.generation)
            assert [(one.digest, one.state) for one in news.runs] == [("a", "left")]
            file.began(row())
            file.point("a", 21, 0.1, 7.0)  # from the checkpoint at 20
            assert curve(picture)[0] == list(range(1, 22))
            assert curve(picture)[2][-1] == 7.0


LOOKING = """
import sys
from pathlib import Path
from calando.records.live_picture import is_conducted
print("looking", flush=True)
while True:
    is_conducted(Path(sys.argv[1]))
"""


def test_who_looks_whether_a_coordinator_lives_keeps_none_out(tmp_path):
    looking = subprocess.Popen([sys.executable, "-c", LOOKING, tmp_path], stdout=subprocess.PIPE)
    assert looking.stdout.readline()
    try:
        for _ in range(100):
            with sole_coordinator(tmp_path):
                assert is_conducted(tmp_path)
    finally:
        looking.kill()
        looking.wait()
        looking.stdout.close()


def test_who_looks_and_is_held_up_meanwhile_keeps_none_out(tmp_path, monkeypatch):
    """A process that has the lock for a moment may lose its processor in that moment."""
    fcntl = pytest.importorskip("fcntl")
    path, rounds = tmp_path / "study.lock", itertools.count(1)
    path.touch()
    with path.open() as looking, path.open() as file:
        fcntl.flock(looking, fcntl.LOCK_SH)

        def sleep(seconds: float) -> None:
            if next(rounds) * seconds > 0.3:
                fcntl.flock(looking, fcntl.LOCK_UN)

        monkeypatch.setattr(host.time, "sleep", sleep)
        assert host.lock(file)


def test_one_process_at_a_time_may_write_where_no_coordinator_is(tmp_path):
    held = hold(tmp_path)
    assert held is not None
    assert is_conducted(tmp_path)
    assert hold(tmp_path) is None
    held.close()
    assert not is_conducted(tmp_path)


def made(folder):
    calando.compare(
        "digits", "cosine", folder=folder, steps=30, seeds=1, lr=0.1, executor="inline", listen=lambda _: None
    )
    with Store.open(folder, read_only=True) as store:
        (record,) = store.runs().values()
    return record


def test_a_run_has_the_same_bits_whatever_becomes_of_its_picture(tmp_path, monkeypatch):
    alone = made(tmp_path / "alone")
    with closing(LivePicture(tmp_path / "alone")) as picture:
        news = picture.since(0)
        assert news.runs == []
        assert news.points == {}
        assert news.standing.done == 1
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "live.sqlite").mkdir()
    without = made(tmp_path / "without")
    assert np.array_equal(alone.losses, without.losses)
    assert alone.evaluations == without.evaluations

    def broken(*_):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(LiveFile, "point", broken)
    assert np.array_equal(alone.losses, made(tmp_path / "broken").losses)


def test_a_run_without_a_store_is_kept_whole(tmp_path):
    trained = calando.train("digits", "cosine", lr=0.1, steps=30, threads=1, folder=tmp_path, listen=lambda _: None)
    with closing(LivePicture(tmp_path)) as picture:
        records, tests = picture.records()
    (record,) = records.values()
    assert np.array_equal(record.losses, trained.record.losses)
    assert np.array_equal(record.rates, trained.record.rates)
    assert tests == {trained.record.spec.digest(): trained.test}


def test_a_loss_that_is_none_is_none_in_the_picture(tmp_path):
    record = made(tmp_path / "study")
    live = Live(tmp_path)
    live.began(record.spec, 0)
    live.progressed(record.spec, Progress(3, 0.1, math.nan))
    live.left(record.spec)
    live.close()
    with closing(LivePicture(tmp_path)) as picture:
        assert curve(picture, record.spec.digest()) == [[3], [0.1], [None]]
