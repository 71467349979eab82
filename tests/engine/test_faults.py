"""What the world does to a study folder: the disk fills, files are damaged. Never a wrong table, never a traceback."""

import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

import calando.report
from calando.analysis import to_json
from calando.cli.main import main
from calando.engine.ask import ask_study
from calando.engine.coordinator import conduct
from calando.engine.limits import Budget, Machine
from calando.errors import DiskFull
from calando.optim.presets import choose_strategies
from calando.records import Store
from calando.training.loop import Interrupted, execute
from calando.workloads.registry import resolve

STRATEGIES = ("fixed", "step")
WORDS = [
    "digits",
    *STRATEGIES,
    "--steps",
    "24",
    "--seeds",
    "2",
    "--rates",
    "2",
    "--batch-size",
    "32",
    "--device",
    "cpu",
]
FULL_DISK = Path(__file__).parent / "full_disk"


def ask(*strategies: str, steps: int = 24):
    """What the command asks, or something else."""
    return ask_study(
        resolve("digits", batch_size=32),
        choose_strategies(strategies or STRATEGIES),
        budget=Budget(steps=steps),
        machine=Machine(device="cpu"),
        seeds=2,
        rates=2,
    )


@dataclasses.dataclass(frozen=True)
class Ended:
    """How the command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch, capsys) -> Callable[..., Ended]:
    """`calando compare … --study FOLDER --json` in this process, the page left out, which takes seconds."""
    monkeypatch.setattr(calando.report, "write_report", lambda folder, *rest, **options: folder / "report.html")
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(folder: Path, *, executor: str = "inline") -> Ended:
        where = ["--executor", executor, "--workers", "1", "--study", str(folder)]
        monkeypatch.setattr(sys, "argv", ["calando", "compare", *WORDS, "--json", *where])
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code or 0, *capsys.readouterr())

    return run


def decided(folder: Path) -> dict:
    """Everything in a store that runs decide, to the bit; what it took to make them is left out."""
    with Store.open(folder, read_only=True) as store:
        runs = {
            digest: (r.outcome, r.steps_done, r.losses.tobytes(), r.rates.tobytes(), r.evaluations, r.events)
            for digest, r in store.runs().items()
        }
        return {"study": store.study, "runs": runs, "tests": store.tests()}


def timeless(said: object) -> object:
    """What the command says as JSON, without what depends on the moment: seconds, and what was spent."""
    if isinstance(said, dict):
        moment = ("second", "spent", "inherited")
        return {key: timeless(one) for key, one in said.items() if not any(word in key for word in moment)}
    return [timeless(one) for one in said] if isinstance(said, list) else said


@dataclasses.dataclass(frozen=True)
class Moments:
    """The study of this page as its folder was at three moments, and what it comes to.

    Args:
        midway: killed with some runs made and one begun, what was last written still in the store's log.
        trained: killed with everything trained and nothing tested.
        finished: left alone.
    """

    midway: Path
    trained: Path
    finished: Path
    decided: dict
    table: object


@pytest.fixture(scope="module")
def moments(tmp_path_factory) -> Moments:
    root = tmp_path_factory.mktemp("moments")
    asked = ask()
    folder = root / "study"

    def listen(status) -> None:
        # A copy of the folder while the coordinator has it open is what a kill at that moment leaves.
        for name, reached in (("midway", status.done >= 4), ("trained", status.looks > 0)):
            if reached and not (root / name).exists():
                shutil.copytree(folder, root / name)

    summary = conduct(folder, asked.study, asked.workload, executor="inline", listen=listen)
    begin_a_run(root / "midway", asked)
    said = timeless(json.loads(json.dumps(to_json(summary))))
    return Moments(root / "midway", root / "trained", folder, decided(folder), said)


def begin_a_run(folder: Path, asked) -> None:
    """Leave the checkpoint of a run that was stopped on its way."""
    with Store.open(folder, read_only=True) as store:
        made = store.runs()
    grids = asked.study.rate_grids
    trials = [asked.study.run(one.at_rate(lr), seed=1) for one in asked.study.strategies for lr in grids[one.name]]
    spec = next(trial for trial in trials if trial.digest() not in made)
    with suppress(Interrupted):
        execute(
            spec, asked.workload, folder=folder / "checkpoints" / spec.digest(), watch=lambda state: state.step == 5
        )


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
    assert ended.out == ""


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
    conduct(folder, asked.study, asked.workload, executor="inline")
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


Resize = Callable[[int], None]


@pytest.fixture
def small_disk(tmp_path) -> Iterator[tuple[Path, Resize]]:
    """A real file system in memory, and what makes it larger or smaller; kilobytes."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> bool:
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    if sys.platform != "linux" or shutil.which("mount") is None or not mount("size=64k"):
        pytest.skip("a file system can be mounted by root alone")
    try:
        yield place, lambda kilobytes: assert_that(mount(f"remount,size={kilobytes}k"))
    finally:
        subprocess.run(["umount", str(place)], check=True)


def assert_that(done: bool) -> None:
    assert done


def fill_and_free(small_disk: tuple[Path, Resize], moments: Moments, *, kilobytes: int, executor: str) -> bool:
    """A study on a disk of that size, then with space again; whether it was too small."""
    place, resize = small_disk
    folder, asked = place / f"study{kilobytes}", ask()
    resize(kilobytes)
    options = {"executor": executor, "workers": 2}
    said = ""
    try:
        conduct(folder, asked.study, asked.workload, **options)
    except DiskFull as error:
        said = str(error)
        # Nothing is free now: the same command says so again, or has just enough.
        with suppress(DiskFull):
            conduct(folder, asked.study, asked.workload, **options)
    assert not said or ("no space left" in said and str(folder) in said and "\n" not in said)
    resize(65536)
    if (folder / "study.sqlite").exists():
        made = decided(folder)
        assert made["runs"].items() <= moments.decided["runs"].items()
        assert made["tests"].items() <= moments.decided["tests"].items()
    conduct(folder, asked.study, asked.workload, executor="inline")
    assert decided(folder) == moments.decided
    shutil.rmtree(folder)
    return bool(said)


@pytest.mark.parametrize("kilobytes", [16, 64, 700, 1500])
def test_a_full_disk_stops_the_study_and_space_lets_it_end(small_disk, moments, kilobytes):
    """The store's first page, its log, a fork or checkpoint, and the store between runs find no space."""
    assert fill_and_free(small_disk, moments, kilobytes=kilobytes, executor="inline")


@pytest.mark.torture
@pytest.mark.parametrize(("executor", "stride"), [("inline", 1), ("process", 4)])
def test_a_disk_that_is_full_at_any_size_stops_the_study(small_disk, moments, executor, stride):
    sizes = [*range(8, 128, 8 * stride), *range(160, 3000, 120 * stride)]
    full = [fill_and_free(small_disk, moments, kilobytes=size, executor=executor) for size in sizes]
    assert full[0]
    assert not full[-1]


def with_quota(environment: Mapping[str, str], folder: Path, size: int) -> dict[str, str]:
    """What makes a process that starts with it find no more than so many bytes under a folder."""
    paths = [str(FULL_DISK), *filter(None, [environment.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "CALANDO_TEST_DISK": f"{size}:{folder}"}


def check_stopped(status: int, err: str, folder: Path, moments: Moments) -> int:
    """A clean stop for want of space; how many runs were made until then."""
    assert status == 1, err
    assert err.startswith("calando: no space left for "), err
    assert err.endswith("free some and run the same command again\n"), err
    assert err.count("\n") == 1, err
    assert not [path for path in folder.rglob(".*") if "sqlite" not in path.name]
    if not (folder / "study.sqlite").exists():
        return 0
    made = decided(folder)["runs"]
    assert made.items() <= moments.decided["runs"].items()
    return len(made)


def test_a_quota_reached_in_a_worker_stops_the_command(command, moments, tmp_path, monkeypatch):
    folder = tmp_path / "study"
    with monkeypatch.context() as patch:
        for name, value in with_quota(os.environ, folder, 700_000).items():
            patch.setenv(name, value)
        ended = command(folder, executor="process")
    assert ended.out == ""
    assert check_stopped(ended.status, ended.err, folder, moments) < len(moments.decided["runs"])
    again = command(folder)
    assert decided(folder) == moments.decided
    assert timeless(json.loads(again.out)) == moments.table


@pytest.mark.torture
def test_a_quota_reached_anywhere_stops_the_command(moments, tmp_path):
    """The whole command with two workers and its page, under quotas that grow; each time it goes on where it stood."""
    folder, script = tmp_path / "study", tmp_path / "command.py"
    script.write_text("from calando.cli.main import main\nif __name__ == '__main__':\n    main()\n")
    words = [sys.executable, str(script), "compare", *WORDS, "--workers", "2", "--json", "--study", str(folder)]

    def run(environment: Mapping[str, str]) -> subprocess.CompletedProcess:
        return subprocess.run(
            words, env=os.environ | environment, capture_output=True, text=True, timeout=250, check=False
        )

    made = []
    for quota in range(10_000, 1_600_000, 200_000):
        ended = run(with_quota(os.environ, folder, quota))
        made.append(check_stopped(ended.returncode, ended.stderr, folder, moments))
    assert made == sorted(made)
    ended = run({})
    assert ended.returncode == 0, ended.stderr
    assert decided(folder) == moments.decided
    assert timeless(json.loads(ended.stdout)) == moments.table
    assert (folder / "report.html").stat().st_size > 10_000
