"""What the built site must hold: pages of a readable length, every link there, no mark left unread, nothing fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

__all__ = ["MOST_WORDS", "check_html", "check_lengths"]

MOST_WORDS = 1500
"""Of a page: a longer one could be two."""
CODE = ("pre", "code", "script", "style")
"""What a browser shows, or does not, as it is written."""
LOADING = ("script", "img", "object", "link", "iframe", "source", "audio", "video", "embed", "image")
"""Tags whose target a browser fetches by itself."""
UNBOUNDED = ("LOG.md",)
"""A log, read by date."""


def check_lengths(docs: Path) -> Iterator[str]:
    """Pages that are too long."""
    for file in sorted(docs.rglob("*.md")):
        words = words_of(file.read_text(encoding="utf-8"))
        if words > MOST_WORDS and file.name not in UNBOUNDED:
            yield f"{file.relative_to(docs.parent)}: {words} words; at most {MOST_WORDS}: make it two pages"


def words_of(text: str) -> int:
    """How many words there are to read; blocks of code are none.

    >>> words_of("# Two words\\n\\n```python\\nx = 1\\n```\\n")
    3
    """
    return len(re.sub(r"^(`{3,}|:{3,}\{code).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL).split())


class Page(HTMLParser):
    """The links, the pictures and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.loaded: set[str] = set(fetched_by_style(text))
        self.anchors: set[str] = set()
        self.unread: list[str] = []
        self._code = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._code += tag in CODE
        self.anchors |= {name for name in (given.get("id"), given.get("name")) if name}
        if tag == "a" and given.get("href"):
            self.targets.add(str(given["href"]))
        for name in ("src", "data", "href", "poster"):
            if tag in LOADING and given.get(name):
                self.loaded.add(str(given[name]))
        self.loaded |= {one.split()[0] for one in (given.get("srcset") or "").split(", ") if one.split()}

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in CODE

    def handle_data(self, data: str) -> None:
        if not self._code and (found := re.search(r"\*\*|\]\(|(?<!\w)`|`(?!\w)", data)):
            self.unread.append(data[max(0, found.start() - 20) : found.end() + 20].strip())


def fetched_by_style(text: str) -> list[str]:
    """What a style would have a browser fetch from elsewhere.

    >>> fetched_by_style("@import '//a.b/c.css'; p { background: url(img.png) } i { src: url(https://d.e/f.woff) }")
    ['//a.b/c.css', 'https://d.e/f.woff']
    """
    return re.findall(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s;]+)""", text)


def check_html(site: Path) -> Iterator[str]:
    """Links of every built page that lead nowhere, and what a page would fetch from elsewhere."""
    for style in sorted(site.rglob("*.css")):
        for target in fetched_by_style(style.read_text(encoding="utf-8")):
            yield f"{style.relative_to(site).as_posix()}: fetches {target}"
    files = [file for file in sorted(site.rglob("*.html")) if "_static" not in file.parts]
    pages = {file.resolve(): Page(file.read_text(encoding="utf-8")) for file in files}
    for file, page in pages.items():
        shown = file.relative_to(site.resolve()).as_posix()
        for text in page.unread if "python" not in file.parts else []:  # there ** is a power
            yield f"{shown}: marks that stand in the text, {text!r}"
        for target in sorted(page.targets | page.loaded):
            if re.match(r"(https?:)?//", target):
                if target in page.loaded:
                    yield f"{shown}: fetches {target}"
                continue
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = unquote(target).partition("#")
            led = (file.parent / path.partition("?")[0]).resolve() if path else file
            if not led.is_file():
                yield f"{shown}: a link to {target}, where nothing is"
            elif anchor and led in pages and anchor not in pages[led].anchors:
                yield f"{shown}: a link to {target}, which has no such place"
