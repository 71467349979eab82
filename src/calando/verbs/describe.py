"""`calando.list_strategies`, `list_workloads` and `list_schedules`: what there is to choose from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from calando.errors import UnknownName
from calando.language import message
from calando.rows import Listing, Rows

if TYPE_CHECKING:
    from calando.controllers.controller import Entry
    from calando.methods import Method
    from calando.schedules.known_schedules import Description
    from calando.strategy import Preset

__all__ = ["list_schedules", "list_strategies", "list_workloads", "method_facts", "trial_rates"]


METHOD_FACTS = (
    "name", "summary", "family", "usual_rate", "rate_span", "decay", "schedules", "eval_mode", "passes", "memory",
    "package", "installed", "source",
)  # fmt: skip
"""Facts that are listed as the method states them."""


def list_strategies(name: str | None = None) -> Listing:
    """List the named strategies, and the methods, controllers and averages of strategy texts, with their facts.

    Args:
        name: one strategy, method, controller or average. None: all.

    Returns:
        A dict that `json.dumps` takes, with "families", "strategies", "methods", "controllers" and "averages". Of one
        strategy or method: "strategy" (None where only a method has this name) and "method". Of one controller or
        average: "part", with its name, kind, summary, options and example.

    Raises:
        UnknownName: nothing has this name.

    >>> list_strategies("lion")["method"]["memory"]
    1
    """
    from calando.controllers import CONTROLLERS
    from calando.methods import METHODS
    from calando.strategy import PRESETS, read_strategy
    from calando.strategy.averages import AVERAGES
    from calando.strategy.presets import STRATEGY_FAMILIES, preset_named

    if name is None:
        METHODS.load_installed()
        return Listing(
            families={**STRATEGY_FAMILIES},
            strategies=[_preset_facts(preset) for preset in PRESETS.values()],
            methods=[method_facts(method) for method in METHODS.values()],
            **_part_facts(),
        )
    name = preset_named(name) or name
    if name not in PRESETS and name not in METHODS:
        for kind, entries in (("controller", CONTROLLERS), ("average", AVERAGES)):
            if name in entries:
                part = {"name": name, "kind": kind, **_entry_facts(entries[name]), "example": entries[name].example}
                return Listing(part=part)
        raise UnknownName(message("strategy or method"), name, {*PRESETS, *METHODS, *CONTROLLERS, *AVERAGES})
    preset = PRESETS.get(name)
    return Listing(
        strategy=None if preset is None else _preset_facts(preset),
        method=method_facts(METHODS[read_strategy(name).method]),
    )


def list_workloads() -> Listing:
    """List data sets and networks: "data", an entry each, and "networks", name -> summary; `json.dumps` takes it.

    >>> [entry["name"] for entry in list_workloads()["data"]][:3]
    ['digits', 'fashion-mnist', 'cifar10']
    """
    from calando.tasks.catalog import CALLABLE, DATA, NETWORKS, READERS, VARIANTS

    entries = (*DATA.values(), *READERS.values(), *VARIANTS, CALLABLE)
    return Listing(data=[entry.defaults for entry in entries], networks={**NETWORKS})


def list_schedules() -> Rows[Description]:
    """List schedules: name, family, signature, summary and formula of each.

    >>> next(entry.formula for entry in list_schedules() if entry.name == "constant")
    'value'
    """
    from calando.schedules import describe

    return Rows(describe(), "schedules")


def _preset_facts(preset: Preset) -> dict[str, Any]:
    """All that is known of a preset, as what `json.dumps` takes."""
    from calando.strategy import DEFAULT_STRATEGIES

    # Pipe text begins with its method; to read its schedules too takes as long as all that the list imports.
    method = preset.text.partition("(")[0]
    return {**asdict(preset), "method": method, "default": preset.name in DEFAULT_STRATEGIES}


def method_facts(method: Method) -> dict[str, Any]:
    """All that is known of a method, as what `json.dumps` takes."""
    return {
        **{name: getattr(method, name) for name in METHOD_FACTS},
        "needs_rate": not method.rate_free,
        "trial_rates": None if method.rate_free else trial_rates(method),
        "recalibrates_batch_norm": method.eval_mode,
        "options": {name: option.default for name, option in method.options.items()},
    }


def _part_facts() -> dict[str, dict[str, dict[str, Any]]]:
    """Controllers and averages: name -> what it does, and its options with their defaults."""
    from calando.controllers import CONTROLLERS
    from calando.strategy.averages import AVERAGES

    broken = {name: {"summary": why, "options": {}} for name, why in CONTROLLERS.load_installed().items()}
    return {
        "controllers": {name: _entry_facts(entry) for name, entry in CONTROLLERS.items()} | broken,
        "averages": {name: _entry_facts(entry) for name, entry in AVERAGES.items()},
    }


def _entry_facts(entry: Entry[Any]) -> dict[str, Any]:
    from calando.strategy.called_parts import default_of

    return {
        "summary": entry.summary,
        "options": {key: default_of(option) for key, option in entry.options.items()},
    }


def trial_rates(method: Method) -> tuple[float, float]:
    """The lowest and the highest rate that a comparison tries, where it is asked nothing else."""
    half: float = method.rate_span**0.5
    return method.usual_rate / half, method.usual_rate * half
