"""calando settles the learning rate of a neural network: say a policy, compare policies fairly, see why.

Public names are imported when first used, so `import calando` is quick and needs no torch.

>>> import calando
>>> curve = calando.parse("linear(0, 1, over='5%') >> cosine(1, 0)").bind(1000)
>>> curve(25), curve(1000)
(0.5, 0.0)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calando.errors import CalandoError, UsageError
    from calando.loops.attach import attach
    from calando.loops.follow import follow
    from calando.loops.run_handle import Run
    from calando.loops.run_start import run
    from calando.loops.torch_scheduler import LRScheduler
    from calando.loops.watch import watch
    from calando.methods.parameter_groups import layer_groups
    from calando.range_test import find_lr
    from calando.schedules import parse
    from calando.strategy import parse_strategy
    from calando.tasks.custom import workload
    from calando.tasks.fetch import get_data, open_data
    from calando.tasks.workload import Workload
    from calando.training.replay import replay_of
    from calando.verbs.compare import compare
    from calando.verbs.demo import demo
    from calando.verbs.describe import list_schedules, list_strategies, list_workloads
    from calando.verbs.draw import draw
    from calando.verbs.explain import explain
    from calando.verbs.exporting import export
    from calando.verbs.find import find
    from calando.verbs.importing import import_runs
    from calando.verbs.schedules import lint, plot
    from calando.verbs.steer import steer
    from calando.verbs.study import serve, show, studies, write_report
    from calando.verbs.train import train
    from calando.verbs.tune import tune

__all__ = [
    "CalandoError",
    "LRScheduler",
    "Run",
    "UsageError",
    "Workload",
    "attach",
    "compare",
    "demo",
    "draw",
    "explain",
    "export",
    "find",
    "find_lr",
    "follow",
    "get_data",
    "import_runs",
    "layer_groups",
    "lint",
    "list_schedules",
    "list_strategies",
    "list_workloads",
    "open_data",
    "parse",
    "parse_strategy",
    "plot",
    "replay_of",
    "run",
    "serve",
    "show",
    "steer",
    "studies",
    "train",
    "tune",
    "watch",
    "workload",
    "write_report",
]

__version__ = "0.1.0"

_HOMES = {
    "CalandoError": "calando.errors",
    "LRScheduler": "calando.loops.torch_scheduler",
    "Run": "calando.loops.run_handle",
    "UsageError": "calando.errors",
    "Workload": "calando.tasks.workload",
    "attach": "calando.loops.attach",
    "compare": "calando.verbs.compare",
    "demo": "calando.verbs.demo",
    "draw": "calando.verbs.draw",
    "explain": "calando.verbs.explain",
    "export": "calando.verbs.exporting",
    "find": "calando.verbs.find",
    "find_lr": "calando.range_test",
    "follow": "calando.loops.follow",
    "get_data": "calando.tasks.fetch",
    "import_runs": "calando.verbs.importing",
    "layer_groups": "calando.methods.parameter_groups",
    "lint": "calando.verbs.schedules",
    "list_schedules": "calando.verbs.describe",
    "list_strategies": "calando.verbs.describe",
    "list_workloads": "calando.verbs.describe",
    "open_data": "calando.tasks.fetch",
    "parse": "calando.schedules",
    "parse_strategy": "calando.strategy",
    "plot": "calando.verbs.schedules",
    "replay_of": "calando.training.replay",
    "run": "calando.loops.run_start",
    "serve": "calando.verbs.study",
    "show": "calando.verbs.study",
    "studies": "calando.verbs.study",
    "steer": "calando.verbs.steer",
    "train": "calando.verbs.train",
    "tune": "calando.verbs.tune",
    "watch": "calando.loops.watch",
    "workload": "calando.tasks.custom",
    "write_report": "calando.verbs.study",
}

_ROOMS = ("controllers", "methods", "schedules", "testing")


def __getattr__(name: str) -> object:
    if name in _ROOMS:  # calando.schedules.cosine(1, 0) after `import calando` alone
        return importlib.import_module(f"calando.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'calando' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
