"""Strategies: method + hyper-parameters + schedules + controllers + average, read from text and bound to a horizon.

Importing it needs no torch.
"""

from calando.strategy.presets import DEFAULT_STRATEGIES, PRESETS, Preset
from calando.strategy.strategies import bind_strategy, parse_strategy, read_strategy, strategy_curves

__all__ = [
    "DEFAULT_STRATEGIES",
    "PRESETS",
    "Preset",
    "bind_strategy",
    "parse_strategy",
    "read_strategy",
    "strategy_curves",
]
