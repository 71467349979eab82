"""Files of a study are damaged: the same table in the end, or a clear line; never a wrong table, never a traceback."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.study.faults.harmed import Ended, Moments, ask, timeless
from tests.study.study_kit import decided

from calando.records import Store
from calando.study.conduct import conduct


def truncate(path: Path, rng: random.Random) -> None:
    """Half of it is gone."""
    del rng
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path, rng: random.Random) -> None:
    """One bit is another."""
    data = bytearray(path.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)


def empty(path: Path, rng: random.Random) -> None:
    """All of it is gone."""
    del rng
    path.write_bytes(b"")


def remove(path: Path, rng: random.Random) -> None:
    """It is not there."""
    del rng
    path.unlink()


def replace(path: Path, rng: random.Random) -> None:
    """A folder is in its place."""
    del rng
    path.unlink()
    path.mkdir()
    (path / "thing").write_text("something")


HARMS = (truncate, flip, empty, remove, replace)


def files(folder: Path) -> list[str]:
    """The names of all files of a study, its page left out, sorted by room."""
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(str(path) for path in found if path.parts[0] not in ("figures", "report.html"))


def check(command: Callable[..., Ended], moments: Moments, folder: Path, harmed: str) -> None:
    """The same command comes to the same, or stops with a line that names the store and says what to do."""
    ended = command(folder)
    if ended.status == 0:
        assert decided(folder) == moments.decided, harmed
        assert timeless(json.loads(ended.out)) == moments.table, harmed
        return
    assert harmed.startswith("study."), f"{harmed} is no reason to stop: {ended.err}"
    assert ended.status in (1, 2)
    assert ended.err.startswith("calando: "), ended.err
    assert ended.err.count("\n") == 1, ended.err
    assert str(folder / harmed.removesuffix("-wal").removesuffix("-shm")) in ended.err
    assert any(word in ended.err for word in ("restore a copy", "remove", "name another path")), ended.err
    # Traces are read for the page, once the answer, which needs none, is printed.
    assert not ended.out or timeless(json.loads(ended.out)) == moments.table, ended.err


def harm_each(
    command: Callable[..., Ended], moments: Moments, moment: str, tmp_path: Path, harms: Callable[[int, str], tuple]
) -> None:
    """Every file of a folder in turn, with the harms that belong to its place; all that goes wrong is said."""
    whole, wrong, rng = getattr(moments, moment), [], random.Random(0)
    for place, name in enumerate(files(whole)):
        for harm in harms(place, name):
            folder = tmp_path / "study"
            shutil.copytree(whole, folder)
            harm(folder / name, rng)
            try:
                check(command, moments, folder, name)
            except AssertionError as error:
                wrong.append(f"{name}, {harm.__name__}: {str(error).splitlines()[0]}")
            shutil.rmtree(folder)
    assert not wrong, "\n".join(wrong)


def test_the_moments_are_what_they_say(moments):
    """A log that holds what the store's file does not, checkpoints begun and finished, forks where there are any."""
    there = {moment: files(getattr(moments, moment)) for moment in ("midway", "trained", "finished")}
    assert (moments.midway / "study.sqlite-wal").stat().st_size > 0
    assert any(name.startswith("checkpoints/") and "tensors-5-" in name for name in there["midway"])
    assert all(any("tensors-24-" in name for name in names) for names in there.values())
    assert 0 < len(decided(moments.midway)["runs"]) < len(moments.decided["runs"])
    assert decided(moments.trained) == moments.decided | {"tests": {}}


@pytest.mark.parametrize("moment", ["midway", "finished"])
def test_damage_to_any_checkpoint_changes_no_table(command, moments, moment, tmp_path):
    """Each file is harmed in one way, the next file in the next way."""
    turn = ("midway", "finished").index(moment)

    def one(place: int, name: str) -> tuple:
        return () if name.startswith("study.") else (HARMS[(place + turn) % len(HARMS)],)

    harm_each(command, moments, moment, tmp_path, one)


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize(
    ("moment", "name"), [("midway", "study.sqlite"), ("midway", "study.sqlite-wal"), ("finished", "study.lock")]
)
def test_damage_to_the_store_changes_no_table(command, moments, moment, name, harm, tmp_path):
    shutil.copytree(getattr(moments, moment), tmp_path / "study")
    harm(tmp_path / "study" / name, random.Random(1))
    check(command, moments, tmp_path / "study", name)


def test_a_store_that_was_removed_leaves_nothing_behind_in_its_log(moments, tmp_path):
    """Another question in the same folder: what the old store's log still holds is no part of the new one."""
    folder, asked = tmp_path / "study", ask("cosine", steps=6)
    shutil.copytree(moments.midway, folder)
    (folder / "study.sqlite").unlink()
    conduct(folder, asked.study, asked.task, executor="inline")
    with Store.open(folder, read_only=True) as store:
        assert {record.spec.steps for record in store.runs().values()} == {6}


def test_a_bit_that_flips_in_the_store_changes_no_table(command, moments, tmp_path):
    flip_bits(command, moments, tmp_path, moments.finished, times=40)


def flip_bits(command, moments: Moments, tmp_path: Path, whole: Path, *, times: int) -> None:
    """One bit of the store at a time, anywhere."""
    folder, rng = tmp_path / "study", random.Random(0)
    for time in range(times):
        shutil.copytree(whole, folder)
        flip(folder / "study.sqlite", rng)
        try:
            check(command, moments, folder, "study.sqlite")
        except AssertionError as error:
            raise AssertionError(f"flip {time}: {error}") from error
        shutil.rmtree(folder)


@pytest.mark.torture
@pytest.mark.parametrize("moment", ["midway", "trained", "finished"])
def test_every_damage_to_every_file_changes_no_table(command, moments, moment, tmp_path):
    harm_each(command, moments, moment, tmp_path, lambda *_: HARMS)


@pytest.mark.torture
@pytest.mark.parametrize("moment", ["midway", "trained", "finished"])
def test_many_bits_that_flip_in_the_store_change_no_table(command, moments, moment, tmp_path):
    flip_bits(command, moments, tmp_path, getattr(moments, moment), times=200)
