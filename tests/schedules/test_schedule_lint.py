"""Lint: each rule fires on a schedule that has the fault, and is silent where its own remedy was followed."""

import dataclasses
import inspect
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UsageError
from calando.schedules import SCHEDULES, lint, lint_schedule, parse, per_group

SPE = 100


def findings(text, total=1000, spe=SPE, of="lr"):
    return lint_schedule(parse(text), total, steps_per_epoch=spe, of=of)


def found(text, total=1000, spe=SPE, of="lr"):
    return {(finding.name, finding.level, finding.step) for finding in findings(text, total, spe, of)}


# The fault, what is found, and the same with the remedy followed, which is silent; over 1000 steps, 100 an epoch.
FAULTS = [
    ("linear(1, -1)", ("negative", "error", 501), "linear(1, 0)"),
    ("cosine(1, 0) * -1", ("negative", "error", 0), "cosine(1, 0)"),
    ("constant(1e300) * linear(1e300, 1)", ("not-finite", "error", 0), "constant(1e3) * linear(1e3, 1)"),
    ("step(every='50%', factor=1e300) * step(every='50%', factor=1e300)", ("not-finite", "error", 500),
     "step(every='50%', factor=1e-3) * step(every='50%', factor=1e-3)"),
    ("linear(0.1, 1, over='2000 steps') >> cosine(1, 0)", ("long-warmup", "error", 999),
     "linear(0.1, 1, over='5%') >> cosine(1, 0)"),
    ("linear(0.1, 1, over='20 epochs')", ("long-warmup", "error", 999), "linear(0.1, 1, over='5%')"),
    ("linear(0.1, 1, over='1000 steps') >> cosine(1, 0)", ("long-warmup", "error", 999),
     "linear(0.1, 1, over='5%') >> cosine(1, 0)"),
    ("linear(0.1, 1, over='55%') >> cosine(1, 0)", ("long-warmup", "warning", 520),
     "linear(0.1, 1, over='5%') >> cosine(1, 0)"),
    ("saturating(timescale='50%')", ("long-warmup", "warning", 861), "saturating(timescale='5%')"),
    ("cosine(1, 0, over='60%') >> linear(0, 0.1, over='60%')", ("overrun", "error", 999),
     "cosine(1, 0.1, over='60%') >> linear(0.1, 0, over='40%')"),
    ("cosine(1, 0, over='2000 steps')", ("overrun", "error", 999), "cosine(1, 0)"),
    ("constant(1, over='100%') >> linear(1, 0)", ("overrun", "error", 999), "constant(1, over='90%') >> linear(1, 0)"),
    ("repeat(linear(1, 0), every='300 steps', limit=4)", ("overrun", "error", 999),
     "repeat(linear(1, 0), every='250 steps', limit=4)"),
    ("multistep(at=['50%', '1000 steps'], factor=0.1)", ("never-reached", "warning", 999),
     "multistep(at=['50%', '99%'], factor=0.1)"),
    ("step(every='10 epochs', factor=0.1)", ("never-reached", "warning", 999), "step(every='3 epochs', factor=0.1)"),
    ("linear(0.1, 1, over='10%') >> multistep(at=['50%', '95%'], factor=0.1)", ("never-reached", "warning", 999),
     "linear(0.1, 1, over='10%') * multistep(at=['50%', '95%'], factor=0.1)"),
    ("repeat(cosine(1, 0), every='300 steps')", ("floor-not-reached", "warning", 999), "repeat(cosine(1, 0), limit=4)"),
    ("repeat(cosine(1, 0), every='2000 steps')", ("floor-not-reached", "warning", 999),
     "repeat(cosine(1, 0), every='500 steps')"),
    ("repeat(cosine(1, 0), every='200 steps', stretch=2)", ("floor-not-reached", "warning", 999),
     "repeat(cosine(1, 0), every='333.333333333 steps', stretch=2)"),
    ("clip(exponential(1, 0.1), low=0.01)", ("floor-not-reached", "warning", 999),
     "clip(exponential(1, 0.001), low=0.01)"),
    ("0.5 * clip(linear(1, 0.5), low=0.1, high=0.9)", ("floor-not-reached", "warning", 999),
     "0.5 * clip(linear(1, 0.5), high=0.9)"),
    ("cosine(1, 0, over='90%')", ("ends-early", "warning", 900), "cosine(1, 0)"),
    ("constant(1, over='50%') >> linear(1, 0, over='48%')", ("ends-early", "warning", 980),
     "constant(1, over='50%') >> linear(1, 0)"),
    ("clip(linear(1, -0.5), low=0)", ("ends-early", "warning", 667), "clip(linear(1, -0.5), low=0.01)"),
    ("cosine(1, 0.1, over='50%')", ("ends-early", "info", 500), "cosine(1, 0.1, over='50%') >> constant(0.1)"),
    ("constant(1, over='50%') >> constant(0.1, over='20%')", ("ends-early", "info", 700),
     "constant(1, over='50%') >> constant(0.1)"),
    ("linear(0.1, 0.5, over='5%') >> cosine(1, 0)", ("jump", "warning", 50),
     "linear(0.1, 1, over='5%') >> cosine(1, 0)"),
    ("(constant(1, over='5.05%') >> cosine(2, 0)) * 0.5", ("jump", "warning", 51),
     "(constant(1, over='5.05%') >> cosine(1, 0)) * 0.5"),
    ("cosine(1, 0, over='50%') >> cosine(1, 0)", ("jump", "warning", 500), "repeat(cosine(1, 0), limit=2)"),
    ("linear(1, 0, over='50%') >> cosine(1, 0)", ("jump", "warning", 500), "repeat(cosine(1, 0), limit=2)"),
    ("cosine(1, 0.1, over='90%') >> linear(0.1, 0.2)", ("rises-at-end", "warning", 999), "cosine(1, 0.1)"),
    ("wsd(start=0.01, decay='0.9%')", ("short-cool-down", "warning", 991), "wsd(start=0.01, decay='10%')"),
    ("repeat(cosine(1, 0.5), every='200 steps', limit=4) >> constant(0.5) >> linear(0.5, 0, over='0.5%')",
     ("short-cool-down", "warning", 995),
     "repeat(cosine(1, 0.5), every='200 steps', limit=4) >> constant(0.5) >> linear(0.5, 0, over='10%')"),
    ("linear(0, 1, over='5%') >> cosine(1, 0)", ("starts-at-zero", "info", 0),
     "linear(0.01, 1, over='5%') >> cosine(1, 0)"),
    ("step(every=3, factor=0.1)", ("epochs-as-steps", "warning", 0), "step(every='3 epochs', factor=0.1)"),
    ("step(every=1, factor=0.9)", ("epochs-as-steps", "warning", 0), "step(every='1 epoch', factor=0.9)"),
    ("multistep(at=[3, 6, 8], factor=0.1)", ("epochs-as-steps", "warning", 0),
     "multistep(at=['3 epochs', '6 epochs', '8 epochs'], factor=0.1)"),
    ("piecewise(values=[1, 0.1], at=[5])", ("epochs-as-steps", "warning", 0),
     "piecewise(values=[1, 0.1], at=['5 epochs'])"),
    ("cosine(1, 0.1, over=9) >> constant(0.1)", ("epochs-as-steps", "warning", 0),
     "cosine(1, 0.1, over='9 epochs') >> constant(0.1)"),
    ("repeat(cosine(1, 0), every=5)", ("epochs-as-steps", "warning", 0), "repeat(cosine(1, 0), every='5 epochs')"),
    ("natural_exponential(timescale=5)", ("epochs-as-steps", "warning", 0),
     "natural_exponential(timescale='5 epochs')"),
    ("linear(0.1, 1, over=2) >> cosine(1, 0)", ("epochs-as-steps", "info", 0),
     "linear(0.1, 1, over='2 epochs') >> cosine(1, 0)"),
    ("inverse_sqrt(timescale=5)", ("epochs-as-steps", "info", 0), "inverse_sqrt(timescale='5 epochs')"),
    ("linear(0.1, 1, over='200 epochs') >> cosine(1, 0)", ("steps-as-epochs", "warning", 0),
     "linear(0.1, 1, over='200 steps') >> cosine(1, 0)"),
    ("multistep(at=['500 epochs', '750 epochs'], factor=0.1)", ("steps-as-epochs", "warning", 0),
     "multistep(at=['500 steps', '750 steps'], factor=0.1)"),
    ("inverse_sqrt(timescale='20 epochs')", ("steps-as-epochs", "info", 0), "inverse_sqrt(timescale='1 epoch')"),
    ("per_group({'a': cosine(1, 0), 'b': cosine(1, 0)})", ("groups-flattened", "warning", 0), "cosine(1, 0)"),
    ("cosine(1, 0) * per_group({'a': 0.1}, others=0.1)", ("groups-flattened", "warning", 0),
     "cosine(1, 0) * per_group({'a': 0.1}, others=1)"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "finding", "right"), FAULTS)
def test_each_rule_fires_on_the_fault_and_is_silent_on_the_remedy(wrong, finding, right):
    assert finding in found(wrong)
    assert found(right) == set()


def test_every_rule_that_is_listed_has_a_case():
    # the package, not the function of the same name
    listed = set(re.findall(r"^    ([a-z-]+) +\S", sys.modules["calando.schedules.linting"].__doc__, re.MULTILINE))
    assert {finding[0] for _, finding, _ in FAULTS} | {"momentum-overwritten"} == listed


@pytest.mark.parametrize(
    ("of", "wrong", "right"),
    [
        ("momentum", "linear(0.9, 0.8)", "linear(0.9, 0.8) * 1.111"),
        ("beta1", "constant(0.85)", "constant(0.85) * 1.176"),
        ("momentum", "linear(1.2, 1.1)", "linear(1.2, 1.1) * 0.909"),
        ("momentum", "constant(0)", "linear(1, 0)"),
    ],
)
def test_momentum_that_is_overwritten(of, wrong, right):
    (finding,) = findings(wrong, of=of)
    assert (finding.name, finding.level) == ("momentum-overwritten", "warning")
    assert of in finding.message
    if factor := re.search(r"the schedule by ([\d.]+)", finding.remedy):
        assert right.endswith(f"* {factor[1]}")
    assert found(right, of=of) == set()
    assert "momentum-overwritten" not in {name for name, _, _ in found(wrong, of="weight_decay")}


@pytest.mark.parametrize(
    "text", ["linear(1.2, 0.8)", "cosine(1, 0.9, over='30%') >> cosine(0.9, 1)", "linear(0.9, 1, over='5%')"]
)
def test_momentum_that_is_its_own_value_somewhere_is_fine(text):
    assert found(text, of="momentum") == set()


@pytest.mark.parametrize(
    "text",
    [
        "linear(0, 1)",
        "linear(0.1, 1, over='60%')",
        "cosine(1, 0, over='90%')",
        "constant(1) >> linear(1, 0, over='0.5%')",
    ],
)
def test_what_is_a_fault_of_rates_only_is_no_fault_of_weight_decay(text):
    assert found(text)
    assert found(text, of="weight_decay") == set()
    assert found(f"{text} >> constant(-1, over='5%')" if "over" not in text else f"({text}) * -1", of="weight_decay")


@pytest.mark.parametrize(
    "text",
    [
        "constant(1)",
        "cosine(1, 0)",
        "linear(1, 0)",
        "exponential(1, 0.001)",
        "polynomial(1, 0)",
        "one_cycle",
        "wsd(start=0.01)",
        "wsd(start=0.01, shape=one_minus_sqrt, decay='1.1%')",
        "step(every='30%', factor=0.1)",
        "step(every=1, factor=0.999)",
        "multistep(at=['50%', '75%'], factor=0.1)",
        "linear(0.1, 1, over='5%') * multistep(at=['50%', '99.95%'], factor=0.1)",
        "linear(0.01, 1, over='1 epoch') * 0.5 >> cosine(0.5, 0)",
        "constant(1, over='50%') >> constant(0.1)",
        "linear(0.1, 1, over='2 epochs')",
        "staircase(linear(0.1, 1, over='2 epochs'), every='1 epoch') >> cosine(1, 0)",
        "staircase(cosine(1, 0), every='1 epoch')",
        "repeat(cosine(1, 0.1), every='4 epochs', limit=2) >> linear(0.1, 0)",
        "repeat(linear(0.1, 1, over='10%') >> linear(1, 0.1, over='10%'))",
        "repeat(cosine(1, 0), limit=250)",
        "repeat(linear(0.1, 1, over='10%') >> linear(1, 0.1, over='10%')) * step(every='50%', factor=0.5)",
        "cosine(1, 0) * noise(0.2, seed=4)",
        "(linear(0.1, 1, over='5%') >> cosine(1, 0)) * noise(0.5, seed=1)",
        "clip(cosine(1, 0) * noise(0.1), low=0)",
        "linear(0.01, 1, over='5%') >> power_decay(exponent=0.5)",
        "cosine(1, 0) * per_group({'body': 0}, others=1)",
        "knots(values=[0.1, 1, 0], at=['30%', '100%'])",
        "constant(0)",
    ],
)
def test_sound_curves_are_left_alone(text):
    assert found(text) == set()


def test_a_part_that_thaws_later_is_neither_a_jump_nor_a_long_warmup():
    thawing = "constant(0, over='60%') >> cosine(1, 0)"
    assert found(thawing) == {("starts-at-zero", "info", 0)}


# What deserves its finding with every argument left as it is, over a run of 1000 steps: warmups made for longer runs.
DESERVED = {
    "noam": ("long-warmup", "error"),
    "radam_warmup": ("long-warmup", "warning"),
    "untuned_exponential_warmup": ("long-warmup", "warning"),
    "untuned_linear_warmup": ("long-warmup", "error"),
}


def bare():
    """Name -> schedule, for each that can do without arguments."""
    made = {}
    for name in SCHEDULES:
        needed = [item for item in inspect.signature(SCHEDULES[name]).parameters.values() if item.default is item.empty]
        if not needed:
            try:
                made[name] = SCHEDULES[name]()
            except UsageError:  # needs one of two arguments
                continue
    return made


@pytest.mark.parametrize("name", bare())
@pytest.mark.parametrize("total", [1000, 1234, 10_000, 100_000])
def test_presets_as_they_are_give_no_false_alarm(name, total):
    said = {(finding.name, finding.level) for finding in lint_schedule(bare()[name], total, steps_per_epoch=100)}
    said = {(kind, level) for kind, level in said if level != "info"}
    assert said == ({DESERVED[name]} if total < 2000 and name in DESERVED else set())


@pytest.mark.parametrize(
    ("text", "total", "spe"),
    [
        ("cosine(1, 0)", 90, 391),
        ("linear(0.1, 1, over='5%') >> cosine(1, 0)", 300, 5004),
    ],
)
def test_a_horizon_that_is_a_number_of_epochs(text, total, spe):
    (finding,) = findings(text, total, spe)
    assert (finding.name, finding.level) == ("epochs-as-steps", "warning")
    remedy = int(re.search(r"the horizon is (\d+) steps", finding.remedy)[1])
    assert remedy == total * spe
    assert found(text, remedy, spe) == set()


def test_the_fields_classic_slip_is_caught():
    """StepLR(30, 0.1), stepped at each of 35190 updates."""
    (finding, dead) = findings("step(every=30, factor=0.1)", 90 * 391, 391)
    assert str(finding) == (
        """warning: epochs-as-steps at step 0: every='30 steps' in "step(every='30 steps', factor=0.1)" is less than """
        "one epoch of 391 steps; if epochs are meant, write every='30 epochs'"
    )
    assert dead.name == "ends-early"
    assert found("step(every='30 epochs', factor=0.1)", 90 * 391, 391) == set()


def test_units_are_not_guessed_without_the_length_of_an_epoch():
    assert found("step(every=30, factor=0.5)", 200, None) == set()
    with pytest.raises(UsageError, match="needs steps_per_epoch"):
        findings("step(every='30 epochs', factor=0.1)", spe=None)


@pytest.mark.parametrize("text", ["multistep(at=['50%', 100], factor=0.1)", "knots(values=[1, 2, 3], at=[5, 4])"])
def test_what_is_wrong_beside_lengths_stays_an_error(text):
    with pytest.raises(UsageError, match="must increase"):
        findings(text)


@pytest.mark.parametrize("total", [0, -1, 1.5, 10**10])
def test_a_count_out_of_range_is_refused(total):
    with pytest.raises(UsageError, match="total_steps must be a whole number"):
        lint_schedule(parse("cosine(1, 0)"), total)


def test_groups_are_looked_at_one_by_one():
    schedule = per_group({"a": parse("linear(1, -1)"), "b": parse("cosine(1, 0)")}, others=parse("wsd()"))
    said = {(finding.name, finding.group) for finding in lint_schedule(schedule, 1000)}
    assert said == {("negative", "a"), ("starts-at-zero", "others")}
    assert "in group 'a'" in str(lint_schedule(schedule, 1000)[1])


def test_what_all_groups_share_is_said_once():
    schedule = parse("wsd * per_group({'a': 0.1, 'b': 0.2}, others=1)")
    assert [(finding.name, finding.group) for finding in lint_schedule(schedule, 1000)] == [("starts-at-zero", None)]


def test_a_group_that_does_not_fit_is_said_beside_those_that_do():
    said = lint_schedule(parse("per_group({'a': cosine(1, 0, over=2000), 'b': wsd()})"), 1000)
    assert {(finding.name, finding.group) for finding in said} == {("overrun", "a"), ("starts-at-zero", "b")}


def test_a_curves_own_method_says_the_same():
    curve = parse("linear(1, -1)").bind(100)
    assert curve.lint() == lint(curve) == lint_schedule(curve.schedule, 100)
    assert {finding.name for finding in parse("constant(0.9)").bind(100).lint(of="momentum")} == {
        "momentum-overwritten"
    }


def test_many_leaps_are_not_many_findings():
    chain = " >> ".join(f"linear(1, 0.1, over='{1}%')" for _ in range(50))
    leaps = [finding for finding in findings(chain) if finding.name == "jump"]
    assert len(leaps) == 5
    assert "and 44 more" in leaps[-1].message


@pytest.mark.parametrize("total", [1, 2, 3, 7])
@pytest.mark.parametrize("name", [*bare(), "repeat(cosine(1, 0), every=2)", "cosine(1, 0, over=5)", "constant(0)"])
@pytest.mark.parametrize("of", ["lr", "momentum", "weight_decay"])
def test_the_shortest_runs_are_looked_at(name, total, of):
    for finding in lint_schedule(parse(name), total, steps_per_epoch=2, of=of):
        assert 0 <= finding.step < total
        assert finding.level in ("error", "warning", "info")
        assert finding.message
        assert finding.remedy
        assert "\n" not in str(finding)


pieces = st.sampled_from(
    ["linear(0, 1, over='7%')", "cosine(1, 0, over='9 epochs')", "repeat(linear(1, 0.5), every=30, limit=3)",
     "step(every='1 epoch', factor=0.5, over='20%')", "constant(1, over=50)", "noise(0.3, over='10%')",
     "knots(values=[1, 0.2], at=['5%'], over='10%')", "cut(power_decay(exponent=1), over='3%')"]
)  # fmt: skip


@given(
    st.lists(pieces, min_size=1, max_size=6), st.integers(1, 3000), st.integers(1, 200), st.sampled_from([1, 2, 0.5])
)
def test_every_chain_is_looked_at_and_scaling_it_changes_no_more_than_its_numbers(parts, total, spe, factor):
    schedule = parse(" >> ".join(parts))
    said = lint_schedule(schedule, total, steps_per_epoch=spe)
    assert [(f.step, f.name) for f in said] == sorted((f.step, f.name) for f in said)
    assert all(0 <= finding.step < total for finding in said)
    assert len(set(said)) == len(said)
    scaled = lint_schedule(schedule * factor, total, steps_per_epoch=spe)
    units = ("epochs-as-steps", "steps-as-epochs")
    if not any(finding.level == "error" for finding in said):
        names = [[f.name for f in some if f.name not in units] for some in (said, scaled)]
        assert names[0] == names[1]


def test_findings_come_in_the_order_of_steps():
    found = lint(parse("linear(0, 0.5, over='60%') >> linear(1, 2)").bind(100))
    assert [finding.name for finding in found] == ["starts-at-zero", "jump", "long-warmup", "rises-at-end"]
    assert [finding.step for finding in found] == sorted(finding.step for finding in found)


def test_values_are_judged_by_what_they_are_not_by_their_text():
    """The first update that is negative is the first of the sampled values below zero."""
    curve = parse("cosine(1, -0.3) * step(every='20%', factor=0.5)").bind(777)
    (finding,) = [finding for finding in lint(curve) if finding.name == "negative"]
    assert finding.step == np.flatnonzero(curve.sample() < 0)[0]


def test_a_finding_is_a_value():
    finding = findings("linear(1, -1)")[0]
    assert finding == dataclasses.replace(finding)
    assert dataclasses.asdict(finding).keys() == {"name", "level", "step", "message", "remedy", "group"}
