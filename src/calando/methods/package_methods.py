"""Methods whose optimizers other packages bring: pytorch-optimizer, schedulefree and prodigyopt (Muon: `muon.py`).

    lars           trust = c * |w| / (|g| + wd * |w|);  m <- mu * m + trust * (g + wd * w);  w <- w - lr * m
    lion           w <- w - lr * (sign(beta1 * m + (1 - beta1) * g) + wd * w);  m <- beta2 * m + (1 - beta2) * g
    sam            SGD's step from w along the gradient at w + rho * g0 / |g0|, g0 the one at w, |.| over all parameters
    schedule_free  y = (1 - beta) * z + beta * x;  z <- z - lr * (step of SGD, AdamW or RAdam by the gradient at y)
                   x <- x + c * (z - x);  c = lr_max**2 / (sum of lr_max**2 so far), lr_max the highest rate so far
    prodigy        Adam, whose step size is an estimate of the distance to the solution; the rate only multiplies it

LARS scales matrices and filters by their own size; biases, scales and shifts move as in SGD, without decay. Its rate
stands outside the momentum, as in torch's SGD. Schedule-free parameters hold y while they train; `optimizer.eval()`
puts the average x there, `optimizer.train()` y again. Prodigy has one rate: groups' rates are equal, or 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, final

from calando.errors import UsageError
from calando.language import message
from calando.methods.method import (
    ADAM_BETAS,
    EPS,
    MOMENTUM,
    WEIGHT_DECAY,
    Flag,
    ImportedClass,
    Method,
    Number,
    Pair,
    import_class,
    register,
)

if TYPE_CHECKING:
    from torch.optim import Optimizer

_BETA_PAIR = {
    "beta1": Number(0.9, high=1.0, open_low=True),  # schedule-free divides by it
    "beta2": Number(0.999, high=1.0),
    "eps": EPS,
    "weight_decay": WEIGHT_DECAY,
}


@final
@dataclass(frozen=True)
class _ScheduleFree:
    """Builds one of schedulefree's optimizers, in training mode: they start in evaluation mode."""

    path: str
    method: str

    def __call__(self, groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
        given = dict(options)
        if "beta1" in given:
            given["betas"] = given.pop("beta1"), given.pop("beta2")
        optimizer = import_class(self.path, method=self.method)(groups, lr=lr, **given)
        optimizer.train()
        made: Optimizer = optimizer
        return made


def _sam(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    import torch

    optimizer: Optimizer = _returning_the_loss(import_class("pytorch_optimizer:SAM", method="sam"))(
        groups, torch.optim.SGD, lr=lr, **options
    )
    return optimizer


@cache
def _returning_the_loss(kind: Any) -> Any:
    import torch

    class SAM(kind):  # type: ignore[misc]
        """The package's, whose `step` returns the closure's loss as torch's do."""

        def step(self, closure: Callable[[], Any] | None = None) -> Any:
            """One update; the closure works loss and gradient out at the weights as they are."""
            if closure is None:
                raise UsageError(message("SAM needs a second pass over the batch: optimizer.step(closure)"))
            self.first_step(zero_grad=True)
            with torch.enable_grad():
                loss = closure()
            self.second_step()
            return loss

    return SAM


def _prodigy(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    weight_decay = options["weight_decay"]
    rest = {name: value for name, value in options.items() if name not in ("weight_decay", "bias_correction")}
    optimizer: Optimizer = import_class("prodigyopt:Prodigy", method="prodigy")(
        # Each group has its decay: where it is given for all, the package prints to the terminal.
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
            message(
                "prodigy takes one rate for all parameter groups, got {first:g} and {last:g}; a group may have 0",
                first=rates[0],
                last=rates[-1],
            )
        )


for _method in (
    Method(
        name="lars", family="classic", memory=1, sums=True,
        summary="SGD with momentum whose steps are a fraction of each layer's weights",
        usual_rate=1.0, decay="gains much from decay",
        options={
            "momentum": MOMENTUM, "nesterov": Flag(False), "weight_decay": WEIGHT_DECAY,
            "trust_coefficient": Number(0.001, open_low=True),
        },
        build=ImportedClass("pytorch_optimizer:LARS", method="lars"),
        source="You, Gitman & Ginsburg 2017; pytorch-optimizer", package="pytorch-optimizer",
    ),
    Method(
        name="lion", family="adaptive", memory=1,
        summary="the sign of a running mean of gradients; decoupled weight decay, 3 to 10 times AdamW's",
        usual_rate=0.0003, decay="gains much from decay: its steps never shrink by themselves",
        options={"betas": Pair((0.9, 0.99)), "weight_decay": WEIGHT_DECAY},
        build=ImportedClass("pytorch_optimizer:Lion", method="lion"),
        source="Chen et al. 2023; pytorch-optimizer", package="pytorch-optimizer",
    ),
    Method(
        name="sam", family="classic", memory=1, sums=True,
        summary="sharpness-aware minimisation over SGD with momentum; two passes an update",
        usual_rate=0.1, decay="gains much from decay",
        options={
            "rho": Number(0.05), "momentum": MOMENTUM, "nesterov": Flag(False), "weight_decay": WEIGHT_DECAY,
        },
        build=_sam,
        source="Foret et al. 2021; pytorch-optimizer",
        closure="again",
        package="pytorch-optimizer",
    ),
    Method(
        name="schedule_free_sgd", family="classic", memory=1,
        summary="SGD whose average replaces decay",
        usual_rate=1.0, decay="must not be decayed; a warmup helps",
        options={"momentum": Number(0.9, high=1.0, open_low=True), "weight_decay": WEIGHT_DECAY},
        build=_ScheduleFree("schedulefree:SGDScheduleFree", "schedule_free_sgd"),
        source="Defazio et al. 2024, The Road Less Scheduled; schedulefree",
        schedules="warmup", eval_mode=True,
        package="schedulefree",
    ),
    Method(
        name="schedule_free_adamw", family="adaptive", memory=2,
        summary="AdamW whose average replaces decay",
        usual_rate=0.0025, decay="must not be decayed; a warmup helps",
        options=_BETA_PAIR,
        build=_ScheduleFree("schedulefree:AdamWScheduleFree", "schedule_free_adamw"),
        source="Defazio et al. 2024, The Road Less Scheduled; schedulefree",
        schedules="warmup", eval_mode=True,
        package="schedulefree",
    ),
    Method(
        name="schedule_free_radam", family="adaptive", memory=2,
        summary="RAdam whose average replaces decay; it warms up by itself and stands still for its first steps",
        usual_rate=0.0025, decay="must not be decayed, and needs no warmup",
        options=_BETA_PAIR,
        build=_ScheduleFree("schedulefree:RAdamScheduleFree", "schedule_free_radam"),
        source="Defazio et al. 2024, The Road Less Scheduled; schedulefree",
        schedules="warmup", eval_mode=True,
        package="schedulefree",
    ),
    Method(
        name="prodigy", family="rate-free", memory=4,
        summary="Adam that finds its own step size; decoupled weight decay",
        usual_rate=1.0, decay="gains from decay",
        options={
            "betas": ADAM_BETAS, "eps": EPS, "weight_decay": WEIGHT_DECAY,
            "bias_correction": Flag(False), "safeguard_warmup": Flag(False),
            "d0": Number(1e-6, open_low=True), "d_coef": Number(1.0, open_low=True),
        },
        build=_prodigy,
        source="Mishchenko & Defazio 2024; prodigyopt", package="prodigyopt",
    ),
):  # fmt: skip
    register(_method)
