"""Methods: optimizers with what they need to know about rates. Importing it needs no torch."""

from calando.optim.methods.base import Closure, Method
from calando.optim.methods.registry import METHODS, find_method
from calando.optim.methods.usual import closure_of, usual_rate_of, works_its_rate_out

__all__ = ["METHODS", "Closure", "Method", "closure_of", "find_method", "usual_rate_of", "works_its_rate_out"]
