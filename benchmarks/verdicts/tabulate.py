"""How the table of `borrowed.critical` is made: the largest value that any kind of noise needs.

    python -m benchmarks.verdicts.tabulate

takes about ten minutes on one core and prints the table, and for each value the kind of noise that needs it. A first
look at some studies of every kind picks the few kinds that need the most, a second look at many studies decides.
"""

from __future__ import annotations

import math

import numpy as np
from benchmarks.verdicts.noises import NOISES, UNEQUAL, Draw, diverging, families

from calando.analysis.paired import Floats, paired_p
from calando.analysis.pooled_spread import SEEDS, STRATEGIES, borrowed_sd, own_share
from calando.analysis.verdicts import ALPHA, step_down

__all__ = ["kinds", "look", "needed", "statistic"]

# How many studies may hold a false verdict: at most 5.5% is the promise, the rest is room for what was not simulated.
ALLOWED, ALLOWED_FAMILIES = 0.053, 0.056
FIRST, HARDEST, SECOND = 2_500, 8, 25_000
CHUNK = 2_500


def kinds(strategies: int) -> dict[str, tuple[Draw, float]]:
    """Every kind of noise a critical value must stand: name -> (draw, share of studies allowed a false verdict)."""
    found = {name: (draw, ALLOWED) for name, draw in {**NOISES, **UNEQUAL}.items()}
    found |= {f"{share:.0%} diverge": (diverging(share), ALLOWED) for share in (0.01, 0.05)}
    sizes = {2, 3, strategies // 3, (strategies + 1) // 2, strategies - 1}
    for size in sorted(size for size in sizes if 2 <= size < strategies):
        for alike in (0.5, 0.9, 0.99, 0.9999):
            found[f"families of {size}, {alike}"] = (families(size, alike), ALLOWED_FAMILIES)
    return found


def statistic(scores: Floats) -> Floats:
    """The largest T of each study, infinite where the pair's own spread alone makes a verdict.

    Args:
        scores: [studies, strategies, seeds].

    Returns:
        [studies].
    """
    studies, k, n = scores.shape
    mean = scores.mean(axis=-1)
    best = mean.argmax(axis=1)
    differences = scores - scores[np.arange(studies), best][:, None]
    spread = borrowed_sd(scores, best, resolution=0.0) / math.sqrt(n)
    at = np.arange(k) != best[:, None]
    t = (np.abs(differences.mean(axis=-1)) / spread)[at].reshape(studies, k - 1)
    p = paired_p(differences[at].reshape(studies, k - 1, n), resolution=0.0)
    alpha = own_share(k, n) * ALPHA
    decided = step_down(p, seeds=n, alpha=alpha)[0].min(axis=1) <= alpha
    return np.asarray(np.where(decided, np.inf, t.max(axis=1)))


def needed(draw: Draw, *, strategies: int, seeds: int, studies: int, allowed: float, rng: np.random.Generator) -> float:
    """The critical value at which that share of studies of equal strategies holds a false verdict."""
    shape = (CHUNK, strategies, seeds)
    drawn = [statistic(draw(rng, shape)) for _ in range(math.ceil(studies / CHUNK))]
    return float(np.quantile(np.concatenate(drawn), 1 - allowed))


def look(strategies: int, seeds: int) -> tuple[float, str]:
    """The critical value of that many strategies and seeds, and the kind of noise that needs it; each time the same."""
    rng = np.random.default_rng([strategies, seeds])
    every = kinds(strategies)

    def need(name: str, studies: int) -> float:
        draw, allowed = every[name]
        return needed(draw, strategies=strategies, seeds=seeds, studies=studies, allowed=allowed, rng=rng)

    first = {name: need(name, FIRST) for name in every}
    second = {name: need(name, SECOND) for name in sorted(every, key=first.__getitem__)[-HARDEST:]}
    worst = max(second, key=second.__getitem__)
    return second[worst], worst


def _main() -> None:
    for n in SEEDS:
        found = [look(k, n) for k in STRATEGIES]
        values = ", ".join(f"{math.ceil(100 * value) / 100:.2f}" for value, _ in found)
        print(f"    ({values}),  # n = {n}:", "; ".join(f"{name}" for _, name in found), flush=True)


if __name__ == "__main__":
    _main()
