"""torch.optim's own methods, with its defaults.

Where torch has a fused kernel it is used: one pass over the parameters, and on small networks the update is a good
part of a step. The others take its batched kernels on a GPU, as torch itself decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calando.methods.base import Flag, Method, Number, Pair

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["TORCH_METHODS"]

_MOMENTUM = Number(0.0, high=1.0)
_WEIGHT_DECAY = Number(0.0)
_BETAS = Pair((0.9, 0.999))
_EPS = Number(1e-8, open_low=True)


def _real(groups: list[dict[str, Any]]) -> bool:
    """Whether the fused kernels take these parameters."""
    return all(parameter.is_floating_point() for group in groups for parameter in group["params"])


def _sgd(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    import torch

    return torch.optim.SGD(groups, lr=lr, fused=_real(groups), **options)


def _adagrad(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    import torch

    return torch.optim.Adagrad(groups, lr=lr, **options)


def _rmsprop(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    import torch

    return torch.optim.RMSprop(groups, lr=lr, **options)


def _adam(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    import torch

    return torch.optim.Adam(groups, lr=lr, fused=_real(groups), **options)


def _adamw(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    import torch

    return torch.optim.AdamW(groups, lr=lr, fused=_real(groups), **options)


def _nadam(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    import torch

    return torch.optim.NAdam(groups, lr=lr, decoupled_weight_decay=True, **options)


def _radam(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    import torch

    return torch.optim.RAdam(groups, lr=lr, decoupled_weight_decay=True, **options)


def _adadelta(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    import torch

    return torch.optim.Adadelta(groups, lr=lr, **options)


def _adafactor(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    import torch

    return torch.optim.Adafactor(groups, lr=lr, **options)


TORCH_METHODS = (
    Method(
        name="sgd",
        family="classic",
        memory=1,
        summary="stochastic gradient descent, optionally with (Nesterov) momentum",
        usual_rate=0.1,
        rate_span=100.0,
        decay="gains much from decay",
        options={"momentum": _MOMENTUM, "nesterov": Flag(False), "weight_decay": _WEIGHT_DECAY},
        build=_sgd,
        source="Robbins & Monro 1951; Sutskever et al. 2013 (momentum)",
    ),
    Method(
        name="adagrad",
        family="adaptive",
        memory=1,
        summary="per-parameter rates from the sum of squared gradients; decays by itself as 1/sqrt(t)",
        usual_rate=0.01,
        rate_span=100.0,
        decay="decays by itself",
        options={"weight_decay": _WEIGHT_DECAY, "eps": Number(1e-10, open_low=True)},
        build=_adagrad,
        source="Duchi, Hazan & Singer 2011",
    ),
    Method(
        name="rmsprop",
        family="adaptive",
        memory=1,
        summary="per-parameter rates from a running mean of squared gradients",
        usual_rate=0.001,
        rate_span=100.0,
        decay="gains from decay",
        options={
            "alpha": Number(0.99, high=1.0), "momentum": _MOMENTUM, "weight_decay": _WEIGHT_DECAY, "eps": _EPS,
        },
        build=_rmsprop,
        source="Tieleman & Hinton 2012",
    ),
    Method(
        name="adam",
        family="adaptive",
        memory=2,
        summary="running means of gradients and of their squares; weight decay enters the gradient",
        usual_rate=0.001,
        rate_span=100.0,
        decay="gains from decay",
        options={"betas": _BETAS, "eps": _EPS, "weight_decay": _WEIGHT_DECAY},
        build=_adam,
        source="Kingma & Ba 2015",
    ),
    Method(
        name="adamw",
        family="adaptive",
        memory=2,
        summary="Adam with decoupled weight decay",
        usual_rate=0.001,
        rate_span=100.0,
        decay="gains from decay",
        options={"betas": _BETAS, "eps": _EPS, "weight_decay": Number(0.01)},
        build=_adamw,
        source="Loshchilov & Hutter 2019",
    ),
    Method(
        name="nadam",
        family="adaptive",
        memory=2,
        summary="Adam with Nesterov's look ahead; decoupled weight decay",
        usual_rate=0.001,
        rate_span=100.0,
        decay="gains from decay",
        options={
            "betas": _BETAS, "eps": _EPS, "weight_decay": _WEIGHT_DECAY, "momentum_decay": Number(0.004),
        },
        build=_nadam,
        source="Dozat 2016",
    ),
    Method(
        name="radam",
        family="adaptive",
        memory=2,
        summary="Adam that warms itself up by the variance of its second moment; decoupled weight decay",
        usual_rate=0.001,
        rate_span=100.0,
        decay="gains from decay",
        options={"betas": _BETAS, "eps": _EPS, "weight_decay": _WEIGHT_DECAY},
        build=_radam,
        source="Liu et al. 2020",
    ),
    Method(
        name="adadelta",
        family="adaptive",
        memory=2,
        summary="per-parameter rates from the ratio of past steps to past gradients",
        usual_rate=1.0,
        rate_span=100.0,
        decay="gains from decay",
        options={"rho": Number(0.9, high=1.0), "eps": Number(1e-6, open_low=True), "weight_decay": _WEIGHT_DECAY},
        build=_adadelta,
        source="Zeiler 2012",
    ),
    Method(
        name="adafactor",
        family="adaptive",
        memory=0.67,  # of 3x3 filters; far less of matrices, 1 of biases and the like
        summary="squared gradients kept by row and column; steps are a fraction of the weights, at most 1/sqrt(t)",
        usual_rate=0.01,
        rate_span=100.0,
        decay="decays by itself once 1/sqrt(t) is below the rate",
        options={"beta2_decay": Number(-0.8, low=-1.0, high=0.0), "weight_decay": _WEIGHT_DECAY},
        build=_adafactor,
        source="Shazeer & Stern 2018",
    ),
)  # fmt: skip
