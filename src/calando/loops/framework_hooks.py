"""What the callbacks of Lightning and of Transformers' Trainer share: they report, keep and judge a run.

class Hooks(FrameworkHooks): …                      what one framework calls
callback_of(Hooks, framework's callback class)      their mixture, which the framework takes
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from calando.errors import UsageError
from calando.loops.run_handle import Run
from calando.range_test.loss import Forward

__all__ = ["FrameworkHooks", "callback_of"]


@cache
def callback_of(hooks: type, base: type) -> Any:
    """A class of callbacks, made when it is used: the framework is whichever the code has imported."""
    return type("CalandoCallback", (hooks, base), {})


class FrameworkHooks(ABC):
    """A run in a framework's loop.

    Args:
        score, loss: names of the framework's metrics: what is judged, and what a plateau answers to.
        every: least time between two checkpoints, as for `run.keep`.
        forward: as for `Following.evaluated`.
    """

    _between_steps: ClassVar[bool] = False  # whether the framework can save and stop after any update

    def __init__(self, run: Run, *, score: str, loss: str | None, every: str | float, forward: Forward | None) -> None:
        super().__init__()
        self.run = run
        self._score, self._loss, self._forward = score, loss, forward
        self._judging = ExitStack()
        # Frameworks save on all ranks together.
        run.keep(save=self._save, load=self._load, every=every, every_rank=True, between_steps=self._between_steps)

    @abstractmethod
    def _save(self, folder: Path) -> None:
        """Put the framework's checkpoint into `folder`."""

    @abstractmethod
    def _load(self, folder: Path) -> None:
        """Go on from the checkpoint in `folder`; called while the callback is made."""

    @abstractmethod
    def _absent(self, name: str, metrics: Mapping[str, Any]) -> UsageError:
        """No metric has this name."""

    def _report(self, metrics: Mapping[str, Any]) -> None:
        loss = None if self._loss is None else self._metric(metrics, self._loss)
        self.run.report(self._metric(metrics, self._score), loss=loss)

    def _metric(self, metrics: Mapping[str, Any], name: str) -> Any:
        if name not in metrics:
            raise self._absent(name, metrics)
        return metrics[name]
