"""Charts as files, and the JavaScript that draws them in a page without network.

The SVG is made once and the PNG from it (at twice the size), since laying a chart out costs more than
turning it into pixels.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calando.errors import UsageError
from calando.records.files import write_atomically

if TYPE_CHECKING:
    from calando.report.figures.theme import AnyChart

__all__ = ["bundle_js", "png", "save", "spec", "svg"]

PNG_SCALE = 2
SUFFIXES = (".png", ".svg", ".html", ".json")


def save(chart: AnyChart, path: Path) -> None:
    """Write a chart in the form its suffix names; an .html opens with no network.

    Raises:
        UsageError: another suffix than .png, .svg, .html or .json.
        DiskFull: no space; `path` is as it was.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"a figure can be {', '.join(SUFFIXES)}, got {path.name!r}; choose one of these suffixes")
    if suffix == ".json":
        made = json.dumps(spec(chart), indent=1, allow_nan=False).encode()
    elif suffix == ".html":
        from calando.report.html import figure_page

        made = figure_page(spec(chart)).encode()
    else:
        drawn = svg(spec(chart))
        made = drawn.encode() if suffix == ".svg" else png(drawn)
    write_atomically(path, made)


def spec(chart: AnyChart) -> dict[str, Any]:
    """The chart as a Vega-Lite specification."""
    made: dict[str, Any] = chart.to_dict()
    return made


def svg(chart: dict[str, Any]) -> str:
    """A Vega-Lite specification as SVG text."""
    import vl_convert

    # Our data is inline: no address may be fetched, whatever a strategy's name looks like.
    drawn: str = vl_convert.vegalite_to_svg(chart, vl_version=_vega_lite(), allowed_base_urls=[])
    return drawn


def png(drawn: str) -> bytes:
    """SVG text as PNG, twice its size."""
    import vl_convert

    pixels: bytes = vl_convert.svg_to_png(drawn, scale=PNG_SCALE)
    return pixels


@functools.cache
def bundle_js() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script (0.9 MB, takes 2 s), which sets `window.vegaEmbed`."""
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", _vega_lite())
    return script


def _vega_lite() -> str:
    """The newest Vega-Lite that vl-convert has of the major version altair writes: "6.1"."""
    import altair as alt
    import vl_convert

    major = alt.SCHEMA_VERSION.lstrip("v").split(".")[0]
    known = [version for version in vl_convert.get_vegalite_versions() if version.split(".")[0] == major]
    return str(known[-1] if known else vl_convert.get_vegalite_versions()[-1])
