"""A study in Chinese: its tables and its page are Chinese; what is stored or written as JSON is as in English."""

import io
import json
import re

import pytest
from rich.console import Console
from tests.cli.test_language import HAN, read_catalogue
from tests.report.conftest import STATES

from calando import report
from calando.analysis.summary import summarize
from calando.language import in_language
from calando.report.html import page_js, specs_of, study_page
from calando.report.study_figures import study_figures
from calando.report.tables import study_tables

SAID = re.compile(r"[a-z]{3,} (?:of|is|are|was|has|at|by|the|not|no|in|to|and|for|with|from) [a-z]{3,}")
"""Of an English sentence."""


def shown(summary, *, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(study_tables(summary))
    return console.export_text()


def without_code(text: str) -> str:
    """What is pasted stays as it is: commands, Python and names of strategies."""
    return re.sub(r"^    .*$|'[^']*'|\"[^\"]*\"|#.*$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in STATES if name != "hostile"])
def test_the_terminal_of_any_study_is_chinese_and_its_json_is_not(made, name):
    english = made(name)
    with in_language("zh"):
        summary = summarize(english.study, english.runs, english.tests)
        text = shown(summary, width=100)
        stored = json.dumps(summary.to_json(), ensure_ascii=False)
    assert HAN.search(text.splitlines()[1])
    assert not SAID.search(without_code(text)), SAID.search(without_code(text))
    assert stored == json.dumps(english.summary.to_json(), ensure_ascii=False)
    assert not HAN.search(stored)
    assert shown(summary, width=100) == shown(english.summary, width=100)


@pytest.mark.parametrize("width", [80, 100])
def test_rows_of_a_table_stand_below_each_other_whatever_the_width_of_their_letters(made, width):
    from rich.cells import cell_len

    with in_language("zh"):
        lines = shown(made("one fails").summary, width=width).splitlines()
    assert max(map(cell_len, lines)) <= width
    head = next(line for line in lines if line.startswith("策略"))
    rows = lines[lines.index(head) + 1 :][:5]
    verdicts = {cell_len(row[: re.search("最高|无法区分|更差|没有结论", row).start()]) for row in rows}
    assert verdicts == {cell_len(head[: head.index("结论")])}


@pytest.mark.parametrize("name", ["one fails", "half", "one seed", "untuned", "alone"])
def test_the_page_is_chinese(made, name):
    it = made(name)
    with in_language("zh"):
        summary = summarize(it.study, it.runs, it.tests)
        drawn = study_figures(summary, it.runs)
        specs = specs_of(drawn)
        page = study_page(
            summary, it.runs, it.tests, fingerprint="f", command="", drawn=drawn, specs=specs, script=page_js()
        )
    assert '<html lang="zh-CN">' in page
    assert all(HAN.search(figure.title) is None for figure in drawn), "figures' words are English until they are shown"
    words = re.sub(r"<script>.*?</script>|<style>.*?</style>|<pre.*?</pre>|<code.*?</code>", "", page, flags=re.DOTALL)
    left = [text for text in read_catalogue() if len(text.split()) > 2 and "{" not in text and text in words]
    assert left == []
    for spec in specs.values():
        assert HAN.search(spec["title"]["text"])


def test_the_same_page_is_english_elsewhere(made):
    it = made("clear")
    drawn = study_figures(it.summary, it.runs)
    page = study_page(it.summary, it.runs, it.tests, fingerprint="f", command="", drawn=drawn, specs={}, script="")
    assert '<html lang="en">' in page
    assert not HAN.search(page)


def test_a_legend_names_in_chinese_what_the_data_have_in_english(made):
    with in_language("zh"):
        drawn = {figure.name: figure for figure in study_figures(made("one fails").summary, made("one fails").runs)}
        spec = json.dumps(report.pictures.spec(drawn["cost"].chart), ensure_ascii=False)
    assert "学习率试验" in spec
    assert "rate trials" in spec
