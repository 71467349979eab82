"""Strategies: method + hyper-parameters + schedules + controllers + average, read from text and bound to a horizon.

Importing it needs no torch.
"""

from calando.strategy import only_schedule  # noqa: F401  (registers what it explains)
from calando.strategy.averages import Average, Ema, Swa
from calando.strategy.bound import BoundStrategy, bind
from calando.strategy.presets import DEFAULT_STRATEGIES, PRESETS, Preset
from calando.strategy.strategies import at_rate, parse_strategy, read_strategy

__all__ = [
    "DEFAULT_STRATEGIES",
    "PRESETS",
    "Average",
    "BoundStrategy",
    "Ema",
    "Preset",
    "Swa",
    "at_rate",
    "bind",
    "parse_strategy",
    "read_strategy",
]
