"""What Python functions return shows itself: a line or two of text, a figure or table in a notebook, and rows."""

import json
import pickle

import pytest
import torch

import calando as package

QUICK = {"steps": 6, "batch_size": 32, "threads": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return package.train("digits", "cosine", lr=0.05, folder=tmp_path_factory.mktemp("run"), **QUICK)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    home = tmp_path_factory.mktemp("studies")
    for name in ("a", "b"):
        package.compare("digits", "fixed", "cosine", lr=0.1, seeds=2, executor="inline", folder=home / name, **QUICK)
    return home


def is_short(answer):
    lines = repr(answer).splitlines()
    return len(lines) <= 2 and max(map(len, lines)) <= 200 and "array(" not in repr(answer) and "0x" not in repr(answer)


@pytest.mark.parametrize(
    "make",
    [
        lambda: package.plot("cosine", "wsd", "sgd | one_cycle | momentum: linear(1, 0.9)"),
        lambda: package.lint("cosine", "linear(1, 0, over=5) >> constant(0)", steps=1000),
        package.list_strategies,
        lambda: package.list_strategies("lion"),
        lambda: package.list_strategies("adamw"),
        package.list_workloads,
        package.list_schedules,
    ],
)
def test_an_answer_is_a_line_or_two_and_has_rows(make):
    answer = make()
    assert is_short(answer), repr(answer)
    rows = answer.table()
    assert rows
    assert all(row.keys() == rows[0].keys() for row in rows) or len(rows) == 2
    json.dumps(rows)
    assert repr(pickle.loads(pickle.dumps(answer))) == repr(answer)


@pytest.mark.parametrize("answer", [package.plot("cosine", steps=50), package.plot("one_cycle", steps=1)])
def test_what_can_be_drawn_is_a_figure_in_a_notebook(answer):
    shown = answer._repr_mimebundle_()
    assert shown["text/plain"] == repr(answer)
    assert "vega" in shown["text/html"]
    assert answer.plot().to_dict()["title"]["text"] == "The schedules"


@pytest.mark.parametrize(
    ("renderer", "kind", "held"),
    [("svg", "image/svg+xml", "<svg"), ("png", "image/png", "base64,iVBOR"), ("mimetype", "vegalite", None)],
)
def test_a_figure_of_any_renderer_is_in_the_html_that_a_notebook_prefers_or_there_is_none(renderer, kind, held):
    import altair

    with altair.renderers.enable(renderer):
        shown = package.plot("cosine", steps=50)._repr_mimebundle_()
    assert any(kind in name for name in shown)
    assert ("text/html" in shown) == (held is not None)
    assert held is None or held in shown["text/html"]


def test_a_run_shows_its_end_and_its_figure(trained):
    assert repr(trained) == str(trained)
    assert is_short(trained)
    assert is_short(trained.record)
    assert [row["step"] for row in trained.table()] == [6]
    assert "vega" in trained._repr_mimebundle_()["text/html"]


def test_studies_are_listed_newest_first_with_size_and_age(studies, monkeypatch):
    listed = package.studies(studies)
    assert [one.folder.name for one in listed] == ["b", "a"]
    assert [one.summary for one in package.show(studies)] == [one.summary for one in listed]
    assert all(one.size > 10_000 for one in listed)
    assert is_short(listed)
    (first, _) = listed.table()
    assert first.keys() == {"study", "hours", "MB", "verdict"}
    assert first["hours"] < 1
    assert first["verdict"].startswith("complete: ")
    assert "<td>complete: " in listed._repr_html_()
    (studies / "calando-studies").symlink_to(studies, target_is_directory=True)
    monkeypatch.chdir(studies)
    assert [one.folder.name for one in package.studies()] == ["b", "a"]
    assert [one.folder.name for one in package.show()] == ["b", "a"]


def test_a_comparison_has_a_table_with_its_verdict(studies):
    answer = package.show(studies / "a")
    rows = answer.table()
    assert [row["strategy"] for row in rows] == [one.name for one in answer.results]
    assert [row["verdict"] for row in rows] == [None, answer.comparisons[0].verdict]
    assert answer.headline.partition(":")[0] in answer._repr_html_()
    assert "<th>verdict</th>" in answer._repr_html_()


def test_folders_without_studies_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call in (package.studies, package.show, lambda: package.studies(tmp_path / "none")):
        with pytest.raises(package.UsageError, match="no studies in .*calando compare digits"):
            call()


PATHS = [
    "cosine(1, 0)",
    "linear(0, 1, over='2 epochs') >> cosine(1, 0)",
    "noam",
    "cosine(1, 0) * per_group({'no_decay': 0.1}, others=1)",
]


@pytest.mark.parametrize("text", PATHS)
def test_schedules_and_strategies_show_a_figure_and_a_table(text):
    schedule = package.parse(text)
    strategy = package.parse_strategy(
        "sgd(lr=0.1, weight_decay=0.1) | " + ("noam()" if text == "noam" else text) + " | ema()"
    )
    for value in (schedule, strategy):
        assert is_short(value)
        shown = value._repr_mimebundle_()
        assert shown["text/plain"] == repr(value)
        assert "vega" in shown["text/html"]
        assert "<table><tr><th>part</th>" in shown["text/html"]
        json.dumps(value.table())
        assert pickle.loads(pickle.dumps(value)) == value


def test_a_curve_shows_its_run_and_where_its_parts_begin():
    curve = package.parse("linear(0, 1, over='5%') >> cosine(1, 0)").bind(1000, steps_per_epoch=40)
    assert is_short(curve)
    assert [row["step"] for row in curve.table()] == [0, 50, 999]
    assert [row["multiplier"] for row in curve.table()][:2] == [0, 1]
    assert "vega" in curve._repr_mimebundle_()["text/html"]


def test_a_comparison_is_a_headline_a_figure_and_a_table(studies, tmp_path):
    answer = package.show(studies / "a")
    shown = answer._repr_mimebundle_()
    html = shown["text/html"]
    assert html.startswith("<p>")
    assert html.index("vega") < html.index("<th>verdict</th>")
    assert answer.plot().to_dict()["title"]
    assert package.draw(answer, tmp_path / "answer.json").stat().st_size > 0
    assert package.draw(package.parse("wsd"), tmp_path / "wsd.json").stat().st_size > 0


def test_a_range_test_shows_its_figure_its_rates_and_no_array(tmp_path):
    found = package.find("digits", steps=20, repeats=1, hold=3, batch_size=32, threads=1, device="cpu")
    (row,) = found.table()
    assert row["decayed"] == found.suggestion.decayed.rate
    assert "vega" in found._repr_mimebundle_()["text/html"]
    for part in (found, found["all"], found.held, found.curves, found.suggestion):
        assert "array(" not in repr(part)
        assert len(repr(part).splitlines()) < 12
    json.dumps(found.table())


def test_what_follows_a_training_shows_where_it_is_and_no_address():
    network = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    attached = package.attach(torch.optim.SGD(network.parameters(), lr=0.1), "cosine", total_steps=9)
    training = package.follow(network, "cosine", lr=0.1, total_steps=9)
    values = [
        training,
        attached,
        package.LRScheduler(optimizer, "cosine", total_steps=9),
        package.run("cosine", lr=0.1),
    ]
    assert all(is_short(value) for value in values), values
    assert [repr(value).endswith("update 0 of 9") for value in values[2:3]] == [True]


def test_what_has_nothing_to_draw_shows_its_text():
    long = package.parse("linear(0, 1, over='200000 steps') >> cosine(1, 0)")
    shown = long._repr_mimebundle_()
    assert shown["text/plain"] == repr(long)
    assert "vega" not in shown["text/html"]
    with pytest.raises(package.UsageError, match="only what plot, find"):
        package.draw(3, "three.png")
