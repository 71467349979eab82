"""The terminal's tables fit the terminal and say what the summary says."""

import html as html_text
import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from calando.report import html, study_tables
from calando.report.columns import COLUMNS, footnotes, strategy_rows
from calando.report.formatting import spread
from calando.report.page_contents import page_contents
from calando.report.tables import comparison_lines, headline_panel, study_table, trials_table


def printed(what, *, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(what)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_the_answer_is_whole(study, width):
    text = printed(study_tables(study.summary), width=width)
    assert max(map(len, text.splitlines())) <= width
    table = printed(study_table(study.summary, width=width), width=width).splitlines()
    rows = table[1 : 1 + len(study.summary.results)]
    against = {one.strategy: one for one in study.summary.comparisons}
    for result, row in zip(study.summary.results, rows, strict=True):
        assert result.name[:9] in row
        assert result.name[-10:] in row
        assert spread(result.test) in row
        if result.name in against:
            assert against[result.name].verdict in row


@pytest.mark.parametrize("outcome", ["finished", "died", "diverged"])
def test_what_became_of_a_trial_is_explained_where_it_stands(study, outcome):
    first, *others = study.summary.results
    trials = (replace(first.trials[0], outcome=outcome), *first.trials[1:])
    text = printed(study_tables(replace(study.summary, results=(replace(first, trials=trials), *others))), width=80)
    for word in ("died", "diverged"):
        assert (f"\n{word}: " in text) is (f": {word}" in text)
    assert outcome == "finished" or f"\n{outcome}: " in text


def test_a_narrow_terminal_breaks_cells_and_cuts_no_number(study):
    table = printed(study_table(study.summary, width=40), width=40)
    assert max(map(len, table.splitlines())) <= 40
    words = "".join(table.split())
    for row in strategy_rows(study.summary):
        assert "".join(row.cells["test"].split()[:3]) in words


@pytest.mark.parametrize("width", [10, 40])
def test_a_terminal_far_too_narrow_is_no_error(study, width):
    assert printed(study_tables(study.summary), width=width)


def test_columns_left_out_are_named(made):
    summary = made("thirteen").summary
    wide, narrow = (printed(study_table(summary, width=width), width=width) for width in (200, 80))
    assert "left out" not in wide
    gone = (
        " ".join(narrow[narrow.index("left out") :].split())
        .removeprefix("left out, as the terminal is narrow: ")
        .split(", ")
    )
    assert all(name in wide.splitlines()[0] for name in ("trial steps", "validation"))
    assert "trial steps" in gone
    assert not any(name in narrow.splitlines()[0] for name in gone if name != "%")


@pytest.mark.parametrize(("state", "interval"), [("thirteen", []), ("clear", ["[interval]"])])
def test_eighty_columns_keep_what_decides_and_the_interval_where_names_are_short(made, state, interval):
    head = printed(study_table(made(state).summary, width=80), width=80).splitlines()[0].split()
    assert head[: 6 + len(interval)] == ["strategy", "rate", "test,", "%", "diff", *interval, "verdict"]


def test_notes_mark_their_strategy(made):
    text = printed(study_table(made("one fails").summary, width=200), width=200)
    note = next(result.note for result in made("one fails").summary.results if result.name == "adamw")
    assert note
    assert f"(a) adamw: {note}" in text
    assert next(line for line in text.splitlines() if line.startswith("adamw")).split()[2] == "(a)"


@pytest.mark.parametrize(("state", "word"), [("clear", "best"), ("one fails", "highest"), ("thirteen", "highest")])
def test_best_is_said_only_beyond_doubt(made, state, word):
    summary = made(state).summary
    row = printed(study_table(summary, width=200), width=200).splitlines()[1].split()
    assert row[0] == summary.best
    assert [said for said in ("best", "highest") if said in row] == [word]
    assert page_contents(summary, made(state).runs, made(state).tests).rows[0].cells["verdict"] == word


def test_every_comparison_and_trial_is_there(study):
    lines = comparison_lines(study.summary)
    if study.summary.comparisons:
        assert [line.split(" against ")[0] for line in lines] == [one.strategy for one in study.summary.comparisons]
    trials = [trial for result in study.summary.results for trial in result.trials]
    text = printed(trials_table(study.summary, width=90), width=200)
    assert text.count(": ") - text.splitlines()[0].count(": ") == len(trials)
    assert text.count("*") == 1 + sum(
        trial.lr == result.lr for result in study.summary.results for trial in result.trials
    )


def test_the_headline_says_whether_the_study_is_complete(study):
    text = printed(headline_panel(study.summary), width=100)
    assert ("─ complete" in text) == study.summary.complete


def test_equal_notes_share_a_mark_and_no_two_marks_are_the_same(made):
    summary = made("thirteen").summary
    many = [f"only {place} rates tried" for place in range(30)] + ["the same"] * 10
    results = tuple(replace(summary.results[0], name=f"s{place}", note=note) for place, note in enumerate(many))
    text = printed(study_table(replace(summary, results=results, comparisons=()), width=200), width=200)
    assert "(z) s25: only 25 rates tried" in text
    assert "(aa) s26: only 26 rates tried" in text
    assert text.count("(ae)") == 11
    assert "(ae) 10 strategies: the same" in text
    noted = tuple(replace(one, note=f"as {place % 2}") for place, one in enumerate(summary.results))
    page = page_contents(replace(summary, results=noted), made("thirteen").runs, made("thirteen").tests)
    assert [(one.mark, one.text) for one in page.notes[:2]] == [
        ("a", "7 strategies: as 0"),
        ("b", f"{', '.join(one.name for one in noted[1:-2:2])} and {noted[-2].name}: as 1"),
    ]


def test_terminal_page_and_json_show_the_same_fields_with_the_same_marks(study):
    """A cell is a function of what JSON holds under the column's own names."""
    summary = study.summary
    told = json.loads(json.dumps(summary.to_json()))
    against = {one["strategy"]: one for one in told["comparisons"]}
    view = page_contents(summary, study.runs, study.tests)
    text = html.study_page(
        summary, study.runs, study.tests, fingerprint="f", command="", drawn=(), specs={}, script="s"
    )
    page = " ".join(re.sub(r"<[^>]*>", " ", html_text.unescape(text.replace("−", "-"))).split())
    wide = " ".join(printed(study_table(summary, width=1000), width=1000).split())
    for row, plain in zip(view.rows, told["results"], strict=True):
        for column in COLUMNS:
            of = against.get(row.result.name) if column.compared else plain
            if of is not None:
                assert set(column.fields) <= of.keys()
            cell = row.cells[column.key]
            assert cell in page or column.key == "name"
            if column.is_shown(summary) and column.key != "name":
                assert cell in wide
            if mark := row.marks.get(column.key):
                assert f"{cell} {mark}" in page
                assert f"{cell} ({mark})" in wide or f"{cell}{mark}" in wide
    for note in footnotes(summary):
        assert f"{note.mark} {note.text}.".lstrip() in page
        assert str(note) in wide


@pytest.mark.parametrize("width", [60, 80])
def test_long_names_are_cut_in_the_middle_and_still_differ(made, width):
    summary = made("target").summary
    names = ["sgd with a middle that is one and the same end", "sgd with a middle that is another and the same end"]
    renamed = {old.name: new for old, new in zip(summary.results, names, strict=True)}
    comparisons = tuple(replace(one, strategy=renamed[one.strategy]) for one in summary.comparisons)
    results = tuple(replace(one, name=renamed[one.name]) for one in summary.results)
    changed = replace(summary, results=results, comparisons=comparisons, best=names[0])
    text = printed(study_table(changed, width=width), width=width)
    head, *rows = text.splitlines()[:3]
    assert {"strategy", "test,", "verdict"} <= set(head.split())
    assert len({row[:20] for row in rows}) == 2
    assert all("…" in row[:20] for row in rows)
    assert max(map(len, text.splitlines())) <= width


def test_a_share_that_is_no_accuracy_says_which_it_is(study):
    assert "scores are" not in printed(study_table(study.summary, width=80), width=80)
    workload = study.summary.spec.workload.model_copy(update={"metric": "f1"})
    summary = replace(study.summary, spec=study.summary.spec.model_copy(update={"workload": workload}))
    assert "scores are f1, mean ± sd (n)" in printed(study_table(summary, width=80), width=80)
