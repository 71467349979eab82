"""Is the comparison calibrated? Simulated studies in which the truth is known.

    A/A     k strategies that are truly equal, n seeds; how often is any called worse than the best?  at most 5.5%
    spread  k strategies with true gaps; how often does an interval at level L hold the true difference?  at least L
    power   one strategy truly better or worse by some standard deviations of one run's score; how often is it found?

Run `python -m benchmarks.verdicts.calibration` for the tables of docs/explanation (about two minutes).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from benchmarks.verdicts.noises import NOISES, ROUNDED, SCALE, diverging, families, rounded
from numpy.typing import NDArray

from calando.analysis.paired import Floats, paired_p
from calando.analysis.verdicts import ALPHA, charged, decide

__all__ = [
    "bootstrap_misses",
    "compare_many",
    "false_alarms",
    "false_alarms_uncorrected",
    "found",
    "found_leads",
    "interval_misses",
]

Bools = NDArray[np.bool_]


def compare_many(scores: Floats, *, resolution: float = 0.0) -> tuple[NDArray[np.intp], Bools, Floats, Floats, Floats]:
    """What `against_best` decides, for many studies at once.

    Args:
        scores: [studies, strategies, seeds].

    Returns:
        The best of each study [studies], and for all strategies [studies, strategies]: called worse, the ends of the
        interval of (strategy - best), its level. The best itself is never worse; its ends are 0 and its level 1.
    """
    studies, k, _ = scores.shape
    best = scores.mean(axis=2).argmax(axis=1)
    others = np.arange(k - 1) + (np.arange(k - 1) >= best[:, None])
    decided = decide(scores, best, resolution=resolution)

    worse, low, high, level = (
        np.zeros((studies, k), bool),
        np.zeros((studies, k)),
        np.zeros((studies, k)),
        np.ones((studies, k)),
    )
    for into, values in (
        (worse, decided.p <= ALPHA),
        (low, decided.low),
        (high, decided.high),
        (level, decided.level),
    ):
        np.put_along_axis(into, others, values, axis=1)
    return best, worse, low, high, level


def false_alarms(scores: Floats, *, resolution: float = 0.0) -> float:
    """Share of studies of truly equal strategies in which any is called worse; scores [studies, strategies, seeds]."""
    return float(compare_many(scores, resolution=resolution)[1].any(axis=1).mean())


def false_alarms_uncorrected(scores: Floats, *, factor: float) -> float:
    """As `false_alarms`, were the smallest p-value multiplied by `factor`; scores [studies, strategies, seeds]."""
    best = scores.mean(axis=2).argmax(axis=1)
    differences = scores - scores[np.arange(len(scores)), best][:, None, :]
    return float((paired_p(differences, resolution=0.0).min(axis=1) * factor <= ALPHA).mean())


def interval_misses(scores: Floats, truth: Floats, *, resolution: float = 0.0) -> tuple[float, float]:
    """How often intervals miss the true difference from the strategy picked as best.

    Args:
        scores: [studies, strategies, seeds].
        truth: [strategies], true means.

    Returns:
        Share of intervals that miss, and share of studies in which any does.
    """
    best, _, low, high, _ = compare_many(scores, resolution=resolution)
    true = truth - truth[best][:, None]
    miss = (true < low) | (true > high)
    return float(miss.sum() / (miss.shape[0] * (miss.shape[1] - 1))), float(miss.any(axis=1).mean())


def bootstrap_misses(differences: Floats, *, rng: np.random.Generator, resamples: int = 1000) -> float:
    """Share of 95% percentile-bootstrap intervals that miss a true mean of zero; differences [studies, seeds]."""
    picks = rng.integers(differences.shape[1], size=(resamples, differences.shape[1]))
    low, high = np.quantile(differences[:, picks].mean(axis=2), (0.025, 0.975), axis=1)
    return float(((low > 0) | (high < 0)).mean())


def found(gap: float, *, strategies: int, seeds: int, studies: int, rng: np.random.Generator) -> float:
    """Share of studies in which one strategy, truly `gap` standard deviations worse, is called worse; normal noise."""
    scores = rng.standard_normal((studies, strategies, seeds))
    scores[:, -1] -= gap
    return float(compare_many(SCALE * scores)[1][:, -1].mean())


def found_leads(
    gap: float,
    *,
    strategies: int,
    seeds: int,
    studies: int,
    rng: np.random.Generator,
    unsteady: Sequence[int] = (),
) -> float:
    """Share of leads of one strategy over each other one that are found: it is truly `gap` standard deviations better.

    Args:
        unsteady: strategies, not the first, whose spread is ten times that of the others; leads over them do not count.
    """
    scores = rng.standard_normal((studies, strategies, seeds))
    scores[:, list(unsteady)] *= 10
    scores[:, 0] += gap
    scores[:, list(unsteady)] -= 20
    worse = compare_many(SCALE * scores)[1]
    return float(worse[:, [i for i in range(1, strategies) if i not in unsteady]].mean())


def _main() -> None:
    seeds, studies = (2, 3, 4, 5, 7, 10), 10_000
    rng = np.random.default_rng(0)

    def row(name: str, values: list[float]) -> None:
        print(f"| {name} | {' | '.join(f'{100 * value:.1f}' for value in values)} |")

    def head(title: str, first: str) -> None:
        print(f"\n{title}\n\n| {first} | {' | '.join(f'n = {n}' for n in seeds)} |\n|{'---|' * (len(seeds) + 1)}")

    for k in (2, 3, 5, 24):
        head(f"False verdicts (%), {k} equal strategies, {studies} studies", "noise")
        for name, draw in NOISES.items():
            row(name, [false_alarms(SCALE * draw(rng, (studies, k, n))) for n in seeds])
        for name, (sd, images) in ROUNDED.items():
            drawn = (rounded(rng, (studies, k, n), sd=sd, images=images) for n in seeds)
            row(name, [false_alarms(scores, resolution=1 / images) for scores in drawn])

    head(f"False verdicts (%) without the floor, 5 equal strategies, {studies} studies", "scores")
    for name, (sd, images) in ROUNDED.items():
        row(name, [false_alarms(rounded(rng, (studies, 5, n), sd=sd, images=images)) for n in seeds])

    head(f"False verdicts (%) where divergence is not rare, 5 equal strategies, {studies} studies", "runs that diverge")
    for share in (0.01, 0.05, 0.1, 0.2):
        draw = diverging(share)
        row(f"{share:.0%}", [false_alarms(SCALE * draw(rng, (studies, 5, n))) for n in seeds])

    head(
        f"False verdicts (%) by what is charged for picking the best, normal noise, {studies} studies",
        "strategies, charged",
    )
    for k in (3, 5, 9, 14):
        normal = [rng.standard_normal((studies, k, n)) for n in seeds]
        row(f"{k}, Holm's k - 1", [false_alarms_uncorrected(scores, factor=k - 1) for scores in normal])
        row(f"{k}, ours", [false_alarms_uncorrected(s, factor=charged(k, s.shape[2])) for s in normal])
        row(f"{k}, all pairs", [false_alarms_uncorrected(scores, factor=k * (k - 1) / 2) for scores in normal])

    gaps = [0, 0, 0.5, 1, 2, 4, 8]
    truth = -SCALE * np.array(gaps)
    head(f"Misses (%), 7 strategies with gaps {gaps} sd, normal, {studies} studies", "of")
    spread = [interval_misses(truth[:, None] + SCALE * rng.standard_normal((studies, 7, n)), truth) for n in seeds]
    row("all intervals", [misses for misses, _ in spread])
    row("studies with any miss", [misses for _, misses in spread])

    head("Misses (%) of 95% intervals, one pair, normal, 2000 studies", "interval")
    pairs = [rng.standard_normal((2000, n)) for n in seeds]
    row("percentile bootstrap", [bootstrap_misses(d, rng=rng) for d in pairs])
    row("ours", [float((paired_p(d, resolution=0.0) <= ALPHA).mean()) for d in pairs])

    head(f"Leads found (%), {studies} studies, normal", "strategies, true lead")
    for k in (2, 3, 5, 9, 14, 24):
        for gap in (2.0, 5.0, 10.0):
            row(f"{k}, {gap:g} sd", [found_leads(gap, strategies=k, seeds=n, studies=studies, rng=rng) for n in seeds])

    head(f"Found to be behind (%), {studies} studies, normal", "strategies, true gap")
    for k in (2, 3, 5, 9, 14, 24):
        for gap in (2.0, 5.0):
            row(f"{k}, {gap:g} sd", [found(gap, strategies=k, seeds=n, studies=studies, rng=rng) for n in seeds])

    head(f"Leads of 5 sd found (%), one other strategy has ten times the spread, {studies} studies", "strategies")
    for k in (3, 4, 5, 9, 24):
        leads = [found_leads(5, strategies=k, seeds=n, studies=studies, rng=rng, unsteady=[k - 1]) for n in seeds]
        row(f"{k}", leads)

    head(f"False verdicts (%) of runs that share a past, {studies} studies", "equal strategies, families, correlation")
    for k, family in ((14, 2), (14, 7), (24, 12)):
        for alike in (0.5, 0.9, 0.99):
            draw = families(family, alike)
            row(
                f"{k}, {k // family} of {family}, {alike:g}",
                [false_alarms(SCALE * draw(rng, (studies, k, n))) for n in seeds],
            )


if __name__ == "__main__":
    _main()
