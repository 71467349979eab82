"""Seeds added until the verdicts are settled: nothing is revoked, no budget exceeded, no order matters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks.verdicts.noises import NOISES, SCALE
from benchmarks.verdicts.until_decided import false_share, play
from hypothesis import given, settings
from hypothesis import strategies as st

from calando.analysis import plan_study, summarize
from calando.analysis.looks import LADDER, LEVELS, USUAL_MOST, Look, looks_of, may_go_on_from
from calando.analysis.verdicts import decide
from calando.errors import UsageError
from calando.records.record import TestScore

SAMPLES = 1000

# Per strategy: its rate is given or chosen (with the best trial at that place of the grid), how far it is behind, and
# how its runs end.
KINDS = st.tuples(
    st.sampled_from(["given", "low", "middle"]),
    st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.3]),
    st.sampled_from(["finished", "finished", "finished", "diverged", "died", "one diverged"]),
)


class Case:
    """A study whose every score is known beforehand."""

    def __init__(self, fake, kinds, *, most, salt=0, noise=0.004):
        self.fake, self.kinds, self.salt, self.noise = fake, dict(zip("abcdef", kinds, strict=False)), salt, noise
        strategies = [fake.strategy(n, lr=0.1 if kind == "given" else None) for n, (kind, _, _) in self.kinds.items()]
        self.study = fake.study(*strategies, seeds=most, until="decided", beyond=0)

    def score(self, spec):
        kind, gap, _ = self.kinds[spec.strategy.name]
        rng = np.random.default_rng([self.salt, ord(spec.strategy.name), spec.seed])
        off = {"given": 0, "low": spec.lr - 0.01, "middle": abs(np.log10(spec.lr) + 1)}[kind]
        return round(max(0.0, 0.9 - gap - 0.1 * off + self.noise * rng.standard_normal()), 3)

    def record(self, spec):
        ends = self.kinds[spec.strategy.name][2]
        if ends == "one diverged":
            ends = "diverged" if spec.seed == 1 else "finished"
        return self.fake.record(spec, ends if ends != "finished" else self.score(spec))

    def test(self, record):
        failed = record.outcome != "finished"
        loss = np.inf if record.outcome == "diverged" else 0.1
        return TestScore(score=self.fake.chance if failed else self.score(record.spec), loss=loss, n=SAMPLES)

    def steps(self, random=None):
        """Every stage from no record to the end; `random` picks what comes next."""
        runs, tests = {}, {}
        while True:
            yield runs, tests
            plans, _ = plan_study(self.study, runs, tests)
            missing = [
                run for one in plans for run in (*one.choice.pending, *one.final_runs) if run.digest() not in runs
            ]
            if missing:
                run = missing[0] if random is None else random.choice(missing)
                runs[run.digest()] = self.record(run)
                continue
            unread = [digest for one in plans for digest in one.finals if digest not in tests]
            if not unread:
                return
            digest = unread[0] if random is None else random.choice(unread)
            tests[digest] = self.test(runs[digest])

    def play(self, random=None):
        *_, (runs, tests) = self.steps(random)
        return runs, tests


@settings(max_examples=25)
@given(
    kinds=st.lists(KINDS, min_size=1, max_size=5),
    most=st.integers(2, 13),
    salt=st.integers(0, 9),
    random=st.randoms(use_true_random=False),
)
def test_no_verdict_is_revoked_no_budget_exceeded_whatever_the_order(fake, kinds, most, salt, random):
    case = Case(fake, kinds, most=most, salt=salt)
    before = None
    for runs, tests in case.steps(random):
        plans, now = plan_study(case.study, runs, tests)
        assert all(
            len(one.finals) <= now.seeds[s.name] <= most for s, one in zip(case.study.strategies, plans, strict=True)
        )
        assert len(now.in_question) >= 1
        if before is not None:
            assert now.looks[: len(before.looks)] == before.looks
            for name, n in before.settled.items():
                assert now.settled[name] == n == now.seeds[name]  # no further seeds
                assert now.comparisons[name] == before.comparisons[name]
            assert not before.decided or now == before
            assert all(now.seeds[name] >= n for name, n in before.seeds.items())
        if before is None or now.looks != before.looks:
            assert summarize(case.study, runs, tests).complete == now.decided
        before = now
    assert before.decided
    # The same study in the plan's own order, and with the records of it shuffled.
    in_order = case.play()
    assert in_order[0].keys() == runs.keys()
    mixed = [dict(random.sample(list(some.items()), len(some))) for some in in_order]
    answer = summarize(case.study, *mixed)
    assert answer.complete
    assert answer.to_json() == summarize(case.study, runs, tests).to_json()


@settings(max_examples=25)
@given(kinds=st.lists(KINDS, min_size=2, max_size=4), salt=st.integers(0, 9))
def test_records_of_later_seeds_change_no_look(fake, kinds, salt):
    """Those that a fixed design of as many seeds would have: found in the store, they decide nothing earlier."""
    case = Case(fake, kinds, most=8, salt=salt)
    runs, tests = case.play()
    told = plan_study(case.study, runs, tests)[1]
    plans, _ = plan_study(case.study.model_copy(update={"until": None}), runs, tests)
    for one in plans:
        for run in one.final_runs:
            runs.setdefault(run.digest(), case.record(run))
            tests.setdefault(run.digest(), case.test(runs[run.digest()]))
    assert plan_study(case.study, runs, tests)[1] == told


@settings(max_examples=25)
@given(
    gaps=st.lists(st.sampled_from([0.0, 1.0, 2.0, 4.0, 9.0]), min_size=2, max_size=6),
    most=st.sampled_from([2, 5, 8, 20]),
    salt=st.integers(0, 99),
)
def test_it_is_the_rule_that_was_simulated(fake, gaps, most, salt):
    case = Case(fake, [("given", 0.004 * gap, "finished") for gap in gaps], most=most, salt=salt)
    names = list(case.kinds)
    scores = [[case.score(case.study.run(s, seed=i)) for i in range(most)] for s in case.study.strategies]
    simulated = play(np.array([scores]), resolution=1 / SAMPLES)
    told = plan_study(case.study, *case.play())[1]
    assert [told.seeds[name] for name in names] == simulated.seeds[0].tolist()
    assert [name in told.settled for name in names] == simulated.worse[0].tolist()
    for name in told.settled:
        assert told.comparisons[name].best == names[simulated.against[0][names.index(name)]]


STUDIES = 3000
AT_MOST = 0.05 + 3.09 * math.sqrt(0.05 * 0.95 / STUDIES)


@pytest.mark.parametrize("most", [5, 20, 50])
@pytest.mark.parametrize("strategies", [2, 3, 4])
def test_over_all_looks_equal_strategies_get_a_verdict_in_at_most_five_percent(strategies, most):
    rng = np.random.default_rng([strategies, most])
    for noise in ("normal", "normal, half of spread 3, the others 1", "skewed (exponential)"):
        found = play(SCALE * NOISES[noise](rng, (STUDIES, strategies, most)))
        assert false_share(found, np.zeros(strategies)) <= AT_MOST, noise


@pytest.mark.parametrize("gaps", [(0, 0, 3), (0, 0, 0.5, 1, 4), (0, 0, 0, 3, 3, 3), (0, 2, 2)])
def test_where_some_are_truly_worse_no_other_is_called_so_more_often(gaps):
    truth = -SCALE * np.array(gaps)
    noise = SCALE * np.random.default_rng(0).standard_normal((STUDIES, len(gaps), 20))
    assert false_share(play(truth[:, None] + noise), truth) <= AT_MOST


def test_control_every_look_at_five_percent_is_far_too_much():
    scores = SCALE * np.random.default_rng(0).standard_normal((STUDIES, 3, 20))
    assert false_share(play(scores, looks=[Look(look.n, 0.05) for look in looks_of(20)]), np.zeros(3)) > 0.12


def test_a_plain_lead_is_found_with_few_seeds():
    scores = SCALE * np.random.default_rng(0).standard_normal((STUDIES, 3, 20))
    scores[:, 0] += 5 * SCALE
    found = play(scores)
    assert found.worse[:, 1:].mean() > 0.999
    assert found.seeds.mean() < 6


@given(
    strategies=st.integers(2, 7),
    seeds=st.integers(2, 12),
    alpha=st.sampled_from([0.05, 0.02, 0.005, 0.001]),
    salt=st.integers(0, 99),
)
def test_an_interval_excludes_zero_exactly_where_its_look_calls_it_worse(strategies, seeds, alpha, salt):
    rng = np.random.default_rng(salt)
    scores = 0.01 * rng.standard_normal((40, strategies, seeds)) - 0.02 * np.arange(strategies)[:, None]
    best = scores.mean(axis=2).argmax(axis=1)
    told, plain = (decide(scores, best, resolution=1e-4, alpha=one) for one in (alpha, 0.05))
    assert (((told.low > 0) | (told.high < 0)) == (told.p <= alpha)).all()
    assert (told.p == plain.p).all()
    assert (told.low <= plain.low).all()
    assert (told.high >= plain.high).all()


def test_far_apart_three_seeds_do_and_level_strategies_get_them_all(fake):
    case = Case(fake, [("given", 0, "finished"), ("given", 0, "finished"), ("given", 0.5, "finished")], most=12)
    answer = summarize(case.study, *case.play())
    worst = answer.results[-1]
    assert (worst.name, worst.seeds_done, [one.seeds_done for one in answer.results[:2]]) == ("c", 3, [12, 12])
    level, settled = answer.comparisons
    assert (level.verdict, level.n) == ("cannot distinguish", 12)
    assert (settled.verdict, settled.n, settled.level) == ("worse", 3, pytest.approx(0.9978, abs=1e-4))
    assert answer.saved.looks == (3, 5, 8, 12)
    assert (answer.saved.finals, answer.saved.of_finals) == (27, 36)
    assert (answer.saved.updates, answer.saved.of_updates) == (27 * fake.steps, 36 * fake.steps)
    assert answer.to_json()["saved"]["most"] == 12


def test_what_is_not_fully_tuned_is_given_no_verdict_and_no_seeds_for_one(fake):
    """Its best trial lies at its grid's edge: where nothing else is open, no seed can settle it."""
    case = Case(fake, [("given", 0, "finished"), ("low", 0.006, "finished")], most=20)
    answer = summarize(case.study, *case.play())
    assert [one.seeds_done for one in answer.results] == [3, 3]
    assert answer.comparisons[0].verdict == "no verdict"


def test_where_nothing_learns_the_first_look_is_the_last(fake):
    case = Case(fake, [("given", 0, "diverged"), ("given", 0, "died")], most=20)
    answer = summarize(case.study, *case.play())
    assert answer.complete
    assert {one.seeds_done for one in answer.results} == {3}
    assert "No verdict: every final run" in answer.headline


def test_one_that_fails_is_settled_and_is_not_the_best_of_anything(fake):
    case = Case(fake, [("given", 0.0, "finished"), ("given", 0.0, "diverged")], most=20)
    answer = summarize(case.study, *case.play())
    assert (answer.best, answer.comparisons[0].verdict, answer.saved.finals) == ("a", "worse", 6)


def test_another_best_later_is_not_held_against_what_was_settled_before(fake):
    """c is settled against a; b comes out ahead of a, undecided: nothing says that b beats c."""
    for salt in range(200):
        case = Case(
            fake, [("given", 0, "finished"), ("given", 0, "finished"), ("given", 0.3, "finished")], most=5, salt=salt
        )
        answer = summarize(case.study, *case.play())
        settled = answer.comparisons[1]
        if settled.strategy == "c" and settled.best != answer.best and settled.n == 3:
            break
    assert answer.comparisons[0].verdict == "cannot distinguish"
    assert answer.headline.endswith(f" c is worse than {settled.best}.")
    assert "beats" not in answer.headline


@pytest.mark.parametrize("most", range(2, 101))
def test_looks_end_at_the_last_seed_and_spend_no_more_than_they_may(most):
    looks = looks_of(most)
    assert looks[-1].n == most
    assert [look.n for look in looks] == sorted({look.n for look in looks})
    assert [look.n for look in looks[:-1]] == [n for n in LADDER if n < most]
    assert all(0 < look.level <= 0.05 for look in looks)
    # Below 20 seeds the levels add up to 5% at most, so whatever the scores they hold; from there on by simulation.
    assert most >= USUAL_MOST or sum(look.level for look in looks) <= max(0.05 + 1e-9, sum(LEVELS[:5]))


@pytest.mark.parametrize("most", [n for n in range(2, 101) if may_go_on_from(n)])
def test_more_seeds_later_leave_every_look_as_it_was(most):
    before = looks_of(most)
    assert all(looks_of(more)[: len(before)] == before for more in range(most, 500, 7))


def test_a_study_of_a_fixed_number_of_seeds_is_written_and_named_as_ever(fake):
    study = fake.study(fake.strategy("a", lr=0.1), seeds=3)
    assert "until" not in study.model_dump_json()
    until = study.model_copy(update={"until": "decided"})
    assert until.digest() != study.digest()
    assert type(study).model_validate_json(until.model_dump_json()) == until
    with pytest.raises(UsageError, match="most_seeds must be from 2 to 1000"):
        fake.study(fake.strategy("a", lr=0.1), seeds=1, until="decided")
