"""What is suspicious about a curve, before a step is trained.

    not-finite        a value overflows or is not a number               error
    negative          a value is below zero                              error
    never-reached     a milestone lies beyond the horizon                warning
    long-warmup       the rate rises for more than half of the run       warning
    jump              it leaps upwards where one part follows another    warning
    rises-at-end      the last update has a higher rate than the one before   warning
    short-cool-down   it falls at the very end only                      warning
    starts-at-zero    the first update changes nothing                   info
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from calando.schedules.base import Array, Curve, Schedule
from calando.schedules.checks import spell_number
from calando.schedules.span import Horizon, spell_steps
from calando.schedules.steps import MultiStep, Step

__all__ = ["Finding", "lint"]
