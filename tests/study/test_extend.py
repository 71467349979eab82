"""A larger question put to a study: what may grow, what must stay, and that nothing made is lost."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.study.study_kit import all_runs

from calando.analysis import log_grid
from calando.errors import UsageError
from calando.records import Lane, RangeRecord, StrategySpec, StudySpec, WorkloadSpec
from calando.study.extend import extended
from calando.study.grid_from_range_test import centre_grids, range_runs

FOLDER = Path("studies/mine")
PER_EPOCH = 10
FOUND = RangeRecord(decayed=(0.3, 0.2, 0.4), constant=(0.2, 0.1, 0.3), doubts=(), updates=50, seconds=1.0)
OTHER = RangeRecord(decayed=(0.9, 0.8, 1.0), constant=(0.7, 0.6, 0.8), doubts=(), updates=70, seconds=2.0)

# What is trained, without a name or a length.
KINDS = (
    {"method": "sgd", "lr": 0.1},
    {"method": "sgd", "lr": 0.2},
    {"method": "sgd"},
    {"method": "sgd", "options": {"momentum": 0.9}},
    {"method": "sgd", "schedules": {"lr": "cosine(1, 0)"}},
    {"method": "adam", "average": "ema(decay=0.9)"},
    {"method": "adam", "controllers": ("rollback()",)},
)
PARTS = st.lists(st.tuples(st.sampled_from(range(len(KINDS))), st.integers(1, 12)), min_size=1, max_size=6, unique=True)


def a_study(parts, *, names="{}", spell="{} epochs", **changes) -> StudySpec:
    """Of (kind, epochs)."""
    lengths = [epochs for _, epochs in parts]
    strategies = [
        StrategySpec(name=names.format(f"{kind} at {epochs}"), horizon=spell.format(epochs), **KINDS[kind])
        for kind, epochs in parts
    ]
    fields = {
        "workload": WorkloadSpec(data="digits"),
        "strategies": tuple(strategies),
        "rate_grids": {one.name: (0.01, 0.1, 1.0) for one in strategies if one.lr is None},
        "seeds": 3,
        "steps": PER_EPOCH * max(lengths),
        "steps_per_epoch": PER_EPOCH,
        "evaluate_every": PER_EPOCH * min(lengths),
    }
    return StudySpec(**{**fields, **changes})


@given(PARTS, PARTS, st.integers(0, 3), st.randoms(use_true_random=False))
def test_a_larger_question_keeps_every_run_there_is_and_its_own_names(old, more, seeds, random):
    both = list(dict.fromkeys([*old, *more]))
    random.shuffle(both)
    asked = a_study(old)
    new = a_study(both, names="new {}", seeds=3 + seeds)
    larger = extended(new, asked=asked, settled=asked, folder=FOLDER)
    assert larger.study == larger.asked
    assert all_runs(asked) <= all_runs(larger.asked)
    assert [one.name for one in larger.asked.strategies] == [one.name for one in new.strategies]
    assert larger.asked == new.model_copy(update={"evaluate_every": asked.evaluate_every})
    assert extended(new, asked=larger.asked, settled=larger.study, folder=FOLDER) == larger
    StudySpec.model_validate_json(larger.study.model_dump_json())


@given(PARTS)
def test_the_same_question_changes_nothing_however_its_lengths_are_spelt(parts):
    asked = a_study(parts)
    assert extended(asked, asked=asked, settled=asked, folder=FOLDER).asked == asked
    in_steps = a_study(parts, spell="{}0 steps")
    assert all_runs(extended(in_steps, asked=asked, settled=asked, folder=FOLDER).study) == all_runs(asked)


def test_a_study_of_one_length_takes_longer_ones():
    """What `--epochs 4`, then `--epochs 4,8` ask for: a strategy without a horizon is that of the study's length."""
    asked = a_study([(2, 4)])
    plain = asked.strategies[0].without_horizon()
    first = asked.model_copy(update={"strategies": (plain,)})
    larger = extended(a_study([(2, 4), (2, 8)]), asked=first, settled=first, folder=FOLDER)
    assert all_runs(first) < all_runs(larger.study)
    assert larger.study.steps == 8 * PER_EPOCH
    with pytest.raises(UsageError, match=r"holds strategy '2 at 4', whose runs have 40 updates, here 80; ask for both"):
        extended(a_study([(2, 8)]), asked=first, settled=first, folder=FOLDER)


@given(PARTS, st.data())
def test_a_strategy_left_out_is_refused(old, data):
    left = data.draw(st.sampled_from(old))
    rest = [one for one in old if one != left] or [(left[0], left[1] + 1)]
    with pytest.raises(UsageError, match=f"'studies/mine' holds strategy '{left[0]} at {left[1]}', .* another --study"):
        extended(a_study(rest), asked=a_study(old), settled=a_study(old), folder=FOLDER)


SAME = [(0, 4), (2, 4)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"workload": WorkloadSpec(data="digits", batch_size=64)}, r"\(batch_size 64 instead of 128\)"),
        ({"workload": WorkloadSpec(data="digits", clip_norm=1)}, r"\(clip_norm 1.0 instead of None\)"),
        ({"lane": Lane(threads=2)}, r"\(threads 2 instead of 1\)"),
        (
            {"lane": Lane(precision="bf16"), "target": 0.9},
            r"\(precision bf16 instead of fp32; target 0.9 instead of None",
        ),
        ({"steps_per_epoch": 11, "steps": 44}, r"\(steps_per_epoch 11 instead of 10\)"),
        ({"find": True}, r"\(--lr find\)"),
        ({"beyond": 8}, r"\(beyond 8 instead of 4\)"),
        ({"seeds": 2}, "has 3 seeds, got 2; ask for at least 3, or name another --study"),
        (
            {"rate_grids": {"2 at 4": (0.1, 1.0)}},
            r"'2 at 4', at the trial rates 0.01, 0.1, 1, here at the trial rates 0.1, 1; ask",
        ),
    ],
)
def test_anything_else_is_refused_in_one_line(changes, says):
    asked = a_study(SAME)
    with pytest.raises(UsageError, match=says) as caught:
        extended(a_study(SAME, **changes), asked=asked, settled=asked, folder=FOLDER)
    assert "\n" not in str(caught.value)
    assert "'studies/mine'" in str(caught.value)


def test_a_study_of_an_old_store_grows_by_the_rule_it_was_begun_with():
    """Half of its strategies tuned by one rule, half by another, would not be compared fairly."""
    asked = a_study([(2, 4)], beyond=None)
    larger = extended(a_study([(2, 4), (3, 4)]), asked=asked, settled=asked, folder=FOLDER)
    assert (larger.asked.beyond, larger.study.beyond) == (None, None)
    assert extended(a_study([(2, 4)]), asked=asked, settled=asked, folder=FOLDER).asked == asked
    with pytest.raises(UsageError, match=r"\(beyond 2 instead of the one rate of the calando that began it\)"):
        extended(a_study([(2, 4)], beyond=2), asked=asked, settled=asked, folder=FOLDER)


def test_a_study_of_an_old_store_keeps_its_rates_as_they_were_written():
    """What is 0.05 today was 0.0501: the same command is the same question."""
    old, now = (0.0316, 0.0501, 0.0794, 0.126, 0.2, 0.316), log_grid(0.1, 10, 6)
    assert now == (0.0316, 0.05, 0.0794, 0.126, 0.2, 0.316)
    asked = a_study([(2, 4)], rate_grids={"2 at 4": old}, beyond=None)
    assert (
        extended(a_study([(2, 4)], rate_grids={"2 at 4": now}), asked=asked, settled=asked, folder=FOLDER).asked
        == asked
    )
    with pytest.raises(UsageError, match="at the trial rates"):
        extended(
            a_study([(2, 4)], rate_grids={"2 at 4": log_grid(0.1, 11, 6)}), asked=asked, settled=asked, folder=FOLDER
        )


@pytest.mark.parametrize("old", [None, 4, 7])
def test_how_far_grids_go_on_may_come_with_the_first_open_rate(old):
    asked = a_study([(0, 4)], beyond=old)
    assert extended(a_study([(0, 4), (2, 4)], beyond=2), asked=asked, settled=asked, folder=FOLDER).study.beyond == 2


def test_a_study_keeps_the_name_it_had_before_this_could_be_asked():
    """Its folder is named after its digest: the same command finds it again."""
    asked = a_study([(2, 4)])
    assert asked.digest() == a_study([(2, 4)], beyond=None).digest() != a_study([(2, 4)], beyond=8).digest()


def test_a_rate_that_was_given_is_not_another():
    asked, other = a_study([(0, 4)]), a_study([(1, 4)])
    with pytest.raises(UsageError, match=r"at the rate 0.1, here at the rate 0.2; ask"):
        extended(other, asked=asked, settled=asked, folder=FOLDER)


@given(PARTS, PARTS, st.booleans())
def test_settled_grids_stay_and_only_new_methods_are_tested(old, more, renamed):
    """Range tests of the old study said one thing, those of the larger one, had they been made anew, another."""
    both = list(dict.fromkeys([*old, *more]))
    asked = a_study(old, find=True)
    settled = centre_grids(asked, dict.fromkeys(range_runs(asked), FOUND))
    new = a_study(both, find=True, names="new {}" if renamed else "{}")
    larger = extended(new, asked=asked, settled=settled, folder=FOLDER)
    assert larger.asked.centres == {}
    assert larger.asked.rate_grids == new.rate_grids
    assert all_runs(settled) <= all_runs(larger.study)
    names = {part: one.name for part, one in zip(both, new.strategies, strict=True)}
    opened = {names[part] for part in old if "lr" not in KINDS[part[0]]}
    assert larger.study.centres.keys() == opened
    known = dict.fromkeys(range_runs(settled.model_copy(update={"centres": {}})), FOUND)
    todo = range_runs(larger.study)
    after = centre_grids(larger.study, {**dict.fromkeys(todo, OTHER), **known})
    assert range_runs(after) == {}
    assert all_runs(settled) <= all_runs(after)
    again = extended(new, asked=larger.asked, settled=after, folder=FOLDER)
    assert again.study == after


def test_before_range_tests_are_made_there_is_nothing_to_keep():
    asked, new = a_study([(2, 4)], find=True), a_study([(2, 4), (5, 4)], find=True)
    larger = extended(new, asked=asked, settled=asked, folder=FOLDER)
    assert larger.study.centres == {}
    assert len(range_runs(larger.study)) == 2


def test_range_tests_may_come_with_the_first_open_rate():
    asked = a_study([(0, 4)])
    larger = extended(a_study([(0, 4), (2, 4)], find=True), asked=asked, settled=asked, folder=FOLDER)
    assert larger.asked.find
    moved = a_study([(0, 4), (2, 4)], find=True)
    with pytest.raises(UsageError, match=r"\(no --lr find\)"):
        extended(a_study([(0, 4), (2, 4)]), asked=moved, settled=moved, folder=FOLDER)
