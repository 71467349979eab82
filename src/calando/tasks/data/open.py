"""A data text -> what its reader returns."""

from __future__ import annotations

from pathlib import Path

from calando.tasks.catalog import data_entry
from calando.tasks.data.arrays import ArrayData
from calando.tasks.data.digits import read_digits
from calando.tasks.data.find import find
from calando.tasks.data.folder import read_folder
from calando.tasks.data.npz import read_npz
from calando.tasks.data.parquet import read_parquet

__all__ = ["open_data"]

_FORMS = {"folder": read_folder, "parquet": read_parquet, "npz": read_npz}


def open_data(data: str, *, data_dir: Path | None = None) -> ArrayData:
    """Read "digits", "fashion-mnist", "cifar10", "folder:PATH", "parquet:PATH" or "npz:PATH".

    >>> len(open_data("digits").class_names)
    10

    Args:
        data: the text.
        data_dir: where named data are looked for first.

    Raises:
        UnknownName: no data set or form of that name.
        DataError: not found, damaged, or not to be used.
    """
    data_entry(data)
    form, _, path = data.partition(":")
    if form in _FORMS:
        return _FORMS[form](Path(path).expanduser())
    if data == "digits":
        return read_digits()
    folder, layout = find(data, data_dir=data_dir)
    return layout.read(folder)
