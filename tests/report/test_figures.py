"""Every figure of every state of a study draws, and shows what the records hold."""

import csv
import dataclasses
import io
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.fabricate import make_record, make_study

from calando.analysis.results import Comparison
from calando.records.record import Event
from calando.report import pictures
from calando.report.figures import forest_figure, schedule_figure, training_figure
from calando.report.figures.theme import csv_data
from calando.report.palette import line_styles
from calando.report.study_figures import study_figures

ORDER = ["rates", "loss", "score", "sensitivity", "differences", "cost", "target"]


READ = {"number": float, "string": str, "boolean": lambda text: text == "true"}


def sources(spec):
    """Every data source of a specification, wherever it hangs."""
    if isinstance(spec, dict):
        if isinstance(spec.get("data"), dict):
            yield spec["data"]
        for key, part in spec.items():
            if key != "datasets":
                yield from sources(part)
    elif isinstance(spec, list):
        for part in spec:
            yield from sources(part)


def rows(spec):
    """All data of a specification, each set once, read as the browser reads it."""
    formats = {source["name"]: source["format"]["parse"] for source in sources(spec)}
    return [
        {name: READ[formats[source][name]](value) for name, value in row.items()}
        for source, text in spec["datasets"].items()
        for row in csv.DictReader(io.StringIO(text))
    ]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1), st.floats(-1e9, 1e9))
def test_data_reads_back_whatever_a_strategy_is_called(names, value):
    source = csv_data([{"strategy": name, "value": value, "done": True, "n": 3} for name in names])
    read = list(csv.DictReader(io.StringIO(source.values)))
    assert [row["strategy"] for row in read] == names
    assert {row["done"] for row in read} == {"true"}
    assert all(float(row["value"]) == pytest.approx(value, rel=1e-4) and row["n"] == "3" for row in read)
    assert source.format.parse == {"strategy": "string", "value": "number", "done": "boolean", "n": "number"}


def encodings(spec):
    """The encodings of all layers."""
    return [layer["encoding"] for layer in spec.get("layer", [spec])]


def legends(spec):
    """The scale of each channel whose legend lists strategies."""
    return [
        encoding[channel]["scale"]
        for encoding in encodings(spec)
        for channel in ("stroke", "fill")
        if encoding.get(channel, {}).get("field") == "strategy"
    ]


def test_every_figure_draws_or_says_why_not(study, capfd):
    drawn = study_figures(study.summary, study.runs)
    assert [figure.name for figure in drawn] == ORDER
    for figure in drawn:
        assert figure.title
        assert figure.reading.endswith((".", "line."))
        assert (figure.chart is None) == (figure.pedigree == "")
        if figure.chart is not None:
            spec = pictures.spec(figure.chart)
            json.dumps(spec, allow_nan=False)
            assert rows(spec)
            assert spec["title"]["text"] == figure.title
            assert " ".join(spec["title"]["subtitle"]) == figure.pedigree
            ET.fromstring(pictures.svg(spec))
    assert capfd.readouterr().err == ""


def test_a_complete_study_has_every_figure(made):
    assert all(figure.chart is not None for figure in study_figures(made("thirteen").summary, made("thirteen").runs))


def test_strategies_keep_their_colour_in_every_figure_and_are_listed_best_first(made):
    study = made("thirteen")
    styles = line_styles(strategy.name for strategy in study.study.strategies)
    ranked = [result.name for result in study.summary.results]
    found = 0
    for figure in study_figures(study.summary, study.runs):
        for scale in legends(pictures.spec(figure.chart)):
            assert scale["domain"] == ranked
            assert scale["range"] == [styles[name].colour for name in ranked]
            found += 1
    assert found >= 6


def test_rates_are_those_of_the_records(made):
    study = made("thirteen")
    spec = pictures.spec(study_figures(study.summary, study.runs)[0].chart)
    records = {record.spec.digest(): record for record in study.runs.values()}
    for result in study.summary.results:
        run = study.study.run(study.study.strategy(result.name).at_rate(result.lr), seed=0)
        rates = records[run.digest()].rates
        drawn = [(row["step"], row["rate"]) for row in rows(spec) if row["strategy"] == result.name]
        floor = min(row["rate"] for row in rows(spec))
        assert all(rate == pytest.approx(max(rates[int(step)], floor), rel=1e-4) for step, rate in drawn)
        assert {drawn[0][0], drawn[-1][0]} == {0, len(rates) - 1}
        assert len(drawn) <= 400


def test_a_diverged_trial_lies_at_the_bottom_and_the_chosen_one_is_marked(made):
    study = made("thirteen")
    spec = pictures.spec(study_figures(study.summary, study.runs)[3].chart)
    points = rows(spec)
    failed = [row for row in points if row["kind"] == "diverged"]
    assert {(row["strategy"], row["lr"]) for row in failed} == {("step", 1.0)}
    assert failed[0]["y"] == max(row["y"] for row in points)
    chosen = {row["strategy"]: row["lr"] for row in points if row["kind"] == "chosen"}
    assert chosen == {
        result.name: pytest.approx(result.lr, rel=1e-4) for result in study.summary.results if result.name in chosen
    }
    assert len(chosen) == 13


def compared(*, low, high, verdict="cannot distinguish", name="a"):
    middle = (low + high) / 2
    return Comparison(name, "best", 3, middle, low, high, 0.95, 0.5, verdict, f"{name}: {verdict}")


def test_the_forest_axis_holds_every_interval_and_zero():
    for comparisons in (
        [compared(low=-0.02, high=0.01)],
        [compared(low=-0.03, high=-0.02, verdict="worse")],
        [compared(low=0.0, high=0.0)],
        [compared(low=-0.02, high=0.01), compared(low=-0.91, high=-0.89, verdict="worse", name="b")],
    ):
        spec = pictures.spec(forest_figure(comparisons))
        low, high = encodings(spec)[1]["x"]["scale"]["domain"]
        assert all(low <= 100 * one.low and 100 * one.high <= high for one in comparisons)
        assert low <= 0 <= high
        ET.fromstring(pictures.svg(spec))


def test_one_failed_strategy_does_not_flatten_the_others():
    usual = [compared(low=-0.02, high=0.01, name=name) for name in "ab"]
    failed = compared(low=-0.91, high=-0.89, verdict="worse", name="c")
    scales = [encodings(pictures.spec(forest_figure(those)))[1]["x"]["scale"] for those in (usual, [*usual, failed])]
    assert [scale.get("type") for scale in scales] == [None, "symlog"]


def test_every_strategy_and_kind_of_cost_is_a_bar(made):
    study = made("one fails")
    spec = pictures.spec(study_figures(study.summary, study.runs)[5].chart)
    bars = {(row["strategy"], row["kind"]): row["steps"] for row in rows(spec)}
    for result in study.summary.results:
        assert bars[result.name, "rate trials"] == result.steps_trials
        assert bars[result.name, "final runs"] == result.steps_final
    assert sum(bars.values()) == sum(record.steps_done for record in study.runs.values())


def test_every_seed_is_a_mark_of_the_target_figure(made):
    study = made("one fails")
    spec = pictures.spec(study_figures(study.summary, study.runs)[6].chart)
    for result in study.summary.results:
        marks = sorted(
            (row["seed"], row["step"], row["reached"]) for row in rows(spec) if row["strategy"] == result.name
        )
        assert marks == [
            (seed, 120 if step is None else step, step is not None) for seed, step in enumerate(result.steps_to_target)
        ]


@pytest.mark.parametrize("log", [False, True])
def test_schedules_are_drawn_from_zero_and_from_texts_of_any_length(log):
    curves = {"a" * 200: np.linspace(1, 0, 50), "up": np.linspace(0, 1, 80), "zero": np.zeros(80)}
    spec = pictures.spec(schedule_figure(curves, log=log))
    assert {row["strategy"] for row in rows(spec)} == ({"a" * 200, "up"} if log else set(curves))
    assert encodings(spec)[0]["x"]["scale"]["domain"] == [0, 80]
    ET.fromstring(pictures.svg(spec))


@pytest.mark.parametrize("log", [False, True])
def test_hyper_parameters_have_a_panel_each_and_a_name_one_look(log, recwarn):
    curves = {"a": np.linspace(1, 0, 50), "b": np.linspace(0, 1, 80)}
    others = {"momentum": {"b": np.linspace(0.9, 1, 80)}, "weight_decay": {"b": np.ones(80), "c": np.zeros(80)}}
    spec = pictures.spec(schedule_figure(curves, others=others, log=log))
    assert not recwarn
    assert [panel["encoding"]["y"]["title"] for panel in spec["vconcat"]] == [
        "multiplier of the base rate", "multiplier of momentum", "multiplier of weight_decay"
    ]  # fmt: skip
    for panel in spec["vconcat"]:
        assert panel["encoding"]["x"]["scale"]["domain"] == [0, 80]
        assert panel["encoding"]["stroke"]["scale"]["domain"] == ["a", "b", "c"]
    drawn = []
    for panel in spec["vconcat"]:
        own = panel["data"]["name"]
        drawn.append({row["strategy"] for row in rows({**panel, "datasets": {own: spec["datasets"][own]}})})
    assert drawn == [{"a", "b"}, {"b"}, {"b", "c"}]
    zero = [panel["encoding"]["y"]["scale"].get("zero") for panel in spec["vconcat"][1:]]
    assert zero == [False, True]
    ET.fromstring(pictures.svg(spec))


@pytest.mark.parametrize("diverge_at", [None, 1, 3, 70])
def test_one_run_is_drawn_whatever_became_of_it(diverge_at):
    study = make_study(("cosine",), seeds=1, steps=100)
    record = make_record(study.run(study.strategies[0].at_rate(0.1), seed=0), diverge_at=diverge_at)
    record = dataclasses.replace(record, events=(Event(10, "plateau", "rate x 0.1"),))
    spec = pictures.spec(training_figure(record))
    panels = 3 if record.evaluations else 2
    assert len(spec["vconcat"]) == panels
    assert ("diverged" in spec["title"]["text"]) == (diverge_at is not None)
    ET.fromstring(pictures.svg(spec))


def test_a_run_that_died_at_once_is_drawn():
    study = make_study(("cosine",), seeds=1, steps=100)
    record = make_record(study.run(study.strategies[0].at_rate(0.1), seed=0), diverge_at=1)
    nothing = np.array([], dtype=np.float32)
    record = dataclasses.replace(record, steps_done=0, losses=nothing, rates=nothing.astype(np.float64))
    assert pictures.spec(training_figure(record))["title"]["text"].endswith("diverged after step 0")


@pytest.mark.parametrize("name", ["loss", "score"])
def test_the_pointer_shows_a_bands_numbers_also_where_runs_diverged(made, name):
    study = made("one fails")
    chart = next(one.chart for one in study_figures(study.summary, study.runs) if one.name == name)
    layers = pictures.spec(chart)["layer"]
    crosses = [one for one in layers if one["mark"].get("shape") == "cross"]
    assert len(crosses) == (name == "loss")
    assert all("seed" in {shown["field"] for shown in one["encoding"]["tooltip"]} for one in crosses)
    assert {shown["field"] for shown in layers[-1]["encoding"]["tooltip"]} == {
        "strategy", "step", "mean", "low", "high", "n",
    }  # fmt: skip
