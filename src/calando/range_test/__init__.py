"""The learning-rate range test: the training loss while the rate rises, measured on objects that are restored.

Both finders restore what they train (`calando.training.restore`), measure (`sweep`), ask `calando.analysis.suggest` for
the judgement, and return what was found.
"""

from calando.range_test.finders import SweepProgress, find_for_run, find_lr
from calando.range_test.found import Found, FoundRate, HeldRate
from calando.range_test.sweep import SweepOptions

__all__ = ["Found", "FoundRate", "HeldRate", "SweepOptions", "SweepProgress", "find_for_run", "find_lr"]
