"""The command in this process, which is quick: what it printed, how it ended, what it left behind."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import calando as package
from calando.cli.main import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str
    left: frozenset[str]

    @property
    def json(self) -> Any:
        """All of standard output, read as one JSON value (NaN and Infinity are no JSON)."""

        def refuse(name: str) -> None:
            raise AssertionError(f"{name} is no JSON")

        return json.loads(self.out, parse_constant=refuse)


Command = Callable[..., Ended]


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache or data, or draws for a terminal that happens to be there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("CALANDO_DATA", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def calando(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command in the folder `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["calando", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", list(sys.path))
        before = _below(tmp_path)
        status: Any = 0
        try:
            main()
        except SystemExit as ended:
            status = ended.code or 0
        out, err = capsys.readouterr()
        return Ended(status, out, err, frozenset(_below(tmp_path) - before))

    return run


def _below(folder: Path) -> set[str]:
    """Files, but Python's byte code, and those that SQLite makes next to a store and leaves where it is damaged."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(folder)) for path in files if not path.name.endswith((".sqlite-shm", ".sqlite-wal"))}


@pytest.fixture
def refused(calando: Command) -> Command:
    """Run a command that must be refused: status 2, one line on standard error, nothing else said or left."""

    def run(*arguments: object) -> Ended:
        ended = calando(*arguments)
        assert ended.status == 2, ended
        assert ended.err.startswith("calando: "), ended.err
        assert ended.err.count("\n") == 1, ended.err
        assert ended.out == ""
        assert not ended.left
        return ended

    return run


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small study of two strategies at two seeds, finished; not to be changed, as is seen when all tests are over."""
    folder = tmp_path_factory.mktemp("finished") / "study"
    package.compare(
        "digits", "fixed", "cosine", folder=folder, steps=20, batch_size=32, seeds=2, rates=2, executor="inline"
    )
    before = _below(folder)
    yield folder
    assert _below(folder) == before
