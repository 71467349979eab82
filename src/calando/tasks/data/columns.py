"""What a column of a table holds, by its cells in the training part: numbers, dates, categories, or nothing to learn.

    numbers      every cell is one: 12, -3.5, 1e6
    dates        every cell is 2024-03-01 or 2024-03-01 12:30:00: read as days
    categories   words, at most 50 different ones, and on average two rows or more of each
    left out     empty; the same everywhere; a counter of the rows, or whole numbers that name them (id); texts that
                 differ nearly everywhere; dates in another order, which may be read two ways

Cells that would be guessed at are refused: numbers among which some are words, and numbers with a comma, which may
separate thousands or decimals. Whole numbers with a leading zero (00501) are codes: words. A person's `categories=`,
`numbers=` and `without=` go before all of this.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np

from calando.errors import DataError, quote
from calando.language import message
from calando.tasks.data.csv_file import NUMERAL, Table

__all__ = ["MISSING", "Column", "is_whole", "look_at"]

Kind = Literal["numbers", "dates", "words", "left out"]

MISSING = "(missing)"
"""The category of an empty cell, where such are kept."""

_MARKERS = frozenset({"na", "n/a", "#n/a", "nan", "null", "none", "nil", "?", "-"})
_WITH_COMMA = re.compile(r"[+-]?\d[\d.]*,[\d,.]*\d", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?([1-9]\d{0,2}(\.\d{3})+|\d+)(,\d+)?", re.ASCII)
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_ZONE = re.compile(r":\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)$")
_OTHER_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}([T ].*)?", re.ASCII)
_CODE = re.compile(r"0\d+", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_NAMES_A_ROW = re.compile(
    r"(^|[_\s.-])(id|uuid|guid|index|idx|rowid)$|[a-z](Id|ID)$|^column 1$|^unnamed: \d+$|^__index_level_\d+__$",
    re.IGNORECASE,
)
_MOST_CATEGORIES, _ROWS_OF_ONE, _EXACT = 50, 2, 2**53
_DAY = 86_400


@dataclass(frozen=True)
class Column:
    """How a column is read.

    Args:
        name: of the column.
        kind: see above.
        why: it is left out; else "".
        notes: what was reinterpreted, in sentences.
        comma: what a comma within a number is: a decimal's, a thousand's, or neither.
        missing: words that are read as empty cells.
    """

    name: str
    kind: Kind
    why: str = ""
    notes: tuple[str, ...] = ()
    comma: Literal["decimal", "thousands", ""] = ""
    missing: frozenset[str] = field(default=frozenset())

    def is_missing(self, cell: str) -> bool:
        return not cell or cell in self.missing

    def numbers(self, table: Table) -> np.ndarray:
        """float64[N], NaN where a cell is empty; DataError names the first cell that is no number, or not finite."""
        assert self.kind in ("numbers", "dates")
        cells = table.columns[self.name]
        read = {cell: math.nan if self.is_missing(cell) else self._number(cell) for cell in dict.fromkeys(cells)}
        if bad := next((cell for cell, value in read.items() if value is None or math.isinf(value)), None):
            what = message("a date as 2024-03-01" if self.kind == "dates" else "a number")
            raise DataError(
                message(
                    "{place}: {cell} is not {what}, as the training part's are; correct it",
                    place=table.place(cells.index(bad), self.name),
                    cell=quote(bad),
                    what=what,
                )
            )
        return np.array([read[cell] for cell in cells], dtype=np.float64)

    def words(self, table: Table) -> list[str]:
        """The cells, MISSING where one is empty."""
        return [MISSING if self.is_missing(cell) else cell for cell in table.columns[self.name]]

    def _number(self, cell: str) -> float | None:
        return _day(cell) if self.kind == "dates" else _number(cell, self.comma)


def look_at(
    table: Table,
    name: str,
    *,
    forced: Literal["categories", "numbers", ""] = "",
    decimal: str | None = None,
    is_target: bool = False,
) -> Column:
    """How a column of the training part is read.

    Args:
        forced: what a person said that it is.
        decimal: "comma" or "point": what separates decimals; None: a number with a comma is refused.
        is_target: it is not left out for its values.

    Raises:
        DataError: a cell that may be read two ways.
    """
    cells = table.columns[name]
    counts = Counter(cells)
    counts.pop("", None)
    comma: Literal["decimal", "thousands", ""] = "decimal" if decimal == "comma" else "thousands" if decimal else ""
    if not counts:
        return Column(name, "left out", message("empty"))
    if forced == "categories":
        return Column(name, "words")
    numerals = {cell for cell in counts if _number(cell, comma) is not None}
    marked = {cell for cell in counts if cell.lower() in _MARKERS}
    if table.typed.get(name) == "categories" and forced != "numbers":
        return _words(name, counts, len(cells), marked, is_target=is_target)
    rest = [cell for cell in counts if cell not in numerals and cell not in marked]
    first = ""
    if rest:
        first = message("{place}: {cell}", place=table.place(cells.index(rest[0]), name), cell=quote(rest[0]))
    if rest and not comma and all(_WITH_COMMA.fullmatch(cell) for cell in rest):
        raise DataError(
            message(
                "{first} may have a comma for decimals or for thousands; write decimal=comma (1,5 is one "
                "and a half) or decimal=point behind the path, or categories={name}",
                first=first,
                name=name,
            )
        )
    if comma == "decimal" and (pointed := [cell for cell in rest if NUMERAL.fullmatch(cell)]):
        found = message(
            "{place}: {cell} has a point",
            place=table.place(cells.index(pointed[0]), name),
            cell=quote(pointed[0]),
        )
        if mixed := next((cell for cell in counts if "," in cell and cell in numerals), ""):
            raise DataError(
                message(
                    "{found}, and {cell} there a comma for decimals; write them alike", found=found, cell=quote(mixed)
                )
            )
        made = look_at(table, name, forced=forced, decimal="point", is_target=is_target)
        return replace(
            made,
            notes=(
                *made.notes,
                message("column {name}: its points are those of decimals, as in {cell}", name=name, cell=pointed[0]),
            ),
        )
    if forced == "numbers" and rest:
        raise DataError(message("{first} is not a number; correct it", first=first))
    if numerals and not rest:
        return _numbers(table, name, counts, numerals, marked, comma, forced=forced == "numbers", is_target=is_target)
    filled = sum(counts.values())
    if numerals and 2 * sum(counts[cell] for cell in numerals) >= filled - sum(counts[cell] for cell in marked):
        raise DataError(
            message(
                "{first} among numbers; correct it, or read all as words with categories={name}"
                if is_target
                else "{first} among numbers; correct it, or read all as words with categories={name}, or leave the "
                "column out with without={name}",
                first=first,
                name=name,
            )
        )
    if rest and all(_day(cell) is not None for cell in rest) and not numerals:
        notes = _marks(name, counts, marked)
        if (zoned := sum(counts[cell] for cell in rest if _ZONE.search(cell))) and zoned < sum(map(counts.get, rest)):  # type: ignore[arg-type]
            notes += (
                message(
                    "column {name}: {zoned} moments have a zone, the others none and are read as UTC",
                    name=name,
                    zoned=zoned,
                ),
            )
        return Column(name, "dates", notes=notes, missing=frozenset(marked))
    if rest and all(_OTHER_DATE.fullmatch(cell) for cell in rest) and not is_target:
        shown = next(cell for cell in rest if _day(cell) is None)
        return Column(
            name,
            "left out",
            message("dates such as {shown}; days that exist, written as 2024-03-01, are read", shown=quote(shown)),
        )
    return _words(name, counts, len(cells), marked, is_target=is_target)


def _numbers(
    table: Table,
    name: str,
    counts: Mapping[str, int],
    numerals: set[str],
    marked: set[str],
    comma: Literal["decimal", "thousands", ""],
    *,
    forced: bool,
    is_target: bool,
) -> Column:
    cells, notes = table.columns[name], list(_marks(name, counts, marked))
    if comma and (seen := [cell for cell in cells if cell in numerals and _reads_otherwise(cell, comma)]):
        notes.append(
            message(
                "column {name}: {cell} is read as {number:.15g}",
                name=name,
                cell=seen[0],
                number=_number(seen[0], comma),
            )
        )
    if not forced and any(_CODE.fullmatch(cell) for cell in numerals):
        example = next(cell for cell in cells if _CODE.fullmatch(cell))
        found = _words(name, counts, len(cells), marked, is_target=is_target)
        said = message(
            "column {name}: codes such as {example}, read as words and not as numbers (else numbers={name})",
            name=name,
            example=example,
        )
        return Column(name, found.kind, found.why, notes=(*found.notes, said) if found.kind == "words" else ())
    values = [_number(cell, comma) or 0.0 for cell in cells if cell in numerals]
    whole = all(_WHOLE.fullmatch(cell) for cell in numerals)
    if is_target and whole and max(map(abs, values)) > _EXACT:
        raise DataError(
            message(
                "{origin}: the target {target} has whole numbers of over 15 digits, of which several would "
                "be one in double precision; read them as words with categories={name}, or write them "
                "with a decimal point",
                origin=table.origin,
                target=quote(name),
                name=name,
            )
        )
    if table.typed.get(name) == "texts" and not forced:
        notes.append(
            message("column {name}: its texts are numbers and read as such (else categories={name})", name=name)
        )
    if not forced and not is_target:
        if whole and max(map(abs, values)) > _EXACT:
            return Column(
                name,
                "left out",
                message("whole numbers of over 15 digits, as identifiers have (else numbers={name})", name=name),
            )
        if whole and len(set(values)) == len(values) > 2:
            if all(after == before + 1 for before, after in itertools.pairwise(values)):
                return Column(name, "left out", message("counts the rows (else numbers={name})", name=name))
            if _NAMES_A_ROW.search(name):
                return Column(
                    name,
                    "left out",
                    message("another whole number in every row, an identifier (else numbers={name})", name=name),
                )
        if len(set(values)) == 1 and len(values) == len(cells):
            return Column(name, "left out", message("{cell} everywhere", cell=quote(cells[0])))
    return Column(name, "numbers", notes=tuple(notes), comma=comma, missing=frozenset(marked))


def _words(name: str, counts: Mapping[str, int], rows: int, marked: set[str], *, is_target: bool) -> Column:
    filled = sum(counts.values())
    if not is_target:
        if len(counts) == 1 and filled == rows:
            return Column(name, "left out", message("{cell} everywhere", cell=quote(next(iter(counts)))))
        many = filled < _ROWS_OF_ONE * len(counts) and len(counts) > 2
        if many or len(counts) > _MOST_CATEGORIES:
            return Column(
                name,
                "left out",
                message(
                    "{count} different texts in {filled} rows (else categories={name})",
                    count=len(counts),
                    filled=filled,
                    name=name,
                ),
            )
    notes = tuple(
        message("column {name}: {mark} is read as a category, not as missing", name=name, mark=quote(mark))
        for mark in sorted(marked)
    )
    return Column(name, "words", notes=notes)


def _marks(name: str, counts: Mapping[str, int], marked: set[str]) -> tuple[str, ...]:
    return tuple(
        message(
            "column {name}: {mark} ({count} cells) is read as missing",
            name=name,
            mark=quote(mark),
            count=counts[mark],
        )
        for mark in sorted(marked)
    )


def is_whole(values: np.ndarray) -> bool:
    """Whether every number is whole; NaN is passed over."""
    filled = values[~np.isnan(values)]
    return bool((filled == np.floor(filled)).all())


def _number(cell: str, comma: str) -> float | None:
    if comma == "decimal":
        if _DECIMAL.fullmatch(cell):
            return float(cell.replace(".", "").replace(",", "."))
        # A point is that of thousands: next to 1.500, which is a thousand and a half, 1.50 is no number.
        return float(cell) if NUMERAL.fullmatch(cell) and "." not in cell else None
    if comma == "thousands" and _THOUSANDS.fullmatch(cell):
        return float(cell.replace(",", ""))
    return float(cell) if NUMERAL.fullmatch(cell) else None


def _reads_otherwise(cell: str, comma: str) -> bool:
    """Whether it is another number than without what was said of its comma, or none."""
    return not NUMERAL.fullmatch(cell) or _number(cell, comma) != float(cell)


def _day(cell: str) -> float | None:
    """Days since 1970-01-01; a time without a zone is taken as UTC, as all of its column are."""
    if not _ISO.fullmatch(cell):
        return None
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        return None
    since = moment.replace(tzinfo=None) - datetime(1970, 1, 1)
    offset = moment.utcoffset()
    return (since.total_seconds() - (offset.total_seconds() if offset else 0)) / _DAY
