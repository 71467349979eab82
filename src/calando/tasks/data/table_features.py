"""The columns of a table -> features, float32[N, F].

    numbers, dates     (x - mean) / std, by the moments of the rows that are trained on; one that is constant there is
                       left out
    categories         one-hot: 1 in the column of its category, 0 in the others; a category that the training part has
                       not sets none
    empty cells        the training part's mean or median; of words, a category of their own

What was done is reported column by column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from calando.errors import DataError, quote
from calando.language import message
from calando.sizes import MOST
from calando.tasks.data.columns import MISSING, Column
from calando.tasks.data.csv_file import Table
from calando.tasks.data.options import Value
from calando.tasks.data.parts import some

__all__ = ["cells_of", "features_of"]


Cells = tuple[Column, tuple[np.ndarray, np.ndarray] | tuple[list[str], list[str]]]
"""A column, and what stands in it in both parts: numbers, float64[N], NaN where a cell is empty; or words."""


def cells_of(train: Table, test: Table, columns: Sequence[Column]) -> list[Cells]:
    """The columns' cells, read once."""
    return [
        (one, (one.words(train), one.words(test)) if one.kind == "words" else (one.numbers(train), one.numbers(test)))
        for one in columns
    ]


def features_of(
    tables: tuple[Table, Table],
    cells: Sequence[Cells],
    rows: np.ndarray,
    options: Mapping[str, Value],
    notes: list[str],
) -> tuple[np.ndarray, np.ndarray]:
    """float32[N, F] of both parts; what was done is appended to the notes.

    Args:
        rows: of the training part that are trained on: they give moments, categories and fillings.
    """
    train = tables[0]
    made: list[tuple[np.ndarray, np.ndarray]] = []
    scaled: list[str] = []
    hot: list[str] = []
    constant: list[str] = []
    dates: list[str] = []
    for column, parts in cells:
        if column.kind == "words":
            hot.append(_one_hot(tables, column, parts, rows, made, notes))  # type: ignore[arg-type]
            continue
        both = _filled(train, column, parts, rows, options, notes)  # type: ignore[arg-type]
        fitted = both[0][rows]
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = float(fitted.mean()), float(fitted.std())
        if not max(abs(mean), std) <= MOST:
            raise DataError(
                message(
                    "{origin}: column {name} has mean {mean:.3g} and standard deviation {std:.3g}, which "
                    "single precision cannot normalise; scale it to values of a size near 1",
                    origin=train.origin,
                    name=quote(column.name),
                    mean=mean,
                    std=std,
                )
            )
        if std <= 1e-12 * abs(mean) or std == 0:
            constant.append(column.name)
            continue
        (dates if column.kind == "dates" else scaled).append(column.name)
        made.append(tuple(((values - mean) / std)[:, None] for values in both))  # type: ignore[arg-type]
        for table, values, came in zip(tables, made[-1], both, strict=True):
            if (far := np.flatnonzero(~(np.abs(values[:, 0]) <= MOST))).size:
                raise DataError(
                    message(
                        "{place}: {value:g} is beyond all that is trained on (mean {mean:.3g}, standard deviation "
                        "{std:.3g}); correct it",
                        place=table.place(int(far[0]), column.name),
                        value=came[far[0]],
                        mean=mean,
                        std=std,
                    )
                )
    if constant:
        notes.append(
            message(
                "columns left out, which are the same everywhere in the training part: {names}",
                names=some(constant),
            )
        )
    if not made:
        raise DataError(
            message(
                "{origin}: no column is left to learn from: {names} do not vary",
                origin=train.origin,
                names=some(constant),
            )
        )
    notes += _used(scaled, dates, hot)
    train_part, test_part = (np.concatenate(part, axis=1).astype(np.float32) for part in zip(*made, strict=True))
    return train_part, test_part


def _used(scaled: Sequence[str], dates: Sequence[str], hot: Sequence[str]) -> list[str]:
    """What became of the columns, a sentence a kind."""
    counts = [{"count": len(named), "names": some(named, most=20)} for named in (scaled, dates, hot)]
    said = [
        message(
            "{count} numeric column, standardised by the training part: {names}"
            if len(scaled) == 1
            else "{count} numeric columns, standardised by the training part: {names}",
            **counts[0],
        ),
        message(
            "{count} column of dates, read as days and standardised: {names}"
            if len(dates) == 1
            else "{count} columns of dates, read as days and standardised: {names}",
            **counts[1],
        ),
        message(
            "{count} categorical column, one-hot: {names}"
            if len(hot) == 1
            else "{count} categorical columns, one-hot: {names}",
            **counts[2],
        ),
    ]
    return [one for one, named in zip(said, (scaled, dates, hot), strict=True) if named]


def _filled(
    train: Table,
    column: Column,
    parts: tuple[np.ndarray, np.ndarray],
    rows: np.ndarray,
    options: Mapping[str, Value],
    notes: list[str],
) -> tuple[np.ndarray, np.ndarray]:
    first, second = parts
    holes = sum(int(np.isnan(part).sum()) for part in parts)
    if holes:
        how = str(options.get("missing"))
        assert how in ("mean", "median")
        if np.isnan(first[rows]).all():
            raise DataError(
                message(
                    "{origin}: column {name} is empty in every row that is trained on",
                    origin=train.origin,
                    name=quote(column.name),
                )
            )
        value = float(np.nanmean(first[rows]) if how == "mean" else np.nanmedian(first[rows]))
        first, second = (np.where(np.isnan(part), value, part) for part in parts)
        what = message("the training part's {how}", how=message(how))
        if column.kind != "dates":
            what = message("{what}, {value:.4g}", what=what, value=value)
        notes.append(
            message(
                "column {name}: {holes} empty cells are filled with {what}", name=column.name, holes=holes, what=what
            )
        )
    return first, second


def _one_hot(
    tables: tuple[Table, Table],
    column: Column,
    parts: tuple[list[str], list[str]],
    rows: np.ndarray,
    made: list[tuple[np.ndarray, np.ndarray]],
    notes: list[str],
) -> str:
    names = sorted({parts[0][row] for row in rows.tolist()})
    number = {name: place for place, name in enumerate(names)}
    if MISSING in number and (holes := sum(part.count(MISSING) for part in parts)):
        notes.append(
            message("column {name}: {holes} empty cells are a category of their own", name=column.name, holes=holes)
        )
    for what, table, words in zip((message(", not trained on"), ""), tables, parts, strict=True):
        if unknown := [word for word in words if word not in number]:
            notes.append(
                message(
                    "{origin}{what}: column {name} has categories that the training part has not, in {count} "
                    "rows ({names}): there none is set",
                    origin=table.origin,
                    what=what,
                    name=column.name,
                    count=len(unknown),
                    names=some(sorted({quote(word) for word in unknown})),
                )
            )
    both = []
    for part in parts:
        hot = np.zeros((len(part), len(names)), dtype=np.float32)
        known = [(row, number[word]) for row, word in enumerate(part) if word in number]
        if known:
            places, columns = zip(*known, strict=True)
            hot[list(places), list(columns)] = 1
        both.append(hot)
    made.append((both[0], both[1]))
    return f"{column.name} ({len(names)})"
