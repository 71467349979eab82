"""`train`: one run, its weights and its figure; stopped and gone on with, to the bit."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from tests.waiting import PATIENCE

from calando.records.store import sole_coordinator

DIGITS = ("train", "digits", "sgd(lr=0.05, momentum=0.9) | cosine(1, 0)", "--batch-size", "32", "--device", "cpu")
RUN = (*DIGITS, "--threads", "1", "--steps", "240")
QUICK = (*DIGITS, "--threads", "1", "--steps", "4")

# A progress line at every update, and no figure: what is drawn takes longer than what is trained. After each line there
# is time to stop it, however late whoever reads the line comes to it.
COMMAND = """
import sys, time
import calando.report
from calando.cli import train
from calando.verbs import progress
from calando.cli.main import main
progress.PLAIN_SECONDS = 0.0
calando.report.save = lambda chart, path: None
class Slowly(train._Drawing):
    def __call__(self, status):
        super().__call__(status)
        time.sleep(0.5)
train._Drawing = Slowly
main()
"""


def weights(folder: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(folder / "weights.safetensors")


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and first[name].tobytes() == second[name].tobytes() for name in first
    )


def test_train_writes_weights_and_figure_and_the_same_command_is_done(calando, tmp_path):
    ended = calando(*QUICK)
    assert ended.status == 0
    said = re.fullmatch(
        r"(?:step 3: .*\n)?(?:finished|died) after 4 of 4 steps in \d+ s: validation [\d.]+%, test [\d.]+% "
        r"\(359 samples, 1 seed\)\nweights: (calando-runs/sgd-cosine-[0-9a-f]{8})/weights\.safetensors\nfigure: .*\n",
        ended.out,
    )
    assert said, ended.out
    folder = tmp_path / said[1]
    assert (folder / "training.png").read_bytes().startswith(b"\x89PNG")
    first = (folder / "weights.safetensors").read_bytes()
    again = calando(*QUICK, "--json")
    assert (again.err, again.left) == ("", frozenset())
    assert again.json["steps_done"] == 4
    assert again.json["weights"] == f"{said[1]}/weights.safetensors"
    assert (folder / "weights.safetensors").read_bytes() == first


def test_weights_load_into_the_network(calando, tmp_path):
    import torch

    from calando.tasks.catalog import resolve
    from calando.tasks.load_task import load

    calando(*QUICK, "--out", "run")
    network = load(resolve("digits")).build()
    stored = weights(tmp_path / "run")
    report = network.load_state_dict(
        {name: torch.from_numpy(value.copy()) for name, value in stored.items()}, strict=False
    )
    assert (report.missing_keys, report.unexpected_keys) == ([], [])
    assert same({name: value.numpy() for name, value in network.state_dict().items()}, stored)


def test_another_spec_in_the_same_folder_is_refused_and_stays_as_it_was(refused, calando, tmp_path):
    calando(*QUICK, "--out", "run")
    before = weights(tmp_path / "run")
    for change in (("--seed", "1"), ("--lr", "0.2"), ("--augment", "crop(1)"), ("--model", "resnet8")):
        strategy = ("train", "digits", "fixed") if change[0] == "--lr" else QUICK[:3]
        ended = refused(*strategy, *QUICK[3:], *change, "--out", "run")
        assert re.search(r"'run' holds a run of another spec \(sgd\(lr=0.05.*\); name another --out", ended.err)
    assert same(weights(tmp_path / "run"), before)


def test_changed_data_in_the_same_folder_are_refused(refused, calando, tmp_path):
    images, labels = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8), np.arange(60) % 3
    command = ("train", "npz:own.npz", "sgd(lr=0.1)", "--model", "cnn", "--batch-size", "8", "--steps", "2")
    np.savez(tmp_path / "own.npz", images=images, labels=labels)
    assert calando(*command, "--threads", "1", "--out", "run").status == 0
    images[0, 0, 0] ^= 1
    np.savez(tmp_path / "own.npz", images=images, labels=labels)
    ended = refused(*command, "--threads", "1", "--out", "run")
    assert "the data has changed since the run in 'run' was started" in ended.err


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"spec": {}, "data": ""}', '{"spec": 3, "data": ""}'])
def test_a_damaged_spec_is_named(refused, tmp_path, text):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/spec.json").write_text(text)
    (tmp_path / "run/study.lock").write_text("")
    assert "run/spec.json is damaged" in refused(*QUICK, "--out", "run").err
    assert (tmp_path / "run/spec.json").read_text() == text


def test_a_damaged_checkpoint_costs_time_and_not_the_result(calando, tmp_path):
    calando(*QUICK, "--out", "run")
    before = weights(tmp_path / "run")
    (tensors,) = tmp_path.glob("run/checkpoints/*/tensors-*")
    for damage in (lambda data: data[:100], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: b""):
        tensors.write_bytes(damage(tensors.read_bytes()))
        assert calando(*QUICK, "--out", "run").status == 0
        assert same(weights(tmp_path / "run"), before)


def test_a_diverged_run_is_an_outcome(calando):
    ended = calando("train", "digits", "sgd(lr=1e30)", *QUICK[3:], "--json")
    assert ended.status == 1
    assert ended.err.splitlines()[-1].startswith("calando: the run diverged; try a lower rate")
    assert ended.json["outcome"] == "diverged"
    assert ended.json["steps_done"] < 4
    assert 0.1 < ended.json["test_score"] < 0.103  # the largest share: the ten classes are nearly equal
    assert re.fullmatch(r"step \d: loss is (nan|inf)", ended.json["events"][0])


def test_rate_and_loss_are_drawn_live(calando, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    ended = calando(*QUICK, "--out", "run")
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", ended.err)
    assert "sgd(lr=0.05, momentum=0.9) | cosine(1, 0)" in drawn
    assert re.search(r"step [1-4]/4 +rate 0\.\d+ +loss \d\.\d{3} +ETA", drawn)
    assert any(0x2801 <= ord(letter) <= 0x28FF for letter in drawn), "no braille dot is set"


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *RUN, "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A runner in the background may have handed down "ignore"; a user's terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_stopped_in_the_middle_it_ends_with_the_same_bits(calando, tmp_path, monkeypatch):
    """Stopped by Ctrl-C, gone on with, killed outright, left to end: the weights of a run that was left alone."""
    monkeypatch.setattr("calando.report.save", lambda chart, path: None)
    for sign in (signal.SIGINT, signal.SIGKILL):
        process = start(tmp_path / "stopped")
        assert process.stderr is not None
        # The first line says device and precision.
        at = next(filter(None, (re.match(r"step (\d+)/240", line) for line in iter(process.stderr.readline, ""))), None)
        process.send_signal(sign)
        _, err = process.communicate(timeout=PATIENCE)
        assert at, err
        assert "Traceback" not in err
        (state,) = tmp_path.glob("stopped/checkpoints/*/state.json")
        step = json.loads(json.loads(state.read_text())["state"])["state"]["step"]
        if sign == signal.SIGINT:
            assert process.returncode == 130
            assert "stopped; nothing is lost: the same command goes on" in err
            assert int(at[1]) <= step < 240
        else:
            assert 0 < step <= int(at[1]), "it went on from the checkpoint"
        assert not (tmp_path / "stopped/weights.safetensors").exists()
    resumed = calando(*RUN, "--out", "stopped", "--json")
    undisturbed = calando(*RUN, "--out", "undisturbed", "--json")
    assert resumed.status == undisturbed.status == 0
    assert same(weights(tmp_path / "stopped"), weights(tmp_path / "undisturbed"))
    timeless = [{**ended.json, "seconds": 0, "weights": "", "figure": ""} for ended in (resumed, undisturbed)]
    assert timeless[0] == timeless[1]


def test_two_at_once_in_one_folder_are_refused(calando, tmp_path):
    with sole_coordinator(tmp_path / "run"):
        ended = calando(*QUICK, "--out", "run")
    assert (ended.status, ended.out, ended.left) == (2, "", frozenset())
    assert re.fullmatch(rf"calando: .* is being run by process {os.getpid()}; wait for it or stop it\n", ended.err)


FIND = ("train", "digits", "cosine", "--lr", "find", "--batch-size", "32", "--device", "cpu", "--threads", "1")


def test_the_rate_found_is_kept_in_the_folder_and_not_measured_again(calando, tmp_path):
    ended = calando(*FIND, "--steps", "4", "--out", "run")
    assert ended.status == 0
    said = re.match(r"rate ([\d.]+) \[([\d.]+), ([\d.]+)\], found by a range test: (\d+) updates, \d+ s\n", ended.out)
    assert said, ended.out
    rate, low, high = map(float, said.groups()[:3])
    assert low <= rate <= high
    kept = tmp_path / "run" / "range_test.json"
    before = kept.stat().st_mtime_ns
    again = calando(*FIND, "--steps", "4", "--out", "run", "--json")
    assert kept.stat().st_mtime_ns == before
    assert again.json["range_test"]["lr"] == rate
    assert again.json["range_test"]["updates"] == int(said[4])
    assert f"lr={rate!r}" in again.json["strategy"]


def test_a_rate_that_cannot_be_found_is_not_trained_at(calando, tmp_path):
    assert calando(*FIND, "--steps", "4", "--out", "run").status == 0
    kept = tmp_path / "run" / "range_test.json"
    said = json.loads(kept.read_text())
    said["found"]["doubts"] = ["the loss falls at no rate"]
    kept.write_text(json.dumps(said))
    ended = calando(*FIND, "--steps", "4", "--out", "run")
    assert ended.status == 2
    assert "found no rate to rely on: the loss falls at no rate (it would say" in ended.err
    assert "give --lr a number" in ended.err
    kept.write_text("{}")
    ended = calando(*FIND, "--steps", "4", "--out", "run")
    assert ended.status == 2
    assert "range_test.json is damaged; remove it" in ended.err


def test_a_rate_that_is_neither_number_nor_find(calando):
    ended = calando("train", "digits", "cosine", "--lr", "fnd")
    assert ended.status == 2
    assert "--lr must be a positive finite number or find, got 'fnd'" in ended.err


def test_a_score_at_chance_is_called_so_and_the_reading_of_the_data_is_told_once(calando, tmp_path):
    labels = np.repeat([0, 1], [1000, 52])
    pixels = np.random.default_rng(0).integers(0, 256, (1052, 6, 6, 4), dtype=np.uint8)
    np.savez(tmp_path / "rare.npz", images=pixels, labels=labels)
    run = ("train", "npz:rare.npz", "sgd(lr=1e-9)", "--model", "cnn", "--steps", "12", "--device", "cpu")
    ended = calando(*run, "--threads", "1")
    lane = "cpu, fp32, 1 thread a run; chosen: precision (auto)"
    read_as = "rare.npz: 1,052 images of 6x6 pixels in 4 channels, read as [N, H, W, C]"
    shares = "train 842 (0 800 = 95 %, 1 42 = 5 %), test 210 (0 200 = 95 %, 1 10 = 4.8 %), a fifth of the whole"
    classes = f"rare.npz: 2 classes (0, 1); {shares}; images of 6x6 pixels in 4 channels"
    assert sorted(ended.err.splitlines()) == [read_as, classes, f"sgd on npz:rare.npz: {lane}"]
    assert re.search(
        r"^died after 12 of 12 steps in \d+ s: validation [\d.]+% \(chance\), test", ended.out, re.MULTILINE
    )
    assert "no better than always naming the most frequent class, which is right for 95.24%" in ended.out
    again = calando(*run, "--threads", "1", "--json")
    assert (again.err, again.json["at_chance"]) == ("", True)


TASK = """
import torch, calando
from torch import nn
y = torch.arange(90) % 3
x = torch.rand(90, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + y.view(-1, 1, 1, 1)
def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.{activation}(), nn.Linear(8, 3))
def task():
    return calando.workload(train=(x, y), test=(x, y), model=net, batch_size=16)
"""


def test_the_folder_of_a_single_run_knows_it_too(refused, calando, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    command = ("train", "edited_task:task", "sgd(lr=0.1)", "--steps", "3", "--threads", "1", "--out", "run")

    def write(activation):
        (tmp_path / "edited_task.py").write_text(TASK.format(activation=activation))
        sys.modules.pop("edited_task", None)

    write("ReLU")
    assert calando(*command).status == 0
    assert calando(*command).status == 0
    path = tmp_path / "run" / "spec.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({name: said[name] for name in ("spec", "data")}))
    ended = calando(*command)
    assert "the run in 'run' did not know its network and loss" in ended.err
    assert json.loads(path.read_text())["identity"]
    write("Tanh")
    assert "the network's output has changed since the run in 'run' was started" in refused(*command).err


def test_a_plateau_that_did_nothing_is_named(calando):
    quick = ("--batch-size", "32", "--device", "cpu", "--threads", "1", "--steps", "4")
    assert "plateau never changed the rate" in calando("train", "digits", "sgd(lr=0.1) | plateau()", *quick).out
    assert "plateau" not in calando("train", "digits", "sgd(lr=0.1)", *quick).out


def test_a_rate_that_nobody_gave_is_said_with_how_to_find_one(calando):
    run = ("train", "digits", "cosine", "--steps", "2", "--device", "cpu")
    assert "rate 0.1: the usual one of sgd, since none is given; lr=" in calando(*run).err
    for given in (("--lr", "0.05"), ()):
        strategy = run if given else ("train", "digits", "sgd(lr=0.05)", *run[3:])
        assert "the usual one" not in calando(*strategy, *given).err
