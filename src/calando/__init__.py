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
    from calando.engine.compare import compare
    from calando.errors import CalandoError, UsageError
    from calando.integrations.attach import attach
    from calando.integrations.follow import follow
    from calando.integrations.torch_scheduler import LRScheduler
    from calando.optim import parse_strategy
    from calando.optim.groups import layer_groups
    from calando.schedules import parse
    from calando.training.range_test import find_lr
    from calando.training.replay import replay_of
    from calando.workloads.custom import workload
    from calando.workloads.workload import Workload

__all__ = [
    "CalandoError",
    "LRScheduler",
    "UsageError",
    "Workload",
    "attach",
    "compare",
    "find_lr",
    "follow",
    "layer_groups",
    "parse",
    "parse_strategy",
    "replay_of",
    "workload",
]

__version__ = "0.1.0"

_HOMES = {
    "CalandoError": "calando.errors",
    "LRScheduler": "calando.integrations.torch_scheduler",
    "UsageError": "calando.errors",
    "Workload": "calando.workloads.workload",
    "attach": "calando.integrations.attach",
    "compare": "calando.engine.compare",
    "find_lr": "calando.training.range_test",
    "follow": "calando.integrations.follow",
    "layer_groups": "calando.optim.groups",
    "parse": "calando.schedules",
    "parse_strategy": "calando.optim",
    "replay_of": "calando.training.replay",
    "workload": "calando.workloads.custom",
}


def __getattr__(name: str) -> object:
    if name == "schedules":  # calando.schedules.cosine(1, 0) after `import calando` alone
        return importlib.import_module("calando.schedules")
    if name not in _HOMES:
        raise AttributeError(f"module 'calando' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
