"""Each run has its own loss, network factory, Datasets and generators, as they were given: no order changes a score."""

import os
import random
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.study.study_kit import decided
from torch import nn

import calando
from calando.errors import UsageError

pytestmark = pytest.mark.filterwarnings("ignore::calando.errors.DataWarning")

LABELS = torch.arange(90) % 3
IMAGES = torch.randint(0, 256, (90, 1, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
NAMES = ("a = sgd(lr=0.1)", "b = sgd(lr=0.2)", "c = adam(lr=0.01)")


class RunningMean:
    """A loss that divides by the mean of all the losses that it gave."""

    def __init__(self):
        self.mean = torch.ones(1)

    def __call__(self, outputs, targets):
        loss = F.cross_entropy(outputs, targets)
        self.mean = 0.9 * self.mean + 0.1 * loss.detach()
        return loss / self.mean.squeeze()


class InPlace(nn.Module):
    """The same in a buffer that is written to."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.ones(()))

    def forward(self, outputs, targets):
        loss = F.cross_entropy(outputs, targets)
        self.mean.mul_(0.9).add_(0.1 * loss.detach())
        return loss / self.mean


def closed_over():
    seen, count = [1.0], 0

    def remember(value):
        nonlocal count
        count += 1
        seen.append(value)

    def loss(outputs, targets):
        value = F.cross_entropy(outputs, targets)
        remember(value.item())
        return value / (sum(seen) / (1 + count))

    return loss


def by_default(outputs, targets, seen=[1.0]):  # noqa: B006
    value = F.cross_entropy(outputs, targets)
    seen.append(value.item())
    return value / np.mean(seen)


class Net(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.layer, self.scale = nn.Linear(16, 3), scale

    def forward(self, x):
        return self.layer(x.flatten(1)) * self.scale


class Factory:
    """Networks from a generator of its own."""

    def __init__(self):
        self.generator = torch.Generator().manual_seed(3)

    def __call__(self):
        return Net(1 + torch.rand((), generator=self.generator).item())


class Noisy:
    """A Dataset that draws from a generator of its own."""

    def __init__(self, rng):
        self.rng = rng

    def __len__(self):
        return len(LABELS)

    def __getitem__(self, index):
        return IMAGES[index].float() + float(self.rng.random()), int(LABELS[index])


def remembering():
    """A loss and a network factory that share what they keep."""
    kept = {"passes": 0}

    def loss(outputs, targets):
        kept["passes"] += 1
        return F.cross_entropy(outputs, targets) * (1 + 0.1 * kept["passes"])

    class Passing(Net):
        def forward(self, x):
            return super().forward(x) * (1 + 0.1 * kept["passes"])

    return {"model": lambda: Passing(), "loss": loss}


KEEPING = {
    "loss": lambda: {"loss": RunningMean()},
    "buffer": lambda: {"loss": InPlace()},
    "closure": lambda: {"loss": closed_over()},
    "default": lambda: {"loss": by_default},
    "factory": lambda: {"model": Factory()},
    "dataset": lambda: {"train": Noisy(np.random.default_rng(0)), "test": (IMAGES.float(), LABELS)},
    "dataset's random": lambda: {"train": Noisy(random.Random(0)), "test": (IMAGES.float(), LABELS)},
}


def made(**options):
    return calando.workload(
        **{"train": (IMAGES, LABELS), "test": (IMAGES, LABELS), "model": Net, "batch_size": 16, **options}
    )


def compare(folder, workload, names=NAMES, **options):
    notes = []
    options = {"executor": "inline", "steps": 8, "seeds": 2, **options}
    calando.compare(
        workload,
        *names,
        folder=folder,
        listen=lambda status: notes.extend(note for note in status.notes if note not in notes),
        **options,
    )
    return notes, decided(folder)["runs"]


@pytest.mark.parametrize("kind", KEEPING)
def test_no_order_of_strategies_changes_a_score(tmp_path, kind):
    given = KEEPING[kind]()
    mine = made(**given)
    notes, forward = compare(tmp_path / "forward", mine)
    assert not any("scores depend" in note or "cannot be copied" in note for note in notes)
    _, backward = compare(tmp_path / "backward", mine, NAMES[::-1])
    assert backward == forward
    # Once more from what was given: nobody has touched it.
    _, again = compare(tmp_path / "again", made(**given), NAMES[1:])
    assert again.items() <= forward.items()
    assert not any(digest in forward and forward[digest] != run for digest, run in again.items())


def test_nor_does_the_number_of_workers(tmp_path):
    mine = made(loss=closed_over(), model=Factory(), **KEEPING["dataset"]())
    _, alone = compare(tmp_path / "inline", mine)
    for workers in (1, 2):
        _, runs = compare(tmp_path / f"{workers}", mine, executor="process", workers=workers)
        assert runs == alone


def test_what_they_share_they_share_in_each_run(tmp_path):
    given = {"loss": InPlace()}
    given["model"] = lambda: Shared(given["loss"])
    _, forward = compare(tmp_path / "forward", made(**given))
    _, backward = compare(tmp_path / "backward", made(**given), NAMES[::-1])
    assert forward == backward
    assert torch.equal(given["loss"].mean, torch.ones(()))
    losses = [np.frombuffer(run[2], np.float32) for run in forward.values()]
    assert all(loss.std() > 0 for loss in losses)


class Shared(Net):
    def __init__(self, loss):
        super().__init__()
        self.of = [loss]

    def forward(self, x):
        return super().forward(x) * self.of[0].mean.clone()


KEPT = []


def in_globals(outputs, targets):
    KEPT.append(1)
    return F.cross_entropy(outputs, targets) * (1 + 0.01 * len(KEPT))


class OfItsClass(Net):
    passes = 0

    def forward(self, x):
        OfItsClass.passes += 1
        return super().forward(x) * (1 + 0.01 * OfItsClass.passes)


class Unseeded(Net):
    def forward(self, x):
        return super().forward(x) * (1 + 0.1 * float(np.random.default_rng().random()))


class Wavering(Net):
    """In evaluation mode alone."""

    def forward(self, x):
        return super().forward(x) * (1 if self.training else float(np.random.default_rng().random()))


@pytest.mark.parametrize("sharing", ["checked", "none"])
@pytest.mark.parametrize(
    "given", [{"loss": in_globals}, {"model": OfItsClass}, {"model": Unseeded}, {"model": Wavering}]
)
def test_what_is_not_repeatable_is_said(tmp_path, given, sharing):
    notes, _ = compare(tmp_path, made(**given), NAMES[:1], seeds=1, sharing=sharing)
    (said,) = (note for note in notes if note.startswith("scores depend on the order of runs"))
    assert "keep state that cannot be copied for each run" in said


@pytest.mark.parametrize("sharing", ["checked", "none"])
def test_what_cannot_be_forked_is_said_whether_or_not_pasts_are_shared(tmp_path, sharing):
    notes, _ = compare(tmp_path, made(loss=RunningMean()), NAMES[:1], seeds=1, sharing=sharing)
    (said,) = (note for note in notes if note.startswith("a stopped run would not resume to the same result"))
    assert ": the loss of update 2 is" in said


def test_what_cannot_be_copied_is_shared_and_said(tmp_path):
    class Locked(RunningMean):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

    notes, _ = compare(tmp_path, made(loss=Locked()), NAMES[:1], seeds=1)
    assert any(note.startswith("the workload's loss cannot be copied (TypeError: cannot pickle") for note in notes)
    assert any(note.startswith("scores depend on the order of runs") for note in notes)


class Writing:
    """A Dataset that brightens its own pictures each time that they are read."""

    def __init__(self, side):
        self.images = np.zeros((90, 1, side, side), np.float32) + LABELS.numpy()[:, None, None, None]

    def __len__(self):
        return 90

    def __getitem__(self, index):
        self.images[index] += 0.01
        return self.images[index], int(LABELS[index])


def test_a_dataset_that_writes_to_what_it_holds(tmp_path):
    """Small arrays are each run's own; large ones are shared, and it is refused."""
    small = Writing(4)
    test = (IMAGES / 255, LABELS)
    _, forward = compare(tmp_path / "forward", made(train=small, test=test))
    _, backward = compare(tmp_path / "backward", made(train=small, test=test), NAMES[::-1])
    assert forward == backward
    big = {
        "train": Writing(64),
        "test": None,
        "model": lambda image_size: nn.Sequential(nn.Flatten(), nn.Linear(4096, 3)),
    }
    with pytest.raises(UsageError, match="the data set writes to an array of 3 MiB that it holds while it is read"):
        compare(tmp_path / "big", made(**big))


class LateOfItsClass(Net):
    """What it keeps shows after more updates than are tried before training."""

    passes = 0

    def forward(self, x):
        LateOfItsClass.passes += 1
        return super().forward(x) * (2 if LateOfItsClass.passes > 10_000 else 1)


class LateDefault:
    def __call__(self, outputs, targets, seen=[]):  # noqa: B006
        seen.append(1)
        return F.cross_entropy(outputs, targets) * (2 if len(seen) > 10_000 else 1)


def late_global(outputs, targets):
    return late(outputs, targets)


def late(outputs, targets):
    KEPT.append(1)
    return F.cross_entropy(outputs, targets) * (2 if len(KEPT) > 10_000 else 1)


def late_environment(outputs, targets):
    os.environ["CALANDO_TESTED"] = str(1 + int(os.environ.get("CALANDO_TESTED", "0")))
    return F.cross_entropy(outputs, targets)


LATE = {
    "LateOfItsClass.passes": {"model": LateOfItsClass},
    "a default of LateDefault.__call__": {"loss": LateDefault()},
    "test_own_state.KEPT": {"loss": late_global},
    "the environment": {"loss": late_environment},
}


@pytest.mark.parametrize("name", LATE)
def test_state_that_all_runs_share_is_named_though_nothing_shows_yet(tmp_path, name, monkeypatch):
    monkeypatch.setenv("CALANDO_TESTED", "0")
    notes, _ = compare(tmp_path, made(**LATE[name]), NAMES[:1], seeds=1)
    (said,) = (note for note in notes if note.startswith("scores may depend on the order of runs"))
    assert name in said


def test_what_only_looks_is_not_named(tmp_path):
    notes, _ = compare(tmp_path, made(loss=RunningMean()), NAMES[:1], seeds=1)
    assert not any("may depend on the order" in note for note in notes)


class Wandering(Net):
    def forward(self, x):
        if len(x) > 4:
            os.chdir("/")
            torch.set_default_dtype(torch.float64)
        return super().forward(x)


def test_another_current_folder_or_default_type_is_the_runs_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    compare(Path("study"), made(model=Wandering), NAMES[:2], seeds=1)
    assert Path.cwd() == tmp_path
    assert torch.get_default_dtype() is torch.float32
    assert (tmp_path / "study" / "study.sqlite").exists()
    assert any((tmp_path / "study").rglob("*.safetensors"))
    assert not Path("/study").exists()
