"""NumPy archives: x_train, y_train, x_test, y_test; or images, labels (then one fifth becomes the test part).

Pickled objects are refused. Images are [N, H, W], [N, C, H, W] or [N, H, W, C]; uint8 or floating point. Where the
shape does not show which, the archive states it: numpy.savez(…, channels="last").
"""

from __future__ import annotations

import math
import tokenize
import warnings
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from calando.errors import DataError, UsageError
from calando.records.files import open_plain
from calando.tasks.data import DataEntry
from calando.tasks.data.arrays import DAMAGED, ArrayData, Part, as_images, as_labels, check_channels, reading, with_test

__all__ = ["ENTRIES", "read_npz"]

_SPLIT_NAMES = ("x_train", "y_train", "x_test", "y_test")
_WHOLE_NAMES = ("images", "labels")
_CHANNELS = "channels"
_SINGLE = b"\x93NUMPY"
_SHOWN = 10
_ALWAYS_BYTES, _MOST_RATIO = 2**30, 100  # pictures pack to a hundredth at best; small archives may do better
_NEEDED = "must hold x_train, y_train, x_test, y_test, or images, labels"
_HOW = " in the archive: numpy.savez(…, channels='last')"


def read_npz(path: Path) -> ArrayData:
    """Read an archive.

    Raises:
        DataError: missing, damaged, without the arrays named above, or holding pickled objects.
    """
    arrays = _arrays(path)
    if all(name in arrays for name in _SPLIT_NAMES):
        train, note = _part(arrays, *_SPLIT_NAMES[:2], f"{path} (x_train)")
        return ArrayData(train, _part(arrays, *_SPLIT_NAMES[2:], f"{path} (x_test)")[0], notes=(note,))
    if all(name in arrays for name in _WHOLE_NAMES):
        whole, note = _part(arrays, *_WHOLE_NAMES, str(path))
        return with_test(whole, notes=(note,))
    raise DataError(f"{path}: {_NEEDED}; it holds {', '.join(arrays) or 'nothing'}")


def _part(arrays: dict[str, np.ndarray], images: str, labels: str, origin: str) -> tuple[Part, str]:
    """With how its axes were understood."""
    try:
        channels = check_channels(str(arrays[_CHANNELS])) if _CHANNELS in arrays else None
    except UsageError as error:
        raise DataError(f"{origin}: {error}") from error
    pixels = as_images(arrays[images], origin=origin, channels=channels, how=_HOW)
    part = Part(pixels, as_labels(arrays[labels], origin=origin), origin)
    return part, reading(arrays[images].shape, pixels.shape, origin=origin, channels=channels)


def _read(archive: zipfile.ZipFile, path: Path) -> dict[str, np.ndarray]:
    """The arrays that are named above, each as large as both its header and the archive's list state."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    wanted = {name: members[name] for name in (*_SPLIT_NAMES, *_WHOLE_NAMES, _CHANNELS) if name in members}
    if not wanted:
        held = ", ".join(list(members)[:_SHOWN]) + (f" … ({len(members)})" if len(members) > _SHOWN else "")
        raise DataError(f"{path}: {_NEEDED}; it holds {held or 'nothing'}")
    packed, size = sum(one.compress_size for one in wanted.values()), sum(one.file_size for one in wanted.values())
    if size > max(_ALWAYS_BYTES, _MOST_RATIO * packed):
        raise DataError(
            f"{path}: {packed:,} bytes would unpack to {size:,}, which no pictures do; write it again, without what is "
            "the same everywhere"
        )
    arrays = {}
    for name, info in wanted.items():
        with archive.open(info) as member:
            shape, dtype = _header(member)
            if member.tell() + math.prod(shape) * dtype.itemsize != info.file_size or not dtype.itemsize:
                raise ValueError(f"{name}: its header says {dtype} of shape {shape}, its length {info.file_size} bytes")
        with archive.open(info) as member:
            arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
    return arrays


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are read with allow_pickle=True alone: they may run anything")
    return shape, dtype


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with warnings.catch_warnings(), open_plain(path) as file:
            warnings.simplefilter("ignore")  # a damaged header makes NumPy warn before it fails
            if file.read(len(_SINGLE)) == _SINGLE:
                raise DataError(f"{path}: is a single array, not an archive; write it with numpy.savez")
            with zipfile.ZipFile(file) as archive:
                return _read(archive, path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except DataError:
        raise
    except (*DAMAGED, tokenize.TokenError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: not an archive that can be read ({' '.join(str(error).split())}); write it again"
        ) from error


ENTRIES = (DataEntry(name="npz:PATH", description="arrays x_train, y_train, x_test, y_test", read=read_npz),)
