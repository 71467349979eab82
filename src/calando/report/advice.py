"""What to use, in words: the same on the terminal and on the page."""

from __future__ import annotations

from calando.analysis.results import Advice

__all__ = ["UNTUNED", "advice_lines", "advice_sentence"]

UNTUNED = (
    "not tuned out: a better rate may lie past those tried, so no verdict is given; a new study with a larger --span, "
    "--rates or --beyond tries more"
)


def advice_lines(advice: Advice) -> tuple[str, ...]:
    """The strategy to use, and why it."""
    said = advice_sentence(advice)
    return (f"To use it: {advice.text}", *([said] if said else []))


def advice_sentence(advice: Advice) -> str:
    """Which strategies are level and which of them we would take; "" where there was no choice.

    >>> said = advice_sentence(Advice(name="b", text="sgd", level=("a", "b"), why="the cheapest to train"))
    >>> said.partition(". ")[0]
    'a and b are level: the tests do not tell them apart'
    """
    if not advice.level:
        return f"{advice.why[:1].upper()}{advice.why[1:]}." if advice.why else ""
    names = f"{', '.join(advice.level[:-1])} and {advice.level[-1]}"
    return (
        f"{names} are level: the tests do not tell them apart. We would take {advice.name}: {advice.why}. That is a "
        "preference of ours, not a finding. Within a point of the highest score we prefer the cheapest to train, then "
        "the widest band of good rates."
    )
