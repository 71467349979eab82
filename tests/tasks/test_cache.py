"""The cache of decoded images saves time and costs nothing when it is damaged or cannot be written."""

import os
from pathlib import Path

import numpy as np
import pytest

from calando.tasks.data.images import cached


class Decoder:
    """Counts how often it is asked."""

    def __init__(self, seed: int = 0) -> None:
        self.calls = 0
        self.images = np.random.default_rng(seed).integers(0, 256, (5, 3, 4, 4), dtype=np.uint8)

    def __call__(self) -> np.ndarray:
        self.calls += 1
        return self.images


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What the images are decoded from."""
    path = tmp_path / "x.parquet"
    path.write_bytes(b"encoded")
    return path


def kept(own_cache: Path) -> list[Path]:
    """All that lies in the cache."""
    return [path for path in own_cache.rglob("*") if path.is_file()]


def test_the_second_reading_decodes_nothing(file: Path, own_cache: Path) -> None:
    decode = Decoder()
    for _ in range(3):
        images = cached([file], decode, worth_seconds=0)
        assert np.array_equal(images, decode.images)
    assert decode.calls == 1
    assert isinstance(images, np.memmap)
    assert len(kept(own_cache)) == 1
    images[0] = 0  # what is mapped may be written to, and is private
    assert np.array_equal(cached([file], decode, worth_seconds=0), decode.images)


def test_quick_decoding_is_not_kept(file: Path, own_cache: Path) -> None:
    decode = Decoder()
    cached([file], decode, worth_seconds=60)
    assert decode.calls == 1
    assert kept(own_cache) == []


@pytest.mark.parametrize("change", ["size", "time", "more"])
def test_other_files_are_decoded_again(file: Path, change: str) -> None:
    first, second, files = Decoder(0), Decoder(1), [file]
    cached(files, first, worth_seconds=0)
    if change == "size":
        status = file.stat()
        file.write_bytes(b"encoded again")
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        os.utime(file, ns=(0, 5))
    else:
        files = [file, file]
    assert np.array_equal(cached(files, second, worth_seconds=0), second.images)
    assert second.calls == 1


@pytest.mark.parametrize(
    "damage", ["cut header", "cut", "cut digest", "flip pixel", "flip digest", "empty", "other array"]
)
def test_a_damaged_cache_is_made_again(file: Path, own_cache: Path, damage: str) -> None:
    decode = Decoder()
    cached([file], decode, worth_seconds=0)
    (path,) = kept(own_cache)
    content = bytearray(path.read_bytes())
    if damage.startswith("flip"):
        content[-40 if damage == "flip pixel" else -1] ^= 1
    else:
        del content[{"cut header": 60, "cut": 200, "cut digest": -1, "empty": 0, "other array": 0}[damage] :]
    path.write_bytes(content)
    if damage == "other array":
        np.save(path, np.zeros(100))
    assert np.array_equal(cached([file], decode, worth_seconds=0), decode.images)
    assert decode.calls == 2
    assert np.array_equal(cached([file], decode, worth_seconds=0), decode.images)
    assert decode.calls == 2


def test_a_cache_that_cannot_be_written_is_done_without(file: Path, own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be")
    decode = Decoder()
    for calls in (1, 2):
        assert np.array_equal(cached([file], decode, worth_seconds=0), decode.images)
        assert decode.calls == calls


def test_a_full_disk_leaves_nothing_behind(file: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    decode = Decoder()
    assert np.array_equal(cached([file], decode, worth_seconds=0), decode.images)
    assert kept(own_cache) == []
