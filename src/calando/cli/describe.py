"""`calando strategies`, `workloads`, `schedules`: what there is to choose from; `calando data get`: data to choose."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import calando
from calando.cli.options import OPTIONS, verb
from calando.language import _, joined, message, translated

if TYPE_CHECKING:
    from calando.methods import Method
    from calando.records import StrategySpec
    from calando.schedules.known_schedules import Description

__all__ = ["METHOD_FAMILIES", "data", "schedules", "strategies", "workloads"]

METHOD_FAMILIES = {
    "classic": message("SGD and its like"),
    "adaptive": message("steps shaped by parameter, by layer or by the loss"),
    "rate-free": message("the method works out a step size; lr multiplies it, and is 1 unless given"),
}
_SCHEDULES = {
    "any": message("any schedule of the rate"),
    "warmup": message("a warmup alone: it needs no decay"),
    "none": message("none: it works its rate out by itself"),
}

data = typer.Typer(help="Data sets on this machine.", no_args_is_help=True, rich_markup_mode=None)


@verb(calando.list_strategies, filled=())
def strategies(call: Callable[..., dict[str, Any]], as_json: bool = False) -> None:
    """List strategies and methods.

    The strategies known by name, family by family, and what each method that a strategy text can use needs.

    \b
    calando strategies
    calando strategies lion
    calando strategies ema
    """
    found = call()
    if "families" in found:
        from calando.methods import METHODS

        for problem in METHODS.load_installed().values():
            typer.echo(problem, err=True)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    elif "families" in found:
        _print_strategies(found)
    elif "part" in found:
        part = found["part"]
        example = _("In a strategy: {text}", text=f'"sgd | {part["example"]}"')
        detail = f"{part['name']}({_keywords(part['options'])})\n{example}"
        _print_listing(_(part["kind"].capitalize()), [(part["name"], part["summary"].replace("`", ""), detail)])
    else:
        _print_one(found)


@verb(calando.list_workloads, filled=())
def workloads(call: Callable[..., dict[str, Any]], as_json: bool = False) -> None:
    """List data sets and networks."""
    found = call()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    data = [
        (
            one["name"],
            one["description"],
            "\n".join(
                [
                    _(
                        "{model}, batch {batch_size}, augment {augment}, {epochs} epochs",
                        **{key: one[key] for key in ("model", "batch_size", "augment", "epochs")},
                    ),
                    *(f",{name}=  {_(meaning)}" for name, meaning in one.get("options", {}).items()),
                ]
            ),
        )
        for one in found["data"]
    ]
    _print_listing(_("Data"), data)
    _print_listing(_("Networks (--model)"), [(name, summary, "") for name, summary in found["networks"].items()])


@verb(calando.list_schedules, filled=())
def schedules(call: Callable[..., tuple[Description, ...]], as_json: bool = False) -> None:
    """List schedules and their formulas.

    What can stand behind the | of a strategy text.
    """
    entries = call()
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=2))
        return
    from calando.schedules.known_schedules import FAMILIES

    for family in FAMILIES:
        chosen = [entry for entry in entries if entry.family == family.title]
        details = [
            (entry.name, entry.summary, "\n= ".join(filter(None, (entry.signature, entry.formula)))) for entry in chosen
        ]
        if details:
            _print_listing(_(family.title), details)
    typer.echo(
        _(
            "a >> b: a, then b. a * b, a + b: side by side. Spans: '5%' of the run, '2 epochs', '500 steps' or 500.\n"
            "Draw one: calando plot \"linear(0.01, 1, over='5%') >> cosine(1, 0)\""
        )
    )


@data.callback()
def _data() -> None:
    """Data sets on this machine."""


@data.command("get")
def _get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="fashion-mnist, cifar10 or fsdd")],
    data_dir: Annotated[Path | None, OPTIONS["data_dir"].declared] = None,
) -> None:
    """Download a data set, checksum-checked.

    What is there already is not fetched again.
    """
    typer.echo(calando.get_data(name, data_dir=data_dir))


def _print_strategies(found: Mapping[str, Any]) -> None:
    from calando.methods import METHODS

    # Written out once; elsewhere the reader sees what differs.
    fixed = next(one["text"] for one in found["strategies"] if one["name"] == "fixed")
    for family, meaning in found["families"].items():
        entries = [
            (
                f"{one['name']}{' *' if one['default'] else ''}",
                one["summary"],
                one["text"] if one["text"] == fixed else one["text"].replace(fixed, "sgd(…)"),
            )
            for one in found["strategies"]
            if one["family"] == family
        ]
        _print_listing(translated(f"{family.capitalize()} strategies"), entries, meaning=_(meaning))
    _print_methods(METHODS.values())
    for kind in ("controllers", "averages"):
        details = [
            (part, facts["summary"].replace("`", ""), f"{part}({_keywords(facts['options'])})")
            for part, facts in found[kind].items()
        ]
        _print_listing(_(kind.capitalize()), details)
    typer.echo(
        _(
            "* compared by default. A family: calando compare digits --family rate-free\n"
            "Presets decay over the whole run and choose their rate by trials (lr=auto).\n"
            "sgd(…): with the options of fixed. One in full: calando strategies lion\n"
            'Your own: calando compare digits "mine = sgd(lr=0.1) | cosine(1, 0) | ema()"'
        )
    )


def _print_one(found: Mapping[str, Any]) -> None:
    """One strategy with its method, or one method, in full."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from calando.methods import METHODS
    from calando.strategy import read_strategy

    preset, method = found["strategy"], METHODS[found["method"]["name"]]
    name = method.name if preset is None else preset["name"]
    strategy = read_strategy(name)
    console = Console()
    if preset is not None:
        console.print(
            Text.assemble(
                (name, "bold"),
                _(", {family}: {summary}", family=message(preset["family"]), summary=message(preset["summary"])),
            )
        )
        console.print(Text(f"{preset['text']}\n", style="cyan"))
    name_shown = _("Method {name}", name=method.name)
    console.print(Text.assemble((name_shown, "bold"), _(": {words}", words=message(method.summary))))
    grid = Table.grid(padding=(0, 2), pad_edge=True)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    averaged = _("an average of the weights; batch norm's statistics are measured again for it, over training batches")
    rate = _(
        "trials {rates}, for convolutional networks; usual {usual:g}", rates=_range(method), usual=method.usual_rate
    )
    options = ", ".join(f"{name}={json.dumps(value)}" for name, value in found["method"]["options"].items())
    installed = _("installed" if method.installed else "not installed: pip install 'calando[methods]'")
    for key, value in (
        (_("rate"), _("works it out by itself; lr multiplies it, 1 unless given") if method.rate_free else rate),
        (_("decay"), _(method.decay)),
        (_("schedules"), translated(_SCHEDULES[method.schedules])),
        (
            _("an update"),
            _("one forward and backward pass" if method.passes == 1 else "{count} passes", count=method.passes),
        ),
        (_("memory"), _("{times:g} × the parameters", times=method.memory)),
        (_("groups"), ", ".join(method.groups.names(method.settle(strategy.options)))),
        (_("evaluated"), averaged if strategy.average or method.eval_mode else _("what is trained")),
        (_("options"), options),
        (_("package"), f"{method.package} ({installed})" if method.package else _("none but torch")),
        (_("source"), method.source),
        (_("your loop"), _followed(name, strategy, method)),
    ):
        grid.add_row(Text(key), Text(value))
    console.print(grid)


def _followed(name: str, strategy: StrategySpec, method: Method) -> str:
    """How it is trained with in a loop of one's own."""
    from calando.schedules import Horizon
    from calando.strategy import bind

    wants = [one.wants(0) for one in bind(strategy, Horizon(10**9, 10**3)).controllers]
    needs = []
    if method.closure != "none" or any(want.curvature for want in wants):
        needs.append("optimizer.step(closure)")
    needs += [f"observe({seen}=…)" for seen in dict.fromkeys(want.seen for want in wants)]
    more = _("  with {needs}", needs=" and ".join(needs)) if needs else ""
    rate = "" if method.rate_free else f", lr={method.usual_rate:g}"
    epoch = ", steps_per_epoch=…" if "epoch" in strategy.text else ""
    return f'calando.follow(network, "{name}"{rate}, total_steps=…{epoch}){more}'


def _print_methods(methods: Iterable[Method]) -> None:
    """Methods by family: what each needs in columns that fit 80, the rest below."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    known = list(methods)
    for family, meaning in METHOD_FAMILIES.items():
        console.print(
            Text.assemble((translated(f"{family.capitalize()} methods"), "bold"), _(": {words}", words=meaning))
        )
        console.print(Text(_columns("", *map(_, ("rate", "schedule", "passes", "memory", "package"))), style="dim"))
        for method in (method for method in known if method.family == family):
            rates = _("its own") if method.rate_free else _range(method)
            line = _columns(
                method.name, rates, method.schedules, str(method.passes), f"{method.memory:g}", method.package or "–"
            )
            text = Text(line)
            text.stylize("cyan", 0, 22)
            console.print(text)
            evaluated = [message("evaluation mode, batch norm recalibrated")] if method.eval_mode else []
            below = translated(joined("{one}; {other}", [message(method.decay), *evaluated, method.source]))
            console.print(Padding(Text(below, style="dim"), (0, 0, 0, 4)))
        console.print()
    console.print(
        _(
            "rate: trials of lr=auto, for convolutional networks. schedule: what the rate\n"
            "bears. passes: forward and backward, an update. memory: × the parameters.\n"
        ),
        soft_wrap=True,
        highlight=False,
    )


def _columns(name: str, rate: str, schedule: str, passes: str, memory: str, package: str) -> str:
    from rich.cells import cell_len

    widths = ((name, 20), (rate, 16), (schedule, 9), (passes, 7), (memory, 7))
    return "  " + "".join(text + " " * (width - cell_len(text)) for text, width in widths) + package


def _range(method: Method) -> str:
    from calando.verbs.describe import trial_rates

    low, high = trial_rates(method)
    return f"{low:g} … {high:g}"


def _keywords(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _print_listing(title: str, entries: Sequence[tuple[str, str, str]], *, meaning: str = "") -> None:
    """A heading, then each entry as name and summary, with its detail on a line of its own: fits any width."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2), pad_edge=True)
    grid.add_column(no_wrap=True, style="cyan")
    grid.add_column()
    for name, summary, detail in entries:
        grid.add_row(Text(name), Text.assemble(_(summary), (f"\n{detail}" if detail else "", "dim")))
    console = Console()
    console.print(Text.assemble((title, "bold"), _(": {words}", words=meaning) if meaning else ""))
    console.print(grid)
    console.print()
