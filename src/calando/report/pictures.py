"""Charts as files, and the JavaScript that draws them in a page without network.

The SVG is made once and the PNG from it (at twice the size), since laying a chart out costs more than
turning it into pixels.
"""

from __future__ import annotations

import functools
import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calando.errors import UsageError
from calando.language import language, message, translated
from calando.records.files import write_atomically
from calando.report.drawing_process import check_can_draw, drawing_process
from calando.report.palette import HOVER

if TYPE_CHECKING:
    from calando.report.figures.theme import AnyChart

__all__ = ["bundle_js", "check_suffix", "png", "save", "spec", "svg"]

PNG_SCALE = 2
SUFFIXES = (".png", ".svg", ".html", ".json")


def save(chart: AnyChart, path: Path) -> None:
    """Write a chart in the format of the path's suffix. An .html file opens without a network.

    Raises:
        UsageError: the suffix is not .png, .svg, .html or .json.
        DiskFull: the disk is full; the file is unchanged.
        NotDrawn: what draws .png and .svg is not installed, or its process died.
    """
    suffix = check_suffix(path)
    if suffix == ".json":
        made = json.dumps(spec(chart), indent=1, allow_nan=False).encode()
    elif suffix == ".html":
        from calando.report.html import figure_page

        made = figure_page(spec(chart)).encode()
    else:
        drawn = svg(spec(chart))
        made = drawn.encode() if suffix == ".svg" else png(drawn)
    write_atomically(path, made)


def check_suffix(path: Path) -> str:
    """The suffix of a figure's file, so that a wrong one is refused before the work that it shows.

    Raises:
        UsageError: another than .png, .svg, .html or .json.
        NotDrawn: what draws .png and .svg is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            message(
                "a figure can be {SUFFIXES}, got {name!r}; choose one of these suffixes",
                SUFFIXES=", ".join(SUFFIXES),
                name=path.name,
            )
        )
    if suffix in (".png", ".svg"):
        check_can_draw()
    return suffix


def spec(chart: AnyChart) -> dict[str, Any]:
    """The chart as a Vega-Lite specification."""
    made: dict[str, Any] = chart.to_dict()
    if language() != "en":
        _name_fields(made)
    return made


def _name_fields(part: Any) -> None:
    """Under the pointer a field without a title has its name, which is English."""
    for one in part if isinstance(part, list) else part.values() if isinstance(part, dict) else ():
        _name_fields(one)
    tooltip = part.get("tooltip") if isinstance(part, dict) else None
    for one in tooltip if isinstance(tooltip, list) else [tooltip]:
        if isinstance(one, dict) and "field" in one:
            one.setdefault("title", translated(one["field"]))


def svg(chart: dict[str, Any]) -> str:
    """A Vega-Lite specification as SVG text.

    Raises:
        NotDrawn: what draws is not installed, or its process died; so for the next one.
    """
    return drawing_process().ask(ask="svg", chart=_still(chart), major=_vega_lite()).decode()


def _still(chart: dict[str, Any]) -> dict[str, Any]:
    """The same without what is there for a pointer alone."""
    layers = [layer for layer in chart.get("layer", []) if layer.get("description") != HOVER]
    return {**chart, "layer": layers} if layers else chart


def png(drawn: str) -> bytes:
    """SVG text as PNG, twice its size."""
    return drawing_process().ask(ask="png", svg=drawn, scale=PNG_SCALE)


@functools.cache
def bundle_js() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script (0.9 MB), which sets `window.vegaEmbed`.

    It comes with calando, so that a page needs neither a network nor vl-convert; `tools/embed_files.py` makes it.
    """
    packed = Path(__file__).parent / "templates" / "vega.js.gz"
    return gzip.decompress(packed.read_bytes()).decode()


def _vega_lite() -> str:
    """The major version of Vega-Lite that altair writes: "6"."""
    import altair as alt

    return str(alt.SCHEMA_VERSION.lstrip("v").split(".")[0])
