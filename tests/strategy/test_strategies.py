"""Strategies from text: what is printed reads back equal, and what is wrong is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import ScheduleTextError, UsageError
from calando.methods import METHODS
from calando.records import StrategySpec
from calando.schedules.span import Horizon
from calando.strategy import bind, parse_strategy, read_strategy

BEARS_ALL = sorted(name for name, method in METHODS.items() if method.schedules == "any")
SCHEDULES = ["cosine(1, 0)", "linear(0, 1, over='5%') >> cosine(1, 0)", "step(every='34%', factor=0.1)", "wsd()"]


@given(
    st.sampled_from(BEARS_ALL),
    st.floats(1e-6, 10),
    st.one_of(st.none(), st.sampled_from(SCHEDULES)),
    st.floats(0, 0.1),
    st.lists(st.sampled_from(["plateau(factor=0.5, patience='3 epochs')", "rollback(tries=2)"]), unique=True),
    st.sampled_from(["", "ema(decay=0.99)", "swa(start='75%', every='1 epoch')"]),
)
def test_printed_text_reads_back_equal(method, lr, schedule, weight_decay, controllers, average):
    decay = f", weight_decay={weight_decay!r}" if "weight_decay" in METHODS[method].options else ""
    average = "" if METHODS[method].eval_mode else average
    parts = [f"name = {method}(lr={lr!r}{decay})", schedule, *controllers, average]
    text = " | ".join(part for part in parts if part)
    strategy = parse_strategy(text)
    assert strategy.lr == lr
    assert (strategy.controllers, strategy.average) == (tuple(controllers), average)
    assert parse_strategy(strategy.text, name=strategy.name) == strategy
    assert StrategySpec.model_validate_json(strategy.model_dump_json()) == strategy


def test_other_hyper_parameters_carry_schedules():
    strategy = parse_strategy("adamw(lr=auto) | cosine(1, 0) | weight_decay: linear(1, 0)")
    (curve,) = bind(strategy, Horizon(10, 1)).curves["weight_decay"]
    assert curve(5) == 0.5
    assert parse_strategy("adam | beta1: linear(1, 0.9)").schedules == {"beta1": "linear(1, 0.9)"}


def test_groups_carry_schedules_of_their_own():
    strategy = parse_strategy("sgd(lr=0.1, weight_decay=0.1) | per_group({'no_decay': cosine(1, 0)}, others=1)")
    assert parse_strategy(strategy.text, name=strategy.name) == strategy
    curves = bind(strategy, Horizon(10, 1)).curves["lr"]
    assert [curve(10) for curve in curves] == [1.0, 0.0]


def test_a_toml_file_says_the_same_as_text(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'method = "sgd"\nlr = 0.1\noptions = { momentum = 0.9 }\nschedules = { lr = "cosine(1,0)" }\n'
        "controllers = [\"plateau(patience='1 epoch')\"]\n"
    )
    text = "mine = sgd(lr=0.1, momentum=0.9) | cosine(1, 0) | plateau(patience='1 epoch')"
    assert read_strategy(str(path)) == parse_strategy(text)
    path.write_text('strategy = "adam | linear(1, 0)"')
    assert read_strategy(str(path)).method == "adam"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cosin", "did you mean 'cosine'"),
        ("sgdd(lr=0.1)", "unknown method 'sgdd'; did you mean 'sgd'"),
        ("sgd(lr=0.1, momentun=0.9)", "did you mean 'momentum'"),
        ("sgd(lr=0.1, momentum=1.5)", r"momentum must be a number in \[0, 1\)"),
        ("sgd(lr=0)", "lr must be a positive finite number"),
        ("sgd(lr=-1)", "lr must be a positive finite number"),
        ("sgd(lr=1e999)", "too large|lr must be|finite"),
        ("sgd(lr=0.1, nesterov=true)", "needs momentum"),
        ("adam(betas=[0.9])", "two numbers"),
        ("adam(lr=none)", "lr must be"),
        ("adam(eps=none)", "eps must be"),
        ("sgd(lr=cosine(1, 0))", "'cosine' cannot be called here; a schedule goes behind a '|'.*lr=<!>cosine"),
        ("sgd(lr=2 * 0.1)", "found '\\*'"),
        ("sgd(lr={'a': 0.1})", "lr must be a positive finite number"),
        ("sgd(lr=0.1, momentum={'a': 0.9})", "momentum must be a number"),
        ("adam(betas={'a': 0.9, 'b': 0.99})", "two numbers"),
        ("sgd(lr=0.1) | plateau(factor={'a': 0.1})", "factor must be a number"),
        ("sgd(lr=0.1) | plateau(factor=cosine(1, 0))", "cannot be called here"),
        ("sgd(lr=0.1) | cosine(1, 0", "<!>"),
        ("sgd(lr=0.1) | cosine(1, 0) | linear(1, 0)", "second schedule for lr"),
        ("sgd(lr=0.1) | momentun: linear(1, 0)", "momentun"),
        ("sgd(lr=0.1) | momentum: linear(1, 0) | beta1: linear(1, 0)", "beta1"),
        ("sgd(lr=0.1, weight_decay=0) | per_group({'decay': 1}, others=1)", "'decay'; choices: all"),
        ("sgd(lr=0.1) | plateau(0.1)", "plateau"),
        ("sgd(lr=0.1) | plateau(facto=0.1)", "did you mean 'factor'"),
        ("sgd(lr=0.1) | plateau(factor=2)", "factor must be in"),
        ("sgd(lr=0.1) | plateau(patience='two')", "plateau: patience must be a length such as"),
        ("missing.toml", "cannot be read"),
        ("", "."),
        ("|", "."),
    ],
)
def test_what_is_wrong_is_named_in_one_line(text, says):
    with pytest.raises(UsageError, match=says) as caught:
        read_strategy(text)
    assert "\n" not in str(caught.value)


def test_errors_point_into_the_whole_text():
    text = "mine = sgd(lr=0.1) | linear(0, 1) >> cosin(1, 0)"
    with pytest.raises(ScheduleTextError) as caught:
        read_strategy(text)
    assert caught.value.position == text.index("cosin")


@pytest.mark.parametrize(
    "body",
    [
        "lr = 0.1",
        "method = 1",
        'method = "sgd"\nlr = -1',
        'method = "sgd"\nrate = 1',
        "x = [",
        'method="sgd"\noptions=3',
    ],
)
def test_wrong_toml_is_refused(tmp_path, body):
    path = tmp_path / "s.toml"
    path.write_text(body)
    with pytest.raises(UsageError):
        read_strategy(str(path))


@given(st.text(max_size=60))
def test_only_our_errors_come_out(text):
    message = ""
    try:
        assert read_strategy(text).method in METHODS
    except UsageError as error:
        message = str(error)
    assert "\n" not in message
