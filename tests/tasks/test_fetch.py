"""Fetching: checked, all or nothing, from the first place that has it."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from calando.errors import DataError, UnknownName, UsageError
from calando.tasks import fetch
from calando.tasks.catalog import DATA
from calando.tasks.fetch import SOURCES, Download, find_data, folder_sha256, get_data, open_data


class Quiet(SimpleHTTPRequestHandler):
    """Notes what is asked for and prints nothing."""

    asked: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address on this machine that serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    Quiet.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def offer(monkeypatch: pytest.MonkeyPatch, *downloads: Download) -> None:
    """Make these the files of fashion-mnist."""
    monkeypatch.setattr(fetch, "SOURCES", {"fashion-mnist": downloads})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def left(folder: Path) -> list[str]:
    """Names of all that lies below a folder."""
    return sorted(path.name for path in folder.rglob("*"))


def test_every_data_set_but_the_embedded_can_be_fetched_or_says_where_it_is_from() -> None:
    wanted = {entry.kept_in or name for name, entry in DATA.items() if name != "digits" and not entry.fetched_from}
    assert set(SOURCES) == wanted
    for downloads in SOURCES.values():
        for download in downloads:
            assert len(bytes.fromhex(download.sha256)) == 32
            assert all(url.endswith(download.name) for url in download.urls)


def test_what_is_fetched_is_found(
    tmp_path: Path,
    own_cache: Path,
    served: tuple[Path, str],
    samples: Callable[..., tuple[np.ndarray, np.ndarray]],
    write_idx: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, url = served
    write_idx(folder, *samples(4))
    offer(
        monkeypatch,
        *(Download(path.name, sha256(path.read_bytes()), (f"{url}{path.name}",)) for path in sorted(folder.iterdir())),
    )
    seen: list[tuple[int, int]] = []
    place = get_data("fashion-mnist", progress=lambda done, total: seen.append((done, total)))
    assert place == own_cache / "fashion-mnist" == find_data("fashion-mnist")[0]
    assert left(place) == left(folder)
    assert (folder / left(folder)[0]).stat().st_size in [total for _, total in seen]
    assert all(0 < done <= total for done, total in seen)
    asked = len(Quiet.asked)
    get_data("fashion-mnist")
    assert len(Quiet.asked) == asked == 4
    assert get_data("fashion-mnist", data_dir=tmp_path / "mine") == tmp_path / "mine" / "fashion-mnist"


def test_another_content_is_refused_and_nothing_left(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = served
    (folder / "a.gz").write_bytes(b"tampered with")
    offer(monkeypatch, Download("a.gz", sha256(b"as it should be"), (f"{url}a.gz",)))
    with pytest.raises(DataError, match=r"a.gz could not be fetched .*SHA-256 differs.*try again later"):
        get_data("fashion-mnist", data_dir=tmp_path)
    assert left(tmp_path / "fashion-mnist") == []


def test_the_next_address_is_tried(tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, url = served
    (folder / "bad").mkdir()
    (folder / "bad" / "a.gz").write_bytes(b"tampered with")
    (folder / "good").mkdir()
    (folder / "good" / "a.gz").write_bytes(b"good")
    urls = (f"{url}absent/a.gz", f"{url}bad/a.gz", f"{url}good/a.gz")
    offer(monkeypatch, Download("a.gz", sha256(b"good"), urls))
    assert (get_data("fashion-mnist", data_dir=tmp_path) / "a.gz").read_bytes() == b"good"


def test_no_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, Download("a.gz", sha256(b""), ("http://127.0.0.1:9/a.gz",)))
    with pytest.raises(DataError, match="ConnectionError") as caught:
        get_data("fashion-mnist", data_dir=tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "fashion-mnist").exists()


def test_a_function_that_makes_a_workload_is_no_data_set() -> None:
    with pytest.raises(UsageError, match="'my_tasks:workload' is a function that makes a workload: call it"):
        open_data("my_tasks:workload")


def archive(**members: bytes) -> bytes:
    """A compressed tar whose members lie in a folder."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(f"batches/../{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("fault", ["", "missing", "torn"])
def test_archives_are_unpacked_whole_or_not_at_all(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    folder, url = served
    content = archive(a=b"A" * 5000, **({} if fault == "missing" else {"b": b"B" * 5000}), other=b"C")
    content = content[: len(content) // 2] if fault == "torn" else content
    (folder / "x.tar.gz").write_bytes(content)
    offer(monkeypatch, Download("x.tar.gz", sha256(content), (f"{url}x.tar.gz",), members=("a", "b")))
    place = tmp_path / "fashion-mnist"
    if fault:
        with pytest.raises(DataError, match="holds no b" if fault == "missing" else "cannot be unpacked"):
            get_data("fashion-mnist", data_dir=tmp_path)
        assert left(place) == []
    else:
        get_data("fashion-mnist", data_dir=tmp_path)
        assert left(place) == ["a", "b"]
        assert (place / "b").read_bytes() == b"B" * 5000


@pytest.mark.parametrize("fault", ["", "another", "absent", "torn", "bomb"])
def test_a_folder_of_an_archive_is_held_against_what_lies_in_it(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """However the host packs it: other order, other times, other compression."""
    folder, url = served
    holds = {"a.wav": b"A" * 5000, "b.wav": b"B" * 70}
    (tmp_path / "wanted").mkdir()
    for name, content in holds.items():
        (tmp_path / "wanted" / name).write_bytes(content)
    expected = folder_sha256(tmp_path / "wanted")
    inside = {
        "top/readme": b"-",
        **{f"top/kept/{name}": holds[name] for name in reversed(holds)},
        "top/kept/deep/c": b"",
    }
    if fault == "another":
        inside["top/kept/b.wav"] = b"tampered with"
    elif fault == "absent":
        inside = {"top/readme": b"-"}
    elif fault == "bomb":
        monkeypatch.setattr(fetch, "_MOST_BYTES", 5000)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in inside.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 86400
            tar.addfile(member, io.BytesIO(content))
    content = file.getvalue()
    (folder / "x.tar.gz").write_bytes(content[: len(content) // 2] if fault == "torn" else content)
    offer(monkeypatch, Download("x.tar.gz", expected, (f"{url}x.tar.gz",), folder="kept"))
    place = tmp_path / "fashion-mnist"
    if fault:
        with pytest.raises(DataError, match="cannot be unpacked" if fault == "torn" else r"SHA-256 differs.*--data"):
            get_data("fashion-mnist", data_dir=tmp_path)
        assert left(place) == []
    else:
        get_data("fashion-mnist", data_dir=tmp_path)
        assert left(place) == ["a.wav", "b.wav", "kept"]
        asked = len(Quiet.asked)
        get_data("fashion-mnist", data_dir=tmp_path)
        assert len(Quiet.asked) == asked


def test_unknown_and_embedded_names() -> None:
    with pytest.raises(UnknownName, match=r"did you mean 'cifar10'\? choices: cifar10, fashion-mnist, fsdd"):
        get_data("cifar")
    with pytest.raises(UnknownName, match="digits come with calando"):
        get_data("digits")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written .* choose another folder with --data"):
        get_data("cifar10", data_dir=tmp_path / "file")
