"""Numbers that single precision cannot use are refused at the door, in one line, wherever they come in."""

import re

import numpy as np
import pytest
import torch
from tests.training.small_runs import Bare, a_run, a_workload
from torch import nn

import calando
from calando.errors import UsageError
from calando.sizes import check_products
from calando.strategy import read_strategy
from calando.study.build_spec import build_study, read_strategies
from calando.study.limits import Budget, Machine
from calando.tasks.catalog import resolve
from calando.training.loop import execute

HUGE = "1" + "0" * 400
RATES = ["1e31", "3.5e38", "1e300", "1e-31", "1e-38", "1e-45", "1e-310", HUGE]


def refused(call, match):
    with pytest.raises(UsageError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("rate", RATES)
def test_a_rate_in_a_text_a_file_an_option_and_a_call(rate, tmp_path):
    bounds = re.escape("from 1e-30 to 1e+30")
    refused(lambda: read_strategy(f"sgd(lr={rate})"), bounds + "|finite number|too large")
    path = tmp_path / "mine.toml"
    path.write_text(f'method = "sgd"\nlr = {rate}\n')
    refused(lambda: read_strategy(str(path)), bounds + "|finite number|too large")
    value = float(rate) if len(rate) < 100 else int(rate)
    refused(lambda: read_strategies(["cosine"], lr=value), bounds)
    refused(lambda: calando.follow(nn.Linear(1, 1), "cosine", total_steps=9, lr=value), bounds)
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for asked in ({"low": value}, {"high": value}):
        refused(lambda asked=asked: calando.find_lr(model, optimizer, None, [], **asked), bounds)
    if len(rate) < 100:
        optimizer = torch.optim.SGD(model.parameters(), lr=value)
        said = "lr of group 0 must be (at most|from 1e-30 to) 1e.30"
        refused(lambda: calando.attach(optimizer, "cosine(1, 0)", total_steps=9), said)
        refused(lambda: calando.LRScheduler(optimizer, "cosine(1, 0)", total_steps=9), said)


@pytest.mark.parametrize("option", ["weight_decay=1e39", f"weight_decay={HUGE}"])
def test_other_options(option, tmp_path):
    refused(lambda: read_strategy(f"sgd(lr=0.1, {option})"), r"single precision|too large")
    path = tmp_path / "mine.toml"
    path.write_text(f'method = "sgd"\nlr = 0.1\noptions = {{ {option} }}\n')
    refused(lambda: read_strategy(str(path)), "single precision")
    refused(lambda: read_strategy("adam(lr=0.1, eps=1e-40)"), "single precision")
    assert read_strategy("sgd(lr=1e30, momentum=0.9, weight_decay=0)").lr == 1e30


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("sgd(lr=0.1) | constant(1e40)", "lr would be 1e\\+39 .* single precision ends"),
        ("sgd(lr=1e30) | piecewise(values=[1e10, 1], at=[5])", "lr would be 1e\\+40"),
        ("sgd(lr=1e-20) | constant(1e-20)", "never be more than 1e-40"),
    ],
)
def test_the_product_with_a_schedule(text, match):
    refused(lambda: read_strategy(text), match)
    left_open = re.sub(r"lr=[^)]*", "", text)
    rate = float(re.search(r"lr=([^)]*)", text)[1])
    refused(lambda: read_strategies([left_open], lr=rate), match)
    refused(lambda: calando.follow(nn.Linear(1, 1), left_open, total_steps=9, lr=rate), match)


def test_a_schedule_that_grows_is_refused_where_its_runs_come_as_far():
    """In steps: how far that is depends on the runs' length."""
    text = "sgd(lr=0.1) | step(every=8, factor=20)"
    assert read_strategy(text).lr == 0.1
    for steps, fits in ((100, True), (400, False)):

        def ask(steps: int = steps):
            machine = Machine(device="cpu")
            return build_study(resolve("digits"), [text], budget=Budget(steps=steps), machine=machine, seeds=1)

        if fits:
            assert ask().study.steps == steps
        else:
            refused(ask, "single precision ends at 3.4e38")


def test_a_decay_may_end_at_nothing():
    for text in ("sgd(lr=1e-20) | exponential(1, 1e-30)", "sgd(lr=0.1) | cosine(1, 0)", "sgd(lr=0.1) | constant(0)"):
        assert read_strategy(text)


def test_the_driver_names_the_update_that_nobody_looked_at_before():
    text = "piecewise(values=[1, 1e40, 1], at=[700, 701])"
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    refused(lambda: calando.attach(optimizer, text, total_steps=1000), "at update 700 .base value 0.1 times 1e.40")
    check_products("lr", 0.0, np.array([np.inf, 1e300]), first=0)


@pytest.mark.parametrize("method", ["sgd", "adam", "lamb", "muon"])
def test_what_single_precision_just_holds_diverges_and_raises_nothing(method):
    workload = a_workload(Bare)
    assert execute(a_run(f"{method}(lr=1e30) | constant(3e8)", workload, steps=4), workload).outcome == "diverged"
