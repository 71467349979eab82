"""A study of runs of several lengths: what each was, in the words, the table and the figures."""

import csv
import io

import pytest
from rich.console import Console
from tests.report.fabricate import fabricate, make_study

from calando.analysis.summary import summarize
from calando.report import pictures, study_tables
from calando.report.page_contents import page_contents
from calando.report.study_figures import study_figures

LENGTHS = (60, 120)
NAMES = ("fixed", "cosine", "warmup-cosine-restarts")


@pytest.fixture(scope="module")
def several():
    """Three strategies at two lengths, one of them with a long name; a target that nothing reaches."""
    plain = make_study(NAMES, seeds=2, steps=max(LENGTHS), target=1.0)
    strategies, grids = [], {}
    for strategy in plain.strategies:
        for steps in LENGTHS:
            one = strategy.model_copy(update={"name": f"{strategy.name} {steps} steps", "horizon": f"{steps} steps"})
            strategies.append(one)
            grids[one.name] = plain.rate_grids[strategy.name]
    study = plain.model_copy(update={"strategies": tuple(strategies), "rate_grids": grids})
    runs, tests = fabricate(study)
    return summarize(study, runs, tests), runs, tests


def drawn(several, name: str) -> list[dict[str, str]]:
    """The rows behind a figure."""
    summary, runs, _ = several
    figure = next(figure for figure in study_figures(summary, runs) if figure.name == name)
    texts = pictures.spec(figure.chart)["datasets"].values()
    return [row for text in texts for row in csv.DictReader(io.StringIO(text))]


def length_of(name: str) -> int:
    return int(name.split()[-2])


def test_every_strategy_is_charged_for_its_own_length(several):
    summary, _, _ = several
    assert summary.complete
    for result in summary.results:
        assert result.steps_trials == length_of(result.name) * len(result.trials)
        assert result.steps_final == length_of(result.name)
        assert result.text.endswith(f"| horizon('{length_of(result.name)} steps')")


def test_lines_end_where_the_runs_did(several):
    for figure, last in (("rates", -1), ("loss", -1), ("score", 0)):
        ends: dict[str, int] = {}
        for row in drawn(several, figure):
            ends[row["strategy"]] = max(ends.get(row["strategy"], 0), int(row["step"]))
        assert len(ends) == 6
        assert all(end == length_of(name) + last for name, end in ends.items()), figure


def test_what_missed_the_target_is_marked_where_its_run_ended(several):
    missed = [row for row in drawn(several, "target") if row["reached"] == "false"]
    assert {row["strategy"] for row in missed} == {result.name for result in several[0].results}
    assert all(int(row["step"]) == length_of(row["strategy"]) for row in missed)


def test_the_page_says_all_lengths(several):
    assert " · 60 / 120 steps (30 / 60 epochs) · " in page_contents(*several).question


@pytest.mark.parametrize("width", [80, 160])
def test_names_cut_short_still_say_which_length_it_is(several, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(study_tables(several[0]))
    lines = console.file.getvalue().splitlines()
    for shown in ("fixed 60 steps", "fixed 120 steps", "warmup-co…s 60 steps", "warmup-co… 120 steps"):
        assert sum(line.startswith(f"{shown} ") for line in lines) >= 2, shown
