"""What a strategy or a method is and needs: as JSON, as lines of a list, and one of them in full."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from calando.errors import UnknownName

if TYPE_CHECKING:
    from calando.methods import Method
    from calando.records import StrategySpec
    from calando.strategy import Preset

__all__ = ["describe", "method_facts", "part_facts", "preset_facts", "print_methods"]

METHOD_FAMILIES = {
    "classic": "SGD and its like",
    "adaptive": "steps shaped by parameter, by layer or by the loss",
    "rate-free": "lr multiplies a step size worked out, and is 1 unless given",
}
AVERAGES = {
    "ema": "Evaluates an exponential mean of the weights, taken after every update, instead of them.",
    "swa": "Evaluates the mean of the weights at `start` and `every` so often from there on, instead of them.",
}
_SCHEDULES = {
    "any": "any schedule of the rate",
    "warmup": "a warmup alone: it needs no decay",
    "none": "none: it works its rate out by itself",
}
_ANEW = "batch norm's statistics are worked out anew for it, over training batches"


def preset_facts(preset: Preset) -> dict[str, Any]:
    """All that is known about a preset, JSON-able."""
    from calando.strategy import DEFAULT_STRATEGIES, read_strategy

    method = read_strategy(preset.name).method
    return {**asdict(preset), "method": method, "default": preset.name in DEFAULT_STRATEGIES}


def method_facts(method: Method) -> dict[str, Any]:
    """All that is known about a method, JSON-able."""
    from calando.methods.installed import is_installed

    return {
        "name": method.name,
        "summary": method.summary,
        "family": method.family,
        "needs_rate": not method.rate_free,
        "usual_rate": method.usual_rate,
        "rate_span": method.rate_span,
        "trial_rates": None if method.rate_free else _trial_rates(method),
        "decay": method.decay,
        "schedules": method.schedules,
        "eval_mode": method.eval_mode,
        "recalibrates_batch_norm": method.eval_mode,
        "passes": method.passes,
        "memory": method.memory,
        "package": method.package,
        "installed": is_installed(method),
        "options": {name: option.default for name, option in method.options.items()},
        "source": method.source,
    }


def part_facts() -> dict[str, dict[str, dict[str, Any]]]:
    """Controllers and averages: name -> what it does, and its options with their defaults."""
    from calando.strategy import controllers_text as parts

    broken = parts.CONTROLLERS.load_installed()
    controllers = {name: (entry.summary, entry.options) for name, entry in parts.CONTROLLERS.items()}
    controllers |= {name: (problem, {}) for name, problem in broken.items()}
    averages = {name: (AVERAGES[name], options) for name, options in parts.AVERAGES.items()}
    return {
        kind: {
            name: {"summary": summary, "options": {k: parts.default_of(v) for k, v in options.items()}}
            for name, (summary, options) in entries.items()
        }
        for kind, entries in (("controllers", controllers), ("averages", averages))
    }


def print_methods(methods: Iterable[Method]) -> None:
    """Methods by family: what each needs in columns that fit 80, the rest below."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    known = list(methods)
    for family, meaning in METHOD_FAMILIES.items():
        console.print(Text.assemble((f"{family.capitalize()} methods", "bold"), f": {meaning}"))
        console.print(Text(_columns("", "rate", "schedule", "passes", "memory", "package"), style="dim"))
        for method in (method for method in known if method.family == family):
            rates = "its own" if method.rate_free else _range(method)
            line = _columns(
                method.name, rates, method.schedules, str(method.passes), f"{method.memory:g}", method.package or "–"
            )
            text = Text(line)
            text.stylize("cyan", 0, 22)
            console.print(text)
            evaluated = ["evaluation mode, batch norm recalibrated"] if method.eval_mode else []
            below = "; ".join([method.decay, *evaluated, method.source])
            console.print(Padding(Text(below, style="dim"), (0, 0, 0, 4)))
        console.print()
    console.print(
        "rate: trials of lr=auto, for convolutional networks. schedule: what the rate\n"
        "bears. passes: forward and backward, an update. memory: × the parameters.\n",
        soft_wrap=True,
        highlight=False,
    )


def describe(name: str, *, as_json: bool) -> None:
    """One strategy with its method, or one method, in full.

    Raises:
        UnknownName: neither of that name.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from calando.methods import METHODS
    from calando.strategy import PRESETS, read_strategy

    if name not in PRESETS and name not in METHODS:
        raise UnknownName("strategy or method", name, {*PRESETS, *METHODS})
    preset = PRESETS.get(name)
    strategy = read_strategy(name)
    method = METHODS[strategy.method]
    if as_json:
        found = {"strategy": None if preset is None else preset_facts(preset), "method": method_facts(method)}
        typer.echo(json.dumps(found, indent=2))
        return
    console = Console()
    if preset is not None:
        console.print(Text.assemble((preset.name, "bold"), f", {preset.family}: {preset.summary}"))
        console.print(Text(f"{preset.text}\n", style="cyan"))
    console.print(Text.assemble((f"Method {method.name}", "bold"), f": {method.summary}"))
    grid = Table.grid(padding=(0, 2), pad_edge=True)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    evaluated = f"an average of the weights; {_ANEW}" if strategy.average or method.eval_mode else "what is trained"
    groups = ", ".join(method.groups.names(method.settle(strategy.options)))
    own = _followed(name, strategy, method)
    for key, value in (
        *_needs(method),
        ("groups", groups),
        ("evaluated", evaluated),
        *_origin(method),
        ("your loop", own),
    ):
        grid.add_row(Text(key), Text(value))
    console.print(grid)


def _followed(name: str, strategy: StrategySpec, method: Method) -> str:
    """How it is trained with in a loop of one's own."""
    from calando.schedules import Horizon
    from calando.strategy.controllers_text import called, controller_of

    for text in strategy.controllers:
        if controller_of(text, Horizon(10**9, steps_per_epoch=10**3)).wants(0).curvature:
            return f"not there: {called(text)} measures in calando's own loop, calando train and compare"
    rate = "" if method.rate_free else f", lr={method.usual_rate:g}"
    epoch = ", steps_per_epoch=…" if "epoch" in strategy.text else ""
    return f'calando.follow(network, "{name}"{rate}, total_steps=…{epoch})'


def _columns(name: str, rate: str, schedule: str, passes: str, memory: str, package: str) -> str:
    return f"  {name:<20}{rate:<16}{schedule:<9}{passes:<7}{memory:<7}{package}"


def _trial_rates(method: Method) -> tuple[float, float]:
    half: float = method.rate_span**0.5
    return method.usual_rate / half, method.usual_rate * half


def _range(method: Method) -> str:
    low, high = _trial_rates(method)
    return f"{low:g} … {high:g}"


def _needs(method: Method) -> tuple[tuple[str, str], ...]:
    rate = f"trials {_range(method)}, for convolutional networks; usual {method.usual_rate:g}"
    return (
        ("rate", "works it out by itself; lr multiplies it, 1 unless given" if method.rate_free else rate),
        ("decay", method.decay),
        ("schedules", _SCHEDULES[method.schedules]),
        ("an update", "one forward and backward pass" if method.passes == 1 else f"{method.passes} passes"),
        ("memory", f"{method.memory:g} × the parameters"),
    )


def _origin(method: Method) -> tuple[tuple[str, str], ...]:
    facts = method_facts(method)
    options = ", ".join(f"{name}={json.dumps(value)}" for name, value in facts["options"].items())
    installed = "installed" if facts["installed"] else "not installed: pip install 'calando[methods]'"
    return (
        ("options", options),
        ("package", f"{method.package} ({installed})" if method.package else "none but torch"),
        ("source", method.source),
    )
