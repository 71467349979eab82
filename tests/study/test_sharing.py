"""Studies whose runs share pasts: the same bits as alone, the fewest updates, whatever is added, lost or dropped."""

import dataclasses
import inspect
import random
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.study.study_kit import decided
from tests.training.small_runs import Bare, Counting

import calando
from calando.errors import UsageError
from calando.records import Store
from calando.study import limits
from calando.study.build_spec import build_study
from calando.study.checkpoint_cache import CheckpointCache, fork_folder
from calando.study.conduct import conduct
from calando.study.jobs import Finished, Left, Stopped
from calando.study.limits import Budget, Machine
from calando.study.plan import Plan
from calando.study.run_queue import RunQueue
from calando.study.scheduler import Scheduler
from calando.study.stages import LEAST_SHARED, StageTree
from calando.tasks.catalog import resolve
from calando.training.checkpoint import drop_checkpoint

KEEP = 10**9
SGD = "sgd(lr=auto, momentum=0.9)"
STRATEGIES = (
    f"fixed = {SGD}",
    f"step = {SGD} | step(every=10, factor=0.1)",
    f"multistep = {SGD} | multistep(at=[10, 20], factor=0.1)",
    f"wsd = {SGD} | constant(1, over='75%') >> linear(1, 0)",
    f"short = {SGD} | constant(1, over='75%') >> linear(1, 0) | horizon('20 steps')",
    f"held = {SGD} | plateau(patience=8)",
)
WORKLOAD = resolve("digits", batch_size=16, train_limit=160)


def ask(*strategies: str, **changes):
    options = {"seeds": 2, "rates": 2, "steps": 32, **changes}
    budget = Budget(steps=options.pop("steps"))
    return build_study(WORKLOAD, strategies or STRATEGIES, budget=budget, machine=Machine(device="cpu"), **options)


def contents(folder: Path) -> dict:
    """All that a study concluded from; the names of its strategies are left out."""
    whole = decided(folder)
    return {"runs": whole["runs"], "tests": whole["tests"]}


def trained(folder: Path) -> int:
    with Store.open(folder, read_only=True) as store:
        return sum(run.updates_spent for run in store.runs(traces=False).values())


def fewest(folder: Path) -> int:
    """What the tree of pasts allows."""
    trees: dict[int, StageTree] = {}
    with Store.open(folder, read_only=True) as store:
        for run in store.runs(traces=False).values():
            trees.setdefault(run.spec.seed, StageTree()).add(run.spec)
    return sum(tree.updates(least=LEAST_SHARED) for tree in trees.values())


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The study of this page with every run trained alone."""
    folder = tmp_path_factory.mktemp("alone") / "study"
    asked = ask()
    summary = conduct(folder, asked.study, asked.task, executor="inline", sharing="none")
    with Store.open(folder, read_only=True) as store:
        assert not any(run.inherited for run in store.runs().values())
    return folder, summary


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_sharing_changes_no_bit_and_trains_the_fewest_updates(alone, tmp_path, executor):
    asked = ask()
    summary = conduct(tmp_path, asked.study, asked.task, executor=executor, workers=2, sharing="verified")
    assert contents(tmp_path) == contents(alone[0])
    assert (summary.best, summary.headline) == (alone[1].best, alone[1].headline)
    assert trained(tmp_path) == fewest(tmp_path) < 0.75 * trained(alone[0])
    charged = {result.name: (result.steps_trials, result.steps_final) for result in summary.results}
    assert charged == {result.name: (result.steps_trials, result.steps_final) for result in alone[1].results}


@settings(max_examples=3)
@given(random=st.randoms(use_true_random=False))
def test_whatever_is_stopped_lost_or_dropped_the_bits_stay(alone, tmp_path_factory, random):
    """A listener that stops the study at random moments; between, forks and checkpoints vanish or rot."""
    stop_and_hurt(alone, tmp_path_factory, random)


@pytest.mark.torture
@settings(max_examples=20)
@given(random=st.randoms(use_true_random=False))
def test_however_often_it_is_stopped_the_bits_stay(alone, tmp_path_factory, random):
    stop_and_hurt(alone, tmp_path_factory, random)


def stop_and_hurt(alone, tmp_path_factory, random) -> None:
    folder = tmp_path_factory.mktemp("hurt") / "study"
    asked = ask()

    def stop(status) -> None:
        if random.random() < 0.1:
            raise KeyboardInterrupt

    for turn in range(100):
        try:
            conduct(folder, asked.study, asked.task, executor="inline", listen=stop if turn < 12 else None)
            break
        except KeyboardInterrupt:
            hurt(folder, random)
    assert contents(folder) == contents(alone[0])


def hurt(folder: Path, rng: random.Random) -> None:
    places = [*(folder / "forks").glob("*"), *(folder / "checkpoints").glob("*")]
    for place in rng.sample(places, k=min(2, len(places))):
        match rng.randrange(3):
            case 0:
                shutil.rmtree(place)
            case 1:
                for path in place.glob("tensors-*"):
                    path.write_bytes(b"ruined")
            case 2:
                (place / "state.json").write_bytes(b"{")


@pytest.mark.parametrize("keep", [0, 200_000])
def test_a_budget_costs_time_and_no_result(alone, tmp_path, keep):
    asked = ask()
    conduct(tmp_path, asked.study, asked.task, executor="inline", keep=keep)
    assert contents(tmp_path) == contents(alone[0])
    left = [*(tmp_path / "forks").rglob("*.safetensors"), *(tmp_path / "checkpoints").rglob("*.safetensors")]
    assert sum(path.stat().st_size for path in left) <= keep
    assert fewest(tmp_path) <= trained(tmp_path)


def test_what_is_added_starts_from_what_is_there(tmp_path):
    """More strategies, more seeds, a longer run: only what is new is trained, and it is what it is alone."""
    first, plain = tmp_path / "grown", tmp_path / "whole"
    short = f"{SGD} | constant(1, over='75%') >> linear(1, 0)"
    steps = []
    for strategies, options in (
        ((f"fixed = {SGD}",), {"seeds": 1, "steps": 20}),
        ((f"fixed = {SGD}", f"step = {SGD} | step(every=10, factor=0.1)"), {"seeds": 1, "steps": 20}),
        ((f"fixed = {SGD}", f"step = {SGD} | step(every=10, factor=0.1)"), {"seeds": 2, "steps": 20}),
    ):
        asked = ask(*strategies, **options)
        conduct(first, asked.study, asked.task, executor="inline")
        steps.append(trained(first))
    assert steps[0] < steps[1] < steps[2]
    assert trained(first) >= fewest(first)
    # Twice as long: the constant rate goes on from where it ended.
    budget = Budget(steps=(20, 40))
    strategies = (f"fixed = {SGD}", f"step = {SGD} | step(every=10, factor=0.1)", f"late = {short}")
    longer = build_study(WORKLOAD, strategies, budget=budget, machine=Machine(device="cpu"), seeds=2, rates=2)
    conduct(first, longer.study, longer.task, executor="inline")
    with Store.open(first, read_only=True) as store:
        fixed = [run for run in store.runs().values() if run.spec.steps == 40 and not run.spec.strategy.schedules]
    assert fixed
    assert all(run.inherited == 20 for run in fixed)
    conduct(plain, longer.study, longer.task, executor="inline", sharing="none")
    theirs, ours = contents(plain), contents(first)
    assert theirs["runs"].items() <= ours["runs"].items()
    assert theirs["tests"].items() <= ours["tests"].items()


def test_long_runs_leave_checkpoints_for_runs_added_later(tmp_path, monkeypatch):
    """As if every run took long; what parts from the middle of a finished run starts from its last evaluation."""
    monkeypatch.setattr("calando.training.loop.SPARE_SECONDS", 0.0)
    for names in (("fixed",), ("fixed", "wsd")):
        asked = ask(*(text for text in STRATEGIES if text.partition(" ")[0] in names))
        conduct(tmp_path / "grown", asked.study, asked.task, executor="inline")
    conduct(tmp_path / "whole", asked.study, asked.task, executor="inline", sharing="none")
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")
    with Store.open(tmp_path / "grown", read_only=True) as store:
        added = [run for run in store.runs().values() if run.spec.strategy.schedules]
        assert {run.inherited for run in added} == {2 * asked.study.evaluate_every}


def test_the_disks_share_is_the_same_wherever_it_is_said():
    for function in (calando.compare, conduct):
        assert inspect.signature(function).parameters["keep"].default == limits.KEEP


@pytest.mark.parametrize("sharing", ["off", False])
def test_another_word_for_sharing_is_not_taken_for_one(tmp_path, sharing):
    with pytest.raises(UsageError, match=f"unknown sharing '{sharing}'; .*choices: checked, none, verified"):
        calando.compare("digits", "fixed", folder=tmp_path / "study", sharing=sharing, executor="inline")


def test_what_cannot_be_forked_is_not_and_it_is_said(tmp_path):
    images, labels = torch.randint(0, 255, (60, 1, 8, 8), dtype=torch.uint8), torch.arange(60) % 3
    notes = []
    for name, model in (("counting", Counting), ("plain", Bare)):
        mine = calando.workload(train=(images, labels), test=(images, labels), model=model, batch_size=16)
        calando.compare(
            mine,
            "sgd(lr=0.1)",
            "sgd(lr=0.1) | step(every=10, factor=0.5)",
            folder=tmp_path / name,
            steps=20,
            seeds=1,
            executor="inline",
            listen=lambda status: notes.extend(note for note in status.notes if note not in notes),
        )
        assert (trained(tmp_path / name) == 40) == (model is Counting)
    (said,) = (note for note in notes if "images of" not in note and not note.startswith("parts:"))
    assert said.startswith("nothing is shared between runs: the loss of update 2 is ")


def test_a_lease_that_is_over_is_not_listened_to(tmp_path):
    """A worker back from the dead reports a result that is not the run's, and a fork that does not exist."""
    asked = ask(f"fixed = {SGD}", f"step = {SGD} | step(every=10, factor=0.1)")
    with Store.create(tmp_path, asked.study, fingerprint="x") as store:
        scheduler = Scheduler(store, asked.task, keep=KEEP, sharing="checked", listen=None)
        old = scheduler.next_lease()
        assert old.job.leaves
        scheduler.leases[old.number] = old
        scheduler.take(Stopped(old))
        new = scheduler.next_lease()
        assert new.job.spec == old.job.spec
        assert new.number != old.number
        scheduler.leases[new.number] = new
        with Store.open(_made(tmp_path / "other", asked), read_only=True) as theirs:
            record = theirs.runs()[new.job.spec.digest()]
        scheduler.take(Left(old, old.job.leaves[0]))
        scheduler.take(Finished(old, dataclasses.replace(record, seconds=-1.0)))
        assert old.job.leaves[0].address not in scheduler.cache
        assert not store.runs()
        scheduler.take(Finished(new, record))
        scheduler.take(Finished(new, dataclasses.replace(record, seconds=-1.0)))
        assert [run.seconds for run in store.runs().values()] == [record.seconds]


def _made(folder: Path, asked) -> Path:
    conduct(folder, asked.study, asked.task, executor="inline", sharing="none")
    return folder


def a_queue(tmp_path: Path, asked) -> tuple[Plan, RunQueue, CheckpointCache]:
    plan = Plan(asked.study, runs={}, tests={}, ranges={})
    cache = CheckpointCache(tmp_path, finished=[], keep=KEEP)
    return plan, RunQueue(plan, cache, sharing=True), cache


def test_runs_wait_for_what_others_will_leave_and_start_when_it_is_there_or_given_up(tmp_path):
    asked = ask(f"fixed = {SGD}", f"step = {SGD} | step(every=10, factor=0.1)", rates=1, lr=0.1, seeds=1)
    _, queue, cache = a_queue(tmp_path, asked)
    first = queue.next(1)
    assert first.origin is None
    (fork,) = first.leaves
    assert fork.step == 10
    assert queue.next(2) is None
    assert queue.waiting == 1
    queue.ended(1, first.spec.digest())  # lost: nobody will leave it
    again = queue.next(3)
    assert (again.spec, again.leaves) == (first.spec, first.leaves)
    assert queue.next(4) is None
    place = fork_folder(tmp_path, fork)
    place.mkdir(parents=True)
    (place / "state.json").write_text("")
    cache.put(fork)
    queue.left(fork)
    second = queue.next(5)
    assert second.origin == fork
    assert second.spec.strategy.name == "step"
    drop_checkpoint(place)


def test_longer_runs_come_first_and_those_that_can_start_from_a_fork_before_them(tmp_path):
    texts = [f"s{steps} = sgd(lr=0.1) | horizon('{steps} steps')" for steps in (12, 31)]
    asked = ask(*texts, "other = sgd(lr=0.05)", "late = sgd(lr=0.05) | multistep(at=[16], factor=0.5)", seeds=1)
    _, queue, cache = a_queue(tmp_path, asked)
    first = queue.next(1)
    assert first.spec.strategy.name in ("other", "late")
    cache.put(first.leaves[0])
    queue.left(first.leaves[0])
    assert queue.next(2).origin == first.leaves[0]
    assert queue.next(3).spec.strategy.name == "s31"
