"""The program's catalogue: what it says in English, and that in Chinese.

    python tools/catalogue.py           read the source, bring calando.po up to date, compile calando.mo
    python tools/catalogue.py --check   change nothing; status 1 where a translation lacks or a file is not up to date

Texts are found where they stand:
    _("…"), message("…"), joined("…")   in src/calando/**/*.py: the texts of the first argument, both of `a if b else c`
    {{ _("…") }}                        in the templates of the report and of the live page
    _("…"), woven("…")                  in the live page's scripts, and what those show of answers (`page_language`)
    help                                of every command and option, read from the command line itself
    words                               of registries, read from them (`known_words`)

A text that changed is a new one without a translation, never a fuzzy one; what is no longer said leaves the file.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages import pofile
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "calando"
PO = PACKAGE / "locale" / "zh_CN" / "LC_MESSAGES" / "calando.po"
MO = PO.with_suffix(".mo")
FUNCTIONS = {"_", "message", "said", "Message", "joined"}
COMMENT = "# Chinese texts of calando; `python tools/catalogue.py` brings the English ones up to date."
FIELDS = [
    ("Project-Id-Version", "calando"),
    ("Language", "zh_CN"),
    ("MIME-Version", "1.0"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Transfer-Encoding", "8bit"),
    ("Plural-Forms", "nplurals=1; plural=0;"),
]
PLACE = re.compile(r"\{[^{}\s]*\}")
"""A place of `str.format`, with how it is written: {rate:.3g}."""

Texts = dict[str, list[str]]
"""English text -> the files that say it."""


def said() -> Texts:
    """Every text that is translated, in the order of files."""
    found: Texts = {}
    for place, text in [*_in_python(), *_in_templates(), *_in_scripts(), *_in_help(), *_in_registries()]:
        places = found.setdefault(text, [])
        if place not in places:
            places.append(place)
    return found


def _in_python() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if place == "language.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if name in FUNCTIONS and node.args:
                yield from ((place, text) for text in _texts(node.args[0], f"{place}:{node.lineno}"))


def _texts(node: ast.expr, where: str) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body, where)
        yield from _texts(node.orelse, where)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        raise SystemExit(f"{where}: a text with f is put together before it can be looked up; use {{places}}")


def _in_templates() -> Iterator[tuple[str, str]]:
    from jinja2 import Environment, nodes

    def texts(node: nodes.Node) -> Iterator[str]:
        if isinstance(node, nodes.CondExpr):
            yield from texts(node.expr1)
            if node.expr2 is not None:
                yield from texts(node.expr2)
        elif isinstance(node, nodes.Const) and isinstance(node.value, str):
            yield node.value

    for path in sorted(PACKAGE.rglob("*.j2")):
        for call in Environment(autoescape=True).parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_":
                yield from ((path.relative_to(PACKAGE).as_posix(), text) for text in texts(call.args[0]))


def _in_scripts() -> Iterator[tuple[str, str]]:
    from calando.web.page_language import WORDS, script_texts

    yield from (("web/static", text) for text in (*script_texts(), *WORDS))


def _in_help() -> Iterator[tuple[str, str]]:
    from typer.main import get_command

    from calando.cli.app import app
    from calando.cli.help_words import command_texts, typer_texts

    yield from (("cli", text) for text in (*command_texts(get_command(app)), *typer_texts()))


def _in_registries() -> Iterator[tuple[str, str]]:
    from typing import get_args

    from calando.analysis.arms import Ending
    from calando.analysis.range_curves import RULES, STOPS
    from calando.analysis.reading import Verdict as ReadingVerdict
    from calando.analysis.results import Verdict
    from calando.analysis.signals import SIGNALS
    from calando.range_test.found import HeldOutcome
    from calando.records.command_log import State
    from calando.records.lesson import LESSONS
    from calando.records.record import RunOutcome
    from calando.schedules.schedule import Level

    kinds = (Verdict, RunOutcome, Ending, ReadingVerdict, HeldOutcome, Level, State)
    words = [word for kind in kinds for word in get_args(kind)]
    words += [*RULES, *STOPS, *SIGNALS, *SIGNALS.values(), "kept", "s", "min", "h", "d"]
    words += [
        "trial",
        "train",
        "final",
        "test",
        "validation",
        "points",
        "decided",
        "one a run",
    ]  # roles of runs; what is judged, and in what
    words += ["run", "arms that lost", "going back", "evaluations", "other hyper-parameters"]  # of a tuning's ledger
    words += ["evaluated weights are not finite", "loss is {loss}"]  # of events, whose step stands next to them
    for lesson in LESSONS.values():
        words += [lesson.summary, *lesson.networks.values(), lesson.name.replace("-", " ").capitalize()]
    # In figures: kinds that a legend names, and fields that are named under the pointer.
    words += ["rate trials", "final runs", "logged elsewhere", "of the study", "each step", "smoothed", "half is lost"]
    words += ["each repeat", "median, smoothed", "strategy", "step", "seed", "loss", "score", "rate", "layer", "ratio"]
    words += ["outcome", "kind", "text", "why", "where", "line", "gradient", "size", "repeat", "reached"]
    words += ["workload", "network", "metric", "method", "family", "form", "tracker", "executor", "average"]  # unknown
    words += ["controller", "augmentation", "lesson", "strategy or method", "schedule or strategy"]
    words += ["schedule", "passes", "memory", "package", "Controllers", "Averages", "Controller", "Average"]
    yield from (("words", word) for word in words)
    yield from (("lists", text) for text in _in_lists())


def _in_lists() -> Iterator[str]:
    """What `calando strategies`, `schedules` and `workloads` say of each entry."""
    from calando.cli.describe import METHOD_FAMILIES
    from calando.controllers import CONTROLLERS
    from calando.methods import METHODS
    from calando.schedules import describe
    from calando.schedules.known_schedules import FAMILIES
    from calando.strategy import PRESETS
    from calando.strategy.averages import AVERAGES
    from calando.strategy.presets import STRATEGY_FAMILIES
    from calando.verbs.describe import list_workloads

    for family, meaning in STRATEGY_FAMILIES.items():
        yield from (family, f"{family.capitalize()} strategies", meaning)
    yield from (f"{family.capitalize()} methods" for family in METHOD_FAMILIES)
    yield from (preset.summary for preset in PRESETS.values())
    for method in METHODS.values():
        yield from (method.summary, method.decay)
    yield from (entry.summary.replace("`", "") for entry in (*CONTROLLERS.values(), *AVERAGES.values()))
    yield from (one.summary for one in describe())
    yield from (family.title for family in FAMILIES)
    listed = list_workloads()
    for data in listed["data"]:
        yield from (data["description"], *data.get("options", {}).values())
    yield from listed["networks"].values()


def places(text: str) -> set[str]:
    """The places of a template.

    >>> sorted(places("rate {rate:.3g} of {count} runs"))
    ['{count}', '{rate:.3g}']
    """
    return set(PLACE.findall(text))


def faults(texts: Texts, po: dict[str, str]) -> list[str]:
    """What a catalogue lacks, or has wrong, a line each."""
    found = [f"not translated: {text!r}" for text in texts if not po.get(text)]
    found += [f"no longer said: {text!r}" for text in po if text not in texts]
    return found + [
        f"other places: {text!r} has {sorted(places(text))}, its translation {sorted(places(po[text]))}"
        for text in texts
        if po.get(text) and places(text) != places(po[text])
    ]


def read_po(text: str) -> dict[str, str]:
    """English -> Chinese, without the header.

    Raises:
        SystemExit: an entry is marked fuzzy.
    """
    messages = [message for message in pofile.read_po(io.BytesIO(text.encode())) if message.id]
    if any(message.fuzzy for message in messages):
        raise SystemExit("an entry is fuzzy: translate its text, or leave it empty")
    return {str(message.id): str(message.string) for message in messages}


class Dateless(Catalog):
    """A catalogue whose header holds nothing that changes by itself: no dates, no version of Babel."""

    mime_headers = property(lambda _: FIELDS)


def catalogue_of(texts: Texts, po: dict[str, str]) -> Catalog:
    """The texts with their translations, and the files that say them."""
    catalogue = Dateless(fuzzy=False, header_comment=COMMENT)
    for text, where in texts.items():
        catalogue.add(text, po.get(text, ""), locations=[(place, 0) for place in where]).flags.clear()
    return catalogue


def write_po(texts: Texts, po: dict[str, str]) -> str:
    """The file: an entry a text, the files that say it above."""
    written = io.BytesIO()
    pofile.write_po(written, catalogue_of(texts, po), width=0, include_lineno=False)
    return f"{written.getvalue().decode().strip()}\n"


def compiled(po: dict[str, str]) -> bytes:
    """The binary form, which gettext reads."""
    binary = io.BytesIO()
    write_mo(binary, catalogue_of({text: [] for text in po}, po))
    return binary.getvalue()


def main() -> int:
    """Bring both files up to date, or check that they are."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--check", action="store_true", help="change nothing")
    check = asked.parse_args().check
    texts = said()
    before = PO.read_text(encoding="utf-8") if PO.exists() else ""
    po = {text: one for text, one in read_po(before).items() if text in texts}
    after, binary = write_po(texts, po), compiled(po)
    stale = [PO.name] * (before != after) + [MO.name] * (not MO.exists() or MO.read_bytes() != binary)
    if not check:
        PO.parent.mkdir(parents=True, exist_ok=True)
        PO.write_text(after, encoding="utf-8")
        MO.write_bytes(binary)
        stale = []
    wrong = [*faults(texts, po), *(f"not up to date: {name}; run python tools/catalogue.py" for name in stale)]
    print("\n".join([*wrong, f"{len(texts)} texts, {len(wrong)} faults"]))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
