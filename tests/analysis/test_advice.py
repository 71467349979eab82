"""What to use: the best, or of those that are level the one that a stated preference of ours picks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calando.analysis import Advice, Comparison, PlannedRuns, RateBand, RateChoice, StrategyResult
from calando.analysis.conclusion import Price, advise, price_of

NAN = float("nan")
GIVEN = PlannedRuns(RateChoice(trials=(), digests=(), pending=(), lr=0.1))


def a_result(name, *, decades=1.0):
    band = None if decades is None else RateBand(0.1, 0.1 * 10**decades, decades, False, False)
    return StrategyResult(
        name=name, text=f"sgd({name})", lr=0.1, chosen=True, trials=(), note="", validation=None,
        validation_chose=False, test=None, steps_to_target=(), diverged=0, died=0, steps_trials=0, steps_final=0,
        seconds=0.0, seeds_done=3, planned=GIVEN, band=band,
    )  # fmt: skip


def against(name, *, verdict="cannot distinguish", difference=-0.004):
    return Comparison(name, "a", 3, difference, NAN, NAN, 0.95, 1.0, verdict, "")


def advised(*results, verdicts=None, differences=None, **prices):
    """Of results best first; prices are updates, or (updates, seconds)."""
    comparisons = [
        against(
            one.name,
            verdict=(verdicts or {}).get(one.name, "cannot distinguish"),
            difference=(differences or {}).get(one.name, -0.004),
        )
        for one in results[1:]
    ]
    told = {one.name: prices.get(one.name, 100) for one in results}
    return advise(
        results,
        comparisons,
        {name: Price(*(price if isinstance(price, tuple) else (price, 1.0))) for name, price in told.items()},
    )


def test_a_best_one_needs_no_choice():
    worse = advised(a_result("a"), a_result("b", decades=3), verdicts={"b": "worse"}, a=200)
    assert worse == Advice(name="a", text="sgd(a)", level=(), why="")
    assert advised(a_result("a")) == worse


def test_of_those_that_are_level_the_cheapest():
    advice = advised(a_result("a", decades=3), a_result("b"), a_result("c"), a=200, b=100, c=150)
    assert (advice.name, advice.level, advice.why) == ("b", ("a", "b", "c"), "it is the cheapest to train")


def test_times_count_where_they_differ_much():
    assert advised(a_result("a"), a_result("b"), a=(100, 1.6), b=(100, 1.0)).name == "b"
    assert advised(a_result("a"), a_result("b"), a=(100, 1.4), b=(100, 1.0)).name == "a"
    assert advised(a_result("a"), a_result("b"), a=(100, 9.0), b=(102, 1.0)).name == "a"
    assert advised(a_result("a"), a_result("b"), a=(100, 9.0), b=(101, 1.0)).name == "b"


def test_then_the_widest_band_of_rates():
    advice = advised(a_result("a", decades=None), a_result("b", decades=1.25), a_result("c", decades=0.5))
    assert (advice.name, advice.why) == ("b", "it has the widest band of good rates (1.2 decades)")
    dearer = advised(a_result("a", decades=3), a_result("b", decades=0.5), a_result("c"), a=200)
    assert (dearer.name, dearer.why) == (
        "c",
        "of the cheapest it has the widest band of good rates (1.0 decades)",
    )


def test_then_the_higher_score():
    advice = advised(a_result("a"), a_result("b"))
    assert advice.name == "a"
    assert advice.why == "it scores highest of those with the lowest cost and the widest band of good rates"


def test_a_score_far_below_is_not_preferred_for_its_price():
    """Three seeds may not tell ten points apart; nobody would take them for a cheaper update."""
    advice = advised(a_result("a"), a_result("b"), differences={"b": -0.1}, a=200)
    assert (advice.name, advice.level, advice.why) == ("a", ("a", "b"), "the others score more than a point lower")
    assert advised(a_result("a"), a_result("b"), differences={"b": -0.01}, a=200).name == "b"


def test_who_is_not_fully_tuned_is_not_level():
    advice = advised(a_result("a"), a_result("b"), a_result("c"), verdicts={"b": "no verdict", "c": "worse"}, a=200)
    assert (advice.name, advice.level) == ("a", ())


def test_one_seed_prefers_nothing():
    results = (a_result("a"), a_result("b", decades=3))
    prices = {"a": Price(200, 1.0), "b": Price(100, 1.0)}
    assert advise(results, (), prices) == Advice(
        name="a", text="sgd(a)", level=(), why="one seed decides nothing; no other scored higher at that seed"
    )


def test_nothing_that_never_held_out_is_recommended(fake):
    study = fake.study(fake.strategy("a", lr=0.1))
    run = study.run(study.strategies[0], seed=0)
    lost = price_of([fake.record(run, "diverged"), fake.record(run, "died")])
    held = price_of([fake.record(run, "diverged"), replace(fake.record(run, 0.9), second_passes=fake.steps)])
    assert held == Price(updates=2 * fake.steps, seconds=1 / (2 * fake.steps))
    results = (a_result("a"), a_result("b"))
    assert advise(results[:1], (), {"a": lost}) is None
    assert advise(results, [against("b")], {"a": lost, "b": lost}) is None
    assert advise(results, [against("b")], {"a": lost, "b": held}).name == "b"


@pytest.mark.parametrize("seeds", [2, 3])
def test_a_study_that_is_a_tie_says_so(fake, seeds):
    from calando.analysis import summarize

    names = ("aa", "bbb")
    study = fake.study(*(fake.strategy(name, lr=0.1) for name in names), seeds=seeds)
    *_, runs = fake.play(study, lambda run: 0.9)
    assert summarize(study, runs, {}).advice is None
    summary = summarize(study, runs, fake.look(study, runs, lambda run: 0.9))
    assert summary.advice.level == tuple(result.name for result in summary.results)
    assert summary.advice.text == next(one.text for one in summary.results if one.name == summary.advice.name)
