"""Make docs/reference/schedules and its pictures: every schedule with its formula, drawn over
1,000 steps of 100 an epoch; and the picture of three schedules in the README.

    python tools/draw_schedules.py [FOLDER]        FOLDER: docs, unless another is given

A schedule joins the page by being registered, with its example.
"""

from __future__ import annotations

import sys
from pathlib import Path

import altair as alt
import numpy as np

from calando.records.files import write_atomically
from calando.report import save, schedule_figure
from calando.report.figures.theme import GRID, INK, MUTED, csv_data
from calando.report.palette import COLOURS
from calando.report.pictures import svg
from calando.report.series import thinned
from calando.schedules import describe, named_function, parse
from calando.schedules.known_schedules import FAMILIES, example_of

STEPS, STEPS_PER_EPOCH = 1000, 100

INTRODUCTION = f"""# Every schedule

Drawn over {STEPS:,} steps, {STEPS_PER_EPOCH} an epoch. Values multiply the base rate.
Lengths are `'5%'` of the run, `'2 epochs'`, `'500 steps'` or `500`. `calando plot TEXT` draws any of them, and

- `a >> b`: a, then b; one part of a chain may lack a length, and takes what is left;
- `a * b`, `a + b`, `a * 0.5`: side by side.

In Python they are `calando.schedules.NAME`, with arguments, formula and source in their docstrings.
Which one? [Choosing a schedule](../../how-to/choosing-a-schedule.md). Coming from torch?
[From torch to calando](../../how-to/from-torch.md).
"""

# The picture in the README.
THREE = (
    "linear(0.01, 1, over='5%') >> cosine(1, 0)",
    "linear(0.01, 1, over='5%') >> constant(1) >> one_minus_sqrt(1, 0, over='20%')",
    "cosine_restarts(first='20%', limit=5, decay=0.8)",
)


@named_function("three waves")
def three_waves(p: float) -> float:
    """A function of one's own."""
    return float((1 - p) * (1 + np.cos(6 * np.pi * p)) / 2)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs"
    pictures = folder / "pictures" / "schedules"
    pictures.mkdir(parents=True, exist_ok=True)
    drawn = {entry.name: example_of(entry.name) for entry in describe()}
    for stale in {path.stem for path in pictures.glob("*.svg")} - drawn.keys():
        (pictures / f"{stale}.svg").unlink()
    for name, text in drawn.items():
        write_atomically(pictures / f"{name}.svg", picture(text).encode())
    reference = folder / "reference" / "schedules"
    reference.mkdir(parents=True, exist_ok=True)
    for stale in {path.name for path in reference.glob("*.md")} - pages().keys():
        (reference / stale).unlink()
    for name, text in pages().items():
        write_atomically(reference / name, text.encode())
    values = {text: parse(text).bind(STEPS).sample() for text in THREE}
    save(schedule_figure(values, title="Three schedules"), folder / "pictures" / "three-schedules.svg")


def pages() -> dict[str, str]:
    """File below docs/reference/schedules -> its text: a page a family, and one that lists them."""
    entries = describe()
    families = [family for family in FAMILIES if any(entry.family == family.title for entry in entries)]
    names = {family.title: family.title.lower().replace(" ", "-") for family in families}
    listed = "\n".join(names.values())
    written = {"index.md": f"{INTRODUCTION}\n```{{toctree}}\n{listed}\n```\n"}
    for family in families:
        lines = [f"# {family.title}", "", family.purpose, ""]
        for entry in (entry for entry in entries if entry.family == family.title):
            name, text = entry.name, example_of(entry.name)
            lines += [f"## {name}", "", f"{entry.summary}.", "", f"![{name}](../../pictures/schedules/{name}.svg)", ""]
            lines += ["```text", entry.signature, f"= {entry.formula}"]
            lines += [] if text == entry.signature else [f"drawn: {text}"]
            lines += ["```", ""]
        written[f"{names[family.title]}.md"] = "\n".join(lines)
    return written


def picture(text: str) -> str:
    """A schedule's values as a small SVG, one line for each parameter group it tells apart."""
    schedule = parse(text)
    names = schedule.group_names or ("every group",)
    rows = []
    for group in names:
        values = schedule.for_group(group).bind(STEPS, steps_per_epoch=STEPS_PER_EPOCH).sample()
        rows += [{"group": group, "step": int(t), "rate": float(values[t])} for t in thinned(values)]
    axis = {"title": None, "tickCount": 3, "gridColor": GRID, "labelColor": MUTED, "domainColor": GRID, "ticks": False}
    legend = alt.Legend(title=None, orient="right", labelColor=INK) if len(names) > 1 else None
    chart = (
        alt.Chart(csv_data(rows), width=260, height=100)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("step:Q", scale=alt.Scale(domain=[0, STEPS], nice=False), axis=alt.Axis(**axis)),
            y=alt.Y("rate:Q", scale=alt.Scale(zero=True), axis=alt.Axis(**axis)),
            color=alt.Color(
                "group:N", scale=alt.Scale(domain=list(names), range=list(COLOURS[: len(names)])), legend=legend
            ),
        )
        .configure_view(stroke=None)
    )
    return svg(chart.to_dict())


if __name__ == "__main__":
    main()
