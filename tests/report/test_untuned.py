"""What is not fully tuned, and what is level, is stated in every place that is read: terminal, page, figures."""

import html as html_text
import io
import re

import pytest
from rich.console import Console

from calando.report import study_tables, write_page
from calando.report.page_contents import page_contents
from calando.report.study_figures import study_figures


def printed(summary):
    console = Console(width=200, file=io.StringIO(), color_system=None)
    console.print(study_tables(summary))
    return console.file.getvalue()


def page(study, folder):
    path = write_page(folder, study.summary, study.runs, study.tests, fingerprint="f", command="", figures=())
    return html_text.unescape(path.read_text(encoding="utf-8"))


def words(text):
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


@pytest.mark.parametrize(
    ("state", "named"), [("untuned", {"adamw"}), ("one rate", {"fixed", "step", "cosine", "one-cycle", "adamw"})]
)
def test_no_place_claims_anything_of_what_is_not_fully_tuned(made, tmp_path, state, named):
    study = made(state)
    summary = study.summary
    assert {result.name for result in summary.results if result.untuned} == named
    terminal, whole = printed(summary), page(study, tmp_path)
    assert "no verdict: not fully tuned, a better rate may lie past those tried" in terminal
    assert "no verdict: not fully tuned, a better rate may lie past those tried" in words(whole)
    table = terminal.split("strategy", 1)[1].split("mean ± sd")[0]
    view = page_contents(summary, study.runs, study.tests)
    for said in (table, view.headline, *(row.against.text for row in view.rows if row.against)):
        assert not re.search(r"\b(worse|beats|best)\b", said.replace("best rate at the edge of its grid", ""))
    verdicts = {row.result.name: row.cells["verdict"] for row in view.rows}
    assert verdicts.pop(summary.best) == "highest"
    assert verdicts == dict.fromkeys(named - {summary.best}, "no verdict")
    assert 'class="verdict no-verdict"' in whole
    figures = {figure.name: figure for figure in study_figures(summary, study.runs)}
    assert "A diamond is no verdict: the strategy is not fully tuned" in figures["differences"].reading
    assert figures["sensitivity"].reading.endswith(
        f"Not fully tuned, so that a better rate may lie outside: "
        f"{', '.join(one.name for one in summary.results if one.name in named)}."
    )


def test_where_all_is_tuned_nothing_is_said_of_it(made, tmp_path):
    study = made("clear")
    for said in (printed(study.summary), words(page(study, tmp_path).split("</main>")[0].split("<main>")[1])):
        assert "fully tuned" not in said
    assert not any("fully tuned" in figure.reading for figure in study_figures(study.summary, study.runs))


@pytest.mark.parametrize("state", ["thirteen", "one fails", "target"])
def test_in_a_tie_all_that_are_level_are_named_and_the_preference_is_marked_as_ours(made, tmp_path, state):
    study = made(state)
    advice = study.summary.advice
    assert len(advice.level) > 1
    assert advice.name in advice.level
    for said in (words(printed(study.summary)), words(page(study, tmp_path))):
        names = f"{', '.join(advice.level[:-1])} and {advice.level[-1]}"
        assert f"At n = {study.study.seeds} the tests do not distinguish {names}" in said
        assert re.search(rf"[wW]e would take {advice.name}[^:]*: {re.escape(advice.why)}\.", said)
        assert ("scores highest; we would take" in said) == (advice.behind > 0)
        assert ("points apart." in said) == (advice.apart > 0.01)
        assert "a preference of ours, not a finding" in said
        assert re.search(rf"To use {advice.name}:? *{re.escape(advice.text)}", said)


def test_where_one_is_best_there_is_no_choice_to_explain(made, tmp_path):
    study = made("clear")
    for said in (words(printed(study.summary)), words(page(study, tmp_path))):
        assert study.summary.results[0].text in said
        assert "level" not in said.split("The spec that made each number")[0].replace("95% level", "")
