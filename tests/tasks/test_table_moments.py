"""What is fitted to a table is fitted to the rows that are trained on: no validation or test row changes it."""

import numpy as np
import pytest
import torch

from calando.tasks.catalog import resolve
from calando.tasks.labels import hold_out, take_stratified
from calando.tasks.load_task import load
from calando.tasks.randomness import Purpose

ROWS = 120


def cells(seed=0):
    rng = np.random.default_rng(seed)
    return [
        [f"{rng.normal():.4f}", "" if rng.random() < 0.1 else f"{rng.normal() * 3 + 9:.4f}", "abc"[rng.integers(3)]]
        for _ in range(ROWS)
    ]


def task(tmp_path, rows, targets, options="", **changes):
    lines = ["size,age,kind,y", *(",".join([*row, target]) for row, target in zip(rows, targets, strict=True))]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    spec = resolve(f"csv:{tmp_path / 't.csv'},target=y,missing=mean{options}")
    return load(spec.model_copy(update={"batch_size": 8, **changes}))


def numbers(index):
    return f"{np.sin(index) * 7 + 100:.4f}"


def classes(index):
    return "no" if index % 3 else "yes"


def whole(part):
    return part.read(torch.arange(len(part)))


@pytest.mark.parametrize("options", ["", ",split=last"])
@pytest.mark.parametrize("target", [numbers, classes])
@pytest.mark.parametrize("limit", [None, 50])
def test_rows_that_are_not_trained_on_change_nothing_of_the_training_part(tmp_path, options, target, limit):
    targets = [target(index) for index in range(ROWS)]
    before = task(tmp_path, cells(), targets, options, train_limit=limit)
    changed = cells()
    for index in sorted(set(range(ROWS)) - set(trained_on(targets, last=bool(options), limit=limit))):
        changed[index] = ["1e6", "-1e6", "z"]
    after = task(tmp_path, changed, targets, options, train_limit=limit)
    assert whole(after.train).inputs.numpy().tobytes() == whole(before.train).inputs.numpy().tobytes()
    assert whole(after.train).targets.numpy().tobytes() == whole(before.train).targets.numpy().tobytes()
    assert float(whole(after.validation).inputs[:, 0].abs().max()) > 1e5
    assert any("'z'" in note and "not trained on: column kind" in note for note in after.notes)


def trained_on(targets, *, last, limit):
    """Rows of the file, by the rule of `calando.tasks.labels`."""
    labels = np.array([target == "yes" for target in targets]).astype(np.int64)
    rows = np.arange(ROWS)
    for fraction, purpose in ((0.2, Purpose.TEST_SPLIT), (0.1, Purpose.VALIDATION_SPLIT)):
        if last:
            rows = rows[: len(rows) - round(fraction * len(rows))]
        else:
            rows = rows[hold_out(labels[rows], fraction=fraction, purpose=purpose, what="part")[0]]
    return rows if limit is None else rows[take_stratified(labels[rows], count=limit)]


def test_moments_are_those_of_the_rows_that_are_trained_on(tmp_path):
    made = task(tmp_path, cells(), [numbers(index) for index in range(ROWS)])
    found = whole(made.train)
    for column in (found.inputs[:, 0], found.targets[:, 0]):
        assert float(column.mean()) == pytest.approx(0, abs=1e-5)
        assert float(column.std(correction=0)) == pytest.approx(1, abs=1e-5)
