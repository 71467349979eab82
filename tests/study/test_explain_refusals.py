"""`calando explain` where paths, kept looks and options are not what it takes: nothing is lost, guessed or ignored."""

from __future__ import annotations

import json
import re

import pytest
import torch

import calando
from calando.analysis.looked import Looked
from calando.errors import CorruptFile, UsageError
from calando.study import look


def explain(folder, strategy="sgd(lr=0.05, momentum=0.9)", **options):
    given = {"steps": 40, "threads": 1, "listen": lambda _: None} | options
    return calando.explain("digits", strategy, folder=folder, **given)


def test_a_folder_that_is_called_as_a_task_hides_no_task(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert explain("looks").looked.step == 8


def test_looks_at_another_run_are_not_written_over(tmp_path) -> None:
    explain(tmp_path)
    kept = (tmp_path / "probes.json").read_bytes()
    with pytest.raises(UsageError, match="another run, of sgd"):
        explain(tmp_path, "sgd(lr=0.5)")
    assert (tmp_path / "probes.json").read_bytes() == kept


def test_damaged_looks_are_named_with_what_to_do(tmp_path) -> None:
    explain(tmp_path)
    (tmp_path / "probes.json").write_text("{")
    with pytest.raises(CorruptFile, match="remove it"):
        explain(tmp_path)
    (tmp_path / "probes.json").unlink()
    assert explain(tmp_path).looked.rows


def test_a_folder_that_cannot_be_written_is_refused_before_the_run(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(look, "probe_run", lambda *_, **__: pytest.fail("run"))
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "within"):
        with pytest.raises(UsageError, match="another folder="):
            explain(folder)


def test_a_folder_of_looks_is_read_like_its_file(tmp_path) -> None:
    found = explain(tmp_path / "looks")
    assert str(calando.explain(tmp_path / "looks")) == str(found)
    assert calando.explain(tmp_path / "looks").write_page() == tmp_path / "looks" / "explain.html"
    page = calando.explain(tmp_path / "looks" / "probes.json", folder=tmp_path / "page").write_page()
    assert page == tmp_path / "page" / "explain.html"


@pytest.mark.parametrize(
    "options", [{"lr": 0.1}, {"steps": 9}, {"model": "cnn"}, {"accumulate": 2}, {"device": "cpu"}, {"until": "9%"}]
)
def test_what_looks_cannot_take_is_refused_not_ignored(tmp_path, options) -> None:
    explain(tmp_path / "looks")
    (name,) = options
    with pytest.raises(UsageError, match=f"{name}= cannot be changed"):
        calando.explain(tmp_path / "looks", **options)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("total_steps", 0),
        ("total_steps", "x"),
        ("batch", -1),
        ("chance", "low"),
        ("losses", {"a": 1}),
        ("rows", ["a"]),
        ("rows", [{"step": 1, "rate": "abc", "layers": []}]),
        ("rows", [{"step": True, "rate": None, "layers": []}]),
        ("rows", [{"step": 1, "rate": 0.1, "layers": [{"name": 3}]}]),
        ("rows", [{"step": 99, "rate": 0.1, "layers": []}]),
        ("stopped", 3),
        ("untold", "ab"),
        ("spec", {}),
    ],
)
def test_files_of_other_things_are_damaged_not_a_traceback(tmp_path, key, value) -> None:
    fine = {"calando": "probes", "rows": [], "losses": [], "total_steps": 9, "step": 9, "chance": None}
    path = tmp_path / "probes.json"
    path.write_text(json.dumps(fine))
    assert Looked.read(path).reading().verdict == "silent"
    path.write_text(json.dumps(fine | {key: value}))
    with pytest.raises(CorruptFile, match=re.escape(str(path))):
        Looked.read(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "null", "[]", "3", '{"calando": 1}', "\x00"])
def test_any_file_is_read_or_named(tmp_path, text) -> None:
    path = tmp_path / "probes.json"
    path.write_text(text)
    with pytest.raises(CorruptFile):
        calando.explain(path)


def test_a_run_that_goes_back_has_a_row_an_update(tmp_path) -> None:
    found = explain(tmp_path, "sgd(lr=1000000.0) | rollback()", until="100%")
    steps = [row.step for row in found.looked.rows]
    assert steps == sorted(set(steps))
    assert found.looked.updates > len(steps)


def test_a_folder_of_studies_is_named_with_one_of_them(tmp_path) -> None:
    for name in ("a", "b"):
        calando.compare(
            "digits", "fixed", folder=tmp_path / name, steps=20, seeds=1, lr=0.1, executor="inline", threads=1,
            listen=lambda _: None,
        )  # fmt: skip
    with pytest.raises(UsageError, match="holds 2 studies: give one"):
        calando.explain(tmp_path)
    with pytest.raises(UsageError, match="lr= cannot be changed"):
        calando.explain(tmp_path / "a", lr=0.1)


def test_a_run_that_diverged_after_the_tested_ages_says_so(tmp_path) -> None:
    found = explain(tmp_path, "sgd(lr=1000000000.0)", until="100%")
    assert found.looked.stopped
    assert found.reading.verdict == "diverged"


def test_a_study_of_a_workload_made_in_python_says_how_to_look_at_it(tmp_path) -> None:
    torch.manual_seed(0)
    task = calando.workload(
        train=(torch.randn(120, 4), torch.arange(120) % 2), model=lambda: torch.nn.Linear(4, 2), batch_size=16
    )
    calando.compare(
        task, "sgd(lr=0.1)", folder=tmp_path, steps=20, seeds=1, executor="inline", threads=1, listen=lambda _: None
    )
    with pytest.raises(UsageError, match="made in Python"):
        calando.explain(tmp_path)


@pytest.mark.parametrize("text", ["x" * 5000, "a\0b", ""])
def test_no_text_is_a_traceback(text) -> None:
    with pytest.raises(UsageError):
        calando.explain(text, "sgd(lr=0.1)")
    with pytest.raises(UsageError):
        calando.explain(text)


def test_a_run_that_is_stopped_leaves_no_folder(tmp_path, monkeypatch) -> None:
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(look, "probe_run", stopped)
    with pytest.raises(KeyboardInterrupt):
        explain(tmp_path / "looks")
    assert not (tmp_path / "looks").exists()


def test_progress_is_towards_the_part_that_is_made(tmp_path) -> None:
    heard = []
    explain(tmp_path, listen=heard.append)
    assert {status.steps for status in heard} == {8}
    assert max(status.step for status in heard) == 8


@pytest.mark.parametrize("name", ["study.sqlite", "tune.sqlite", "lesson.json"])
def test_looks_are_not_put_among_other_things(tmp_path, name) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError, match="name another folder="):
        explain(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_training_code_is_looked_at_in_itself() -> None:
    with pytest.raises(UsageError, match=r"calando\.watch"):
        calando.explain("train.py", "cosine")
