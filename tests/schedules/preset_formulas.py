"""The documented formulas of the named schedules, in plain Python: the value at step t of `total`.

Shares come as texts such as "20%", lengths in steps as numbers; `length` turns either into steps.
"""

import math

from tests.schedules.reference import LATE

from calando.schedules import Span

STEPS_PER_EPOCH = 10


def length(span, total):
    """A span in steps."""
    if span is None:
        return float(total)
    value, unit = (span, "steps") if isinstance(span, int) else (Span.parse(span).value, Span.parse(span).unit)
    return {"%": value * total / 100, "steps": value, "epochs": value * STEPS_PER_EPOCH}[unit]


def fall(shape, p):
    """How much is left of the way at progress p."""
    return {
        "linear": 1 - p,
        "cosine": (1 + math.cos(math.pi * p)) / 2,
        "one_minus_sqrt": 1 - math.sqrt(p),
        "one_minus_square": 1 - p * p,
        "polynomial": (1 - p) ** 2,
    }[shape]


def ramp(shape, start, end, t, steps):
    p = min(t / steps, 1)
    if shape == "exponential":
        return start * (end / start) ** p
    return end + (start - end) * fall(shape, p)


def chain(t, *parts):
    """The value at t of parts (its length, its value by local step) one after the other; the last one holds."""
    for steps, value in parts[:-1]:
        if t < steps - LATE:
            return value(t)
        t = max(t - steps, 0)
    return parts[-1][1](t)


def whole(quotient):
    return math.floor(quotient + LATE)


def cycle(t, first, stretch=1, limit=None):
    """The number of the cycle that t is in, its start and its length."""
    number, start, steps = 0, 0.0, first
    while t >= start + steps - LATE and (limit is None or number < limit - 1):
        number, start, steps = number + 1, start + steps, steps * stretch
    return number, start, steps


def restarts(t, total, *, first, stretch, decay, limit, floor, warmup=None):
    every = length(first, total) if first is not None else total / sum(stretch**k for k in range(limit))
    number, start, steps = cycle(t, every, stretch, limit)
    local = min(max(t - start, 0), steps)
    rise = 0 if warmup is None else length(warmup, total)
    peak = decay**number
    if local < rise - LATE:
        return floor + (peak - floor) * local / rise
    return floor + (peak - floor) * fall("cosine", max(local - rise, 0) / (steps - rise))


def triangle(t, total, rise, fall):
    up = length(rise, total)
    down = up if fall is None else length(fall, total)
    number, start, _ = cycle(t, up + down)
    local = max(t - start, 0)
    return number, local / up if local < up - LATE else 1 - max(local - up, 0) / down


def fractal(nodes):
    order = [0]
    while len(order) < nodes:
        order = [item for o in order for item in (o, 2 * len(order) - 1 - o)]
    return order


def radam(t, total, beta2, over):
    def rho(n):
        return 2 / (1 - beta2) - 1 - 2 * n * beta2**n / (1 - beta2**n)

    r = rho(min(t, length(over, total)) + next(n for n in range(1, 100) if rho(n) > 4))
    most = 2 / (1 - beta2) - 1
    return math.sqrt((r - 4) * (r - 2) * most / ((most - 4) * (most - 2) * r))


def hyperbola(t, total, over, bound):
    """f(t) - f(0)."""
    n, u = length(over, total), length(bound, total)
    t = min(t, n)
    return math.sqrt((n - t) / u * (2 - (n + t) / u)) - math.sqrt(n / u * (2 - n / u))
