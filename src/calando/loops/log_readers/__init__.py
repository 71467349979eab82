"""Readers of others' logs, each in a file of this folder; a file that is not theirs is recognised by what it holds.

`READER` of each file says what it reads; a run's rate is found by the names that people give it (`is_rate`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, final

from calando.errors import UsageError
from calando.language import message

__all__ = ["LoggedRun", "Reader", "Series", "is_loss", "is_rate", "is_score", "readers", "runs_of_series"]

Series = list[tuple[int, float]]

RATES: Final = ("lr", "learning_rate", "learning rate", "rate", "learningrate")
LOSSES: Final = (
    "loss", "train_loss", "train/loss", "train_loss_step", "loss/train", "training_loss", "train/loss_step",
    "training/loss", "epoch_loss",
)  # fmt: skip
SCORES: Final = ("val", "eval", "test", "epoch_val")


@final
@dataclass(frozen=True)
class LoggedRun:
    """A run as a log has it.

    Args:
        name: its file, and which rate of it where there are several.
        rates: (step, rate), in the order in which they were logged.
        total_steps: updates that it was planned for, where the log says so.
        losses: (step, training loss).
        scores: name -> (step, score on validation).
        notes: what was taken for what.
    """

    name: str
    rates: Series
    total_steps: int | None = None
    losses: Series = field(default_factory=list)
    scores: Mapping[str, Series] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _nothing(path: Path) -> None:
    """It may be read."""


@final
@dataclass(frozen=True)
class Reader:
    """A form of logs.

    Args:
        form: what a person gives, as in "a metrics.csv of Lightning"; "": nothing, it is refused.
        is_of: whether a file is of that form.
        found: those in a folder, each run once.
        read: the runs in one; ValueError where it does not parse.
        package, extra: the module that reading needs, and calando's extra that brings it; "": none.
        many: a folder may hold many, some without rates.
        fails: another exception of what reads.
        refuse: raises UsageError for what is recognised, and not read.
    """

    form: str
    is_of: Callable[[Path], bool]
    found: Callable[[Path], Sequence[Path]]
    read: Callable[[Path], Iterator[LoggedRun]]
    package: str = ""
    extra: str = ""
    many: bool = False
    fails: type[Exception] = ValueError
    refuse: Callable[[Path], None] = _nothing

    def check(self, path: Path) -> None:
        """Nothing, if it can be read here.

        Raises:
            UsageError: its package is not installed, or nobody but its own program reads it.
        """
        self.refuse(path)
        if self.package and find_spec(self.package) is None:
            raise UsageError(
                message(
                    "{path} needs {package} to be read: pip install 'calando[{extra}]'",
                    path=repr(str(path)),
                    package=self.package,
                    extra=self.extra,
                )
            )


@cache
def readers() -> tuple[Reader, ...]:
    """All of them, in the order of their files' names."""
    names = sorted(file.name for file in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}").READER for name in names)


def is_rate(name: str) -> bool:
    """Whether a series is a learning rate, by the names that are usual.

    >>> [is_rate(one) for one in ("lr-SGD", "train/learning_rate", "optim/lr", "rate", "error_rate", "lr_scale")]
    [True, True, True, True, False, False]
    """
    whole = name.strip().lower()
    last = whole.rpartition("/")[2]
    of_group = last.startswith(("lr-", "lr/", "lr_group", "lr_pg")) or whole.startswith("lr/")
    return last in RATES or last.endswith(("_lr", "learning_rate")) or of_group


def is_loss(name: str) -> bool:
    """Whether it is the training loss.

    >>> is_loss("train/loss"), is_loss("val_loss")
    (True, False)
    """
    return name.strip().lower() in LOSSES


def is_score(name: str) -> bool:
    """Whether it was measured on data that are not trained on.

    >>> is_score("eval_accuracy"), is_score("validation/score"), is_score("train_accuracy")
    (True, True, False)
    """
    return name.strip().lower().startswith(SCORES)


def runs_of_series(name: str, series: Mapping[str, Series], *, total_steps: int | None = None) -> Iterator[LoggedRun]:
    """A run for each series that is a rate, with what was taken for its loss and scores; none where none is."""
    rates = [key for key in series if is_rate(key) and series[key]]
    loss = next((key for key in series if is_loss(key) and series[key]), "")
    scores = {key: pairs for key, pairs in series.items() if is_score(key) and key not in rates and pairs}
    for key in rates:
        notes = [message("the rate is {key!r}", key=key)]
        notes += [message("the training loss is {loss}", loss=repr(loss))] if loss else []
        notes += [message("the scores are {scores}", scores=", ".join(map(repr, scores)))] if scores else []
        yield LoggedRun(
            f"{name} {key}" if len(rates) > 1 else name,
            series[key],
            total_steps,
            series.get(loss, []),
            scores,
            ("; ".join(notes),),
        )
