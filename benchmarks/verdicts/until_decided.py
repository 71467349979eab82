"""Is `--until decided` calibrated, and what does it save? Simulated studies in which the truth is known.

    A/A     k equal strategies, seeds added until decided; how often is any called worse, at any look?  at most 5.5%
    some    some are truly worse; how often is one called worse than another that is no better?         at most 5.5%
    power   true gaps; how often are they found, with how many seeds a strategy; and by a fixed number of seeds?

Run `python -m benchmarks.verdicts.until_decided` for the tables of docs/explanation/seeds-added-tables.md (about
ten minutes on one core). The same rule as `analysis.until_decided`, for many studies at once; a test holds the two
against each other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from benchmarks.verdicts.calibration import compare_many
from benchmarks.verdicts.noises import NOISES, ROUNDED, SCALE, families, rounded
from benchmarks.verdicts.tabulate import kinds as tabulated
from numpy.typing import NDArray

from calando.analysis.looks import Look, looks_of
from calando.analysis.paired import Floats
from calando.analysis.verdicts import ALPHA, decide

__all__ = ["Played", "false_share", "play", "played"]

MOST = 20
CHUNK = 500


class Played(NamedTuple):
    """Studies played to their end; arrays [studies, strategies]."""

    worse: NDArray[np.bool_]
    against: NDArray[np.intp]
    """The strategy that it was called worse than; the best of the last look for one that was not."""
    seeds: NDArray[np.intp]


def play(scores: Floats, *, resolution: float = 0.0, looks: Sequence[Look] | None = None) -> Played:
    """Add seeds to many studies until each is decided.

    Args:
        scores: [studies, strategies, seeds], at all seeds that there may be.
        looks: others than those of so many seeds, for controls.
    """
    studies, k, most = scores.shape
    question = np.ones((studies, k), bool)
    worse = np.zeros((studies, k), bool)
    against = np.zeros((studies, k), np.intp)
    seeds = np.zeros((studies, k), np.intp)
    for look in looks_of(most) if looks is None else looks:
        count = question.sum(axis=1)
        for g in range(2, k + 1):
            rows = np.flatnonzero(count == g)
            if not len(rows):
                continue
            who = np.nonzero(question[rows])[1].reshape(-1, g)
            part = scores[rows[:, None], who, : look.n]
            first = part.mean(axis=2).argmax(axis=1)
            others = np.arange(g - 1) + (np.arange(g - 1) >= first[:, None])
            settled = decide(part, first, resolution=resolution, alpha=look.level).p <= look.level
            seeds[rows[:, None], who] = look.n
            names = np.take_along_axis(who, others, axis=1)
            best = np.take_along_axis(who, first[:, None], axis=1)
            worse[rows[:, None], names] = settled
            against[rows[:, None], names] = best
            question[rows[:, None], names] = ~settled
    return Played(worse, against, seeds)


def false_share(found: Played, truth: Floats) -> float:
    """Share of studies in which a strategy was called worse than one that is no better; truth [strategies]."""
    no_better = truth[found.against] <= truth[None, :]
    return float((found.worse & no_better).any(axis=1).mean())


def played(parts: Iterator[tuple[Floats, float]], *, looks: Sequence[Look] | None = None) -> Played:
    """Many studies in parts of (scores, resolution), which fit into memory."""
    found = [play(scores, resolution=resolution, looks=looks) for scores, resolution in parts]
    return Played(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))


def _normal(
    rng: np.random.Generator, gaps: Sequence[float], *, most: int, studies: int
) -> Iterator[tuple[Floats, float]]:
    truth = np.array(gaps)[:, None]
    for _ in range(-(-studies // CHUNK)):
        yield SCALE * (rng.standard_normal((CHUNK, len(gaps), most)) - truth), 0.0


def _kinds(
    k: int, rng: np.random.Generator, *, most: int, studies: int
) -> Iterator[tuple[str, Iterator[tuple[Floats, float]]]]:
    shape, parts = (CHUNK, k, most), range(-(-studies // CHUNK))
    for name, draw in NOISES.items():
        yield name, ((SCALE * draw(rng, shape), 0.0) for _ in parts)
    for name, (sd, images) in ROUNDED.items():
        yield name, ((rounded(rng, shape, sd=sd, images=images), 1 / images) for _ in parts)
    if k >= 5:
        for alike in (0.9, 0.99):
            draw = families(k // 2, alike)
            yield f"two families, correlation {alike}", ((SCALE * draw(rng, shape), 0.0) for _ in parts)


def _main() -> None:
    rng = np.random.default_rng(0)

    def head(title: str, *names: str) -> None:
        print(f"\n{title}\n\n| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)

    def row(name: str, *cells: str) -> None:
        print(f"| {name} | {' | '.join(cells)} |", flush=True)

    counts = {2: 10_000, 3: 10_000, 4: 10_000, 5: 10_000, 9: 5_000, 24: 2_000}
    head(f"False verdicts (%) over all looks, up to {MOST} seeds", "noise", *(f"{k} strategies" for k in counts))
    table: dict[str, dict[int, float]] = {}
    for k, studies in counts.items():
        for name, parts in _kinds(k, rng, most=MOST, studies=studies):
            table.setdefault(name, {})[k] = 100 * false_share(played(parts), np.zeros(k))
    for name, shares in table.items():
        row(name, *(f"{shares[k]:.1f}" if k in shares else "" for k in counts))

    head(
        f"The most false verdicts over all kinds of noise of `tabulate`, up to {MOST} seeds, 4 000 studies each",
        "strategies",
        "%",
        "of",
    )
    for k in (4, 5, 9):
        shares = {}
        for name, (draw, _) in tabulated(k).items():
            parts = ((SCALE * draw(rng, (CHUNK, k, MOST)), 0.0) for _ in range(4_000 // CHUNK))
            shares[name] = 100 * false_share(played(parts), np.zeros(k))
        worst = max(shares, key=shares.__getitem__)
        row(str(k), f"{shares[worst]:.1f}", worst)

    mosts = (3, 5, 8, 12, 16, 20, 32, 50, 200)
    head("False verdicts (%), normal noise, by the seeds there may be", "strategies", *(f"{most}" for most in mosts))
    for k in (2, 3, 5):
        shares = [
            false_share(
                played(_normal(rng, [0.0] * k, most=most, studies=10_000 if most < 200 else 5_000)), np.zeros(k)
            )
            for most in mosts
        ]
        row(str(k), *(f"{100 * share:.1f}" for share in shares))

    head("False verdicts (%) where some are truly worse (gaps in sd), 10 000 studies", "gaps", "false verdicts")
    for gaps in (
        (0, 0, 50),
        (0, 0, 3),
        (0, 0, 0, 3, 3, 3),
        (0, 0, 0, 1, 1, 1),
        (0, 0, 0.5, 1, 2, 4, 8),
        (0, 0, 50, 100),
        (0, 0, 0, 0, 0, 5, 5, 5, 5),
        (0, 1, 1, 1),
        (0, 0.5, 0.5, 0.5, 0.5),
    ):
        found = played(_normal(rng, gaps, most=MOST, studies=10_000))
        row(", ".join(f"{gap:g}" for gap in gaps), f"{100 * false_share(found, -np.array(gaps)):.1f}")

    head("Control: every look at 5%, normal noise, 10 000 studies", "strategies", "false verdicts (%)")
    plain = [Look(look.n, ALPHA) for look in looks_of(MOST)]
    for k in (2, 3, 5):
        found = played(_normal(rng, [0.0] * k, most=MOST, studies=10_000), looks=plain)
        row(str(k), f"{100 * false_share(found, np.zeros(k)):.1f}")

    equal = [Look(look.n, 0.012) for look in looks_of(MOST)]
    head(
        f"Leads found (%) and seeds a strategy, normal noise, up to {MOST} seeds, 4 000 studies",
        "strategies, true gaps to the best (sd)",
        "until decided",
        "mean seeds",
        "the same, every look at 1.2%",
        "mean seeds",
        f"fixed, {MOST} seeds",
        "fixed, as many as the mean",
        "fixed, 5 seeds",
    )
    one_ahead = [(k, [0.0] + [gap] * (k - 1)) for k in (2, 3, 5, 9) for gap in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)]
    mixed = [(6, [0, 0.5, 1, 2, 4, 8]), (6, [0, 0, 4, 4, 8, 8]), (9, [0, 0, 1, 2, 3, 4, 6, 8, 10])]
    for k, gaps in (*one_ahead, *mixed):
        found = played(_normal(rng, gaps, most=MOST, studies=4_000))
        level = played(_normal(rng, gaps, most=MOST, studies=4_000), looks=equal)
        mean = float(found.seeds.mean())
        behind = np.array(gaps) > 0
        if not behind.any():
            behind[:] = True
        cells = [
            float(
                np.concatenate(
                    [compare_many(scores)[1][:, behind] for scores, _ in _normal(rng, gaps, most=n, studies=4_000)]
                ).mean()
            )
            for n in (MOST, max(2, round(mean)), 5)
        ]
        label = f"{k}, {gaps[1]:g}" if len(set(gaps[1:])) == 1 else f"{k}: {', '.join(f'{gap:g}' for gap in gaps)}"
        until = (
            text
            for one in (found, level)
            for text in (f"{100 * float(one.worse[:, behind].mean()):.1f}", f"{float(one.seeds.mean()):.1f}")
        )
        row(label, *until, *(f"{100 * cell:.1f}" for cell in cells))


if __name__ == "__main__":
    sys.exit(_main())
