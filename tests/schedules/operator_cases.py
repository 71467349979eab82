"""`OPERATORS`: the cases of what is multiplied with a schedule, set for its groups, or wrapped around it."""

from hypothesis import strategies as st
from tests.schedules.preset_cases import Case, above_zero, either, over, power, share, unit
from tests.schedules.preset_formulas import cycle, fall, length, whole
from tests.schedules.reference import noise_value

from calando.schedules import cosine, linear, named_function

KINDS = ["normal", "uniform"]
GROUPS = ["stem", "body", "head"]


@named_function("test_presets.square")
def square(p):
    return p * p


OPERATORS: dict[str, Case] = {
    # constants
    "linear_scaling": Case(
        {"batch_size": st.integers(1, 10**6), "reference": st.integers(1, 10**6)},
        lambda t, total, batch_size, reference: batch_size / reference,
        high=lambda given: 1e6,
        positional=("batch_size",),
    ),
    "sqrt_scaling": Case(
        {"batch_size": st.integers(1, 10**6), "reference": st.integers(1, 10**6)},
        lambda t, total, batch_size, reference: (batch_size / reference) ** 0.5,
        high=lambda given: 1e3,
        positional=("batch_size",),
    ),
    # groups: as the group "body" sees it
    "per_group": Case(
        {"groups": st.just({"body": cosine(1, 0), "head": 2}), "others": st.one_of(st.none(), unit)},
        lambda t, total, groups, others: fall("cosine", min(t / total, 1)),
        positional=("groups",),
    ),
    "layer_decay": Case(
        {"groups": st.just(GROUPS), "factor": unit.filter(bool), "others": st.one_of(st.none(), unit)},
        lambda t, total, groups, factor, others: factor,
        positional=("groups",),
    ),
    "discriminative": Case(
        {"groups": st.just(GROUPS), "factor": st.floats(1, 10), "others": st.one_of(st.none(), unit)},
        lambda t, total, groups, factor, others: 1 / factor,
        positional=("groups",),
    ),
    # what changes or repeats a schedule
    "repeat": Case(
        {
            "part": st.just(linear(1, 0.5)),
            "every": share,
            "stretch": st.sampled_from([1, 1.5]),
            "decay": unit.filter(bool),
        },
        lambda t, total, part, every, stretch, decay: (
            decay ** (found := cycle(t, length(every, total), stretch))[0] * (1 - 0.5 * max(t - found[1], 0) / found[2])
        ),
        positional=("part",),
    ),
    "warp": Case(
        {"part": st.just(linear(1, 0)), "power": power},
        lambda t, total, part, power: 1 - (t / total) ** power,
        positional=("part",),
    ),
    "staircase": Case(
        {"part": st.just(linear(1, 0)), "every": either},
        lambda t, total, part, every: max(1 - whole(t / length(every, total)) * length(every, total) / total, 0),
        positional=("part",),
    ),
    "clip": Case(
        {"part": st.just(linear(1, 0)), "low": st.floats(0, 0.5), "high": st.floats(0.5, 1)},
        lambda t, total, part, low, high: min(max(1 - t / total, low), high),
        low=lambda given: given["low"],
        high=lambda given: given["high"],
        positional=("part",),
    ),
    "cut": Case(
        {"part": st.just(linear(1, 0, over="80%")), "over": share, "skip": share},
        lambda t, total, part, over, skip: 1 - (length(skip, total) + min(t, length(over, total))) / (0.8 * total),
        positional=("part",),
    ),
    "function": Case(
        {"f": st.just("test_presets.square"), "of": st.just("progress"), "over": over},
        lambda t, total, f, of, over: min(t / length(over, total), 1) ** 2,
        positional=("f",),
    ),
    "noise": Case(
        {"width": above_zero, "seed": st.integers(0, 2**53 - 1), "every": either, "kind": st.sampled_from(KINDS)},
        lambda t, total, width, seed, every, kind: 1 + width * noise_value(seed, whole(t / length(every, total)), kind),
        low=lambda given: 1 - 3 * given["width"],
        high=lambda given: 1 + 3 * given["width"],
        positional=("width",),
    ),
}
