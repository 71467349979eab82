"""Where registered methods differ from what all must do (`calando.testing`)."""

import gzip
from functools import cache

import numpy as np
import torch

from calando.methods import METHODS, Method
from calando.tasks.data.named_datasets import DIGITS_FILE
from calando.testing import MethodCase as Case
from calando.testing.training import build, network, pictures, stored, update

__all__ = ["CASES", "build", "case_of", "digits", "network", "pictures", "stored", "update"]

_AVERAGED = Case(
    moves_at_rate_0="y goes on towards z, by the average's weight",
    float_rates="the highest rate so far is kept in the group, and would be a tensor that a checkpoint rounds",
)
_ESTIMATED = "without a gradient there is no estimate, and no step"

CASES = {
    "alig": Case(moves_at_rate_0="momentum is of steps, not of gradients"),
    "dadapt_adam": Case(gradient_alone_decays=_ESTIMATED),
    "dadapt_sgd": Case(gradient_alone_decays=_ESTIMATED),
    "prodigy": Case(one_rate="the package refuses", gradient_alone_decays=_ESTIMATED),
    "schedule_free_adamw": _AVERAGED,
    "schedule_free_radam": _AVERAGED,
    "schedule_free_sgd": _AVERAGED,
    "sgd": Case(kept={"momentum": 0.9}),
    "sgd_hd": Case(kept={"momentum": 0.9}),
}


def case_of(method: Method) -> Case:
    """The method's case."""
    return CASES.get(method.name, Case())


@cache
def digits(count: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """Handwritten digits, 8 x 8."""
    with gzip.open(DIGITS_FILE) as file:
        table = np.load(file)
    images, labels = table[:, :-1], table[:, -1]
    x = torch.tensor(images[:count], dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    return x, torch.tensor(labels[:count], dtype=torch.int64)


assert set(CASES) <= set(METHODS), "a case is of a registered method"
