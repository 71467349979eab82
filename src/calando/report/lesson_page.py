"""The page of a lesson: what its runs show, the runs, the figures, and how to use the schedules.

One file that opens with no network, as a study's page (`calando.report.html`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calando.analysis.lesson import Claim, claims_of
from calando.analysis.lesson_runs import RunReading, percent, read_runs
from calando.errors import NotDrawn
from calando.language import message
from calando.records.files import write_atomically
from calando.records.lesson import StoredLesson
from calando.report import pictures
from calando.report.drawing_process import can_draw
from calando.report.html import for_page, json_for_script, page_js, page_policy, page_style, render, specs_of
from calando.report.lesson_figures import lesson_figures
from calando.report.study_figures import Figure

__all__ = ["LessonContents", "lesson_contents", "lesson_page", "write_lesson_page"]

Form = Literal["png", "svg"]


@dataclass(frozen=True)
class LessonContents:
    """The page's words.

    Args:
        question: what was trained.
        several: there are several seeds.
        claims: what was looked for.
        networks: what each is, and its runs, read.
        texts: (name, text) of the strategies that are not one fixed rate.
        made: what made the runs, in words.
    """

    title: str
    question: str
    several: bool
    claims: tuple[Claim, ...]
    networks: tuple[tuple[str, str, tuple[RunReading, ...]], ...]
    texts: tuple[tuple[str, str], ...]
    made: str


def lesson_contents(stored: StoredLesson) -> LessonContents:
    """Put a lesson into words."""
    lesson = stored.lesson
    reads = read_runs(stored)
    runs = sum(len(records) for those in stored.runs.values() for records in those.values())
    seeds = message("seed 0" if stored.seeds == 1 else "{count} seeds", count=stored.seeds)
    first = next(iter(stored.runs[lesson.network].values()))[0]
    fixed = {lesson.fixed(rate) for rate in (*lesson.rates, lesson.start)}
    return LessonContents(
        title=message("{name}: what a learning rate does", name=message(lesson.name.replace("-", " ").capitalize())),
        several=stored.seeds > 1,
        question=message(
            "{runs} runs of at most {steps} updates on {data}, batch {batch}, {seeds}: {networks} networks of the same "
            "depth. Every sentence and number is read from these runs.",
            runs=runs,
            steps=lesson.steps,
            data=lesson.data,
            batch=lesson.batch_size,
            seeds=seeds,
            networks=len(lesson.networks),
        ),
        claims=claims_of(stored),
        networks=tuple(
            (network, message(lesson.networks[network]), tuple(those.values())) for network, those in reads.items()
        ),
        texts=tuple((name, read.text) for name, read in reads[lesson.network].items() if name not in fixed),
        made=f"{first.spec.lane.text}; {', '.join(f'{key} {value}' for key, value in stored.host.items())}",
    )


def lesson_page(stored: StoredLesson, *, drawn: Sequence[Figure], command: str = "") -> str:
    """The page as text, with the lesson's figures."""
    charts = {name: json_for_script(for_page(spec)) for name, spec in specs_of(drawn).items()}
    script = pictures.bundle_js()
    return render(
        "lesson.html.j2",
        page=lesson_contents(stored),
        figures=drawn,
        charts=charts,
        command=command,
        percent=percent,
        style=page_style(),
        bundle=script,
        script=page_js(),
        policy=page_policy([page_js(), script]),
    )


def write_lesson_page(
    folder: Path, stored: StoredLesson, *, command: str = "", figures: Sequence[Form] | None = None
) -> Path:
    """Write `report.html` and `figures/*.png`, `figures/*.svg` into `folder`; return the page's path.

    Args:
        folder: the lesson's folder.
        stored: the lesson's runs.
        command: command that reproduces them; "": unknown.
        figures: formats of the picture files. None: PNG and SVG, if the packages that draw them are installed.

    Raises:
        DiskFull: the disk is full; each file is complete or unchanged.
        NotDrawn: the pictures cannot be drawn; the page is written, and `page` of the error is its path.
    """
    forms = (("png", "svg") if can_draw() else ()) if figures is None else figures
    path = folder / "report.html"
    drawn = lesson_figures(stored)
    write_atomically(path, lesson_page(stored, drawn=drawn, command=command).encode())
    try:
        for name, spec in specs_of(drawn).items():
            if forms:
                svg = pictures.svg(spec)
            for form in forms:
                made = svg.encode() if form == "svg" else pictures.png(svg)
                write_atomically(folder / "figures" / f"{name}.{form}", made)
    except NotDrawn as error:
        error.page = path
        raise
    return path
