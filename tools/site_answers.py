"""The code in the answers of a course page, run by the site's build behind the page's cells, in the same kernel.

A page's answers are `python` blocks; Sphinx takes them for text. The build appends each as a hidden cell, at its full
length, so it is cached with the cells and run again where the page's code or calando's changes. A cell names the page
and not the line, which moves when words do; the line is looked up when the cell runs, so a traceback names both.
"""

from __future__ import annotations

import re

__all__ = ["MAGIC", "answers_of", "seconds_of", "with_answers"]

_CELLS = re.compile(r"^```\{code-cell\}", re.MULTILINE)
_ANSWER = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TIMED = re.compile(r"^answered in ([\d.]+) s$", re.MULTILINE)

MAGIC = '''
import linecache
import os
import time
from pathlib import Path

from IPython import get_ipython
from IPython.core.magic import register_cell_magic


@register_cell_magic
def answer(page, body):
    """Run an answer as if it stood in a cell; its lines are those of the page."""
    body = body.strip("\\n") + "\\n"
    whole = Path(os.environ["CALANDO_SITE_DOCS"], page).read_text(encoding="utf-8")
    before, name = whole.partition(body)[0].count("\\n"), f"docs/{page}"
    if name not in linecache.cache:  # what a traceback shows: the answers where they stand, and nothing between them
        linecache.cache[name] = len(whole), None, ["\\n"] * whole.count("\\n"), name
    lines = body.splitlines(keepends=True)
    linecache.cache[name][2][before : before + len(lines)] = lines
    began = time.perf_counter()
    exec(compile("\\n" * before + body, name, "exec"), get_ipython().user_ns)
    print(f"answered in {time.perf_counter() - began:.1f} s")
'''
"""What a kernel runs at its start, so that `%%answer PAGE` is known; $CALANDO_SITE_DOCS is the folder of the pages."""


def answers_of(text: str) -> list[str]:
    r"""The blocks of Python on a page whose cells are run; none where nothing is run.

    >>> answers_of("```{code-cell} ipython3\nx = 1\n```\n\n```python\nprint(x)\n```\n")
    ['print(x)\n']
    >>> answers_of("```python\nprint(x)\n```\n")
    []
    """
    return _ANSWER.findall(text) if _CELLS.search(text) else []


def with_answers(text: str, page: str) -> str:
    """The page's text with a hidden cell for each of its answers at the end; `page` is its path below docs/."""
    cells = [
        f"```{{code-cell}} ipython3\n:tags: [remove-cell]\n\n%%answer {page}\n{answer}```\n"
        for answer in answers_of(text)
    ]
    return "\n".join([text, *cells])


def seconds_of(printed: str) -> float:
    """How long a hidden cell took, by what it printed; 0 for any other cell."""
    return sum(float(seconds) for seconds in _TIMED.findall(printed))
