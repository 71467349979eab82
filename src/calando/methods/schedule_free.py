"""Schedule-free methods: steps at z, gradients at y, evaluation at the average x; no decay of the rate.

    y = (1 - beta) * z + beta * x;  z <- z - lr * (step of SGD, AdamW or RAdam by the gradient at y)
    x <- x + c * (z - x)            c = lr_max**2 / (sum of lr_max**2 so far), lr_max the highest rate so far

While it trains the parameters hold y; `optimizer.eval()` puts x there, `optimizer.train()` y again. Weight decay is
taken at y. What a warmup needs is a schedule that rises; a rate that falls takes from the average's work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calando.methods.base import Method, Number
from calando.methods.packages import import_schedulefree

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["SCHEDULE_FREE_METHODS"]


def _sgd(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    return _training(import_schedulefree("schedule_free_sgd").SGDScheduleFree(groups, lr=lr, **options))


def _adamw(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    kind = import_schedulefree("schedule_free_adamw").AdamWScheduleFree
    return _training(kind(groups, lr=lr, **_with_betas(options)))


def _radam(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    kind = import_schedulefree("schedule_free_radam").RAdamScheduleFree
    return _training(kind(groups, lr=lr, **_with_betas(options)))


def _with_betas(options: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in options.items() if name not in ("beta1", "beta2")}
    return {"betas": (options["beta1"], options["beta2"]), **rest}


def _training(optimizer: Any) -> Optimizer:
    """The package's start in evaluation mode, which is of no use before the first step."""
    optimizer.train()
    made: Optimizer = optimizer
    return made


# beta1 divides, so it cannot be 0.
_ADAM_OPTIONS = {
    "beta1": Number(0.9, high=1.0, open_low=True),
    "beta2": Number(0.999, high=1.0),
    "eps": Number(1e-8, open_low=True),
    "weight_decay": Number(0.0),
}

SCHEDULE_FREE_METHODS = (
    Method(
        name="schedule_free_sgd",
        family="classic",
        memory=1,
        summary="SGD whose average replaces decay",
        usual_rate=1.0,
        rate_span=100.0,
        decay="must not be decayed; a warmup helps",
        options={"momentum": Number(0.9, high=1.0, open_low=True), "weight_decay": Number(0.0)},
        build=_sgd,
        source="Defazio et al. 2024, The Road Less Scheduled; schedulefree",
        schedules="warmup",
        eval_mode=True,
        package="schedulefree",
    ),
    Method(
        name="schedule_free_adamw",
        family="adaptive",
        memory=2,
        summary="AdamW whose average replaces decay",
        usual_rate=0.0025,
        rate_span=100.0,
        decay="must not be decayed; a warmup helps",
        options=_ADAM_OPTIONS,
        build=_adamw,
        source="Defazio et al. 2024, The Road Less Scheduled; schedulefree",
        schedules="warmup",
        eval_mode=True,
        package="schedulefree",
    ),
    Method(
        name="schedule_free_radam",
        family="adaptive",
        memory=2,
        summary="RAdam whose average replaces decay; it warms up by itself and stands still for its first steps",
        usual_rate=0.0025,
        rate_span=100.0,
        decay="must not be decayed, and needs no warmup",
        options=_ADAM_OPTIONS,
        build=_radam,
        source="Defazio et al. 2024, The Road Less Scheduled; schedulefree",
        schedules="warmup",
        eval_mode=True,
        package="schedulefree",
    ),
)
