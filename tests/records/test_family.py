"""Runs that differ in their seed alone: cheap to name and to read, and never another name or another run."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from calando.records import Lane, RunSpec, StrategySpec, WorkloadSpec
from calando.records.family import RunFamily, SpecReader

# Texts that look like the very place where a run's JSON is cut.
TRICKY = st.sampled_from(['a,"seed":1,', ',"seed":', '","seed":3,"lane":{"', "seed", 'x"', "\\", "é\u00a0", ""])
seeds = st.integers(0, 2**40)


@st.composite
def runs(draw):
    text = draw(TRICKY)
    return RunSpec(
        workload=WorkloadSpec(data=f"npz:{text}"),
        strategy=StrategySpec(
            name=draw(TRICKY), method="sgd", lr=0.1, options={"seed": 5, f"k{text}": text, "betas": (0.9, 0.99)},
            schedules={"lr": text}, controllers=(text,),
        ),
        steps=9,
        steps_per_epoch=3,
        evaluate_every=3,
        seed=draw(seeds),
        lane=Lane(device=draw(TRICKY)),
        skips=draw(st.sampled_from([(), ((1, 2), (5, 6))])),
    )  # fmt: skip


@given(runs(), seeds)
def test_a_family_gives_the_run_and_its_digest_at_any_seed(run, seed):
    there = run.model_copy(update={"seed": seed})
    family = RunFamily(run)
    assert family.run(seed) == there
    assert family.digest(seed) == there.digest()
    assert family.digest(run.seed) == run.digest()


@given(st.lists(runs(), min_size=1, max_size=3), st.lists(seeds, max_size=4))
def test_what_is_read_is_what_parsing_gives(some, more):
    reader = SpecReader()
    for run in [*some, *(run.model_copy(update={"seed": seed}) for seed in more for run in some)]:
        assert reader.read(run.model_dump_json()) == (run, run.digest())


@given(runs())
def test_any_other_order_or_spacing_is_read_as_well(run):
    reader = SpecReader()
    fields = json.loads(run.model_dump_json())
    for seed in (run.seed, run.seed + 1, 7):
        there = run.model_copy(update={"seed": seed})
        for text in (
            json.dumps({**fields, "seed": seed}),
            json.dumps(dict(sorted({**fields, "seed": seed}.items())), separators=(",", ":")),
            json.dumps({"seed": seed} | {key: fields[key] for key in fields if key != "seed"}, separators=(",", ":")),
        ):
            assert reader.read(text) == (there, there.digest())


@pytest.mark.parametrize("seed", ["-1", "1.5", '"1"', "null", "١", "1e400"])
def test_a_seed_that_is_none_is_refused_also_beside_known_ones(seed):
    run = RunSpec(
        workload=WorkloadSpec(data="digits"), strategy=StrategySpec(name="a", method="sgd", lr=0.1),
        steps=9, steps_per_epoch=3, evaluate_every=3, seed=0,
    )  # fmt: skip
    reader = SpecReader()
    assert reader.read(run.model_dump_json())[0] == run
    text = run.model_dump_json().replace('"seed":0', f'"seed":{seed}')
    if seed == '"1"':
        assert reader.read(text)[0].seed == 1
    else:
        with pytest.raises(ValidationError):
            reader.read(text)
