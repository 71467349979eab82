"""Names become specs and specs become workloads."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from calando.errors import DataError, UnknownName, UsageError
from calando.records import WorkloadSpec
from calando.tasks.augment import parse_augment
from calando.tasks.catalog import DATA, READERS, data_entry, find_network, resolve
from calando.tasks.load_task import load
from calando.tasks.workload import CrossEntropy

Samples = Callable[..., tuple[np.ndarray, np.ndarray]]
Write = Callable[..., Path]


def test_names_are_looked_up_without_torch() -> None:
    code = (
        "import sys; from calando.tasks.catalog import resolve; from calando.tasks import fetch; "
        "resolve('cifar10', model='resnet20', augment='crop(2)'); "
        "sys.exit(str({'torch', 'sklearn', 'pyarrow', 'PIL', 'pooch'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_importing_a_workload_costs_no_more_than_torch() -> None:
    code = (
        "import sys; import calando.tasks.custom, calando.tasks.assemble, calando.tasks.fetch; "
        "sys.exit(str({'sklearn', 'pyarrow', 'PIL', 'pooch'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_every_default_is_valid() -> None:
    texts = [*DATA, "audio:x", "folder:x", "parquet:x", "npz:x", "csv:x", "text:x"]
    for text in texts:
        spec = resolve(text)
        assert spec == WorkloadSpec.model_validate_json(spec.model_dump_json())
        assert find_network(spec.model) is not None
        assert str(parse_augment(spec.augment)) == spec.augment
        assert data_entry(text).epochs >= 1
    assert {text.partition(":")[0] for text in texts} == {*DATA, *READERS}


def test_what_is_asked_for_is_kept() -> None:
    asked = {
        "model": "resnet20",
        "batch_size": 96,
        "accumulate": 3,
        "augment": "flip+cutout(2)",
        "label_smoothing": 0.1,
        "clip_norm": 1.5,
        "validation_fraction": 0.25,
        "train_limit": 500,
    }
    spec = resolve("digits", **asked)  # type: ignore[arg-type]
    assert spec.model_dump(exclude={"data"}) == asked


def test_equal_augmentations_give_equal_specs() -> None:
    assert (
        resolve("cifar10", augment=" crop( 4 ) + flip ").digest() == resolve("cifar10", augment="crop(4)+flip").digest()
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("digit", "unknown workload 'digit'; did you mean 'digits'"),
        ("cifar-10", "did you mean 'cifar10'"),
        ("", "unknown workload ''; choices: .*MODULE:CALLABLE.*folder:PATH"),
        ("folder", "did you mean 'folder:PATH'"),
        ("http://x", "unknown workload"),
    ],
)
def test_unknown_workloads(data: str, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        resolve(data)


def test_a_form_without_a_path() -> None:
    with pytest.raises(UsageError, match="'npz:' names no path; write npz:PATH"):
        data_entry("npz:")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": -3}, "batch size must be at least 1, got -3"),
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        ({"batch_size": 10, "accumulate": 3}, "accumulate must divide the batch size, got 3 for a batch size of 10"),
        ({"clip_norm": 0.0}, "clip norm must be a positive number, got 0.0"),
        ({"clip_norm": float("nan")}, "clip norm must be a positive number, got nan"),
        ({"clip_norm": float("inf")}, "got inf"),
        ({"validation_fraction": 1.0}, "validation fraction must be in"),
        ({"label_smoothing": -0.1}, "label smoothing must be in"),
        ({"train_limit": 0}, "train limit must be at least 1"),
        ({"model": "resnet21"}, "the nearest is 20 or 26"),
        ({"model": "own"}, "unknown network 'own'"),
        ({"augment": "crop"}, "write crop"),
    ],
)
def test_options_out_of_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve("digits", **options)  # type: ignore[arg-type]


def test_digits() -> None:
    made = load(resolve("digits"))
    assert (len(made.train), len(made.validation), len(made.test)) == (1151, 287, 359)
    assert made.class_names == tuple("0123456789")
    assert made.fingerprint == "d8ba86c5fd74c0fd"  # a change here makes old and new results incomparable


def test_spec_fields_are_honoured() -> None:
    made = load(
        resolve("digits", model="resnet8", batch_size=32, augment="crop(1)", label_smoothing=0.1, train_limit=100)
    )
    assert (len(made.train), made.batch_size, str(made.augment)) == (100, 32, "crop(1)")
    assert made.loss == CrossEntropy(0.1)
    assert made.build()(made.batch(0, seed=0).inputs).shape == (32, 10)


def test_files(tmp_path: Path, samples: Samples, write_folder: Write, write_parquet: Write, write_idx: Write) -> None:
    images, labels = samples(60)
    write_folder(tmp_path / "folder", images, labels)
    write_parquet(tmp_path / "x.parquet", images, labels.tolist(), names=["cat", "dog"])
    np.savez(tmp_path / "x.npz", images=images, labels=labels)
    write_idx(tmp_path / "fashion-mnist", images, np.arange(60) % 10)
    for data in (f"folder:{tmp_path}/folder", f"parquet:{tmp_path}/x.parquet", f"npz:{tmp_path}/x.npz"):
        made = load(resolve(data, batch_size=16))
        assert (len(made.train), len(made.validation), len(made.test)) == (44, 4, 12)
        assert made.class_names == (("0", "1") if data.startswith("npz") else ("cat", "dog"))
        assert made.batch(5, seed=0).inputs.shape == (16, 1, 8, 8)
    made = load(resolve("fashion-mnist", batch_size=16), data_dir=tmp_path)
    assert made.class_names[1] == "Trouser"


def test_the_same_images_in_any_format_are_the_same_data(
    tmp_path: Path, samples: Samples, write_parquet: Write
) -> None:
    images, labels = samples(60)
    write_parquet(tmp_path / "x.parquet", images, labels.tolist())
    np.savez(tmp_path / "x.npz", images=images, labels=labels)
    first, second = (
        load(resolve(data, batch_size=8)) for data in (f"parquet:{tmp_path}/x.parquet", f"npz:{tmp_path}/x.npz")
    )
    assert first.fingerprint == second.fingerprint


def test_a_value_that_is_not_finite_names_the_file(tmp_path: Path) -> None:
    images = np.zeros((20, 8, 8), np.float32)
    images[7, 2, 2] = np.inf
    images[8] = 1
    np.savez(tmp_path / "x.npz", x_train=images, y_train=np.arange(20) % 2, x_test=images[:4], y_test=np.arange(4) % 2)
    with pytest.raises(DataError, match=r"x.npz \(x_train\): sample \d+ has a NaN or infinite value"):
        load(resolve(f"npz:{tmp_path}/x.npz", batch_size=4))


def test_data_that_are_nowhere(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cifar10 was not found; looked in .*`calando data get cifar10`"):
        load(resolve("cifar10"), data_dir=tmp_path)


OWN = """
import torch
from torch import nn
from calando.tasks.custom import workload as put_together

x = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
y = torch.arange(60) % 2

class Net(nn.Sequential):
    def __init__(self, classes):
        super().__init__(nn.Flatten(), nn.Linear(64, classes))

def workload():
    return put_together(train=(x, y), model=Net, batch_size=9, augment="flip", label_smoothing=0.2)

def own_loss():
    return put_together(train=(x, y), model=Net, batch_size=9, loss=lambda outputs, targets: outputs.sum())

def wrong():
    return 3

def fails():
    return x[1000]

def drawn():
    return put_together(train=(torch.rand(60, 1, 8, 8), y), model=Net, batch_size=9)

def mistaken():
    return put_together(train=(x, y * 0), model=Net)
"""


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's; its name."""
    name = f"tasks_of_{tmp_path.name}".replace("[", "_").replace("]", "_").replace("-", "_")
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_your_own_workload_says_its_defaults(tasks: str) -> None:
    spec = resolve(f"{tasks}:workload")
    assert (spec.model, spec.batch_size, spec.augment, spec.label_smoothing) == ("own", 9, "flip", 0.2)
    made = load(spec)
    assert (made.name, made.batch_size, str(made.augment)) == (f"{tasks}:workload", 9, "flip")
    assert made.loss == CrossEntropy(0.2)
    assert type(made.build()).__name__ == "Net"


def test_data_that_are_drawn_at_random_are_the_same_in_every_process(tasks: str) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    spec = resolve(f"{tasks}:drawn")
    assert load(spec).fingerprint == load(spec).fingerprint
    assert torch.equal(torch.rand(1), expected), "whoever draws next draws as before"


def test_your_own_workload_is_changed_by_options(tasks: str) -> None:
    asked = resolve(f"{tasks}:workload", model="cnn", batch_size=5, augment="none", label_smoothing=0.0, train_limit=20)
    made = load(asked)
    assert (made.batch_size, str(made.augment), made.loss, len(made.train)) == (5, "none", CrossEntropy(0.0), 20)
    assert any(isinstance(module, torch.nn.Conv2d) for module in made.build().modules())
    assert made.mean != load(resolve(f"{tasks}:workload")).mean


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("wrong", {}, r"must return calando.workload\(…\), got int"),
        ("fails", {}, r"workload '.*:fails' failed: IndexError: .* \(.*tasks_of_.*\.py, line \d+\)"),
        ("mistaken", {}, "train: holds a single class"),
        ("absent", {}, "has no 'absent'; it has Net, drawn, fails, mistaken"),
        ("workload", {"validation_fraction": 0.2}, "cuts its own validation part"),
        ("workload", {"batch_size": 50}, "batch size 50 is larger than the training part"),
        ("workload", {"augment": "crop(9)"}, "choose at most 7"),
        ("own_loss", {"label_smoothing": 0.1}, "has a loss of its own"),
    ],
)
def test_faults_of_your_own_workload(tasks: str, path: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load(resolve(f"{tasks}:{path}", **options))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_real_fashion_mnist(real_data: Path) -> None:
    made = load(resolve("fashion-mnist"), data_dir=real_data)
    assert (len(made.train), len(made.validation), len(made.test)) == (54_000, 6_000, 10_000)
    assert made.mean == pytest.approx((0.286,), abs=0.001)
    assert made.std == pytest.approx((0.353,), abs=0.001)
