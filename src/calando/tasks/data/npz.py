"""NumPy archives, whose arrays are known by their names.

    x_train, y_train, x_test, y_test                          two parts
    train_images, train_labels, test_images, test_labels      two parts, as MedMNIST has them; its val_images are
                                                              passed over, or the test part where there is no other
    images, labels                                            one whole, of which a fifth becomes the test part

Labels are whole numbers, or words: the classes are the training part's words then, in the order of the alphabet.
Pickled objects are refused. Images are [N, H, W], [N, C, H, W] or [N, H, W, C]; uint8 or floating point. Where the
shape does not show which, the archive states it: numpy.savez(…, channels="last").
"""

from __future__ import annotations

import math
import tokenize
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from calando.errors import DataError, UsageError, line_of, said_by
from calando.language import joined, message
from calando.records.files import open_plain
from calando.tasks.data import DataEntry
from calando.tasks.data.arrays import DAMAGED, ArrayData, Part, as_images, as_labels, check_channels, reading, with_test
from calando.tasks.data.parts import some, summed_up

__all__ = ["ENTRIES", "read_npz"]

_SPLIT_NAMES = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)
_VALIDATION = {"x_train": ("x_val", "y_val"), "train_images": ("val_images", "val_labels")}
_WHOLE_NAMES = ("images", "labels")
_ROLES = {"x_test": "test", "test_images": "test", "x_val": "val", "val_images": "val"}
_KNOWN = {*_WHOLE_NAMES, *(name for names in (*_SPLIT_NAMES, *_VALIDATION.values()) for name in names)}
_CHANNELS = "channels"
_SINGLE = b"\x93NUMPY"
_SHOWN = 10
_ALWAYS_BYTES, _MOST_RATIO = 2**30, 100  # pictures pack to a hundredth at best; small archives may do better
_NEEDED = message("must hold x_train, y_train, x_test, y_test, or train_images, train_labels, …, or images, labels")
_HOW = message(" in the archive: numpy.savez(…, channels='last')")


def read_npz(path: Path) -> ArrayData:
    """Read an archive.

    Raises:
        DataError: missing, damaged, without the arrays named above, or holding pickled objects.
    """
    arrays, others = _arrays(path)
    found = [names for names in _schemes(arrays) if all(name in arrays for name in names)]
    if len(found) > 1:
        both = joined("{one} and {other}", (", ".join(names) for names in found))
        raise DataError(message("{path}: holds {both}; keep one of them", path=path, both=both))
    if not found:
        raise DataError(
            message(
                "{path}: {needed}; it holds {held}",
                path=path,
                needed=_NEEDED,
                held=", ".join([*arrays, *others]) or message("nothing"),
            )
        )
    names = found[0]
    parts, notes = [], []
    for images, labels in zip(names[::2], names[1::2], strict=True):
        origin = message("{path} ({name})", path=path, name=images) if len(names) > 2 else str(path)
        pixels, note = _images(arrays, images, origin)
        parts.append((pixels, arrays[labels], origin))
        notes.append(note)
    labels_of, class_names = _labels(parts)
    made = [Part(pixels, numbers, origin) for (pixels, _, origin), numbers in zip(parts, labels_of, strict=True)]
    whole = len(made) == 1
    data = with_test(made[0], class_names=class_names) if whole else ArrayData(made[0], made[1], class_names)
    called = ("train", "test") if whole else ("train", _ROLES[names[2]])
    return summed_up(path, data, names=called, passed_over=_passed_over(arrays, others, names), notes=notes[:1])


def _schemes(arrays: Mapping[str, np.ndarray]) -> list[tuple[str, ...]]:
    """Names that make a data set; those of validation in the place of a test part that is not there."""
    schemes: list[tuple[str, ...]] = [_WHOLE_NAMES]
    for names in _SPLIT_NAMES:
        has_test = names[2] in arrays or names[3] in arrays
        schemes.append(names if has_test else (*names[:2], *_VALIDATION[names[0]]))
    return schemes


def _passed_over(arrays: Mapping[str, np.ndarray], others: Sequence[str], names: Sequence[str]) -> list[str]:
    left = [name for name in arrays if name not in names and name != _CHANNELS]
    validation = [name for name in left if any(name in pair for pair in _VALIDATION.values())]
    why = message("there is a test part; validation is cut from the training part")
    rest = [*(name for name in left if name not in validation), *others]
    found = [message("{names} ({why})", names=some(validation), why=why)] if validation else []
    return [*found, *([message("{names} (no part of a data set by the name)", names=some(rest))] if rest else [])]


def _images(arrays: Mapping[str, np.ndarray], name: str, origin: str) -> tuple[np.ndarray, str]:
    """With how axes and numbers were understood."""
    try:
        channels = check_channels(str(arrays[_CHANNELS])) if _CHANNELS in arrays else None
    except UsageError as error:
        raise DataError(message("{origin}: {why}", origin=origin, why=said_by(error))) from error
    came = arrays[name]
    pixels = as_images(came, origin=origin, channels=channels, how=_HOW)
    note = reading(came.shape, pixels.shape, origin=origin, channels=channels)
    if came.dtype.kind == "f" and came.dtype.itemsize > 4:
        note = message("{note}; {dtype} is rounded to float32", note=note, dtype=came.dtype)
    return pixels, note


def _labels(parts: Sequence[tuple[np.ndarray, np.ndarray, str]]) -> tuple[list[np.ndarray], tuple[str, ...] | None]:
    """int64[N] of each part; the classes' names where labels are words."""
    words = [labels.dtype.kind in "US" for _, labels, _ in parts]
    if not any(words):
        return [as_labels(labels, origin=origin) for _, labels, origin in parts], None
    if not all(words):
        raise DataError(
            message(
                "{origin}: labels are words in one part and numbers in the other; write both alike", origin=parts[0][2]
            )
        )
    texts = []
    for _, labels, origin in parts:
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.ndim != 1:
            raise DataError(
                message(
                    "{origin}: labels must be one word a sample, got an array of shape {shape}",
                    origin=origin,
                    shape=labels.shape,
                )
            )
        try:
            texts.append([label.decode() if isinstance(label, bytes) else label for label in labels.tolist()])
        except UnicodeDecodeError as error:
            raise DataError(
                message("{origin}: labels are bytes that are no UTF-8; write them as text", origin=origin)
            ) from error
    names = tuple(sorted(set(texts[0])))
    number = {name: place for place, name in enumerate(names)}
    for text, (_, _, origin) in zip(texts, parts, strict=True):
        if unknown := [word for word in text if word not in number]:
            raise DataError(
                message(
                    "{origin}: label {label!r} is not among the training part's: {names}",
                    origin=origin,
                    label=unknown[0],
                    names=some(names),
                )
            )
    return [np.array([number[word] for word in text], dtype=np.int64) for text in texts], names


def _read(archive: zipfile.ZipFile, path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays that are named above, each as large as both its header and the archive's list state; other names."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    wanted = {name: info for name, info in members.items() if name in _KNOWN or name == _CHANNELS}
    if not wanted:
        held = ", ".join(list(members)[:_SHOWN]) + (f" … ({len(members)})" if len(members) > _SHOWN else "")
        raise DataError(
            message("{path}: {needed}; it holds {held}", path=path, needed=_NEEDED, held=held or message("nothing"))
        )
    packed, size = sum(one.compress_size for one in wanted.values()), sum(one.file_size for one in wanted.values())
    if size > max(_ALWAYS_BYTES, _MOST_RATIO * packed):
        raise DataError(
            message(
                "{path}: {packed:,} bytes would unpack to {size:,}, which no pictures do; write it "
                "again, without what is the same everywhere",
                path=path,
                packed=packed,
                size=size,
            )
        )
    arrays = {}
    for name, info in wanted.items():
        with archive.open(info) as member:
            shape, dtype = _header(member)
            if member.tell() + math.prod(shape) * dtype.itemsize != info.file_size or not dtype.itemsize:
                raise ValueError(
                    message(
                        "{name}: its header says {dtype} of shape {shape}, its length {length} bytes",
                        name=name,
                        dtype=dtype,
                        shape=shape,
                        length=info.file_size,
                    )
                )
        with archive.open(info) as member:
            arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
    return arrays, [name for name in members if name not in wanted]


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    if dtype.hasobject:
        raise ValueError(
            message("it holds Python objects, which are read with allow_pickle=True alone: they may run anything")
        )
    return shape, dtype


def _arrays(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    try:
        with warnings.catch_warnings(), open_plain(path) as file:
            warnings.simplefilter("ignore")  # a damaged header makes NumPy warn before it fails
            if file.read(len(_SINGLE)) == _SINGLE:
                raise DataError(
                    message("{path}: is a single array, not an archive; write it with numpy.savez", path=path)
                )
            with zipfile.ZipFile(file) as archive:
                return _read(archive, path)
    except FileNotFoundError as error:
        raise DataError(message("{path}: there is no such file", path=path)) from error
    except DataError:
        raise
    except (*DAMAGED, tokenize.TokenError, zipfile.BadZipFile) as error:
        raise DataError(
            message(
                "{path}: not an archive that can be read ({reason}); write it again",
                path=path,
                reason=line_of(error),
            )
        ) from error


ENTRIES = (
    DataEntry(
        name="npz:PATH", description="arrays x_train, y_train, x_test, y_test, or as MedMNIST names them", read=read_npz
    ),
)
