"""Sensitivity: how much does each method's score depend on its base rate, and is its usual rate a good one?

    python benchmarks/sensitivity.py run [--data ../shared/data] [--only NAME]      some 90 minutes of one core
    python benchmarks/sensitivity.py show                                           and draws the curves
    python benchmarks/sensitivity.py table         as in docs/explanation/what-each-method-is-worth.md

Every method of the registry with its own default options, at 9 rates over four decades round its usual rate, 3 seeds:
200 updates of 32 digits with `cnn`; 400 of 64 out of 10,000 images of Fashion-MNIST with `small` (below); both networks
have batch norm. The rate falls linearly to zero where the method lets a schedule do that, and is constant where not.
Validation score; a curve is the mean over the seeds.

best    the rate that scores highest
tuned   the score of each seed at the rate that is best on the other two, so that no seed chooses its own rate: mean and
        standard deviation over the seeds
width   decades of rates round the best that score within 1 point of it, between two rates linear in log(rate); with a
        "+" where the stretch goes on beyond the rates that were tried
usual   what is lost at the usual rate against the method's own best, and against the best of all methods

`run` goes on where it was stopped; runs are kept in sensitivity.json, the curves in docs/pictures/sensitivity.svg.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from runs import Kept, Task, percent
from torch import nn

from calando.methods import METHODS, Method

KEPT = Kept(Path(__file__).with_suffix(".json"))
PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "sensitivity.svg"
TASKS = {
    "digits": Task(data="digits", model="cnn", batch=32, steps=200, validation=0.4),
    "fashion": Task(data="fashion-mnist", model="sensitivity:small", batch=64, steps=400, limit=10_000),
}
HALF_DECADES = range(-4, 5)
SEEDS = range(3)
WITHIN = 1.0
DEEPEST = 20


def small(*, in_channels: int, classes: int) -> nn.Module:
    """conv 3x3 at the widths 16, 32, 64, strides 2, 2, 1, each with batch norm and ReLU; mean; linear."""
    layers: list[nn.Module] = []
    before = in_channels
    for width, stride in ((16, 2), (32, 2), (64, 1)):
        layers.append(nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False))
        layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A method with options; the registry's defaults, and SGD as everybody uses it."""

    name: str
    method: Method
    options: str = ""

    def rate(self, half_decades: int) -> float:
        return float(f"{self.method.usual_rate * 10 ** (half_decades / 2):.3g}")

    def strategy(self, half_decades: int) -> str:
        schedule = " | linear(1, 0)" if self.method.schedules == "any" else ""
        return f"{self.method.name}(lr={self.rate(half_decades):g}{self.options}){schedule}"


ENTRIES = [Entry(name=name, method=method) for name, method in METHODS.items()]
ENTRIES.insert(1, Entry(name="sgd, momentum", method=METHODS["sgd"], options=", momentum=0.9"))


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A method's scores on a task, in percent: half decades from its usual rate -> one for each seed."""

    seeds: dict[int, tuple[float, ...]]

    @property
    def scores(self) -> dict[int, float]:
        """Means over the seeds."""
        return {k: statistics.fmean(scores) for k, scores in self.seeds.items()}

    def tuned(self) -> tuple[float, ...]:
        """Each seed's score at the rate that is best on the others."""

        def best_on_others(seed: int) -> int:
            others = {k: math.fsum(scores) - scores[seed] for k, scores in self.seeds.items()}
            return _highest(others)

        return tuple(self.seeds[best_on_others(seed)][seed] for seed in SEEDS)

    @property
    def best(self) -> int:
        """Half decades from the usual rate; of equals the nearest to it."""
        return _highest(self.scores)

    @property
    def top(self) -> float:
        return self.scores[self.best]

    def width(self) -> tuple[float, bool]:
        """Decades, and whether the stretch ends within the rates tried."""
        sides = [self._reach(side) for side in (-1, 1)]
        return sum(reach for reach, _ in sides) / 2, all(ends for _, ends in sides)

    def _reach(self, side: int) -> tuple[float, bool]:
        """Half decades from the best to where the score falls WITHIN below it."""
        k, floor = self.best, self.top - WITHIN
        while k + side in self.scores:
            here, beyond = self.scores[k], self.scores[k + side]
            if beyond < floor:
                return abs(k - self.best) + (here - floor) / (here - beyond), True
            k += side
        return float(abs(k - self.best)), False


def _highest(scores: dict[int, float]) -> int:
    return max(scores, key=lambda k: (scores[k], -abs(k)))


def key(entry: Entry, task: Task, k: int, seed: int) -> dict[str, Any]:
    return {"task": str(task), "strategy": entry.strategy(k), "seed": seed}


def run(data_dir: Path, *, only: str) -> None:
    """Every rate of every method, seed by seed, the usual rates first."""
    chosen = [entry for entry in ENTRIES if only in entry.name]
    rates = sorted(HALF_DECADES, key=abs)
    for seed, k, entry, task in itertools.product(SEEDS, rates, chosen, TASKS.values()):
        asked = key(entry, task, k, seed)
        KEPT.measured(asked, lambda asked=asked, task=task: train(task, asked, data_dir))


def train(task: Task, asked: dict[str, Any], data_dir: Path) -> dict[str, Any]:
    record = task.run(asked["strategy"], seed=asked["seed"], data_dir=data_dir)
    return {"score": percent(record.score), "outcome": record.outcome}


def curves() -> dict[str, dict[str, Curve]]:
    """Task -> method -> curve, of the methods whose rates were all measured with all seeds."""
    rows = {(row["task"], row["strategy"], row["seed"]): row["score"] for row in KEPT.rows()}
    found: dict[str, dict[str, Curve]] = {}
    for name, task in TASKS.items():
        found[name] = {}
        for entry in ENTRIES:
            of_task = {k: tuple(rows.get((str(task), entry.strategy(k), seed)) for seed in SEEDS) for k in HALF_DECADES}
            if not any(None in scores for scores in of_task.values()):
                found[name][entry.name] = Curve(seeds=of_task)
    return found


def show() -> None:
    found = curves()
    names = [entry for entry in ENTRIES if all(entry.name in those for those in found.values())]
    if not names:
        print("no method was measured at all rates yet")
        return
    for task, those in found.items():
        summit = max(curve.top for curve in those.values())
        print(f"{TASKS[task]}; best of all {summit:.2f}")
        heads = ("usual", "best", "score", "tuned", "width", "usual: - own", "- all", "within")
        print(f"  {'':20}" + "".join(f"{head:>13}" for head in heads))
        for entry in sorted(names, key=lambda entry: -those[entry.name].width()[0]):
            curve = those[entry.name]
            width, ends = curve.width()
            lost, behind = curve.scores[0] - curve.top, curve.scores[0] - summit
            tuned = curve.tuned()
            cells = (f"{entry.rate(0):g}", f"{entry.rate(curve.best):g}", f"{curve.top:.2f}")
            cells += (f"{statistics.fmean(tuned):.2f} ± {statistics.stdev(tuned):.2f}",)
            cells += (f"{width:.1f}{' ' if ends else '+'}", f"{lost:+.2f}", f"{behind:+.2f}")
            cells += ("yes" if lost >= -WITHIN else "NO",)
            print(f"  {entry.name:20}" + "".join(f"{cell:>13}" for cell in cells))
    print_claims(names, found)
    draw(names, found)


def table() -> None:
    """Worth and price, as Markdown: methods by the mean of their tuned scores; prices are price.json's."""
    found = curves()
    prices = {row["name"]: row["ratio"] for row in Kept(KEPT.path.with_name("price.json")).rows()}
    heads = [f"{task}, % ± sd" for task in found]
    print(f"| method | {' | '.join(heads)} | width, decades | usual rate behind its own best | an update |")
    print("|---|" + "---|" * (len(heads) + 3))
    named = [entry for entry in ENTRIES if all(entry.name in those for those in found.values())]
    for entry in sorted(named, key=lambda entry: -sum(statistics.fmean(t[entry.name].tuned()) for t in found.values())):
        mine = [those[entry.name] for those in found.values()]
        scores = [f"{statistics.fmean(one.tuned()):.1f} ± {statistics.stdev(one.tuned()):.1f}" for one in mine]
        widths = [f"{width:.1f}{'' if ends else '+'}" for width, ends in (one.width() for one in mine)]
        lost = [f"{one.top - one.scores[0]:.1f}" for one in mine]
        name = "`sgd`, momentum 0.9" if entry.options else f"`{entry.name}`"
        cells = (name, *scores, ", ".join(widths), ", ".join(lost), f"{prices[entry.method.name]:.2f} ×")
        print(f"| {' | '.join(cells)} |")


def print_claims(names: list[Entry], found: dict[str, dict[str, Curve]]) -> None:
    """Who says that it needs no rate, and what its one rate gives."""
    print("rate-free: at the usual rate, points behind its own best and behind the best of all methods")
    for entry in names:
        if not entry.method.rate_free:
            continue
        told, holds = [], True
        for task, those in found.items():
            curve, summit = those[entry.name], max(curve.top for curve in those.values())
            lost, behind = curve.top - curve.scores[0], summit - curve.scores[0]
            told.append(f"{task} {lost:.2f}, {behind:.2f}")
            holds = holds and lost <= WITHIN
        print(f"  {entry.name:20} {'; '.join(told):40} {'holds' if holds else 'does not hold'} for its own best")
    for families in (("rate-free",), ("classic", "adaptive")):
        widths = [curve.width()[0] for those in found.values() for curve in _of(names, families, those)]
        if widths:
            print(f"median width of {' and '.join(families)} methods: {statistics.median(widths):.1f} decades")


def _of(names: list[Entry], families: tuple[str, ...], those: dict[str, Curve]) -> list[Curve]:
    return [those[entry.name] for entry in names if entry.method.family in families]


def draw(names: list[Entry], found: dict[str, dict[str, Curve]]) -> None:
    """A small panel for each method: points behind the best of all, against the rate by the usual rate."""
    import altair as alt

    from calando.cli.describe import data
    from calando.report.figures.scales import powers_of_ten
    from calando.report.figures.theme import styled
    from calando.report.palette import COLOURS
    from calando.report.pictures import save

    rows = []
    for task, those in found.items():
        summit = max(curve.top for curve in those.values())
        for entry in names:
            for k, score in those[entry.name].scores.items():
                behind = max(score - summit, -DEEPEST)
                rows.append({"method": _title(entry), "workload": task, "times": 10 ** (k / 2), "behind": behind})
    order = [_title(entry) for entry in names]
    scale = alt.Scale(type="log", domain=[0.008, 125], nice=False)
    x = alt.X("times:Q", title="rate / usual rate", scale=scale, axis=powers_of_ten(0.009, 110))
    y = alt.Y(
        "behind:Q",
        title=None,
        scale=alt.Scale(domain=[-DEEPEST, 0]),
        axis=alt.Axis(values=[0, -10, -20]),
    )
    colour = alt.Stroke(
        "workload:N",
        scale=alt.Scale(domain=list(found), range=COLOURS[:2]),
        legend=alt.Legend(title=None, orient="top"),
    )
    base = alt.Chart(data(rows))
    lines = base.mark_line(strokeWidth=2).encode(x=x, y=y, stroke=colour)
    usual = base.mark_rule(strokeDash=[2, 3], stroke="#5b6270").encode(x=alt.datum(1))
    panels = alt.layer(usual, lines).properties(width=118, height=84)
    header = alt.Header(title=None, labelFontSize=11.5, labelPadding=4)
    chart = panels.facet(alt.Facet("method:N", sort=order, header=header), columns=6, spacing={"row": 12, "column": 14})
    told = "; ".join(f"{name}: {task}" for name, task in TASKS.items())
    chart = styled(
        chart,
        title="What a method's score owes to its rate",
        subtitle="Points of validation score behind the best of all methods and rates, at most "
        f"{DEEPEST}, against the rate by the method's usual rate (in brackets). Mean of {len(SEEDS)} seeds. {told}",
    )
    save(chart, PICTURE)
    print(f"drawn: {PICTURE}")


def _title(entry: Entry) -> str:
    return f"{entry.name} ({entry.rate(0):g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "show", "table"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default="", help="methods whose name holds this")
    options = parser.parse_args()
    if options.what == "run":
        torch.set_num_threads(1)
        run(options.data, only=options.only)
    if options.what == "table":
        table()
    else:
        show()


if __name__ == "__main__":
    main()
