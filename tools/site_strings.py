"""The texts of pages that are translated: gathered into a catalogue a page, docs/locale/zh_CN/LC_MESSAGES/PAGE.po.

By sphinx-intl's own update, then tidied so that a catalogue changes only where a text does: no dates, no places, no
leftovers, and no guesses: a text that changed is a text that lacks.
"""

from __future__ import annotations

import gettext
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po, write_po

__all__ = ["LANGUAGE", "check_catalogues", "gather", "links", "lost_code"]

LANGUAGE = "zh_CN"
ELSEWHERE = ("reference/commands/",)
"""Generated: a command's help comes from the program's own catalogue."""
FORMULA = "**Formula:**"
"""How a docstring's formula begins on its page; English words stand in some."""
THEME = "sphinx"
"""The catalogue of no page: what the theme writes, by hand."""


def is_translated(page: str) -> bool:
    """Whether a page, `how-to/lightning`, has a catalogue."""
    return not page.startswith(ELSEWHERE)


HEADER = """# calando's pages in Chinese (simplified).
msgid ""
msgstr ""
"Language: zh_CN\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"""


def templates(folder: Path) -> Iterator[tuple[str, Path]]:
    """Each translated page, with its file of gathered texts."""
    for file in sorted(folder.rglob("*.pot")):
        page = file.relative_to(folder).with_suffix("").as_posix()
        if is_translated(page):
            yield page, file


def gather(texts: Path, locale: Path) -> None:
    """Bring the catalogues below `locale` up to date with the gathered texts."""
    pages = dict(templates(texts))
    for file in texts.rglob("*.pot"):
        if file not in pages.values():
            file.unlink()
    options = ["-p", texts, "-d", locale, "-l", LANGUAGE, "-w", "0", "--no-obsolete", "-j", "1"]
    command = [Path(sys.executable).parent / "sphinx-intl", "update", *options]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    catalogues = locale / LANGUAGE / "LC_MESSAGES"
    for file in sorted(catalogues.rglob("*.po")):
        page = file.relative_to(catalogues).with_suffix("").as_posix()
        if page == THEME:
            continue
        if page not in pages:
            file.unlink()
            continue
        lacking = tidy(file)
        print(f"{file.relative_to(locale.parent)}: {'complete' if not lacking else f'{lacking} to translate'}")
    for file in catalogues.rglob("*.mo"):
        file.unlink()


def says_the_same(text: str) -> bool:
    """Whether a text is the same in every language: numbers, code, a name.

    >>> says_the_same("0.01 … 1"), says_the_same("`sgd`"), says_the_same("cosine_restarts"), says_the_same("Ramps")
    (True, True, True, False)
    """
    words = re.sub(r"`[^`]*`|!\[[\w ]*\]\([^)]*\)", "", text)
    return re.search(r"[A-Za-z]", words) is None or text in named()


@cache
def named() -> frozenset[str]:
    """The names that stand in pages as they are: schedules and methods."""
    from calando.methods import METHODS
    from calando.schedules import SCHEDULES

    return frozenset({*SCHEDULES, *METHODS})


@cache
def labels() -> Mapping[str, str]:
    """What stands above a docstring's arguments, returns and errors: the page gets it from Sphinx's own catalogue."""
    import sphinx

    folder = Path(sphinx.__file__).parent / "locale"
    words = gettext.translation("sphinx", folder, [LANGUAGE])
    return {
        word: words.gettext(word) for word in ("Parameters", "Returns", "Return type", "Raises", "Warns", "Example")
    }


def tidy(file: Path) -> int:
    """Rewrite a catalogue without what changes by itself; the number of texts that lack."""
    with file.open("rb") as opened:
        catalogue = read_po(opened, locale=LANGUAGE)
    lacking = 0
    for message in catalogue:
        if message.id:
            if message.fuzzy:
                message.string = ""
            message.flags.clear()  # a page's % and {} are no places
            message.locations, message.auto_comments, message.previous_id = [], [], []
            if message.id in labels():
                message.string = labels()[str(message.id)]
            # a page of the reference is named for what it describes
            if not message.string and (says_the_same(str(message.id)) or message.id == file.stem):
                message.string = message.id
            lacking += not message.string
    catalogue.obsolete.clear()
    with file.open("wb") as opened:
        write_po(opened, catalogue, width=0, omit_header=True)
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{HEADER}\n{text.strip()}\n", encoding="utf-8")
    return lacking


def check_catalogues(texts: Path, locale: Path) -> Iterator[str]:
    """Texts that lack a translation, and translations that are guesses or have lost a link, a code or a placeholder."""
    catalogues = locale / LANGUAGE / "LC_MESSAGES"
    for page, template in templates(texts):
        file = catalogues / f"{page}.po"
        shown = file.relative_to(locale.parent.parent).as_posix()
        with template.open("rb") as opened:
            wanted = [message.id for message in read_po(opened) if message.id]
        if not file.is_file():
            yield f"{shown}: missing ({len(wanted)} texts); make site-strings"
            continue
        with file.open("rb") as opened:
            known = {message.id: message for message in read_po(opened, locale=LANGUAGE) if message.id}
        lacking = [text for text in wanted if text not in known or not known[text].string]
        if lacking:
            yield f"{shown}: {len(lacking)} of {len(wanted)} texts not translated, first {lacking[0][:60]!r}"
        for text, message in known.items():
            if message.fuzzy:
                yield f"{shown}: a guess (fuzzy), {text[:60]!r}"
            if message.string and links(text) != links(str(message.string)):
                yield f"{shown}: links differ, {text[:60]!r}: {links(text)} and {links(str(message.string))}"
            if message.string and (lost := lost_code(text, str(message.string))):
                yield f"{shown}: code left out, {text[:60]!r}: {', '.join(sorted(lost))}"


def lost_code(text: str, translation: str) -> set[str]:
    """The code of a text that its translation has not, or, of a formula, has otherwise."""
    return changed(text, translation) if text.startswith(FORMULA) else codes(text) - codes(translation)


def changed(formula: str, translation: str) -> set[str]:
    """The operators that a translated formula lacks, and the names and numbers that it adds; its words may change.

    >>> changed("**Formula:** ``part at step 2 * floor(t)``", "**公式：** ``part`` 在第 ``2 * floor(t)`` 步的值")
    set()
    >>> sorted(changed("**Formula:** ``start + t / N``", "**公式：** ``start + 1``"))
    ['/', '1']
    """
    before, after = (" ".join(code for _, code in re.findall(r"(`+)([^`]+)\1", one)) for one in (formula, translation))
    operators, words = r"\*\*|[-+*/()<>=\[\]]", r"[A-Za-z0-9_.]+"
    lost = Counter(re.findall(operators, before)) - Counter(re.findall(operators, after))
    return set(lost) | set(re.findall(words, after)) - set(re.findall(words, before))


def links(text: str) -> list[str]:
    """Where the links of a MyST text lead, sorted."""
    return sorted(re.findall(r"\]\(([^)]*)\)", text))


def codes(text: str) -> set[str]:
    """The code in a text of MyST, or of reStructuredText.

    >>> sorted(codes("`sgd` and ``lr``")), sorted(codes("``a`` to ``b``"))
    (['lr', 'sgd'], ['a', 'b'])
    """
    return {code for _, code in re.findall(r"(`+)([^`]+)\1", text)}
