"""What the site adds to Sphinx: docstrings as we write them, and a search that takes Chinese words apart.

Our docstrings are read in an editor first: a formula behind "Formula:", `names` in single backticks, examples behind
`>>>`. The search splits a page's Chinese into words by jieba, with the field's terms; a query is split in the browser
by the words that the index has, the longest first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pygments.lexers.shell import BashLexer
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.search.zh import SearchChinese

__all__ = ["setup"]

WORDS = Path(__file__).with_name("site_search_words.txt")

SPLITTER = r"""
var splitQuery = (query) => {
  const known = (word) => Search.hasIndex()
    && (Object.hasOwn(Search._index.terms, word) || Object.hasOwn(Search._index.titleterms, word));
  const longest = 8;
  const parts = (run) => {
    const found = [];
    for (let start = 0; start < run.length; ) {
      let length = Math.min(longest, run.length - start);
      while (length > 1 && !known(run.slice(start, start + length))) length--;
      if (length > 1) found.push(run.slice(start, start + length));
      start += length;
    }
    return found.length ? found : [run];
  };
  return (query.match(/\p{Script=Han}+|[\p{Letter}\p{Number}_]+/gu) || [])
    .flatMap((word) => word.match(/\p{Script=Han}|[^\p{Script=Han}]+/gu).length && /^\p{Script=Han}/u.test(word)
      ? parts(word) : word.split(/\p{Script=Han}+/u).filter((part) => part));
};
"""


class Search(SearchChinese):
    """Chinese and English words on one page; Sphinx's own leaves a query of several Chinese words whole."""

    js_splitter_code = SPLITTER
    language_name = "English"  # whose stemmer the page names; Sphinx 9 names ChineseStemmer, which no file defines

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__({"dict": str(WORDS), **options})


def written_for_sphinx(
    app: Sphinx, what: str, name: str, of: object, options: dict[str, Any], lines: list[str]
) -> None:
    """Turn our docstring into reStructuredText that says the same.

    Napoleon reads Args and Raises. It takes what stands before a colon in a property's first line, or in the first line
    of Returns, for a type; our types are annotations, so it is given a property as a method, and Returns as a field.
    """
    text = re.sub(r"(?<![`\w:])`([^`\n]+)`(?![`\w])", r"``\1``", "\n".join(lines))
    parts = re.split(r"(``[^\n]*?``|^ *(?:>>>|\.\.\. ).*$)", text, flags=re.MULTILINE)
    text = "".join(part if place % 2 else part.replace("*", r"\*") for place, part in enumerate(parts))
    text = re.sub(r"^( *)Formula: (.+)$", formula, text, flags=re.MULTILINE)
    text = re.sub(r"^Returns:\n((?: +.*\n?|\n)+)", returned, text, flags=re.MULTILINE)
    kind = "method" if what in ("property", "attribute") else what
    lines[:] = GoogleDocstring(text, Config(), app, kind, name, of, options).lines()


def formula(line: re.Match[str]) -> str:
    """A formula's line, as code."""
    return f"{line[1]}**Formula:** ``{line[2].replace('``', '').replace(chr(92), '')}``"


def returned(section: re.Match[str]) -> str:
    """What a function returns, as a field.

    >>> re.sub(r"^Returns:\\n((?: +.*\\n?|\\n)+)", returned, "Returns:\\n    The rate: a\\n    number.\\n\\nRaises:")
    ':returns: The rate: a\\n          number.\\n\\nRaises:'
    """
    field = ":returns: "
    return field + f"\n{' ' * len(field)}".join(line.strip() for line in section[1].strip().splitlines()) + "\n\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Join Sphinx."""
    app.connect("autodoc-process-docstring", written_for_sphinx, priority=100)
    app.add_search_language(Search)
    app.add_lexer("console", BashLexer)  # our commands stand without a prompt, which Pygments takes for output
    return {"parallel_read_safe": True, "parallel_write_safe": True}
