"""A file of separated values -> the cells of its columns, as text.

    a header line, then a row a line; separated by comma, semicolon, tab or bar: the one that gives the first lines the
    same number of cells, at least two. Where several do, it must be named

Cells are as written, without the blanks around them. Nothing is skipped but empty lines, which are counted.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from calando.errors import DataError, quote
from calando.language import joined, message
from calando.tasks.data.arrays import content_of
from calando.tasks.data.parts import printable, some

__all__ = ["DELIMITERS", "ENCODINGS", "MOST_CELLS", "NUMERAL", "Table", "read_csv", "refuse_other_encoding"]

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
ENCODINGS = ("utf-8", "utf-16", "latin-1", "cp1252")
MOST_CELLS = 20_000_000
NUMERAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_MOST_BYTES, _LOOKED_AT = 2**29, 20
_ADVICE = message("; give a smaller file, or a torch Dataset, which is read sample by sample")


@dataclass(frozen=True, eq=False)
class Table:
    """Cells as they are written.

    Args:
        columns: name -> the cells, one a row; "" where there is nothing.
        lines: where each row stands: the number of its line, or of the row.
        counted: what `lines` counts: "line" or "row".
        origin: the file's name.
        notes: how it was read, in sentences.
        typed: columns whose type in the file says that they are categories or texts; of csv none has one.
    """

    columns: dict[str, list[str]]
    lines: Sequence[int]
    counted: str
    origin: str
    notes: tuple[str, ...] = ()
    typed: Mapping[str, Literal["categories", "texts"]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int, column: str) -> str:
        """Where a cell stands, for an error: "houses.csv, line 18, column 'age'"."""
        return message(
            "{origin}, row {line}, column {column}"
            if self.counted == "row"
            else "{origin}, line {line}, column {column}",
            origin=self.origin,
            line=self.lines[row],
            column=quote(column),
        )


def read_csv(path: Path, *, delimiter: str | None = None, encoding: str | None = None, header: bool = True) -> Table:
    """The whole file.

    Args:
        delimiter: by its name; None: found.
        encoding: None: UTF-8, with or without a mark at its beginning.
        header: whether the first line names the columns; else they are called c1, c2, …

    Raises:
        DataError: missing, not text, rows of different lengths, no header, two columns of one name, or too large.
    """
    text = _text(path, encoding)
    sign, said = (DELIMITERS[delimiter], delimiter) if delimiter else _found(path, text)
    rows = _rows(path, text, sign)
    first = next(rows, None)
    if first is None:
        raise DataError(message("{path}: holds nothing; write a line of column names and a row a line", path=path))
    names = _names(path, first[1], sign) if header else tuple(f"c{i + 1}" for i in range(len(first[1])))
    cells: list[list[str]] = [[] for _ in names]
    lines: list[int] = []
    blanks = empty = 0
    for line, row in rows if header else _again(first, rows):
        if not row:
            empty += 1
            continue
        if len(row) != len(names):
            raise DataError(
                message(
                    "{path}: line {line} has {cells} cells, the header {names}; correct it, or put cells "
                    'that hold a {delimiter} in quotes ("…")',
                    path=path,
                    line=line,
                    cells=len(row),
                    names=len(names),
                    delimiter=said,
                )
            )
        if header and tuple(row) == names and len(names) > 1:
            raise DataError(message("{path}: line {line} repeats the header; remove it", path=path, line=line))
        for column, cell in zip(cells, row, strict=True):
            kept = cell.strip()
            blanks += kept != cell
            column.append(kept)
        lines.append(line)
        if len(lines) * len(names) > MOST_CELLS:
            raise DataError(
                message(
                    "{path}: has more than {most:,} cells{advice}",
                    path=path,
                    most=MOST_CELLS,
                    advice=_ADVICE,
                )
            )
    if not lines:
        raise DataError(message("{path}: holds a header and no rows", path=path))
    notes = (
        [] if said == "comma" else [message("{path}: cells are separated by {delimiter}", path=path, delimiter=said)]
    )
    if blanks:
        notes.append(message("{path}: blanks around {blanks} cells are not read", path=path, blanks=blanks))
    if empty:
        notes.append(message("{path}: {empty} empty lines are passed over", path=path, empty=empty))
    return Table(dict(zip(names, cells, strict=True)), lines, "line", str(path), tuple(notes))


def _again(first: tuple[int, list[str]], rest: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rest


def _text(path: Path, encoding: str | None) -> str:
    content = content_of(path, most=_MOST_BYTES, advice=_ADVICE)
    if content[:2] == b"\x1f\x8b" or content[:4] == b"PK\x03\x04":
        raise DataError(message("{path}: is compressed; unpack it first", path=path))
    refuse_other_encoding(path, content, encoding)
    try:
        text = content.decode("utf-8-sig" if encoding in (None, "utf-8") else str(encoding))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            message(
                "{path}: line {line} is not {encoding} ({hex} in hexadecimal); name the encoding behind the "
                "path, such as encoding=latin-1 or encoding=cp1252",
                path=path,
                line=line,
                encoding=encoding or "UTF-8",
                hex=content[error.start : error.start + 1].hex(),
            )
        ) from error
    if "\x00" in text:
        raise DataError(
            message("{path}: holds bytes of value 0, so it is no text; name a file of separated values", path=path)
        )
    return text


def refuse_other_encoding(path: Path, content: bytes, encoding: str | None) -> None:
    """A file that begins with the mark of another encoding than that which is named (DataError)."""
    marked = (
        "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8" if content[:3] == b"\xef\xbb\xbf" else None
    )
    if marked not in (None, encoding or "utf-8"):
        raise DataError(
            message(
                "{path}: is {found} by its first bytes; write encoding={marked} behind its name",
                path=path,
                found=marked.upper(),
                marked=marked,
            )
        )


def _found(path: Path, text: str) -> tuple[str, str]:
    """The delimiter, and its name."""
    widths = {}
    for name, sign in DELIMITERS.items():
        rows = [row for _, row in islice(_rows(path, text, sign, strict=False), _LOOKED_AT) if row]
        counts = {len(row) for row in rows}
        widths[name] = (len(rows[0]) if rows else 0, len(counts) == 1)
    even = [name for name, (width, alike) in widths.items() if width > 1 and alike]
    if len(even) > 1:
        raise DataError(
            message(
                "{path}: cells may be separated by {names}; say which behind its name: delimiter={name}",
                path=path,
                names=joined("{one} or {other}", even),
                name=even[0],
            )
        )
    if even:
        return DELIMITERS[even[0]], even[0]
    widest = max(widths, key=lambda name: widths[name][0])
    if widths[widest][0] < 2:
        start = text.lstrip()[:40].splitlines()
        raise DataError(
            message(
                "{path}: has one column, separated by {delimiters} (it begins with {start}); a table "
                "needs a column to predict and one to predict it from",
                path=path,
                delimiters=", ".join(DELIMITERS),
                start=quote(start[0] if start else ""),
            )
        )
    return DELIMITERS[widest], widest  # the line that does not fit is refused by its number


def _rows(path: Path, text: str, sign: str, *, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """The line that each row begins on, and its cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign, skipinitialspace=sign != "\t", strict=strict)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if not strict:
                return
            raise DataError(
                message(
                    "{path}: line {line} cannot be read ({error}); correct its quotes",
                    path=path,
                    line=line,
                    error=str(error),
                )
            ) from error
        yield line, row


def _names(path: Path, row: Sequence[str], sign: str) -> tuple[str, ...]:
    names = tuple(cell.strip() or f"column {i + 1}" for i, cell in enumerate(row))
    if all(NUMERAL.fullmatch(name) for name in names):
        raise DataError(
            message(
                "{path}: its first line is numbers ({cells} …), not names of columns; add a line of names, "
                "or write header=no behind the path, which calls them c1, c2, …",
                path=path,
                cells=printable(sign.join(row[:5])),
            )
        )
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise DataError(
            message(
                "{path}: two columns are called {names}; name them apart",
                path=path,
                names=some([quote(name) for name in twice]),
            )
        )
    return names
