"""Tasks of their own for the reading, opened after its numbers were frozen a second time.

Those of `tuning.cases` were all looked at when it was made: the untouched ones there showed that the first numbers held
for three looks in four only.
"""

from __future__ import annotations

from functools import partial

from tuning.cases import ADAM, ADAMW, SGD, Case
from tuning.cases import CASES as MADE_ON
from tuning.tasks import grouped, smaller

__all__ = ["FURTHER", "MADE_ON", "cifar_grouped", "fashion_plain8"]

fashion_plain8 = partial(smaller, "fashion-mnist", "plain8", "fashion-plain8")
cifar_grouped = partial(smaller, "cifar10", grouped, "cifar-grouped")

FURTHER = (
    Case(
        name="digits-resnet8-adam",
        data="digits",
        model="resnet8",
        batch=64,
        method=ADAM,
        exponents=(-13, -3),
        steps=300,
        validation=0.4,
    ),
    Case(
        name="digits-cnn-plain-sgd",
        data="digits",
        model="cnn",
        batch=16,
        method="sgd(lr={lr!r})",
        exponents=(-7, 3),
        steps=300,
        validation=0.4,
    ),
    Case(name="table-mlp-adamw", data="finders.own_tasks:table", method=ADAMW, exponents=(-13, -3), steps=400),
    Case(name="fashion-plain8-sgd", data="explaining.cases:fashion_plain8", method=SGD, exponents=(-8, 0), steps=400),
    Case(
        name="cifar-grouped-adamw", data="explaining.cases:cifar_grouped", method=ADAMW, exponents=(-12, -4), steps=400
    ),
)
