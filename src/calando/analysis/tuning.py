"""Strategies that are not tuned out: why, and the verdict that is then not given.

    on the edge     the best rate is still the outermost tried, after its grid went on as far as it may
    one rate        nothing was tried round it
    all failed      every trial diverged or died: no rate tried is a good one

A better rate may lie where none was tried, so such a strategy is not yet a fair opponent: it is not called worse, and
it is not said to beat another. Its numbers stay: they are what it does at the rate it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from calando.analysis.results import Comparison, RateChoice
from calando.records.spec import StudySpec

__all__ = ["untuned_because", "withhold_verdicts"]


def untuned_because(study: StudySpec, choice: RateChoice) -> str:
    """Why a settled rate is not tuned out; "" where it is, was given, or is not settled yet."""
    if choice.lr is None or choice.tuned_out:
        return ""
    if choice.failed:
        return "every trial diverged or died"
    if len(choice.trials) == 1:
        return "only one rate tried"
    if study.beyond is None:
        return "best rate on the edge; grids went on by one rate in the calando that began this study"
    return "best rate on the edge"


def withhold_verdicts(comparisons: Sequence[Comparison], untuned: Mapping[str, str]) -> tuple[Comparison, ...]:
    """The comparisons, with no verdict on strategies that are not tuned out.

    Args:
        untuned: strategy name -> why it is not tuned out, or "".
    """
    return tuple(_withheld(one, untuned[one.strategy]) if untuned[one.strategy] else one for one in comparisons)


def _withheld(one: Comparison, why: str) -> Comparison:
    said = f"difference {100 * one.difference:z.2f} points at the rate it has, n = {one.n}"
    return replace(one, verdict="not tuned out", text=f"not tuned out, so no verdict: {why} ({said})")
