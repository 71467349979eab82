"""The site's sources: both READMEs run the same code, translations lose no code or link, every page has its place.

`make site` runs the cells and checks what is built; here is what can be seen without Sphinx.
"""

import re
from pathlib import Path

import pytest
from tests.end_to_end.test_package import tool
from tools.catalogue import read_po

import calando

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CATALOGUES = DOCS / "locale/zh_CN/LC_MESSAGES"
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.name != "LOG.md")

_BLOCK = re.compile(r"^```((?!text)\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


CHECKS, STRINGS, INTERFACE = tool("site_checks"), tool("site_strings"), tool("site_interface")

GENERATED = {"sphinx", "reference/python/index"} | {
    f"reference/python/{name}" for name in (*calando.__all__, *(f"calando.{room}" for room in INTERFACE.ROOMS))
}
"""Catalogues of what is no file of docs/: the theme's words, and a page for each public name and room."""


def figures(readme: str) -> list[str]:
    """The numbers of what the demo prints."""
    printed = readme.partition("```text\n")[2].partition("```")[0]
    return sorted(re.findall(r"[-+]?\d+(?:\.\d+)?", printed))


def test_both_readmes_run_the_same_code():
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README.zh.md"))
    assert _BLOCK.findall(chinese) == _BLOCK.findall(english)
    assert figures(chinese) == figures(english)
    assert len(figures(english)) > 20


def test_the_chinese_readme_links_to_what_the_english_one_links_to():
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README.zh.md"))
    other = {"README.md", "README.zh.md"}
    assert set(STRINGS.links(chinese)) - other == set(STRINGS.links(english)) - other


@pytest.mark.parametrize("page", PAGES, ids=[path.relative_to(DOCS).as_posix() for path in PAGES])
def test_no_page_could_be_two(page):
    assert CHECKS.words_of(page.read_text()) <= CHECKS.MOST_WORDS


@pytest.mark.parametrize(
    "catalogue", sorted(CATALOGUES.rglob("*.po")), ids=lambda path: path.relative_to(CATALOGUES).as_posix()
)
def test_a_translation_keeps_code_and_links(catalogue):
    page = catalogue.relative_to(CATALOGUES).with_suffix("")
    assert (DOCS / f"{page}.md").is_file() or page.as_posix() in GENERATED
    for english, chinese in read_po(catalogue.read_text()).items():
        assert chinese, english
        assert STRINGS.links(chinese) == STRINGS.links(english)
        assert not STRINGS.lost_code(english, chinese), english


def faults_of(page, tmp_path, **others):
    """What is reported of a built page next to others."""
    for name, text in {"index": page, **others}.items():
        (tmp_path / f"{name}.html").write_text(text)
    return "\n".join(CHECKS.check_html(tmp_path))


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ("<a href='gone.html'>x</a>", "a link to gone.html, where nothing is"),
        ("<img src='gone.png'>", "a link to gone.png, where nothing is"),
        ("<a href='other.html#gone'>x</a>", "a link to other.html#gone, which has no such place"),
        ("<a href='#gone'>x</a>", "a link to #gone, which has no such place"),
        ("<script src='https://cdn.example/x.js'></script>", "fetches https://cdn.example/x.js"),
        ("<link href='//cdn.example/x.css'>", "fetches //cdn.example/x.css"),
        ("<video poster='https://cdn.example/x.png'></video>", "fetches https://cdn.example/x.png"),
        ("<img srcset='//cdn.example/x.png 2x'>", "fetches //cdn.example/x.png"),
        ("<style>p { background: url('https://cdn.example/x.png') }</style>", "fetches https://cdn.example/x.png"),
        ("<p>学习率**太大**时</p>", "marks that stand in the text"),
        ("<p>见[这里](x.md)</p>", "marks that stand in the text"),
        ("<p>用 `calando` 吧</p>", "marks that stand in the text"),
    ],
)
def test_a_fault_of_a_built_page_is_reported(page, fault, tmp_path):
    assert fault in faults_of(page, tmp_path, other="<p id='here'>x</p>")


def test_what_a_style_would_fetch_is_reported(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static/site.css").write_text("@import url(//cdn.example/x.css);")
    assert faults_of("<p>x</p>", tmp_path) == "_static/site.css: fetches //cdn.example/x.css"


def test_a_page_without_faults_has_none(tmp_path):
    page = (
        "<a href='other.html#here'>x</a><a href='https://example.org'>y</a><code>`a` **b**</code><p id='top'>2 * 3</p>"
    )
    assert not faults_of(page, tmp_path, other="<p id='here'>x</p><a href='index.html#top'>z</a>")


@pytest.mark.parametrize(
    ("chinese", "fault"),
    [
        ("", "1 of 1 texts not translated"),
        ("见 [这里](other.md)，用 `lr`", "links differ"),
        ("见 [这里](page.md)", "code left out"),
        ("#, fuzzy", "a guess (fuzzy)"),
        ("见 [这里](page.md)，用 `lr`", None),
    ],
)
def test_a_fault_of_a_translation_is_reported(chinese, fault, tmp_path):
    english = "See [here](page.md), with `lr`"
    flag, chinese = ("#, fuzzy\n", "见 [这里](page.md)，用 `lr`") if chinese.startswith("#") else ("", chinese)
    catalogue = tmp_path / "docs/locale/zh_CN/LC_MESSAGES/page.po"
    for file, translation in ((tmp_path / "texts/page.pot", ""), (catalogue, chinese)):
        file.parent.mkdir(parents=True)
        file.write_text(f'{flag if translation else ""}msgid "{english}"\nmsgstr "{translation}"\n')
    found = "\n".join(STRINGS.check_catalogues(tmp_path / "texts", tmp_path / "docs/locale"))
    assert (fault in found) if fault else not found


@pytest.mark.parametrize(
    ("chinese", "fault"),
    [
        ("``part`` 在第 ``2 * floor(t)`` 步的值", ""),
        ("``part`` 在第 ``floor(t)`` 步的值", ": *"),
        ("``part`` 在第 ``3 * floor(t)`` 步的值", ": 3"),
    ],
)
def test_the_words_of_a_formula_are_translated_and_nothing_else(chinese, fault, tmp_path):
    catalogue = tmp_path / "docs/locale/zh_CN/LC_MESSAGES/page.po"
    for file, translation in ((tmp_path / "texts/page.pot", ""), (catalogue, f"**公式：** {chinese}")):
        file.parent.mkdir(parents=True)
        file.write_text(f'msgid "**Formula:** ``part at step 2 * floor(t)``"\nmsgstr "{translation}"\n')
    found = "\n".join(STRINGS.check_catalogues(tmp_path / "texts", tmp_path / "docs/locale"))
    assert found.endswith(fault) if fault else not found


def test_a_page_that_lacks_its_catalogue_is_reported(tmp_path):
    (tmp_path / "texts/reference/commands").mkdir(parents=True)
    for page in ("page", "reference/commands/compare"):  # the second is written in the language asked for
        (tmp_path / f"texts/{page}.pot").write_text('msgid "Here"\nmsgstr ""\n')
    (found,) = STRINGS.check_catalogues(tmp_path / "texts", tmp_path / "docs/locale")
    assert "page.po: missing (1 texts)" in found
