"""`calando strategies`, `workloads`, `schedules`: what there is to choose from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from calando.cli.options import AsJson

__all__ = ["schedules", "strategies", "workloads"]


def strategies(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="one strategy or method, in full")] = None,
    as_json: AsJson = False,
) -> None:
    """List strategies and methods.

    The strategies known by name, family by family, and what each method that a strategy text can use needs.

    \b
    calando strategies
    calando strategies lion
    """
    from calando.cli.facts import describe, method_facts, part_facts, preset_facts, print_methods
    from calando.methods import METHODS
    from calando.strategy import PRESETS
    from calando.strategy.presets import DEFAULT_STRATEGIES, FAMILIES

    if name is not None:
        describe(name, as_json=as_json)
        return
    parts = part_facts()
    for problem in METHODS.load_installed().values():
        typer.echo(problem, err=True)
    if as_json:
        presets = [preset_facts(preset) for preset in PRESETS.values()]
        methods = [method_facts(method) for method in METHODS.values()]
        typer.echo(json.dumps({"families": {**FAMILIES}, "strategies": presets, "methods": methods, **parts}, indent=2))
        return
    said_once = PRESETS["fixed"].text
    for family, meaning in FAMILIES.items():
        entries = [
            (
                f"{preset.name}{' *' if preset.name in DEFAULT_STRATEGIES else ''}",
                preset.summary,
                preset.text if preset.text == said_once else preset.text.replace(said_once, "sgd(…)"),
            )
            for preset in PRESETS.values()
            if preset.family == family
        ]
        _listing(f"{family.capitalize()} strategies", entries, meaning=meaning)
    print_methods(METHODS.values())
    for kind, entries_of in parts.items():
        details = [
            (part, facts["summary"].replace("`", ""), f"{part}({_keywords(facts['options'])})")
            for part, facts in entries_of.items()
        ]
        _listing(kind.capitalize(), details)
    typer.echo(
        "* compared by default. A family: calando compare digits --family rate-free\n"
        "Presets decay over the whole run and choose their rate by trials (lr=auto).\n"
        "sgd(…): with the options of fixed. One in full: calando strategies lion\n"
        'Your own: calando compare digits "mine = sgd(lr=0.1) | cosine(1, 0) | ema()"'
    )


def workloads(as_json: AsJson = False) -> None:
    """List data sets and networks."""
    from calando.tasks.catalog import DATA, DATA_FORMS, NETWORKS

    entries = [*DATA.values(), *DATA_FORMS.values()]
    if as_json:
        typer.echo(json.dumps({"data": [asdict(entry) for entry in entries], "networks": NETWORKS}, indent=2))
        return
    _listing(
        "Data",
        [
            (e.name, e.description, f"{e.model}, batch {e.batch_size}, augment {e.augment}, {e.epochs} epochs")
            for e in entries
        ],
    )
    _listing("Networks (--model)", [(name, summary, "") for name, summary in NETWORKS.items()])


def schedules(as_json: AsJson = False) -> None:
    """List schedules and their formulas.

    What can stand behind the | of a strategy text.
    """
    from calando.schedules import describe
    from calando.schedules.registry import FAMILIES

    entries = describe()
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=2))
        return
    for family in FAMILIES:
        chosen = [entry for entry in entries if entry.family == family.title]
        details = [
            (entry.name, entry.summary, "\n= ".join(filter(None, (entry.signature, entry.formula)))) for entry in chosen
        ]
        if details:
            _listing(family.title, details)
    typer.echo(
        "a >> b: a, then b. a * b, a + b: side by side. Spans: '5%' of the run, '2 epochs', '500 steps' or 500.\n"
        "Draw one: calando plot \"linear(0.01, 1, over='5%') >> cosine(1, 0)\""
    )


def _keywords(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _listing(title: str, entries: Sequence[tuple[str, str, str]], *, meaning: str = "") -> None:
    """A heading, then each entry as name and summary, with its detail on a line of its own: fits any width."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2), pad_edge=True)
    grid.add_column(no_wrap=True, style="cyan")
    grid.add_column()
    for name, summary, detail in entries:
        grid.add_row(Text(name), Text.assemble(summary, (f"\n{detail}" if detail else "", "dim")))
    console = Console()
    console.print(Text.assemble((title, "bold"), f": {meaning}" if meaning else ""))
    console.print(grid)
    console.print()
