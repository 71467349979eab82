"""How names and numbers are written, the same in tables, figures and the page.

A name is cut in its middle, since strategies often differ in their last letters alone. A mean never comes without its
spread and n: "98.61 ± 0.21 (3)". How scores and their differences are written is their measure's affair
(`calando.records.measure`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from calando.analysis.conclusion import listed, share_highest
from calando.analysis.results import Spread, StudySummary
from calando.language import message
from calando.records.measure import SHARE, Measure

__all__ = [
    "ABSENT",
    "age",
    "cost",
    "count",
    "distinct",
    "duration",
    "file_size",
    "first_word",
    "rate",
    "saved",
    "seeds_compared",
    "shared",
    "spread",
    "target_steps",
    "target_words",
]

ABSENT = "–"


def distinct(names: Iterable[str], width: int) -> dict[str, str]:
    """Name -> the same in at most `width` letters, cut in its middle; names that differ still differ.

    >>> distinct(["linear(0, 1, over='5%') >> cosine(1, 0)", "cosine"], 20)
    {"linear(0, 1, over='5%') >> cosine(1, 0)": 'linear(0,…sine(1, 0)', 'cosine': 'cosine'}
    """
    shown: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        short, number = _cut(name, width), 1
        while short in taken:
            number += 1
            mark = f" ({number})"
            short = _cut(name, width - len(mark)) + mark
        taken.add(short)
        shown[name] = short
    return shown


def _cut(name: str, width: int) -> str:
    tail = width // 2
    return name if len(name) <= width else f"{name[: width - 1 - tail]}…{name[-tail:]}"


def spread(values: Spread | None, measure: Measure = SHARE) -> str:
    """Mean ± sample standard deviation (n), in percent or the measure's unit.

    >>> spread(Spread((0.98, 0.99), 0.985, 0.00707))
    '98.50 ± 0.71 (2)'
    >>> spread(Spread((0.98,), 0.98, float("nan")))
    '98.00 (1)'
    """
    if values is None:
        return ABSENT
    mean = measure.number(values.mean)
    if math.isnan(values.sd):
        return f"{mean} ({values.n})"
    return f"{mean} ± {measure.spread(values.sd)} ({values.n})"


def rate(lr: float | None) -> str:
    """Three significant digits.

    >>> rate(0.0316227)
    '0.0316'
    """
    return ABSENT if lr is None else f"{lr:.3g}"


def target_words(summary: StudySummary) -> str:
    """The score that is counted to, "97.50%" or "3.2 RMSE"; "" where there is none."""
    measure = summary.spec.workload.measure
    if summary.target is None:
        return ""
    return f"{measure.number(summary.target)}%" if measure.share else measure.amount(summary.target)


def target_steps(by_seed: Sequence[int | None]) -> str:
    """Median over the seeds that reached the target, and how many of them did.

    The median over all seeds would be a guess where some never arrived; the share says so instead.

    >>> target_steps((120, None, 80)), target_steps((None, None))
    ('80 (2/3)', 'never (0/2)')
    """
    reached = [steps for steps in by_seed if steps is not None]
    if not by_seed:
        return ABSENT
    of = f"({len(reached)}/{len(by_seed)})"
    return f"{statistics.median_low(reached)} {of}" if reached else message("never {of}", of=of)


def first_word(summary: StudySummary) -> str:
    """What the first row is called: "best" only where it is fully tuned and all others are worse beyond doubt."""
    if len(share_highest(summary.results)) > 1:
        return message("tied")
    sure = bool(summary.comparisons) and all(one.verdict == "worse" for one in summary.comparisons)
    sure = sure and not summary.results[0].untuned
    return message("best") if sure else summary.spec.workload.measure.first


def count(value: int) -> str:
    """Thousands apart.

    >>> count(12600)
    '12,600'
    """
    return f"{value:,}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours.

    >>> duration(42.42), duration(200), duration(9000)
    ('42.4 s', '3 min 20 s', '2 h 30 min')
    """
    if seconds < 60:
        return message("{seconds:.1f} s", seconds=seconds)
    whole = round(seconds)
    if whole < 3600:
        return message("{minutes} min {seconds} s", minutes=whole // 60, seconds=whole % 60)
    return message("{hours} h {minutes} min", hours=whole // 3600, minutes=whole % 3600 // 60)


def age(seconds: float) -> str:
    """How long ago, in the largest unit of which it is one at least.

    >>> age(5), age(200), age(9000), age(200_000)
    ('5 s ago', '3 min ago', '2 h ago', '2 d ago')
    """
    units = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    unit, size = next(((unit, size) for unit, size in units.items() if seconds >= size), ("s", 1))
    return message("{count} {unit} ago", count=max(0, int(seconds // size)), unit=message(unit))


def file_size(size: int) -> str:
    """Bytes in thousands and millions of them.

    >>> file_size(999), file_size(51_200), file_size(1_234_567), file_size(5 * 10**9)
    ('999 B', '51 kB', '1.2 MB', '5.0 GB')
    """
    for unit, of in {"GB": 10**9, "MB": 10**6}.items():
        if size >= of:
            return f"{size / of:.1f} {unit}"
    return f"{size} B" if size < 1000 else f"{size // 1000} kB"


def shared(summary: StudySummary) -> str:
    """What runs of equal pasts saved; "" where none were shared.

    "trained 12,400 of 31,000 updates: 60 % were shared pasts, trained once"
    """
    charged, spent = summary.updates, summary.updates_spent
    if spent >= charged:
        return ""
    part = 100 * (charged - spent) // charged
    return message(
        "trained {spent} of {charged} updates: {part} % were shared pasts, trained once",
        spent=count(spent),
        charged=count(charged),
        part=part or message("under 1"),
    )


def saved(summary: StudySummary) -> str:
    """What adding seeds only where they decide has saved; "" where their number was fixed, or is not known yet.

    "seeds until decided: looked at 3 and 5; 14 of 60 final runs and 9,800 of 31,000 updates, where 20 seeds each …"
    """
    told = summary.saved
    if told is None:
        return ""
    looks = listed([str(n) for n in told.looks])
    fixed = message("{most} seeds for every strategy", most=told.most)
    if told.finals == told.of_finals:
        return message(
            "seeds until decided: looked at {looks} seeds; as many final runs as {fixed}", looks=looks, fixed=fixed
        )
    part = round(100 * (told.of_updates - told.updates) / max(1, told.of_updates))
    return message(
        "seeds until decided: looked at {looks} seeds; {finals} final runs instead of {of_finals}, {updates} updates "
        "instead of {of_updates} with {fixed}: {part} % saved",
        looks=looks,
        finals=count(told.finals),
        of_finals=count(told.of_finals),
        updates=count(told.updates),
        of_updates=count(told.of_updates),
        fixed=fixed,
        part=part,
    )


def seeds_compared(summary: StudySummary) -> str:
    """Over how many seeds strategies were compared: "3", or "3 to 20" where some were settled early."""
    n = sorted({one.n for one in summary.comparisons})
    return str(n[0]) if len(n) == 1 else message("{low} to {high}", low=n[0], high=n[-1])


def cost(summary: StudySummary) -> str:
    """What the study's runs cost, each as if it were trained alone, and, where pasts were shared, what was spent.

    "20 runs, 31,000 updates, 2 min 0 s of training and evaluation"
    """
    alone = message(
        "{runs}, {updates} updates, {duration} of training and evaluation",
        runs=message("1 run" if summary.runs_done == 1 else "{count} runs", count=count(summary.runs_done)),
        updates=count(summary.updates),
        duration=duration(summary.seconds),
    )
    if once := shared(summary):
        return message(
            "{alone} if each were trained alone; {once}, in {duration}",
            alone=alone,
            once=once,
            duration=duration(summary.seconds_spent),
        )
    return alone
