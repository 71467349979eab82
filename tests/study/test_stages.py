"""Pasts that are equal are one: told apart where they differ, trained once, and the same to the bit."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.small_runs import Bare, Counting, a_run, a_workload, bits

from calando.errors import CorruptFile, UsageError
from calando.methods import METHODS
from calando.records import RunSpec, WorkloadSpec
from calando.strategy import parse_strategy
from calando.study.stages import RunPath, StageTree, part_at
from calando.study.verify import quick_doubt, thorough_doubt
from calando.training.checkpoint import Place, load_weights
from calando.training.loop import execute

STEPS = 24
FORKED = 9


def families() -> list[tuple[str, str]]:
    """For every method two runs that go apart before update FORKED, and for some the same values by other means."""
    pairs = []
    for method in METHODS.values():
        rate = method.usual_rate
        if method.schedules == "any":
            first = f"{method.name}(lr={rate}) | linear(0.5, 1, over={FORKED - 1}) >> constant(1)"
            pairs.append((first, f"{method.name}(lr={rate}) | linear(0.5, 1, over={FORKED - 1}) >> cosine(1, 0)"))
            pairs.append(
                (f"{method.name}(lr={rate})", f"{method.name}(lr={2 * rate}) | constant(0.5, over=8) >> linear(0.5, 0)")
            )
        else:
            pairs.append((f"{method.name}(lr={rate})", f"{method.name}(lr={rate})"))
    for before, after in (
        ("sgd(lr=0.05, momentum=0.9)", " | plateau(patience=2)"),
        ("sgd(lr=0.05)", " | ema(decay=0.9)"),
        ("sgd(lr=0.05)", " | rollback(every=2, warmup=3, tries=4)"),
        ("sgd(lr=0.05)", " | edge(until=5)"),
    ):
        pairs.append((before + after, f"{before} | multistep(at=[9], factor=0.1){after}"))
    momentum = "sgd(lr=0.05, momentum=0.9) | momentum:"
    pairs.append((f"{momentum} constant(1)", f"{momentum} multistep(at=[9], factor=0.1)"))
    return pairs


@pytest.mark.parametrize(("one", "other"), families())
def test_a_run_from_a_fork_equals_the_same_run_trained_alone(tmp_path, one, other):
    workload = a_workload()
    # A longer horizon too, so that the two are never the same run.
    first, second = a_run(one, workload, steps=STEPS), a_run(other, workload, steps=STEPS + 7)
    step = part_at(RunPath(first), RunPath(second))
    if step == 0:
        assert METHODS[first.strategy.method].keeps_base
        return
    assert step >= FORKED
    fork = RunPath(first).fork(step, seed=0)
    assert fork == RunPath(second).fork(step, seed=0)
    alone = [execute(spec, workload, folder=tmp_path / spec.digest(), keep=True) for spec in (first, second)]
    place, left = Place(tmp_path / "fork", fork.address), []
    carrying = execute(first, workload, folder=tmp_path / "one", keep=True, leaves={step: place}, left=left.append)
    forked = execute(second, workload, folder=tmp_path / "two", keep=True, origin=place)
    assert left == [step]
    assert bits(carrying) == bits(alone[0])
    assert bits(forked) == bits(alone[1])
    # Where the carrying run diverges before the fork, the other one has nothing left to do.
    past = min(step, alone[0].steps_done)
    twice = METHODS[first.strategy.method].closure == "again"
    passes = past if twice else alone[0].second_passes  # edge looks at the first updates alone
    assert (carrying.inherited, forked.inherited) == (0, past + passes)
    assert (forked.updates, forked.second_passes) == (alone[1].updates, alone[1].second_passes)
    for ours, theirs in (("one", first), ("two", second)):
        nets = [workload.build(), workload.build()]
        load_weights(nets[0], tmp_path / ours)
        load_weights(nets[1], tmp_path / theirs.digest())
        for a, b in zip(nets[0].state_dict().values(), nets[1].state_dict().values(), strict=True):
            assert a.numpy().tobytes() == b.numpy().tobytes()


SHAPES = st.sampled_from(
    [
        "",
        "constant(1)",
        "multistep(at=[10], factor=0.1)",
        "multistep(at=[10, 20], factor=0.1)",
        "step(every=10, factor=0.1)",
        "linear(0, 1, over=5) >> constant(1)",
        "linear(0, 1, over=5) >> cosine(1, 0)",
        "constant(1, over='80%') >> linear(1, 0)",
        "constant(0.5)",
        "per_group({'decay': cosine(1, 0)}, others=1)",
    ]
)
RUNS = st.lists(st.tuples(SHAPES, st.sampled_from([0.1, 0.05]), st.integers(1, 40)), min_size=1, max_size=8)


def run_of(shape: str, lr: float, steps: int):
    text = f"sgd(lr={lr}, weight_decay=0.1)" + (f" | {shape}" if shape else "")
    strategy = parse_strategy(text)
    workload = WorkloadSpec(data="digits")
    return RunSpec(workload=workload, strategy=strategy, steps=steps, steps_per_epoch=10, evaluate_every=10, seed=0)


def fits(run: tuple) -> bool:
    try:
        RunPath(run_of(*run))
    except UsageError:  # longer than the horizon
        return False
    return True


def prefixes(path: RunPath) -> set:
    """Every past of a run, by what it is rather than by a digest; the last update makes it the run's own."""
    values = np.stack([np.broadcast_to(column, path.steps) for column in path.columns])
    own = path.digest
    return {(path.key, values[:, : t + 1].tobytes(), own if t == path.steps - 1 else "") for t in range(path.steps)}


@settings(max_examples=60)
@given(runs=RUNS.map(lambda runs: [run for run in runs if fits(run)]))
def test_the_tree_has_as_many_updates_as_there_are_different_pasts(runs):
    tree = StageTree()
    paths = {path.digest: path for path in (tree.add(run_of(*run)) for run in runs)}
    assert tree.updates() == len(set().union(*map(prefixes, paths.values())) if paths else ())
    for one in paths.values():
        for other in paths.values():
            if one is other:
                continue
            apart = part_at(one, other)
            assert apart == len(prefixes(one) & prefixes(other)) == part_at(other, one)
            if apart:
                assert apart in tree.branchings(one)
            for step in range(min(one.steps, other.steps)):
                assert (one.fork(step, seed=1) == other.fork(step, seed=1)) == (step <= apart and one.key == other.key)


@pytest.mark.parametrize("at", [3, 9, 14, 21, 33])
def test_what_a_rewind_takes_back_is_no_past_of_others(tmp_path, at):
    """Forks before, between and after rewinds; a step that is passed twice is left at its first passing."""
    workload = a_workload(Bare)
    shapes = "", f" | multistep(at=[{at}], factor=0.5)"
    specs = [
        a_run(f"sgd(lr=400.0, momentum=0.9){shape} | rollback(every=2, warmup=3, tries=4)", workload, steps=40)
        for shape in shapes
    ]
    assert part_at(*map(RunPath, specs)) == at
    alone = [execute(spec, workload) for spec in specs]
    assert alone[0].undone > 0
    place = Place(tmp_path / "fork", "mine")
    assert bits(execute(specs[0], workload, leaves={at: place})) == bits(alone[0])
    forked = execute(specs[1], workload, origin=place)
    assert bits(forked) == bits(alone[1])
    assert (forked.skips, forked.undone, forked.steps_done) == (alone[1].skips, alone[1].undone, alone[1].steps_done)
    assert at <= forked.inherited <= forked.steps_done + forked.undone


def test_addresses_tell_seeds_apart():
    path = RunPath(run_of("", 0.1, 20))
    assert len({path.fork(10, seed=seed).address for seed in range(5)}) == 5


def test_five_horizons_of_a_plateau_that_decays_cost_much_less_than_one_by_one():
    """Warmup, stable, decay over the last fifth: horizons T/5, 2T/5, …, T are 1.4 T (and a last update each)."""
    tree, longest = StageTree(), 1000
    for share in (1, 2, 3, 4, 5):
        tree.add(run_of("linear(0, 1, over=20) >> constant(1, over='80%') >> linear(1, 0)", 0.1, longest * share // 5))
    assert tree.updates() <= 1.41 * longest + 5 * 21


def test_what_is_not_a_value_keeps_pasts_apart():
    one = run_of("", 0.1, 20)
    for change in (
        {"seed": 1},
        {"lane": one.lane.model_copy(update={"precision": "bf16"})},
        {"evaluate_every": 5},
        {"workload": one.workload.model_copy(update={"batch_size": 7})},
        {"skips": ((3, 1),)},
    ):
        other = one.model_copy(update=change)
        seeds = one.seed, other.seed
        forks = [RunPath(run).fork(10, seed=seed) for run, seed in zip((one, other), seeds, strict=True)]
        assert forks[0] != forks[1], change
    plain, held = (RunPath(run_of(shape, 0.1, 20)) for shape in ("", "plateau(patience=3)"))
    assert part_at(plain, held) == 0


def test_what_cannot_be_forked_is_found_out():
    workload = a_workload(Counting)
    spec = a_run("sgd(lr=0.05)", workload, steps=STEPS)
    assert "loss of update 2" in quick_doubt(spec, workload)
    paths = [
        RunPath(a_run(f"sgd(lr=0.05){shape}", workload, steps=STEPS)) for shape in ("", " | step(every=9, factor=0.1)")
    ]
    assert "loss of update 9" in thorough_doubt(paths, workload)
    fine = a_workload()
    assert quick_doubt(a_run("adam(lr=0.05)", fine, steps=STEPS), fine) == ""
    assert thorough_doubt(paths, fine) == ""


def test_a_damaged_fork_is_noticed(tmp_path):
    workload = a_workload()
    spec = a_run("sgd(lr=0.05)", workload, steps=STEPS)
    place = Place(tmp_path / "fork", "mine")
    execute(spec, workload, leaves={9: place})
    with pytest.raises(CorruptFile, match="belongs to another"):
        execute(spec, workload, origin=dataclasses.replace(place, owner="theirs"))
    (tensors,) = place.folder.glob("tensors-*")
    tensors.write_bytes(tensors.read_bytes()[:-1])
    with pytest.raises(CorruptFile, match="checksum"):
        execute(spec, workload, origin=place)
