"""What `finders.py score` prints."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table

from calando.analysis.suggest import RangeCurves
from calando.range_test.found import HeldRate, judge_held

from . import checks, curves, truth
from .cases import CASES, CONSTANT_CASES, OWN_TASKS, Case
from .elsewhere import ELSEWHERE, Elsewhere
from .hopeless import HOPELESS, NOISE, noise_curves
from .peers import PEERS
from .score import FINDERS, OURS, Landscape, Summary, answers_of, judged, judged_case, known_chance, landscape, summary

__all__ = ["show"]

GOALS = {"near": 0.90, "p90": 1.0, "abstained": 0.15, "hopeless": 0.90}
DIVISORS = (1.0, 1.5, 2.0, 3.0)
Measured = dict[str, np.ndarray]
Lands = dict[str, Landscape]


def show() -> None:
    """Print the tables."""
    console = Console(width=132)
    stored, measured = truth.read(), curves.read()
    cases = [case for case in CASES if case.name in stored and case.name in measured]
    lands = {case.name: landscape(stored[case.name]) for case in cases}
    _truth(console, cases, stored, lands)
    summaries = {}
    for title, part in (
        ("chosen on", [case for case in cases if not case.held_out]),
        ("held out", [case for case in cases if case.held_out]),
        ("all", cases),
    ):
        rows = {name: summary(answers_of(finder, measured, part), lands) for name, finder in FINDERS.items()}
        count = sum(len(measured[case.name]) for case in part)
        _summaries(console, f"{title}: {len(part)} workloads, n = {count} answers of each finder", rows)
        summaries[title] = rows
    _ours_by_case(console, cases, lands, measured)
    _by_case(console, cases, lands, measured)
    _constant(console, stored, measured)
    _lived(console, cases, stored, measured)
    hopeless = _hopeless(console, measured)
    _goals(console, summaries, hopeless)


def _constant(console: Console, stored: dict[str, dict], measured: Measured) -> None:
    """What a constant rate costs at the decayed recommendation divided by DIVISORS."""
    table = _table(
        "a constant rate: regret in points, mean over seeds, at the rate for a decayed schedule divided by",
        "workload", "best", "at rate", *(f"{divisor:g}" for divisor in DIVISORS),
    )  # fmt: skip
    rows = []
    for case in CONSTANT_CASES:
        if case.name in stored and case.curves in measured:
            land = landscape(stored[case.name])
            rates = [
                found.decayed.rate for found, _ in (judged(case.method, one.tobytes()) for one in measured[case.curves])
            ]
            costs = [np.mean([land.regret(rate / divisor) for rate in rates if rate]) for divisor in DIVISORS]
            rows.append(costs)
            best = f"{land.scores.max():.1f} %"
            table.add_row(
                case.name, best, f"{2.0 ** land.exponents[land.scores.argmax()]:.3g}", *map("{:.2f}".format, costs)
            )
    if rows:
        table.add_row("mean", "", "", *map("{:.2f}".format, np.mean(rows, axis=0)))
    console.print(table)


def _lived(console: Console, cases: list[Case], stored: dict[str, dict], measured: Measured) -> None:
    """What "reliable" is worth: by the curves alone, and after a training at the rate, on the ground and off it."""
    table = _table(
        "reliable, by the curves and after a training at the rate; the rest are abstentions", "workload", "good band",
        "n", "curves", "lives", "kept, least", "regret: curves", "lives",
    )  # fmt: skip
    tried = checks.read()
    for case in (*cases, *(case for case in (*OWN_TASKS, *ELSEWHERE) if case.name in stored and case.name in measured)):
        land, entries = landscape(stored[case.name]), tried.get(case.name, [])
        curves_say: list[float] = []
        lives: list[float] = []
        kept: list[float] = []
        for entry, rows in zip(entries, measured[case.name], strict=False):
            found, _ = judged_case(case, rows)
            if not found.reliable or found.decayed.rate is None or entry["rate"] != found.decayed.rate:
                continue
            curves_say.append(land.regret(found.decayed.rate))
            one = _held(case, entry, rows)
            if one.outcome == "lives":
                lives.append(land.regret(found.decayed.rate))
                kept.append(one.kept)
        if entries:
            table.add_row(
                case.name + (" (held out)" if case.held_out else ""), f"{land.good[0]:.2g} … {land.good[-1]:.2g}",
                str(len(entries)), str(len(curves_say)), str(len(lives)), f"{min(kept):.2f}" if kept else "–",
                f"{max(curves_say):.1f}" if curves_say else "–", f"{max(lives):.1f}" if lives else "–",
            )  # fmt: skip
    console.print(table)


def _held(case: Case | Elsewhere, entry: dict, rows: np.ndarray) -> HeldRate:
    chance = known_chance(case)
    constant = case.constant if isinstance(case, Elsewhere) else None
    losses = np.array(entry["constant"], float)
    if len(losses) < checks.STEPS:
        losses = np.append(losses, np.nan)
    measured = RangeCurves.from_arrays(curves.RATES, rows, chance=chance)
    return judge_held(measured, losses, rate=entry["rate"], trivial=constant)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    return table


def _truth(console: Console, cases: list[Case], stored: dict[str, dict], lands: Lands) -> None:
    table = _table(
        "truth: final validation score of a run with linear decay; good band: within 1 point of the best",
        "workload", "steps", "rates", "seeds at best", "best", "at rate", "good band", "decades",
    )  # fmt: skip
    for case in cases:
        land = lands[case.name]
        top = int(land.exponents[land.scores.argmax()])
        table.add_row(
            case.name + (" (held out)" if case.held_out else ""),
            str(case.steps),
            str(len(land.scores)),
            str(len(stored[case.name]["scores"][str(top)])),
            f"{land.scores.max():.1f} %",
            f"{2.0**top:.3g}",
            f"{land.good[0]:.2g} … {land.good[-1]:.2g}",
            f"{np.log10(land.good[-1] / land.good[0]):.1f}",
        )
    console.print(table)


def _summaries(console: Console, title: str, rows: dict[str, Summary]) -> None:
    table = _table(
        title, "finder", "regret, median", "90th pct", "in/near band", "scatter, decades", "abstains",
        "regret there", "steps",
    )  # fmt: skip
    for name, row in rows.items():
        table.add_row(
            name, _number(row.median, ".2f"), _number(row.p90, ".2f"), _number(row.near, ".0%"),
            _number(row.scatter, ".3f"), _number(row.abstained, ".0%"), _number(row.abstained_regret, ".2f"),
            _number(row.steps, ".0f"),
        )  # fmt: skip
    console.print(table)


def _ours_by_case(console: Console, cases: list[Case], lands: Lands, measured: Measured) -> None:
    table = _table(
        "calando by workload: median suggestion and range", "workload", "good band", "suggested", "in/near band",
        "regret 90th", "scatter", "abstains", "steps", "n",
    )  # fmt: skip
    for case in cases:
        answers = answers_of(FINDERS[OURS], measured, [case])
        rates = [answer.rate for answer in answers if answer.rate is not None] or [np.nan]
        row, good = summary(answers, lands), lands[case.name].good
        table.add_row(
            case.name, f"{good[0]:.2g} … {good[-1]:.2g}",
            f"{np.median(rates):.2g} [{min(rates):.2g}, {max(rates):.2g}]", _number(row.near, ".0%"),
            _number(row.p90, ".2f"), _number(row.scatter, ".3f"), f"{row.abstained:.0%}", f"{row.steps:.0f}",
            str(len(answers)),
        )  # fmt: skip
    console.print(table)


def _by_case(console: Console, cases: list[Case], lands: Lands, measured: Measured) -> None:
    names = (OURS, *PEERS)
    table = _table("by workload: in or near the good band, of all suggestions", "workload", *map(_short, names))
    for case in cases:
        rows = (summary(answers_of(FINDERS[name], measured, [case]), lands) for name in names)
        table.add_row(case.name, *(_number(row.near, ".0%") for row in rows))
    console.print(table)


def _hopeless(console: Console, measured: Measured) -> float:
    """Share of ours, without the extra cases."""
    names = (OURS, *PEERS)
    table = _table("hopeless cases: abstentions", "case", "n", *map(_short, names))
    sets = {case.name: (case.method, measured[case.name], case.extra) for case in HOPELESS if case.name in measured}
    for name in NOISE:
        sets[name] = ("sgd", noise_curves(name, seeds=10, repeats=curves.REPEATS, steps=curves.STEPS), False)
    counted: dict[str, list[bool]] = {name: [] for name in names}
    for case, (method, seeds, extra) in sets.items():
        abstained = {name: [FINDERS[name](method, rows)[1] for rows in seeds] for name in names}
        for name in names:
            counted[name] += [] if extra else abstained[name]
        label = f"{case} (extra)" if extra else case
        table.add_row(label, str(len(seeds)), *(f"{np.mean(abstained[name]):.0%}" for name in names))
    shares = [float(np.mean(counted[name])) for name in names]
    table.add_row("all but extra", str(len(counted[OURS])), *(f"{share:.0%}" for share in shares), style="bold")
    console.print(table)
    return shares[0]


def _goals(console: Console, summaries: dict[str, dict[str, Summary]], hopeless: float) -> None:
    table = _table("goals", "what", "goal", *summaries)
    best = {title: min((rows[name].scatter, name) for name in PEERS) for title, rows in summaries.items()}
    ours = {title: rows[OURS] for title, rows in summaries.items()}
    table.add_row(
        "in or near the good band", f"≥ {GOALS['near']:.0%}", *(_number(row.near, ".0%") for row in ours.values())
    )
    table.add_row(
        "regret, 90th percentile", f"≤ {GOALS['p90']:.1f} points", *(_number(row.p90, ".2f") for row in ours.values())
    )
    table.add_row(
        "scatter over the best peer's", "≤ 0.33",
        *(f"{ours[title].scatter / best[title][0]:.2f} ({best[title][1]})" for title in summaries),
    )  # fmt: skip
    table.add_row("abstains", f"< {GOALS['abstained']:.0%}", *(_number(row.abstained, ".0%") for row in ours.values()))
    table.add_row("abstains on hopeless cases", f"≥ {GOALS['hopeless']:.0%}", "", "", f"{hopeless:.0%}")
    console.print(table)


def _short(name: str) -> str:
    return name.replace("torch-lr-finder", "torch-lr-f").replace("fastai ", "fa. ")


def _number(value: float, form: str) -> str:
    return "–" if np.isnan(value) else format(value, form)
