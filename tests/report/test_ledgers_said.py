"""Where pasts were shared, terminal, page, figure and JSON say both ledgers; elsewhere they say nothing of it."""

import dataclasses
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from calando.analysis import summarize
from calando.report import html, study_tables
from calando.report.formatting import cost, shared
from calando.report.page_contents import page_contents
from calando.report.study_figures import study_figures

SAID = "were shared pasts, trained once"


class Shared:
    """The fabricated study, every second of its runs grown from half of another."""

    def __init__(self, made):
        self.runs = {
            digest: dataclasses.replace(record, inherited=record.steps_done // 2, inherited_seconds=record.seconds / 2)
            if place % 2
            else record
            for place, (digest, record) in enumerate(made.runs.items())
        }
        self.tests = made.tests
        self.summary = summarize(made.study, self.runs, made.tests)


def printed(summary, *, width=200):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(study_tables(summary))
    return " ".join(console.file.getvalue().split())


def page(study):
    drawn = study_figures(study.summary, study.runs)
    return html.study_page(study.summary, study.runs, study.tests, fingerprint="f", command="", drawn=drawn, specs={})


def test_both_are_said_everywhere(made):
    study = Shared(made("clear"))
    summary = study.summary
    words = f"trained {summary.updates_spent:,} of {summary.updates:,} updates: "
    share = 100 * (summary.updates - summary.updates_spent) // summary.updates
    assert 0 < share < 50
    assert shared(summary) == f"{words}{share} % {SAID}"
    for text in (
        printed(summary),
        page(study),
        page_contents(summary, study.runs, study.tests).cost,
        next(figure.pedigree for figure in study_figures(summary, study.runs) if figure.name == "cost"),
    ):
        assert shared(summary) in text
    assert "if each were trained alone" in cost(summary)
    assert f"{summary.updates:,} updates" in cost(summary)
    plain = json.loads(json.dumps(summary.to_json()))
    assert (plain["updates"], plain["updates_spent"]) == (summary.updates, summary.updates_spent)
    assert plain["seconds_spent"] == pytest.approx(summary.seconds_spent)


def test_the_table_of_runs_says_which_started_from_another(made):
    study = Shared(made("clear"))
    rows = page_contents(study.summary, study.runs, study.tests).runs
    half = study.summary.spec.steps // 2
    with_share = [row for row in rows if study.runs[row.digest].inherited == half]
    assert with_share
    assert all(f"{half} of them shared" in row.steps for row in with_share)
    assert all("shared" not in row.steps for row in rows if not study.runs[row.digest].inherited)


def test_nothing_is_said_where_nothing_was_shared(study):
    assert shared(study.summary) == ""
    assert SAID not in printed(study.summary)
    assert SAID not in page(study)
    assert "alone" not in cost(study.summary)


@given(st.integers(1, 10**7), st.data())
def test_the_share_is_never_said_to_be_nothing_or_all(made, charged, data):
    spent = data.draw(st.integers(1, charged))
    summary = dataclasses.replace(made("clear").summary, updates=charged, updates_spent=spent)
    text = shared(summary)
    if spent == charged:
        assert text == ""
        return
    assert f"trained {spent:,} of {charged:,} updates" in text
    said = text.split(": ")[1].split(" %")[0]
    exact = 100 * (charged - spent) / charged
    assert exact < 1 if said == "under 1" else 1 <= int(said) <= exact < int(said) + 1
    assert said not in ("0", "100")
