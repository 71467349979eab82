"""`calando strategies`: families, and what each method needs, in 80 columns and in JSON."""

import re
import subprocess
import sys

import pytest
from tests.waiting import PATIENCE

from calando.cli.describe import METHOD_FAMILIES
from calando.controllers import CONTROLLERS
from calando.methods import METHODS, find_method
from calando.strategy import PRESETS, parse_strategy, read_strategy
from calando.strategy.averages import AVERAGES
from calando.strategy.presets import STRATEGY_FAMILIES


def test_everything_is_listed_and_the_same_in_json(calando):
    listed = calando("strategies", "--json").json
    text = calando("strategies").out
    assert listed["families"] == dict(STRATEGY_FAMILIES)
    assert [entry["name"] for entry in listed["strategies"]] == list(PRESETS)
    assert [entry["name"] for entry in listed["methods"]] == list(METHODS)
    assert set(listed["controllers"]) == set(CONTROLLERS)
    assert set(listed["averages"]) == set(AVERAGES)
    assert any(entry["default"] for entry in listed["strategies"])
    assert all(entry["method"] == read_strategy(entry["name"]).method for entry in listed["strategies"])
    for name in [*PRESETS, *METHODS, *CONTROLLERS, *AVERAGES]:
        assert re.search(rf"^ *{re.escape(name)}( \*)? ", text, re.MULTILINE), name


def test_every_method_says_what_it_needs(calando):
    text = calando("strategies").out
    for facts in calando("strategies", "--json").json["methods"]:
        method = METHODS[facts["name"]]
        assert facts["needs_rate"] == (method.family != "rate-free")
        assert facts["recalibrates_batch_norm"] == method.eval_mode
        assert (facts["trial_rates"] is None) == (not facts["needs_rate"])
        assert facts["trial_rates"] is None or facts["trial_rates"][0] < facts["usual_rate"] < facts["trial_rates"][1]
        assert facts["source"] == method.source
        (line,) = re.findall(rf"^  {method.name} +(\S.*(?:any|warmup|none) .*)$", text, re.MULTILINE)
        *_, schedules, passes, memory, package = line.split()
        assert (schedules, int(passes), package) == (method.schedules, method.passes, method.package or "–")
        assert float(memory) == pytest.approx(method.memory, rel=0.01)


def test_a_method_of_a_new_family_is_not_left_out():
    assert {method.family for method in METHODS.values()} == set(METHOD_FAMILIES)


def test_it_fits_eighty_columns(calando, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in ((), *((name,) for name in {**PRESETS, **METHODS})):
        lines = calando("strategies", *arguments).out.splitlines()
        assert max(map(len, lines)) <= 80, arguments


@pytest.mark.parametrize("name", {**PRESETS, **METHODS})
def test_one_in_full(calando, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "300")
    text = calando("strategies", name).out
    found = calando("strategies", name, "--json").json
    method = METHODS[found["method"]["name"]]
    assert f"Method {method.name}: {method.summary}" in text
    assert all(part in text for part in (method.decay, method.source, *method.options))
    if name in PRESETS:
        assert PRESETS[name].text in text
        assert found["strategy"]["text"] == PRESETS[name].text
    else:
        assert found["strategy"] is None


@pytest.mark.parametrize("name", AVERAGES.keys() - PRESETS.keys())
def test_a_part_of_strategies_is_described_by_its_name(calando, name):
    part = calando("strategies", name, "--json").json["part"]
    assert part["name"] == name
    assert part["options"].keys() == AVERAGES[name].options.keys()
    assert parse_strategy(f"sgd | {part['example']}").average == part["example"]
    assert part["example"] in calando("strategies", name).out


def test_what_is_evaluated_and_what_groups_there_are_is_of_the_strategy(calando):
    for name in ("swa", "ema-cosine", "dog", "schedule_free_sgd"):
        assert "an average of the weights; batch norm's statistics" in calando("strategies", name).out, name
    assert "what is trained" in calando("strategies", "cosine").out
    assert "decay, no_decay" in calando("strategies", "cosine").out
    assert re.search(r"groups +all *$", calando("strategies", "sgd").out, re.MULTILINE)


WITHOUT = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, path=None, target=None: (
    None if name in ("pytorch_optimizer", "prodigyopt") else find(name, path, target)
)
from calando.cli.main import main
sys.argv = ["calando", *sys.argv[1:]]
main()
"""


def test_missing_packages_are_said_before_anything_is_made(tmp_path):
    def run(*arguments):
        command = [sys.executable, "-c", WITHOUT, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)

    ended = run("compare", "digits", "--family", "all", "--steps", "2", "--executor", "inline", "--no-page")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "calando: packages that methods need are not installed (sam, lars, lion, muon: pytorch-optimizer; "
        "prodigy: prodigyopt): pip install 'calando[methods]'\n"
    )
    assert not list(tmp_path.iterdir())
    ended = run("strategies", "lion")
    assert re.search(r"pytorch-optimizer \(not installed: pip install\s+'calando\[methods\]'\)", ended.stdout)


def test_a_family_is_compared_beside_the_yardsticks(calando):
    ended = calando(
        "compare", "digits", "--family", "rate-free", "--train-limit", 100, "--batch-size", 10, "--steps", 1,
        "--seeds", 1, "--rates", 1, "--executor", "inline", "--device", "cpu", "--study", "study", "--json",
        "--no-page",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    shown = {result["name"] for result in ended.json["results"]}
    assert shown == {"fixed", "cosine", *(name for name in PRESETS if PRESETS[name].family == "rate-free")}


@pytest.mark.parametrize("name", {**PRESETS, **METHODS})
def test_the_line_for_a_loop_of_ones_own_works(calando, monkeypatch, name):
    from tests.methods.method_cases import network

    import calando as library

    monkeypatch.setenv("COLUMNS", "300")
    (line,) = re.findall(r"^ *your loop +(\S.*?) *$", calando("strategies", name).out, re.MULTILINE)
    line, _, needs = line.partition("  with ")
    strategy = read_strategy(name)
    asks = [text.partition("(")[0] for text in strategy.controllers]
    closure = find_method(strategy.method).closure != "none" or "edge" in asks
    assert closure == ("optimizer.step(closure)" in needs)
    assert bool(asks) == ("observe(" in needs)
    line = line.replace("total_steps=…", "total_steps=100").replace("steps_per_epoch=…", "steps_per_epoch=10")
    training = eval(line, {"calando": library, "network": network(hidden=2)})
    assert training.strategy == read_strategy(name)
