"""A strategy whose best rate lies at its grid's edge is no fair opponent: nothing beats it, and it beats nothing."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calando.analysis import summarize

GRID = (0.01, 0.1, 1.0)
INSIDE = dict(zip(GRID, (0.5, 0.9, 0.6), strict=True))


def name_of(study, run):
    mark = {strategy.options["mark"]: strategy.name for strategy in study.strategies}
    return mark[run.strategy.options["mark"]]


def concluded(fake, shapes, tests, *, given=(), **options):
    """A complete study: `shapes[name](rate)` is what a trial gives, `tests[name]` the test score, or so."""
    strategies = [fake.strategy(name, lr=0.1 if name in given else None) for name in shapes]
    study = fake.study(*strategies, **{"grid": GRID, **options})
    *_, runs = fake.play(study, lambda run: shapes[name_of(study, run)](run.lr))

    def score(run):
        return round(tests[name_of(study, run)] + 0.001 * (run.seed % 2), 3)

    return summarize(study, runs, fake.look(study, runs, score))


def inside(lr):
    return INSIDE.get(lr, 0.4)


def rising(lr):
    return min(0.9, 0.5 + 0.05 * lr**0.1)


def falling(lr):
    return 0.9 - 0.05 * lr**0.1


def diverging(lr):
    return "diverged"


def verdicts(summary):
    return {one.strategy: one.verdict for one in summary.comparisons}


@pytest.mark.parametrize("edge", [rising, falling, diverging])
def test_no_verdict_is_given_on_a_strategy_at_its_grids_edge(fake, edge):
    summary = concluded(fake, {"best": inside, "plain": inside, "edge": edge}, {"best": 0.9, "plain": 0.7, "edge": 0.6})
    assert verdicts(summary) == {"plain": "worse", "edge": "no verdict"}
    why = "every trial diverged or died" if edge is diverging else "best rate at the edge of its grid"
    assert summary.headline == (
        "best scores highest: test 90.0 % ± 0.1 (sd, n = 3). It beats plain. "
        f"edge is not fully tuned ({why}): no verdict on it."
    )
    result = next(one for one in summary.results if one.name == "edge")
    assert result.untuned == why
    assert len(result.trials) == len(GRID) + 4
    assert result.steps_trials == sum(50 if edge is diverging else 100 for _ in result.trials)
    assert result.note.endswith(f"not fully tuned: {why}")
    against = next(one for one in summary.comparisons if one.strategy == "edge")
    assert against.text.startswith(f"no verdict: {why} (difference -")
    assert "worse" not in against.text
    plain = summary.to_json()
    assert [one["verdict"] for one in plain["comparisons"]] == ["worse", "no verdict"]
    assert {one["name"]: one["untuned"] for one in plain["results"]} == {"best": "", "plain": "", "edge": why}
    assert "beats edge" not in json.dumps(plain)


def test_the_highest_on_its_own_edge_beats_nobody(fake):
    summary = concluded(fake, {"best": rising, "plain": inside}, {"best": 0.9, "plain": 0.7})
    assert summary.headline == (
        "best scores highest: test 90.0 % ± 0.1 (sd, n = 3). Its rate is not fully tuned "
        "(best rate at the edge of its grid): it may do better still. Even so plain scored lower."
    )
    assert verdicts(summary) == {"plain": "worse"}


def test_where_no_rate_is_tuned_none_is_better(fake):
    summary = concluded(fake, {"a": inside, "b": inside, "c": inside}, {"a": 0.9, "b": 0.7, "c": 0.6}, grid=(0.1,))
    assert set(verdicts(summary).values()) == {"no verdict"}
    assert summary.headline == (
        "a scores highest: test 90.0 % ± 0.1 (sd, n = 3). "
        "No strategy is fully tuned (only one rate tried), so none is called better than another."
    )
    assert {result.note for result in summary.results} == {"not fully tuned: only one rate tried"}
    assert {len(result.trials) for result in summary.results} == {1}


def test_a_rate_that_was_given_is_what_is_compared(fake):
    shapes = {"given": diverging, "best": inside}
    summary = concluded(fake, shapes, {"given": 0.5, "best": 0.9}, given=("given",))
    assert verdicts(summary) == {"given": "worse"}
    assert summary.headline.endswith("It beats given.")


def test_a_tie_with_a_strategy_on_its_edge_is_not_called_one(fake):
    summary = concluded(fake, {"best": inside, "edge": rising, "like": inside}, {"best": 0.9, "edge": 0.9, "like": 0.9})
    assert verdicts(summary) == {"edge": "no verdict", "like": "cannot distinguish"}
    assert "cannot be distinguished from like at n = 3. edge is not fully tuned" in summary.headline
    assert summary.advice.level == ("best", "like")


def test_an_old_study_says_by_which_rule_its_grids_went_on(fake):
    summary = concluded(fake, {"best": inside, "edge": rising}, {"best": 0.9, "edge": 0.6}, beyond=None)
    edge = next(one for one in summary.results if one.name == "edge")
    assert len(edge.trials) == len(GRID) + 1
    assert "one rate in the calando that began this study" in edge.note
    assert verdicts(summary) == {"edge": "no verdict"}


SHAPES = {"inside": inside, "rising": rising, "falling": falling, "diverging": diverging}


@settings(max_examples=40)
@given(
    kinds=st.lists(st.sampled_from(sorted(SHAPES)), min_size=2, max_size=5),
    scores=st.lists(st.sampled_from([0.2, 0.5, 0.9, 0.901]), min_size=5, max_size=5),
    grid=st.sampled_from([GRID, (0.1, 1.0), (0.1,)]),
    beyond=st.sampled_from([0, 1, 4, None]),
    seeds=st.integers(1, 3),
)
def test_whatever_comes_out_nothing_is_claimed_of_what_is_not_fully_tuned(fake, kinds, scores, grid, beyond, seeds):
    names = [f"s{place}" for place in range(len(kinds))]
    shapes = {name: SHAPES[kind] for name, kind in zip(names, kinds, strict=True)}
    tests = dict(zip(names, scores, strict=False))
    summary = concluded(fake, shapes, tests, grid=grid, beyond=beyond, seeds=seeds)
    untuned = {result.name for result in summary.results if result.untuned}
    for result in summary.results:
        rates = [trial.lr for trial in result.trials]
        worked = any(trial.outcome == "finished" for trial in result.trials)
        assert (result.name in untuned) == (not worked or result.lr in (rates[0], rates[-1]))
    withheld = {one.strategy for one in summary.comparisons if one.verdict == "no verdict"}
    assert withheld == (untuned - {summary.best} if seeds > 1 else set())
    beaten = re.search(r"beats ([^;.]*)", summary.headline)
    assert not beaten or summary.best not in untuned
    assert not beaten or not untuned & set(re.findall(r"s\d", beaten.group(1)))
    assert "is best" not in summary.headline or not untuned
    if summary.advice is not None and summary.advice.level:
        assert not untuned & set(summary.advice.level) - {summary.best}
