"""Data sets on this machine: opened, found, and fetched (`calando data get NAME`).

A named data set is looked for in this order; the first place that holds it in a layout we read is taken:

    1. the folder given (--data): DIR/NAME, then DIR itself
    2. $CALANDO_DATA: the same
    3. the user's cache, where `calando data get NAME` puts it
    4. /usr/share/datasets/NAME, where Debian's packages put it (dataset-fashion-mnist)

Parts of one data set, as fsdd-test-jackson of fsdd, lie in one folder NAME.

A file is fetched into a temporary folder next to the target, checked against its SHA-256, and moved into place; what
fails leaves nothing behind. An existing file is not fetched again.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from calando.errors import DataError, UnknownName, UsageError, quote
from calando.language import joined, message
from calando.tasks.catalog import CALLABLE, DATA, data_entry, path_of
from calando.tasks.data import Download, Layout
from calando.tasks.data.arrays import ArrayData
from calando.tasks.data.audio import AudioData
from calando.tasks.data.images import cache_folder
from calando.tasks.data.samples import SampleData

__all__ = ["SOURCES", "find_data", "folder_sha256", "get_data", "open_data"]

SOURCES = {entry.kept_in or entry.name: entry.downloads for entry in DATA.values() if entry.downloads}
"""What can be fetched."""

_MOST_BYTES = 2**28
"""Of a folder that is unpacked before it can be checked."""

_DEBIAN = Path("/usr/share/datasets")


def open_data(data: str, *, data_dir: Path | str | None = None) -> ArrayData | SampleData | AudioData:
    """Read a data set: its arrays, as the workload of that name trains on them.

    >>> digits = open_data("digits")
    >>> digits.train.images.shape, digits.train.labels[:5]
    ((1438, 1, 8, 8), array([0, 1, 3, 4, 5]))

    What comes back has the parts `train` and `test`, the names of the classes in `class_names`, and in `notes` what was
    understood of the files. The validation part is not yet cut from `train`. A part holds, of

    - images: `images` [N, C, H, W], uint8 or float32; `labels` int64[N];
    - recordings: `images` [N, T], int16 or float32; `labels` int64[N]; the data's `front_end` makes pictures of them;
    - tables: `inputs` float32[N, F]; `targets` int64[N], or standardised float32[N, T];
    - texts: `inputs` int64[N, L]; `targets` int64[N, L], the token that follows each.

    Args:
        data: a name, "digits", or FORM:PATH,OPTION=VALUE, "folder:photos", as `calando workloads` lists them.
        data_dir: a folder to look in first for a named data set.

    Raises:
        UnknownName: no data set or format of that name.
        UsageError: `data` is no text, or names a function that makes a workload; `data_dir` is not a folder.
        DataError: not found, damaged, or not to be used.
    """
    if not isinstance(data, str):
        raise UsageError(
            message(
                'data must be a data set\'s name, "digits", or the text FORM:PATH, "folder:photos", as `calando '
                "workloads` lists them, got {data}",
                data=quote(data),
            )
        )
    entry = data_entry(data)
    if entry.read is not None:
        path, options = path_of(data)
        _check_name(path)
        return entry.read(path, **options)
    if entry.embedded is not None:
        return entry.embedded()
    if entry is CALLABLE:
        raise UsageError(
            message(
                "open_data reads a data set by its name or as FORM:PATH; {data} is a function that makes a workload: "
                "call it",
                data=quote(data),
            )
        )
    folder, layout = find_data(data, data_dir=None if data_dir is None else Path(data_dir))
    return layout.read(folder)


def _check_name(path: Path) -> None:
    """Refuse a path that the system cannot even look up: too long, through a folder that is closed."""
    try:
        path.stat()
    except (ValueError, FileNotFoundError, NotADirectoryError):
        return  # the reader says what it looked for
    except OSError as error:
        raise DataError(
            message(
                "{path}: cannot be read ({reason}); name another path",
                path=quote(str(path)),
                reason=error.strerror or str(error),
            )
        ) from error


def find_data(name: str, *, data_dir: Path | None = None) -> tuple[Path, Layout]:
    """The folder that holds a named data set, and how it is laid out; `data_dir` is looked in first.

    Raises:
        UsageError: `data_dir` is not a folder.
        DataError: found nowhere; lists the places and the command that fetches it.
    """
    if data_dir is not None:
        _check_name(data_dir)
    if data_dir is not None and not data_dir.is_dir():
        raise UsageError(message("--data {data_dir}: there is no such folder", data_dir=data_dir))
    given = [data_dir] if data_dir is not None else []
    if variable := os.environ.get("CALANDO_DATA"):
        given.append(Path(variable))
    kept_in = DATA[name].kept_in or name
    places = [place for folder in given for place in (folder / kept_in, folder)]
    places += [cache_folder() / kept_in, _DEBIAN / kept_in]
    for place in places:
        for layout in DATA[name].layouts:
            folder = place / layout.below
            if layout.here(folder):
                return folder, layout
    fetch = (
        message("fetch it with `calando data get {name}`", name=kept_in)
        if DATA[name].downloads
        else DATA[name].fetched_from
    )
    raise DataError(
        message(
            "{name} was not found; looked in {places}; {fetch}, or name the folder that holds it with --data",
            name=name,
            places=", ".join(map(str, places)),
            fetch=fetch,
        )
    )


def get_data(
    name: str, *, data_dir: Path | str | None = None, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Download a data set and return its folder.

    Args:
        name: "fashion-mnist", "cifar10" or "fsdd".
        data_dir: folder to make DIR/NAME in. None: the user's cache, where data sets are looked for in any case.
        progress: called with (bytes so far, total bytes) of the current file; the total is 0 if the host does not
            state it.

    Raises:
        UnknownName: no data set of this name can be downloaded.
        DataError: there is no network, a file has unexpected content, or the folder cannot be written.
    """
    if not isinstance(name, str):
        raise UsageError(
            message(
                "name must be a data set's name, one of {choices}, got {name}",
                choices=", ".join(SOURCES),
                name=quote(name),
            )
        )
    if name not in SOURCES:
        hint = message("{name} come with calando", name=name) if name in DATA and DATA[name].embedded else ""
        raise UnknownName(message("data set to fetch"), name, SOURCES, hint=hint)
    target = (cache_folder() if data_dir is None else Path(data_dir)) / name
    was_there = True
    try:
        was_there = target.exists()
        target.mkdir(parents=True, exist_ok=True)
        for download in SOURCES[name]:
            if all((target / kept).exists() for kept in _kept(download)):
                continue
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target, ignore_cleanup_errors=True) as folder:
                file = _downloaded(download, Path(folder), progress)
                for ready in _extracted(file, download, Path(folder)):
                    ready.replace(target / ready.name)
    except OSError as error:
        raise DataError(
            message(
                "{target}: cannot be written ({value}); choose another folder with --data",
                target=target,
                value=error.strerror or error,
            )
        ) from error
    finally:
        if not was_there:
            with suppress(OSError):  # it holds what was fetched
                target.rmdir()
    return target


def _kept(download: Download) -> tuple[str, ...]:
    """The names that are there once it was fetched."""
    return download.members or (download.folder or download.name,)


def folder_sha256(folder: Path) -> str:
    """SHA-256 of the lines `NAME SHA-256-OF-ITS-BYTES`, a line a file, in the order of their names."""
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    lines = (f"{file.name} {sha256(file.read_bytes()).hexdigest()}\n" for file in files)
    return sha256("".join(lines).encode()).hexdigest()


def _downloaded(download: Download, folder: Path, progress: Callable[[int, int], None] | None) -> Path:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    expected = None if download.folder else f"sha256:{download.sha256}"
    problems: list[str] = []
    for url in download.urls:
        fetcher = pooch.HTTPDownloader(progressbar=_Bar(progress) if progress else False, chunk_size=2**16, timeout=30)
        try:
            return Path(pooch.retrieve(url, expected, fname=download.name, path=folder, downloader=fetcher))
        except OSError as error:  # requests' own errors are OSErrors too
            problems.append(f"{url}: {error.strerror or type(error).__name__}")
        except ValueError:  # pooch: the checksum differs
            problems.append(message("{url}: its content is not the one expected (SHA-256 differs)", url=url))
    raise DataError(
        message(
            "{name} could not be fetched ({problems}); try again later, or put it there by hand and name "
            "its folder with --data",
            name=download.name,
            problems=joined("{one}; {other}", problems),
        )
    )


def _extracted(file: Path, download: Download, folder: Path) -> list[Path]:
    """What is moved into place: the file itself, or what is wanted out of it."""
    if not (download.members or download.folder):
        return [file]
    try:
        with tarfile.open(file) as archive:
            return [_folder(archive, download, folder)] if download.folder else _members(archive, download, folder)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(
            message("{name}: cannot be unpacked ({error}); fetch it again", name=download.name, error=str(error))
        ) from error


def _members(archive: tarfile.TarFile, download: Download, folder: Path) -> list[Path]:
    ready = []
    for member in archive:
        name = Path(member.name).name
        content = archive.extractfile(member) if name in download.members else None
        if content is not None:
            ready.append(folder / name)
            with content, ready[-1].open("wb") as file:
                shutil.copyfileobj(content, file)
    if missing := sorted(set(download.members) - {path.name for path in ready}):
        raise DataError(message("{name}: holds no {missing}; fetch it again", name=download.name, missing=missing[0]))
    return ready


def _folder(archive: tarfile.TarFile, download: Download, folder: Path) -> Path:
    unpacked = folder / download.folder
    unpacked.mkdir()
    room = _MOST_BYTES
    for member in archive:
        room -= max(member.size, 0)
        if room < 0:
            break
        place = Path(member.name)
        content = archive.extractfile(member) if place.parent.name == download.folder else None
        if content is not None:
            with content, (unpacked / place.name).open("wb") as file:
                shutil.copyfileobj(content, file)
    if room < 0 or folder_sha256(unpacked) != download.sha256:
        raise DataError(
            message(
                "{name}: its content is not the one expected (SHA-256 differs); try again later, or put it there by "
                "hand and name its folder with --data",
                name=download.name,
            )
        )
    return unpacked


class _Bar:
    """What pooch needs from a progress bar."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self.total = 0
        self._progress, self._seen = progress, 0

    def update(self, count: int) -> None:
        self._seen += count
        if self.total:  # 0: the host does not say it
            self._seen = min(self._seen, self.total)  # pooch counts a last, shorter piece as a whole one
        self._progress(self._seen, self.total)

    def reset(self) -> None:
        self._seen = 0

    def close(self) -> None:
        """Nothing to close."""
