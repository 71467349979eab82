"""Controllers and averages in a strategy's text: bound to the horizon, and refused where they do not go together."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.controllers import Plateau, Rollback
from calando.errors import UsageError
from calando.methods import METHODS, register
from calando.schedules.span import Horizon
from calando.strategy import Ema, Swa, bind, parse_strategy, read_strategy


@pytest.fixture
def rate_free():
    """Methods that work their rate out: "free" bears no schedule, "warm" a warmup alone and evaluates other weights."""
    sgd = METHODS["sgd"]
    register(replace(sgd, name="free", family="rate-free", usual_rate=1.0, schedules="none"))
    register(replace(sgd, name="warm", schedules="warmup", eval_mode=True))
    yield
    METHODS.remove("free")
    METHODS.remove("warm")


def controllers_of(text, *, steps=1000, steps_per_epoch=100):
    return bind(parse_strategy(text), Horizon(steps, steps_per_epoch)).controllers


def average_of(text, *, steps=1000, steps_per_epoch=100):
    return bind(parse_strategy(text), Horizon(steps, steps_per_epoch)).average


def test_lengths_are_bound_in_any_unit():
    text = "sgd | plateau(patience='2 epochs', cooldown='1%', metric='validation_score', threshold_mode='abs')"
    assert controllers_of(text) == (
        Plateau(patience=200, cooldown=10, metric="validation_score", threshold_mode="abs"),
    )
    assert controllers_of("sgd | plateau(cooldown=0, floor=0.1)") == (Plateau(patience=100, floor=0.1),)
    text = "sgd | rollback(factor=0.3, warmup='1 epoch', every=50, tries=2, patience='20%') | plateau()"
    rollback, plateau = controllers_of(text)
    assert rollback == Rollback(factor=0.3, warmup=100, every=50, tries=2, patience=200, wait=500)
    assert plateau == Plateau(patience=100)
    assert controllers_of("sgd | rollback(warmup=0)")[0].warmup == 0


def test_a_rollback_keeps_and_waits_no_shorter_than_its_statistics():
    assert controllers_of("sgd | rollback()") == (Rollback(warmup=20, every=32, patience=100, wait=500),)
    assert controllers_of("sgd | rollback()", steps=10**5) == (
        Rollback(warmup=2000, every=2000, patience=10**4, wait=5 * 10**4),
    )
    assert controllers_of("sgd | rollback()", steps=50, steps_per_epoch=10) == (
        Rollback(warmup=1, every=32, patience=32, wait=64),
    )


def test_averages_are_bound_to_updates():
    assert average_of("sgd") is None
    assert average_of("sgd | ema()") == Ema(decay=0.999)
    assert average_of("sgd | swa()") == Swa(start=750, every=100)
    assert average_of("sgd | swa(start=0, every=3)") == Swa(start=0, every=3)
    late = parse_strategy("sgd | swa(start='20 epochs')")
    with pytest.raises(UsageError, match="start='20 epochs' is update 2000 of a run of 1000, after which none follows"):
        bind(late, Horizon(1000, 100))


@pytest.mark.parametrize("zero", ["0", "'0%'", "'0 steps'", "'0.0 epochs'"])
def test_lengths_of_nothing_are_said_in_any_unit(zero):
    assert controllers_of(f"sgd | plateau(cooldown={zero})") == controllers_of("sgd | plateau(cooldown=0)")
    assert controllers_of(f"sgd | rollback(warmup={zero})") == controllers_of("sgd | rollback(warmup=0)")
    assert average_of(f"sgd | swa(start={zero})") == average_of("sgd | swa(start=0)")
    for text in ("plateau(cooldown=-1)", "rollback(warmup='-2%')", "swa(start=-1)"):
        with pytest.raises(UsageError, match="must be a length of 0 or more"):
            parse_strategy(f"sgd | {text}")


@given(st.permutations(["cosine(1, 0)", "momentum: linear(1, 0.5)", "plateau()", "rollback()", "ema()"]))
def test_parts_may_come_in_any_order(parts):
    strategy = parse_strategy(" | ".join(["x = sgd(lr=0.1, momentum=0.9)", *parts]))
    assert strategy.schedules == {"lr": "cosine(1, 0)", "momentum": "linear(1, 0.5)"}
    assert set(strategy.controllers) == {"plateau()", "rollback()"}
    assert strategy.average == "ema()"
    assert parse_strategy(strategy.text, name="x") == strategy


def test_the_name_made_up_tells_what_is_in_it():
    assert parse_strategy("sgd | cosine(1, 0) | rollback(tries=2)").name == "sgd|cosine|rollback"
    assert parse_strategy("adam | ema(decay=0.9)").name == "adam|ema"


def test_a_toml_file_says_the_same_as_text(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'method = "sgd"\nlr = 0.1\ncontrollers = ["plateau( )", "rollback(tries=2)"]\naverage = "swa(every=5)"\n'
    )
    assert read_strategy(str(path)) == parse_strategy("mine = sgd(lr=0.1) | plateau() | rollback(tries=2)|swa(every=5)")


def test_a_method_that_needs_no_rate_gets_its_usual_one(rate_free, tmp_path):
    assert parse_strategy("free").lr == 1.0
    assert parse_strategy("free(momentum=0.9)").lr == 1.0
    assert parse_strategy("free(lr=auto)").lr is None
    assert parse_strategy("free(lr=0.5)").lr == 0.5
    path = tmp_path / "s.toml"
    for said, lr in (("", 1.0), ('lr = "auto"', None), ("lr = 0.5", 0.5)):
        path.write_text(f'method = "free"\n{said}')
        assert read_strategy(str(path)).lr == lr


WARMUPS = [
    "linear(0, 1, over='5%')",
    "linear(0, 1, over='500 steps') >> constant(1)",
    "warmup('1 epoch')",
    "constant(2)",
]


@pytest.mark.parametrize("schedule", WARMUPS)
def test_a_warmup_is_taken_where_a_decay_is_not(rate_free, schedule):
    assert parse_strategy(f"warm | {schedule}").schedules
    with pytest.raises(UsageError, match="free works its rate out by itself and takes no schedule of it; leave out"):
        parse_strategy(f"free | {schedule}")
    assert parse_strategy(f"free(momentum=0.9) | momentum: {schedule} | rollback()").controllers


@pytest.mark.parametrize(
    "schedule",
    [
        "cosine(1, 0)",
        "linear(0, 1, over='5%') >> cosine(1, 0)",
        "linear(0, 1, over='10 steps') >> linear(1, 0.5, over='10 steps')",
        "per_group({'all': step(every='30%', factor=0.9)})",
        "cosine_restarts(first='1 epoch')",
        "inverse_sqrt(timescale=100)",
    ],
)
def test_a_decay_is_refused_where_a_warmup_alone_makes_sense(rate_free, schedule):
    with pytest.raises(UsageError, match="warm needs no decay.*keep the warmup alone"):
        parse_strategy(f"warm | {schedule}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sgd | plateau() | plateau(factor=0.2)", "two controllers would fight over the rate: 'plateau\\(\\)' and"),
        ("sgd | rollback() | cosine(1, 0) | rollback()", "two controllers would fight.*leave out one"),
        ("sgd | ema() | swa()", r"a second average next to ema\(\)"),
        ("sgd | ema(decay=1)", r"ema: decay must be in \(0, 1\)"),
        ("sgd | ema(decay='x')", "ema: decay must be a number, got 'x'"),
        ("sgd | ema(0.9)", "ema takes named options only, as in ema"),
        ("sgd | ema(start=3)", "unknown option of ema 'start'"),
        ("sgd | swa(every=0)", "swa: every must be a finite number above 0"),
        ("sgd | rollback(tries=0)", "rollback: tries must be a whole number from 1"),
        ("sgd | rollback(tries=2.5)", "rollback: tries must be a whole number from 1"),
        ("sgd | rollback(factor=2)", "rollback: factor must be in"),
        ("sgd | rollback(factor=true)", "rollback: factor must be a number"),
        ("sgd | rollback(patience=0)", "rollback: patience must be a finite number above 0"),
        ("sgd | rollback(cooldown=3)", "unknown option of rollback 'cooldown'; .*choices: every, factor"),
        ("sgd | plateau(cooldown=-1)", "plateau: cooldown must be a length of 0 or more"),
        ("sgd | plateau(metric='loss')", "plateau: metric must be one of validation_loss"),
        ("sgd | plateau(metric=3)", "plateau: metric must be a word"),
        ("sgd | plateau(threshold_mode='relative')", "plateau: threshold_mode must be 'rel' or 'abs'"),
        ("sgd | platau()", "unknown schedule or controller 'platau'; did you mean 'plateau'"),
        ("sgd | emma(decay=0.9)", "unknown schedule or controller 'emma'; did you mean 'ema'"),
        ("free | plateau()", "free needs no decay of its rate, and a plateau is one; leave out"),
        ("warm | plateau()", "warm needs no decay of its rate"),
        ("warm | ema()", "warm evaluates an average of its weights as it is; leave out 'ema"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(rate_free, text, says):
    with pytest.raises(UsageError, match=says) as caught:
        parse_strategy(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("average = 3", "average must be text, as in"),
        ('average = "rollback()"', "unknown average 'rollback'; choices: ema, swa"),
        ('controllers = ["ema()"]', "unknown controller 'ema'"),
        ('controllers = ["plateau()", "plateau()"]', "would fight"),
        ('average = "ema(decay=2)"', "decay must be in"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, body, says):
    path = tmp_path / "s.toml"
    path.write_text(f'method = "sgd"\n{body}')
    with pytest.raises(UsageError, match=says):
        read_strategy(str(path))
