"""docs/glossary.md: each term in English and in Chinese, with one sentence; both languages pair the same terms."""

import re
from pathlib import Path

from tools.catalogue import read_po

DOCS = Path(__file__).parents[2] / "docs"
HAN = re.compile("[\u4e00-\u9fff]")


def entries() -> list[tuple[str, str, str]]:
    """(English, Chinese, meaning) of each entry."""
    blocks = re.findall(r"^```\{glossary\}\n(.*?)^```$", (DOCS / "glossary.md").read_text("utf-8"), re.M | re.S)
    found = []
    for entry in "\n".join(blocks).strip().split("\n\n"):
        english, chinese, meaning = (line for line in entry.splitlines() if line)
        found.append((english, chinese, meaning.removeprefix("  ")))
    return found


def test_every_term_is_there_once_in_both_languages():
    assert len(entries()) >= 70
    for place in (0, 1):
        terms = [entry[place] for entry in entries()]
        assert len(set(terms)) == len(terms)
    for english, chinese, meaning in entries():
        assert not HAN.search(english), english
        assert HAN.search(chinese), chinese
        assert re.fullmatch(r"\S.*\.", meaning), english


def test_the_chinese_page_pairs_the_same_terms():
    texts = read_po((DOCS / "locale/zh_CN/LC_MESSAGES/glossary.po").read_text("utf-8"))
    for english, chinese, meaning in entries():
        assert (texts[english], texts[chinese]) == (english, chinese)
        assert HAN.search(texts[meaning]), meaning
