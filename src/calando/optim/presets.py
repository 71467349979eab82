"""The strategies known by name, each the pipe text it stands for.

Decayed presets decay over the whole horizon. Adaptive presets keep their base rate constant;
`adam-cosine` and `adamw-cosine` decay it as well. Every preset chooses its base rate by trials (`lr=auto`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["DEFAULT_STRATEGIES", "PRESETS", "Family", "Preset"]

Family = Literal["fixed", "decayed", "adaptive"]

_SGD = "sgd(lr=auto, momentum=0.9, nesterov=true, weight_decay=0.0005)"


@dataclass(frozen=True)
class Preset:
    """A strategy with a name: its family, the pipe text it stands for, and one line on it."""

    name: str
    family: Family
    text: str
    summary: str


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("fixed", "fixed", _SGD, "one rate from the first update to the last"),
        Preset("step", "decayed", f"{_SGD} | step(every='34%', factor=0.1)", "a tenth after each third of the run"),
        Preset(
            "multistep",
            "decayed",
            f"{_SGD} | multistep(at=['50%', '75%'], factor=0.1)",
            "a tenth at 50 % and at 75 % of the run (He et al. 2016)",
        ),
        Preset(
            "exponential", "decayed", f"{_SGD} | exponential(1, 0.01)", "falls by the same ratio every update, to 1 %"
        ),
        Preset("polynomial", "decayed", f"{_SGD} | polynomial(1, 0, power=2)", "(1 - t/T)^2, to zero"),
        Preset("linear", "decayed", f"{_SGD} | linear(1, 0)", "a straight line to zero"),
        Preset("cosine", "decayed", f"{_SGD} | cosine(1, 0)", "half a cosine to zero (Loshchilov & Hutter 2017)"),
        Preset(
            "warmup-cosine",
            "decayed",
            f"{_SGD} | linear(0.01, 1, over='5%') >> cosine(1, 0)",
            "5 % linear warmup, then half a cosine (Goyal et al. 2017)",
        ),
        Preset(
            "one-cycle",
            "decayed",
            f"{_SGD} | one_cycle()",
            "up for 30 % of the run, down to almost nothing (Smith 2018)",
        ),
        Preset(
            "wsd",
            "decayed",
            f"{_SGD} | wsd(start=0.01)",
            "warmup, stable, decay: flat but for its two ends (Hu et al. 2024)",
        ),
        Preset(
            "plateau",
            "decayed",
            f"{_SGD} | plateau(factor=0.2, patience='10%')",
            "a fifth whenever the validation loss stops falling; feedback, not a schedule",
        ),
        Preset("adagrad", "adaptive", "adagrad(lr=auto)", "rates from the sum of squared gradients"),
        Preset("rmsprop", "adaptive", "rmsprop(lr=auto)", "rates from a running mean of squared gradients"),
        Preset("adam", "adaptive", "adam(lr=auto)", "base rate constant"),
        Preset("adamw", "adaptive", "adamw(lr=auto, weight_decay=0.01)", "base rate constant, decoupled weight decay"),
        Preset("adam-cosine", "adaptive", "adam(lr=auto) | cosine(1, 0)", "base rate decayed by half a cosine"),
        Preset(
            "adamw-cosine",
            "adaptive",
            "adamw(lr=auto, weight_decay=0.01) | cosine(1, 0)",
            "base rate decayed by half a cosine, decoupled weight decay",
        ),
    )
}

# What `calando compare WORKLOAD` compares: the three families, and few enough that five seeds can tell something:
# every strategy more widens every interval (docs/guides/statistics.md).
DEFAULT_STRATEGIES = ("fixed", "step", "exponential", "cosine", "one-cycle", "wsd", "adam", "adamw", "adamw-cosine")
