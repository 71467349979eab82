"""The page of a tuning: the answer, its arms and why they ended, the figure, what was charged, what made it.

One file that opens with no network, as a study's (`calando.report.html`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from calando.analysis.tuned import TuneResult
from calando.errors import NotDrawn
from calando.language import joined, message
from calando.records.files import write_atomically
from calando.report import pictures
from calando.report.drawing_process import can_draw
from calando.report.figures.race import race_figure
from calando.report.formatting import rate
from calando.report.html import for_page, json_for_script, page_js, page_policy, page_style, render
from calando.report.use import forms_of

__all__ = ["TuningWords", "write_tuning_page"]

Form = Literal["png", "svg"]


@final
@dataclass(frozen=True, kw_only=True)
class TuningWords:
    """What a tuning's answer says, in words and rows.

    Args:
        verdict, scores: sentences.
        remarks: what happened on the way, and what is lacking.
        arms: a row each: rate, updates, ended, why.
        ledger: what updates were charged for.
        weights: where they are, as seen from the page; "": there are none.
    """

    verdict: str
    scores: str
    remarks: Sequence[str]
    arms: Sequence[Mapping[str, Any]]
    ledger: Mapping[str, float]
    weights: str


def write_tuning_page(
    folder: Path,
    result: TuneResult,
    words: TuningWords,
    *,
    fingerprint: str,
    command: str,
    figures: Sequence[Form] | None = None,
) -> Path:
    """Write `report.html`, `figures/race.png` and `figures/race.svg` into a tuning's folder; return the page's path.

    Args:
        fingerprint: of the data or the code; "": unknown.
        command: what makes the tuning again; "": unknown.
        figures: the forms to write next to the page; None: both, where what draws them is installed.

    Raises:
        DiskFull: no space; files are whole or as they were.
        NotDrawn: pictures cannot be drawn; its `page` is written.
    """
    spec = pictures.spec(race_figure(result.spec, result.settled, result.traces))
    path = folder / "report.html"
    write_atomically(path, tuning_page(result, words, spec=spec, fingerprint=fingerprint, command=command).encode())
    try:
        for form in (("png", "svg") if can_draw() else ()) if figures is None else figures:
            svg = pictures.svg(spec)
            write_atomically(folder / "figures" / f"race.{form}", svg.encode() if form == "svg" else pictures.png(svg))
    except NotDrawn as error:
        error.page = path
        raise
    return path


def tuning_page(result: TuneResult, words: TuningWords, *, spec: dict[str, Any], fingerprint: str, command: str) -> str:
    """The page as text; `spec`: of its figure, in Vega-Lite."""
    asked, run, script = result.spec, result.run, pictures.bundle_js()
    title = spec.get("title", {})
    charged = sum(words.ledger.values())
    return render(
        "tuning.html.j2",
        title=asked.workload.title,
        question=message(
            "{task}, {facts}: a run of {steps:,} updates, seed {seed}, everything at most {budget:g} runs",
            task=asked.workload.heading,
            facts=joined("{one}, {other}", asked.workload.facts),
            steps=asked.steps,
            seed=asked.seed,
            budget=asked.budget,
        ),
        words=words,
        rows=[{**arm, "rate": rate(arm["rate"]), "end": message(arm["ended"])} for arm in words.arms],
        costs=[
            (message(name), f"{cost:,.0f}", f"{cost / asked.run_cost:.2f}")
            for name, cost in words.ledger.items()
            if cost
        ],
        total=(f"{charged:,.0f}", f"{charged / asked.run_cost:.2f}"),
        whole=asked.whole,
        strategy=run.strategy.text,
        forms=forms_of(run.strategy, run.workload, steps=run.steps, per_epoch=asked.steps_per_epoch, command=command),
        figure_title=title.get("text", message("The race")),
        pedigree=" ".join(title.get("subtitle", [])),
        chart=json_for_script(for_page(spec)),
        digest=asked.digest(),
        fingerprint=fingerprint,
        command=command,
        lane=asked.lane.text,
        spec_json=asked.model_dump_json(indent=2),
        style=page_style(),
        bundle=script,
        script=page_js(),
        policy=page_policy([page_js(), script]),
    )
