"""The code in the answers of the course: the build of the site runs it behind the cells, and says where it fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.end_to_end.test_package import tool

DOCS = Path(__file__).parents[2] / "docs"
COURSE = sorted((DOCS / "course").glob("*.md"))
ANSWERS = tool("site_answers")

PAGE = """# A page

```{code-cell} ipython3
x = 1
```

:::{admonition} Answer to 1

```python
def half(number):
    return number / x


print(half(4))
```
:::

:::{admonition} Answer to 2

```python
x = 0
half(4)
```
:::
"""


def test_each_page_of_the_course_ends_with_a_comparison_and_answers_in_code():
    assert len(COURSE) == 12
    for page in COURSE:
        text = page.read_text()
        cells, exercises, answers = text.partition("\n## Exercises\n")
        assert "calando.compare(" in cells.rpartition("\n## ")[2], page.name
        assert exercises, page.name
        assert ANSWERS.answers_of(text), page.name
        assert answers.count("\n```python\n") == len(ANSWERS.answers_of(text)), page.name


def test_answers_follow_the_cells_hidden_and_a_page_that_runs_nothing_has_none():
    built = ANSWERS.with_answers(PAGE, "course/a-page.md")
    hidden = "```{code-cell} ipython3\n:tags: [remove-cell]\n\n%%answer course/a-page.md\n"
    assert built.startswith(PAGE)
    assert built.removeprefix(PAGE).count(hidden) == 2
    assert built.endswith(f"{hidden}x = 0\nhalf(4)\n```\n")
    alone = PAGE.replace("{code-cell} ipython3", "python")
    assert ANSWERS.with_answers(alone, "how-to/a-page.md") == alone
    # a cell does not change where words do: it is not run again
    moved = ANSWERS.with_answers(PAGE.replace("# A page", "# A page\n\nAnd words."), "course/a-page.md")
    assert moved.partition(hidden)[1:] == built.partition(hidden)[1:]


KERNEL = """
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance(colors="NoColor")
with open("answers.py") as startup:
    shell.run_cell(startup.read())
shell.run_cell("x = 1")
for cell in {cells!r}:
    shell.run_cell(cell)
print(shell.run_cell("import inspect; inspect.getsource(half)").result)
"""


@pytest.mark.slow
def test_an_answer_that_raises_names_page_and_line(tmp_path):
    pytest.importorskip("IPython")
    (tmp_path / "course").mkdir()
    (tmp_path / "course/a-page.md").write_text(PAGE)
    (tmp_path / "answers.py").write_text(ANSWERS.MAGIC)
    cells = [f"%%answer course/a-page.md\n{answer}" for answer in ANSWERS.answers_of(PAGE)]
    environment = os.environ | {"CALANDO_SITE_DOCS": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}
    command = [sys.executable, "-c", KERNEL.format(cells=cells)]
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "4.0\nanswered in 0.0 s\n" in ended.stdout
    assert ANSWERS.seconds_of("4.0\nanswered in 1.5 s\n") == 1.5
    assert "ZeroDivisionError" in ended.stdout
    lines = PAGE.splitlines()
    for code in ("half(4)", "    return number / x"):
        assert f"docs/course/a-page.md:{lines.index(code) + 1}" in ended.stdout, ended.stdout
    assert "def half(number):\n    return number / x\n" in ended.stdout
