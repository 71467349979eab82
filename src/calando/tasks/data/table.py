"""A table -> features and a target: rows to learn from, float32[N, F], and what is predicted of each.

    numbers, dates     (x - mean) / std, by the training part's moments
    categories         one-hot: 1 in the column of its category, 0 in the others; the categories of the training part
    target             words, or few whole numbers: classes; else a number, standardised (RMSE is in its own unit)

What a target is stands in `table_target`; how features are made, in `table_features`. What has no test part gives one
fifth of its rows: drawn at random, class by class, or the last ones (`split=last`). Moments, categories and fillings
are those of the rows that are trained on: `SampleData.fitted`, once the validation part is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial

import numpy as np

from calando.errors import DataError, quote
from calando.language import joined, message
from calando.sizes import MOST
from calando.tasks.data.columns import Column, look_at
from calando.tasks.data.csv_file import Table
from calando.tasks.data.options import Option, Value, names_of
from calando.tasks.data.parts import classes_in, printable, repeats, some
from calando.tasks.data.samples import SampleData, SamplePart
from calando.tasks.data.table_features import cells_of, features_of
from calando.tasks.data.table_target import Target, targets_of
from calando.tasks.labels import TEST_FRACTION, WHOLE_CUT, check_enough, hold_out
from calando.tasks.randomness import Purpose

__all__ = ["TABLE_OPTIONS", "table_data"]

TABLE_OPTIONS = (
    Option("target", "the column that is predicted"),
    Option("task", "what the target is", choices=("classes", "regression")),
    Option(
        "missing", "empty cells: refused, filled, or their rows left out", choices=("refuse", "mean", "median", "drop")
    ),
    Option("without", "columns to leave out, joined by +"),
    Option("categories", "columns that are read as words, joined by +"),
    Option("numbers", "columns that are read as numbers, joined by +"),
    Option("decimal", "what separates decimals", choices=("point", "comma")),
    Option("split", "which rows are the test part, where there is none", choices=("random", "last")),
)

_LIKELY = ("target", "label", "class", "y", "outcome", "price")


def table_data(text: str, train: Table, test: Table | None, options: Mapping[str, Value]) -> SampleData:
    """Features and targets of a training part and a test part, which is cut off where there is none.

    Args:
        text: the form and path, such as "csv:houses.csv", for what an error tells to write.
        options: see `TABLE_OPTIONS`.

    Raises:
        DataError: no such column, a cell that cannot be read, one that is empty, a target that does not vary.
    """
    target = _target_name(text, train, options)
    chosen = _chosen(train, target, options)
    if test is not None and target not in test.columns:
        raise DataError(
            message(
                "{origin}: has no column {target}, so nothing can be judged on it; name {train} alone: "
                "a fifth of it is the test part then",
                origin=test.origin,
                target=quote(target),
                train=train.origin,
            )
        )
    columns = [_look(train, name, chosen, options) for name in train.columns if name not in ("", target)]
    used = [column for column in columns if column.kind != "left out" and column.name not in chosen["without"]]
    gone = [
        message("{name} ({why})", name=column.name, why=column.why) for column in columns if column.kind == "left out"
    ]
    gone += [message("{name} (as asked)", name=name) for name in chosen["without"]]
    goal = _look_at_target(train, target, chosen, options)
    if not used:
        raise DataError(
            message(
                "{origin}: no column is left to learn from; left out are {gone}",
                origin=train.origin,
                gone=joined("{one}; {other}", gone) or message("none"),
            )
        )
    notes = [note for column in [goal, *used] for note in column.notes]
    if test is not None:
        if lost := [column.name for column in used if column.name not in test.columns]:
            raise DataError(
                message(
                    "{origin}: has no column {name}, which the training part has",
                    origin=test.origin,
                    name=quote(lost[0]),
                )
            )
        if more := [name for name in test.columns if name not in train.columns]:
            notes.append(
                message(
                    "{origin}: columns that the training part has not are passed over: {more}",
                    origin=test.origin,
                    more=some(more),
                )
            )
    train = _complete(train, [goal, *used], goal, options, notes)
    test = None if test is None else _complete(test, [goal, *used], goal, options, notes)
    found = targets_of(train, test, goal, options)
    cut, last = test is None, options.get("split") == "last"
    if test is None:
        labels = found.train
        kept, held = _cut(train, labels, found.class_names, last=last)
        train, test = _rows(train, kept), _rows(train, held)
        found = replace(found, train=labels[kept], test=labels[held])
    assert found.test is not None
    notes += [found.note]
    tables, classes = (train, test), found.class_names is not None
    cells = cells_of(train, test, used)
    last_notes: list[str] = [message("columns left out: {gone}", gone=joined("{one}; {other}", gone))] if gone else []
    last_notes += [*train.notes, *(() if cut else test.notes)]

    def fitted(rows: np.ndarray, repeated: Sequence[str] | None = None) -> SampleData:
        made: list[str] = []
        inputs = features_of(tables, cells, rows, options, made)
        summary, targets, moments = _finished(text, tables, found, rows, cut=cut, last=last)
        if repeated is None:
            both = [(x, y) for x, y in zip(inputs, targets, strict=True)]
            repeated = repeats(*both, how=message("in every column"), classes=classes)
        parts = [SamplePart(x, y, part.origin) for x, y, part in zip(inputs, targets, tables, strict=True)]
        return SampleData(
            train=parts[0],
            test=parts[1],
            loss="cross_entropy" if classes else "mse",
            metric="accuracy" if classes else "rmse",
            class_names=found.class_names,
            cut=cut,
            by_position=last,
            shift=(moments[0],) if moments else (),
            scale=(moments[1],) if moments else (),
            notes=tuple(printable(note) for note in (summary, *notes, *made, *last_notes, *repeated)),
            fitted=partial(fitted, repeated=repeated),
        )

    return fitted(np.arange(len(train)))


# Which columns


def _target_name(text: str, table: Table, options: Mapping[str, Value]) -> str:
    names = list(table.columns)
    if len(names) < 2:
        raise DataError(
            message(
                "{origin}: has one column; a table needs one to predict and one to predict it from", origin=table.origin
            )
        )
    if "target" not in options:
        likely = next((name for word in _LIKELY for name in names if name.lower() == word), names[-1])
        raise DataError(
            message(
                "{origin}: which column is predicted? its columns are {names}; write e.g. {text},target={likely}",
                origin=table.origin,
                names=some([quote(n) for n in names], most=12),
                text=text,
                likely=likely,
            )
        )
    name = str(options["target"])
    if name not in names:
        raise DataError(_no_column(table, "target", name))
    return name


def _no_column(table: Table, option: str, name: str) -> str:
    names = list(table.columns)
    near = [n for n in names if n.lower() == name.lower()] or get_close_matches(name, names, n=1)
    return message(
        "{origin}: has no column {name}; did you mean {option}={near}? its columns are {names}"
        if near
        else "{origin}: has no column {name}; its columns are {names}",
        origin=table.origin,
        name=quote(name),
        option=option,
        near=near[0] if near else "",
        names=some([quote(n) for n in names], most=12),
    )


def _chosen(table: Table, target: str, options: Mapping[str, Value]) -> dict[str, tuple[str, ...]]:
    """Columns that a person named: option -> names."""
    names = list(table.columns)
    chosen = {option: names_of(options.get(option), names) for option in ("without", "categories", "numbers")}
    seen: dict[str, str] = {}
    for option, listed in chosen.items():
        for name in listed:
            if name not in table.columns:
                raise DataError(_no_column(table, option, name))
            if name == target and option == "without":
                raise DataError(
                    message(
                        "{origin}: {name} is the target, so it cannot be left out by without=",
                        origin=table.origin,
                        name=quote(name),
                    )
                )
            if name in seen:
                raise DataError(
                    message(
                        "{origin}: {option}={name} and {other}={name} contradict; keep one",
                        origin=table.origin,
                        option=option,
                        name=name,
                        other=seen[name],
                    )
                )
            seen[name] = option
    return chosen


def _look(table: Table, name: str, chosen: Mapping[str, Sequence[str]], options: Mapping[str, Value]) -> Column:
    if name in chosen["without"]:
        return Column(name, "words")
    decimal = options.get("decimal")
    how = next((option for option in ("categories", "numbers") if name in chosen[option]), "")
    return look_at(table, name, forced=how, decimal=None if decimal is None else str(decimal))  # type: ignore[arg-type]


def _look_at_target(
    table: Table, name: str, chosen: Mapping[str, Sequence[str]], options: Mapping[str, Value]
) -> Column:
    how = next((option for option in ("categories", "numbers") if name in chosen[option]), "")
    decimal = options.get("decimal")
    found = look_at(table, name, forced=how, decimal=None if decimal is None else str(decimal), is_target=True)  # type: ignore[arg-type]
    if found.kind in ("left out", "dates"):
        what = message("empty" if found.kind == "left out" else "dates")
        raise DataError(
            message(
                "{origin}: the target {name} is {what}; name a column of numbers or words",
                origin=table.origin,
                name=quote(name),
                what=what,
            )
        )
    return found


# Empty cells


def _complete(
    table: Table, columns: Sequence[Column], goal: Column, options: Mapping[str, Value], notes: list[str]
) -> Table:
    """Without the rows that have an empty cell, where that was asked for; refused where nothing was."""
    how = options.get("missing", "refuse")
    empty = {
        column.name: np.array([column.is_missing(cell) for cell in table.columns[column.name]], dtype=bool)
        for column in columns
    }
    any_empty = np.logical_or.reduce(list(empty.values()))
    if how == "drop" and any_empty.any():
        if any_empty.all():
            raise DataError(
                message("{origin}: every row has an empty cell, so missing=drop leaves none", origin=table.origin)
            )
        notes.append(
            message(
                "{origin}: {empty} of {count} rows have an empty cell and are left out",
                origin=table.origin,
                empty=int(any_empty.sum()),
                count=len(table),
            )
        )
        return _rows(table, np.flatnonzero(~any_empty))
    if empty[goal.name].any():
        row = int(empty[goal.name].argmax())
        raise DataError(
            message(
                "{place}: the target is empty ({empty} of {count} rows); correct it, or leave such rows "
                "out with missing=drop",
                place=table.place(row, goal.name),
                empty=int(empty[goal.name].sum()),
                count=len(table),
            )
        )
    holes = {name: int(those.sum()) for name, those in empty.items() if those.any()}
    if holes and how == "refuse":
        name = min(holes, key=lambda one: int(empty[one].argmax()))
        counted = some([f"{name} {count}" for name, count in holes.items()])
        raise DataError(
            message(
                "{place}: is empty (of {count} rows: {counted}); fill such cells with missing=mean or "
                "missing=median, leave the rows out with missing=drop, or the columns with "
                "without={names}",
                place=table.place(int(empty[name].argmax()), name),
                count=len(table),
                counted=counted,
                names="+".join(holes),
            )
        )
    return table


def _rows(table: Table, rows: np.ndarray) -> Table:
    picked = rows.tolist()
    columns = {name: [cells[row] for row in picked] for name, cells in table.columns.items()}
    return replace(table, columns=columns, lines=[table.lines[row] for row in picked])


# The parts


def _cut(
    table: Table, labels: np.ndarray, names: tuple[str, ...] | None, *, last: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are trained on, and the test part's."""
    if len(labels) < 5:
        raise DataError(
            message(
                "{origin}: has {count} rows; give at least 5, of which one is the test part",
                origin=table.origin,
                count=len(labels),
            )
        )
    if last:
        count = max(round(TEST_FRACTION * len(labels)), 1)
        return np.arange(len(labels) - count), np.arange(len(labels) - count, len(labels))
    strata = labels if names is not None else np.zeros(len(labels), np.int64)
    if names is not None:
        check_enough(labels, cut=WHOLE_CUT, names=names)
    return hold_out(strata, fraction=TEST_FRACTION, purpose=Purpose.TEST_SPLIT, what=WHOLE_CUT[0])


# What was read


def _finished(
    text: str, tables: tuple[Table, Table], found: Target, rows: np.ndarray, *, cut: bool, last: bool
) -> tuple[str, tuple[np.ndarray, np.ndarray], tuple[float, float] | None]:
    """The summary; the targets as they are trained on; mean and standard deviation of numbers."""
    assert found.test is not None
    path = text.partition(":")[2]
    how = message(", the last fifth of the rows" if last else ", a fifth of the whole") if cut else ""
    if found.class_names is not None:
        parts = {"train": found.train, "test": found.test}
        classes = classes_in(parts, dict(enumerate(found.class_names)))
        summary = message("{path}: {classes}{how}", path=path, classes=classes, how=how)
        return summary, (found.train, found.test), None
    mean, std = float(found.train[rows].mean()), float(found.train[rows].std())
    if not 0 < std <= MOST or abs(mean) > MOST:
        raise DataError(
            message(
                "{origin}: the target has mean {mean:.3g} and standard deviation {std:.3g} in the "
                "training part, which cannot be standardised; correct it",
                origin=tables[0].origin,
                mean=mean,
                std=std,
            )
        )
    both = [((part - mean) / std).astype(np.float32)[:, None] for part in (found.train, found.test)]
    summary = message(
        "{path}: train {train:,}, test {test:,} rows{how}",
        path=path,
        train=len(found.train),
        test=len(found.test),
        how=how,
    )
    return summary, (both[0], both[1]), (mean, std)
