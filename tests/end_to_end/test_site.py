"""The site's sources: both READMEs run the same code, translations lose no code or link, every page has its place.

`make site` runs the cells and checks what is built; here is what can be seen without Sphinx.
"""

import re
from pathlib import Path

import pytest

from tools.catalogue import read_po

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CATALOGUES = DOCS / "locale/zh_CN/LC_MESSAGES"
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.name != "LOG.md")
MOST_WORDS = 1500

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def links(text: str) -> list[str]:
    return sorted(re.findall(r"\]\(([^)]*)\)", text))


def test_both_readmes_run_the_same_code():
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README.zh.md"))
    assert _BLOCK.findall(chinese) == _BLOCK.findall(english)
    # the picture of the terminal and its figures, too
    assert re.findall(r"^    \S.*[│─\d].*$", chinese, re.MULTILINE) == re.findall(
        r"^    \S.*[│─\d].*$", english, re.MULTILINE
    )


def test_the_chinese_readme_links_to_what_the_english_one_links_to():
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README.zh.md"))
    other = {"README.md", "README.zh.md"}
    assert set(links(chinese)) - other == set(links(english)) - other


@pytest.mark.parametrize("page", PAGES, ids=[path.relative_to(DOCS).as_posix() for path in PAGES])
def test_no_page_could_be_two(page):
    assert len(page.read_text().split()) <= MOST_WORDS


@pytest.mark.parametrize(
    "catalogue", sorted(CATALOGUES.rglob("*.po")), ids=lambda path: path.relative_to(CATALOGUES).as_posix()
)
def test_a_translation_keeps_code_and_links(catalogue):
    assert (DOCS / catalogue.relative_to(CATALOGUES)).with_suffix(".md").is_file() or catalogue.stem == "sphinx"
    for english, chinese in read_po(catalogue.read_text()).items():
        assert chinese, english
        assert links(chinese) == links(english)
        assert code(english) <= code(chinese), english
