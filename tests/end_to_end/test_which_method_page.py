"""The pages on methods, controllers and averages say what the code says of itself."""

import re
from pathlib import Path

from calando.controllers import CONTROLLERS
from calando.methods import METHODS, Method
from calando.strategy import PRESETS
from calando.strategy.averages import AVERAGES
from calando.strategy.called_parts import default_of
from calando.training.evaluate import BATCHES

DOCS = Path(__file__).parents[2] / "docs"
METHODS_PAGE = (DOCS / "reference/methods.md").read_text()
CONTROLLERS_PAGE = (DOCS / "reference/controllers-and-averages.md").read_text()
RECIPE = (DOCS / "how-to/which-method.md").read_text()
DONE_FOR_YOU = (DOCS / "explanation/what-is-done-for-you.md").read_text()


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table's rows under a heading, without their backticks."""
    section = page.partition(f"{heading}\n")[2].partition("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[1:]]


def row(method: Method) -> list[str]:
    """What the table must say of it."""
    half = method.rate_span**0.5
    rate = "its own" if method.rate_free else f"{method.usual_rate / half:g} … {method.usual_rate * half:g}"
    schedule = method.schedules + (", evaluation mode" if method.eval_mode else "")
    return [method.name, rate, schedule, str(method.passes), f"{method.memory:g}", method.package or "–"]


def test_the_table_is_the_registrys():
    families = ("classic", "adaptive", "rate-free")
    known = [method for family in families for method in METHODS.values() if method.family == family]
    assert len(known) == len(METHODS)
    assert rows(METHODS_PAGE, "## What each needs") == [row(method) for method in known]


def test_defaults_are_those_of_the_code():
    options = CONTROLLERS["plateau"].options
    cells = " ".join(ours for _, ours, _ in rows(CONTROLLERS_PAGE, "## Plateau"))
    for name in ("factor", "patience", "cooldown", "floor"):
        assert f"{name}={default_of(options[name])!r}".removesuffix(".0") in cells, name
    for metric in ("validation_loss", "validation_score", "training_loss"):
        assert metric in cells
    unwrapped = " ".join(CONTROLLERS_PAGE.split())
    written = {name: entry.options for name, entry in [*CONTROLLERS.items(), *AVERAGES.items()]}
    del written["plateau"]
    for name, options in written.items():
        assert (
            f"{name}({', '.join(f'{key}={default_of(option)!r}' for key, option in options.items())})" in unwrapped
        ), name
    assert f"the mean over {BATCHES} training batches" in " ".join(DONE_FOR_YOU.split())


def test_only_what_exists_is_recommended():
    section = RECIPE.partition("## By what you have\n")[2].partition("\n#")[0]
    taken = [re.split(r"(?<!\\)\|", line)[2] for line in section.splitlines() if line.startswith("| ")][1:]
    assert taken
    for cell in taken:
        assert "`" in cell
        for text in re.findall("`([^`]+)`", cell):
            call = re.fullmatch(r"\\\| (\w+)\(\)", text)
            assert (call[1] in {**CONTROLLERS, **AVERAGES}) if call else (text in PRESETS), text
