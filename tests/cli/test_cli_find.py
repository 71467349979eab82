"""`calando find`: what it says, in words and numbers, and what it refuses."""

import re
from pathlib import Path

import numpy as np
import pytest

from calando.analysis.range_curves import RangeCurves
from calando.analysis.suggest import suggest
from calando.cli.draw import Axis, draw
from calando.cli.find import drawing

QUICK = ("digits", "--steps", 60, "--repeats", 2, "--threads", 1, "--batch-size", 32)


def plain(text):
    """Without the terminal's colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_it_draws_says_a_rate_and_explains(calando):
    ended = calando("find", *QUICK, "-o", "range.png", "--hold", 5)
    assert ended.status == 0, ended.err
    read, chosen = ended.err.splitlines()
    assert read.startswith("digits: 10 classes (0, 1, 2")
    assert re.fullmatch(r"range test of sgd on digits: cpu, .*; chosen: .*precision \(auto\).*", chosen)
    assert ended.left == {"range.png"}
    out = plain(ended.out)
    told = re.search(r"for a decayed schedule, peak rate +(\S+) +\[(\S+), (\S+)\]", out)
    rate, low, high = map(float, told.groups())
    assert 1e-4 < low <= rate <= high < 1
    assert re.search(r"^for a constant rate", out, re.MULTILINE)
    assert re.search(r"^(reliable|not reliable)$", out, re.MULTILINE)
    for words in ("steepest", "minimum / 10", "largest stable", "half is lost", "too small", "too large"):
        assert words in out
    assert "learning rate" in out
    assert "0.001" in out
    assert re.search(r"^5 updates at ", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= 101


def test_json_holds_the_curves_and_the_judgement_and_a_figure_can_be_had_too(calando):
    ended = calando("find", *QUICK, "--json", "--low", "1e-5", "--high", "20", "-o", "range.json")
    assert (ended.status, ended.err) == (0, "")
    (group,) = ended.json["groups"].values()
    rates = np.array(group["curves"]["rates"])
    assert rates[0] == pytest.approx(1e-5)
    assert rates[-1] <= 20 * 1.0001
    losses = np.array(group["curves"]["losses"], float)
    assert losses.shape == (2, len(rates))
    again = suggest(
        RangeCurves.from_arrays(rates, losses, stopped=group["curves"]["stopped"], chance=group["curves"]["chance"]),
        usual=0.1,
    )
    assert group["suggestion"]["decayed"]["rate"] == pytest.approx(again.decayed.rate)
    assert group["suggestion"]["reasons"] == list(again.reasons)
    assert ended.left == {"range.json"}


def test_the_same_command_says_the_same(calando):
    assert calando("find", *QUICK).out == calando("find", *QUICK).out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("digit",), "digits"),
        (("digits", "--strategy", "cosin"), "cosine"),
        (("digits", "--repeats", "0"), "repeats"),
        (("digits", "--steps", "3"), "steps"),
        (("digits", "--low", "0.1", "--high", "0.2"), "ten times"),
        (("digits", "--low", "-1"), "low"),
        (("digits", "--model", "resnet9"), "resnet"),
        (("digits", "--steps", "30", "--repeats", "1", "--threads", "1", "-o", "range.pdf"), "range.pdf"),
    ],
)
def test_mistakes_are_refused_in_one_line(refused, arguments, words):
    assert words in refused("find", *arguments).err


def judged(losses, rates):
    curves = RangeCurves.from_arrays(rates, losses, chance=2.3)
    return plain(drawing(curves, suggest(curves)))


def test_the_drawing_has_every_rate_in_its_place():
    rates = np.geomspace(1e-4, 1, 80)
    fallen = 2.3 - 2 / (1 + (0.01 / rates) ** 2)
    losses = np.where(rates > 0.3, 9.0, fallen) + np.random.default_rng(0).normal(0, 0.02, (3, 80))
    text = judged(losses, rates)
    letters = dict(re.findall(r"^  (\w) ━━ (.+?)(?:: \S+)?$", text, re.MULTILINE))
    legend = {name: letter for letter, name in letters.items()}
    places = {name: max(line.find(legend[name]) for line in text.splitlines() if "┤" in line[:8] or "│" in line[:8])
              for name in ("steepest", "for a decayed schedule", "half is lost")}  # fmt: skip
    assert places["steepest"] < places["for a decayed schedule"] < places["half is lost"]
    assert "0.001" in text
    assert "9.0" not in text  # an explosion leaves the drawing


@pytest.mark.parametrize(
    "losses",
    [np.full((1, 40), 2.3), np.full((2, 40), np.nan), np.random.default_rng(0).normal(2.3, 0.1, (3, 40))],
)
def test_what_has_no_answer_is_drawn_too(losses):
    text = judged(losses, np.geomspace(1e-4, 1, 40))
    assert "learning rate" in text
    assert "for a decayed schedule" not in text


def test_an_axis_of_another_kind_has_its_own_ticks_and_title(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    axis = Axis(title="where", ticks={0.0: "here", 2.0: "there"}, marks={"mark": 1.0})
    text = plain(draw({"line": ([0.0, 1.0, 2.0], [1.0, 2.0, 3.0])}, y_label="y", axis=axis))
    for words in ("where", "here", "there", "mark"):
        assert words in text
    assert "step" not in text


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_guides_example_finds_a_rate_to_rely_on_whatever_its_seed(seed, capsys):
    (code, *_) = re.findall(r"```python\n(.*?)```", Path("docs/how-to/finding-a-rate.md").read_text(), re.DOTALL)
    names = {}
    assert "manual_seed(0)" in code
    exec(code.replace("manual_seed(0)", f"manual_seed({seed})"), names)
    assert names["found"].suggestion.reliable, names["found"].suggestion.reasons
