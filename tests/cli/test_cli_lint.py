"""`calando lint`: what is found, how it is said, how the command ends."""

import re

import pytest

SLIP = "linear(0.1, 1, over=5) >> step(every=30, factor=0.1)"


def test_sound_schedules_are_said_to_be_sound(calando):
    ended = calando("lint", "cosine", "wsd(start=0.01)", "--steps", 1000)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "cosine\n  nothing suspicious\nwsd(start=0.01)\n  nothing suspicious\n"


def test_a_finding_is_a_block_of_what_where_why_and_what_to_do(calando):
    ended = calando("lint", "linear(1, -1)", "--steps", 100)
    assert ended.out == (
        "linear(1, -1)\n"
        "  error  negative at step 51\n"
        "    the multiplier is -0.02\n"
        "    → raise start or end to 0 or more\n"
    )
    assert ended.status == 1


@pytest.mark.parametrize(
    ("text", "plain", "strict"),
    [
        ("cosine(1, 0)", 0, 0),
        ("linear(0, 1, over='5%') >> cosine(1, 0)", 0, 0),  # info
        ("linear(0.1, 0.5, over='5%') >> cosine(1, 0)", 0, 1),  # warning
        ("linear(0.1, 1, over=2000) >> cosine(1, 0)", 1, 1),  # error
        ("cosine(1, 0, over=2000)", 1, 1),
        ("constant(1e300) * 1e300", 1, 1),
    ],
)
def test_the_status_says_how_bad_it_is(calando, text, plain, strict):
    assert calando("lint", "cosine", text, "--steps", 1000).status == plain
    assert calando("lint", text, "cosine", "--steps", 1000, "--strict").status == strict


def test_epochs_stand_for_steps(calando):
    by_epochs = calando("lint", SLIP, "--epochs", 90, "--steps-per-epoch", 391, "--json")
    by_steps = calando("lint", SLIP, "--steps", 90 * 391, "--steps-per-epoch", 391, "--json")
    assert by_epochs == by_steps
    (answer,) = by_steps.json
    assert (answer["text"], answer["of"]) == (SLIP, "lr")
    assert [finding["name"] for finding in answer["findings"]] == ["epochs-as-steps", "epochs-as-steps", "ends-early"]
    assert {"name", "level", "step", "message", "remedy", "group"} == answer["findings"][0].keys()
    half = calando("lint", "cosine(1, 0, over='1 epoch')", "--epochs", 0.5, "--steps-per-epoch", 100, "--json").json
    assert [finding["name"] for finding in half[0]["findings"]] == ["epochs-as-steps", "overrun"]


def test_every_schedule_of_a_strategy_is_looked_at(calando, tmp_path):
    (tmp_path / "mine.toml").write_text(
        'method = "sgd"\n[schedules]\nlr = "linear(0, 1)"\nmomentum = "constant(0.9)"\nweight_decay = "linear(0, 1)"\n'
    )
    answers = calando("lint", "mine.toml", "--steps", 100, "--json").json
    found = {answer["of"]: {finding["name"] for finding in answer["findings"]} for answer in answers}
    assert found == {
        "lr": {"starts-at-zero", "rises-at-end", "long-warmup"},
        "momentum": {"momentum-overwritten"},
        "weight_decay": set(),
    }
    (alone,) = calando("lint", "mine.toml", "--of", "momentum", "--steps", 100, "--json").json
    assert alone == next(answer for answer in answers if answer["of"] == "momentum")
    assert "mine.toml | momentum\n" in calando("lint", "mine.toml", "--steps", 100).out


def test_a_schedule_is_of_what_is_said(calando):
    asked = ("lint", "constant(0.9)", "--steps", 100, "--json")
    assert calando(*asked).json[0]["findings"] == []
    (answer,) = calando(*asked, "--of", "momentum").json
    assert answer["findings"][0]["name"] == "momentum-overwritten"
    assert calando(*asked, "--of", "weight_decay").json[0]["findings"] == []


def test_groups_are_named(calando):
    out = calando("lint", "per_group({'body': linear(1, -1)}, others=cosine(1, 0))", "--steps", 100).out
    assert "  error  negative at step 51, group body\n" in out


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_lines_fit_the_terminal(calando, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = calando("lint", SLIP, "--epochs", 90, "--steps-per-epoch", 391).out.splitlines()
    assert max(map(len, lines)) <= columns
    assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cosine",), r"say how long the run is: --steps N, or --epochs E and --steps-per-epoch M"),
        (("cosine", "--epochs", 3), r"--epochs needs --steps-per-epoch"),
        (("cosine", "--epochs", 3, "--steps", 4), r"--steps or --epochs, not both"),
        (("cosine", "--steps", 0), r"--steps must be from 1 to 10000000, got 0"),
        (("cosine", "--epochs", "nan", "--steps-per-epoch", 10), r"must be from 1 to .* got nan epochs"),
        (("cosine", "--epochs", "inf", "--steps-per-epoch", 10), r"must be from 1 to .* got inf epochs"),
        (("cosine", "--epochs", -1, "--steps-per-epoch", 10), r"must be from 1 to .* got -1 epochs"),
        (("cosine", "--steps", 10, "--steps-per-epoch", 0), r"--steps-per-epoch must be a whole number from 1"),
        (("cosin", "--steps", 10), r"unknown schedule or strategy 'cosin'; did you mean 'cosine' or "),
        (("linear(0, 1) >> cosin(1, 0)", "--steps", 10), r"did you mean 'cosine'.* character 17 of .* >> <!>cosin"),
        (("cosine(1, 0, over='2 epochs')", "--steps", 10), r"needs --steps-per-epoch"),
        (("sgd | cosine(1, 0)", "--of", "momentum", "--steps", 10), r"has no schedule of 'momentum'; it has lr"),
        (("missing.toml", "--steps", 10), r"strategy file 'missing.toml' cannot be read"),
        (("power_decay", "--steps", 10), r'power_decay needs exponent: .*; write for example "power_decay\(exponent='),
    ],
)
def test_what_cannot_be_looked_at_is_refused_in_one_line(refused, arguments, said):
    assert re.search(said, refused("lint", *arguments).err)
