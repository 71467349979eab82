"""The method of a training whose optimizer is the person's own: the strategy says its rate, and no more.

own(lr=auto) | cosine(1, 0)                          the rate of an optimizer that the code made itself
own(lr=auto, dropout=0.2) | dropout: linear(1, 0)    and other numbers that it asks for: run.value("dropout", 0.5)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from calando.errors import UsageError, quote
from calando.methods.method import OWN_NAME, Method

__all__ = ["OWN"]


@final
@dataclass(frozen=True, kw_only=True)
class _OwnOptimizer(Method):
    """Takes any option that is a number: which of them mean anything, the person's code knows."""

    def settle(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The given options, checked to be numbers."""
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UsageError(f"own: {name} must be a number, got {quote(value)}")
        return dict(given)


def _refuse(groups: object, lr: float, options: object) -> Any:
    raise UsageError("own(…) stands for the optimizer of your own training code: it is for run.scheduler(optimizer, …)")


OWN = _OwnOptimizer(
    name=OWN_NAME,
    summary="the optimizer of your own training code: the strategy says its rate alone",
    family="classic",
    usual_rate=0.1,
    decay="as your optimizer",
    options={},
    build=_refuse,
    source="your own",
    memory=0,
)
