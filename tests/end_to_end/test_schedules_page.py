"""docs/reference/schedules shows every schedule as it is: its words are what the tool makes, its pictures its curves.

The pictures are read back rather than compared byte for byte: another processor rounds another last digit.
"""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from calando.schedules import SCHEDULES, parse
from calando.schedules.known_schedules import example_of

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs/pictures/schedules"

_specification = importlib.util.spec_from_file_location("draw_schedules", ROOT / "tools/draw_schedules.py")
tool = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(tool)


def lines_of(svg):
    """Parameter group -> the points of its line in steps and multipliers, shape (n, 2)."""
    low, high = map(
        float, re.search(r"Y-axis for a linear scale with values from ([-\d.]+) to ([-\d.]+)", svg).groups()
    )
    width, height = map(float, re.search(r'd="M0,0h(\d+)v(\d+)h', svg).groups())
    found = {}
    for group, path in re.findall(r'aria-label="step: [^"]*; group: ([^"]*)"[^>]* d="M([^"]*)"', svg):
        points = np.array([list(map(float, point.split(","))) for point in path.split("L")])
        found[group] = np.stack(
            [points[:, 0] / width * tool.STEPS, high - points[:, 1] / height * (high - low)], axis=1
        )
    return found, (high - low) / height


def test_the_pages_are_what_the_tool_writes():
    folder = ROOT / "docs/reference/schedules"
    assert {file.name: file.read_text() for file in folder.glob("*.md")} == tool.pages(), "make docs"
    assert {path.stem for path in PICTURES.iterdir()} == set(SCHEDULES)


@pytest.mark.parametrize("drawn", [None, "cosine"], ids=["kept", "made anew"])
def test_every_picture_lies_on_its_curve(drawn):
    for name in SCHEDULES if drawn is None else [drawn]:
        text = example_of(name)
        svg = (PICTURES / f"{name}.svg").read_text() if drawn is None else tool.picture(text)
        lines, pixel = lines_of(svg)
        schedule = parse(text)
        assert set(lines) == set(schedule.group_names or ("every group",)), name
        for group, points in lines.items():
            values = schedule.for_group(group).bind(tool.STEPS, steps_per_epoch=tool.STEPS_PER_EPOCH).sample()
            steps = points[:, 0].round().astype(int)
            assert steps[0] == 0, name
            assert steps[-1] == tool.STEPS - 1, name
            np.testing.assert_allclose(points[:, 1], values[steps], atol=0.1 * pixel, rtol=1e-4, err_msg=name)
            between = np.interp(np.arange(tool.STEPS), *points.T)
            np.testing.assert_allclose(between, values, atol=2 * pixel, err_msg=name)


def test_the_picture_of_three_schedules_shows_them():
    svg = (ROOT / "docs/pictures/three-schedules.svg").read_text()
    assert all(text[:12].replace("'", "&#39;") in svg for text in tool.THREE), "make docs"
