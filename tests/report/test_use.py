"""How to use what a study advises: each form runs as it is pasted, on the terminal, on the page and in pieces."""

import shlex
from dataclasses import replace

import pytest
import torch
from rich.console import Console

import calando as package
from calando.records import OwnTrainingSpec
from calando.report import study_tables
from calando.report.page_contents import page_contents
from calando.report.use import use_forms
from calando.strategy import parse_strategy

STRATEGIES = ("cosine", "sgd(lr=0.1, momentum=0.9) | linear(0, 1, over='5%') >> cosine(1, 0)", "lion(lr=0.01)")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    options = {"steps": 6, "seeds": 1, "lr": 0.1, "batch_size": 32, "executor": "inline", "device": "cpu"}
    return package.compare("digits", "cosine", "ema-cosine", folder=folder, **options)


def advising(summary, text, **task):
    """The same study, had it advised a strategy of this text."""
    strategy = parse_strategy(text, name="mine")
    strategy = strategy if strategy.lr is not None else strategy.at_rate(0.1)
    spec = summary.spec.model_copy(update={"strategies": (strategy,), **task})
    result = replace(summary.results[0], name="mine", text=strategy.text, lr=strategy.lr)
    advice = replace(summary.advice, name="mine", text=strategy.text)
    return replace(summary, spec=spec, results=(result,), advice=advice, best="mine", comparisons=())


@pytest.mark.parametrize("text", STRATEGIES)
def test_the_command_and_the_call_say_the_strategy_and_its_length(made, text):
    summary = advising(made, text)
    command, loop, _ = use_forms(summary, command="calando compare digits --data ../data --steps 6")
    words = shlex.split(command.text.replace("\\\n", " "))
    assert words[:3] == ["calando", "train", "digits"]
    assert parse_strategy(words[3]).text == summary.advice.text
    assert words[words.index("--steps") + 1] == "6"
    assert words[words.index("--batch-size") + 1] == "32"
    assert words[-2:] == ["--data", "../data"]
    assert parse_strategy(words[3].replace(" ", "\n")).text == summary.advice.text  # as a narrow terminal cuts it
    names = {"calando": package, "network": torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(3)))}
    exec(loop.text, names)
    assert names["training"].strategy.text == summary.advice.text


def test_no_line_of_a_command_is_cut_on_a_terminal_of_80(made):
    """What is cut outside quotes is two commands once it is pasted."""
    text = "sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.001) | linear(0, 1, over='5%') >> cosine(1, 0)"
    task = made.spec.workload.model_copy(
        update={
            "data": "csv:houses.csv,target=price in €",
            "augment": "crop(4)+flip",
            "metric": "rmse",
            "clip_norm": 1.0,
        }
    )
    (command, *_) = use_forms(advising(made, text, workload=task), command="calando compare digits --data '../my data'")
    console = Console(width=80, record=True, file=None, quiet=False)
    with console.capture() as shown:
        console.print(study_tables(advising(made, text, workload=task)))
    for line in command.lines[:-1]:
        assert len(line) <= 76
        assert line in shown.get()
    words = shlex.split(command.text.replace("\\\n", " "))
    assert parse_strategy(words[3]).text == parse_strategy(text).text
    assert words[-4:] == ["--clip-norm", "1.0", "--data", "../my data"]


def test_the_command_trains(made, tmp_path, monkeypatch, capsys):
    from calando.cli.app import app

    monkeypatch.chdir(tmp_path)
    (command, *_) = use_forms(made)
    with pytest.raises(SystemExit) as ended:
        app(shlex.split(command.text.replace("\\\n", " "))[1:], prog_name="calando")
    assert not ended.value.code
    assert "finished after 6 of 6 steps" in capsys.readouterr().out


def test_torch_alone_runs_or_says_what_it_lacks(made):
    lines = use_forms(advising(made, "adamw(lr=0.01) | cosine(1, 0)"))[2]
    names = {"network": torch.nn.Linear(2, 2)}
    exec(lines.text, names)
    assert names["optimizer"].param_groups[0]["lr"] == 0.01
    for text, lacking in (("lion", "the method lion"), ("plateau", "plateau(factor=0.2, patience='10%')")):
        form = use_forms(advising(made, text))[2]
        assert (form.text, form.runs) == (f"needs calando: {lacking}", False)


def test_own_code_gets_its_scripts_line(made):
    code = OwnTrainingSpec(code="train.py", own_optimizer=True)
    summary = advising(made, "own(lr=0.1) | cosine(1, 0)", workload=code)
    script, loop, alone = use_forms(summary)
    names = {"calando": package, "optimizer": torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)}
    exec(f"{script.text}\n{loop.text}\n{alone.text}", names)
    assert names["run"].strategy.text == "own(lr=0.1) | cosine(1, 0)"
    assert names["scheduler"].get_last_lr() == [0.1]


def test_terminal_and_page_show_all_three(made):
    console = Console(width=80, record=True, file=None, quiet=False)
    with console.capture() as shown:
        console.print(study_tables(made))
    page = page_contents(made, {}, {})
    assert [form.title for form in page.forms] == ["command", "your loop", "torch alone"]
    for words in (
        "command:\n    calando train digits",
        "your loop:\n    training = calando.follow(",
        "torch alone: needs",
    ):
        assert words in shown.get()


def test_a_study_of_parts_that_are_not_here_is_shown_all_the_same(made):
    summary = advising(made, "cosine")
    strategy = summary.spec.strategies[0].model_copy(update={"schedules": {"lr": "not_here()"}})
    spec = summary.spec.model_copy(update={"strategies": (strategy,)})
    form = use_forms(replace(summary, spec=spec))[2]
    assert form.text.startswith("needs calando: unknown schedule 'not_here'")
