"""Which learning rate a range test speaks for: arrays in, values out.

curves      what was measured, checked
rules       where the loss falls, is lowest and is lost again, and the rates that rules make of it
doubts      why it should not be believed
words       the curve explained in a paragraph
judgement   all of these together: `suggest`
"""

from calando.analysis.suggest.curves import RangeCurves
from calando.analysis.suggest.judgement import Smoothed, Suggestion, suggest
from calando.analysis.suggest.rules import RULES, Rule

__all__ = ["RULES", "RangeCurves", "Rule", "Smoothed", "Suggestion", "suggest"]
