"""Two ledgers: what strategies are charged, as if each run were trained alone, and what was spent."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.analysis import planned_runs, settle_rate, summarize
from calando.records import Centre, RunSpec
from calando.records.family import RunFamily


def played(fake, study):
    *_, runs = fake.play(study, lambda run: 0.9 - 0.01 * run.seed - 0.001 * abs(run.lr - 0.1))
    return runs, fake.look(study, runs, lambda run: 0.9 - 0.01 * run.seed)


@pytest.fixture(scope="session")
def study(fake):
    return fake.study(fake.strategy("fixed"), fake.strategy("cosine", schedule="cosine(1, 0)"), seeds=3)


@given(shares=st.lists(st.integers(0, 100), min_size=10, max_size=10), undone=st.integers(0, 20))
def test_strategies_are_charged_alone_and_the_study_says_what_it_spent(fake, study, shares, undone):
    runs, tests = played(fake, study)
    assert len(runs) == len(shares)
    alone = {digest: dataclasses.replace(record, undone=undone) for digest, record in runs.items()}
    together = {
        digest: dataclasses.replace(record, inherited=share, inherited_seconds=record.seconds * share / 200)
        for (digest, record), share in zip(alone.items(), shares, strict=True)
    }
    one, other = summarize(study, alone, tests), summarize(study, together, tests)
    assert (other.results, other.comparisons, other.headline) == (one.results, one.comparisons, one.headline)
    assert (other.updates, other.seconds) == (one.updates, one.seconds)
    assert one.updates_spent == one.updates == sum(record.steps_done + undone for record in runs.values())
    assert one.seconds_spent == one.seconds
    assert other.updates_spent == one.updates - sum(shares)
    assert other.seconds_spent == pytest.approx(one.seconds - sum(shares) / 200)
    plain = other.to_json()
    assert (plain["updates"], plain["updates_spent"]) == (other.updates, other.updates_spent)


def test_a_run_that_two_strategies_stand_for_is_spent_once_and_charged_to_both(fake):
    first = fake.strategy("same", lr=0.1)
    study = fake.study(first, first.model_copy(update={"name": "also"}), seeds=2)
    runs, tests = played(fake, study)
    summary = summarize(study, runs, tests)
    assert summary.updates == summary.updates_spent == 2 * fake.steps
    assert [result.steps_final for result in summary.results] == [2 * fake.steps] * 2


def test_a_range_test_is_in_both_ledgers_once(fake):
    centre = Centre(lr=0.1, low=0.1, high=0.1, updates=64, seconds=2.0)
    plain = fake.study(fake.strategy("fixed"), seeds=2)
    study = plain.model_copy(update={"find": True, "centres": {"fixed": centre}})
    runs, tests = played(fake, study)
    halves = {digest: dataclasses.replace(record, inherited=50) for digest, record in runs.items()}
    summary = summarize(study, halves, tests)
    assert summary.updates == 64 + 100 * len(runs)
    assert summary.updates_spent == 64 + 50 * len(runs)


def test_planned_runs_are_those_that_are_trained(fake, study):
    """The digests that are looked up are those of the runs that are trained."""
    for runs in fake.play(study, lambda run: 0.9 - 0.001 * abs(run.lr - 0.1)):
        for strategy in study.strategies:
            found = planned_runs(study, strategy, runs)
            assert found.choice == settle_rate(study, strategy, runs)
            assert list(found.trials) == [run.digest() for run in found.choice.trials]
            assert list(found.finals) == [run.digest() for run in found.final_runs]
            assert set(found.digests) == {*found.trials, *found.finals}
            assert len(found.digests) == len(set(found.digests))


def test_final_runs_are_those_of_the_study(fake, study):
    runs, _ = played(fake, study)
    for strategy in study.strategies:
        at = strategy.at_rate(settle_rate(study, strategy, runs).lr)
        asked = planned_runs(study, strategy, runs)
        assert asked.final_runs == tuple(study.run(at, seed=seed) for seed in range(study.seeds))


def test_more_seeds_need_no_more_specs_spelt_out(fake, monkeypatch):
    """A digest from scratch costs ten times what it costs within a family; ten thousand would be half a second."""
    counts = []

    def counting(self):
        counts[-1] += 1
        return real(self)

    real = RunSpec.canonical
    for seeds in (3, 60):
        study = fake.study(fake.strategy("fixed"), fake.strategy("cosine", schedule="cosine(1, 0)"), seeds=seeds)
        runs = {}
        for strategy in study.strategies:
            for lr in study.rate_grids[strategy.name]:
                family = RunFamily(study.run(strategy.at_rate(lr), seed=0))
                for seed in range(seeds):
                    runs[family.digest(seed)] = fake.record(family.run(seed), 0.9 - abs(lr - 0.1) / 10)
        tests = fake.look(study, runs, lambda run: 0.9)
        counts.append(0)
        monkeypatch.setattr(RunSpec, "canonical", counting)
        assert summarize(study, runs, tests).complete
        monkeypatch.undo()
    assert counts[0] == counts[1] < 60
