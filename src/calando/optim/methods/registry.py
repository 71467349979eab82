"""The registry of methods: name -> Method. Importing it needs no torch; building an optimizer does."""

from calando.errors import UnknownName
from calando.optim.methods.base import Method
from calando.optim.methods.torch_methods import TORCH_METHODS

__all__ = ["METHODS", "find_method"]

METHODS = {method.name: method for method in TORCH_METHODS}


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        UnknownName: there is none.

    >>> find_method("adamw").usual_rate
    0.001
    """
    if name not in METHODS:
        raise UnknownName("method", name, METHODS, hint="see `calando strategies`")
    return METHODS[name]
