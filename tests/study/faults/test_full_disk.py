"""The disk fills: the study stops in a line with what was made, and with space again it ends as if nothing had been."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from tests.study.faults.harmed import WORDS, Moments, ask, timeless
from tests.study.study_kit import decided
from tests.waiting import PATIENCE

from calando.errors import DiskFull
from calando.study.conduct import conduct

FULL_DISK = Path(__file__).parent / "full_disk"


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
        conduct(folder, asked.study, asked.task, **options)
    except DiskFull as error:
        said = str(error)
        # Nothing is free now: the same command says so again, or has just enough.
        with suppress(DiskFull):
            conduct(folder, asked.study, asked.task, **options)
    assert not said or ("no space left" in said and str(folder) in said and "\n" not in said)
    resize(65536)
    if (folder / "study.sqlite").exists():
        made = decided(folder)
        assert made["runs"].items() <= moments.decided["runs"].items()
        assert made["tests"].items() <= moments.decided["tests"].items()
    conduct(folder, asked.study, asked.task, executor="inline")
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


QUOTA_IN_WORKERS = """
import os, sys
from calando.cli.main import main
if __name__ == "__main__":
    os.environ["PYTHONPATH"], os.environ["CALANDO_TEST_DISK"] = sys.argv.pop(1), sys.argv.pop(1)
    main()
"""


def test_a_quota_reached_in_a_worker_stops_the_command(command, moments, tmp_path):
    """The coordinator has begun before there is one."""
    folder, script = tmp_path / "study", tmp_path / "command.py"
    script.write_text(QUOTA_IN_WORKERS)
    words = [sys.executable, script, *with_quota(os.environ, folder, 700_000).values(), "compare", *WORDS]
    ended = subprocess.run(
        [*words, "--json", "--workers", "1", "--study", folder],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.stdout == ""
    assert check_stopped(ended.returncode, ended.stderr, folder, moments) < len(moments.decided["runs"])
    again = command(folder)
    assert decided(folder) == moments.decided
    assert timeless(json.loads(again.out)) == moments.table


@pytest.mark.torture
def test_a_quota_reached_anywhere_stops_the_command(moments, tmp_path):
    """The whole command with two workers and its page, under quotas that grow; each time it goes on where it stood."""
    folder, script = tmp_path / "study", tmp_path / "command.py"
    script.write_text("from calando.cli.main import main\nif __name__ == '__main__':\n    main()\n")
    words = [
        sys.executable,
        str(script),
        "compare",
        *WORDS,
        "--workers",
        "2",
        "--page",
        "--json",
        "--study",
        str(folder),
    ]

    def run(environment: Mapping[str, str]) -> subprocess.CompletedProcess:
        return subprocess.run(
            words, env=os.environ | environment, capture_output=True, text=True, timeout=PATIENCE, check=False
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
