"""The page of a study: the verdict, the table, the figures, and what made each number.

`report.html` is one file that opens with no network: it holds the drawing script once, the figures as
Vega-Lite specifications, and its own style. A content security policy admits only the scripts whose hashes it
lists, so that neither a strategy's name nor anything else in the data can run or fetch anything.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from calando.analysis.results import StudySummary
from calando.errors import NotDrawn
from calando.language import LANGUAGES, Message, _, capitalized, language, translated
from calando.records.files import write_atomically
from calando.records.record import RunRecord, TestScore
from calando.report import pictures
from calando.report.drawing_process import can_draw
from calando.report.page_contents import page_contents

if TYPE_CHECKING:
    from calando.report.study_figures import Figure

__all__ = [
    "figure_page",
    "for_page",
    "json_for_script",
    "page_js",
    "page_policy",
    "page_style",
    "render",
    "specs_of",
    "study_page",
    "write_page",
]

Form = Literal["png", "svg"]


def write_page(
    folder: Path,
    summary: StudySummary,
    runs: Mapping[str, RunRecord],
    tests: Mapping[str, TestScore],
    *,
    fingerprint: str,
    command: str,
    figures: Sequence[Form] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write `report.html` and `figures/*.png`, `figures/*.svg` into `folder`; return the page's path.

    It works at any stage of a study; the page names what is missing. The page is written first, without the packages
    that the pictures need.

    Args:
        folder: the study's folder.
        summary: what `analysis.summary.summarize` returned.
        runs, tests: what it was computed from.
        fingerprint: fingerprint of the data.
        command: command that reproduces the study; "": unknown.
        figures: formats of the picture files. None: PNG and SVG, if the packages that draw them are installed.
        progress: called with how many figures are drawn, and of how many.

    Raises:
        DiskFull: the disk is full; each file is complete or unchanged.
        NotDrawn: the pictures cannot be drawn; the page is written, and `page` of the error is its path.
    """
    from calando.report.study_figures import study_figures

    forms = (("png", "svg") if can_draw() else ()) if figures is None else figures
    drawn = study_figures(summary, runs)
    specs = specs_of(drawn)
    page = study_page(
        summary,
        runs,
        tests,
        fingerprint=fingerprint,
        command=command,
        drawn=drawn,
        specs=specs,
        script=pictures.bundle_js(),
    )
    path = folder / "report.html"
    write_atomically(path, page.encode())
    try:
        for done, (name, spec) in enumerate(specs.items()):
            if forms and progress is not None:
                progress(done, len(specs))
            if forms:
                svg = pictures.svg(spec)
            for form in forms:
                made = svg.encode() if form == "svg" else pictures.png(svg)
                write_atomically(folder / "figures" / f"{name}.{form}", made)
    except NotDrawn as error:
        error.page = path
        raise
    return path


def study_page(
    summary: StudySummary,
    runs: Mapping[str, RunRecord],
    tests: Mapping[str, TestScore],
    *,
    fingerprint: str,
    command: str,
    drawn: Sequence[Figure],
    specs: Mapping[str, dict[str, Any]],
    script: str | None = None,
) -> str:
    """The page as text.

    Args:
        summary, runs, tests, fingerprint, command: as for `write_page`.
        drawn: the study's figures.
        specs: figure name -> its Vega-Lite specification, for those that have a chart.
        script: the drawing script to put into the page; None for the live page, which loads it from its server.
    """
    page = page_contents(summary, runs, tests, command=command)
    charts = {name: json_for_script(for_page(spec)) for name, spec in specs.items()}
    return render(
        "report.html.j2",
        page=page,
        figures=drawn,
        charts=charts,
        fingerprint=fingerprint,
        command=command,
        live=script is None,
        style=page_style(),
        bundle=script,
        script=page_js(),
        policy=page_policy([page_js(), script] if script else []),
    )


def specs_of(drawn: Sequence[Figure]) -> dict[str, dict[str, Any]]:
    """Figure name -> its Vega-Lite specification, for those that have a chart."""
    return {figure.name: pictures.spec(figure.chart) for figure in drawn if figure.chart is not None}


def figure_page(spec: dict[str, Any]) -> str:
    """One chart as a page that opens with no network."""
    script = pictures.bundle_js()
    title = spec.get("title", {})
    return render(
        "figure.html.j2",
        title=title.get("text", "A figure"),
        pedigree=" ".join(title.get("subtitle", [])),
        chart=json_for_script(for_page(spec)),
        style=page_style(),
        bundle=script,
        script=page_js(),
        policy=page_policy([page_js(), script]),
    )


def page_js() -> str:
    """The page's own script: draws the figures and links their legends."""
    return _text("page.js")


def for_page(spec: dict[str, Any]) -> dict[str, Any]:
    """A specification for the page: as wide as its place, on the page's ground, its title left to the page."""
    fitted = {key: value for key, value in spec.items() if key != "title"}
    fitted["config"] = {**spec.get("config", {}), "background": "transparent", "padding": 4}
    if "vconcat" not in fitted:
        fitted["width"] = "container"
        fitted["autosize"] = {"type": "fit-x", "contains": "padding"}
    return fitted


def json_for_script(value: object) -> str:
    """JSON that may stand inside <script>: nothing in it ends the element, whatever the strings hold.

    >>> json_for_script({"name": "</script><b>"})
    '{"name":"\\\\u003c/script\\\\u003e\\\\u003cb\\\\u003e"}'
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page_style() -> str:
    """The style of every page."""
    return _text("style.css")


def page_policy(scripts: Sequence[str]) -> str:
    """The content security policy of a file: these scripts alone, and none made of text while they run."""
    if not scripts:
        return ""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def render(template: str, /, **values: Any) -> str:
    """A page from its template."""
    return str(_templates().get_template(template).render(values, language=LANGUAGES[language()]))


@functools.cache
def _text(name: str) -> str:
    """A file next to the templates, as it is."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


@functools.cache
def _templates() -> Any:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: translated(value) if isinstance(value, Message) else value,
    )
    made.globals["_"] = _
    made.filters |= {"capitalized": capitalized, "translated": translated}
    return made
