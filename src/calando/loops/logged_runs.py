"""Runs that others logged: steps, rates, losses and scores, read from their files by `calando.loops.log_readers`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from calando.errors import UsageError, line_of, reason_of, said_by
from calando.language import Message, joined, message
from calando.loops.log_readers import LoggedRun, Reader, readers

__all__ = ["LoggedRun", "logged_runs"]

LARGEST: Final = 2**31
"""Bytes of a file, which no log of rates has."""


def logged_runs(path: Path, *, left_out: list[str]) -> Iterator[LoggedRun]:
    """The runs in a file, or in all files of a folder that can be read.

    Args:
        left_out: takes in why each log is left out that was found and has no run with rates.

    Raises:
        UsageError: no such path, nothing in it that is a log with rates, or a file that does not parse; a package
            that reads it is not installed.
    """
    known = readers()
    forms = message("one of: {forms}", forms=joined("{one}; {other}", (one.form for one in known if one.form)))
    if not path.exists():
        raise UsageError(message("there is no file or folder {path}; give {forms}", path=repr(str(path)), forms=forms))
    if not path.is_dir():
        _check(path)
        reader = next((one for one in known if one.is_of(path)), None)
        if reader is None:
            raise UsageError(
                message("{path} is no log that is read here; give {forms}", path=repr(str(path)), forms=forms)
            )
        empty = True
        for run in _read(reader, path):
            empty = False
            yield run
        if empty:
            raise UsageError(
                message(
                    "{path} holds no row with a step and a rate, so there is no schedule in it", path=repr(str(path))
                )
            )
        return
    found = [(one, file) for one in known for file in one.found(path)]
    if not found:
        raise UsageError(
            message("{path} holds no log that is read here; give {forms}", path=repr(str(path)), forms=forms)
        )
    count, missing = 0, list[str]()
    for reader, file in found:
        try:
            for run in _read(reader, file):
                count += 1
                yield run
        except UsageError as error:
            if not reader.many:
                raise
            missing.append(said_by(error))
    if missing and not count:
        more = message(" (nor do {count} more)", count=len(missing) - 1) if len(missing) > 1 else ""
        raise UsageError(message("{first}{more}", first=missing[0], more=more))
    left_out += missing


def _check(path: Path) -> None:
    if not path.is_dir() and not path.is_file():
        # Whoever reads a pipe waits for somebody who writes into it.
        raise UsageError(message("{path} is a pipe or a device, not a file; name another", path=repr(str(path))))


def _read(reader: Reader, file: Path) -> Iterator[LoggedRun]:
    _check(file)
    if file.is_file() and file.stat().st_size > LARGEST:
        raise UsageError(
            message(
                "{file} is larger than {largest} bytes, which no log of rates is",
                file=repr(str(file)),
                largest=LARGEST,
            )
        )
    reader.check(file)
    if file.is_file() and not file.stat().st_size:
        raise UsageError(message("{path} is empty, 0 bytes; log a run into it, or leave it out", path=repr(str(file))))
    try:
        yield from reader.read(file)
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError, reader.fails) as error:
        if isinstance(error, UsageError):
            raise
        why = line_of(error)[:200] if not isinstance(said_by(error), Message) else said_by(error)
        if isinstance(error, KeyError) or not why:
            why = reason_of(error)
        raise UsageError(message("{file} does not parse: {why}", file=repr(str(file)), why=why)) from None
