"""The documented formulas, one step at a time in plain Python: what random schedules are held against.

It shares nothing with the package but the fields of a schedule.
"""

import itertools
import math

from calando.schedules.compose import Constant, Plus, Then, Times
from calando.schedules.ramp import Ramp
from calando.schedules.repeat import Repeat
from calando.schedules.scatter import Noise
from calando.schedules.steps import Knots, MultiStep, Piecewise, Step
from calando.schedules.timescale import TimeScale
from calando.schedules.transform import Clip, Cut, Staircase, Transformed, Warp

LATE = 1e-6  # an update this little before a seam has reached it


def steps_of(span, total):
    return span.value * total / 100


def own_length(schedule, total):
    """In steps, or None for a schedule that takes what it is given."""
    match schedule:
        case Then():
            lengths = [own_length(part, total) for part in schedule.parts]
            return None if None in lengths else sum(lengths)
        case Times() | Plus():
            lengths = [own_length(part, total) for part in schedule.parts]
            known = [length for length in lengths if length is not None]
            pairs = zip(schedule.parts, lengths, strict=True)
            stretches = any(length is None and stretched(part) for part, length in pairs)
            return None if stretches or not known else max(known)
        case Cut():
            if schedule.over is not None:
                return steps_of(schedule.over, total)
            own = own_length(schedule.part, total)
            return None if own is None else own - steps_of(schedule.skip, total)
        case Transformed():
            return own_length(schedule.part, total)
        case Repeat():
            first = first_cycle(schedule, total, None)
            return None if schedule.limit is None or first is None else sum(cycles(schedule, first))
        case _:
            return None if schedule.over is None else steps_of(schedule.over, total)


def first_cycle(schedule, total, room):
    """Steps of a repeat's first cycle; None if that depends on the room and there is none."""
    if schedule.every is not None:
        return steps_of(schedule.every, total)
    own = own_length(schedule.part, total)
    if own is not None or room is None:
        return own
    return room / sum(cycles(schedule, 1))


def cycles(schedule, first):
    return [first * schedule.stretch**k for k in range(schedule.limit)]


def stretched(schedule):
    """Whether it depends on where it ends."""
    match schedule:
        case Then():
            *others, last = schedule.parts
            return stretched(last) or any(own_length(part, 100) is None for part in others)
        case Times() | Plus():
            return any(stretched(part) for part in schedule.parts)
        case Transformed():
            return stretched(schedule.part)
        case Repeat():
            return schedule.limit is not None and first_cycle(schedule, 100, None) is None
    return isinstance(schedule, Ramp) and schedule.over is None


def expected(schedule, t, total, room):
    """The value `t` steps after the schedule began, with `room` steps to itself."""
    length = own_length(schedule, total) or room
    match schedule:
        case Times():
            return math.prod(expected(part, t, total, room) for part in schedule.parts)
        case Plus():
            return sum(expected(part, t, total, room) for part in schedule.parts)
        case Then():
            lengths = [own_length(part, total) for part in schedule.parts]
            left = room - sum(own for own in lengths if own is not None)
            for part, own in zip(schedule.parts, lengths, strict=True):
                given = left if own is None else own
                if t < given - LATE or part is schedule.parts[-1]:
                    return expected(part, max(t, 0), total, given)
                t -= given
        case Warp():
            return expected(schedule.part, length * (min(t, length) / length) ** schedule.power, total, room)
        case Staircase():
            every = steps_of(schedule.every, total)
            return expected(schedule.part, math.floor((t + LATE) / every) * every, total, room)
        case Clip():
            value = max(expected(schedule.part, t, total, room), schedule.low)
            return value if schedule.high is None else min(value, schedule.high)
        case Cut():
            skipped = 0 if schedule.skip is None else steps_of(schedule.skip, total)
            whole = max(skipped + length, own_length(schedule.part, total) or 0)
            return expected(schedule.part, skipped + min(t, length), total, whole)
        case Repeat():
            k, begun, cycle = 0, 0, first_cycle(schedule, total, room)
            first = cycle
            while t + LATE >= begun + cycle and k + 1 != schedule.limit:
                k, begun = k + 1, begun + cycle
                cycle = first * schedule.stretch**k
            local, own = min(max(t - begun, 0), cycle), own_length(schedule.part, total)
            if own is not None:
                local, cycle = (own if local == cycle else local * (own / cycle)), own
            return schedule.decay**k * expected(schedule.part, local, total, cycle)
    return primitive_value(schedule, min(t, length), total, length)


def primitive_value(schedule, t, total, length):
    match schedule:
        case Constant():
            return schedule.value
        case Step():
            return schedule.factor ** math.floor((t + LATE) / steps_of(schedule.every, total))
        case MultiStep():
            return schedule.factor ** sum(steps_of(span, total) <= t + LATE for span in schedule.at)
        case Piecewise():
            return schedule.values[sum(steps_of(span, total) <= t + LATE for span in schedule.at)]
        case Knots():
            places = [0, *(steps_of(span, total) for span in schedule.at)]
            for (since, start), (till, end) in itertools.pairwise(zip(places, schedule.values, strict=True)):
                if t < till:
                    return ramp_value(schedule.shape, start, end, (t - since) / (till - since))
            return schedule.values[-1]
        case TimeScale():
            paces = t / steps_of(schedule.timescale, total)
            law = schedule.law
            return (1 + paces) ** -law.exponent if law.name == "power_decay" else math.exp(-paces)
        case Noise():
            return 1 + schedule.width * noise_value(
                schedule.seed, math.floor((t + LATE) / steps_of(schedule.every, total)), schedule.kind
            )
        case Ramp():
            return ramp_value(schedule.shape, schedule.start, schedule.end, t / length)
    raise AssertionError(schedule)


def ramp_value(shape, start, end, p):
    match shape.name:
        case "linear":
            return start + (end - start) * p
        case "cosine":
            return end + (start - end) * ((1 + math.cos(math.pi * p)) / 2) ** shape.power
        case "polynomial":
            return end + (start - end) * (1 - p) ** shape.power
        case "one_minus_sqrt":
            return start + (end - start) * math.sqrt(p)
        case "one_minus_square":
            return start + (end - start) * p**2
        case "rex":
            return end + (start - end) * (1 - p) / (1 - shape.beta * p)
        case "tanh":
            return end + (start - end) * (1 - math.tanh(shape.lower + (shape.upper - shape.lower) * p)) / 2
        case "exponential":
            return start * (end / start) ** p
    raise AssertionError(shape)


def noise_value(seed, number, kind):
    """SplitMix64 seeded with a SplitMix64 of the seed, in Python's own integers."""

    def mixed(z):
        z = (z + 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    def uniform(index):
        return (mixed(mixed(seed) + index * 0x9E3779B97F4A7C15) >> 11) / 2**53

    if kind == "uniform":
        return 2 * uniform(2 * number) - 1
    radius = math.sqrt(-2 * math.log(1 - uniform(2 * number)))
    return max(-3, min(3, radius * math.cos(2 * math.pi * uniform(2 * number + 1))))
