"""Every verb's function and its command have the same parameters and the same defaults."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from tests.waiting import PATIENCE

import calando
from calando.cli.app import app
from calando.cli.options import OPTIONS

# Command -> function, and the functions' parameters that the command line gives in its own way.
VERBS = {
    "compare": calando.compare,
    "train": calando.train,
    "tune": calando.tune,
    "explain": calando.explain,
    "find": calando.find,
    "demo": calando.demo,
    "steer": calando.steer,
    "show": calando.show,
    "report": calando.write_report,
    "plot": calando.plot,
    "lint": calando.lint,
    "import": calando.import_runs,
    "export": calando.export,
    "strategies": calando.list_strategies,
    "workloads": calando.list_workloads,
    "schedules": calando.list_schedules,
    "serve": calando.serve,
    "data get": calando.get_data,
}
FLAGS = {"data_dir": "--data", "as_json": "--json"}
FOLDERS = {"compare": "--study", "tune": "--study", "demo": "--study", "train": "--out", "explain": "--out"}
# How the answer is printed, and when a command ends with status 1: no argument of what answers.
PRINTING = {"--json", "--output", "--strict", "--yes", "--help"}
# What a command fills in by itself, and what it says with flags.
FILLED = {"listen", "progress", "command", "arguments"}
SHARING = {"--verify-sharing", "--no-sharing"}

COMMAND = typer.main.get_command(app)


def click_command(name):
    command = COMMAND
    for word in name.split():
        command = command.commands[word]
    return command


def parameters_of(name):
    return {one.name: one for one in inspect.signature(VERBS[name]).parameters.values() if one.name not in FILLED}


def flag(name, parameter):
    if parameter == "folder":
        return FOLDERS[name]
    return FLAGS.get(parameter, f"--{parameter.replace('_', '-')}")


def test_every_command_has_a_function():
    found = {name for name, command in COMMAND.commands.items() if not hasattr(command, "commands")}
    assert found | {"data get"} == set(VERBS)
    assert {function.__name__ for function in VERBS.values()} <= set(calando.__all__)


@pytest.mark.parametrize("name", VERBS)
def test_the_command_has_the_functions_parameters_and_defaults(name):
    parameters = parameters_of(name)
    sharing = parameters.pop("sharing", None)
    given = {one.name: one for one in click_command(name).params}
    for parameter in parameters.values():
        one = given.pop(parameter.name)
        if one.param_type_name == "argument":
            assert one.nargs == (-1 if parameter.kind is parameter.VAR_POSITIONAL else 1)
        else:
            assert flag(name, parameter.name) in one.opts
            assert parameter.kind is parameter.KEYWORD_ONLY
        optional = parameter.default is not parameter.empty
        if parameter.kind is not parameter.VAR_POSITIONAL:
            assert one.required == (not optional)
        if optional:
            assert one.default == parameter.default
    left = {option for one in given.values() for option in one.opts if option.startswith("--")}
    assert left - PRINTING == (SHARING if sharing else set())
    if sharing:
        assert sharing.default == "checked"


@pytest.mark.parametrize("name", VERBS)
def test_the_help_says_every_option_and_default(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    command = click_command(name)
    with typer.Context(command, info_name=f"calando {name}", terminal_width=200, max_content_width=200) as context:
        text = command.get_help(context)
    assert (
        len(re.findall(r"^ {2}(?:-\w, )?--", text, re.MULTILINE))
        == len([one for one in command.params if one.param_type_name == "option"]) + 1
    )
    for parameter in parameters_of(name).values():
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name != "sharing":
            named = flag(name, parameter.name)
            (entry,) = re.findall(rf"^ {{2}}{named}[ ,].*(?:\n {{6,}}.*)*", text, re.MULTILINE)
            default = named[2:] if parameter.default is True else parameter.default
            stated = default is not None and default is not False
            assert (f"[default: {default}]" in " ".join(entry.split())) == stated, entry


@pytest.mark.parametrize("name", VERBS)
def test_the_docstring_names_every_parameter(name):
    function = VERBS[name]
    doc = inspect.getdoc(function)
    arguments = doc.partition("Args:")[2]
    for parameter in inspect.signature(function).parameters:
        assert re.search(rf"^ +(?:\w+, )*{parameter}\b[\w, ]*:", arguments, re.MULTILINE), (name, parameter)
    assert ">>>" in doc or name in ("serve", "report", "data get"), "an example that runs"


def test_each_option_is_declared_once_and_used():
    names = {parameter for name in VERBS for parameter in parameters_of(name)} | {"as_json", "output", "strict", "yes"}
    assert set(OPTIONS) <= names | {"verify_sharing", "no_sharing"}
    assert not any(path.read_text().count("typer.Option(") > 4 for path in Path("src/calando/cli").glob("*.py"))


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--help"], ["torch", "pydantic", "numpy", "rich"]),
        (["compare", "--help"], ["torch", "numpy"]),
        (["plot", "cosine"], ["torch"]),
        (["lint", "cosine", "--steps", "9"], ["torch"]),
        (["import", "--help"], ["torch", "numpy"]),
        (["export", "--help"], ["torch", "numpy"]),
    ],
)
def test_what_can_do_without_does_not_import_it(words, heavy):
    program = f"""
import sys
sys.argv = ["calando", *{words}]
from calando.cli.main import main
try:
    main()
finally:
    print([name for name in {heavy} if name in sys.modules], file=sys.stderr)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (0, "[]"), ended
