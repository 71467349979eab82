"""Tables and text are compared, found, trained, stored and resumed like images, in their own unit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import calando
from calando.errors import UsageError
from calando.records import WorkloadSpec
from calando.records.store import Store
from calando.study.build_spec import read_workload
from calando.tasks.catalog import resolve
from calando.tasks.load_task import load
from calando.testing.tasks import check_task

ROWS = 200


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table of a number, a table of classes, and a text."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    x = draw.normal(size=(ROWS, 3))
    price = 5000 + 1000 * (x @ [1.0, -2.0, 0.5]) + 100 * draw.normal(size=ROWS)
    rows = [
        f"{a:.4f},{b:.4f},{c:.4f},{'xy'[i % 2]},{p:.2f}" for i, ((a, b, c), p) in enumerate(zip(x, price, strict=True))
    ]
    (tmp_path / "houses.csv").write_text("\n".join(["a,b,c,town,price", *rows]) + "\n")
    kinds = [f"{a:.4f},{b:.4f},{'dear' if p > 5000 else 'cheap'}" for (a, b, _), p in zip(x, price, strict=True)]
    (tmp_path / "kinds.csv").write_text("\n".join(["a,b,kind", *kinds]) + "\n")
    (tmp_path / "t.txt").write_text("a rolling stone gathers no moss; " * 100)
    return tmp_path


HOUSES = "csv:houses.csv,target=price"
TEXT = "text:t.txt,length=16"


def test_the_score_is_in_the_targets_own_unit(here: Path) -> None:
    spec, task, _ = read_workload(resolve(HOUSES), data_dir=None)
    assert (spec.metric, spec.measure.goal, spec.measure.unit) == ("rmse", "min", "RMSE")
    assert task.build().__class__.__name__ == "Sequential"
    values = np.array([float(line.split(",")[-1]) for line in Path("houses.csv").read_text().splitlines()[1:]])
    held = task.validation.targets(torch.arange(len(task.validation)))
    constant = task.train.targets(torch.arange(len(task.train))).mean()
    expected = float((held - constant).square().mean().sqrt()) * values.std()
    assert task.chance.score == pytest.approx(expected, rel=0.1)

    class Zero(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(x), 1)

    from contextlib import nullcontext

    _, score = task.evaluate(Zero(), task.test, precision=nullcontext, placed=lambda tensor: tensor)
    targets = task.test.targets(torch.arange(len(task.test)))
    assert score == pytest.approx(float(targets.square().mean().sqrt()) * values.std(), rel=0.1)


@pytest.mark.parametrize("data", [HOUSES, "csv:kinds.csv,target=kind", TEXT, f"{TEXT},level=bytes"])
def test_they_are_tasks_like_any_other(here: Path, data: str) -> None:
    task = load(resolve(data, batch_size=16, model="gru-8" if data.startswith("text") else "mlp-8"))
    check_task(task)


def test_text_is_cut_by_position(here: Path) -> None:
    task = load(resolve(TEXT, validation_fraction=0.25, batch_size=8))
    parts = [part.read(torch.arange(len(part))) for part in (task.train, task.validation, task.test)]
    tokens = [torch.cat([part.inputs, part.targets[:, -1:]], 1).flatten() for part in parts]
    order = sorted(set("a rolling stone gathers no moss; "))
    text = "a rolling stone gathers no moss; " * 100
    whole = torch.tensor([order.index(letter) for letter in text])
    train, validation, test = tokens
    assert torch.equal(torch.cat([train, validation]), whole[: len(train) + len(validation)])
    assert torch.equal(test, whole[2640 : 2640 + len(test)])
    assert len(validation) / (len(train) + len(validation)) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("data", "unit", "model"),
    [(HOUSES, "RMSE", "mlp-8"), (TEXT, "perplexity", "gru-8"), ("csv:kinds.csv,target=kind", "", "linear")],
)
def test_compare_resumes_and_says_its_unit(here: Path, data: str, unit: str, model: str) -> None:
    options = {
        "rates": 2,
        "seeds": 2,
        "epochs": 4,
        "model": model,
        "batch_size": 16,
        "executor": "inline",
        "folder": "study",
    }
    notes: set[str] = set()
    answer = calando.compare(data, "fixed", "cosine", **options, listen=lambda status: notes.update(status.notes))
    assert any(note.startswith(data.partition(":")[2].partition(",")[0]) and "train" in note for note in notes)
    with Store.open(Path("study"), read_only=True) as store:
        stored = store.study.workload
        assert stored == WorkloadSpec.model_validate_json(stored.model_dump_json())
        assert (stored.data, stored.measure.unit, stored.measure.share) == (data, unit, not unit)
    again = calando.compare(data, "fixed", "cosine", **options)
    assert [one.test for one in again.results] == [one.test for one in answer.results]
    assert f" {unit}" in str(answer)


@pytest.mark.parametrize(("data", "model"), [(HOUSES, "mlp-8"), (TEXT, "gru-8")])
def test_find_and_train(here: Path, data: str, model: str) -> None:
    found = calando.find(data, strategy="sgd(momentum=0.9)", model=model, batch_size=16, steps=30, repeats=2, hold=0)
    rate = found.suggestion.constant.rate
    assert rate is None or 0 < rate < 1000
    made = calando.train(data, "sgd(lr=0.01, momentum=0.9)", model=model, batch_size=16, epochs=1, folder="run")
    assert f"{made.record.spec.workload.measure.unit}" in str(made)
    assert made.record.spec.workload.measure.goal == "min"
    assert np.isfinite(made.test.score)


def test_options_of_images_are_refused(here: Path) -> None:
    for options, message in (
        ({"augment": "flip"}, "augmentation flip is for images"),
        ({"model": "cnn"}, "network 'cnn' needs images"),
        ({"label_smoothing": 0.1}, "label_smoothing is for samples of one class each"),
    ):
        with pytest.raises(UsageError, match=message):
            load(resolve(HOUSES, **options))  # type: ignore[arg-type]


def test_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    listed = {entry["name"]: entry for entry in calando.list_workloads()["data"]}
    assert json.dumps(listed)
    assert "target" in listed["csv:FILE"]["options"]
    assert "level" in listed["text:FILE"]["options"]
    assert listed["parquet:FILE,target=COLUMN"]["model"].startswith("mlp")


def test_a_metric_that_is_named_is_the_one_that_judges(here: Path) -> None:
    """Accuracy as well, though it is the usual one elsewhere and has no name in a spec there."""
    spec, task, _ = read_workload(resolve(TEXT, metric="accuracy"), data_dir=None)
    assert (spec.metric, spec.measure.share, task.metric.name) == ("accuracy", True, "accuracy")
    assert load(spec).metric.name == "accuracy"  # as a worker reads it
    with pytest.raises(UsageError, match="metric 'accuracy' needs classes.* take rmse or r2"):
        read_workload(resolve(HOUSES, metric="accuracy"), data_dir=None)
    for data in ("csv:kinds.csv,target=kind", "digits"):
        named, plain = (read_workload(resolve(data, metric=metric), data_dir=None)[0] for metric in ("accuracy", None))
        assert named == plain, data
