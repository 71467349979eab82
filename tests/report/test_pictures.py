"""Charts become the file their suffix names, whole or not at all."""

import json
import struct
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from calando.errors import UsageError
from calando.report import save, schedule_figure
from calando.report.figures.theme import WIDTH


@pytest.fixture(scope="module")
def chart():
    return schedule_figure({"linear": np.linspace(1, 0, 100)})


def test_png_is_twice_the_size_of_svg(chart, tmp_path):
    save(chart, tmp_path / "a.png")
    save(chart, tmp_path / "a.SVG")
    width = float(ET.parse(tmp_path / "a.SVG").getroot().get("width"))
    head = (tmp_path / "a.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I", head[16:20])[0] == pytest.approx(2 * width, abs=2)
    assert width > WIDTH


def test_json_is_the_specification(chart, tmp_path):
    save(chart, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == chart.to_dict()


def test_html_holds_all_it_needs(chart, tmp_path):
    save(chart, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert page.count("<script") == page.count("</script>") == 3
    assert "src=" not in page.split("<script>")[0]
    assert "default-src &#39;none&#39;" in page


def test_another_suffix_is_refused_and_nothing_written(chart, tmp_path):
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.html, \.json, got 'a\.gif'"):
        save(chart, tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []
