"""The lines of torch that calando hands out run by themselves and train at the same rates, to the same weights."""

import json

import numpy as np
import pytest
import torch

import calando as package
from calando.schedules import Horizon, known_schedules, parse
from calando.schedules.as_python import multiplier_lines
from calando.strategy import parse_strategy
from calando.strategy.presets import PRESETS
from calando.strategy.without_calando import torch_lines, why_calando_is_needed

HORIZONS = [(1000, 40), (97, 7), (40, 3)]
IN_TORCH = sorted(name for name in PRESETS if not why_calando_is_needed(parse_strategy(name)))
OTHERS = [
    "sgd | constant(1, over='2 epochs') >> linear(1, 0.1)",
    "sgd | linear(0, 1, over='10%') * cosine(1, 0)",
    "sgd | linear(0, 1, over=10) >> step(every='1 epoch', factor=0.5)",
    "sgd | step(every=3, factor=0.5, over='20%') >> exponential(0.3, 0.01)",
    "sgd(momentum=0.9) | linear(0, 1, over='20%') >> multistep(at=['30%', '2 epochs 1 steps'], factor=0.1)",
    "adam(weight_decay=0.1) | constant(1, over='35%') >> constant(0.1, over='65%')",
    "adam | linear(0, 1, over='5%') >> constant(1) >> polynomial(1, 0, power=3, over='1 epoch')",
    "rmsprop | repeat(cosine(1, 0), every='25%')",
    "adamw(weight_decay=0) | rex(1, 0)",
]


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


def train(net, optimizer, steps, after=lambda: None):
    """The rates that were used, and the weights at the end."""
    data, rates = torch.linspace(-1, 1, 24).reshape(8, 3), []
    for _ in range(steps):
        optimizer.zero_grad()
        (net(data) - 0.5).square().mean().backward()
        optimizer.step()
        rates.append([group["lr"] for group in optimizer.param_groups])
        after()
    return np.array(rates), [p.detach().clone() for p in net.parameters()]


def executed(lines, net, folder, monkeypatch, schedule, horizon):
    monkeypatch.chdir(folder)
    if any("multipliers.json" in line for line in lines):
        drawn = package.plot(schedule, steps=horizon.total_steps, steps_per_epoch=horizon.steps_per_epoch)
        values = {label: array.tolist() for label, array in drawn.curves["lr"].items()}
        (folder / "multipliers.json").write_text(json.dumps(values))
    names = {"network": net}
    exec("\n".join(lines), names)
    return names["optimizer"], names["scheduler"]


@pytest.mark.parametrize("text", [*IN_TORCH, *(one for one in OTHERS if "1 steps" not in one)])
def test_the_lines_train_at_the_same_rates_to_the_same_weights(text, tmp_path, monkeypatch):
    strategy = parse_strategy(text).at_rate(0.01)
    schedule = strategy.schedules.get("lr", "constant(1)")
    for steps, per_epoch in HORIZONS:
        horizon = Horizon(steps, per_epoch)
        lines = torch_lines(strategy, horizon)
        assert not any("calando" in line.partition("#")[0] for line in lines)
        assert max(map(len, lines)) <= 72
        net = network()
        optimizer, scheduler = executed(lines, net, tmp_path, monkeypatch, schedule, horizon)
        rates, weights = train(net, optimizer, min(steps, 97), scheduler.step)
        training = package.follow(ours := network(), strategy, total_steps=steps, steps_per_epoch=per_epoch)
        followed, same = train(ours, training.optimizer, min(steps, 97))
        np.testing.assert_allclose(rates[:, 0], followed[:, 0], rtol=1e-12, atol=1e-15)
        for one, other in zip(weights, same, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted({*known_schedules.SCHEDULES} - {"function"}))
@pytest.mark.parametrize(("steps", "per_epoch"), HORIZONS)
def test_a_closed_form_is_the_schedule_to_1e_12(name, steps, per_epoch):
    schedule, horizon = parse(known_schedules.example_of(name)), Horizon(steps, per_epoch)
    try:
        curve = schedule.bind(steps, steps_per_epoch=per_epoch)
    except package.UsageError:
        pytest.skip("longer than this run")
    lines = multiplier_lines(schedule, horizon) if not schedule.group_names else None
    if lines is None:
        return
    names = {"steps": steps, "epoch": per_epoch}
    exec("import math\n" + "\n".join(lines), names)
    values = [names["multiplier"](t) for t in range(steps + 3)]
    np.testing.assert_allclose(values, curve(np.arange(steps + 3)), rtol=1e-12, atol=1e-15)


def test_most_presets_and_the_shapes_people_train_with_have_a_closed_form():
    closed = [
        name
        for name in IN_TORCH
        if "multipliers.json" not in str(torch_lines(parse_strategy(name).at_rate(0.1), Horizon(100, 10)))
    ]
    assert {"cosine", "one-cycle", "wsd", "step", "multistep", "adamw-cosine", "polynomial", "exponential"} <= set(
        closed
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("lion", "the method lion"),
        ("plateau", "plateau(factor=0.2, patience='10%')"),
        ("ema-cosine", "ema(decay=0.999)"),
        ("sgd | one_cycle() | momentum: linear(1, 0.9)", "a schedule of momentum"),
        ("sgd(weight_decay=0.1) | per_group({'no_decay': 2}, others=1)", "rates that differ between groups"),
    ],
)
def test_what_torch_alone_does_not_have_is_named(text, why):
    strategy = parse_strategy(text).at_rate(0.1)
    assert why_calando_is_needed(strategy) == why
    assert torch_lines(strategy, Horizon(100, 10)) is None
