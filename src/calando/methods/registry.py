"""The registry of methods: name -> Method. Importing it needs no torch; building an optimizer does."""

from calando.errors import UnknownName, UsageError, quote
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
from calando.registry import Registry, home_of

__all__ = ["METHODS", "find_method", "register"]


def register(method: Method) -> Method:
    """Register a method, so that a strategy's text can call it by its name.

    Args:
        method: the optimizer and what must be known of it; its `build` is told the parameter groups, rate and options.

    Raises:
        UsageError: no `Method`; a name that is taken or that no text can call.

    >>> from calando.methods import METHODS, Method
    >>> mine = register(Method(name="my_sgd", summary="plain SGD", family="classic", usual_rate=0.1, rate_span=100.0,
    ...     decay="as SGD's", options={}, build=lambda groups, lr, options: torch.optim.SGD(groups, lr), source="",
    ...     memory=0))
    >>> find_method("my_sgd").usual_rate
    0.1
    >>> METHODS.remove("my_sgd")
    """
    if not isinstance(method, Method):
        raise UsageError(f"a method is registered as a Method(name=..., build=...), got {quote(method)}")
    METHODS.add(method.name, method, home=home_of(method.build))
    return method


def _join(name: str, found: object) -> None:
    if isinstance(found, Method) and found.name != name:
        raise UsageError(f"its entry point is named {name!r}, and the method {found.name!r}")
    register(found)  # type: ignore[arg-type]  # refused there where it is none


METHODS: Registry[Method] = Registry("method", join=_join)
"""Name -> method."""

for _method in (
    *TORCH_METHODS,
    *LAYERWISE_METHODS,
    *SIGN_METHODS,
    *SHARPNESS_METHODS,
    *MUON_METHODS,
    *SCHEDULE_FREE_METHODS,
    *RATE_FREE_METHODS,
    *POLYAK_METHODS,
    *OWN_METHODS,
):
    register(_method)


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        UnknownName: there is none.

    >>> find_method("adamw").usual_rate
    0.001
    """
    if name not in METHODS:
        raise UnknownName("method", name, METHODS.names(), hint="see `calando strategies`")
    return METHODS[name]
