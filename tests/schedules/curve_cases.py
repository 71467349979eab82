"""`CURVES`: the cases of single curves, which are shapes, steps and places, and time scales."""

import math

from hypothesis import strategies as st
from tests.schedules.preset_cases import (
    Case,
    above_zero,
    either,
    greatest,
    least,
    name_of_shape,
    of_ramp,
    of_time,
    over,
    power,
    ratio,
    share,
    some_steps,
    unit,
)
from tests.schedules.preset_formulas import chain, fractal, hyperbola, length, radam, ramp, whole
from tests.schedules.reference import LATE

CURVES: dict[str, Case] = {
    # shapes
    "constant": Case({"value": unit, "over": over}, lambda t, total, value, over: value, positional=("value",)),
    "linear": of_ramp(lambda p: 1 - p),
    "cosine": of_ramp(lambda p, power: ((1 + math.cos(math.pi * p)) / 2) ** power, power=power),
    "polynomial": of_ramp(lambda p, power: (1 - p) ** power, power=power),
    "one_minus_sqrt": of_ramp(lambda p: 1 - math.sqrt(p)),
    "one_minus_square": of_ramp(lambda p: 1 - p**2),
    "rex": of_ramp(lambda p, beta: (1 - p) / (1 - beta * p), beta=st.floats(0, 0.95)),
    "tanh": of_ramp(
        lambda p, lower, upper: (1 - math.tanh(lower + (upper - lower) * p)) / 2,
        lower=st.floats(-8, -1),
        upper=st.floats(0, 5),
    ),
    "exponential": Case(
        {"start": above_zero, "end": above_zero, "over": over},
        lambda t, total, start, end, over: start * (end / start) ** min(t / length(over, total), 1),
        low=least,
        high=greatest,
        positional=("start", "end"),
    ),
    "k_decay": Case(
        {"start": unit, "end": unit, "k": power, "shape": name_of_shape, "over": over},
        lambda t, total, start, end, k, shape, over: ramp(shape, start, end, min(t / length(over, total), 1) ** k, 1),
        low=least,
        high=greatest,
        positional=("start", "end"),
    ),
    "hyperbolic": Case(
        {"start": st.floats(0.5, 1), "infimum": st.floats(0, 0.4), "bound": st.integers(1000, 3000), "over": over},
        lambda t, total, start, infimum, bound, over: start + (start - infimum) * hyperbola(t, total, over, bound),
        low=lambda given: given["infimum"],
        high=lambda given: given["start"],
        positional=("start", "infimum"),
    ),
    "exponential_hyperbolic": Case(
        {"start": st.floats(0.5, 1), "infimum": st.floats(1e-6, 0.4), "bound": st.integers(1000, 3000), "over": over},
        lambda t, total, start, infimum, bound, over: start * (start / infimum) ** hyperbola(t, total, over, bound),
        low=lambda given: given["infimum"],
        high=lambda given: given["start"],
        positional=("start", "infimum"),
    ),
    # steps and places
    "step": Case(
        {"every": either, "factor": st.floats(0.3, 1), "over": over},
        lambda t, total, every, factor, over: factor ** whole(min(t, length(over, total)) / length(every, total)),
    ),
    "multistep": Case(
        {
            "at": st.sets(st.integers(1, 100), min_size=1).map(lambda at: [f"{p}%" for p in sorted(at)]),
            "factor": unit.filter(bool),
        },
        lambda t, total, at, factor: factor ** sum(length(place, total) <= t + LATE for place in at),
    ),
    "piecewise": Case(
        {"values": st.lists(unit, min_size=3, max_size=3), "at": st.just(["20%", "70%"])},
        lambda t, total, values, at: values[sum(length(place, total) <= t + LATE for place in at)],
    ),
    "knots": Case(
        {"values": st.lists(unit, min_size=3, max_size=3), "at": st.just(["20%", "70%"]), "shape": name_of_shape},
        lambda t, total, values, at, shape: chain(
            t,
            (0.2 * total, lambda t: ramp(shape, values[0], values[1], t, 0.2 * total)),
            (0.5 * total, lambda t: ramp(shape, values[1], values[2], t, 0.5 * total)),
        ),
    ),
    "chebyshev": Case(
        {"nodes": st.sampled_from([1, 2, 8, 64]), "every": either, "low": st.floats(0.01, 0.9)},
        lambda t, total, nodes, every, low: (
            2
            / (
                1
                + low
                - (1 - low)
                * math.cos(math.pi * (fractal(nodes)[whole(t / length(every, total)) % nodes] + 0.5) / nodes)
            )
        ),
        low=lambda given: 1,
        high=lambda given: 1 / given["low"],
    ),
    # time scales
    "power_decay": of_time(lambda t, _, exponent: (1 + t) ** -exponent, exponent=power),
    "inverse_sqrt": of_time(lambda t, _: 1 / math.sqrt(1 + t)),
    "inverse_time": of_time(lambda t, _: 1 / (1 + t)),
    "natural_exponential": of_time(lambda t, _: math.exp(-t)),
    "saturating": of_time(lambda t, one: 1 - math.exp(-(t + one))),
    "radam_warmup": Case({"beta2": st.sampled_from([0.7, 0.9, 0.99, 0.999]), "over": over}, radam),
    "exponential_decay": Case(
        {"factor": ratio, "every": st.one_of(share, st.integers(50, 90))},
        lambda t, total, factor, every: factor ** (t / length(every, total)),
        high=lambda given: max(1, given["factor"]) ** 100,
    ),
    "warmup_inverse_sqrt": Case(
        {"warmup": either, "start": unit},
        lambda t, total, warmup, start: (
            ramp("linear", start, 1, t, length(warmup, total))
            if t < length(warmup, total) - LATE
            else math.sqrt(length(warmup, total) / t)
        ),
        high=lambda given: 1 + 1e-7,
    ),
    "noam": Case({"warmup": some_steps}, lambda t, total, warmup: min((t + 1) / warmup, math.sqrt(warmup / (t + 1)))),
}
