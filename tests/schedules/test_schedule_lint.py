"""Lint: each finding on a curve that has it, and silence on those that have nothing."""

import pytest

from calando.schedules import lint, parse


def found(text, total=1000):
    return {(finding.name, finding.step) for finding in lint(parse(text).bind(total, steps_per_epoch=100))}


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("linear(1, -1)", ("negative", 501)),
        ("cosine(1, 0) * -1", ("negative", 0)),
        ("constant(1e300) * linear(1e300, 1)", ("not-finite", 0)),
        ("step(every='50%', factor=1e300) * step(every='50%', factor=1e300)", ("not-finite", 500)),
        ("multistep(at=['50%', '1000 steps'], factor=0.1)", ("never-reached", 999)),
        ("step(every='30 epochs', factor=0.1)", ("never-reached", 999)),
        ("linear(0.1, 1, over='10%') >> multistep(at=['50%', '95%'], factor=0.1)", ("never-reached", 999)),
        ("linear(0.1, 1, over='50%') >> cosine(1, 0)", ("long-warmup", 500)),
        ("linear(0.1, 0.5, over='5%') >> cosine(1, 0)", ("jump", 50)),
        ("(constant(1, over='5.05%') >> cosine(2, 0)) * 0.5", ("jump", 51)),
        ("cosine(1, 0.1, over='90%') >> linear(0.1, 0.2)", ("rises-at-end", 999)),
        ("wsd(start=0.01, decay='0.9%')", ("short-cool-down", 991)),
        ("linear(0, 1, over='5%') >> cosine(1, 0)", ("starts-at-zero", 0)),
    ],
)
def test_each_finding_is_found_where_it_is(text, finding):
    assert finding in found(text)


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
        "multistep(at=['50%', '75%'], factor=0.1)",
        "linear(0.1, 1, over='5%') * multistep(at=['50%', '99.95%'], factor=0.1)",
        "linear(0.01, 1, over='5 epochs') * 0.5 >> cosine(0.5, 0)",
        "constant(1, over='50%') >> constant(0.1)",
    ],
)
def test_sound_curves_are_left_alone(text):
    if "5 epochs" in text:
        assert found(text, total=10_000) == set()
    else:
        assert found(text) == set()


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("text", ["cosine(1, 0)", "constant(1)", "one_cycle", "wsd", "constant(0)"])
def test_the_shortest_runs_are_looked_at(text, total):
    for finding in lint(parse(text).bind(total)):
        assert 0 <= finding.step < total
        assert finding.level in ("error", "warning", "info")
        assert finding.message
        assert finding.remedy
        assert "\n" not in str(finding)


def test_findings_come_in_the_order_of_steps():
    findings = lint(parse("linear(0, 0.5, over='60%') >> linear(1, 2)").bind(100))
    assert [finding.step for finding in findings] == sorted(finding.step for finding in findings)
    assert [finding.name for finding in findings] == ["starts-at-zero", "jump", "long-warmup", "rises-at-end"]
