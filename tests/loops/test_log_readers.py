"""Logs as other programs write them, each by its own package where that is installed: the schedule comes back."""

import math
import sqlite3
import struct
import sys
from contextlib import closing

import pytest
from tests.report.fabricate import fabricate, make_study

import calando
from calando.errors import UsageError
from calando.loops.log_readers import readers
from calando.records import Store
from calando.schedules import parse

WARMUP = "linear(0, 1, over='10%') >> cosine(1, 0)"
TOTAL, EVERY, BASE = 1000, 10, 0.1
RATES = [(step, BASE * parse(WARMUP).bind(TOTAL)(step)) for step in range(0, TOTAL, EVERY)]


def imported(*paths, count=1, steps=TOTAL):
    runs = calando.import_runs(*map(str, paths), steps=steps)
    assert len(runs) == count
    return runs[0] if count == 1 else runs


def check(one, *, score=None, loss=None):
    found = one.recovered
    assert (found.text, found.exact) == (WARMUP, True)
    assert found.base == pytest.approx(BASE, rel=1e-6)
    if score is not None:
        assert one.logged.scores[score][-1] == (TOTAL, pytest.approx(0.75))
    if loss is not None:
        assert [step for step, _ in one.logged.losses] == [step for step, _ in RATES]
    assert any("the rate is" in note for note in found.notes)


# TensorBoard


def write_events(folder, *, rate="train/learning_rate", **writer):
    board = pytest.importorskip("tensorboardX")
    with board.SummaryWriter(str(folder), **writer) as file:
        for step, value in RATES:
            file.add_scalar(rate, value, step)
            file.add_scalar("train/loss", 1 / (step + 1), step)
        file.add_scalar("eval/accuracy", 0.75, TOTAL)
        file.add_text("note", "of no number")
        file.add_scalar("error_rate", 0.5, 1)
    return folder


@pytest.mark.parametrize("rate", ["train/learning_rate", "lr", "lr-SGD", "optim/lr", "Learning Rate"])
def test_event_files_by_the_usual_names_of_a_rate(tmp_path, rate):
    one = imported(write_events(tmp_path / "run", rate=rate))
    check(one, score="eval/accuracy", loss=True)
    assert one.logged.name == str(tmp_path / "run")
    assert f"the rate is {rate.replace(' ', '_')!r}; the training loss is 'train/loss'" in one.recovered.notes[0]


def test_a_run_of_several_files_is_one_and_a_folder_of_runs_is_several(tmp_path, capsys):
    board = pytest.importorskip("tensorboardX")
    for part, purge in ((RATES[:60], None), (RATES[50:], RATES[50][0])):
        with board.SummaryWriter(str(tmp_path / "a"), purge_step=purge, filename_suffix=f".{purge or 0:04}") as file:
            for step, value in part:
                file.add_scalar("lr", value if purge is not None or step < RATES[50][0] else 9.0, step)
    write_events(tmp_path / "b")
    with board.SummaryWriter(str(tmp_path / "c")) as file:
        file.add_scalar("loss", 1.0, 1)
    runs = imported(tmp_path, count=2)
    for one in runs:
        check(one)
    said = capsys.readouterr().err
    assert "1 of the logs are left out" in said
    assert "logs no rate, under no usual name; its scalars: 'loss'" in said


def test_our_own_event_files_are_read_as_others_are(tmp_path):
    pytest.importorskip("tensorboardX")
    calando.train(
        "digits", f"sgd(lr=0.1) | {WARMUP}", steps=100, threads=1, folder=tmp_path, device="cpu", listen=lambda _: None
    )
    done = calando.export(tmp_path, to="tensorboard")
    one = imported(done.path, steps=100)
    assert (one.recovered.text, one.recovered.exact) == (WARMUP, True)


def test_tensors_as_tensorflow_writes_scalars(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.proto.tensor_pb2 import TensorProto
    from tensorboardX.record_writer import RecordWriter

    writer = RecordWriter(str(tmp_path / "events.out.tfevents.1.host"))
    for step, value in RATES:
        tensor = TensorProto(dtype=1, tensor_content=struct.pack("<f", value))
        summary = Summary(value=[Summary.Value(tag="epoch_learning_rate", tensor=tensor)])
        writer.write(Event(step=step, summary=summary).SerializeToString())
    writer.close()
    check(imported(tmp_path / "events.out.tfevents.1.host"))


def test_a_file_cut_short_by_a_kill_gives_what_is_whole(tmp_path):
    (file,) = write_events(tmp_path).iterdir()
    whole = file.read_bytes()
    for length in (len(whole) - 1, len(whole) - 30, len(whole) * 9 // 10):
        file.write_bytes(whole[:length])
        assert imported(tmp_path).logged.rates == [
            (step, pytest.approx(value, rel=1e-6)) for step, value in RATES[: len(imported(tmp_path).logged.rates)]
        ]


def test_every_changed_byte_is_noticed(tmp_path):
    (file,) = write_events(tmp_path).iterdir()
    whole = file.read_bytes()
    for place in range(0, len(whole), 397):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(UsageError, match="damaged"):
            calando.import_runs(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"\0" * 11, b"\xff" * 400, b"step,lr\n1,2\n" * 9])
def test_what_is_no_event_file_is_named_in_a_line(tmp_path, content):
    pytest.importorskip("tensorboardX")
    path = tmp_path / "events.out.tfevents.1.host"
    path.write_bytes(content)
    with pytest.raises(UsageError) as error:
        calando.import_runs(str(path))
    assert "\n" not in str(error.value)


# MLflow


def mlflow_database(path):
    """The tables that MLflow 3 makes, as far as they are read."""
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript(
            """
            CREATE TABLE experiments (experiment_id INTEGER, name VARCHAR);
            CREATE TABLE runs (run_uuid VARCHAR, name VARCHAR, experiment_id INTEGER, lifecycle_stage VARCHAR,
                               start_time BIGINT);
            CREATE TABLE params (key VARCHAR, value VARCHAR, run_uuid VARCHAR);
            CREATE TABLE metrics (key VARCHAR, value DOUBLE, timestamp BIGINT, run_uuid VARCHAR, step BIGINT,
                                  is_nan BOOLEAN);
            INSERT INTO experiments VALUES (1, 'net');
            INSERT INTO runs VALUES ('a', 'calm-bird-1', 1, 'active', 1), ('b', 'gone', 1, 'deleted', 2),
                                    ('c', 'no rate', 1, 'active', 3);
            """
        )
        rows = [("learning_rate", rate, 1, run, step, 0) for run in "ab" for step, rate in reversed(RATES)]
        rows += [("train_loss", 1 / (step + 1), 1, "a", step, 0) for step, _ in RATES]
        rows += [("val_acc", 0.75, 1, "a", TOTAL, 0), ("val_acc", 0.0, 1, "a", 7, 1), ("loss", 1.0, 1, "c", 1, 0)]
        file.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", rows)
    return path


def test_mlflow_s_file_of_sqlite(tmp_path):
    path = mlflow_database(tmp_path / "mlflow.db")
    before = path.read_bytes()
    for given in (path, tmp_path):
        one = imported(given)
        check(one, score="val_acc", loss=True)
        assert one.logged.name == f"{path} net/calm-bird-1"
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize("uri", ["sqlite:///{}/mlflow.db", "file://{}/mlruns"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_what_mlflow_itself_writes(tmp_path, monkeypatch, uri):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.MlflowClient(tracking_uri=uri.format(tmp_path))
    run = client.create_run(client.create_experiment("net"), run_name="bird").info.run_id
    client.log_batch(run, metrics=[mlflow.entities.Metric("train/lr", rate, 1, step) for step, rate in RATES])
    client.log_batch(run, metrics=[mlflow.entities.Metric("train/loss", 1.0, 1, step) for step, _ in RATES])
    client.log_metric(run, "val/acc", 0.75, step=TOTAL)
    one = imported(tmp_path)
    check(one, score="val/acc", loss=True)
    assert one.logged.name.endswith("bird")


def test_what_we_write_to_mlflow_comes_back(tmp_path):
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    calando.train(
        "digits", f"sgd(lr=0.1) | {WARMUP}", steps=100, threads=1, folder=tmp_path, device="cpu", listen=lambda _: None
    )
    calando.export(tmp_path, to="mlflow")
    one = imported(tmp_path / "mlflow.db", steps=100)
    assert (one.recovered.text, one.recovered.base, one.recovered.exact) == (WARMUP, 0.1, True)


# Optuna


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", ["study.db", "study.journal"])
def test_optuna_s_trials_have_a_rate_each(tmp_path, name):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = tmp_path / name
    if name.endswith(".db"):
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    else:
        backend = pytest.importorskip("optuna.storages.journal").JournalFileBackend(str(path))
        storage = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(storage=storage, study_name="net", direction="maximize")

    def objective(trial):
        rate = trial.suggest_float("optimizer_lr", 1e-3, 1, log=True)
        for step in range(3):
            trial.report(rate * step, step)
        return rate

    study.optimize(objective, n_trials=3)
    before = path.read_bytes()
    runs = imported(path, count=3, steps=None)
    for trial, one in zip(study.trials, runs, strict=True):
        rate = trial.params["optimizer_lr"]
        assert one.recovered.base == pytest.approx(rate, rel=1e-12)
        assert one.recovered.text == "constant(1)"
        assert one.logged.scores == {"objective": [(0, 0.0), (1, rate), (2, 2 * rate)]}
        assert one.logged.name == f"{path} net/trial {trial.number}"
        assert "what it became later is not kept" in one.recovered.notes[0]
    assert path.read_bytes() == before
    assert len(imported(tmp_path, count=3, steps=None)) == 3


# W&B, and what is missing


def test_wandb_s_offline_runs_are_refused_with_what_to_do(tmp_path):
    path = tmp_path / "wandb" / "offline-run-1-abc" / "run-abc.wandb"
    path.parent.mkdir(parents=True)
    path.write_bytes(b":W&B")
    for given in (path, tmp_path):
        with pytest.raises(UsageError) as error:
            calando.import_runs(str(given))
        assert "no public reader" in str(error.value)
        assert "wandb sync" in str(error.value)


@pytest.mark.parametrize(
    ("package", "name", "content", "extra"),
    [
        ("tensorboardX", "events.out.tfevents.1.host", b"", "tensorboard"),
        ("optuna", "study.journal", b'{"op_code": 0, "worker_id": "a"}\n', "tune"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package, name, content, extra):
    (tmp_path / name).write_bytes(content)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"needs {package} to be read: pip install 'calando\[{extra}\]'$"):
        calando.import_runs(str(tmp_path / name))


def test_every_reader_is_listed_where_nothing_is_found(tmp_path):
    with pytest.raises(UsageError) as error:
        calando.import_runs(str(tmp_path))
    for reader in readers():
        assert reader.form in str(error.value)


@pytest.mark.parametrize("name", ["a.db", "a.journal", "a.sqlite", "a.txt"])
@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0", b"SQLite format 3\0" + b"\xff" * 5000, b"{}\n", b"\xff" * 99]
)
def test_other_files_are_no_logs(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError) as error:
        calando.import_runs(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_infinite_numbers_are_left_out(tmp_path):
    board = pytest.importorskip("tensorboardX")
    with board.SummaryWriter(str(tmp_path)) as file:
        for step, value in RATES:
            file.add_scalar("lr", value, step)
            file.add_scalar("loss", math.inf if step > 500 else 1.0, step)
    assert len(imported(tmp_path).logged.losses) == 51


# Next to a study


def test_runs_from_elsewhere_are_drawn_next_to_a_study_unpaired(tmp_path, calando_study):
    folder = tmp_path / "theirs"
    folder.mkdir()
    for number in range(9):
        rows = "".join(f"{step},{rate / (number + 1)},{1 / (step + 1)}\n" for step, rate in RATES)
        (folder / f"run{number}").mkdir()
        (folder / f"run{number}" / "metrics.csv").write_text(f"step,lr,loss\n{rows}")
    runs = calando.import_runs(str(folder), study=calando_study)
    drawn = runs.plot().to_dict()
    texts = " ".join(drawn["title"]["subtitle"])
    assert "Unpaired" in texts
    assert "no verdict" in texts
    assert "The first 8 of 9 are drawn" in texts
    assert drawn["title"]["text"].startswith("Runs logged elsewhere next to cnn on digits")
    (lines,) = {tuple(panel["encoding"]["color"]["scale"]["domain"]) for panel in drawn["vconcat"]}
    assert lines[:8] == tuple(f"run{number}/metrics.csv" for number in range(8))
    assert set(lines[8:]) == {"linear", "cosine"}
    path = calando.draw(runs, tmp_path / "next.html")
    assert "logged elsewhere" in path.read_text()
    alone = calando.import_runs(str(folder / "run0")).plot().to_dict()
    assert alone["title"]["subtitle"] == ["As they were logged."]


def test_a_study_that_is_none_is_refused_before_logs_are_read(tmp_path):
    with pytest.raises(UsageError, match="no study in"):
        calando.import_runs("nothing", study=tmp_path)


@pytest.fixture
def calando_study(tmp_path):
    asked = make_study(["linear", "cosine"], seeds=2, steps=300)
    runs, tests = fabricate(asked)
    with Store.create(tmp_path / "study", asked, fingerprint="") as store:
        for one in runs.values():
            store.put_run(one)
        for digest, test in tests.items():
            store.put_test(digest, test)
    return tmp_path / "study"
