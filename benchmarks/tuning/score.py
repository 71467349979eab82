"""Regret and cost, of ours and of others, from the table of truth; and whole tunings of the product."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

import calando
from calando.analysis.arms import USUAL, Rules

from . import others
from .cases import CASES, Case
from .replay import BEGIN, replay
from .rivals import OPTUNA, optuna_answer
from .truth import CHOOSE, FRESH, best_cell, read

__all__ = ["line", "ours", "show", "whole"]

WHOLE = Path(__file__).parent / "whole.json"
BUDGETS = (1.5, 3.0, 5.0, 10.0)
DRAWS = 5
SHOWN = {"tpe": "Optuna TPE", "hyperband": "Optuna Hyperband", "asha": "Optuna ASHA"}


@cache
class Truth:
    """What a case's cells score on the test part, in points."""

    def __init__(self, case: Case) -> None:
        self.case, self.rows = case, read(case)

    def mean(self, schedule: str, exponent: int, seeds: range) -> float:
        """Over those seeds that were measured; nan where none was."""
        keys = [f"{schedule} {exponent} {seed}" for seed in seeds]
        found = [100 * float(self.rows[key]["test"]) for key in keys if key in self.rows]
        return float(np.mean(found)) if found else float("nan")

    @property
    def seeds(self) -> list[int]:
        """Those of which every rate's race is known."""
        return [s for s in range(8) if all(f"half {k} {s}" in self.rows for k in self.case.rates)]

    @property
    def known(self) -> bool:
        """Whether there is enough to choose a best cell, and races."""
        return bool(self.seeds) and all(f"half {k} {seed}" in self.rows for k in self.case.rates for seed in CHOOSE)

    @cached_property
    def best(self) -> tuple[str, int]:
        """The cell that seeds 0 to 2 choose."""
        found = best_cell(self.case)
        assert found is not None
        return found

    def score(self, schedule: str, exponent: int) -> float:
        """Of a cell, on fresh seeds; on all where there are none."""
        fresh = self.mean(schedule, exponent, FRESH)
        return fresh if np.isfinite(fresh) else self.mean(schedule, exponent, CHOOSE)

    def paired(self, exponent: int | None, seed: int) -> float:
        """Of one run against the sweep's best cell at the same seed; of no run at all, of the worst one."""
        if exponent is None:
            exponent = min(self.case.rates, key=lambda k: float(self.rows[f"half {k} {seed}"]["test"]))
        schedule, best = self.best
        there = [f"{schedule} {best} {seed}", f"half {exponent} {seed}"]
        if any(key not in self.rows for key in there):
            return float("nan")
        top, ours = (100 * float(self.rows[key]["test"]) for key in there)
        return top - ours

    def regret(self, exponent: int | None, schedule: str = "half") -> float:
        """Of a cell against the one that the sweep chose, below 0 where it is better; of no run at all, the worst's."""
        low = min(self.score("half", k) for k in self.case.rates)
        return self.score(*self.best) - (low if exponent is None else self.score(schedule, exponent))


def ours(
    case: Case,
    data_dir: Path,
    *,
    rules: Rules = USUAL,
    budget: float = 1.5,
    own_batches: bool = False,
    of_runs: bool = False,
) -> list[tuple[float, float]]:
    """(regret, runs) of each seed, begun at the usual rate, its half and its double; races that went back left out."""
    truth, found = Truth(case), []
    for seed in truth.seeds:
        for off in (0, -1, 1):
            settled = replay(case, seed, data_dir, rules=rules, budget=budget, off=off, own_batches=own_batches)
            if settled is not None:
                exponent = round(np.log2(settled.leg.rate))
                regret = truth.paired(exponent, seed) if of_runs else truth.regret(exponent)
                found.append((regret, settled.charged / case.steps))
    return found


def line(name: str, found: list[tuple[float, float]]) -> str:
    regrets, costs = (np.array(part) for part in zip(*found, strict=True))
    mean, error = regrets.mean(), regrets.std(ddof=1) / np.sqrt(len(regrets)) if len(regrets) > 1 else np.nan
    return (
        f"{name:28} n={len(found):4d}  regret median {np.median(regrets):5.2f}  90 % {np.quantile(regrets, 0.9):5.2f}  "
        f"mean {mean:5.2f} (95 % below {mean + 1.645 * error:5.2f})  worst {regrets.max():5.2f}  "
        f"runs mean {costs.mean():5.2f} most {costs.max():5.2f}"
    )


def show(data_dir: Path, *, only: str = "", picture: Path | None = None) -> None:
    """Print the tables; draw regret against cost."""
    points: list[dict[str, Any]] = []
    for half, title in ((False, "development"), (True, "untouched")):
        cases = [case for case in CASES if case.untouched == half and only in case.name and Truth(case).known]
        if not cases:
            continue
        print(f"\n{title}")
        for case in cases:
            truth = Truth(case)
            schedule, exponent = truth.best
            print(
                f"{case.name:28} best {schedule} 2^{exponent}: {truth.score(schedule, exponent):.2f}; half: "
                + " ".join(f"2^{k} {truth.score('half', k):.2f}" for k in sorted(case.rates))
            )
            print(line("  tune, its cell's mean", ours(case, data_dir)))
            print(
                line("  tune, its runs", [pair for pair in ours(case, data_dir, of_runs=True) if np.isfinite(pair[0])])
            )
        for budget in BUDGETS:
            rest = [pair for case in cases for pair in ours(case, data_dir, budget=budget, of_runs=True)]
            rest = [pair for pair in rest if np.isfinite(pair[0])]
            print(line(f"calando tune, {budget:g} runs", rest))
            points += [{"who": "calando tune", "half": title, "runs": budget, "regret": r} for r, _ in rest]
        for name, answer in _others(data_dir).items():
            for budget in BUDGETS if name in OPTUNA else (1.0,):
                rest = [pair for case in cases for pair in answer(case, budget)]
                rest = [pair for pair in rest if np.isfinite(pair[0])]
                if rest:
                    print(line(f"{name}, {budget:g} runs", rest))
                    cost = budget if name in OPTUNA else round(float(np.mean([c for _, c in rest])), 1)
                    points += [
                        {"who": SHOWN.get(name, name), "half": title, "runs": cost, "regret": r} for r, _ in rest
                    ]
    if picture is not None:
        _draw(points, picture)


def _others(data_dir: Path) -> dict[str, Callable[[Case, float], list[tuple[float, float]]]]:
    def usual(case: Case, budget: float) -> list[tuple[float, float]]:
        truth, exponent = Truth(case), BEGIN[case.method.partition("(")[0]]
        return [(truth.regret(exponent, "cosine"), budget)]

    def of(kind: str) -> Callable[[Case, float], list[tuple[float, float]]]:
        def answer(case: Case, budget: float) -> list[tuple[float, float]]:
            truth, found = Truth(case), []
            for seed in truth.seeds:
                for draw in range(DRAWS):
                    exponent, spent = optuna_answer(case, kind, seed=seed, budget=budget, draw=draw)
                    found.append((truth.paired(exponent, seed), spent))
            return found

        return answer

    def sweep(case: Case, budget: float) -> list[tuple[float, float]]:
        truth, rows = Truth(case), others.read()
        mine = [row for key, row in rows.items() if key.startswith(f"sweep {case.name} ")]
        return [(truth.regret(row["exponent"], "cosine"), row["runs"]) for row in mine]

    def free(case: Case, budget: float) -> list[tuple[float, float]]:
        truth, rows = Truth(case), others.read()
        mine = [row for key, row in rows.items() if key.startswith(f"schedule-free {case.name} ")]
        return [(truth.score(*truth.best) - 100 * row["test"], row["runs"]) for row in mine]

    single = {"usual rate, cosine": usual, "range test, cosine": sweep, "schedule-free": free}
    return {**single, **{kind: of(kind) for kind in OPTUNA}}


def _draw(points: list[dict[str, Any]], picture: Path) -> None:
    import altair as alt

    from calando.report import save
    from calando.report.figures.theme import csv_data, styled
    from calando.report.palette import COLOURS

    rows = []
    for who in dict.fromkeys(point["who"] for point in points):
        # A single answer is one point, whatever it cost on each half.
        singles = {p["runs"] for p in points if p["who"] == who} if who.startswith(("calando", "Optuna")) else {None}
        for runs in sorted(singles, key=lambda one: one or 0.0):
            some = [p for p in points if p["who"] == who and runs in (None, p["runs"])]
            regret, cost = (float(np.mean([p[key] for p in some])) for key in ("regret", "runs"))
            rows.append({"who": who, "runs": round(cost, 2), "regret": regret})
    legend = alt.Legend(title=None, orient="top")
    chart = alt.Chart(csv_data(rows)).mark_line(point=alt.OverlayMarkDef(size=60), strokeWidth=2).encode(
        x=alt.X(
            "runs:Q",
            title="cost, in runs",
            scale=alt.Scale(type="log", domain=[0.95, 10.5], nice=False),
            axis=alt.Axis(values=[1, 1.5, 2, 3, 5, 10]),
        ),
        y=alt.Y("regret:Q", title="mean regret, points of test score", scale=alt.Scale(type="symlog", constant=0.3)),
        color=alt.Color("who:N", sort=None, scale=alt.Scale(range=list(COLOURS)), legend=legend),
    )  # fmt: skip
    subtitle = "all cases and seeds; lower left is better"
    chart = chart.properties(width=520, height=300)
    save(styled(chart, title="Regret against cost", subtitle=subtitle), picture)


def whole(data_dir: Path, *, only: str = "", seeds: int = 8) -> None:
    """Tunings by the public function, from its defaults, a row each."""
    rows = json.loads(WHOLE.read_text()) if WHOLE.is_file() else {}
    for seed in range(seeds):
        for case in CASES:
            key = f"{case.name} {seed}"
            if only not in case.name or key in rows or not Truth(case).rows:
                continue
            given = {"model": case.model, "batch_size": case.batch, "train_limit": case.limit, "data_dir": data_dir}
            if case.model is None:
                given = {"data_dir": data_dir} if ":" not in case.data else {}
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                tuned = calando.tune(
                    case.data,
                    case.method.replace("lr={lr!r}, ", "").replace("lr={lr!r}", ""),
                    steps=case.steps,
                    seed=seed,
                    threads=1,
                    folder=Path(folder) / "t",
                    listen=lambda status: None,
                    **given,
                )
            truth = Truth(case)
            rows[key] = {
                "rate": tuned.run.lr,
                "test": round(100 * tuned.test.score, 3),
                "best": round(truth.score(*truth.best), 3),
                "runs": round(tuned.runs, 3),
                "died": tuned.result.settled.died,
                "back": tuned.ledger["going back"],
                "seconds": round(time.monotonic() - began, 1),
            }
            WHOLE.write_text(json.dumps(rows, indent=0))
            print(time.strftime("%H:%M:%S"), key, rows[key], flush=True)
