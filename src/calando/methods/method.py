"""A method: an optimizer with what it needs to know about rates; and the registry of methods by name.

Importing this needs no torch; building an optimizer does.

Every method has its usual rate (for convolutional networks), so that `lr=auto` has a grid to search, and the options
that it takes with their ranges, so that a typing error is found before training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, final

from calando.errors import UnknownName, UsageError, quote
from calando.language import message
from calando.methods.parameter_groups import decay_group_names, split_by_decay
from calando.registry import Registry, home_of
from calando.sizes import LEAST, check_size

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from calando.records import StrategySpec

__all__ = [
    "ADAM_BETAS",
    "EPS",
    "METHODS",
    "MOMENTUM",
    "OWN",
    "WEIGHT_DECAY",
    "Closure",
    "Flag",
    "Grouping",
    "ImportedClass",
    "Method",
    "Number",
    "Pair",
    "check_methods_installed",
    "find_method",
    "import_class",
    "register",
]

MethodFamily = Literal["classic", "adaptive", "rate-free"]
Closure = Literal["none", "loss", "again"]
"""What an optimizer's `step` is called with; see `Method`."""

Scheduling = Literal["any", "warmup", "none"]

_Value = bool | int | float | str | tuple[float, ...] | None


@dataclass(frozen=True)
class Number:
    """A number in [low, high), or (low, high) where `open_low`."""

    default: float
    low: float = 0.0
    high: float = math.inf
    open_low: bool = False

    def check(self, name: str, value: _Value) -> float:
        """The number, if it is in range."""
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not (self.low < value if self.open_low else self.low <= value)
            or not value < self.high
        ):
            span = f"{'(' if self.open_low else '['}{self.low:g}, {self.high:g})"
            raise UsageError(
                message("{name} must be a number in {span}, got {value}", name=name, span=span, value=quote(value))
            )
        # A small weight decay is as good as none; what must not be 0 is divided by.
        check_size(name, value, least=LEAST if self.open_low else 0.0)
        return value


@dataclass(frozen=True)
class Pair:
    """Two numbers in [0, 1): exponential averages' coefficients."""

    default: tuple[float, float]

    def check(self, name: str, value: _Value) -> tuple[float, float]:
        """The pair, if both are in range."""
        numbers = isinstance(value, tuple) and all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in value
        )
        if not isinstance(value, tuple) or not numbers or len(value) != 2 or not all(0 <= item < 1 for item in value):
            shown = list(value) if isinstance(value, tuple) else value
            raise UsageError(
                message(
                    "{name} must be two numbers in [0, 1) like [0.9, 0.999], got {shown}", name=name, shown=repr(shown)
                )
            )
        return value[0], value[1]


@dataclass(frozen=True)
class Flag:
    """An option that is True or False."""

    default: bool

    def check(self, name: str, value: _Value) -> bool:
        """The value, if it is True or False."""
        if not isinstance(value, bool):
            raise UsageError(message("{name} must be true or false, got {value}", name=name, value=repr(value)))
        return value


# What many methods take.
MOMENTUM = Number(0.9, high=1.0)
WEIGHT_DECAY = Number(0.0)
ADAM_BETAS = Pair((0.9, 0.999))
EPS = Number(1e-8, open_low=True)


@dataclass(frozen=True)
class Grouping:
    """How a method divides a network's parameters into named groups.

    Args:
        names: settled options -> every name that `split` may give.
        split: (network, settled options) -> groups for the optimizer: "name", "params", and what is the group's own.
            A group's own rate is "lr_factor" times the method's.
    """

    names: Callable[[dict[str, Any]], tuple[str, ...]]
    split: Callable[[nn.Module, dict[str, Any]], list[dict[str, Any]]]


BY_DECAY = Grouping(
    names=lambda options: decay_group_names(options.get("weight_decay", 0.0)),
    split=lambda network, options: split_by_decay(network, weight_decay=options.get("weight_decay", 0.0)),
)
"""Weight decay for matrices and filters, none for biases and normalisation layers."""


def import_class(path: str, *, method: str = "") -> Any:
    """An optimizer's class, from "module:Class"; it is imported now.

    Raises:
        UsageError: the package that brings it is not installed.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise UsageError(
            message(
                "{method} needs {module}: pip install 'calando[methods]'",
                method=method,
                module=module.replace("_", "-"),
            )
        ) from error


@final
@dataclass(frozen=True)
class ImportedClass:
    """A `Method.build` that imports the optimizer's class when it is called: listing methods needs no torch.

    Args:
        path: as `import_class`.
        method: which needs it, for an error.
        fixed: arguments that are always the same.
        fused: it has a fused kernel, which takes real parameters only.
    """

    path: str
    method: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    fused: bool = False

    def __call__(self, groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
        """The optimizer, which is new."""
        given = {**self.fixed, **options}
        if self.fused:
            given["fused"] = all(parameter.is_floating_point() for group in groups for parameter in group["params"])
        optimizer: Optimizer = import_class(self.path, method=self.method)(groups, lr=lr, **given)
        return optimizer


@dataclass(frozen=True, kw_only=True)
class Method:
    """An optimizer with what must be known of it: an entry of the registry.

    Args:
        name: its name in the text of a strategy.
        summary: one line.
        family: "classic" (SGD and its like), "adaptive", or "rate-free" (finds its step size by itself).
        usual_rate: centre of the trial grid for convolutional networks; of a rate-free method, its one rate.
        rate_span: ratio of the grid's highest to its lowest rate.
        decay: what is known about decaying its rate.
        options: the hyper-parameters that it takes besides `lr`, with defaults and ranges.
        build: (parameter groups, lr, options) -> torch optimizer.
        source: paper or project.
        memory: how many tensors of the parameters' size it keeps.
        schedules: which schedules of the rate make sense: "any", "warmup" alone (it replaces decay), or "none".
        eval_mode: whether other weights are evaluated than trained; `optimizer.eval()` and `.train()` switch.
        closure: what `step` is called with, the gradient being there already: "none"; "loss": a closure that returns
            the loss of this batch, a number; "again": one that computes loss and gradient again, at the weights as they
            are.
        keeps_base: whether it depends on its base rate, not on the scheduled one alone; runs of other base rates then
            have no past in common even where their rates are equal.
        sums: whether its momentum sums gradients up, so that a step is lr / (1 - momentum) long.
        package: what must be installed besides torch, or "".
        groups: how parameters are divided.
    """

    name: str
    summary: str
    family: MethodFamily
    usual_rate: float
    decay: str
    options: Mapping[str, Number | Pair | Flag]
    build: Callable[[list[dict[str, Any]], float, dict[str, Any]], Optimizer]
    source: str
    memory: float
    rate_span: float = 100.0
    schedules: Scheduling = "any"
    eval_mode: bool = False
    closure: Closure = "none"
    keeps_base: bool = False
    sums: bool = False
    package: str = ""
    groups: Grouping = BY_DECAY

    @property
    def installed(self) -> bool:
        """Whether the package that it needs is installed; it is not imported."""
        return not self.package or find_spec(self.package.replace("-", "_")) is not None

    @property
    def rate_free(self) -> bool:
        """Whether a rate left open is its usual one, without trials."""
        return self.family == "rate-free"

    @property
    def own_rate(self) -> str:
        """Why no rate is looked for, and which to take, if the method is rate-free."""
        return message(
            "{name} works its step size out by itself and the rate only multiplies it: take lr={rate:g}",
            name=self.name,
            rate=self.usual_rate,
        )

    @property
    def passes(self) -> int:
        """Number of forward and backward passes for each update."""
        return 2 if self.closure == "again" else 1

    def settle(self, given: Mapping[str, _Value]) -> dict[str, Any]:
        """All options: the given ones checked, the others at their defaults.

        Raises:
            UnknownName: an option the method does not take.
            UsageError: a value outside its range.
        """
        for name in given:
            if name not in self.options:
                raise UnknownName(message("option of {name}", name=self.name), name, ["lr", *self.options])
        settled: dict[str, Any] = {}
        for name, option in self.options.items():
            settled[name] = option.check(f"{self.name}: {name}", given[name]) if name in given else option.default
        if settled.get("nesterov") and not settled["momentum"] > 0:
            raise UsageError(
                message(
                    "{name}: nesterov=true needs momentum above 0, got momentum={momentum}",
                    name=self.name,
                    momentum=settled["momentum"],
                )
            )
        return settled


def register(method: Method) -> Method:
    """Register a method, so that a strategy's text can call it by its name.

    Args:
        method: the optimizer and what must be known of it; its `build` takes the parameter groups, rate and options.

    Raises:
        UsageError: no `Method`; a name that is taken or that no text can call.

    >>> from calando.methods import METHODS, Method
    >>> mine = register(Method(name="my_sgd", summary="plain SGD", family="classic", usual_rate=0.1,
    ...     decay="as SGD's", options={}, build=lambda groups, lr, options: torch.optim.SGD(groups, lr), source="",
    ...     memory=0))
    >>> find_method("my_sgd").usual_rate
    0.1
    >>> METHODS.remove("my_sgd")
    """
    if not isinstance(method, Method):
        raise UsageError(
            message("a method is registered as a Method(name=..., build=...), got {method}", method=quote(method))
        )
    METHODS.add(method.name, method, home=home_of(method.build))
    return method


def _join(name: str, found: object) -> None:
    if isinstance(found, Method) and found.name != name:
        raise UsageError(
            message("its entry point is named {name!r}, and the method {method}", name=name, method=repr(found.name))
        )
    register(found)  # type: ignore[arg-type]  # refused there where it is none


METHODS: Registry[Method] = Registry("method", join=_join)
"""Name -> method."""


@final
@dataclass(frozen=True, kw_only=True)
class _OwnOptimizer(Method):
    """Takes any option that is a number: which of them mean anything, the person's code knows."""

    def settle(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The given options, checked to be numbers."""
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UsageError(message("own: {name} must be a number, got {value}", name=name, value=quote(value)))
        return dict(given)


def _refuse(groups: object, lr: float, options: object) -> Any:
    raise UsageError(
        message("own(…) stands for the optimizer of your own training code: it is for run.scheduler(optimizer, …)")
    )


OWN = _OwnOptimizer(
    name="own",
    summary="the optimizer of your own training code: the strategy says its rate alone",
    family="classic",
    usual_rate=0.1,
    decay="as your optimizer",
    options={},
    build=_refuse,
    source="your own",
    memory=0,
)
"""The method of a training whose optimizer is the person's own, of which a strategy says the rate alone: in no list.

    own(lr=auto) | cosine(1, 0)                          the rate of an optimizer that the code made itself
    own(lr=auto, dropout=0.2) | dropout: linear(1, 0)    and other numbers that it asks for: run.value("dropout", 0.5)
"""


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        UnknownName: there is no such method.

    >>> find_method("adamw").usual_rate
    0.001
    """
    if name == OWN.name:
        return OWN
    if name not in METHODS:
        raise UnknownName("method", name, METHODS.names(), hint=message("see `calando strategies`"))
    return METHODS[name]


def check_methods_installed(strategies: Iterable[StrategySpec]) -> None:
    """Refuse strategies whose methods cannot be built here.

    Raises:
        UsageError: packages are missing; every one of them is named.
    """
    missing: dict[str, list[str]] = {}
    for method in dict.fromkeys(find_method(strategy.method).name for strategy in strategies):
        if not find_method(method).installed:
            missing.setdefault(find_method(method).package, []).append(method)
    if missing:
        needs = "; ".join(f"{', '.join(names)}: {package}" for package, names in missing.items())
        raise UsageError(
            message(
                "packages that methods need are not installed ({needs}): pip install 'calando[methods]'", needs=needs
            )
        )
