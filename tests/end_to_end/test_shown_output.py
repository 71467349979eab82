"""What pages show of the program is what the program says: outputs, files that it reads, names that it has.

text          each line is a strategy that calando reads, or made of texts that the program has, next to numbers, paths
              and names. So a text of the program that changes is found on the page; what a run's numbers are is not
toml, yaml    what is meant for calando is known to it: groups of entry points, extras, commands
indented      formulas and drawings alone: a command stands in a block with a language, where tests run it

`test_readme.py` runs the commands, and holds what stands below one that is run whole against what it printed.
"""

import importlib
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from tests.end_to_end.test_readme import are_strategies, read_by_bash
from tools.catalogue import PLACE, PO, read_po

from calando.controllers import CONTROLLERS
from calando.methods import METHODS
from calando.schedules import SCHEDULES, linting
from calando.strategy import PRESETS
from calando.study.executors import EXECUTORS

ROOT = Path(__file__).parents[2]
DRAWN = "docs/reference/schedules"  # its blocks are formulas: test_schedules_page.py
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")]
    if path.name != "LOG.md" and not path.is_relative_to(ROOT / DRAWN)
)
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
WORD = re.compile(r"[^\W\d_]+")
RULES = set(re.findall(r"^    ([a-z-]+) ", str(linting.__doc__), re.MULTILINE))
"""What `calando lint` calls what it finds."""


def blocks(page: str, *languages: str) -> list[str]:
    """The blocks of a page in these languages, without their indentation."""
    found = BLOCK.finditer((ROOT / page).read_text())
    return [re.sub(f"^{one[1]}", "", one[3], flags=re.MULTILINE) for one in found if one[2] in languages]


@cache
def phrases(chinese: bool) -> tuple[re.Pattern[str], ...]:
    """What stands between the places of the program's texts, the longest first."""
    texts = read_po(PO.read_text())
    parts = {" ".join(part.split()) for text in (texts.values() if chinese else texts) for part in PLACE.split(text)}
    worded = sorted((part for part in parts if WORD.search(part)), key=lambda part: (-len(part), part))
    return tuple(re.compile(rf"(?<![a-zA-Z]){re.escape(part)}(?![a-zA-Z])") for part in worded)


def unknown_words(shown: str, *, chinese: bool = False) -> list[str]:
    """The words of an output that are in no text of the program, and name nothing it knows."""
    text = re.sub(r"[\u2500-\u257f]", " ", shown)  # a box
    text = re.sub(r"\w+=('[^']*'|[^\s,)]+)", " ", text)  # an argument
    text = " ".join(word for word in text.split() if "/" not in word and word not in RULES)  # a path
    for phrase in phrases(chinese):
        text = phrase.sub("\0", text)
    names = {part for name in [*PRESETS, *SCHEDULES, *METHODS, *CONTROLLERS] for part in re.split("[-_]", name)}
    return [word for word in WORD.findall(text) if word not in names]


SHOWING = [page for page in PAGES if blocks(page, "text")]


def test_some_pages_show_outputs_and_strategies():
    assert {"README.md", "README.zh.md", "docs/how-to/explaining.md", "docs/how-to/steering.md"} <= set(SHOWING)


@pytest.mark.parametrize("page", SHOWING)
def test_a_shown_text_is_the_programs(page):
    for block in blocks(page, "text"):
        if not are_strategies(block):
            assert not unknown_words(block, chinese=page.endswith(".zh.md")), f"in no text of the program:\n{block}"


@pytest.mark.parametrize(
    ("shown", "unknown"),
    [
        ("18 looks cost 100 updates, on top of 40 made", []),
        ("18 looks devoured 100 updates, on top of 40 made", ["devoured"]),
        ("page: calando-explained/sgd-3aabc495/explain.html", []),
        ("sgd(lr=0.1) | cosin(1, 0)", ["cosin"]),
        ("│ cosine scores highest: it gallops by │\n│ two lengths │", ["gallops", "lengths"]),
    ],
)
def test_a_word_that_the_program_does_not_say_is_found(shown, unknown):
    assert [word for word in unknown_words(shown) if word in unknown or not unknown] == unknown


def test_a_word_that_the_program_does_not_say_is_found_in_chinese():
    assert not unknown_words("策略 学习率 置信区间 结论 无法区分", chinese=True)
    assert unknown_words("分不出高下", chinese=True)


@pytest.mark.parametrize("page", PAGES)
def test_no_command_and_no_output_stands_where_no_test_looks(page):
    text = BLOCK.sub("", (ROOT / page).read_text())
    hidden = re.findall(r"^ {4,}(?:(?:calando|pip|python)[ .].*|.*[╭│╰].*[╮│╯])$", text, re.MULTILINE)
    assert not hidden, "write it in a block of console, sh, python or text"


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs/course").glob("*.md")))
def test_commands_of_the_course_exist(page):
    """Its blocks of Python are run by `make site`; its commands train what its cells train."""
    for block in blocks(f"docs/course/{page}", "sh", "console"):
        read_by_bash(block)


def test_a_measurement_is_made_by_a_module_that_is_there():
    named = [name for page in PAGES for name in re.findall(r"python -m (benchmarks[\w.]+)", (ROOT / page).read_text())]
    assert named
    for name in named:
        assert (ROOT / name.replace(".", "/")).with_suffix(".py").is_file(), name


def test_the_floors_on_the_page_are_those_that_are_checked():
    page = (ROOT / "docs/architecture.md").read_text()
    shown = re.findall(r"\w+", page.partition("```\n")[2].partition("```")[0])
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert shown == [name for layer in layers for name in re.findall(r"calando\.(\w+)", layer)]


def test_a_package_names_entry_points_that_calando_looks_for():
    looked_for = {registry.group for registry in (SCHEDULES, CONTROLLERS, METHODS, EXECUTORS)}
    (block,) = blocks("docs/how-to/your-own.md", "toml")
    assert {*tomllib.loads(block)["project"]["entry-points"]} == looked_for


EXTRAS = {*tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]}


@pytest.mark.parametrize("page", PAGES)
def test_an_extra_exists(page):
    text = (ROOT / page).read_text()
    named = re.findall(r"calando\[([\w,]+)\]", text) + re.findall(r"the extra `(\w+)`", text)
    assert {extra for names in named for extra in names.split(",")} <= EXTRAS


def test_a_cluster_is_set_up_by_commands_that_exist():
    yaml = pytest.importorskip("yaml")
    (block,) = blocks("docs/how-to/cluster-ray.md", "yaml")
    commands = yaml.safe_load(block)["setup_commands"]
    assert any("calando" in command for command in commands)
    read_by_bash("\n".join(commands))


def test_what_upgrading_names_is_there():
    table = (ROOT / "docs/upgrading.md").read_text().partition("| former name | name now |")[2].partition("\n\n")[0]
    now = [name for row in table.splitlines()[2:] for name in re.findall("`([^`]+)`", row.split("|")[2])]
    assert len(now) > 10
    for name in now:
        room, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(room), last) or importlib.import_module(name), name
