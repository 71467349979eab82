"""Methods that estimate the distance to the solution and take the step size from it; the rate only multiplies it.

prodigy        Adam, its estimate grown faster than D-Adaptation's
dadapt_adam    Adam by D-Adaptation
dadapt_sgd     SGD by D-Adaptation

Prodigy has one rate for all parameters: groups' rates must be equal, or 0, where a group stands still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calando.errors import UsageError
from calando.methods.base import Flag, Method, Number, Pair
from calando.methods.packages import import_prodigyopt

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["RATE_FREE_METHODS"]

_D0 = Number(1e-6, open_low=True)


def _prodigy(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    weight_decay = options["weight_decay"]
    rest = {name: value for name, value in options.items() if name not in ("weight_decay", "bias_correction")}
    optimizer: Optimizer = import_prodigyopt("prodigy").Prodigy(
        # Decay is each group's own: told of it for all, the package prints to the terminal.
        [{"weight_decay": weight_decay, **group} for group in groups],
        lr=lr,
        use_bias_correction=options["bias_correction"],
        **rest,
    )
    optimizer.register_step_pre_hook(_one_rate)
    return optimizer


def _one_rate(optimizer: Optimizer, *_: object) -> None:
    rates = sorted({float(group["lr"]) for group in optimizer.param_groups} - {0.0})
    if len(rates) > 1:
        raise UsageError(
            f"prodigy takes one rate for all parameter groups, got {rates[0]:g} and {rates[-1]:g}; a group may have 0"
        )


def _dadapt_adam(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    from calando.methods.own.d_adaptation import DAdaptAdam

    return DAdaptAdam(groups, lr=lr, **options)


def _dadapt_sgd(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    from calando.methods.own.d_adaptation import DAdaptSGD

    return DAdaptSGD(groups, lr=lr, **options)


RATE_FREE_METHODS = (
    Method(
        name="prodigy",
        family="rate-free",
        memory=4,
        summary="Adam that finds its own step size; decoupled weight decay",
        usual_rate=1.0,
        rate_span=100.0,
        decay="gains from decay",
        options={
            "betas": Pair((0.9, 0.999)),
            "eps": Number(1e-8, open_low=True),
            "weight_decay": Number(0.0),
            "bias_correction": Flag(False),
            "safeguard_warmup": Flag(False),
            "d0": _D0,
            "d_coef": Number(1.0, open_low=True),
        },
        build=_prodigy,
        source="Mishchenko & Defazio 2024; prodigyopt",
        package="prodigyopt",
    ),
    Method(
        name="dadapt_adam",
        family="rate-free",
        memory=3,
        summary="Adam that finds its own step size; decoupled weight decay",
        usual_rate=1.0,
        rate_span=100.0,
        decay="gains from decay",
        options={
            "betas": Pair((0.9, 0.999)),
            "eps": Number(1e-8, open_low=True),
            "weight_decay": Number(0.0),
            "bias_correction": Flag(False),
            "d0": _D0,
        },
        build=_dadapt_adam,
        source="Defazio & Mishchenko 2023",
    ),
    Method(
        name="dadapt_sgd",
        family="rate-free",
        memory=2,
        summary="SGD with momentum that finds its own step size",
        usual_rate=1.0,
        rate_span=100.0,
        decay="gains from decay",
        options={"momentum": Number(0.9, high=1.0), "weight_decay": Number(0.0), "d0": _D0},
        build=_dadapt_sgd,
        source="Defazio & Mishchenko 2023",
    ),
)
