"""Which of what may be compared is a person's own training code, and what `calando.compare` does with it.

train.py                           a script
torchrun --nproc-per-node 2 train.py      a launcher with its script: words, of which one is a script
my_module:train                    a function whose one parameter is `run`; of any other form it is a workload
a function                         from Python
"""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from calando.errors import UsageError, quote
from calando.language import message

__all__ = ["own_code", "refuse_options"]


def own_code(task: object, arguments: Sequence[str]) -> str | Callable[[Any], object] | None:
    """The command or the function, if `task` is a person's own training code; None for a workload.

    Raises:
        UsageError: a script that is not there; arguments for what takes none.
    """
    code: Any = None
    if isinstance(task, str):
        words = [task] if _is_file(task) else task.split()
        if words and any(word.endswith(".py") for word in words) and ":" not in words[0]:
            script = next(word for word in words if word.endswith(".py"))
            if not _is_file(script):
                raise UsageError(
                    message("there is no script {script!r} in {cwd!r}", script=script, cwd=str(Path.cwd()))
                )
            code = task
        elif len(words) > 1 and shutil.which(words[0]):
            raise UsageError(
                message(
                    "{task} is a command without a script: give one that ends in .py, or MODULE:FUNCTION",
                    task=quote(task),
                )
            )
        else:
            code = _function_named(task)
    elif callable(task):
        code = task
        _check_takes_run(code, getattr(code, "__name__", "the function"))
    if arguments and not isinstance(code, str):
        raise UsageError(message("arguments after -- are for a script, and {task} takes none", task=quote(task)))
    found: str | Callable[[Any], object] | None = code
    return found


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False


def refuse_options(given: Mapping[str, object]) -> None:
    """Nothing, where no option of workloads was given to code that has its own.

    Raises:
        UsageError: one was.
    """
    if named := [name for name, value in given.items() if value is not None]:
        raise UsageError(
            message("{named} is an option of workloads; your own code takes its options after --", named=named[0])
        )


def _function_named(text: str) -> Callable[[Any], object] | None:
    """MODULE:FUNCTION where the function needs an argument: the run."""
    from calando.tasks.catalog import is_callable_text, is_standard

    if not is_callable_text(text) or not re.fullmatch(r"[\w.]+:[\w.]+", text):
        return None
    from calando.tasks.user_code import import_callable

    found = import_callable(text)
    parameters = _required(found)
    if not parameters or (parameters[:1] != ["run"] and is_standard(text.partition(":")[0])):
        return None  # what makes a workload needs nothing
    _check_takes_run(found, text)
    return found


def _check_takes_run(function: Callable[..., object], name: str) -> None:
    parameters = _required(function)
    if parameters is not None and len(parameters) != 1:
        nothing = message("takes nothing; if it returns calando.workload(…), give that: {name}()", name=name)
        takes = message("needs {parameters}", parameters=", ".join(parameters)) if parameters else nothing
        raise UsageError(
            message("{name} is called with the run alone, def train(run): …, and it {takes}", name=name, takes=takes)
        )


def _required(function: Callable[..., object]) -> list[str] | None:
    """The names of the parameters without a default; None where Python does not know."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [one.name for one in signature.parameters.values() if one.default is one.empty and one.kind in kinds]
