"""A person's own entries: registered, dropped into a folder, brought by an installed package, and sent to workers."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import calando
from calando.controllers import CONTROLLERS, Action, Wants, length
from calando.controllers import register as register_controller
from calando.errors import ScheduleTextError, UnknownName, UsageError
from calando.methods import METHODS, Method
from calando.methods import register as register_method
from calando.schedules import SCHEDULES, cosine, describe, linear, parse, register
from calando.study.executors import EXECUTORS, executor_names, find_executor
from calando.study.executors import register as register_executor

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/your-own.md").read_text()


@pytest.fixture
def clean():
    """Forgets what a test registers."""
    known = [(registry, set(registry)) for registry in (SCHEDULES, CONTROLLERS, METHODS, EXECUTORS)]
    yield
    for registry, before in known:
        for name in set(registry) - before:
            if not registry.is_ours(name):  # ours stay: an executor's file is imported when it is first asked for
                registry.remove(name)


def run(script, *, path=(), folder=None):
    """A Python of its own that sees `path` first."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT / "src"]))}
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=folder)


def test_the_guide_runs(clean):
    namespace = {"__name__": "guide"}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        if "check_executor" not in block:  # which takes a minute: tests/study/test_executors.py
            exec(compile(block, "your-own.md", "exec"), namespace)
    strategy = namespace["strategy"]
    assert strategy.schedules["lr"] == "linear(0, 1, over='5%') >> constant(1, over='30%') >> cosine(1, 0)"
    assert (strategy.method, strategy.controllers) == ("nesterov", ("halveabove(loss=4.0)",))
    assert next(entry for entry in describe() if entry.name == "plateau_cosine").family == "Your own"


def test_a_name_has_one_meaning(clean):
    def mine(*, end=0.0):
        return cosine(1, end)

    def again(*, end=0.0):
        return linear(1, end)

    register(name="mine")(mine)
    assert register(name="mine")(mine) is mine  # the same again is no clash
    with pytest.raises(UsageError, match=r"the name 'mine' is taken by the schedule .*mine; choose .* for .*again"):
        register(name="mine")(again)
    for name in ("cosine", "rollback", "ema", "horizon", "adam", "true"):
        with pytest.raises(UsageError, match=f"the name '{name}' is taken by "):
            register(name=name)(again)
    for name in ("two words", "", "1st", "a.b"):
        with pytest.raises(UsageError, match=r"must be named by letters, digits and _|is registered by"):
            register(name=name or "-")(again)
    with pytest.raises(UsageError, match="the name 'mine' is taken by the schedule"):
        register_method(_method(name="mine"))


def test_the_public_calls_are_there_after_import_calando_alone():
    done = run(
        "import calando\n"
        "print(*(getattr(calando, room).register.__module__ for room in ('schedules', 'controllers', 'methods')))\n"
        "calando.testing.check_schedule('cosine(1, 0)')"
    )
    assert done.stdout == "calando.schedules.known_schedules calando.controllers.controller calando.methods.method\n", (
        done.stderr
    )


def test_what_cannot_be_registered_is_refused(clean):
    with pytest.raises(UsageError, match=r"takes \*args or \*\*kwargs"):
        register(name="loose")(lambda *values: cosine(1, 0))
    with pytest.raises(UsageError, match="a schedule is registered by a function"):
        register("cosine(1, 0)")
    with pytest.raises(UsageError, match="family must be one of Ramps"):
        register(family="Rumps")(lambda: cosine(1, 0))
    with pytest.raises(UsageError, match="a controller is a class with @dataclass"):
        register_controller(lambda: None)
    with pytest.raises(UsageError, match="a method is registered as a Method"):
        register_method("sgd")
    with pytest.raises(UsageError, match="an executor is registered as a class or function that builds it, got 3"):
        register_executor("three")(3)
    with pytest.raises(UsageError, match=r"the name 'inline' is taken by the executor calando\.study.*InlineExecutor"):
        register_executor("inline")(lambda setup, **others: None)
    with pytest.raises(UsageError, match="every executor must be named by letters"):
        register_executor("two words")(lambda setup, **others: None)

    @dataclass(frozen=True)
    class Demanding:
        limit: float

    with pytest.raises(UsageError, match="Demanding: limit must have a default"):
        register_controller(Demanding)


def test_a_constructor_that_makes_no_schedule_is_named(clean):
    def fails(*, end=0.0):
        raise ZeroDivisionError("no such end")

    register(fails)
    with pytest.raises(ScheduleTextError, match=r"fails raised ZeroDivisionError: no such end, at character 1 of"):
        parse("fails(end=1)")
    register(name="nothing")(lambda: 3)
    with pytest.raises(UsageError, match="the name 'nothing' is taken"):
        register(name="nothing")(lambda: 4)
    with pytest.raises(ScheduleTextError, match="nothing must return a schedule such as cosine.*it returned 3"):
        parse("nothing()")


def test_what_is_registered_again_is_the_new_one(clean):
    from calando.schedules import Extent, Horizon, Primitive
    from calando.schedules.schedule import Bound
    from calando.strategy import bind

    def cell(value):
        """A notebook's cell, run again with another value in it."""

        class Held(Bound):
            def __call__(self, steps):
                return steps * 0 + value

        @dataclass(frozen=True, repr=False)
        class Own(Primitive):
            extent_without_over = Extent.ENDLESS

            def place(self, horizon, room):
                return Held()

            def __str__(self):
                return "own_level()"

        @register(name="own_level")
        def own_level():
            return Own()

        strategy = calando.parse_strategy("sgd(lr=0.1) | own_level()")
        return bind(strategy, Horizon(10)).curves["lr"][0](0), bind(strategy, Horizon(10)).curves["lr"][0](0)

    assert cell(0.5) == (0.5, 0.5)
    assert cell(0.25) == (0.25, 0.25)


def test_a_controllers_options_are_its_fields(clean):
    @register_controller(name="calm_down")
    @dataclass(frozen=True)
    class CalmDown:
        """Halve the rate, once."""

        at: int = length("50%", least=3)
        careful: bool = False
        word: str = "half"

        def __post_init__(self):
            if self.word == "twice":
                raise ValueError("twice is too much")

        def initial(self):
            return {}

        def wants(self, step):
            return Wants()

        def respond(self, state, seen):
            return state, Action()

    from calando.schedules import Horizon
    from calando.strategy.called_parts import controller_of

    assert controller_of("calm_down(at='10%', careful=true)", Horizon(1000)) == CalmDown(at=100, careful=True)
    assert controller_of("calm_down()", Horizon(4)) == CalmDown(at=3)
    for text, message in [
        ("at='x'", "at must be a length"),
        ("careful=1", "must be true or false"),
        ("word=2", "word"),
    ]:
        with pytest.raises(UsageError, match=message):
            calando.parse_strategy(f"sgd | calm_down({text})")
    with pytest.raises(UsageError, match="calm_down raised ValueError: twice is too much"):
        calando.parse_strategy("sgd | calm_down(word='twice')")
    with pytest.raises(UnknownName, match="option of calm_down 'when'"):
        calando.parse_strategy("sgd | calm_down(when=1)")


def test_a_file_in_the_folder_is_an_entry_without_another_edit(tmp_path):
    shutil.copytree(ROOT / "src/calando", tmp_path / "calando", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "calando/schedules/sawtooth.py").write_text(
        '"""Sawtooth."""\n'
        "from calando.schedules.named_ramps import linear\n"
        "from calando.schedules.known_schedules import register\n"
        "from calando.schedules.repeat import repeat\n\n"
        '@register(family="Cycles", example="sawtooth()")\n'
        "def sawtooth(*, every='10%'):\n"
        '    """Down in a line, again and again.\n\n    Formula: repeat(linear(1, 0), every=every)\n    """\n'
        "    return repeat(linear(1, 0), every=every)\n"
    )
    script = (
        "import calando\n"
        "from calando.schedules import describe\n"
        "print(calando.parse('sawtooth(every=5)'), calando.schedules.sawtooth())\n"
        "print([entry.family for entry in describe() if entry.name == 'sawtooth'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == [
        "repeat(linear(1, 0), every='5 steps') repeat(linear(1, 0), every='10%')",
        "['Cycles']",
    ], done.stderr


def test_executors_have_names_of_their_own(clean):
    """Texts do not call them, so that no schedule's name is taken by one, nor the other way round."""
    assert {"inline", "process", "ray"} <= set(executor_names())
    made = register_executor("cosine", pickles=False)(lambda setup, **others: None)
    assert find_executor("cosine").make is made
    assert parse("cosine(1, 0)") == cosine(1, 0)
    with pytest.raises(UnknownName, match=r"executor 'proces'.*did you mean 'process'"):
        find_executor("proces")


def test_an_executor_is_one_file_and_no_other_edit(tmp_path):
    shutil.copytree(ROOT / "src/calando", tmp_path / "calando", ignore=shutil.ignore_patterns("__pycache__"))
    inline = (tmp_path / "calando/study/executors/inline.py").read_text()
    mine = inline.replace('@register("inline"', '@register("mine"').replace(
        "        del workers", "        print('mine')\n        del workers"
    )
    (tmp_path / "calando/study/executors/mine.py").write_text(mine)
    script = (
        "import calando\n"
        "calando.compare('digits', 'fixed', folder='study', steps=5, seeds=1, lr=0.1, executor='mine', page=False)\n"
        "from calando.study.executors import executor_names\n"
        "print(executor_names())"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.stdout.splitlines() == ["mine", "['inline', 'mine', 'process', 'ray']"], done.stderr[-2000:]


@pytest.fixture
def installed(tmp_path):
    """A package with entry points, one of them broken, as pip leaves it."""
    (tmp_path / "my_rates.py").write_text(
        "from dataclasses import dataclass\n"
        "from calando.controllers import Action, Wants\n"
        "from calando.methods import Method\n"
        "from calando.schedules import cosine\n"
        "print('my_rates is imported')\n"
        "def nowhere(setup, *, workers, on_progress, address):\n    raise RuntimeError('there is no such place')\n"
        "def half_wave(*, end=0.5):\n    return cosine(1, end)\n"
        "@dataclass(frozen=True)\n"
        "class Idle:\n"
        "    limit: float = 1.0\n"
        "    def initial(self): return {}\n"
        "    def wants(self, step): return Wants()\n"
        "    def respond(self, state, seen): return state, Action()\n"
        "def build(groups, lr, options):\n    import torch\n    return torch.optim.SGD(groups, lr)\n"
        "OWN = Method(name='own_sgd', summary='SGD', family='classic', usual_rate=0.1, rate_span=10.0, decay='any',\n"
        "             options={}, build=build, source='', memory=0)\n"
    )
    info = tmp_path / "my_rates-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-rates\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[calando.schedules]\nhalf_wave = my_rates:half_wave\nbroken = my_rates:gone\n\n"
        "[calando.controllers]\nidle = my_rates:Idle\n\n"
        "[calando.methods]\nown_sgd = my_rates:OWN\n\n"
        "[calando.executors]\nnowhere = my_rates:nowhere\n"
    )
    return tmp_path


def test_an_installed_package_is_asked_where_a_name_is_unknown(installed):
    script = (
        "import calando, sys\n"
        "calando.parse_strategy('sgd(lr=0.1) | cosine(1, 0) | rollback() | ema()')\n"
        "print('importlib.metadata' in sys.modules and 'my_rates' in sys.modules)\n"
        "print(calando.parse_strategy('own_sgd(lr=0.1) | half_wave(end=0.25) | idle(limit=2.0)').text)\n"
        "print(calando.schedules.half_wave())\n"
        "from calando.study.executors import executor_names, find_executor\n"
        "print(executor_names(), find_executor('nowhere').make.__module__, 'torch' in sys.modules)\n"
    )
    done = run(script, path=[installed])
    assert done.stdout.splitlines() == [
        "False",
        "my_rates is imported",
        "own_sgd(lr=0.1) | cosine(1, 0.25) | idle(limit=2.0)",
        "cosine(1, 0.5)",
        "['inline', 'nowhere', 'process', 'ray'] my_rates False",
    ], done.stderr


def test_the_commands_know_an_installed_package(installed):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT / "src")])}

    def calando_says(*arguments):
        command = [sys.executable, "-c", "from calando.cli.main import main; main()", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    listed = calando_says("schedules")
    assert "half_wave" in listed.stdout, listed.stderr
    assert "the schedule 'broken' of my-rates" in " ".join(listed.stdout.split())
    drawn = calando_says("plot", "half_wave(end=0.25)", "--steps", "100")
    assert (drawn.returncode, "rate / base rate" in drawn.stdout) == (0, True), drawn.stderr
    assert "did you mean 'half_wave'" in calando_says("plot", "half_wav()", "--steps", "100").stderr
    failed = calando_says("plot", "broken()", "--steps", "100")
    assert failed.returncode == 2
    assert "cannot be loaded (AttributeError" in " ".join(failed.stderr.split())
    assert "update or uninstall my-rates" in " ".join(failed.stderr.split())


def _method(**changes):
    import torch

    facts = {
        "name": "own_sgd", "summary": "SGD", "family": "classic", "usual_rate": 0.1, "rate_span": 10.0, "decay": "any",
        "options": {}, "build": lambda groups, lr, options: torch.optim.SGD(groups, lr), "source": "", "memory": 0,
    }  # fmt: skip
    return Method(**{**facts, **changes})


WORKERS = """
from dataclasses import dataclass
import torch
import calando
from calando.controllers import Action, Wants, register as register_controller
from calando.methods import Method, register as register_method
from calando.schedules import Extent, Primitive, register
from calando.schedules.schedule import Bound

class Level(Bound):
    def __call__(self, steps):
        return steps * 0 + 0.5

@dataclass(frozen=True, repr=False)
class Half(Primitive):
    extent_without_over = Extent.ENDLESS
    def place(self, horizon, room):
        return Level()
    def __str__(self):
        return "always_half()"

@register
def always_half():
    return Half()

@register_controller
@dataclass(frozen=True)
class Stopper:
    limit: float = 1.0
    def initial(self): return {}
    def wants(self, step): return Wants()
    def respond(self, state, seen):
        return state, Action(event="seen by mine" if seen.step == 3 else "")

register_method(Method(name="own_sgd", summary="SGD", family="classic", usual_rate=0.1, rate_span=10.0, decay="any",
    options={}, build=lambda groups, lr, options: torch.optim.SGD(groups, lr), source="", memory=0))

generator = torch.Generator().manual_seed(0)
x = torch.rand(64, 1, 4, 4, generator=generator)
y = (x.mean((1, 2, 3)) > 0.5).long()
net = lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
workload = calando.workload(train=(x, y), test=(x, y), model=net, batch_size=16)
calando.compare(workload, "a = own_sgd(lr=0.1) | always_half() | stopper()", "b = own_sgd(lr=0.1)", folder="study",
    steps=8, seeds=1, executor="process", workers=1, device="cpu", page=False)
"""


def test_worker_processes_are_sent_what_a_script_registers(tmp_path):
    done = run(WORKERS, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    with sqlite3.connect(tmp_path / "study/study.sqlite") as database:
        stored = "\n".join(database.iterdump())
    assert "seen by mine" in stored
    assert "always_half()" in stored
