"""The verbs that only read and draw: help, lists, plots. None of them needs torch."""

import inspect
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.waiting import PATIENCE

import calando as package
from calando.schedules import SCHEDULES
from calando.strategy import PRESETS

VERBS = {
    "compare": ["--family", "--model", "--epochs", "--steps", "--seeds", "--rates", "--span", "--beyond", "--lr",
                "--until", "--most-seeds", "--log",
                "--target", "--batch-size", "--augment", "--label-smoothing", "--clip-norm", "--accumulate",
                "--train-limit", "--data", "--study", "--keep", "--verify-sharing", "--no-sharing", "--executor",
                "--page", "--no-page", "--address", "--workers", "--threads", "--device", "--precision", "--json",
                "--goal", "--unit", "--metric", "--check-repeats", "--no-check-repeats"],
    "train": ["--out", "--model", "--metric", "--epochs", "--steps", "--seed", "--lr", "--batch-size", "--augment",
              "--label-smoothing", "--clip-norm", "--accumulate", "--train-limit", "--data", "--threads", "--device",
              "--precision", "--log", "--json"],
    "find": ["--model", "--metric",
             "--strategy", "--repeats", "--steps", "--low", "--high", "--hold", "--seed", "--batch-size",
             "--augment", "--label-smoothing", "--clip-norm", "--accumulate", "--train-limit", "--data", "--threads",
             "--device", "--precision", "--output", "--json", "--race", "--epochs"],
    "tune": ["--log", "--budget", "--model", "--metric", "--epochs", "--steps", "--seed", "--batch-size", "--augment",
             "--label-smoothing", "--clip-norm", "--accumulate", "--train-limit", "--data", "--study", "--executor",
             "--address", "--workers", "--threads", "--device", "--precision", "--json",
             "--goal", "--unit", "--check-repeats", "--no-check-repeats", "--also", "--page", "--no-page"],
    "explain": ["--run", "--until", "--out", "--model", "--metric", "--epochs", "--steps", "--seed", "--lr",
                "--batch-size", "--augment", "--label-smoothing", "--clip-norm", "--accumulate", "--train-limit",
                "--data", "--threads", "--device", "--precision", "--json"],
    "demo": ["--study", "--seeds", "--executor", "--workers", "--json"],
    "steer": ["--run", "--key", "--who", "--wait", "--look", "--yes", "--json"],
    "show": ["--json"],
    "report": [],
    "plot": ["--steps", "--steps-per-epoch", "--output", "--json"],
    "lint": ["--steps", "--epochs", "--steps-per-epoch", "--of", "--strict", "--json"],
    "export": ["--to", "--run", "--seed", "--out", "--json"],
    "import": ["--steps", "--steps-per-epoch", "--study", "--output", "--json"],
    "strategies": ["--json"],
    "workloads": ["--json"],
    "schedules": ["--json"],
    "serve": ["--port", "--host", "--tls-cert", "--tls-key", "--behind-proxy", "--known-as", "--no-token"],
    "data": ["get"],
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_help_says_what_the_verb_does_and_every_option(calando, verb):
    ended = calando(verb, "--help")
    assert (ended.status, ended.err, ended.left) == (0, "", frozenset())
    assert ended.out.startswith(f"Usage: calando {verb}")
    said = set(re.findall(r"(?<=\s)--[a-z-]+", ended.out.partition("Options:")[2])) - {"--help"}
    assert said == {option for option in VERBS[verb] if option.startswith("--")}
    assert all(option in ended.out for option in VERBS[verb])


def test_help_lists_every_verb_in_whole_sentences(calando):
    ended = calando("--help")
    listed = dict(re.findall(r"^  (\w+)  +(.+)$", ended.out.partition("Commands:")[2], re.MULTILINE))
    assert listed.keys() == VERBS.keys()
    assert all(sentence.endswith(".") and not sentence.endswith("...") for sentence in listed.values()), listed


def test_version(calando):
    assert calando("--version").out == f"calando {package.__version__}\n"


def test_lists_are_complete_and_the_same_in_json(calando):
    listed = calando("workloads", "--json").json
    text = calando("workloads").out
    for name in [*(entry["name"] for entry in listed["data"]), *listed["networks"]]:
        assert name in text
    listed = calando("schedules", "--json").json
    text = calando("schedules").out
    assert {"cosine", "linear", "step", "wsd"} <= {entry["name"] for entry in listed}
    assert all(entry["name"] in text for entry in listed)


def test_plot_json_holds_the_curve(calando):
    drawn = calando(
        "plot", "cosine(1, 0)", "cosine", "sgd(lr=0.1) | cosine(1, 0)", "fixed", "--steps", 8, "--json"
    ).json
    expected = [(1 + math.cos(math.pi * t / 8)) / 2 for t in range(8)]
    for text in ("cosine(1, 0)", "cosine", "sgd(lr=0.1) | cosine(1, 0)"):
        assert drawn[text] == pytest.approx(expected, abs=1e-12)
    assert drawn["fixed"] == [1.0] * 8


def test_plot_json_holds_every_group_and_every_hyper_parameter(calando):
    grouped = "linear(1, 0) * per_group({'body': 0.5}, others=1)"
    strategy = "sgd(lr=0.1) | linear(1, 0) | momentum: constant(0.5) | weight_decay: linear(0, 1)"
    drawn = calando("plot", grouped, strategy, "adam", "--steps", 2, "--json").json
    assert drawn == {
        f"{grouped} [body]": [0.5, 0.25],
        f"{grouped} [others]": [1.0, 0.5],
        strategy: [1.0, 0.5],
        f"{strategy} | momentum": [0.5, 0.5],
        f"{strategy} | weight_decay": [0.0, 0.5],
        "adam": [1.0, 1.0],
    }


def test_plot_reads_strategy_files(calando, tmp_path):
    (tmp_path / "mine.toml").write_text('method = "sgd"\nschedules = { lr = "linear(1, 0)" }\n')
    assert calando("plot", "mine.toml", "--steps", 4, "--json").json == {"mine.toml": [1.0, 0.75, 0.5, 0.25]}


def test_plot_says_what_is_suspicious_on_standard_error(calando):
    ended = calando("plot", "linear(1, -1)", "--steps", 10, "--json")
    assert ended.json
    assert re.fullmatch(r"linear\(1, -1\): negative at step 6: .*; raise start or end to 0 or more\n", ended.err)


@pytest.mark.parametrize("text", ["cosine", "constant(1)", "constant(0)", "linear(1, -1)", "constant(1e-300)"])
@pytest.mark.parametrize("steps", [1, 2, 5000])
def test_plot_draws_in_the_terminal(calando, text, steps):
    ended = calando("plot", text, "wsd", "--steps", steps)
    assert ended.status == 0
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 100
    assert any(0x2801 <= ord(letter) <= 0x28FF for letter in ended.out), "no braille dot is set"
    assert text in ended.out


LONG = [f"linear(0.1, 1, over='5%') >> cosine(1, 0) * exponential(1, 0.1) * 0.{digit} * constant(1)" for digit in "89"]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_plot_draws_within_the_terminal_and_tells_curves_apart(calando, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    *plot, first, second, third, fourth = calando("plot", *LONG, "cosine", "cosine(1, 0)").out.splitlines()
    assert max(map(len, [*plot, first, second])) <= columns
    assert len({first, second, third, fourth}) == 4
    for letter, line in zip("abcd", (first, second, third, fourth), strict=True):
        assert line.split()[0] == letter
        # on its curve: between the frame's sides, and not on the axis labels
        assert any(letter in re.sub("^[^┤│]*[┤│]|[│]$", "", row) for row in plot if "│" in row), letter


def test_plot_stacks_hyper_parameters_and_a_curve_keeps_its_letter(calando):
    out = calando("plot", "wsd", "sgd | cosine(1, 0) | momentum: linear(0.9, 1)", "--steps", 50).out
    rate, momentum = out.split("rate / base rate")
    assert "a" in rate
    assert "b" in rate.replace("wsd", "")
    assert "momentum / own value" in momentum
    frame = momentum.partition("momentum / own value")[0]
    assert "b" in frame
    assert "a" not in frame


BARE = [
    name
    for name, make in SCHEDULES.items()
    if all(item.default is not item.empty for item in inspect.signature(make).parameters.values())
]


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_plot_draws_every_bare_name_or_says_how_to_write_it(calando, name):
    ended = calando("plot", name, "--steps", 5000, "--json")
    if name in BARE and name != "cosine_restarts":
        assert list(ended.json) == [name]
        assert len(ended.json[name]) == 5000
    elif ended.status == 0:  # a strategy has this name too
        assert name in PRESETS
    else:
        assert ended.status == 2
        assert ended.err.count("\n") == 1
        if name == "function":
            return  # a text cannot say it, unless one was registered
        if name == "cosine_restarts":  # needs one of two arguments
            example = f"cosine_restarts({re.search('write (.*?) or', ended.err)[1]})"
        else:
            example = re.search(r'write for example "(.*)"$', ended.err)[1]
        assert re.match(rf"{name}\(", example)
        assert calando("plot", example, "--steps", 500, "--json").status == 0


def test_plot_writes_every_form(calando, tmp_path):
    for name in ("a.png", "a.svg", "a.html", "a.json", "a.PNG"):
        ended = calando("plot", "cosine", "one-cycle", "-o", name)
        assert (ended.status, ended.out, ended.err, ended.left) == (0, f"{name}\n", "", {name})
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "a.PNG").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    assert "<script" in (tmp_path / "a.html").read_text()
    assert json.loads((tmp_path / "a.json").read_text())["$schema"]


SCRIPT = """
import contextlib, io, sys
from calando.cli.main import main
for arguments in {commands!r}:
    sys.argv = ["calando", *arguments]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main()
    assert "torch" not in sys.modules, arguments
"""


def test_reading_and_drawing_need_no_torch(finished_study, tmp_path):
    study = str(shutil.copytree(finished_study, tmp_path / "study"))
    commands = [
        ["--help"], *([verb, "--help"] for verb in VERBS), ["strategies"], ["strategies", "lion"],
        ["workloads"], ["schedules"], ["plot", "cosine"], ["lint", "wsd", "--steps", "9"],
        ["plot", "adamw-cosine", "sgd(lr=0.1) | cosine(1, 0)", "--json"],
        ["show", study], ["show", study, "--json"], ["report", study],
        ["data", "get", "nothing"], ["compare", "digit"],
    ]  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(commands=commands)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == 0, ended.stderr


def test_a_reader_that_has_seen_enough_is_no_error():
    """`calando schedules --json | head -1`."""
    command = [sys.executable, "-c", "from calando.cli.main import main; main()", "schedules", "--json"]
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    os.close(write)
    assert ended.stderr == ""


def test_standard_output_that_is_full_is_one_line():
    command = [sys.executable, "-c", "from calando.cli.main import main; main()", "schedules", "--json"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert ended.returncode == 1
    assert ended.stderr.startswith("calando: no space left")
    assert ended.stderr.count("\n") == 1
