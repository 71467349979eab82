"""Methods: optimizers with what they need to know about rates, and the driver that writes those rates.

Importing it needs no torch; building an optimizer does.
"""

from calando.methods.base import Closure, Flag, Grouping, Method, Number, Pair
from calando.methods.driver import Driver
from calando.methods.groups import layer_groups
from calando.methods.registry import METHODS, find_method, register
from calando.methods.usual import closure_of, usual_rate_of, works_its_rate_out

__all__ = [
    "METHODS",
    "Closure",
    "Driver",
    "Flag",
    "Grouping",
    "Method",
    "Number",
    "Pair",
    "closure_of",
    "find_method",
    "layer_groups",
    "register",
    "usual_rate_of",
    "works_its_rate_out",
]
