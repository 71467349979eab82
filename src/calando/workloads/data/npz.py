"""NumPy archives: x_train, y_train, x_test, y_test; or images, labels (then one fifth becomes the test part).

Pickled objects are refused. Images are [N, H, W], [N, C, H, W] or [N, H, W, C]; uint8 or floating point. Where the
shape does not show which, the archive says it: numpy.savez(…, channels="last").
"""

from __future__ import annotations

import struct
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np

from calando.errors import DataError, UsageError
from calando.workloads.data.arrays import ArrayData, Part, as_images, as_labels, reading, with_test
from calando.workloads.data.axes import Channels, check_channels

__all__ = ["read_npz"]

_SPLIT_NAMES = ("x_train", "y_train", "x_test", "y_test")
_WHOLE_NAMES = ("images", "labels")
_CHANNELS = "channels"
_HOW = " in the archive: numpy.savez(…, channels='last')"


def read_npz(path: Path) -> ArrayData:
    """Read an archive.

    Raises:
        DataError: missing, damaged, without the arrays named above, or holding pickled objects.
    """
    arrays = _arrays(path)
    if all(name in arrays for name in _SPLIT_NAMES):
        parts = [_part(arrays, x, y, f"{path} ({x})") for x, y in (_SPLIT_NAMES[:2], _SPLIT_NAMES[2:])]
        return ArrayData(parts[0], parts[1], notes=_notes(arrays, "x_train", parts[0]))
    if all(name in arrays for name in _WHOLE_NAMES):
        whole = _part(arrays, "images", "labels", str(path))
        return with_test(whole, notes=_notes(arrays, "images", whole))
    raise DataError(
        f"{path}: must hold x_train, y_train, x_test, y_test, or images, labels; "
        f"it holds {', '.join(arrays) or 'nothing'}"
    )


def _part(arrays: dict[str, np.ndarray], images: str, labels: str, origin: str) -> Part:
    pixels = as_images(arrays[images], origin=origin, channels=_channels(arrays, origin), how=_HOW)
    return Part(pixels, as_labels(arrays[labels], origin=origin), origin)


def _channels(arrays: dict[str, np.ndarray], origin: str) -> Channels | None:
    try:
        return check_channels(str(arrays[_CHANNELS])) if _CHANNELS in arrays else None
    except UsageError as error:
        raise DataError(f"{origin}: {error}") from error


def _notes(arrays: dict[str, np.ndarray], images: str, part: Part) -> tuple[str, ...]:
    channels = _channels(arrays, part.origin)
    return (reading(arrays[images].shape, part.images.shape, origin=part.origin, channels=channels),)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with warnings.catch_warnings(), path.open("rb") as file:  # opened here: np.load leaves it open when it fails
            warnings.simplefilter("ignore")  # a damaged header makes NumPy warn before it fails
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: is a single array, not an archive; write it with numpy.savez")
            with archive:
                wanted = [name for name in archive.files if name in {*_SPLIT_NAMES, *_WHOLE_NAMES, _CHANNELS}]
                return {name: archive[name] for name in wanted or archive.files}
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except DataError:
        raise
    except (
        EOFError,
        KeyError,
        MemoryError,
        NotImplementedError,
        OSError,
        OverflowError,
        RuntimeError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
        tokenize.TokenError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DataError(
            f"{path}: not an archive that can be read ({' '.join(str(error).split())}); write it again"
        ) from error
