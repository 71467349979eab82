"""The columns of a table -> features, float32[N, F].

    numbers, dates     (x - mean) / std, by the training part's moments; one that is constant there is left out
    categories         one-hot: 1 in the column of its category, 0 in the others; a category that the training part has
                       not sets none
    empty cells        the training part's mean or median; of words, a category of their own

What was done is reported column by column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from calando.errors import DataError, quote
from calando.sizes import MOST
from calando.tasks.data.columns import MISSING, Column
from calando.tasks.data.csv_file import Table
from calando.tasks.data.options import Value
from calando.tasks.data.parts import some

__all__ = ["features_of"]


def features_of(
    train: Table, test: Table, columns: Sequence[Column], options: Mapping[str, Value], notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """float32[N, F] of both parts; what was done is appended to the notes."""
    made: list[tuple[np.ndarray, np.ndarray]] = []
    scaled: list[str] = []
    hot: list[str] = []
    constant: list[str] = []
    dates: list[str] = []
    for column in columns:
        if column.kind == "words":
            hot.append(_one_hot(train, test, column, made, notes))
            continue
        both = _filled(train, test, column, options, notes)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = float(both[0].mean()), float(both[0].std())
        if not max(abs(mean), std) <= MOST:
            raise DataError(
                f"{train.origin}: column {quote(column.name)} has mean {mean:.3g} and standard deviation {std:.3g}, "
                "which single precision cannot normalise; scale it to values of a size near 1"
            )
        if std <= 1e-12 * abs(mean) or std == 0:
            constant.append(column.name)
            continue
        (dates if column.kind == "dates" else scaled).append(column.name)
        first, second = ((values - mean) / std for values in both)
        if (far := np.flatnonzero(~(np.abs(second) <= MOST))).size:
            raise DataError(
                f"{test.place(int(far[0]), column.name)}: {both[1][far[0]]:g} is beyond all that the training part has "
                f"(mean {mean:.3g}, standard deviation {std:.3g}); correct it"
            )
        made.append((first[:, None], second[:, None]))
    if constant:
        notes.append(f"columns left out, which are the same everywhere in the training part: {some(constant)}")
    if not made:
        raise DataError(f"{train.origin}: no column is left to learn from: {some(constant)} do not vary")
    for what, named in (
        ("numeric {}, standardised by the training part", scaled),
        ("{} of dates, read as days and standardised", dates),
        ("categorical {}, one-hot", hot),
    ):
        if named:
            notes.append(
                f"{len(named)} {what.format('column' if len(named) == 1 else 'columns')}: {some(named, most=20)}"
            )
    train_part, test_part = (np.concatenate(part, axis=1).astype(np.float32) for part in zip(*made, strict=True))
    return train_part, test_part


def _filled(
    train: Table, test: Table, column: Column, options: Mapping[str, Value], notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    first, second = column.numbers(train), column.numbers(test)
    holes = [int(np.isnan(part).sum()) for part in (first, second)]
    if sum(holes):
        how = str(options.get("missing"))
        assert how in ("mean", "median")
        if holes[0] == len(first):
            raise DataError(f"{train.origin}: column {quote(column.name)} is empty in every row of the training part")
        value = float(np.nanmean(first) if how == "mean" else np.nanmedian(first))
        first, second = (np.where(np.isnan(part), value, part) for part in (first, second))
        shown = "2024-03-01 as days" if column.kind == "dates" else f"{value:.4g}"
        what = f"the training part's {how}" + ("" if column.kind == "dates" else f", {shown}")
        notes.append(f"column {column.name}: {sum(holes)} empty cells are filled with {what}")
    return first, second


def _one_hot(
    train: Table, test: Table, column: Column, made: list[tuple[np.ndarray, np.ndarray]], notes: list[str]
) -> str:
    words = [column.words(part) for part in (train, test)]
    names = sorted(set(words[0]))
    number = {name: place for place, name in enumerate(names)}
    if holes := sum(part.count(MISSING) for part in words):
        notes.append(f"column {column.name}: {holes} empty cells are a category of their own")
    if unknown := [word for word in words[1] if word not in number]:
        notes.append(
            f"{test.origin}: column {column.name} has categories that the training part has not, in {len(unknown)} "
            f"rows ({some(sorted({quote(word) for word in unknown}))}): there none is set"
        )
    both = []
    for part in words:
        hot = np.zeros((len(part), len(names)), dtype=np.float32)
        known = [(row, number[word]) for row, word in enumerate(part) if word in number]
        if known:
            rows, places = zip(*known, strict=True)
            hot[list(rows), list(places)] = 1
        both.append(hot)
    made.append((both[0], both[1]))
    return f"{column.name} ({len(names)})"
