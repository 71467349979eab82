"""What is written to each tracker, read back by its own reader: every number, and once.

The development extras bring tensorboardX alone; MLflow, W&B, trackio and TensorBoard, some 300 MB, are tested where
they are installed.
"""

import importlib
import json
import math
import struct
import subprocess
import sys

import numpy as np
import pytest
from tests.loops.test_trackers import record, spec
from tests.waiting import PATIENCE

import calando
from calando.loops.trackers import find_tracker
from calando.loops.tracking import Tracking, read_log, tracked_folder
from calando.records import Store, TestScore
from calando.records.follower import Progress

TRAIN = {"threads": 1, "device": "cpu", "listen": lambda _: None}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of which one strategy diverges."""
    folder = tmp_path_factory.mktemp("study")
    calando.compare(
        "digits",
        "a = sgd(lr=0.1) | cosine(1, 0)",
        "b = sgd(lr=50.0) | linear(1, 0)",
        folder=folder,
        steps=30,
        seeds=2,
        executor="inline",
        page=False,
        **TRAIN,
    )
    with Store.open(folder, read_only=True) as store:
        return folder, store.runs(), store.tests()


def expected(runs, tests):
    """Digest -> name -> (step, number) of all that is finite."""
    found = {}
    for digest, one in runs.items():
        looks = one.evaluations
        series = {
            "rate": enumerate(one.rates),
            "train/loss": enumerate(one.losses),
            "validation/score": [(look.step, look.score) for look in looks],
            "validation/loss": [(look.step, look.loss) for look in looks],
            "test/score": [(one.spec.steps, tests[digest].score)],
            "test/loss": [(one.spec.steps, tests[digest].loss)],
        }
        finite = {
            name: [(int(step), float(value)) for step, value in pairs if math.isfinite(value)]
            for name, pairs in series.items()
        }
        found[digest] = {name: pairs for name, pairs in finite.items() if pairs}
    return found


def as_float32(found):
    return {
        digest: {name: [(step, float(np.float32(value))) for step, value in pairs] for name, pairs in series.items()}
        for digest, series in found.items()
    }


# TensorBoard


def in_files(folder):
    """Name -> numbers, as tensorboardX's own messages and the file's format have them, purged as TensorBoard does."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data, place = path.read_bytes(), 0
        while place < len(data):
            (length,) = struct.unpack_from("<Q", data, place)
            event = Event.FromString(data[place + 12 : place + 12 + length])
            place += 16 + length
            if event.session_log.status == SessionLog.START:
                found = {name: [pair for pair in pairs if pair[0] < event.step] for name, pairs in found.items()}
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def in_tensorboard(folder):
    """The same, as TensorBoard itself reads it."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = accumulator.EventAccumulator(str(folder), size_guidance={accumulator.SCALARS: 0})
    read.Reload()
    return {tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def of_run(folder, digest):
    (found,) = folder.glob(f"*-{digest[:8]}")
    return found


@pytest.mark.parametrize("read", [in_files, in_tensorboard])
def test_tensorboard_has_every_number_once(study, tmp_path, read):
    pytest.importorskip("tensorboardX")
    folder, runs, tests = study
    for _ in range(2):  # the second time in the place of the first
        done = calando.export(folder, to="tensorboard", out=tmp_path)
    assert (done.runs, str(done.path)) == (4, str(tmp_path))
    found = {digest: read(of_run(tmp_path, digest)) for digest in runs}
    assert found == as_float32(expected(runs, tests))
    assert len(list(tmp_path.iterdir())) == 4


def test_tensorboard_reads_the_table_of_hyper_parameters(study, tmp_path):
    pytest.importorskip("tensorboardX")
    metadata = pytest.importorskip("tensorboard.plugins.hparams.metadata")
    accumulator = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    folder, runs, _ = study
    calando.export(folder, to="tensorboard", out=tmp_path)
    digest, one = next(iter(runs.items()))
    read = accumulator.EventAccumulator(str(of_run(tmp_path, digest)))
    read.Reload()
    content = read.PluginTagToContent(metadata.PLUGIN_NAME)[metadata.SESSION_START_INFO_TAG]
    given = metadata.parse_session_start_info_plugin_data(content).hparams
    assert given["lr"].number_value == one.spec.lr
    assert given["strategy"].string_value == one.spec.strategy.name
    assert "sgd(lr=" in read.Tensors("run/text_summary")[0].tensor_proto.string_val[0].decode()


@pytest.mark.parametrize("read", [in_files, in_tensorboard])
def test_a_run_that_goes_on_after_a_kill_is_one_line(tmp_path, read):
    pytest.importorskip("tensorboardX")
    run = spec()
    whole = record(run)

    def session(steps, *, to_the_end):
        follower = Tracking(read_log("tensorboard")[0], tracked_folder(tmp_path, "digits"), tmp_path)
        for step in steps:
            looks = tuple(look for look in whole.evaluations if look.step <= step)
            new = tuple(look for look in looks if step == steps[0] or look.step > step - 1)
            follower.progressed(run, Progress(step, float(whole.rates[step - 1]), float(whole.losses[step - 1]), new))
        if to_the_end:
            follower.ended(whole)
            follower.tested(run, TestScore(0.75, 0.5, 9))
        follower.close()

    session(range(1, 25), to_the_end=False)
    # Killed at update 24, it goes on from a checkpoint of update 15.
    session(range(16, 31), to_the_end=True)
    found = read(of_run(tmp_path / "tensorboard", run.digest()))
    assert [step for step, _ in found["rate"]] == list(range(30))
    assert found["train/loss"] == [(step, float(loss)) for step, loss in enumerate(whole.losses)]
    assert [step for step, _ in found["validation/score"]] == [10, 20, 30]
    assert found["test/score"] == [(30, 0.75)]


# MLflow

THEIR_WARNINGS = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@THEIR_WARNINGS
def test_mlflow_has_every_number_in_runs_of_the_study(study, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    folder, runs, tests = study
    for _ in range(2):
        done = calando.export(folder, to="mlflow", out=tmp_path / "mlflow.db")
    assert done.path == tmp_path / "mlflow.db"
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "digits"]
    there = client.search_runs([experiment.experiment_id], max_results=100)
    (parent,) = [one for one in there if "calando.study" in one.data.tags]
    nested = [one for one in there if one.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert (len(there), len(nested)) == (5, 4)
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", folder.name)
    found = {
        one.data.tags["calando.run"]: {
            name: sorted((m.step, m.value) for m in client.get_metric_history(one.info.run_id, name))
            for name in one.data.metrics
        }
        for one in nested
    }
    assert found == expected(runs, tests)
    for one in nested:
        ran = runs[one.data.tags["calando.run"]]
        assert one.data.params["text"] == ran.spec.strategy.text
        assert float(one.data.params["lr"]) == ran.spec.lr
        assert one.data.tags["calando.outcome"] == ran.outcome
        assert one.info.status == ("FAILED" if ran.outcome == "diverged" else "FINISHED")


@THEIR_WARNINGS
def test_mlflow_begun_twice_is_one_run(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    run = spec()
    for first in (1, 16):
        follower = Tracking(read_log("mlflow")[0], tracked_folder(tmp_path, "digits"), tmp_path)
        for step in range(first, first + 10):
            follower.progressed(run, Progress(step, 0.1, 1.0))
        if first == 16:
            follower.ended(record(run))
            follower.tested(run, TestScore(0.75, 0.5, 9))
        follower.close()
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("digits")
    there = client.search_runs([experiment.experiment_id])
    assert len(there) == 2
    (one,) = [one for one in there if "calando.run" in one.data.tags]
    assert one.info.status == "FINISHED"
    assert one.data.metrics["test/score"] == 0.75
    steps = sorted(metric.step for metric in client.get_metric_history(one.info.run_id, "rate"))
    assert steps == [*range(10), *range(15, 30)]


@THEIR_WARNINGS
def test_a_file_that_a_kill_left_half_made_is_none(tmp_path):
    """MLflow makes its tables one after the other, and refuses a file that has some of them."""
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    (tmp_path / ".mlflow.db.new").write_bytes(b"half")
    (tmp_path / ".mlflow.db.new-journal").write_bytes(b"half")
    follower = Tracking(read_log("mlflow")[0], tracked_folder(tmp_path, "digits"), tmp_path)
    follower.ended(record(spec()))
    follower.close()
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


# W&B and trackio


def in_wandb(path):
    """Rows, config and summary of an offline run: its file is a log as LevelDB writes it, of W&B's own messages."""
    pb = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    data, place, parts = path.read_bytes(), 7, []
    rows, config, summary = [], {}, {}
    while place < len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts.append(data[place + 7 : place + 7 + length])
        place += 7 + length
        if kind not in (1, 4):
            continue
        message, parts = pb.Record.FromString(b"".join(parts)), []
        kind = message.WhichOneof("record_type")
        if kind == "history":
            items = {
                "/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in message.history.item
            }
            rows.append(items)
        elif kind == "run":
            config |= {item.key: json.loads(item.value_json) for item in message.run.config.update}
            config |= {"name": message.run.display_name, "group": message.run.run_group, "id": message.run.run_id}
        elif kind == "summary":
            summary |= {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in message.summary.update}
    return rows, config, summary


def series_of(rows, step):
    found = {}
    for row in rows:
        for name, value in row.items():
            if "/" in name or name == "rate":
                found.setdefault(name, []).append((row[step], value))
    return {name: sorted(pairs) for name, pairs in found.items()}


def test_wandb_offline_has_every_number(study, tmp_path):
    pytest.importorskip("wandb")
    folder, runs, tests = study
    for _ in range(2):
        done = calando.export(folder, to="wandb", out=tmp_path)
    assert done.runs == 4
    files = list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 4
    found = {}
    for path in files:
        rows, config, summary = in_wandb(path)
        digest = config["id"]
        found[digest] = series_of(rows, "step")
        assert (config["group"], config["text"]) == (folder.name, runs[digest].spec.strategy.text)
        assert config["name"].startswith(runs[digest].spec.strategy.name)
        assert summary["outcome"] == runs[digest].outcome
    assert found == expected(runs, tests)


TRACKIO = """
import sys, json, calando
import trackio
done = calando.export(sys.argv[1], to="trackio")
calando.export(sys.argv[1], to="trackio")
from trackio.sqlite_storage import SQLiteStorage
(project,) = SQLiteStorage.get_projects()
rows = {run.config["run"]: (run.name, SQLiteStorage.get_logs(project, run.name, run_id=run.id, max_points=None))
        for run in trackio.Api().runs(project)}
print(json.dumps({"project": project, "runs": done.runs, "rows": rows}))
"""


def test_trackio_has_every_number(study, tmp_path, monkeypatch):
    pytest.importorskip("trackio")
    folder, runs, tests = study
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))  # read when it is imported
    for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    ended = subprocess.run([sys.executable, "-c", TRACKIO, folder], capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["project"], found["runs"], len(found["rows"])) == ("digits", 4, 4)
    assert {digest: series_of(rows, "step") for digest, (_, rows) in found["rows"].items()} == expected(runs, tests)
    for digest, (name, _) in found["rows"].items():
        assert name.startswith(f"{folder.name} {runs[digest].spec.strategy.name} ")


# What nobody asked for is not sent


SOCKETS = """
import sys, socket
seen = []
def hook(event, arguments):
    if event == "socket.getaddrinfo" and arguments[0] not in ("localhost", "127.0.0.1", "::1", None):
        seen.append(arguments[:2])
        raise OSError("no network here")
    if event == "socket.connect" and isinstance(arguments[1], tuple) and not str(arguments[1][0]).startswith("127."):
        seen.append(arguments[1])
        raise OSError("no network here")
sys.addaudithook(hook)
import calando, os
name, folder, where = sys.argv[1:]
calando.train("digits", "sgd(lr=0.1)", steps=20, threads=1, folder=where, log=name, listen=lambda _: None)
calando.export(folder, to=name)
import time; time.sleep(1)
print(seen)
"""


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb", "trackio"])
def test_nothing_is_sent(study, tmp_path, monkeypatch, name):
    pytest.importorskip(find_tracker(name).package)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    for variable in ("WANDB_ERROR_REPORTING", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "CI", "PYTEST_CURRENT_TEST"):
        monkeypatch.delenv(variable, raising=False)
    ended = subprocess.run(
        [sys.executable, "-c", SOCKETS, name, study[0], tmp_path / "run"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "[]"), ended.stderr
    assert "follows no longer" not in ended.stderr
