"""The verdict in a few plain sentences: what the terminal and the report say first.

Of a strategy whose rate is not tuned out nothing is said to be beaten, by it or by another.

Scores are in percent with the standard deviation over seeds; differences are left to the comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

from calando.analysis.results import Comparison, StrategyResult

__all__ = ["headline"]

MOST_NAMED = 6


def headline(
    ranked: Sequence[StrategyResult],
    comparisons: Sequence[Comparison],
    *,
    complete: bool,
    failed: bool,
    best: str | None,
    done: int,
    expected: int,
) -> str:
    """Say what is known.

    Args:
        ranked: best first.
        comparisons: of the others with the first; empty where there is one strategy or one seed.
        complete: whether every run and every test score is there.
        failed: whether no final run of any strategy finished above chance.
        best: name of the first; None before a final run is there.
        done, expected: runs with a record, and as many as there will be.
    """
    first = ranked[0]
    if not complete or first.test is None:
        return _progress(first, best=best, done=done, expected=expected)
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
    untuned = _untuned(ranked)
    if len(beaten) == len(comparisons) and not first.untuned:
        return f"{first.name} is best: {score}. It beats {_join(beaten)}."
    fastest = _fastest([result for result in ranked if result.name == first.name or result.name in open_])
    highest = f"{first.name} scores highest: {score}"
    if not beaten and not open_:
        return f"{highest}.{untuned}"
    if not beaten:
        all_open = len(open_) > 1 and len(open_) == len(comparisons)
        others = f"no other strategy can be distinguished from it at n = {n}" if all_open else _unclear(open_, n)
        return f"{highest}, but {others}.{untuned}{fastest}"
    if first.untuned:
        but = f", but {_unclear(open_, n)}" if open_ else ""
        return f"{highest}{but}.{untuned} Even so {_join(beaten)} scored lower.{fastest}"
    unclear = f"; {_unclear(open_, n)}" if open_ else ""
    return f"{highest}. It beats {_join(beaten)}{unclear}.{untuned}{fastest}"


def _progress(first: StrategyResult, *, best: str | None, done: int, expected: int) -> str:
    if done == 0:
        return f"Nothing has run yet; {expected} run{'s are' if expected > 1 else ' is'} to be made."
    if done == expected:
        start = f"All {done} runs are done; the test scores are still to be read."
    else:
        start = f"{done} of {expected} runs {'are' if done > 1 else 'is'} done; there is no verdict yet."
    if best is None or first.validation is None:
        return start
    return f"{start} By validation {best} leads ({100 * first.validation.mean:.1f} %)."


def _untuned(ranked: Sequence[StrategyResult]) -> str:
    """On which strategies there is no verdict, and why; "" where all are tuned out."""
    of = [result for result in ranked if result.untuned]
    if not of:
        return ""
    reasons = {result.untuned for result in of}
    why = f" ({reasons.pop()})" if len(reasons) == 1 else ""
    if len(of) == len(ranked):
        return f" No strategy is tuned out{why}, so none is said to be better than another."
    if of == [ranked[0]]:
        return f" Its rate is not tuned out{why}: it may do better still."
    if len(of) == 1:
        return f" {of[0].name} is not tuned out{why}: no verdict on it."
    names = f"{len(of)} strategies" if len(of) > MOST_NAMED else _join([result.name for result in of])
    return f" {names} are not tuned out{why}: no verdict on them."


def _unclear(names: Sequence[str], n: int) -> str:
    return f"it cannot be distinguished from {_join(names)} at n = {n}"


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
    if len(names) > MOST_NAMED:
        return f"{len(names)} others"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
