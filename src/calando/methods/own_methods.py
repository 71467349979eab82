"""Methods whose optimizers are ours (`calando.methods.own`), where no kept package has them or does as its paper says.

lamb, D-Adaptation, ALI-G, MoMo, DoG and hypergradient descent; each formula stands with its optimizer.
"""

from __future__ import annotations

import math

from calando.methods.method import Flag, ImportedClass, Method, Number, Pair, register

_MOMENTUM = Number(0.9, high=1.0)
_WEIGHT_DECAY = Number(0.0)
_BETAS = Pair((0.9, 0.999))
_EPS = Number(1e-8, open_low=True)
_D0 = Number(1e-6, open_low=True)
_LOWER_BOUND = Number(0.0, low=-math.inf, open_low=True)
_DOG = {
    "reps_rel": Number(1e-4, open_low=True),  # the authors' for batch normalisation; else they take 1e-6
    "eps": _EPS,
    "gamma": Number(8.0),
    "weight_decay": _WEIGHT_DECAY,
}

for _method in (
    Method(
        name="lamb", family="adaptive", memory=2,
        summary="Adam whose steps are a fraction of each layer's weights; weight decay counts in the step",
        usual_rate=0.01, decay="gains from decay",
        options={"betas": _BETAS, "eps": Number(1e-6, open_low=True), "weight_decay": Number(0.01)},
        build=ImportedClass("calando.methods.own.lamb:Lamb"),
        source="You et al. 2020, algorithm 2",
    ),
    Method(
        name="dadapt_adam", family="rate-free", memory=3,
        summary="Adam that finds its own step size; decoupled weight decay",
        usual_rate=1.0, decay="gains from decay",
        options={
            "betas": _BETAS, "eps": _EPS, "weight_decay": _WEIGHT_DECAY, "bias_correction": Flag(False), "d0": _D0,
        },
        build=ImportedClass("calando.methods.own.d_adaptation:DAdaptAdam"),
        source="Defazio & Mishchenko 2023",
    ),
    Method(
        name="dadapt_sgd", family="rate-free", memory=2,
        summary="SGD with momentum that finds its own step size",
        usual_rate=1.0, decay="gains from decay",
        options={"momentum": _MOMENTUM, "weight_decay": _WEIGHT_DECAY, "d0": _D0},
        build=ImportedClass("calando.methods.own.d_adaptation:DAdaptSGD"),
        source="Defazio & Mishchenko 2023",
    ),
    Method(
        name="alig", family="classic", memory=1,
        summary="Polyak's step for losses that can reach zero; the rate is its upper bound",
        usual_rate=0.1, decay="shrinks by itself as the loss falls",
        options={"momentum": _MOMENTUM, "weight_decay": _WEIGHT_DECAY, "eps": Number(1e-5, open_low=True)},
        build=ImportedClass("calando.methods.own.polyak:AliG"),
        source="Berrada, Zisserman & Kumar 2020",
        closure="loss",
    ),
    Method(
        name="momo", family="adaptive", memory=1,
        summary="momentum SGD whose rate is a cap: the step ends where a model of the loss meets its lower bound",
        usual_rate=1.0, decay="the authors keep the rate constant at 1; the cap may be scheduled",
        options={
            "momentum": _MOMENTUM, "weight_decay": _WEIGHT_DECAY, "lower_bound": _LOWER_BOUND,
        },
        build=ImportedClass("calando.methods.own.polyak:MoMo"),
        source="Schaipp, Ohana, Eickenberg, Defazio & Gower 2024 (MoMo)",
        closure="loss",
    ),
    Method(
        name="momo_adam", family="adaptive", memory=2,
        summary="Adam whose rate is a cap: the step ends where a model of the loss meets its lower bound",
        usual_rate=0.01, decay="the authors keep the rate constant at 0.01 or slightly less; the cap may be scheduled",
        options={"betas": _BETAS, "eps": _EPS, "weight_decay": _WEIGHT_DECAY, "lower_bound": _LOWER_BOUND},
        build=ImportedClass("calando.methods.own.polyak:MoMoAdam"),
        source="Schaipp, Ohana, Eickenberg, Defazio & Gower 2024 (MoMo)",
        closure="loss",
    ),
    Method(
        name="dog", family="rate-free", memory=2,
        summary="step size: the distance from the start over the root of all squared gradients; evaluated: an average",
        usual_rate=1.0, decay="none: it evaluates an average of the weights instead",
        options=_DOG,
        build=ImportedClass("calando.methods.own.dog:DoG"),
        source="Ivgi, Hinder & Carmon 2023 (DoG); Shamir & Zhang 2013 (the average)",
        schedules="none", eval_mode=True,
    ),
    Method(
        name="ldog", family="rate-free", memory=2,
        summary="DoG for each tensor by itself",
        usual_rate=1.0, decay="none: it evaluates an average of the weights instead",
        options=_DOG,
        build=ImportedClass("calando.methods.own.dog:LDoG"),
        source="Ivgi, Hinder & Carmon 2023 (DoG); Shamir & Zhang 2013 (the average)",
        schedules="none", eval_mode=True,
    ),
    Method(
        name="sgd_hd", family="adaptive", memory=2,
        summary="SGD whose rate follows its own gradient, as a factor on the scheduled rate",
        usual_rate=0.01, decay="the authors start at 0.001 without a schedule; the factor composes with one",
        options={
            "momentum": Number(0.0, high=1.0), "nesterov": Flag(False), "weight_decay": _WEIGHT_DECAY,
            "hypergrad_lr": Number(1e-3),
        },
        build=ImportedClass("calando.methods.own.hypergradient:SGDHD"),
        keeps_base=True,
        source="Baydin, Cornish, Martínez Rubio, Schmidt & Wood 2018",
    ),
    Method(
        name="adam_hd", family="adaptive", memory=2,
        summary="Adam whose rate follows its own gradient, as a factor on the scheduled rate",
        usual_rate=0.001, decay="the authors start at 0.001 without a schedule; the factor composes with one",
        options={"betas": _BETAS, "eps": _EPS, "weight_decay": _WEIGHT_DECAY, "hypergrad_lr": Number(1e-8)},
        build=ImportedClass("calando.methods.own.hypergradient:AdamHD"),
        keeps_base=True,
        source="Baydin, Cornish, Martínez Rubio, Schmidt & Wood 2018",
    ),
):  # fmt: skip
    register(_method)
