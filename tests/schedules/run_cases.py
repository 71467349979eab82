"""`RUNS`: the cases of schedules for a phase or the whole of a run, which are warmups, cool-downs and cycles."""

import math

from hypothesis import strategies as st
from tests.schedules.preset_cases import Case, above_zero, either, name_of_shape, power, ratio, share, unit
from tests.schedules.preset_formulas import chain, length, ramp, restarts, triangle, whole

cool_down = st.sampled_from(["cosine", "exponential", "linear", "one_minus_sqrt", "one_minus_square", "polynomial"])
WARMUPS = ["constant", "cosine", "exponential", "linear", "one_minus_sqrt", "one_minus_square"]

RUNS: dict[str, Case] = {
    # warmups
    "warmup": Case(
        {"over": either, "start": above_zero, "shape": st.sampled_from(WARMUPS)},
        # the cool-down backwards
        lambda t, total, over, start, shape: (
            start
            if shape == "constant"
            else ramp(shape, 1, start, max(length(over, total) - t, 0), length(over, total))
        ),
        positional=("over",),
    ),
    "untuned_linear_warmup": Case(
        {"beta2": st.sampled_from([0.0, 0.5, 0.9, 0.95])},
        lambda t, total, beta2: min((t + 1) / math.floor(2 / (1 - beta2)), 1),
    ),
    "untuned_exponential_warmup": Case(
        {"beta2": st.sampled_from([0.0, 0.5, 0.9, 0.95])},
        lambda t, total, beta2: 1 - math.exp(-(t + 1) / math.floor(1 / (1 - beta2))),
    ),
    # cool-downs
    "wsd": Case(
        {"warmup": share, "decay": share, "shape": cool_down, "start": unit, "end": above_zero},
        lambda t, total, warmup, decay, shape, start, end: chain(
            t,
            (length(warmup, total), lambda t: ramp("linear", start, 1, t, length(warmup, total))),
            (total - length(warmup, total) - length(decay, total), lambda t: 1),
            (length(decay, total), lambda t: ramp(shape, 1, end, t, length(decay, total))),
        ),
    ),
    "warmup_hold_cosine": Case(
        {"warmup": share, "hold": share, "start": unit, "end": unit},
        lambda t, total, warmup, hold, start, end: chain(
            t,
            (length(warmup, total), lambda t: ramp("linear", start, 1, t, length(warmup, total))),
            (length(hold, total), lambda t: 1),
            (None, lambda t: ramp("cosine", 1, end, t, total - length(warmup, total) - length(hold, total))),
        ),
    ),
    "flat_cosine": Case(
        {"flat": share, "end": unit},
        lambda t, total, flat, end: chain(
            t,
            (length(flat, total), lambda t: 1),
            (None, lambda t: ramp("cosine", 1, end, t, total - length(flat, total))),
        ),
    ),
    "slanted_triangular": Case(
        {"rise": share, "ratio": st.floats(1.1, 100)},
        lambda t, total, rise, ratio: (
            (1 + (ratio - 1) * min(t / length(rise, total), (total - t) / (total - length(rise, total)))) / ratio
        ),
    ),
    # one cycle
    "one_cycle": Case(
        {"warmup": share, "start": unit, "end": unit, "shape": name_of_shape},
        lambda t, total, warmup, start, end, shape: chain(
            t,
            (length(warmup, total), lambda t: ramp(shape, start, 1, t, length(warmup, total))),
            (None, lambda t: ramp(shape, 1, end, t, total - length(warmup, total))),
        ),
    ),
    "one_cycle_momentum": Case(
        {"warmup": share, "low": unit, "shape": name_of_shape},
        lambda t, total, warmup, low, shape: chain(
            t,
            (length(warmup, total), lambda t: ramp(shape, 1, low, t, length(warmup, total))),
            (None, lambda t: ramp(shape, low, 1, t, total - length(warmup, total))),
        ),
        low=lambda given: given["low"],
    ),
    "one_cycle_three_phase": Case(
        {"warmup": share, "start": unit, "end": unit, "shape": name_of_shape},
        lambda t, total, warmup, start, end, shape: chain(
            t,
            (length(warmup, total), lambda t: ramp(shape, start, 1, t, length(warmup, total))),
            (length(warmup, total), lambda t: ramp(shape, 1, start, t, length(warmup, total))),
            (None, lambda t: ramp(shape, start, end, t, total - 2 * length(warmup, total))),
        ),
    ),
    "one_cycle_three_phase_momentum": Case(
        {"warmup": share, "low": unit, "shape": name_of_shape},
        lambda t, total, warmup, low, shape: chain(
            t,
            (length(warmup, total), lambda t: ramp(shape, 1, low, t, length(warmup, total))),
            (length(warmup, total), lambda t: ramp(shape, low, 1, t, length(warmup, total))),
            (None, lambda t: 1),
        ),
        low=lambda given: given["low"],
    ),
    # cycles
    "cosine_restarts": Case(
        {
            "first": st.one_of(st.none(), st.integers(5, 15).map(lambda percent: f"{percent}%")),
            "stretch": st.sampled_from([0.8, 1, 1.5]),
            "decay": st.floats(0.5, 1),
            "limit": st.integers(1, 3),
            "floor": st.floats(0, 0.2),
        },
        restarts,
    ),
    "warmup_cosine_restarts": Case(
        {
            "warmup": st.sampled_from(["1%", "2%"]),
            "first": st.one_of(st.none(), st.integers(5, 15).map(lambda percent: f"{percent}%")),
            "stretch": st.sampled_from([0.8, 1, 1.5]),
            "decay": st.floats(0.5, 1),
            "limit": st.integers(1, 3),
            "floor": st.floats(0, 0.2),
        },
        restarts,
    ),
    "polynomial_cycles": Case(
        {"every": either, "power": power, "end": unit},
        lambda t, total, every, power, end: (
            end
            + (1 - end)
            * max(1 - (t - (k := whole(t / length(every, total))) * length(every, total)) / length(every, total), 0)
            ** power
            * (k + 1) ** -power
        ),
    ),
    "triangular": Case(
        {"rise": either, "fall": st.one_of(st.none(), either), "start": unit},
        lambda t, total, rise, fall, start: start + (1 - start) * triangle(t, total, rise, fall)[1],
    ),
    "triangular2": Case(
        {"rise": either, "fall": st.one_of(st.none(), either), "start": unit},
        lambda t, total, rise, fall, start: (
            start + (1 - start) * (found := triangle(t, total, rise, fall))[1] / 2.0 ** found[0]
        ),
    ),
    "exp_range": Case(
        {"rise": either, "fall": st.one_of(st.none(), either), "start": unit, "factor": ratio, "every": share},
        lambda t, total, rise, fall, start, factor, every: (
            start + (1 - start) * triangle(t, total, rise, fall)[1] * factor ** (t / length(every, total))
        ),
        high=lambda given: max(1, given["factor"]) ** 100,
    ),
}
