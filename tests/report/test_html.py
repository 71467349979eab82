"""The page holds everything, runs nothing but its own scripts, and says what is missing."""

import base64
import hashlib
import html as html_text
import json
import re
from html.parser import HTMLParser

import pytest

from calando.errors import DiskFull
from calando.report import html, write_page
from calando.report.formatting import spread
from calando.report.html import json_for_script
from calando.report.study_figures import study_figures

COMMAND = "calando compare digits --seeds 3 && echo '<b>'"


class Page(HTMLParser):
    """Elements in order, the text of scripts by their attributes, and the text a reader sees."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.scripts, self.seen = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append((dict(attributes), ""))

    def handle_data(self, data):
        if self.lasttag == "script":
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))
        elif self.lasttag != "style":
            self.seen += data

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.lasttag = ""


@pytest.fixture(scope="module")
def pages(made, tmp_path_factory):
    """name of a state -> its page, written once, without pictures."""
    known = {}

    def write(name):
        if name not in known:
            study = made(name)
            path = write_page(
                tmp_path_factory.mktemp("report"), study.summary, study.runs, study.tests,
                fingerprint="digits 1f2e", command=COMMAND, figures=(),
            )  # fmt: skip
            known[name] = path.read_text(encoding="utf-8")
        return known[name]

    return write


def test_only_our_own_elements_come_out_of_hostile_names(pages, made):
    plain, hostile = Page(pages("target")), Page(pages("hostile"))
    kinds = {tag for tag, _ in plain.tags}
    assert {tag for tag, _ in hostile.tags} == kinds
    assert len(hostile.scripts) == len(plain.scripts) == 9
    assert all(not name.startswith("on") for _, attributes in hostile.tags for name in attributes)
    for name in (strategy.name for strategy in made("hostile").study.strategies):
        assert name in hostile.seen
    assert COMMAND in hostile.seen


def test_the_data_in_the_page_is_what_was_drawn(pages, made):
    study = made("hostile")
    embedded = {
        one["data-chart"]: json.loads(text) for one, text in Page(pages("hostile")).scripts if "data-chart" in one
    }
    drawn = study_figures(study.summary, study.runs)
    assert list(embedded) == [figure.name for figure in drawn if figure.chart is not None]
    for figure in drawn:
        assert embedded[figure.name]["datasets"] == figure.chart.to_dict()["datasets"]


def test_the_policy_admits_exactly_the_scripts_of_the_page(pages):
    page = Page(pages("target"))
    policy = next(one["content"] for tag, one in page.tags if tag == "meta" and one.get("http-equiv"))
    ours = [text for attributes, text in page.scripts if "type" not in attributes]
    hashes = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in ours}
    assert set(re.findall(r"'sha256-([^']+)'", policy)) == hashes
    assert policy.startswith("default-src 'none';")
    assert "connect-src" not in policy


def test_nothing_is_fetched(pages):
    page = Page(pages("target"))
    fetching = [one for _, one in page.tags if {"src", "srcset", "action"} & one.keys()]
    assert fetching == []
    assert [one["href"] for tag, one in page.tags if "href" in one] == ["data:,"]


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "\u2028&amp;", '"\\'])
def test_json_in_a_script_reads_back_and_ends_nothing(text):
    made = json_for_script({text: text})
    assert json.loads(made) == {text: text}
    assert not set(made) & set("<>&\u2028")


def test_the_verdict_comes_first_and_the_table_says_what_the_summary_says(pages, made):
    text, summary = pages("one fails"), made("one fails").summary
    seen = " ".join(Page(text).seen.split())
    assert (
        seen.index(summary.headline) < seen.index("The strategies, best first") < seen.index("The rate each strategy")
    )
    for result in summary.results:
        assert spread(result.test) in seen
        assert spread(result.validation) in seen
        assert result.text in seen
        if result.note:
            assert f"{result.name}: {result.note}." in seen
    for one in summary.comparisons:
        assert one.text in seen


def test_every_figure_has_its_pedigree_below_it(pages, made):
    study = made("one fails")
    text = html_text.unescape(pages("one fails"))
    for figure in study_figures(study.summary, study.runs):
        assert f"<figcaption>{figure.pedigree}</figcaption>" in text


def test_every_number_can_be_traced_to_its_spec(pages, made):
    study, seen = made("one fails"), Page(pages("one fails")).seen
    for digest in study.runs:
        assert digest in seen
    assert study.study.model_dump_json(indent=2) in seen
    assert all(said in seen for said in (study.study.digest(), "digits 1f2e", COMMAND))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("empty", "The rate is still being chosen for fixed, step, cosine, one-cycle, adamw."),
        ("half", "Seeds are still to run for step"),
        ("finals", "Test scores are read once, when every run is done."),
    ],
)
def test_what_is_missing_is_said(pages, state, said):
    seen = " ".join(Page(pages(state)).seen.split())
    assert "Not finished." in seen
    assert said in seen
    assert "To use" not in seen


def test_a_complete_study_misses_nothing_and_recommends_what_held_out(pages, made):
    assert "Not finished" not in pages("target")
    assert f"<code>{html_text.escape(made('target').summary.results[0].text)}</code>" in html_text.unescape(
        pages("target")
    )
    assert "To use" not in pages("all diverged")


def test_the_page_is_small_and_the_same_each_time(made, pages):
    study = made("thirteen")
    assert len(pages("thirteen").encode()) < 2_000_000
    again = html.study_page(
        study.summary, study.runs, study.tests, fingerprint="x", command="", drawn=[], specs={}, script="s"
    )
    assert again == html.study_page(
        study.summary, study.runs, study.tests, fingerprint="x", command="", drawn=[], specs={}, script="s"
    )


def test_pictures_lie_beside_the_page(made, tmp_path):
    study = made("alone")
    path = write_page(
        tmp_path, study.summary, study.runs, study.tests, fingerprint="x", command=COMMAND, figures=("png", "svg")
    )
    assert path == tmp_path / "report.html"
    drawn = [figure.name for figure in study_figures(study.summary, study.runs) if figure.chart is not None]
    assert sorted(file.name for file in (tmp_path / "figures").iterdir()) == sorted(
        f"{name}.{form}" for name in drawn for form in ("png", "svg")
    )


def test_a_full_disk_leaves_the_old_page(made, tmp_path, monkeypatch):
    (tmp_path / "report.html").write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("calando.records.files.os.fsync", full)
    study = made("alone")
    with pytest.raises(DiskFull):
        write_page(tmp_path, study.summary, study.runs, study.tests, fingerprint="x", command="", figures=())
    assert (tmp_path / "report.html").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
