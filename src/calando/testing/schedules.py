"""What every schedule must do.

a value        frozen; equal to what its own text and JSON build, with the same hash; copied and pickled
closed form    one step alone has the bits that it has in an array, in any block of one, in any order
within others  a product with 1, a sum with 0 and a chain that leaves it all the room change nothing
at its end     the last value holds beyond the horizon; all values are finite
"""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Sequence

import numpy as np

from calando.schedules import Curve, Schedule, from_json, parse, to_json
from calando.testing.require import require

__all__ = ["check_schedule"]


def check_schedule(
    schedule: Schedule | str, *, total_steps: Sequence[int] = (100, 999), steps_per_epoch: int | None = 10
) -> None:
    """Check a schedule against what every schedule must do.

    Args:
        schedule: the schedule, or its text.
        total_steps: horizons in updates that it is bound to; it must fit each.
        steps_per_epoch: updates in one epoch.

    Raises:
        AssertionError: a requirement is not met; the message is one line that says which.
        UsageError: the text does not parse, or the schedule does not fit a horizon.

    >>> check_schedule("linear(0, 1, over='5%') >> cosine(1, 0)")
    """
    value = parse(schedule) if isinstance(schedule, str) else schedule
    require(isinstance(value, Schedule), f"{value!r} is no Schedule")
    _check_value(value)
    for total in total_steps:
        for name in value.group_names or (None,):
            one = value if name is None else value.for_group(name)
            _check_curve(one, one.bind(total, steps_per_epoch=steps_per_epoch))
            _check_within_others(one, total, steps_per_epoch)
    require(value == parse(str(value)), f"{value} is another value after it was bound")


def _check_value(schedule: Schedule) -> None:
    text = str(schedule)
    again = parse(text)
    require(again == schedule, f"the text {text!r} reads back as another schedule, {again}")
    require(hash(again) == hash(schedule), f"{text} and what its text builds are equal and have different hashes")
    require(str(again) == text == repr(schedule), f"the text {text!r} reads back as {again}, printed as {schedule!r}")
    require(from_json(to_json(schedule)) == schedule, f"the JSON of {text} reads back as another schedule")
    require(schedule.rebuilt(schedule.parts) == schedule, f"{text} rebuilt from its own parts is another schedule")
    for item in dataclasses.fields(schedule):
        try:
            setattr(schedule, item.name, getattr(schedule, item.name))
        except dataclasses.FrozenInstanceError:
            continue
        raise AssertionError(f"{text} can be changed ({item.name}); write @dataclass(frozen=True, repr=False)")


def _check_curve(schedule: Schedule, curve: Curve) -> None:
    total = curve.total_steps
    whole = curve.sample()
    require(whole.shape == (total,) and whole.dtype == np.float64, f"{schedule} sampled is {whole.dtype} {whole.shape}")
    require(bool(np.isfinite(whole).all()), f"{schedule} is not finite at step {int(np.argmin(np.isfinite(whole)))}")
    seams = [int(seam) + more for seam in curve.seams()[:20] for more in (0, 1)]
    steps = sorted({t for t in (0, 1, total // 3, total // 2, total - 1, *seams) if 0 <= t < total})
    for t in steps:
        alone = curve(t)
        where = f"{schedule} at step {t} of {total}"
        require(type(alone) is float, f"{where} alone is {type(alone).__name__}, not float")
        same = alone == curve(float(t)) == curve([t])[0] == whole[t]
        require(same, f"{where} is {alone!r} alone, {curve([t])[0]!r} in an array and {whole[t]!r} among all")
    backwards = curve(np.arange(total)[::-1])[::-1]
    require(bool((backwards == whole).all()), f"{schedule} has other values in reverse order")
    halves = np.concatenate([curve(np.arange(total // 2)), curve(np.arange(total // 2, total))])
    require(bool((halves == whole).all()), f"{schedule} has other values in two halves than in one array")
    end = curve(total)
    beyond = curve([total, total + 0.5, 2 * total])
    require(
        bool((beyond == end).all()), f"{schedule} does not hold its last value {end!r} beyond the horizon: {beyond}"
    )
    for other in (pickle.loads(pickle.dumps(curve)), copy.deepcopy(curve)):
        require(other == curve and bool((other.sample() == whole).all()), f"{schedule} is another curve once copied")


def _check_within_others(schedule: Schedule, total: int, steps_per_epoch: int | None) -> None:
    whole = schedule.bind(total, steps_per_epoch=steps_per_epoch).sample()
    for changed in (schedule * 1, schedule + 0, 1 * schedule):
        values = changed.bind(total, steps_per_epoch=steps_per_epoch).sample()
        require(bool((values == whole).all()), f"{changed} has other values than {schedule}")
