"""Methods whose optimizers are ours: MoMo, DoG and hypergradient descent. Importing it needs no torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from calando.methods.base import Flag, Method, Number, Pair

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["OWN_METHODS"]

_WEIGHT_DECAY = Number(0.0)
_BETAS = Pair((0.9, 0.999))
_EPS = Number(1e-8, open_low=True)
_LOWER_BOUND = Number(0.0, low=-math.inf, open_low=True)
_DOG = {
    "reps_rel": Number(1e-4, open_low=True),  # the authors' for batch normalisation; else they take 1e-6
    "eps": _EPS,
    "gamma": Number(8.0),
    "weight_decay": _WEIGHT_DECAY,
}


def _momo(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    from calando.methods.own.momo import MoMo

    return MoMo(groups, lr=lr, **options)


def _momo_adam(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    from calando.methods.own.momo import MoMoAdam

    return MoMoAdam(groups, lr=lr, **options)


def _dog(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    from calando.methods.own.dog import DoG

    return DoG(groups, lr=lr, **options)


def _ldog(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    from calando.methods.own.dog import LDoG

    return LDoG(groups, lr=lr, **options)


def _sgd_hd(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    from calando.methods.own.hypergradient import SGDHD

    return SGDHD(groups, lr=lr, **options)


def _adam_hd(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    from calando.methods.own.hypergradient import AdamHD

    return AdamHD(groups, lr=lr, **options)


OWN_METHODS = (
    Method(
        name="momo",
        family="adaptive",
        memory=1,
        summary="momentum SGD whose rate is a cap: the step ends where a model of the loss meets its lower bound",
        usual_rate=1.0,
        rate_span=100.0,
        decay="the authors keep the rate constant at 1; the cap may be scheduled",
        options={
            "momentum": Number(0.9, high=1.0), "weight_decay": _WEIGHT_DECAY, "lower_bound": _LOWER_BOUND,
        },
        build=_momo,
        source="Schaipp, Ohana, Eickenberg, Defazio & Gower 2024 (MoMo)",
        closure="loss",
    ),
    Method(
        name="momo_adam",
        family="adaptive",
        memory=2,
        summary="Adam whose rate is a cap: the step ends where a model of the loss meets its lower bound",
        usual_rate=0.01,
        rate_span=100.0,
        decay="the authors keep the rate constant at 0.01 or slightly less; the cap may be scheduled",
        options={"betas": _BETAS, "eps": _EPS, "weight_decay": _WEIGHT_DECAY, "lower_bound": _LOWER_BOUND},
        build=_momo_adam,
        source="Schaipp, Ohana, Eickenberg, Defazio & Gower 2024 (MoMo)",
        closure="loss",
    ),
    Method(
        name="dog",
        family="rate-free",
        memory=2,
        summary="step size: the distance from the start over the root of all squared gradients; evaluated: an average",
        usual_rate=1.0,
        rate_span=100.0,
        decay="none: it evaluates an average of the weights instead",
        options=_DOG,
        build=_dog,
        source="Ivgi, Hinder & Carmon 2023 (DoG); Shamir & Zhang 2013 (the average)",
        schedules="none",
        eval_mode=True,
    ),
    Method(
        name="ldog",
        family="rate-free",
        memory=2,
        summary="DoG for each tensor by itself",
        usual_rate=1.0,
        rate_span=100.0,
        decay="none: it evaluates an average of the weights instead",
        options=_DOG,
        build=_ldog,
        source="Ivgi, Hinder & Carmon 2023 (DoG); Shamir & Zhang 2013 (the average)",
        schedules="none",
        eval_mode=True,
    ),
    Method(
        name="sgd_hd",
        family="adaptive",
        memory=2,
        summary="SGD whose rate follows its own gradient, as a factor on the scheduled rate",
        usual_rate=0.01,
        rate_span=100.0,
        decay="the authors start at 0.001 without a schedule; the factor composes with one",
        options={
            "momentum": Number(0.0, high=1.0), "nesterov": Flag(False), "weight_decay": _WEIGHT_DECAY,
            "hypergrad_lr": Number(1e-3),
        },
        build=_sgd_hd,
        keeps_base=True,
        source="Baydin, Cornish, Martínez Rubio, Schmidt & Wood 2018",
    ),
    Method(
        name="adam_hd",
        family="adaptive",
        memory=2,
        summary="Adam whose rate follows its own gradient, as a factor on the scheduled rate",
        usual_rate=0.001,
        rate_span=100.0,
        decay="the authors start at 0.001 without a schedule; the factor composes with one",
        options={"betas": _BETAS, "eps": _EPS, "weight_decay": _WEIGHT_DECAY, "hypergrad_lr": Number(1e-8)},
        build=_adam_hd,
        keeps_base=True,
        source="Baydin, Cornish, Martínez Rubio, Schmidt & Wood 2018",
    ),
)  # fmt: skip
