"""`calando strategies`, `workloads`, `schedules`: what there is to choose from."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from calando.cli.options import AsJson

__all__ = ["schedules", "strategies", "workloads"]


def strategies(as_json: AsJson = False) -> None:
    """List the strategies known by name, and the methods a strategy text can use."""
    from calando.optim import DEFAULT_STRATEGIES, METHODS, PRESETS

    if as_json:
        presets = [{**asdict(preset), "default": name in DEFAULT_STRATEGIES} for name, preset in PRESETS.items()]
        methods = [
            {"name": m.name, "summary": m.summary, "usual_rate": m.usual_rate, "rate_span": m.rate_span,
             "decay": m.decay, "options": {k: o.default for k, o in m.options.items()}, "source": m.source}
            for m in METHODS.values()
        ]  # fmt: skip
        typer.echo(json.dumps({"strategies": presets, "methods": methods}, indent=2))
        return
    rows = [
        (f"{name}{'*' if name in DEFAULT_STRATEGIES else ''}", preset.family, preset.summary, preset.text)
        for name, preset in PRESETS.items()
    ]
    _table("Strategies (* compared by default)", ("name", "family", "what it does", "text"), rows)
    _table(
        'Methods for strategy texts, as in "sgd(lr=0.1, momentum=0.9) | cosine(1, 0)"',
        ("method", "usual rate", "trial grid", "options", "what it is"),
        [
            (
                m.name,
                f"{m.usual_rate:g}",
                _range(m.usual_rate, m.rate_span),
                ", ".join(m.options),
                f"{m.summary}; {m.decay}",
            )
            for m in METHODS.values()
        ],
    )


def workloads(as_json: AsJson = False) -> None:
    """List data sets and networks."""
    from calando.workloads.catalog import DATA, DATA_FORMS, NETWORKS

    entries = [*DATA.values(), *DATA_FORMS.values()]
    if as_json:
        typer.echo(json.dumps({"data": [asdict(entry) for entry in entries], "networks": NETWORKS}, indent=2))
        return
    _table(
        "Data",
        ("name", "what it is", "by default"),
        [
            (e.name, e.description, f"{e.model}, batch {e.batch_size}, augment {e.augment}, {e.epochs} epochs")
            for e in entries
        ],
    )
    _table("Networks (--model)", ("name", "what it is"), list(NETWORKS.items()))


def schedules(as_json: AsJson = False) -> None:
    """List schedules: what can stand behind the | of a strategy text."""
    from calando.schedules import describe

    entries = describe()
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=2))
        return
    _table(
        "Schedules (joined by >>, multiplied by *)",
        ("text", "what it does", "formula"),
        [(entry.signature, entry.summary, entry.formula) for entry in entries],
    )


def _range(centre: float, span: float) -> str:
    return f"{centre / span**0.5:g} … {centre * span**0.5:g}"


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0, overflow="fold")
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])
    Console().print(table)
