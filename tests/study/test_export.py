"""What is exported is what is stored: every number of every run, to the last digit."""

import csv
import json
import math
import tracemalloc
from contextlib import suppress

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.report.fabricate import NAMES, make_record, make_study

import calando
from calando.errors import CorruptFile, UsageError
from calando.loops.exported.tables import TABLES
from calando.records import RunSpec, Store
from calando.records.command import branch_of, parse_command
from calando.records.command_log import Branch, CommandLog
from calando.records.kept_runs import open_kept
from calando.records.record import Event
from calando.records.run_file import read_run, write_run
from calando.records.tuning import TuneStore
from calando.schedules import parse

DIGITS = {"threads": 1, "device": "cpu", "listen": lambda _: None}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    calando.compare(
        "digits",
        "a = sgd(lr=0.1, momentum=0.9) | cosine(1, 0)",
        "b = sgd(lr=50.0) | linear(1, 0)",
        folder=folder,
        steps=20,
        seeds=2,
        executor="inline",
        **DIGITS,
    )
    return folder


@pytest.fixture(scope="module")
def tuning(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuning")
    calando.tune("digits", folder=folder, steps=120, **DIGITS)
    return folder


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    return calando.train("digits", "sgd(lr=0.1) | cosine(1, 0)", steps=12, folder=folder, **DIGITS)


def table(folder, name):
    with (folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def same(text, value):
    """Whether a cell holds a number to the last digit."""
    if value is None:
        return text == ""
    return float(text) == value or (math.isnan(float(text)) and math.isnan(value))


def test_tables_hold_every_number_of_a_study(study, tmp_path):
    done = calando.export(study, out=tmp_path)
    assert (done.path, done.runs, done.form) == (tmp_path, 4, "csv")
    with Store.open(study, read_only=True) as store:
        runs, tests = store.runs(), store.tests()
    assert {path.name for path in tmp_path.iterdir()} == {*(f"{name}.csv" for name in TABLES), "question.json"}
    rows = {row["run"]: row for row in table(tmp_path, "runs")}
    assert list(rows) == list(runs)
    for digest, record in runs.items():
        row = rows[digest]
        assert (row["outcome"], int(row["steps_done"])) == (record.outcome, record.steps_done)
        assert same(row["validation_score"], record.score)
        assert same(row["test_score"], tests[digest].score)
        assert same(row["lr"], record.spec.lr)
        trace = [row for row in table(tmp_path, "trace") if row["run"] == digest]
        assert [int(row["step"]) for row in trace] == list(range(len(record.losses)))
        losses = np.array([row["loss"] for row in trace], np.float32)
        rates = np.array([row["rate"] for row in trace], np.float64)
        assert losses.tobytes() == record.losses.tobytes() or record.outcome == "diverged"
        np.testing.assert_array_equal(losses, record.losses)
        assert rates.tobytes() == record.rates.tobytes()
        looks = [row for row in table(tmp_path, "evaluations") if row["run"] == digest]
        assert [(int(row["step"]), float(row["score"])) for row in looks] == [
            (look.step, look.score) for look in record.evaluations
        ]
        events = [row for row in table(tmp_path, "events") if row["run"] == digest]
        assert [Event(int(row["step"]), row["kind"], row["text"]) for row in events] == list(record.events)
    for row in table(tmp_path, "specs"):
        assert RunSpec.model_validate_json(row["spec"]).digest() == row["run"]
    question = json.loads((tmp_path / "question.json").read_text())
    assert question["kind"] == "study"
    assert question["question"]["seeds"] == 2


def test_parquet_holds_what_csv_holds(study, tmp_path):
    calando.export(study, out=tmp_path / "csv")
    done = calando.export(study, to="parquet", out=tmp_path / "parquet")
    assert done.runs == 4
    for name, columns in TABLES.items():
        read = pq.read_table(tmp_path / "parquet" / f"{name}.parquet")
        rows = table(tmp_path / "csv", name)
        assert read.column_names == list(columns)
        assert read.num_rows == len(rows)
        for row, theirs in zip(rows, read.to_pylist(), strict=True):
            for column, kind in columns.items():
                if kind == "text":
                    assert (theirs[column] or "") == row[column]
                else:
                    expected = theirs[column]
                    text = row[column]
                    assert same(text, expected) or np.float32(text) == np.float32(expected)


def test_arms_of_a_tuning_are_exported_with_their_planned_rates(tuning, tmp_path):
    calando.export(tuning, out=tmp_path)
    rows = table(tmp_path, "runs")
    answer = calando.show(tuning)
    with TuneStore.open(tuning) as store:
        pieces = store.pieces()
    assert {row["run"] for row in rows} == {piece.spec.digest() for piece in pieces}
    assert {row["outcome"] for row in rows} <= {"finished", "diverged", "dropped"}
    (mine,) = [row for row in rows if row["run"] == answer.run.digest()]
    assert (mine["outcome"], int(mine["steps_done"])) == ("finished", answer.run.steps)
    assert same(mine["test_score"], answer.test.score)
    assert [row["test_score"] for row in rows if row is not mine] == [""] * (len(rows) - 1)
    trace = [row for row in table(tmp_path, "trace") if row["run"] == answer.run.digest()]
    curve = parse(answer.strategy.schedules["lr"]).bind(answer.run.steps, steps_per_epoch=answer.run.steps_per_epoch)
    assert [float(row["rate"]) for row in trace] == (answer.run.lr * curve.sample()).tolist()
    # Made again alone, the run has these rates and losses: the pieces were joined rightly.
    record = calando.train(
        "digits",
        answer.strategy,
        steps=answer.run.steps,
        folder=tmp_path / "again",
        **DIGITS,
    ).record
    known = np.array([row["loss"] for row in trace], np.float32)
    own = ~np.isnan(known)
    assert own.sum() > len(known) / 2
    np.testing.assert_array_equal(known[own], record.losses[own])
    assert record.rates.tolist() == [float(row["rate"]) for row in trace]


def test_a_single_run_is_read_without_its_task(training, tmp_path):
    record, test = read_run(training.folder)
    assert record.losses.tobytes() == training.record.losses.tobytes()
    assert record.rates.tobytes() == training.record.rates.tobytes()
    assert (record.spec, record.events, test) == (training.record.spec, training.record.events, training.test)
    calando.export(training.folder)
    assert [row["run"] for row in table(training.folder / "export", "runs")] == [record.spec.digest()]
    assert len(table(training.folder / "export", "trace")) == 12


def test_one_run_or_one_strategy_is_chosen(study, tmp_path):
    everything = [row["run"] for row in table(calando.export(study, out=tmp_path / "all").path, "runs")]
    only = calando.export(study, run=everything[1][:8], out=tmp_path / "one")
    assert [row["run"] for row in table(only.path, "runs")] == [everything[1]]
    both = calando.export(study, run="a", out=tmp_path / "both")
    assert [row["seed"] for row in table(both.path, "runs")] == ["0", "1"]
    assert calando.export(study, run="a", seed=1, out=tmp_path / "seed").runs == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"to": "cvs"}, "did you mean 'csv'"),
        ({"run": "c"}, "has no run 'c'; give the name of a strategy (a, b), or a digest"),
        ({"run": "a", "seed": 7}, "'a' has no run of seed 7; it has seeds 0, 1"),
        ({"seed": 1}, "give run= the name of a strategy as well"),
    ],
)
def test_what_cannot_be_exported_is_named(study, tmp_path, given, said):
    with pytest.raises(UsageError) as error:
        calando.export(study, out=tmp_path / "out", **given)
    assert said in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_steered_run_is_labelled_with_the_run_that_it_left(tmp_path):
    asked = make_study(["linear"], seeds=1, steps=400)
    parent = asked.run(asked.strategies[0].at_rate(0.1), seed=0)
    branch = branch_of(parent, parse_command("rate *0.5"), step=100)
    with Store.create(tmp_path, asked, fingerprint="") as store:
        for spec in (parent, branch):
            store.put_run(make_record(spec))
    with CommandLog.open(tmp_path) as log:
        row = log.ask("rate *0.5", run="linear", key="once")
        made = Branch(spec=branch, parent=parent.digest(), step=100, command=row.number)
        log.accept(row, target=parent.digest(), step=100, branch=made)
    rows = table(calando.export(tmp_path).path, "runs")
    assert [(row["run"], row["parent"], row["branched_at"]) for row in rows] == [
        (parent.digest(), "", ""),
        (branch.digest(), parent.digest(), "100"),
    ]
    # By its name it is the run that nobody changed; a branch is asked for by its digest.
    calando.export(tmp_path, to="appendix", run="linear", out=tmp_path / "named")
    calando.export(tmp_path, to="appendix", run=branch.digest()[:8], out=tmp_path / "branch")
    named, steered = ((tmp_path / name / "README.md").read_text() for name in ("named", "branch"))
    assert parent.digest() in named
    assert "steered" not in named
    assert f"steered: a person changed run `{parent.digest()}`, which this one left after 100 updates" in steered


def test_other_folders_are_refused(study, tmp_path):
    for folder, said in ((tmp_path, "no study, tuning or run in"), (study.parent, "name one, as")):
        with pytest.raises(UsageError) as error:
            calando.export(folder)
        assert said in str(error.value)
        assert "\n" not in str(error.value)


def test_a_training_that_has_not_ended_is_refused(training, tmp_path):
    (tmp_path / "spec.json").write_bytes((training.folder / "spec.json").read_bytes())
    with pytest.raises(UsageError, match="has not come to its end"):
        calando.export(tmp_path)


def test_every_changed_byte_of_a_run_is_noticed(training, tmp_path):
    record, test = training.record, training.test
    write_run(tmp_path, record, test)
    whole = (tmp_path / "record.json").read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 200).tolist():
        (tmp_path / "record.json").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with suppress(CorruptFile):
            again, theirs = read_run(tmp_path)
            # A byte that means nothing, as a space.
            assert again.losses.tobytes() == record.losses.tobytes()
            assert (again.spec, again.evaluations, theirs) == (record.spec, record.evaluations, test)


def test_memory_does_not_grow_with_the_runs(tmp_path):
    asked = make_study(NAMES[:4], seeds=6, steps=20_000)
    records = [make_record(asked.run(one.at_rate(0.1), seed=seed)) for one in asked.strategies for seed in range(6)]
    with Store.create(tmp_path, asked, fingerprint="") as store:
        for record in records:
            store.put_run(record)
    traces = sum(record.losses.nbytes + record.rates.nbytes for record in records)
    tracemalloc.start()
    try:
        with open_kept(tmp_path) as kept:
            for _ in kept.runs():
                most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < traces / 3
