"""The verdict in one or two plain sentences: what the terminal and the report say first.

Scores are in percent with the standard deviation over seeds; differences are left to the comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

from calando.analysis.results import Comparison, StrategyResult

__all__ = ["headline"]


def headline(
    ranked: Sequence[StrategyResult],
    comparisons: Sequence[Comparison],
    *,
    complete: bool,
    failed: bool,
    best: str | None,
    done: int,
    known: int,
) -> str:
    """Say what is known.

    Args:
        ranked: best first.
        comparisons: of the others with the first; empty where there is one strategy or one seed.
        complete: whether every run and every test score is there.
        failed: whether no final run of any strategy finished above chance.
        best: name of the first; None before a final run is there.
        done, known: runs with a record, and asked for so far.
    """
    first = ranked[0]
    if not complete or first.test is None:
        return _progress(first, best=best, done=done, known=known)
    if failed:
        return "No verdict: every final run diverged or ended at chance level. Try other rates, or a warmup."
    n = first.test.n
    score = f"test {_with_spread(first)}"
    if len(ranked) == 1:
        return f"{first.name}: {score}. There is nothing to compare it with."
    if n == 1:
        return (
            f"One seed decides nothing: {first.name} scores highest ({score}), but how much scores differ from seed "
            "to seed is unknown. Run at least two seeds, better three to five."
        )
    beaten = [c.strategy for c in comparisons if c.verdict == "worse"]
    open_ = [c.strategy for c in comparisons if c.verdict == "cannot distinguish"]
    if not open_:
        return f"{first.name} is best: {score}. It beats {_join(beaten)}."
    fastest = _fastest([result for result in ranked if result.name == first.name or result.name in open_])
    if not beaten:
        others = f"no other strategy can be told from it at n = {n}" if len(open_) > 1 else _unclear(open_, n)
        return f"{first.name} scores highest: {score}, but {others}.{fastest}"
    return f"{first.name} scores highest: {score}. It beats {_join(beaten)}; {_unclear(open_, n)}.{fastest}"


def _progress(first: StrategyResult, *, best: str | None, done: int, known: int) -> str:
    if done == 0:
        return f"Nothing has run yet; {known} runs are asked for so far."
    if done == known:
        start = f"All {done} runs are done; the test scores are still to be read."
    else:
        start = f"{done} of the {known} runs known so far are done; there is no verdict yet."
    if best is None or first.validation is None:
        return start
    return f"{start} By validation {best} leads ({100 * first.validation.mean:.1f} %)."


def _unclear(names: Sequence[str], n: int) -> str:
    return f"it cannot be told from {_join(names)} at n = {n}"


def _fastest(tied: Sequence[StrategyResult]) -> str:
    """Which of those that cannot be told apart reached the target soonest, in the median; "" if none stands out.

    Only strategies that reached it at every seed are ranked: where a seed never arrives, a median is a guess.
    """
    reached = [
        (median_low(step for step in result.steps_to_target if step is not None), result.name)
        for result in tied
        if result.steps_to_target and None not in result.steps_to_target
    ]
    steps = sorted(reached)
    if len(steps) < 2 or steps[0][0] == steps[1][0]:
        return ""
    return (
        f" Of those that reached the target at every seed, {steps[0][1]} did so soonest (median {steps[0][0]} steps)."
    )


def _with_spread(result: StrategyResult) -> str:
    assert result.test is not None
    mean = f"{100 * result.test.mean:.1f} %"
    if result.test.n == 1:
        return f"{mean}, n = 1"
    return f"{mean} ± {100 * result.test.sd:.1f} (sd, n = {result.test.n})"


def _join(names: Sequence[str]) -> str:
    if len(names) > 6:
        return f"{len(names)} others"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
