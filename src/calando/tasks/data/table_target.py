"""What a table predicts: classes, or a number.

    words                   classes, in the order of the alphabet
    few whole numbers       classes, in their order: at most 20 different ones, and on average ten rows of each
    other numbers           a number: standardised for training, judged in its own unit

`task=classes` and `task=regression` decide otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calando.errors import DataError, quote
from calando.language import message
from calando.tasks.data.columns import Column, is_whole
from calando.tasks.data.csv_file import Table
from calando.tasks.data.options import Value
from calando.tasks.data.parts import some

__all__ = ["Target", "targets_of"]

_FEW, _ROWS_OF_ONE, _MOST_CLASSES = 20, 10, 1000
_LEAST_ROWS = 3  # of a class: one to train on, and one for each part that is cut off


@dataclass(frozen=True, eq=False)
class Target:
    """What is predicted: classes by number, or numbers; and how it was understood."""

    train: np.ndarray
    test: np.ndarray | None
    class_names: tuple[str, ...] | None
    note: str


def targets_of(train: Table, test: Table | None, goal: Column, options: Mapping[str, Value]) -> Target:
    task, name = options.get("task"), goal.name
    if goal.kind == "words":
        if task == "regression":
            raise DataError(
                message(
                    "{place}: {cell} is no number, so task=regression cannot be; leave it out",
                    place=train.place(0, name),
                    cell=quote(train.columns[name][0]),
                )
            )
        return _classes(train, test, goal, [goal.words(part) for part in (train, test) if part], note=message("words"))
    numbers = [goal.numbers(part) for part in (train, test) if part is not None]
    values = np.unique(numbers[0])
    few = is_whole(values) and len(values) <= _FEW and len(numbers[0]) >= _ROWS_OF_ONE * len(values)
    if task == "classes" or (task is None and few):
        note = (
            message("as asked")
            if task
            else message("{count} different whole numbers; task=regression reads them as numbers", count=len(values))
        )
        return _classes(train, test, goal, [[f"{value + 0.0:.15g}" for value in part] for part in numbers], note=note)
    if len(values) < 2:
        raise DataError(
            message(
                "{origin}: the target {name} is {value:g} in every row; there is nothing to learn",
                origin=train.origin,
                name=quote(name),
                value=values[0],
            )
        )
    low, high = values[0], values[-1]
    note = message(
        "target {name}: a number, {low:g} to {high:g}, mean {mean:.6g}, standard deviation "
        "{std:.6g}; standardised for training, judged in its own unit (RMSE)",
        name=name,
        low=low,
        high=high,
        mean=numbers[0].mean(),
        std=numbers[0].std(),
    )
    rows = np.unique(numbers[0], return_counts=True)[1]
    if is_whole(values) and task is None and len(values) <= _MOST_CLASSES and rows.min() >= _LEAST_ROWS:
        note = message(
            "{note}; {count} different whole numbers: task=classes reads them as classes", note=note, count=len(values)
        )
    return Target(numbers[0], numbers[1] if len(numbers) > 1 else None, None, note)


def _classes(train: Table, test: Table | None, goal: Column, parts: Sequence[Sequence[str]], *, note: str) -> Target:
    counts = Counter(parts[0])
    by_value = goal.kind == "numbers"
    names = tuple(sorted(counts, key=(lambda text: (float(text), text)) if by_value else (lambda text: (0.0, text))))
    if len(names) < 2:
        raise DataError(
            message(
                "{origin}: the target {name} is {value} in every row; nothing to learn",
                origin=train.origin,
                name=quote(goal.name),
                value=quote(names[0]),
            )
        )
    if len(names) > _MOST_CLASSES or 2 * len(names) > len(parts[0]):
        raise DataError(
            message(
                "{origin}: the target {name} has {count} different values in {rows} rows, e.g. {value}, too many "
                "for classes; name another column, or read it as numbers with task=regression"
                if by_value
                else "{origin}: the target {name} has {count} different values in {rows} rows, e.g. {value}, too "
                "many for classes; name another column",
                origin=train.origin,
                name=quote(goal.name),
                count=len(names),
                rows=len(parts[0]),
                value=quote(names[0]),
            )
        )
    number = {name: label for label, name in enumerate(names)}
    if test is not None and (unknown := [word for word in parts[1] if word not in number]):
        row = list(parts[1]).index(unknown[0])
        raise DataError(
            message(
                "{place}: class {name} is not among the training part's: {names}",
                place=test.place(row, goal.name),
                name=quote(unknown[0]),
                names=some(names),
            )
        )
    labels = [np.array([number[word] for word in part], dtype=np.int64) for part in parts]
    said = message("target {name}: {count} classes ({note})", name=goal.name, count=len(names), note=note)
    return Target(labels[0], labels[1] if len(labels) > 1 else None, names, said)
