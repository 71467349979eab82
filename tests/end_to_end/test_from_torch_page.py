"""docs/how-to/from-torch.md: each row of its table, both sides built and compared; differences.md: each has a test."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

import calando
from calando import schedules

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/from-torch.md").read_text()
DIFFERENCES = (ROOT / "docs/how-to/differences.md").read_text()
ROWS = re.findall(r"^\| `(\w+\(optimizer.*?|\w+\(\[.*?)` \| `(.*)` \|$", PAGE, re.MULTILINE)
TOTAL, BASE = 100, 0.1


def trace(make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE, momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # SequentialLR calls what torch itself deprecates
        scheduler = make(optimizer)
        rates = []
        for _ in range(TOTAL):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return np.array(rates)


def test_the_table_has_every_scheduler_with_a_closed_form_of_its_own():
    compared = {name for theirs, _ in ROWS for name in re.findall(r"(\w+)\(", theirs)}
    told = set(re.findall(r"\*\*`(\w+)`\*\*", PAGE))
    assert compared | told == set(lr_scheduler.__all__) - {"LRScheduler"}


def test_each_difference_on_purpose_is_shown_by_a_test_that_exists():
    table = DIFFERENCES.split("## What is different on purpose")[1].split("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")][1:]
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = [re.fullmatch(r"\|.*\| `(test_\w+)` \|", row) for row in rows]
    assert all(named)
    missing = [match[1] for match in named if f"def {match[1]}(" not in tests]
    assert not missing
    shown = {match[1] for match in named}
    assert set(re.findall(r"def (test_where_we_differ_\w+)\(", tests)) <= shown


@pytest.mark.parametrize(("theirs", "ours"), ROWS, ids=[theirs[:60] for theirs, _ in ROWS])
def test_both_sides_of_a_row_give_the_same_rates(theirs, ours):
    names = {name: getattr(lr_scheduler, name) for name in lr_scheduler.__all__}
    constructors = {name: getattr(schedules, name) for name in schedules.SCHEDULES}
    wanted = trace(lambda optimizer: eval(theirs, names | {"optimizer": optimizer}))
    schedule = eval(ours, constructors)
    found = trace(lambda optimizer: calando.LRScheduler(optimizer, schedule, total_steps=TOTAL))
    # torch's chained forms round a few times at each step
    assert np.abs(found - wanted).max() <= 1e-12 * BASE * TOTAL
    if "lambda" not in ours:
        assert schedules.parse(str(schedule)) == schedule
