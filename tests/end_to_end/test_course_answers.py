"""The code in the course's answers runs, behind the cells of its page.

The site build runs the cells themselves, at their full length; an answer is text to it. Here both run in one namespace,
with every training cut short.
"""

import re
from pathlib import Path

import pytest

import calando

ROOT = Path(__file__).parents[2]
_CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?::[^\n]*\n)*(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANSWER = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Recordings, races of a hundred updates and more, and cells that look for what happens late in a run: these cannot be
# cut short, and take half a minute each. Whoever changes an answer there runs it by hand.
LONG = ("09-speech", "11-tuning-within-a-budget", "12-steering-and-rescuing")
PAGES = [
    page
    for page in sorted((ROOT / "docs/course").glob("*.md"))
    if page.stem not in LONG and _ANSWER.search(page.read_text())
]
SHORT = {
    "train": {"steps": 12, "threads": 1},
    "compare": {"steps": 12, "seeds": 2, "rates": 1, "executor": "inline", "threads": 1, "workers": 1},
    "find": {"steps": 40, "repeats": 1, "hold": 0, "threads": 1},
    "explain": {"steps": 50, "until": 10, "threads": 1},
}


def shortened(verb: str, called: list[str]):
    """The verb of calando, each of whose calls is shorter, and is noted."""
    whole = getattr(calando, verb)

    def short(*what: object, **options: object) -> object:
        shorter = {name: length for name, length in SHORT[verb].items() if name != "seeds" or "until" not in options}
        options.pop("epochs", None)
        called.append(verb)
        return whole(*what, **{**options, **shorter})

    return short


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_the_answers_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    called: list[str] = []
    for verb in SHORT:
        monkeypatch.setattr(calando, verb, shortened(verb, called))
    text = page.read_text()
    namespace = {"__name__": "__main__"}
    for part in _CELL.findall(text):
        exec(compile(part, page.name, "exec"), namespace)
    assert "compare" in called, "each page ends with a comparison"
    before = len(called)
    capsys.readouterr()
    for part in _ANSWER.findall(text):
        exec(compile(part, page.name, "exec"), namespace)
    assert len(called) > before or capsys.readouterr().out, "the answers train or print"
