"""The strategies known by name: each reads, binds, fits its family, and every method is among them."""

import pytest

from calando.errors import UnknownName, UsageError
from calando.methods import METHODS, find_method
from calando.schedules.span import Horizon
from calando.strategy import DEFAULT_STRATEGIES, PRESETS, bind, parse_strategy, read_strategy
from calando.strategy.presets import STRATEGY_FAMILIES, YARDSTICKS, choose_strategies


@pytest.mark.parametrize("name", PRESETS)
def test_presets_read_bind_and_leave_their_rate_open(name):
    strategy = read_strategy(name)
    method = find_method(strategy.method)
    assert strategy.name == name
    assert strategy.lr == (method.usual_rate if method.rate_free else None)
    (curve,) = bind(strategy, Horizon(1000, 100)).curves["lr"]
    assert max(curve.sample()) == pytest.approx(1, abs=1e-2)


def test_every_method_is_reached_by_its_own_name():
    assert {read_strategy(name).method for name in PRESETS} == set(METHODS)
    for name in METHODS:
        assert read_strategy(name).method == name
        assert name in PRESETS
    assert read_strategy("sgd") == parse_strategy("sgd")


def test_families_are_true_to_their_names():
    for name, preset in PRESETS.items():
        strategy = read_strategy(name)
        method = find_method(strategy.method)
        falls = bool(strategy.controllers)
        for curve in bind(strategy, Horizon(1000, 100)).curves["lr"]:
            falls |= bool(curve(1000) < max(curve.sample()))
        assert preset.family in STRATEGY_FAMILIES
        assert (preset.family == "rate-free") == method.rate_free, name
        if preset.family in ("fixed", "decayed"):
            assert strategy.method in ("sgd", "sam")
            assert falls == (preset.family == "decayed")
        if method.schedules != "any":
            assert not falls, name
        if name.endswith("-cosine"):
            assert falls, name
    assert set(DEFAULT_STRATEGIES) <= set(PRESETS)
    assert set(YARDSTICKS) <= set(DEFAULT_STRATEGIES)


@pytest.mark.parametrize("family", [*STRATEGY_FAMILIES, "all"])
def test_a_family_is_all_of_it_and_the_yardsticks(family):
    chosen = choose_strategies([], family=family)
    belongs = {name for name, preset in PRESETS.items() if family in ("all", preset.family)}
    assert set(chosen) == belongs | set(YARDSTICKS)
    assert len(chosen) == len(set(chosen))


def test_what_is_given_is_taken_and_nothing_means_the_default():
    assert choose_strategies(["adam"]) == ("adam",)
    assert choose_strategies([]) == DEFAULT_STRATEGIES
    with pytest.raises(UsageError, match="give strategies or the family 'all', not both"):
        choose_strategies(["adam"], family="all")
    with pytest.raises(UnknownName, match=r"unknown family 'ratefree'; did you mean 'rate-free'\?"):
        choose_strategies([], family="ratefree")


def test_a_part_of_a_strategy_is_none_by_itself():
    with pytest.raises(
        UsageError, match=r'ema is an average, no strategy by itself; write "sgd \| ema\(decay=0.999\)"'
    ):
        read_strategy("ema")
