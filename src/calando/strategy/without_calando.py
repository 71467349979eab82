"""The lines of torch that train as a strategy does, for who does not want calando in production.

optimizer       torch's own, on the groups that the method makes
schedule        a LambdaLR with the closed form; where there is none, with values that calando writes to a file once
needs calando   what is more than that: a method that torch has not, controllers, averages, several schedules
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from calando.language import joined, message
from calando.methods import find_method
from calando.methods.method import BY_DECAY, OWN, ImportedClass, Method
from calando.records import StrategySpec
from calando.schedules import SCHEDULES, Horizon, Schedule, parse
from calando.schedules.as_python import multiplier_lines
from calando.schedules.function import functions_named

__all__ = ["VALUES", "torch_lines", "why_calando_is_needed"]

VALUES = "multipliers.json"
TORCH = "torch.optim:"
WIDTH = 72  # letters of a line: shown indented on a terminal of 80, none is cut


def why_calando_is_needed(strategy: StrategySpec) -> str:
    """What of a strategy torch alone does not have; "" where a LambdaLR is all.

    >>> from calando.strategy import parse_strategy
    >>> [why_calando_is_needed(parse_strategy(text)) for text in ("cosine", "adamw | cosine(1, 0) | ema()", "lion")]
    ['', 'ema()', 'the method lion']
    """
    method, others = find_method(strategy.method), [key for key in strategy.schedules if key != "lr"]
    parts = [
        *strategy.controllers,
        *filter(None, [strategy.average]),
        *(message("a schedule of {key}", key=key) for key in others),
    ]
    if strategy.method != OWN.name and _class_of(method) is None:
        parts.insert(0, message("the method {name}", name=method.name))
    text = strategy.schedules.get("lr", "constant(1)")
    if parse(text).group_names:
        parts.append(message("rates that differ between groups"))
    if own := [*functions_named(text), *SCHEDULES.own(text)]:
        parts.append(message("your own {name}", name=own[0]))
    return joined("{one}, {other}", parts)


def torch_lines(strategy: StrategySpec, horizon: Horizon) -> list[str] | None:
    """Lines of Python that make `optimizer` and `scheduler` for a `network`, without calando.

    Args:
        strategy: with its rate.
        horizon: of the run; the lines name it, so that it may be changed.

    Returns:
        The lines; None where `why_calando_is_needed` says why there are none.

    >>> from calando.strategy import parse_strategy
    >>> print("\\n".join(torch_lines(parse_strategy("adam(lr=0.01) | linear(1, 0)"), Horizon(100))))
    import torch
    <BLANKLINE>
    steps = 100  # updates in all
    <BLANKLINE>
    def multiplier(t):
        p = min(t / steps, 1)  # linear(1, 0)
        return 1.0 - p
    <BLANKLINE>
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(
        parameters,
        lr=0.01,
        betas=(0.9, 0.999),
        eps=1e-08,
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, multiplier)
    # after each optimizer.step(): scheduler.step()
    """
    if why_calando_is_needed(strategy):
        return None
    text = strategy.schedules.get("lr", "constant(1)")
    closed = multiplier_lines(schedule := parse(text), horizon)
    written = closed or _from_file(schedule, horizon)
    imports = [name for name in ("json", "math") if any(f"{name}." in line for line in written)]
    epochs = any("epoch" in line.partition("#")[0] for line in written)
    lines = [
        *(f"import {name}" for name in imports),
        *([""] if imports else []),
        "import torch",
        "",
        f"steps = {horizon.total_steps}  # updates in all",
        *([f"epoch = {horizon.steps_per_epoch}  # updates in one"] if epochs else []),
        "",
        *written,
        "",
    ]
    lines += _optimizer_lines(strategy)
    lines += [
        "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, multiplier)",
        "# after each optimizer.step(): scheduler.step()",
    ]
    return [line if len(line) <= WIDTH else line.partition("  # ")[0] for line in lines]


def _from_file(schedule: Schedule, horizon: Horizon) -> list[str]:
    per_epoch = f" --steps-per-epoch {horizon.steps_per_epoch}" if "epoch" in str(schedule) else ""
    command = f'calando plot "{schedule}" --steps {horizon.total_steps}{per_epoch} --json > {VALUES}'
    said = textwrap.wrap(f"once, with calando: {command}", WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return [
        *(f"# {line}" for line in said),
        f'with open("{VALUES}") as file:',
        "    (values,) = json.load(file).values()",
        "",
        "def multiplier(t):",
        "    return values[min(t, steps - 1)]",
    ]


def _optimizer_lines(strategy: StrategySpec) -> list[str]:
    if strategy.method == OWN.name:
        return [f"# optimizer: yours, made with lr={strategy.lr!r}"]
    method = find_method(strategy.method)
    made = _class_of(method)
    assert made is not None, "checked by why_calando_is_needed"
    options = {"lr": strategy.lr, **made.fixed, **method.settle(strategy.options)}
    decay = options.pop("weight_decay", 0.0)
    name = made.path.removeprefix(TORCH)
    lines = ["parameters = [p for p in network.parameters() if p.requires_grad]"]
    if decay == 0:
        return [*lines, *_call(name, "parameters", options if name != "AdamW" else {**options, "weight_decay": 0.0})]
    groups = [
        "matrices = [p for p in parameters if p.ndim >= 2]",
        "others = [p for p in parameters if p.ndim < 2]",
        f'groups = [{{"params": matrices, "weight_decay": {decay!r}}}]',
        'groups += [{"params": others, "weight_decay": 0.0}]',
    ]
    return [*lines, *groups, *_call(name, "groups", options)]


def _call(name: str, first: str, options: Mapping[str, Any]) -> list[str]:
    given = [first, *(f"{key}={value!r}" for key, value in options.items())]
    whole = f"optimizer = torch.optim.{name}({', '.join(given)})"
    return (
        [whole] if len(whole) <= WIDTH else [f"optimizer = torch.optim.{name}(", *(f"    {one}," for one in given), ")"]
    )


def _class_of(method: Method) -> ImportedClass | None:
    """torch's own class, where a method is that on groups by decay and no more."""
    build = method.build
    plain = isinstance(build, ImportedClass) and build.path.startswith(TORCH) and method.groups is BY_DECAY
    return build if plain and isinstance(build, ImportedClass) and not method.eval_mode else None
