"""The methods in torch.optim, with torch's defaults.

SGD, Adam and AdamW take torch's fused kernels where the parameters allow it: one pass over them, and on small networks
the update is a good part of a step. The others take its batched kernels on a GPU, as torch itself decides.
"""

from __future__ import annotations

from calando.methods.method import (
    ADAM_BETAS,
    EPS,
    WEIGHT_DECAY,
    Flag,
    ImportedClass,
    Method,
    Number,
    register,
)

_MOMENTUM = Number(0.0, high=1.0)
_DECOUPLED = {"decoupled_weight_decay": True}


for _method in (
    Method(
        name="sgd", family="classic", memory=1, sums=True,
        summary="stochastic gradient descent, optionally with (Nesterov) momentum",
        usual_rate=0.1, decay="gains much from decay",
        options={"momentum": _MOMENTUM, "nesterov": Flag(False), "weight_decay": WEIGHT_DECAY},
        build=ImportedClass("torch.optim:SGD", fused=True),
        source="Robbins & Monro 1951; Sutskever et al. 2013 (momentum)",
    ),
    Method(
        name="adagrad", family="adaptive", memory=1,
        summary="per-parameter rates from the sum of squared gradients; decays by itself as 1/sqrt(t)",
        usual_rate=0.01, decay="decays by itself",
        options={"weight_decay": WEIGHT_DECAY, "eps": Number(1e-10, open_low=True)},
        build=ImportedClass("torch.optim:Adagrad"),
        source="Duchi, Hazan & Singer 2011",
    ),
    Method(
        name="rmsprop", family="adaptive", memory=1, sums=True,
        summary="per-parameter rates from a running mean of squared gradients",
        usual_rate=0.001, decay="gains from decay",
        options={
            "alpha": Number(0.99, high=1.0), "momentum": _MOMENTUM, "weight_decay": WEIGHT_DECAY, "eps": EPS,
        },
        build=ImportedClass("torch.optim:RMSprop"),
        source="Tieleman & Hinton 2012",
    ),
    Method(
        name="adam", family="adaptive", memory=2,
        summary="running means of gradients and of their squares; weight decay enters the gradient",
        usual_rate=0.001, decay="gains from decay",
        options={"betas": ADAM_BETAS, "eps": EPS, "weight_decay": WEIGHT_DECAY},
        build=ImportedClass("torch.optim:Adam", fused=True),
        source="Kingma & Ba 2015",
    ),
    Method(
        name="adamw", family="adaptive", memory=2,
        summary="Adam with decoupled weight decay",
        usual_rate=0.001, decay="gains from decay",
        options={"betas": ADAM_BETAS, "eps": EPS, "weight_decay": Number(0.01)},
        build=ImportedClass("torch.optim:AdamW", fused=True),
        source="Loshchilov & Hutter 2019",
    ),
    Method(
        name="nadam", family="adaptive", memory=2,
        summary="Adam with Nesterov's look ahead; decoupled weight decay",
        usual_rate=0.001, decay="gains from decay",
        options={
            "betas": ADAM_BETAS, "eps": EPS, "weight_decay": WEIGHT_DECAY, "momentum_decay": Number(0.004),
        },
        build=ImportedClass("torch.optim:NAdam", fixed=_DECOUPLED),
        source="Dozat 2016",
    ),
    Method(
        name="radam", family="adaptive", memory=2,
        summary="Adam that warms itself up by the variance of its second moment; decoupled weight decay",
        usual_rate=0.001, decay="gains from decay",
        options={"betas": ADAM_BETAS, "eps": EPS, "weight_decay": WEIGHT_DECAY},
        build=ImportedClass("torch.optim:RAdam", fixed=_DECOUPLED),
        source="Liu et al. 2020",
    ),
    Method(
        name="adadelta", family="adaptive", memory=2,
        summary="per-parameter rates from the ratio of past steps to past gradients",
        usual_rate=1.0, decay="gains from decay",
        options={"rho": Number(0.9, high=1.0), "eps": Number(1e-6, open_low=True), "weight_decay": WEIGHT_DECAY},
        build=ImportedClass("torch.optim:Adadelta"),
        source="Zeiler 2012",
    ),
    Method(
        name="adafactor", family="adaptive",
        memory=0.67,  # of 3x3 filters; far less of matrices, 1 of biases and the like
        summary="squared gradients kept by row and column; steps are a fraction of the weights, at most 1/sqrt(t)",
        usual_rate=0.01, decay="decays by itself once 1/sqrt(t) is below the rate",
        options={"beta2_decay": Number(-0.8, low=-1.0, high=0.0), "weight_decay": WEIGHT_DECAY},
        build=ImportedClass("torch.optim:Adafactor"),
        source="Shazeer & Stern 2018",
    ),
):  # fmt: skip
    register(_method)
