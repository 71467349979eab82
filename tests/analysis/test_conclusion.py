"""What a conclusion says where scores tie, lie far apart undecided, or are all of runs that failed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from calando.analysis import summarize
from calando.report import study_tables
from calando.report.columns import advice_sentence, strategy_rows


def concluded(fake, scores, *, seeds=2, outcome=None):
    """A complete study of given rates; `scores[name]` are its test scores by seed."""
    study = fake.study(*(fake.strategy(name, lr=0.1) for name in scores), seeds=seeds)
    names = {run.digest(): name for name in scores for run in finals_of(study, name)}
    *_, runs = fake.play(study, lambda run: outcome or 0.9)
    tests = fake.look(study, runs, lambda run: scores[names[run.digest()]][run.seed])
    return summarize(study, runs, tests)


def finals_of(study, name):
    return [study.run(study.strategy(name), seed=seed) for seed in range(study.seeds)]


def printed(summary):
    console = Console(width=120, file=io.StringIO(), color_system=None)
    console.print(study_tables(summary))
    return " ".join(console.file.getvalue().split())


@pytest.mark.parametrize("outcome", ["diverged", "died"])
@pytest.mark.parametrize("seeds", [1, 2])
def test_where_every_final_run_failed_no_row_has_a_verdict(fake, outcome, seeds):
    summary = concluded(fake, {"a": [0.1] * seeds, "b": [0.1] * seeds}, seeds=seeds, outcome=outcome)
    if outcome == "died":
        assert summary.advice is None
        return
    assert summary.headline.startswith("No verdict: every final run diverged")
    assert {one.verdict for one in summary.comparisons} == ({"no verdict"} if seeds > 1 else set())
    assert summary.advice is None
    said = printed(summary)
    for word in ("cannot distinguish", "highest", "tied", "To use"):
        assert word not in said
    assert "no verdict: every final run diverged or ended at chance level" in said


def test_strategies_far_apart_that_two_seeds_do_not_distinguish_are_not_called_level(fake):
    summary = concluded(fake, {"high": [0.95, 0.75], "low": [0.75, 0.59]})
    assert [one.verdict for one in summary.comparisons] == ["cannot distinguish"]
    said = printed(summary)
    assert (
        "At n = 2 the tests do not distinguish high and low, although their mean scores lie up to 18.0 points" in said
    )
    assert "level" not in said


def test_an_exact_tie_is_called_one(fake):
    summary = concluded(fake, {"a": [0.9, 0.8], "b": [0.8, 0.9], "c": [0.1, 0.1]})
    assert summary.headline.startswith("a and b tie for the highest score: test 85.0 % (n = 2)")
    assert strategy_rows(summary)[0].cells["verdict"] == "tied"
    assert "scores highest" not in printed(summary)
    assert "it comes first of those with equal scores" in summary.advice.why
    assert "-0.00" not in printed(summary)
    alone = concluded(fake, {"a": [0.9], "b": [0.9]}, seeds=1)
    assert alone.headline.startswith("One seed decides nothing: a and b score the same (test 90.0 %, n = 1)")


def test_the_strategy_to_use_is_named_and_where_another_scores_highest_that_is_said(fake):
    study = fake.study(fake.strategy("cheap", lr=0.1), fake.strategy("dear", lr=0.1), seeds=2)
    *_, runs = fake.play(study, lambda run: 0.9)
    from dataclasses import replace

    dear = {run.digest() for run in finals_of(study, "dear")}
    runs = {key: replace(run, second_passes=fake.steps * (key in dear)) for key, run in runs.items()}
    tests = fake.look(study, runs, lambda run: 0.9 + (0.004 - 0.001 * run.seed) * (run.digest() in dear))
    summary = summarize(study, runs, tests)
    assert summary.best == "dear"
    assert "dear scores highest; we would take cheap, 0.35 points below it" in advice_sentence(summary.advice)
    assert f"To use cheap: {summary.advice.text}" in printed(summary)
