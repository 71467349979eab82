"""`--lr find`: range tests come first, move the grids, are charged, and survive what kills a study."""

import math
import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.study.study_kit import decided, workers_under

from calando.errors import UsageError
from calando.range_test import find_for_run
from calando.records import RangeRecord, Store
from calando.schedules.span import Horizon
from calando.strategy import parse_strategy
from calando.study.build_spec import build_run, build_study
from calando.study.conduct import conduct
from calando.study.grid_from_range_test import centre_grids, centre_of, is_centred, range_run, range_runs
from calando.study.limits import Budget, Machine
from calando.study.plan import Plan
from calando.tasks.catalog import resolve

FOUND = RangeRecord(decayed=(0.3, 0.2, 0.4), constant=(0.2, 0.1, 0.3), doubts=(), updates=50, seconds=1.0)
DOUBTED = RangeRecord(decayed=(0.3, 0.2, 0.4), constant=None, doubts=("noise",), updates=50, seconds=1.0)


def ask(*strategies: str, lr="find"):
    return build_study(
        resolve("digits", batch_size=32),
        strategies or ("fixed", "cosine", "adam"),
        budget=Budget(steps=24),
        machine=Machine(device="cpu"),
        seeds=2,
        rates=2,
        span=4,
        lr=lr,
    )


@pytest.fixture(scope="module")
def undisturbed(made_once):
    def make(folder):
        asked = ask()
        return folder / "study", conduct(folder / "study", asked.study, asked.task, executor="inline")

    return made_once("found-first", make)


def test_range_tests_are_planned_first_and_shared_by_equal_methods():
    study = ask().study
    plan = Plan(study, runs={}, tests={}, ranges={})
    assert [job.spec.strategy.method for job in plan.finds] == ["sgd", "adam"]
    assert not plan.wanted
    assert not plan.trained
    first, second = range_runs(study)
    assert Plan(study, runs={}, tests={}, ranges={first: FOUND}).finds == [plan.finds[1]]
    settled = Plan(centre_grids(study, {first: FOUND, second: DOUBTED}), runs={}, tests={}, ranges={})
    assert not settled.finds
    assert len(settled.wanted) == 3 * 2


def test_grids_are_centred_on_what_a_range_test_of_the_very_run_finds(undisturbed):
    folder, summary = undisturbed
    asked = ask()
    for name, rule in (("fixed", "constant"), ("cosine", "decayed"), ("adam", "constant")):
        strategy = asked.study.strategy(name)
        found = find_for_run(range_run(asked.study.run(strategy.at_rate(1.0), seed=0)), asked.task)
        rate = getattr(found.suggestion, rule).rate
        assert found.suggestion.reliable
        low, high = summary.spec.rate_grids[name]
        assert math.isclose(math.sqrt(low * high), rate, rel_tol=0.01)  # grids have three digits
        assert math.isclose(high / low, 4, rel_tol=0.01)
        assert summary.spec.centres[name].updates == found.updates
    with Store.open(folder, read_only=True) as store:
        assert store.asked == asked.study
        assert store.study == summary.spec
        assert len(store.ranges()) == 2


def test_a_range_test_is_charged_to_each_strategy_and_counted_once_in_all(undisturbed):
    _, summary = undisturbed
    centres = summary.spec.centres
    for result in summary.results:
        assert result.steps_trials == 24 * len(result.trials) + centres[result.name].updates
        assert f"range test of {centres[result.name].updates} updates: grid centred on " in result.note
    trained = sum(result.steps_trials + result.steps_final for result in summary.results)
    assert summary.updates == trained - centres["fixed"].updates  # cosine has the same one


def test_a_method_added_later_gets_its_own_range_test(tmp_path):
    notes = []

    def listen(status) -> None:
        notes.extend(note for note in status.notes if note not in notes)

    for names in (("fixed",), ("fixed", "adam")):
        asked = ask(*names)
        summary = conduct(tmp_path / "study", asked.study, asked.task, executor="inline", listen=listen)
        assert summary.complete
    assert summary.spec.centres.keys() == {"fixed", "adam"}
    assert [note.partition(":")[0] for note in notes if "range test" in note] == ["fixed", "adam"]
    with Store.open(tmp_path / "study", read_only=True) as store:
        assert len(store.ranges()) == 2


def test_a_killed_range_test_is_made_again_and_the_study_ends_the_same(undisturbed, tmp_path):
    asked, killed = ask(), set()

    def murder(status) -> None:
        if status.finds and status.running and not killed:
            worker = workers_under(os.getpid())[0]
            killed.add(worker)
            os.kill(worker, signal.SIGKILL)

    conduct(tmp_path / "study", asked.study, asked.task, executor="process", workers=2, listen=murder)
    assert killed
    assert decided(tmp_path / "study") == decided(undisturbed[0])


def test_stopped_between_range_tests_and_training_it_goes_on_without_making_them_again(undisturbed, tmp_path):
    asked, folder = ask(), tmp_path / "study"

    def stop(status) -> None:
        if any("grid centred" in note for note in status.notes):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conduct(folder, asked.study, asked.task, executor="inline", listen=stop)
    with Store.open(folder, read_only=True) as store:
        first = store.study
    assert first.centres
    conduct(folder, asked.study, asked.task, executor="inline")
    with Store.open(folder, read_only=True) as store:
        assert store.study == first  # seconds and all
    assert decided(folder) == decided(undisturbed[0])


@given(factor=st.floats(0.01, 100), peak=st.sampled_from([0.5, 1, 4]))
def test_the_base_rate_is_what_makes_the_schedule_peak_at_what_was_found(factor, peak):
    found = RangeRecord(
        decayed=(0.3 * factor, 0.2 * factor, 0.4 * factor), constant=(factor, factor, factor), doubts=(), updates=1,
        seconds=0.0,
    )  # fmt: skip
    for text, rate in ((f"linear({peak}, 0)", 0.3 * factor), (f"constant({peak})", factor)):
        centre = centre_of(parse_strategy(f"sgd | {text}"), found, Horizon(100, 10))
        assert centre.lr is not None
        assert math.isclose(centre.lr * peak, rate, rel_tol=0.005)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("sgd", 0.2),
        ("sgd | linear(0, 1, over='10%') >> constant(1)", 0.2),
        ("sgd | cosine(1, 0)", 0.3),
        ("sgd | cosine(1, 0.6)", 0.2),
        ("sgd | plateau(patience='10%')", 0.3),
        ("sgd | rollback()", 0.2),
        ("sgd(weight_decay=0.1) | per_group({'no_decay': cosine(2, 0)}, others=cosine(1, 0))", 0.15),
        ("sgd | momentum: linear(1, 0)", 0.2),
    ],
)
def test_which_of_the_two_rates_a_strategy_gets(text, rate):
    assert centre_of(parse_strategy(text), FOUND, Horizon(1000, 10)).lr == rate


def test_an_unreliable_range_test_leaves_the_usual_grid_and_says_so():
    study = ask("cosine").study
    (digest,) = range_runs(study)
    settled = centre_grids(study, {digest: DOUBTED})
    assert settled.rate_grids == study.rate_grids
    assert settled.centres["cosine"].lr is None
    assert settled.centres["cosine"].doubts == ("noise",)


def test_strategies_that_name_their_rates_leave_nothing_to_find():
    with pytest.raises(UsageError, match="there is no rate to find: every strategy names its own"):
        ask("sgd(lr=0.1) | cosine(1, 0)")
    with pytest.raises(UsageError, match="there is no rate to find"):
        build_run(resolve("digits"), "sgd(lr=0.1)", budget=Budget(steps=4), machine=Machine(device="cpu"), lr="find")
    with pytest.raises(UsageError, match="lr must be a positive finite number or \"find\", got 'fnd'"):
        ask("cosine", lr="fnd")
    mixed = ask("sgd(lr=0.1) | cosine(1, 0)", "cosine").study
    assert [run.strategy.method for run in range_runs(mixed).values()] == ["sgd"]


def test_methods_that_work_their_rate_out_are_passed_over_and_it_is_said_why(tmp_path):
    why = "dog works its step size out by itself and the rate only multiplies it: take lr=1"
    for texts in (("dog",), ("dog(lr=auto)",), ("dog", "sgd(lr=0.1)")):
        with pytest.raises(UsageError, match=f"there is no rate to find: {why}, and leave lr=find out"):
            ask(*texts)
    with pytest.raises(UsageError, match=why):
        build_run(resolve("digits"), "dog(lr=auto)", budget=Budget(steps=4), machine=Machine(device="cpu"), lr="find")
    study = ask("dog", "b = dog(lr=auto, gamma=4)", "sgd").study
    ((digest, run),) = range_runs(study).items()
    assert run.strategy.method == "sgd"
    settled = centre_grids(study, {digest: FOUND})
    assert {name: (centre.lr, centre.updates) for name, centre in settled.centres.items() if name != "sgd"} == {
        "dog": (None, 0),
        "b": (None, 0),
    }
    assert settled.centres["b"].doubts == (why,)
    assert settled.rate_grids["b"] == study.rate_grids["b"]
    assert is_centred(settled)
    assert not is_centred(study)


number = st.floats(1e-12, 1e4)
told = st.none() | st.tuples(number, number, number)


@given(
    record=st.builds(
        RangeRecord, decayed=told, constant=told, doubts=st.lists(st.text()).map(tuple), updates=st.integers(0, 2**53),
        seconds=st.floats(0, 1e9),
    )
)  # fmt: skip
def test_a_range_record_comes_back_from_the_store_as_it_was(record, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranges")
    with Store.create(folder, ask("cosine").study, fingerprint="0") as store:
        store.put_range("a", record)
        store.put_range("a", FOUND)
        assert store.ranges() == {"a": record}
