"""Print what calando offers as JSON: the help of every command, and every public name with its kind and what it holds.

Run by site_reference.py, once a language: CALANDO_LANG decides what the helps speak.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import itertools
import json
import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import typer

import calando
from calando.cli.app import app
from calando.cli.help_words import in_their_language
from calando.language import language

ROOMS = ("schedules", "controllers", "methods", "strategy", "range_test", "records", "analysis", "report", "testing")
"""Whose names people use next to `calando`'s own."""
WIDTH = 96
"""Of a command's help, in characters."""


def main() -> None:
    os.environ["COLUMNS"] = str(WIDTH)
    rooms = {"calando": calando} | {
        found.__name__: found for found in (importlib.import_module(f"calando.{room}") for room in ROOMS)
    }
    kinds = {room: {name: kind_of(getattr(found, name)) for name in found.__all__} for room, found in rooms.items()}
    values = {
        f"{room}.{name}": said_of(Path(str(rooms[room].__file__)).parent, name)
        for room, names in kinds.items()
        for name, kind in names.items()
        if kind == "data"
    }
    purposes = {room: str(inspect.getdoc(found)).split("\n")[0] for room, found in rooms.items()}
    print(json.dumps({"helps": helps(), "kinds": kinds, "values": values, "purposes": purposes}))


def helps() -> dict[str, list[str]]:
    """Command -> its help and those of the commands in it; "" -> calando's own."""
    found = {"": [help_of()]}
    for name, verb in typer.main.get_command(app).commands.items():
        found[name] = [help_of(name), *(help_of(name, inner) for inner in getattr(verb, "commands", ()))]
    return found


def help_of(*names: str) -> str:
    """What `calando NAMES --help` prints."""
    with redirect_stdout(io.StringIO()) as printed:
        command = typer.main.get_command(app)
        shown = command if language() == "en" else in_their_language(command)
        shown([*names, "--help"], prog_name="calando", standalone_mode=False)
    return printed.getvalue().strip("\n")


def kind_of(value: object) -> str:
    """How Sphinx describes it; a name for a type, such as `Literal[...]` or `Any`, is a value."""
    return (
        "class" if inspect.isclass(value) and value is not Any else "function" if inspect.isroutine(value) else "data"
    )


def said_of(room: Path, name: str) -> str:
    """The string below a value's assignment, wherever in the room that is: a value has no docstring of its own."""
    for file in sorted(room.rglob("*.py")):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        for this, following in itertools.pairwise(body):
            targets = [this.target] if isinstance(this, ast.AnnAssign) else getattr(this, "targets", [])
            said = getattr(getattr(following, "value", None), "value", None)
            if any(getattr(target, "id", "") == name for target in targets) and isinstance(said, str):
                return inspect.cleandoc(said)
    return ""


if __name__ == "__main__":
    main()
