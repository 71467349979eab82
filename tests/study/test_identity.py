"""A study knows its network and loss by what they are: changed, they are refused in a line that says what changed."""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import calando
from calando.errors import CorruptFile, UsageError
from calando.records import Store
from calando.study.workers.messages import Setup
from calando.tasks.catalog import resolve
from calando.training.identity import Identity, check_same, identify, recognised

GENERATOR = torch.Generator().manual_seed(0)
LABELS = torch.arange(90) % 3
IMAGES = torch.randint(0, 256, (90, 1, 8, 8), generator=GENERATOR).to(torch.uint8)


def net(*, width=4, stride=1, drop=0.3, momentum=0.1, activation=nn.ReLU, bias=0.0, detached=False):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, width, 3, stride=stride, padding=1)
            self.norm = nn.BatchNorm2d(width, momentum=momentum)
            self.rest = nn.Sequential(activation(), nn.Dropout(drop), nn.AdaptiveAvgPool2d(2), nn.Flatten())
            self.head = nn.Linear(4 * width, 3)
            if bias:
                nn.init.constant_(self.head.bias, bias)

        def forward(self, x):
            x = self.conv(x)
            return self.head(self.rest(self.norm(x.detach() if detached else x)))

    return Net


def made(model=None, loss=None, **options):
    options = {"train": (IMAGES, LABELS), "test": (IMAGES, LABELS), **options}
    return calando.workload(model=model or net(), loss=loss, batch_size=16, **options)


def compare(folder, workload, *, seeds=1, notes=None, **options):
    options = {"executor": "inline", "lr": 0.1, "steps": 4, **options}
    listen = None if notes is None else lambda status: notes.extend(n for n in status.notes if n not in notes)
    return calando.compare(workload, "fixed", folder=folder, seeds=seeds, listen=listen, **options)


def weighted(outputs, targets):
    return F.cross_entropy(outputs, targets, weight=torch.tensor([1.0, 1.0, 1.1]))


class Clipped(torch.autograd.Function):
    @staticmethod
    def forward(context, loss):
        return loss.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * 0.5


CHANGES = {
    "width": (net(width=5), None, r"the network's parameters \(.* in \d+ tensors, now .* in \d+ tensors\) have"),
    "weights": (net(bias=0.5), None, "the network's initial weights have"),
    "dropout": (net(drop=0.31), None, "the network's output has"),
    "activation": (net(activation=nn.GELU), None, "the network's output has"),
    "stride": (net(stride=2), None, "the network's output has"),
    "momentum": (net(momentum=0.01), None, "the network's output has"),
    "detached": (net(detached=True), None, "the network's gradient has"),
    "another loss": (net(), lambda o, t: F.multi_margin_loss(o, t), "the loss has"),
    "a class's weight": (net(), weighted, "the loss has"),
    "a loss's gradient": (net(), lambda o, t: Clipped.apply(F.cross_entropy(o, t)), "the loss has"),
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("begun") / "study"
    compare(folder, made(loss=lambda o, t: F.cross_entropy(o, t)))
    return folder


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_said_and_nothing_is_mixed(begun, change):
    model, loss, told = CHANGES[change]
    before = (begun / "study.sqlite").read_bytes()
    for seeds in (1, 2):
        with pytest.raises(
            UsageError, match=rf"^{told} changed since study '.*' was started; .* another --study to beg"
        ):
            compare(begun, made(model, loss or (lambda o, t: F.cross_entropy(o, t))), seeds=seeds)
    assert (begun / "study.sqlite").read_bytes() == before


def test_the_same_again_is_the_same(begun):
    """Another function, another class, another session: what they are is what counts."""
    notes = []
    compare(begun, made(net(), lambda o, t: F.nll_loss(F.log_softmax(o, 1), t)), notes=notes)
    assert not notes


def test_a_study_of_an_older_calando_learns_it_once(tmp_path):
    compare(tmp_path, made())
    with contextlib.closing(sqlite3.connect(tmp_path / "study.sqlite")) as connection, connection:
        connection.execute("DELETE FROM meta WHERE key = 'identity'")
    first, second = [], []
    compare(tmp_path, made(), notes=first)
    compare(tmp_path, made(), notes=second)
    assert sum("did not know its network and loss; from now on" in note for note in first) == 1
    assert second == []
    with pytest.raises(UsageError, match="the network's output has changed"):
        compare(tmp_path, made(net(drop=0.1)))


def test_a_damaged_identity_is_named(tmp_path):
    compare(tmp_path, made())
    for text in ("{", "[]", "{}", '{"structure": 1, "numbers": {}}'):
        with Store.open(tmp_path) as store:
            store.identify(text)
        with pytest.raises(CorruptFile, match="what the network and the loss of study .* were is damaged"):
            compare(tmp_path, made())


def test_processors_that_round_otherwise_see_the_same():
    """Without vector instructions, in a process of its own; a seed's numbers are the same there."""
    code = (
        "import torch, calando; from tests.study.test_identity import made;"
        "from calando.training.identity import identify; print(identify(made()), identify(made('resnet8')))"
    )
    plain = os.environ | {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
    told = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=True).stdout
    for text, mine in zip(re.findall(r"\{.*?\}.*?\}", told), (made(), made("resnet8")), strict=True):
        there, here = Identity.read(text), identify(mine)
        assert there.draws_as(here)
        assert there.changes(here) == []
        assert there.numbers != here.numbers


def test_where_a_seed_gives_other_numbers_weights_are_not_compared(begun, tmp_path):
    with Store.open(begun, read_only=True) as store:
        said = json.loads(store.identity)
    there = Identity.read(json.dumps(said | {"drawn": [2 * x for x in said["drawn"]]}))
    assert there.changes(identify(made(net(bias=0.5)))) == []
    assert there.changes(identify(made(net(), weighted))) == ["loss"]
    assert there.changes(identify(made(net(width=5)))) == ["structure"]


class Wavering(nn.Module):
    """Initial weights that no seed decides."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 3)
        self.layer.weight.data += float(np.random.default_rng().normal())

    def forward(self, x):
        return self.layer(x.flatten(1))


def test_what_does_not_repeat_itself_is_said_and_not_refused(tmp_path):
    first, second = [], []
    compare(tmp_path, made(Wavering), notes=first)
    compare(tmp_path, made(Wavering), seeds=2, notes=second)
    assert any("scores depend on the order of runs" in note for note in first)
    assert any("the network's initial weights vary from look to look" in note for note in second)
    with pytest.raises(UsageError, match="the loss has changed"):
        compare(tmp_path, made(Wavering, weighted), seeds=2)


@pytest.mark.parametrize("given", [True, False])
def test_a_worker_with_another_network_is_refused(tmp_path, given):
    mine, theirs = made(), made(net(drop=0.1))
    spec = resolve("digits")
    setup = Setup(task=spec, given=theirs, data_dir=None, folder=tmp_path, threads=1, identity=str(identify(mine)))
    if not given:
        with pytest.raises(UsageError, match=r"the network's parameters \(.*\) differ on .* from where the study was"):
            Setup(**{**vars(setup), "given": None}).load()
        return
    with pytest.raises(UsageError, match="the network's output differs on .* from where the study was started: bring"):
        setup.load()


class Pictures:
    def __init__(self, changed=()):
        self.images = IMAGES.clone()
        self.images[list(changed)] = 255 - self.images[list(changed)]

    def __len__(self):
        return 90

    def __getitem__(self, index):
        return self.images[index], int(LABELS[index])


def test_changed_samples_of_a_dataset_are_refused(tmp_path):
    """Neither the first, nor the middle, nor the last of a part."""
    compare(tmp_path, made(train=Pictures()))
    for changed in ((17,), range(20, 40)):
        with pytest.raises(
            UsageError, match=r"samples of its data have changed since study|the data has changed since"
        ):
            compare(tmp_path, made(train=Pictures(changed)), seeds=2)
    compare(tmp_path, made(train=Pictures()), seeds=2)


class Leaving(nn.Module):
    """Ends the process, or copies it, where it is trained."""

    def __init__(self, how):
        super().__init__()
        self.layer, self.how = nn.Linear(64, 3), how

    def forward(self, x):
        if self.training and self.how == "exit":
            sys.exit(0)
        if self.training and self.how == "fork":
            os.fork()
        return self.layer(x.flatten(1))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("how", ["exit", "fork"])
def test_a_network_that_ends_or_copies_the_process_does_neither_here(tmp_path, how):
    this = os.getpid()
    told = identify(made(lambda: Leaving(how)))
    assert os.getpid() == this
    assert (told.numbers["output"] == ()) == (how == "exit")


def drawing(draws):
    """A workload whose network draws the next of these each time that it is built."""

    class Drawing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 3)
            self.layer.weight.data += next(draws)

        def forward(self, x):
            return self.layer(x.flatten(1))

    return made(Drawing)


def test_two_looks_that_agree_by_chance_are_no_evidence():
    """It is built as it is made, then as it is stored, looked at, looked at by chance alike, and not alike."""
    workload = drawing(iter([0.0, 0.1, 0.5, 0.5, 0.9]))
    stored = str(identify(workload))
    kept, (note,) = recognised(stored, workload, what="the study", remedy="name another folder")
    assert kept == stored
    assert "vary from look to look" in note
    workload = drawing(iter([0.0, 0.1, 0.5, 0.5, 0.9]))
    check_same(str(identify(workload)), workload, where="a worker")


def test_what_repeats_itself_is_refused():
    workload = drawing(iter([0.0, 0.1, *[0.5] * 9]))
    stored = str(identify(workload))
    with pytest.raises(UsageError, match="initial weights differ on a worker"):
        check_same(stored, workload, where="a worker")
