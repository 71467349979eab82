"""The registry of methods: name -> Method. Importing it needs no torch; building an optimizer does."""

from calando.errors import UnknownName
from calando.methods.base import Method
from calando.methods.layerwise import LAYERWISE_METHODS
from calando.methods.muon import MUON_METHODS
from calando.methods.own_methods import OWN_METHODS
from calando.methods.polyak import POLYAK_METHODS
from calando.methods.rate_free import RATE_FREE_METHODS
from calando.methods.schedule_free import SCHEDULE_FREE_METHODS
from calando.methods.sharpness import SHARPNESS_METHODS
from calando.methods.sign import SIGN_METHODS
from calando.methods.torch_methods import TORCH_METHODS

__all__ = ["METHODS", "find_method"]

METHODS = {
    method.name: method
    for method in (
        *TORCH_METHODS,
        *LAYERWISE_METHODS,
        *SIGN_METHODS,
        *SHARPNESS_METHODS,
        *MUON_METHODS,
        *SCHEDULE_FREE_METHODS,
        *RATE_FREE_METHODS,
        *POLYAK_METHODS,
        *OWN_METHODS,
    )
}


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
