"""The page of `calando explain`: the reading first, then what it rests on, each figure with how to read it."""

from __future__ import annotations

import math
from pathlib import Path

from calando.analysis.looked import Looked
from calando.analysis.reading import FITS, USUAL, Reading
from calando.analysis.signals import SIGNALS
from calando.errors import UsageError
from calando.language import joined, message
from calando.records.files import write_atomically
from calando.records.probe import ProbeRow
from calando.report import pictures
from calando.report.drawing_process import can_draw
from calando.report.figures.looked import losses_figure
from calando.report.figures.probes import gradients_figure, ratios_figure, sharpness_figure
from calando.report.figures.theme import AnyChart, finished
from calando.report.html import for_page, json_for_script, page_js, page_policy, page_style, render, specs_of
from calando.report.study_figures import Figure

__all__ = ["explain_figure", "explain_page", "write_explain_page"]

TRUST = message(
    "The reading was made on eleven tasks with known ends (SGD, Adam, AdamW; batch, group and no normalisation; "
    "images, a table, speech). On five tasks set aside until its numbers were frozen it spoke in 66 % of the looks, "
    "and was right in 85 % of those. It sees one run of one seed while it is young. A race of several rates from one "
    "start (calando tune) sees more."
)

WORDS = {
    "loss": (
        message("Rate and loss"),
        message(
            "Too low a rate: the loss falls in an almost straight line, and slowly. Too high a rate: it jumps above"
            " chance level first (dashed), or stays there. Rings are the updates that were looked at."
        ),
    ),
    "sharpness": (
        message("Sharpness against its limit"),
        message(
            "The steepest curvature of the loss, as the optimizer sees it, and the most that it bears at this rate."
            " Far below the limit there is room for a higher rate; with small batches a good run stays at about a tenth"
            " of it."
        ),
    ),
    "ratios": (
        message("How far an update moves each layer"),
        message(
            "Each cell is |Δw| / |w| of a layer at a look. Near 1 % is usual at a good rate, a hundredth of that"
            " crawls; a layer far from the others is worth a rate of its own."
        ),
    ),
    "gradients": (
        message("The gradient by depth"),
        message(
            "A level line: every layer gets as much. A line that falls towards the input: gradients vanish on their way"
            " back, as they do without shortcuts or normalisation, and where the rate has driven weights too far."
            " A layer without a point gets none."
        ),
    ),
}
"""Figure -> its title, and how to read it."""


def _figures(looked: Looked, title: str) -> list[Figure]:
    """The figures that there is something for."""
    looks = [row.step for row in looked.rows]
    drawn = {
        "loss": losses_figure(looked.losses, looked.rates, chance=looked.chance, looks=looks),
        "sharpness": sharpness_figure(looked.rows),
        "ratios": ratios_figure(looked.rows),
        "gradients": gradients_figure(_next_to(looked), looked.twin),
    }
    pedigree = message("{title}; {looks}, n = 1", title=title, looks=looked.count)
    return [
        Figure(
            name,
            WORDS[name][0],
            _how_to_read(name, looked),
            pedigree,
            finished(chart, title=WORDS[name][0], subtitle=pedigree),
        )
        for name, chart in drawn.items()
        if chart is not None
    ]


def _how_to_read(name: str, looked: Looked) -> str:
    if name == "gradients" and looked.twin:
        twin = message("The plain twin is this network without its shortcuts.")
        return joined("{one} {other}", [WORDS[name][1], twin])
    return WORDS[name][1]


def _next_to(looked: Looked) -> list[ProbeRow]:
    """The rows at whose updates the twin was looked at too; without one all."""
    steps = {row.step for row in looked.twin}
    return [row for row in looked.rows if not steps or row.step in steps]


def explain_figure(looked: Looked, *, title: str) -> AnyChart:
    """Rate and loss, which everything else is read next to; the page has the others."""
    chart = losses_figure(looked.losses, looked.rates, chance=looked.chance, looks=[row.step for row in looked.rows])
    if chart is None:
        raise UsageError(message("no loss was seen yet, so there is nothing to draw"))
    return finished(chart, title=title, subtitle=message("{looks}, n = 1", looks=looked.count))


def explain_page(looked: Looked, reading: Reading, *, title: str, outcome: str = "") -> str:
    """The page as text."""
    drawn = _figures(looked, title)
    script = pictures.bundle_js()
    return render(
        "explain.html.j2",
        title=title,
        reading=reading,
        after=_after(reading, outcome),
        looked=looked,
        figures=drawn,
        signals=_signals(reading),
        trust=TRUST,
        charts={name: json_for_script(for_page(spec)) for name, spec in specs_of(drawn).items()},
        style=page_style(),
        bundle=script,
        script=page_js(),
        policy=page_policy([page_js(), script]),
    )


def _after(reading: Reading, outcome: str) -> str:
    """When it was looked at, which rate would be right, and how the run ended."""
    text: str = message("After {step:,} of {total:,} updates", step=reading.step, total=reading.total_steps)
    if reading.instead:
        text = message("{after}: {instead}", after=text, instead=reading.instead)
    if outcome:
        text = joined("{one}; {other}", [text, outcome])
    return message("{sentence}.", sentence=text)


def write_explain_page(path: Path, looked: Looked, reading: Reading, *, title: str, outcome: str = "") -> None:
    """Write the page, and its figures as PNG next to it where what draws them is installed."""
    write_atomically(path, explain_page(looked, reading, title=title, outcome=outcome).encode())
    if can_draw():
        for name, spec in specs_of(_figures(looked, title)).items():
            write_atomically(path.parent / "figures" / f"{name}.png", pictures.png(pictures.svg(spec)))


def _signals(reading: Reading) -> list[tuple[str, str, str, str, str]]:
    """Name, value, usual value, what it speaks in, and what it is: on a phone the numbers are seen first."""
    high = set(FITS["too high"].terms)
    low = {name for fit in ("too low", "too low, with sharpness") for name in FITS[fit].terms}
    distance = {name for fit in ("distance", "distance, with sharpness") for name in FITS[fit].terms}
    speaking = dict.fromkeys(distance, message("the factor"))
    speaking |= dict.fromkeys(low, message("too low")) | dict.fromkeys(high, message("too high"))
    speaking |= dict.fromkeys(high & low, message("both"))
    rows: list[tuple[str, str, str, str, str]] = []
    for name in SIGNALS:
        value = reading.signals.get(name, math.nan)
        if math.isfinite(value):
            speaks = speaking.get(name, message("nothing"))
            numbers = f"{value:.3g}", f"{USUAL[name]:.2g}"
            rows.append((message(name), *numbers, speaks, message(SIGNALS[name])))
    return rows
