"""How much each finder's suggestion costs, from the stored truth and curves.

regret     (best mean score of the grid) - (mean score at the suggestion, linear between rates on the logarithmic axis);
           in points. Beyond the grid the outermost score holds, so a suggestion out there costs at least that.
good band  rates of regret up to 1 point; near: within a factor of 1.5 of such a rate
scatter    standard deviation over seeds of log10(suggestion), root mean square over cases
peers      see one sweep of 100 updates, as they would; "x3": they see the mean of all three sweeps that ours is given
no finder  the method's usual rate (`calando strategies`): 0.1 for SGD, 0.001 for Adam and AdamW
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from calando.analysis.range_curves import RULES, RangeCurves
from calando.analysis.suggest import Suggestion, suggest
from calando.methods import find_method
from calando.range_test.stops import stop_reason

from . import curves, truth
from .cases import OWN_TASKS, Case, chance_of
from .elsewhere import Elsewhere
from .peers import PEERS, Peer

__all__ = [
    "FINDERS",
    "OURS",
    "Answer",
    "Finder",
    "Landscape",
    "Summary",
    "answers_of",
    "judged_case",
    "known_chance",
    "landscape",
    "summary",
]

NEAR = 1.5
CHANCE_LOSS = float(np.log(10))


@dataclass(frozen=True)
class Answer:
    """What a finder gave for one seed of one case; rate None: nothing at all. An abstention may still name a rate."""

    case: str
    rate: float | None
    abstains: bool
    steps: int


@dataclass(frozen=True)
class Landscape:
    """The truth of a case: log2 rates, ascending, and mean scores in points."""

    exponents: np.ndarray
    scores: np.ndarray

    def regret(self, rate: float) -> float:
        """Points lost at a rate."""
        return float(self.scores.max() - np.interp(np.log2(rate), self.exponents, self.scores))

    @cached_property
    def good(self) -> np.ndarray:
        """float64[m]: rates of the good band, 200 an octave."""
        fine = np.arange(self.exponents[0], self.exponents[-1], 1 / 200)
        return 2 ** fine[np.interp(fine, self.exponents, self.scores) >= self.scores.max() - 1]

    def near(self, rate: float) -> bool:
        """Whether a rate is in the good band or within NEAR of it."""
        return bool(np.abs(np.log(self.good / rate)).min() <= np.log(NEAR))


def landscape(entry: dict) -> Landscape:
    """Of an entry of the table of truth."""
    rates, scores = truth.table(entry)
    return Landscape(np.log2(rates), 100 * scores)


Finder = Callable[[str, np.ndarray], tuple[float | None, bool, int]]
"""(method's text, losses[repeats, STEPS]) -> (suggestion or None, abstains, updates made)."""


def _ours(choose: Callable[[Suggestion], float | None]) -> Finder:
    def find(method: str, losses: np.ndarray) -> tuple[float | None, bool, int]:
        found, steps = judged(method, losses.tobytes())
        return choose(found), not found.reliable, steps

    return find


@cache
def judged(method: str, losses: bytes, chance: float | None = CHANCE_LOSS) -> tuple[Suggestion, int]:
    """Our judgement of raw sweeps, each ended where our measurement would have ended it; updates made."""
    usual = find_method(method.partition("(")[0]).usual_rate
    rates = curves.RATES
    rows = np.frombuffer(losses, np.float32).astype(float).reshape(-1, len(rates))
    per_decade = (len(rates) - 1) / np.log10(rates[-1] / rates[0])
    reasons, made = [], 0
    for row in rows:
        reason = "not finite" if np.isnan(row).any() else None
        end = int(np.isfinite(row).sum())
        for seen in range(end):
            if found := stop_reason(row[: seen + 1], per_decade=per_decade, chance=chance):
                reason, end = found, seen + 1
                break
        row[end:] = np.nan
        reasons.append(reason)
        made += end
    return suggest(RangeCurves.from_arrays(rates, rows, stopped=reasons, chance=chance), usual=usual), made


def judged_case(case: Case | Elsewhere, rows: np.ndarray) -> tuple[Suggestion, int]:
    """`judged` of one seed's sweeps of a case, with the chance loss that `find_lr` would know of."""
    return judged(case.method, rows.tobytes(), known_chance(case))


def known_chance(case: Case | Elsewhere) -> float | None:
    """The loss at chance that the finder knows of."""
    if isinstance(case, Elsewhere):
        return case.chance
    return chance_of(case) if case in OWN_TASKS else CHANCE_LOSS


def _peer(rule: Peer, *, pooled: bool) -> Finder:
    def find(method: str, losses: np.ndarray) -> tuple[float | None, bool, int]:
        rate, steps = rule(curves.RATES, losses.mean(axis=0) if pooled else losses[0])
        return rate, rate is None, steps * (len(losses) if pooled else 1)

    return find


def _usual(method: str, losses: np.ndarray) -> tuple[float | None, bool, int]:
    return find_method(method.partition("(")[0]).usual_rate, False, 0


def _rule(name: str) -> Finder:
    return _ours(lambda found: found.rules[name].rate)


OURS = "calando"
FINDERS: dict[str, Finder] = {
    OURS: _ours(lambda found: found.decayed.rate),
    **{name: _peer(rule, pooled=False) for name, rule in PEERS.items()},
    **{f"{name} x3": _peer(rule, pooled=True) for name, rule in PEERS.items()},
    **{f"{OURS}'s {name}": _rule(name) for name in RULES},
    "no finder": _usual,
}


def answers_of(finder: Finder, measured: dict[str, np.ndarray], cases: Iterable[Case]) -> list[Answer]:
    """A finder's answers to all seeds of the cases that were measured."""
    return [Answer(case.name, *finder(case.method, rows)) for case in cases for rows in measured.get(case.name, ())]


@dataclass(frozen=True)
class Summary:
    """Over the answers that are not abstentions; nan where there are none.

    Args:
        median, p90: regret, in points.
        near: share of suggestions in the good band or near it.
        scatter: in decades.
        abstained: share of all answers.
        abstained_regret: median regret of the rates that were named but not stood for.
        steps: updates made for one answer, mean.
    """

    median: float
    p90: float
    near: float
    scatter: float
    abstained: float
    abstained_regret: float
    steps: float


def summary(answers: list[Answer], lands: dict[str, Landscape]) -> Summary:
    """Of all answers to cases with a truth."""
    given = [a for a in answers if not a.abstains and a.rate is not None]
    regrets = [lands[a.case].regret(a.rate) for a in given]
    lost = [lands[a.case].regret(a.rate) for a in answers if a.abstains and a.rate is not None]
    variances = []
    for case in {a.case for a in given}:
        logs = [np.log10(a.rate) for a in given if a.case == case]
        if len(logs) > 1:
            variances.append(np.var(logs, ddof=1))
    return Summary(
        median=_or_nan(np.median, regrets),
        p90=_or_nan(lambda x: np.percentile(x, 90), regrets),
        near=_or_nan(np.mean, [lands[a.case].near(a.rate) for a in given]),
        scatter=_or_nan(lambda x: np.sqrt(np.mean(x)), variances),
        abstained=_or_nan(np.mean, [a.abstains for a in answers]),
        abstained_regret=_or_nan(np.median, lost),
        steps=_or_nan(np.mean, [a.steps for a in answers]),
    )


def _or_nan(function: Callable[[list], float], values: list) -> float:
    return float(function(values)) if values else float("nan")
