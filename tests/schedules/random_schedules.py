"""Schedules drawn at random, nested up to six deep."""

import operator

from hypothesis import strategies as st

from calando.schedules import (
    Span,
    clip,
    constant,
    cosine,
    cut,
    exponential,
    knots,
    linear,
    multistep,
    natural_exponential,
    noise,
    one_minus_sqrt,
    one_minus_square,
    piecewise,
    polynomial,
    power_decay,
    repeat,
    rex,
    staircase,
    step,
    tanh,
    warp,
)
from calando.schedules.schedule import Extent

WHOLE = 100_000  # thousandths of a percent: no share of T steps then lies within 1e-6 of a step without being one

numbers = st.floats(-2, 2)
positive = st.floats(1e-3, 2)
ramps = st.sampled_from([cosine, exponential, linear, one_minus_sqrt, one_minus_square, polynomial, rex, tanh])


@st.composite
def schedules(draw, *, any_unit=False):
    """A schedule that fits every horizon of 100 steps or more; with `any_unit` one that need not fit any."""

    def span(share):
        if any_unit:
            return Span(draw(st.floats(1e-3, 1e9)), draw(st.sampled_from(["%", "epochs", "steps"])))
        return f"{share / 1000}%"

    def places():
        return sorted(draw(st.sets(st.integers(1, WHOLE), min_size=1, max_size=4)))

    def primitive(room, fixed, *, endless):
        over = span(room) if fixed else None
        kinds = ["constant", "step", "multistep", "piecewise", "knots", "power", "exponential", "noise"]
        match draw(st.sampled_from(kinds + ([] if endless else ["ramp"] * 8))):
            case "constant":
                return constant(draw(numbers), over=over)
            case "step":
                return step(every=span(draw(st.integers(2000, WHOLE))), factor=draw(st.floats(0.3, 1.2)), over=over)
            case "multistep":
                return multistep(at=[span(share) for share in places()], factor=draw(st.floats(0.3, 1.5)), over=over)
            case "piecewise" | "knots" as kind:
                at = [span(share) for share in places()]
                values = draw(st.lists(numbers, min_size=len(at) + 1, max_size=len(at) + 1))
                if kind == "piecewise":
                    return piecewise(values=values, at=at, over=over)
                return knots(values=values, at=at, shape=draw(st.sampled_from(["linear", "cosine"])), over=over)
            case "power":
                timescale = span(draw(st.integers(2000, WHOLE)))
                return power_decay(exponent=draw(st.floats(-2, 2)), timescale=timescale, over=over)
            case "exponential":
                return natural_exponential(timescale=span(draw(st.integers(2000, WHOLE))), over=over)
            case "noise":
                kind, every = draw(st.sampled_from(["uniform", "normal"])), span(draw(st.integers(2000, WHOLE)))
                seed = draw(st.integers(0, 2**53 - 1))
                return noise(draw(st.floats(0.01, 1)), seed=seed, every=every, kind=kind, over=over)
        make = draw(ramps)
        ends = positive if make is exponential else numbers
        more = {}
        if make in (polynomial, cosine):
            more = {"power": draw(st.floats(0.2, 5))}
        elif make is rex:
            more = {"beta": draw(st.floats(0, 0.95))}
        elif make is tanh:
            more = {"lower": draw(st.floats(-8, 0)), "upper": draw(st.floats(0.1, 8))}
        return make(draw(ends), draw(ends), over=over, **more)

    def transformed(depth, room, fixed):
        """One schedule, changed."""
        inner = nested(depth - 1, room, fixed)
        match draw(st.sampled_from(["warp", "staircase", "clip"])):
            case "warp":
                return warp(inner, power=draw(st.floats(0.3, 3)))
            case "staircase":
                return staircase(inner, every=span(draw(st.integers(500, WHOLE))))
        low = draw(numbers)
        return clip(inner, low=low, high=draw(st.one_of(st.none(), st.floats(low, 3))))

    def repeated(depth, room, fixed):
        """Cycles; exactly `room` of them if `fixed`."""
        first = max(room // draw(st.integers(1, 5)), 1000)
        inner = nested(depth - 1, first, draw(st.booleans()))
        # cycles of different lengths do not stand within such cycles
        stretch = 1 if has_stretch(inner) else draw(st.sampled_from([1, 2, 3]))
        longer = {"stretch": stretch, "decay": draw(st.floats(0.5, 1.2))}
        limit = draw(st.one_of(st.none(), st.integers(1, 4)))
        if not fixed and limit is None:
            return repeat(inner, every=span(first), **longer)
        if not fixed and inner.extent is not Extent.FIXED and room * 2 > first * 3**limit * limit:
            return repeat(inner, limit=limit, **longer)
        whole = cut(repeat(inner, every=span(first), **longer), over=span(room + 1000))
        return cut(whole, over=span(room)) if fixed else cut(repeat(inner, every=span(first)), skip="7%")

    def nested(depth, room, fixed):
        """At most `depth` deep, and exactly `room` long if `fixed`."""
        kinds = ["primitive", "then", "times", "plus", "transformed", "repeated"]
        match draw(st.sampled_from(kinds)) if depth > 1 and room > 1000 else "primitive":
            case "primitive":
                return primitive(room, fixed, endless=False)
            case "then":
                head = draw(st.integers(room // 10, room - room // 10))
                open_part = None if fixed else draw(st.integers(0, 1))
                return nested(depth - 1, head, open_part != 0) >> nested(depth - 1, room - head, open_part != 1)
            case "transformed":
                return transformed(depth, room, fixed)
            case "repeated":
                return repeated(depth, room, fixed)
            case kind:
                join = operator.mul if kind == "times" else operator.add
        first = nested(depth - 1, room, fixed)
        match draw(st.integers(0, 3)):
            case 0:
                return join(first, draw(numbers))
            case 1:
                return join(draw(numbers), first)
            case 2:
                return join(first, primitive(room, False, endless=True))
        return join(nested(depth - 1, draw(st.integers(room // 2, room)) if fixed else room, True), first)

    return nested(draw(st.integers(1, 6)), WHOLE, draw(st.booleans()))


def has_stretch(schedule):
    return getattr(schedule, "stretch", 1) != 1 or any(has_stretch(part) for part in schedule.parts)
