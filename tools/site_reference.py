"""The generated part of the site's reference: a page for each command, and for what each room offers in Python.

A command joins by being one; a name by being in `calando.__all__` or in its room's. Commands speak the language asked
for, as the program itself does; docstrings are translated by the catalogues of their pages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["write_reference"]

INTERFACE = Path(__file__).with_name("site_interface.py")
"""Run in a process of its own: it imports calando, in the language asked for."""

_TITLES = {
    "en": (
        "Commands",
        "Every command, with the help that it prints.",
        "Python",
        "Every public name, from its docstring.",
    ),
    "zh": ("命令", "每个命令及其帮助信息。", "Python 接口", "全部公开名称，由文档字符串生成。"),
}


def write_reference(language: str) -> dict[str, str]:
    """File below docs/reference -> its text, in calando's name of a language."""
    environment = {**os.environ, "CALANDO_LANG": language, "NO_COLOR": "1", "TERM": "dumb"}
    asked = subprocess.run([sys.executable, str(INTERFACE)], env=environment, capture_output=True, text=True)
    if asked.returncode:
        sys.exit(asked.stderr)
    offered = json.loads(asked.stdout)
    helps, names, purposes, values = offered["helps"], offered["kinds"], offered["purposes"], offered["values"]
    commands, all_commands, python, all_names = _TITLES[language]
    pages = {}
    own = helps.pop("")
    pages["commands/index.md"] = f"# {commands}\n\n{all_commands}\n\n{block(own[0])}\n{toctree(list(helps))}"
    for name, texts in helps.items():
        pages[f"commands/{name}.md"] = f"# calando {name}\n\n" + "\n".join(map(block, texts))
    for room, kinds in names.items():
        if room == "calando":
            for name, kind in kinds.items():
                pages[f"python/{name}.md"] = f"# {name}\n\n{described(room, name, kind, values)}"
        else:
            parts = "\n".join(described(room, name, kind, values) for name, kind in kinds.items())
            pages[f"python/{room}.md"] = f"# {room}\n\n{purposes[room]}\n\n{parts}"
    rooms = [room for room in names if room != "calando"]
    pages["python/index.md"] = f"# {python}\n\n{all_names}\n\n{toctree([*names['calando'], *rooms])}"
    return pages


def block(text: str) -> str:
    """What a terminal shows."""
    return f"```text\n{text}\n```\n"


def toctree(pages: Sequence[str]) -> str:
    """A list of pages."""
    listed = "\n".join(pages)
    return f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"


def described(room: str, name: str, kind: str, values: Mapping[str, str]) -> str:
    """What autodoc says of a class or function; of a value, what is written below it."""
    if kind == "data":
        return f"```{{eval-rst}}\n.. py:data:: {room}.{name}\n```\n\n{values[f'{room}.{name}']}\n"
    options = "\n   :members:\n   :exclude-members: model_config\n   :show-inheritance:" if kind == "class" else ""
    return f"```{{eval-rst}}\n.. auto{kind}:: {room}.{name}{options}\n```\n"
