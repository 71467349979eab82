"""The strategies known by name, each the pipe text it stands for, in four families.

Schedules span the whole horizon. A method's own name is the preset with the schedule that its authors train with;
`sgd`, `adagrad`, `rmsprop`, `adadelta`, `adam` and `adamw` alone keep their rate constant. Every preset chooses its
base rate by trials (`lr=auto`), but for the rate-free ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from calando.errors import UnknownName, UsageError
from calando.language import message
from calando.records import StrategySpec
from calando.schedules.by_name import BY_NAME, either_spelling

__all__ = [
    "DEFAULT_STRATEGIES",
    "PRESETS",
    "SGD",
    "STRATEGY_FAMILIES",
    "YARDSTICKS",
    "Preset",
    "choose_strategies",
    "preset_named",
]

StrategyFamily = Literal["fixed", "decayed", "adaptive", "rate-free"]

STRATEGY_FAMILIES: Mapping[StrategyFamily, str] = {
    "fixed": "one rate from the first update to the last",
    "decayed": "SGD whose rate falls: by a schedule, by feedback, or with an average of its weights",
    "adaptive": "the method shapes its own steps: by parameter, by layer, by the loss, or by an average of weights",
    "rate-free": "no rate to choose: the method works its step size out",
}

_OPTIONS = "lr=auto, momentum=0.9, nesterov=true, weight_decay=0.0005"
SGD = f"sgd({_OPTIONS})"
"""What a schedule alone is trained with, and the presets of the families fixed and decayed."""

_WARMUP = "linear(0.01, 1, over='5%')"
_TO_HALF = "constant(1, over='37.5%') >> linear(1, 0.5, over='30%') >> constant(0.5)"
_WARMUP_COSINE = BY_NAME["warmup-cosine"]


@dataclass(frozen=True)
class Preset:
    """A named strategy: its family, the pipe text that it stands for, and a one-line summary."""

    name: str
    family: StrategyFamily
    text: str
    summary: str


_BY_FAMILY: Mapping[StrategyFamily, tuple[tuple[str, str, str], ...]] = {
    "fixed": (
        ("fixed", SGD, "one rate from the first update to the last"),
        ("sgd", "sgd(lr=auto)", "the same without momentum and weight decay"),
    ),
    "decayed": (
        ("step", f"{SGD} | {BY_NAME['step']}", "a tenth after each third of the run"),
        ("multistep", f"{SGD} | {BY_NAME['multistep']}",
         "a tenth at 50 % and at 75 % of the run (He et al. 2016)"),
        ("exponential", f"{SGD} | {BY_NAME['exponential']}", "falls by the same ratio every update, to 1 %"),
        ("polynomial", f"{SGD} | {BY_NAME['polynomial']}", "(1 - t/T)^2, to zero"),
        ("linear", f"{SGD} | {BY_NAME['linear']}", "a straight line to zero"),
        ("cosine", f"{SGD} | {BY_NAME['cosine']}", "half a cosine to zero (Loshchilov & Hutter 2017)"),
        ("warmup-cosine", f"{SGD} | {_WARMUP_COSINE}", "5 % linear warmup, then half a cosine (Goyal et al. 2017)"),
        ("one-cycle", f"{SGD} | {BY_NAME['one-cycle']}", "up for 30 % of the run, down to almost nothing (Smith 2018)"),
        ("tang-lin",
         "sgd(lr=auto, momentum=0.9, weight_decay=0.00001) | multistep(at=['33%', '66%'], factor=0.1)",
         "res8 … res26 for speech: 0.1, 0.01, 0.001, a third of the run each (Tang & Lin 2018)"),
        ("bc-resnet",
         "sgd(lr=auto, momentum=0.9, weight_decay=0.001) | linear(0.001, 1, over='2.5%') >> cosine(1, 0)",
         "for speech: 2.5 % linear warmup to 0.1, then half a cosine (Kim et al. 2021)"),
        ("wsd", f"{SGD} | {BY_NAME['wsd']}", "warmup, stable, decay: flat but for its two ends (Hu et al. 2024)"),
        ("plateau", f"{SGD} | plateau(factor=0.2, patience='10%')",
         "a fifth whenever the validation loss stops falling; feedback, not a schedule"),
        ("rollback", f"{SGD} | cosine(1, 0) | rollback()",
         "half a cosine; after a spike, a death or a nan it goes back and on at half the rate"),
        ("edge", f"{SGD} | cosine(1, 0) | edge(until='100%')",
         "half a cosine, capped by the curvature along the steps; half a pass an update more"),
        ("guarded", f"{SGD} | cosine(1, 0) | edge(until='100%') | rollback()",
         "edge and rollback together: with batch norm it survives a rate thirty times too high"),
        ("ema-cosine", f"{SGD} | cosine(1, 0) | ema(decay=0.999)",
         "half a cosine; evaluated: the exponential average of the weights"),
        ("swa", f"{SGD} | {_TO_HALF} | swa(start='75%', every='1 epoch')",
         "down to half the rate, then the mean of one state an epoch (Izmailov et al. 2018)"),
        ("sam", f"sam({_OPTIONS}) | cosine(1, 0)",
         "cosine, the gradient taken where the loss nearby is highest; two passes an update"),
    ),
    "adaptive": (
        ("adagrad", "adagrad(lr=auto)", "rates from the sum of squared gradients"),
        ("rmsprop", "rmsprop(lr=auto)", "rates from a running mean of squared gradients"),
        ("adadelta", "adadelta(lr=auto)", "rates from past steps over past gradients"),
        ("adam", "adam(lr=auto)", "base rate constant"),
        ("adamw", "adamw(lr=auto, weight_decay=0.01)", "base rate constant, decoupled weight decay"),
        ("adam-cosine", "adam(lr=auto) | cosine(1, 0)", "base rate decayed by half a cosine"),
        ("adamw-cosine", "adamw(lr=auto, weight_decay=0.01) | cosine(1, 0)",
         "base rate decayed by half a cosine, decoupled weight decay"),
        ("nadam", "nadam(lr=auto, weight_decay=0.01) | cosine(1, 0)", "Adam with Nesterov momentum"),
        ("radam", "radam(lr=auto, weight_decay=0.01) | cosine(1, 0)", "Adam that warms itself up"),
        ("adafactor", "adafactor(lr=auto) | cosine(1, 0)", "steps a fraction of the weights; small memory"),
        ("lars", f"lars(lr=auto, momentum=0.9, weight_decay=0.0005) | {_WARMUP_COSINE}",
         "SGD, each layer's step a fraction of its weights; for large batches"),
        ("lamb", f"lamb(lr=auto, weight_decay=0.01) | {_WARMUP_COSINE}",
         "AdamW, each layer's step a fraction of its weights; for large batches"),
        ("lion", "lion(lr=auto, weight_decay=0.1) | cosine(1, 0)", "the sign of a running mean of gradients"),
        ("muon", "muon(lr=auto, weight_decay=0.01) | cosine(1, 0)",
         "orthogonal steps in hidden layers, AdamW in the others"),
        ("schedule_free_sgd", f"schedule_free_sgd(lr=auto, momentum=0.9, weight_decay=0.0005) | {_WARMUP}",
         "5 % warmup, then constant: an average of weights stands for decay"),
        ("schedule_free_adamw", f"schedule_free_adamw(lr=auto, weight_decay=0.01) | {_WARMUP}",
         "5 % warmup, then constant: an average of weights stands for decay"),
        ("schedule_free_radam", "schedule_free_radam(lr=auto, weight_decay=0.01)",
         "constant, and warms up by itself: an average of weights stands for decay"),
        ("momo", "momo(lr=auto, momentum=0.9, weight_decay=0.0005)",
         "SGD; the rate is a cap, the loss says how long the step is"),
        ("momo_adam", "momo_adam(lr=auto, weight_decay=0.001)",
         "Adam; the rate is a cap, the loss says how long the step is"),
        ("alig", "alig(lr=auto, momentum=0.9)", "Polyak's step, for losses that can reach zero"),
        ("sgd_hd", f"sgd_hd({_OPTIONS})", "SGD whose rate follows its own gradient"),
        ("adam_hd", "adam_hd(lr=auto)", "Adam whose rate follows its own gradient"),
    ),
    "rate-free": (
        ("prodigy", "prodigy(weight_decay=0.01) | cosine(1, 0)",
         "Adam that estimates its step size; decayed, as its authors advise"),
        ("dadapt_adam", "dadapt_adam(weight_decay=0.01) | cosine(1, 0)",
         "Adam that estimates its step size, by D-Adaptation"),
        ("dadapt_sgd", "dadapt_sgd(momentum=0.9, weight_decay=0.0005) | cosine(1, 0)",
         "SGD that estimates its step size, by D-Adaptation"),
        ("dog", "dog(weight_decay=0.0005)", "SGD, its step the distance moved over the gradients"),
        ("ldog", "ldog(weight_decay=0.0005)", "DoG for each tensor by itself"),
    ),
}  # fmt: skip

PRESETS: Mapping[str, Preset] = {
    name: Preset(name, family, text, summary)
    for family, presets in _BY_FAMILY.items()
    for name, text, summary in presets
}
"""Every strategy known by name: name -> `Preset`."""


def preset_named(name: str) -> str | None:
    """The preset of that name, spelled with - or with _; None: there is none.

    >>> preset_named("one_cycle"), preset_named("schedule-free-sgd"), preset_named("cosin")
    ('one-cycle', 'schedule_free_sgd', None)
    """
    return either_spelling(name.strip(), PRESETS)


# What `calando compare WORKLOAD` compares: the three families, and few enough that five seeds can tell something:
# every strategy more widens every interval (docs/explanation/several-strategies.md).
DEFAULT_STRATEGIES = ("fixed", "step", "exponential", "cosine", "one-cycle", "wsd", "adam", "adamw", "adamw-cosine")
"""Names of the strategies that are compared if none are given."""

# What every family is measured against.
YARDSTICKS = ("fixed", "cosine")


def choose_strategies(
    given: Sequence[str | StrategySpec], *, family: str | None = None
) -> tuple[str | StrategySpec, ...]:
    """What is compared: the given strategies; else those of a family, the yardsticks among them; else the default.

    Args:
        family: one of `STRATEGY_FAMILIES`, or "all".

    Raises:
        UnknownName: another family.
        UsageError: a family next to strategies.

    >>> choose_strategies([], family="rate-free")
    ('fixed', 'cosine', 'prodigy', 'dadapt_adam', 'dadapt_sgd', 'dog', 'ldog')
    """
    if family is None:
        return tuple(given) or DEFAULT_STRATEGIES
    if family not in (choices := [*STRATEGY_FAMILIES, "all"]):
        raise UnknownName("family", family, choices)
    if given:
        raise UsageError(
            message(
                "give strategies or the family {family!r}, not both; the yardsticks are in it by themselves",
                family=family,
            )
        )
    return tuple(name for name, preset in PRESETS.items() if family in ("all", preset.family) or name in YARDSTICKS)
