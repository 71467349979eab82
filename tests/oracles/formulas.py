"""Libraries that cannot be installed here as oracle: their formulas, written down in plain Python from their source.

Rates are shares of the base rate; t counts updates from 0. Whole traces, parameters and horizons at random. What may
differ: a relative 1e-12, and the rounding of the formula as it is written there, in units of the greatest value:
`CLOSED` ulps, which are lost where it nears zero.

timm and Keras find the number of a cycle as floor(log(...)). Where a cycle begins at a whole step this rounds to
either side, so there they may still have the last value of the cycle before; see `test_timm`, at its end.
"""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

ULP = 2.0**-52
CLOSED = 32

each_kind = settings(deadline=None, max_examples=200)
horizons = st.integers(2, 150)
shares = st.floats(0, 1)
floors = st.floats(0, 0.5)
factors = st.floats(0.05, 1)
powers = st.floats(0.3, 4)
stretches = st.sampled_from([0.75, 1, 1.5, 2, 3])


def off(ours, theirs):
    """By how much two traces differ beyond what is allowed, at each step."""
    ours, theirs = np.asarray(ours), np.asarray(theirs, dtype=np.float64)
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs) - 1e-12 * np.abs(theirs) - CLOSED * ULP * max(1.0, np.abs(theirs).max())


def agree(schedule, total, formula):
    ours = schedule.bind(total).sample()
    theirs = [formula(t) for t in range(total)]
    beyond = off(ours, theirs)
    worst = int(np.argmax(beyond))
    assert beyond[worst] <= 0, (str(schedule), worst, ours[worst], theirs[worst])


def agree_between_cycles(schedule, total, formula, ends):
    """As `agree`; where a cycle begins at step `border`, they may still have the last one's `ends[border]`."""
    ours = schedule.bind(total).sample()
    theirs = [formula(t) for t in range(total)]
    beyond = off(ours, theirs)
    for border, end in ends.items():
        if border < total:
            beyond[border] = min(beyond[border], abs(theirs[border] - end) - 1e-9)
    worst = int(np.argmax(beyond))
    assert beyond[worst] <= 0, (str(schedule), worst, ours[worst], theirs[worst])


def borders(first, stretch, limit):
    """Where cycles number 1 to `limit` begin; those that begin at a whole step."""
    starts = [first * sum(stretch**k for k in range(number)) for number in range(1, limit + 1)]
    return [round(start) for start in starts if abs(start - round(start)) < 1e-9]
