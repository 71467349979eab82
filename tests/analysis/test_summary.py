from __future__ import annotations

import json
import math

import numpy as np
import pytest

from calando.analysis import summarize


def name_of(study, run):
    mark = {strategy.options["mark"]: strategy.name for strategy in study.strategies}
    return mark[run.strategy.options["mark"]]


@pytest.fixture
def study(fake):
    """A fixed rate, chosen; a cosine, chosen; a fixed rate that was given."""
    return fake.study(
        fake.strategy("fixed"),
        fake.strategy("cosine", schedule="cosine(1, 0)"),
        fake.strategy("step", lr=0.5, schedule="step(0.1)"),
        seeds=3,
    )


def by_rate(study, *, diverge=()):
    """cosine > fixed > step, best at rate 0.1; (name, seed) in `diverge` diverges."""
    base = {"cosine": 0.98, "fixed": 0.95, "step": 0.90}

    def judge(run):
        name = name_of(study, run)
        if (name, run.seed) in diverge:
            return "diverged"
        return base[name] - 0.05 * abs(math.log10(run.lr) + 1) - 0.001 * run.seed

    return judge


def finished(fake, study, judge, test):
    *_, runs = fake.play(study, judge)
    return summarize(study, runs, fake.look(study, runs, test))


def wobble(study, base, size=0.001):
    """Test scores: a base by name and a small deviation that differs by strategy and seed."""

    def score(run):
        name = name_of(study, run)
        return round(base[name] + size * math.sin(7 * run.seed + 3 * len(name)), 3)

    return score


def test_every_stage_of_progress_has_a_summary(fake, study):
    judge = by_rate(study, diverge={("step", 1)})
    counts = []
    for runs in fake.play(study, judge):
        summary = summarize(study, runs, {})
        json.dumps(summary.to_json(), allow_nan=False)
        counts.append((summary.runs_done, summary.runs_known))
        assert summary.runs_expected == 3 + 2 + 3 + 2 + 3
        assert summary.runs_done == len(runs)
        assert {result.name for result in summary.results} == {"fixed", "cosine", "step"}
        assert not summary.complete
        assert summary.comparisons == ()
        assert all(result.test is None for result in summary.results)
        assert (summary.best is None) == (all(result.seeds_done == 0 for result in summary.results))
        assert summary.headline
    assert counts[0] == (0, 3 + 3 + 3)
    assert counts[-1] == (3 + 2 + 3 + 2 + 3,) * 2
    assert [done for done, _ in counts] == list(range(len(counts)))


def test_headlines_of_an_unfinished_study(fake, study):
    stages = list(fake.play(study, by_rate(study)))
    assert summarize(study, {}, {}).headline == "Nothing has run yet; 13 runs are to be made."
    assert summarize(study, stages[1], {}).headline == "1 of 13 runs is done; there is no verdict yet."
    assert summarize(study, stages[-1], {}).headline == (
        "All 13 runs are done; the test scores are still to be read. By validation cosine leads (97.8 %)."
    )


def test_half_of_the_test_scores_are_no_answer(fake, study):
    *_, runs = fake.play(study, by_rate(study))
    tests = fake.look(study, runs, lambda run: 0.9)
    tests.popitem()
    summary = summarize(study, runs, tests)
    assert not summary.complete
    assert summary.comparisons == ()
    assert "still to be read" in summary.headline


def test_the_whole_answer(fake, study):
    summary = finished(fake, study, by_rate(study), wobble(study, {"cosine": 0.98, "fixed": 0.95, "step": 0.90}))
    assert summary.complete
    assert [result.name for result in summary.results] == ["cosine", "fixed", "step"]
    assert summary.best == "cosine"
    assert [(c.strategy, c.verdict) for c in summary.comparisons] == [("fixed", "worse"), ("step", "worse")]
    cosine, fixed, step = summary.results
    assert (
        summary.headline
        == f"cosine is best: test {100 * cosine.test.mean:.1f} % ± 0.1 (sd, n = 3). It beats fixed and step."
    )
    assert (cosine.lr, cosine.chosen, step.lr, step.chosen) == (0.1, True, 0.5, False)
    assert cosine.text.startswith("sgd(lr=0.1")
    assert [trial.lr for trial in cosine.trials] == [0.01, 0.1, 1.0]
    assert step.trials == ()
    assert step.band is None
    assert cosine.band.low < 0.1 < cosine.band.high
    # The best fixed rate is that of the one strategy whose rate is fixed, over all of its final runs.
    assert summary.target == pytest.approx(0.949)
    assert summary.target_source == "best fixed-rate score"
    assert cosine.steps_to_target == (100, 100, 100)
    assert fixed.steps_to_target == (100, 100, None)
    assert step.steps_to_target == (None, None, None)


def test_updates_and_seconds_are_charged_once(fake, study):
    summary = finished(fake, study, by_rate(study), lambda run: 0.9)
    cosine = next(result for result in summary.results if result.name == "cosine")
    step = next(result for result in summary.results if result.name == "step")
    assert (cosine.steps_trials, cosine.steps_final, cosine.seconds) == (300, 200, 5.0)
    assert (step.steps_trials, step.steps_final, step.seconds) == (0, 300, 3.0)


def test_validation_comes_from_seeds_that_did_not_choose(fake, study):
    results = {result.name: result for result in finished(fake, study, by_rate(study), lambda run: 0.9).results}
    assert results["cosine"].validation.values == pytest.approx((0.979, 0.978))
    assert results["step"].validation.n == 3
    assert not any(result.validation_chose for result in results.values())


def test_validation_of_the_only_seed_says_that_it_chose(fake):
    study = fake.study(fake.strategy("fixed"), fake.strategy("step", lr=0.1), seeds=1)
    *_, runs = fake.play(study, lambda run: 0.9 if run.lr == 0.1 else 0.5)
    results = {result.name: result for result in summarize(study, runs, {}).results}
    assert (results["fixed"].validation_chose, results["step"].validation_chose) == (True, False)
    assert math.isnan(results["fixed"].validation.sd)


def test_one_seed_decides_nothing(fake):
    study = fake.study(fake.strategy("fixed", lr=0.1), fake.strategy("step", lr=0.2), seeds=1)
    summary = finished(fake, study, lambda run: 0.9, lambda run: 0.99 if run.lr == 0.1 else 0.1)
    assert summary.complete
    assert summary.comparisons == ()
    assert summary.best == "fixed"
    assert summary.headline.startswith("One seed decides nothing: fixed scores highest (test 99.0 %, n = 1)")


def test_what_cannot_be_told_apart_is_said_so(fake, study):
    scores = wobble(study, {"cosine": 0.98, "fixed": 0.979, "step": 0.90}, size=0.004)
    summary = finished(fake, study, by_rate(study), scores)
    first = summary.best
    other = ({"cosine", "fixed"} - {first}).pop()
    assert f"{first} scores highest: test " in summary.headline
    assert f"It beats step; it cannot be distinguished from {other} at n = 3." in summary.headline


def test_nothing_told_apart_names_the_fastest(fake):
    names = ("aa", "bbb", "cccc")
    study = fake.study(*(fake.strategy(name, lr=0.1) for name in names), seeds=3, target=0.4)
    summary = finished(
        fake,
        study,
        lambda run: {"aa": 0.5, "bbb": 0.9, "cccc": 0.7}[name_of(study, run)],
        wobble(study, dict.fromkeys(names, 0.9), size=0.01),
    )
    assert {c.verdict for c in summary.comparisons} == {"cannot distinguish"}
    assert "but no other strategy can be distinguished from it at n = 3." in summary.headline
    assert summary.headline.endswith(
        "Of those that reached the target at every seed, bbb did so soonest (median 50 steps)."
    )
    assert summary.target_source == "given"


def test_many_names_are_counted(fake):
    names = ["best", "also", *(f"far{i}" for i in range(8))]
    study = fake.study(*(fake.strategy(name, lr=0.1) for name in names), seeds=3)
    base = dict.fromkeys(names, 0.5) | {"best": 0.950, "also": 0.949}
    summary = finished(fake, study, lambda run: 0.9, lambda run: base[name_of(study, run)] + 0.004 * (run.seed % 2))
    # "best" and "also" differ by one thousandth at every seed: no more than rounding could make.
    assert "It beats 8 others; it cannot be distinguished from also at n = 3." in summary.headline


def test_a_strategy_alone(fake):
    study = fake.study(fake.strategy("fixed", lr=0.1), seeds=2)
    summary = finished(fake, study, lambda run: 0.9, lambda run: 0.9)
    assert summary.headline == "fixed: test 90.0 % ± 0.0 (sd, n = 2). There is nothing to compare it with."


def test_a_diverged_final_run_counts_as_chance_and_needs_no_look(fake, study):
    judge = by_rate(study, diverge={("step", 1)})
    summary = finished(fake, study, judge, lambda run: 0.9)
    step = next(result for result in summary.results if result.name == "step")
    assert summary.complete
    assert step.test.values == (0.9, fake.chance, 0.9)
    assert (step.diverged, step.died) == (1, 0)
    assert step.steps_final == 250


def test_failures_are_counted_once_over_trials_and_final_runs(fake, study):
    def judge(run):
        if name_of(study, run) != "fixed":
            return 0.9
        return "died" if run.lr < 0.02 and run.seed else "diverged"

    *_, runs = fake.play(study, judge)
    fixed = next(result for result in summarize(study, runs, {}).results if result.name == "fixed")
    # Trials 1e-6 (the last that may be added, which "won": it is also final seed 0) to 1.0; final seeds 1 and 2.
    assert (fixed.lr, fixed.diverged, fixed.died) == (1e-6, 7, 2)
    assert fixed.note == "grid extended by 4 rates to 1e-06; not fully tuned: every trial diverged or died"


def test_everything_failed(fake, study):
    summary = finished(fake, study, lambda run: "diverged", lambda run: 0.9)
    assert summary.complete
    assert summary.headline.startswith("No verdict: every final run diverged")
    assert {c.verdict for c in summary.comparisons if c.strategy != "step"} == {"no verdict"}
    assert {c.verdict for c in summary.comparisons if c.strategy == "step"} <= {
        "cannot distinguish"
    }  # was given a rate
    assert summary.advice is None
    assert summary.target is None
    assert all(result.steps_to_target == () for result in summary.results)
    json.dumps(summary.to_json(), allow_nan=False)


def test_strategies_that_train_alike_share_their_runs(fake):
    twin = fake.strategy("one", lr=0.1)
    study = fake.study(twin, twin.model_copy(update={"name": "two"}), seeds=2)
    summary = finished(fake, study, lambda run: 0.9, lambda run: 0.9)
    assert (summary.runs_done, summary.runs_known) == (2, 2)
    assert [c.verdict for c in summary.comparisons] == ["cannot distinguish"]


def test_records_of_other_studies_are_passed_over(fake, study):
    other = fake.study(fake.strategy("fixed"), seeds=5)
    *_, foreign = fake.play(other, lambda run: 0.9 if run.lr == 0.1 else 0.2)
    stranger = other.run(other.strategies[0].at_rate(0.777), seed=4)
    foreign[stranger.digest()] = fake.record(stranger, 0.9)
    summary = summarize(study, foreign, {})
    # Trials and seeds 0 … 2 of "fixed" are this study's as well; seeds 3, 4 and the stranger are not.
    assert summary.runs_done == 5


def test_json_is_plain_and_whole(fake, study):
    summary = finished(
        fake,
        study,
        by_rate(study, diverge={("cosine", 2)}),
        wobble(study, dict.fromkeys(("fixed", "cosine", "step"), 0.9)),
    )
    plain = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert plain["spec"]["strategies"][0]["name"] == "fixed"
    assert plain["best"] == summary.best
    assert plain["results"][0]["test"]["n"] == 3
    assert len(plain["comparisons"]) == 2
    one = fake.study(fake.strategy("fixed", lr=0.1), fake.strategy("step", lr=0.2), seeds=1)
    single = finished(fake, one, lambda run: 0.9, lambda run: 0.9).to_json()
    assert single["results"][0]["test"]["sd"] is None
    *_, runs = fake.play(study, lambda run: "diverged")
    results = summarize(study, runs, {}).to_json()["results"]
    assert [trial["loss"] for result in results for trial in result["trials"]] == [None] * 2 * (3 + 4)


def test_json_has_no_numpy_in_it(fake, study):
    def walk(value):
        assert not isinstance(value, (np.generic, np.ndarray))
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(item)

    walk(finished(fake, study, by_rate(study), lambda run: 0.9).to_json())


def test_equal_scores_differ_by_zero_in_the_table(fake, study):
    """The mean of their differences is 4e-17 or -4e-17, as those are rounded; a small true difference stays."""
    orders = {"fixed": (0.81, 0.902, 0.31), "cosine": (0.902, 0.31, 0.81), "step": (0.81, 0.902, 0.31 - 1e-9)}
    assert np.mean(np.subtract(orders["fixed"], orders["cosine"])) != 0
    summary = finished(fake, study, by_rate(study), lambda run: orders[name_of(study, run)][run.seed])
    rows = {row["strategy"]: row["difference"] for row in summary.table()}
    assert {rows["fixed"], rows["cosine"]} == {0.0, None}
    assert rows["step"] == pytest.approx(-1e-9 / 3, rel=1e-6)
