"""Fetch a named data set: `calando data get NAME`.

Each file is downloaded to a temporary folder beside the target, checked against its SHA-256, and moved into place; what
fails leaves nothing behind. A file that is there already is not fetched again.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from calando.errors import DataError, UnknownName
from calando.tasks.data.cache import cache_folder

__all__ = ["SOURCES", "Download", "get_data"]

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all) of the file under way."""


@dataclass(frozen=True)
class Download:
    """One file to fetch.

    Args:
        name: its file name.
        sha256: of its content.
        urls: where it lies, tried in order.
        members: for a tar archive: the files wanted out of it, without their folder; empty keeps the file itself.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    members: tuple[str, ...] = ()


_FASHION_URLS = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
_FASHION = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}

SOURCES: Mapping[str, tuple[Download, ...]] = {
    "fashion-mnist": tuple(
        Download(name, sha256, tuple(url + name for url in _FASHION_URLS)) for name, sha256 in _FASHION.items()
    ),
    "cifar10": (
        Download(
            "cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
            members=(*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"),
        ),
    ),
}


def get_data(name: str, *, data_dir: Path | str | None = None, progress: Progress | None = None) -> Path:
    """Fetch a data set and return its folder.

    Args:
        name: "fashion-mnist" or "cifar10".
        data_dir: the folder to make DIR/NAME in; None takes the user's cache, where data are looked for anyway.
        progress: told how far the file under way is.

    Raises:
        UnknownName: nothing to fetch under that name.
        DataError: no network, another content than expected, or nowhere to write.
    """
    if name not in SOURCES:
        hint = "digits come with calando" if name == "digits" else ""
        raise UnknownName("data set to fetch", name, SOURCES, hint=hint)
    target = (cache_folder() if data_dir is None else Path(data_dir)) / name
    try:
        target.mkdir(parents=True, exist_ok=True)
        for download in SOURCES[name]:
            wanted = download.members or (download.name,)
            if not all((target / member).is_file() for member in wanted):
                _fetch(download, target, progress)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written ({error.strerror or error}); choose another folder with --data"
        ) from error
    return target


def _fetch(download: Download, target: Path, progress: Progress | None) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=".fetch-", dir=target))
    try:
        file = _downloaded(download, temporary, progress)
        for ready in _extracted(file, download, temporary) if download.members else [file]:
            ready.replace(target / ready.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _downloaded(download: Download, folder: Path, progress: Progress | None) -> Path:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    problems = []
    for url in download.urls:
        fetcher = pooch.HTTPDownloader(progressbar=_Bar(progress) if progress else False, chunk_size=2**16, timeout=30)
        try:
            return Path(
                pooch.retrieve(url, f"sha256:{download.sha256}", fname=download.name, path=folder, downloader=fetcher)
            )
        except OSError as error:  # requests' own errors are OSErrors too
            problems.append(f"{url}: {error.strerror or type(error).__name__}")
        except ValueError:  # pooch: the checksum differs
            problems.append(f"{url}: its content is not the one expected (SHA-256 differs)")
    raise DataError(
        f"{download.name} could not be fetched ({'; '.join(problems)}); try again later, or put it there by hand and "
        "name its folder with --data"
    )


def _extracted(archive: Path, download: Download, folder: Path) -> list[Path]:
    ready = []
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                content = tar.extractfile(member) if name in download.members else None
                if content is not None:
                    ready.append(folder / name)
                    with content, ready[-1].open("wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{download.name}: cannot be unpacked ({error}); fetch it again") from error
    if missing := sorted(set(download.members) - {path.name for path in ready}):
        raise DataError(f"{download.name}: holds no {missing[0]}; fetch it again")
    return ready


class _Bar:
    """What pooch wants of a progress bar."""

    def __init__(self, progress: Progress) -> None:
        self.total = 0
        self._progress, self._seen = progress, 0

    def update(self, count: int) -> None:
        self._seen = min(self._seen + count, self.total)  # pooch counts a last, shorter piece as a whole one
        self._progress(self._seen, self.total)

    def reset(self) -> None:
        self._seen = 0

    def close(self) -> None:
        """Nothing to close."""
