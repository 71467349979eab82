"""Studies in every state a report may meet, and what vl-convert says of their figures."""

import pytest
from tests.report.fabricate import NAMES, fabricate, make_study

from calando.analysis.summary import summarize

HOSTILE = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a" * 90, "'\"&{{ 7 + 7 }}[red]")
FIVE = ("fixed", "step", "cosine", "one-cycle", "adamw")

ALL_OF_ADAMW = {"diverging": [("adamw", 0.0)]}


def given(study, name, lr):
    """The study with one strategy's rate given."""
    strategies = tuple(one.at_rate(lr) if one.name == name else one for one in study.strategies)
    grids = {other: grid for other, grid in study.rate_grids.items() if other != name}
    return study.model_copy(update={"strategies": strategies, "rate_grids": grids})


def one_rate(study):
    """The study with the middle of each grid alone."""
    grids = {name: grid[len(grid) // 2 : len(grid) // 2 + 1] for name, grid in study.rate_grids.items()}
    return study.model_copy(update={"rate_grids": grids})


STATES = {
    "thirteen": lambda: (make_study(NAMES[:13], steps=120), {"diverging": [("step", 0.5)]}),
    "one fails": lambda: (make_study(FIVE, seeds=4, steps=120), {"diverging": [("adamw", 0.0)]}),
    "empty": lambda: (make_study(FIVE, steps=120), {"until": 0}),
    "trials": lambda: (make_study(FIVE, steps=120), {"until": 3}),
    "half": lambda: (make_study(FIVE, steps=120), {"until": 20}),
    "finals": lambda: (make_study(FIVE, steps=120), {"until": 30}),
    "alone": lambda: (make_study(("cosine",), seeds=1, steps=120), {}),
    "one seed": lambda: (make_study(FIVE, seeds=1, steps=120), {}),
    "all diverged": lambda: (make_study(FIVE[:2], seeds=2, steps=120), {"diverging": [(name, 0.0) for name in FIVE]}),
    "clear": lambda: (given(make_study(("cosine", "adamw"), seeds=4, steps=120), "adamw", 0.001), ALL_OF_ADAMW),
    "untuned": lambda: (make_study(("cosine", "adamw"), seeds=4, steps=120), ALL_OF_ADAMW),
    "one rate": lambda: (one_rate(make_study(FIVE, steps=120)), {}),
    "target": lambda: (make_study(("cosine", "adamw"), seeds=2, steps=120, target=0.9), {}),
    "hostile": lambda: (make_study(HOSTILE, seeds=2, steps=120), {}),
    "tiny": lambda: (make_study(("cosine", "step"), seeds=2, steps=1), {}),
}  # fmt: skip


class Made:
    """A fabricated study: its spec, records, test scores and summary."""

    def __init__(self, name):
        self.study, options = STATES[name]()
        self.runs, self.tests = fabricate(self.study, **options)
        self.summary = summarize(self.study, self.runs, self.tests)


@pytest.fixture(scope="session")
def made():
    """name of a state -> the study in it, made once."""
    known = {}

    def make(name):
        if name not in known:
            known[name] = Made(name)
        return known[name]

    return make


@pytest.fixture(params=STATES, scope="session")
def study(request, made):
    """Each state in turn."""
    return made(request.param)
