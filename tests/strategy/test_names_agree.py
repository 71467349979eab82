"""One set of names: what a strategy or a schedule is called is the same wherever one is given."""

import numpy as np
import pytest
import torch

import calando as package
from calando.errors import UsageError
from calando.schedules.by_name import BY_NAME
from calando.strategy.own_form import in_own_form
from calando.strategy.presets import PRESETS, SGD
from calando.study.build_spec import read_strategies

PLAIN = sorted(BY_NAME)
ALONE = ["flat-cosine", "warmup_hold_cosine", "cosine(1, 0.1)", "0.5 * (linear(0, 1, over='5%') >> cosine(1, 0))"]
MORE = [
    "plateau",
    "ema-cosine",
    "adamw_cosine",
    "sam",
    "swa",
    "lion",
    "sgd",
    "adamw(lr=0.1)",
    "sgd | step(every=9, factor=0.1)",
]


def spellings(name):
    return {name, name.replace("-", "_"), name.replace("_", "-")}


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.1, momentum=0.9)


def in_every_strategy_place(text):
    """The strategy that each place reads; all must be one."""
    network = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(3)))
    yield package.parse_strategy(text)
    yield read_strategies([text], lr=None)[0]  # compare, train and find
    yield package.follow(network, text, total_steps=5000, steps_per_epoch=100, lr=0.1).strategy
    yield package.run(text).strategy


def in_every_schedule_place(text):
    owner, driven = optimizer(), optimizer()
    yield package.parse(text)
    yield package.LRScheduler(owner, text, total_steps=200).schedule
    attached = package.attach(driven, text, total_steps=200)
    yield attached.schedule


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_is_the_same_strategy_in_either_spelling_everywhere(name):
    for text in spellings(name):
        for found in in_every_strategy_place(text):
            assert found == package.parse_strategy(PRESETS[name].text, name=name)
        assert package.list_strategies(text)["strategy"]["name"] == name


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_presets_name_is_its_schedule_where_a_schedule_fits(name):
    for text in spellings(name):
        found = list(in_every_schedule_place(text))
        assert found == [found[0]] * 3
        assert str(found[0]) == package.parse_strategy(name).schedules.get("lr", "constant(1)")
        curve = package.plot(text, steps=200).curves["lr"][text]
        np.testing.assert_array_equal(curve, found[0].bind(200).sample())


@pytest.mark.parametrize("text", ALONE)
def test_a_schedule_alone_is_trained_with_the_sgd_of_the_presets(text):
    schedule = package.parse(text)
    for found in in_every_strategy_place(text):
        assert found.name == text
        assert found.text == package.parse_strategy(f"{SGD} | {schedule}").text
    assert in_own_form(package.parse_strategy(text)).text == f"own(lr=auto) | {schedule}"
    np.testing.assert_array_equal(package.plot(text, steps=99).curves["lr"][text], schedule.bind(99).sample())
    assert package.parse_strategy(f"mine = {text}").name == "mine"


@pytest.mark.parametrize("text", MORE)
def test_a_whole_strategy_is_refused_where_a_schedule_fits_with_the_schedule_to_paste(text):
    written = package.parse_strategy(text).schedules.get("lr", "constant(1)")
    for refuse in (
        package.parse,
        lambda it: package.LRScheduler(optimizer(), it, total_steps=9),
        lambda it: package.attach(optimizer(), it, total_steps=9),
    ):
        with pytest.raises(UsageError, match="a whole strategy, and only a schedule fits here") as caught:
            refuse(text)
        assert "\n" not in str(caught.value)
        assert f'write "{written}"' in str(caught.value)
        package.parse(written)


def test_a_strategy_itself_and_its_other_schedules_are_named_too():
    strategy = package.parse_strategy("sgd | linear(1, 0) | momentum: linear(1, 0.9)")
    with pytest.raises(
        UsageError, match=r'write "linear\(1, 0\)", with hyper_parameters=\{"momentum": "linear\(1, 0.9\)"\}'
    ):
        package.LRScheduler(optimizer(), strategy, total_steps=9)
    scheduler = package.LRScheduler(
        optimizer(), "linear(1, 0)", total_steps=9, hyper_parameters={"momentum": "linear(1, 0.9)"}
    )
    assert scheduler.get_last_lr() == [0.1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cosine(1, 0) | ema()", r'begins with its optimizer; write "sgd \| cosine\(1, 0\) \| ema\(\)"'),
        ("hyperbolic", r"hyperbolic lacks"),
        ("cosin", r"unknown strategy 'cosin'; did you mean 'cosine'"),
        ("own-cycle", r"unknown strategy 'own-cycle'; did you mean 'one-cycle'"),
        ("cosine(1, 0", r"never closed.* of 'cosine\(1, 0'"),
    ],
)
def test_what_is_neither_is_refused_by_the_text_that_came(text, said):
    for read in (package.parse_strategy, package.run, lambda it: read_strategies([it], lr=None)):
        with pytest.raises(UsageError, match=said):
            read(text)


def test_what_is_advised_for_an_optimizer_of_ones_own_can_be_read():
    for text in ("adamw | cosine(1, 0)", "adamw-cosine", "sgd(momentum=0.5) | linear(1, 0)"):
        with pytest.raises(UsageError) as caught:
            in_own_form(package.parse_strategy(text))
        advised = str(caught.value).partition('write "')[2].partition('"')[0]
        assert in_own_form(package.parse_strategy(advised)).method == "own"


def test_inside_a_strategy_a_bare_name_calls_its_constructor():
    assert package.parse_strategy("sgd | wsd").schedules["lr"].startswith("linear(0, 1")
    assert package.parse_strategy("wsd").schedules["lr"].startswith("linear(0.01, 1")
