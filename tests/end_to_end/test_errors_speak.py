"""What a person can meet of errors, warnings and notes can be shown in their language.

Of each room below, two things are refused in its source:

    raise UsageError(f"{path}: is empty")      an error of ours that is put together before it can be looked up
    f"{count} rows are left out"               an English sentence in an f-string, wherever it goes

Both are written `message("…", path=path)`, which `calando.language` can translate. What may stay English is named with
its reason. Texts that are no f-strings (SQL, docstrings) are looked at where they are raised, and nowhere else.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "calando"

ERRORS = {
    *("CalandoError", "UsageError", "DataError", "CorruptFile", "FileLocked", "CodeFailed"),
    *("StudyStopped", "WorkerLost", "DiskFull", "NotDrawn", "DataWarning", "BadArgument", "Damaged"),
}
"""Exceptions whose text a person reads; the first argument that is a text is that text."""

LISTED = "what lists show of an option or a network: the catalogue has it as it is shown (tools/catalogue.py, lists)"
PYTHON = "for who writes Python: no command prints it"
REPR = "a repr, for Python"
CAUGHT = "caught where the file is read, which is then called damaged or is begun again"

ROOMS: dict[str, dict[str, str]] = {
    "tasks": {
        "data/audio_files.py: rows of the log-mel picture; by default {}": LISTED,
        "data/options.py: : a whole number from {}": LISTED,
        "data/parquet.py: the column of classes; {}": LISTED,
        "data/parquet.py: the column of pictures; {}": LISTED,
        "data/spoken_digits.py: the same, tested on {}, trained on the five other speakers": LISTED,
        "data/text.py: tokens of a window; {}": LISTED,
        "nets/zoos.py: any network of {}, where it is installed": LISTED,
    },
    "records": {
        "command_log.py: calando train {}.json": "a command",
        "lesson.py: {} from {}": "the name of a strategy",
        "live_file.py: of version {}": CAUGHT,
        "live_picture.py: of version {}": CAUGHT,
        "probe.py: no update and rate: {}, {}": CAUGHT,
        "probe.py: {} is no text": CAUGHT,
        "record.py: <run of {}, lr={}, seed {}: {}, step {}>": "a repr, for Python",
        "record.py:  at step {}": "taken off a text, not shown",
        "strategy_spec.py: schedule of {}": "a row of a table for Python",
    },
    "schedules": {
        "__init__.py: module 'calando.schedules' has no attribute {}": PYTHON,
        "as_python.py: return {} ** sum({} + {} >= one for one in places)": "a line of Python",
        "curve.py: , {} an epoch": REPR,
        "curve.py: {} over {} steps{}": REPR,
        "logged/recovered.py: no schedule found; the closest: {}": REPR,
        "logged/recovered.py: {}, base {}, {} steps, misfit {}": REPR,
        "primitive.py: {} needs formula(), or place()": PYTHON,
    },
    "controllers": {
        "controller.py: {} has no {}": PYTHON,
        "rollback.py: loss {} is the {}th in a row far above the usual {}": "begins an event that is shown by its form",
    },
    "methods": {},
    "strategy": {
        "presets.py: lamb(lr=auto, weight_decay=0.01) | {}": "a strategy's text",
        "presets.py: lars(lr=auto, momentum=0.9, weight_decay=0.0005) | {}": "a strategy's text",
        "presets.py: schedule_free_adamw(lr=auto, weight_decay=0.01) | {}": "a strategy's text",
        "presets.py: schedule_free_sgd(lr=auto, momentum=0.9, weight_decay=0.0005) | {}": "a strategy's text",
        "without_calando.py: # optimizer: yours, made with lr={}": "a line of Python",
        'without_calando.py: calando plot "{}" --steps {}{} --json > {}': "a command",
        "without_calando.py: epoch = {}  # updates in one": "a line of Python",
        "without_calando.py: once, with calando: {}": "a line of Python",
        "without_calando.py: steps = {}  # updates in all": "a line of Python",
        'without_calando.py: with open("{}") as file:': "a line of Python",
    },
    "analysis": {
        "choose.py: rates must ascend, got {}": PYTHON,
        "lesson.py: {} from {}": "the name of a strategy",
        "looked.py: {} is no number of updates or samples": CAUGHT,
        "looked.py: {} is no reason": CAUGHT,
        "summary.py: {} is not the best": PYTHON,
    },
    "range_test": {
        "found.py: {}\n{} updates in all": REPR,
        "found.py: {} updates in all": REPR,
        "raced.py: {} on {}": REPR,
    },
    "study": {
        "steered_study.py: calando steer {} resume --run {}": "a command",
    },
    "verbs": {
        "schedules.py: {} values each of {}": REPR,
        "steer.py: calando steer {} resume --run {}": "a command",
        "torch_first.py: torch cannot be imported: {}": PYTHON,
    },
}
"""Room -> the English texts that may stay there, "file: text" with {} for its places, each with the reason."""

SENTENCE = re.compile(r"[A-Za-z]{2,},? [a-z]{2,}|^\{\}:? [a-z]{2,}")
SQL = re.compile(r"^(SELECT|INSERT|CREATE|DELETE|REPLACE|PRAGMA|ALTER|DROP)\b")


def words_of(value: ast.expr) -> str:
    """The text of a literal, with {} where an f-string has a place; "" for any other expression."""
    if isinstance(value, ast.BinOp):
        return words_of(value.left) or words_of(value.right)
    if isinstance(value, ast.IfExp):
        return words_of(value.body) or words_of(value.orelse)
    parts = value.values if isinstance(value, ast.JoinedStr) else [value]
    if not isinstance(value, ast.JoinedStr | ast.Constant):
        return ""
    return "".join(part.value if isinstance(getattr(part, "value", None), str) else "{}" for part in parts)


def name_of(call: ast.expr) -> str:
    return getattr(call, "id", "") or getattr(call, "attr", "")


def english_in(tree: ast.Module) -> Iterator[str]:
    """Texts that are raised as they stand, and f-strings that hold a sentence."""
    outside = [tree]
    while outside:
        node = outside.pop()
        if isinstance(node, ast.Call) and name_of(node.func) in {"message", "_", "Message", "joined"}:
            # The template is a constant, or tools/catalogue.py refuses it.
            outside += [*node.args[1:], *(one.value for one in node.keywords)]
            continue
        if isinstance(node, ast.Call) and name_of(node.func) in ERRORS:
            yield from filter(None, (words_of(one) for one in node.args if " " in words_of(one)))
        if isinstance(node, ast.JoinedStr):
            text = words_of(node)
            if SENTENCE.search(text) and not SQL.match(text):
                yield text
        outside += ast.iter_child_nodes(node)


@pytest.mark.parametrize("room", ROOMS)
def test_errors_warnings_and_notes_can_be_shown_in_another_language(room):
    allowed = ROOMS[room]
    found = {
        f"{path.relative_to(SOURCE / room)}: {text}"
        for path in sorted((SOURCE / room).rglob("*.py"))
        for text in english_in(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert sorted(found - set(allowed)) == []
    assert sorted(set(allowed) - found) == [], "allowed, and no longer there"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('raise UsageError(f"{path}: is empty")', ["{}: is empty", "{}: is empty"]),
        ('raise DataError("no samples here")', ["no samples here"]),
        ('raise DataError(message("{path}: is empty", path=path))', []),
        ('raise DataError(message("{path}: {why}", path=path, why=f"{n} rows are lost"))', ["{} rows are lost"]),
        ('raise DataError(message("{a}", a=a) + ("; give more" if few else ""))', ["; give more"]),
        ('notes.append(f"{n} rows are left out")', ["{} rows are left out"]),
        ('name = f"{path.name}.part"', []),
        ('file.execute(f"SELECT {columns} FROM runs")', []),
    ],
)
def test_what_counts_as_english(source, found):
    assert list(english_in(ast.parse(source))) == found


def templates_in(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from (*templates_in(node.body), *templates_in(node.orelse))
    elif isinstance(node, ast.Constant):
        yield node.value


def test_every_message_has_the_values_of_its_places_and_no_others():
    wrong = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"message", "_", "said"}):
                continue
            given = {one.arg for one in node.keywords}
            if not given or None in given:
                continue
            templates = list(templates_in(node.args[0]))
            places = [{one[1] for one in Formatter().parse(text) if one[1]} for text in templates]
            lacking = [sorted(some - given) for some in places if some - given]
            if templates and (lacking or given - set().union(*places)):
                wrong.append(f"{path.name}:{node.lineno}: {templates}")
    assert wrong == []
