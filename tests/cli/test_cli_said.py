"""What was chosen or named is shown where a person looks: on the terminal, on the page, in JSON."""

import html
import os
import re
import shlex
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import calando as package
from calando.errors import UsageError
from calando.records import Lane, Store, WorkloadSpec
from calando.tasks.catalog import resolve
from calando.tasks.load_task import load
from calando.training import lane as lanes

TASK = """
import calando, torch
def workload():
    y = torch.arange(120) % 3
    x = torch.rand(120, 1, {size}, {size}, generator=torch.Generator().manual_seed(0)) + y.view(-1, 1, 1, 1)
    return calando.workload(train=(x, y), model="cnn", batch_size=16{name})
"""
SHORT = ("--executor", "inline", "--steps", "4", "--seeds", "2", "--lr", "0.1", "--study", "study")


@pytest.fixture
def task(tmp_path, request, monkeypatch):
    """A module of the user's own; its name differs from test to test, since it stays imported."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(*, size=8, name=""):
        module = f"task_{request.node.name.partition('[')[0]}_{size}"
        (tmp_path / f"{module}.py").write_text(TASK.format(size=size, name=name))
        return f"{module}:workload"

    return write


def test_a_workload_is_called_what_it_calls_itself(calando, task, tmp_path):
    text = task(name=', name="my squares"')
    ended = calando("compare", text, "fixed", "cosine", *SHORT)
    assert "my squares with own, batch 16" in ended.err
    page = html.unescape((tmp_path / "study" / "report.html").read_text())
    assert "<title>own on my squares – calando</title>" in page
    assert "own on my squares · batch 16" in page
    shown = calando("show", "study", "--json").json
    assert (shown["spec"]["workload"]["name"], shown["spec"]["workload"]["data"]) == ("my squares", text)
    with Store.open(tmp_path / "study", read_only=True) as store:
        assert store.study.workload.title == "my squares"
        assert {record.spec.workload.title for record in store.runs().values()} == {"my squares"}
    assert load(resolve(text)).name == "my squares"
    assert calando("train", text, "fixed", "--steps", "2", "--json").json["workload"] == "my squares"


def test_a_name_changes_no_run_and_may_change(calando, task):
    """Equal training is one run, so a study goes on under another name; the new one is shown."""
    text = task(name=', name="before"')
    first = calando("compare", text, "fixed", *SHORT, "--no-page", "--json").json
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calando.tasks.load_task.call_task", _renamed("after"))
        again = calando("compare", text, "fixed", *SHORT, "--no-page", "--json").json
    assert again["spec"]["workload"]["name"] == "after"
    assert again["results"] == first["results"]
    plain = WorkloadSpec(data="digits")
    assert "name" not in plain.model_dump()
    assert plain.title == "digits"


def _renamed(name):
    from dataclasses import replace

    from calando.tasks import load_task

    before = load_task.call_task
    return lambda data: replace(before(data), name=name)


def test_a_workload_given_as_an_object_is_called_so_too(tmp_path):
    import torch

    y = torch.arange(60) % 3
    x = torch.rand(60, 1, 8, 8) + y.view(-1, 1, 1, 1)
    for name, title in (("mine", "mine"), (None, "python:custom")):
        given = {} if name is None else {"name": name}
        mine = package.workload(train=(x, y), model="cnn", batch_size=8, **given)
        answer = package.compare(mine, "fixed", lr=0.1, steps=2, seeds=1, folder=tmp_path / title, executor="inline")
        assert answer.spec.workload.title == title
    for name in ("", " ", "two\nlines"):
        with pytest.raises(UsageError, match="name must be one line that can be seen"):
            package.workload(train=(x, y), model="cnn", batch_size=8, name=name)


@pytest.mark.parametrize(("able", "size", "precision"), [(True, 28, "bf16"), (True, 8, "fp32"), (False, 28, "fp32")])
def test_the_precision_that_auto_chose_is_said(calando, task, tmp_path, monkeypatch, able, size, precision):
    """By every verb that trains, on the page, and in JSON."""
    monkeypatch.setattr(lanes, "_cpu_flags", lambda: "flags : avx512_bf16" if able else "flags : avx2")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    text = task(size=size)
    said = Lane(precision=precision).text
    assert ("bf16 autocast (--precision auto chooses it" in said) == (precision == "bf16")
    assert f"on {said}" in " ".join(calando("compare", text, "fixed", *SHORT).err.split())
    page = html.unescape((tmp_path / "study" / "report.html").read_text())
    assert f"<dd>{said}, deterministic kernels" in page
    assert ("· bf16" in page) == (precision == "bf16")
    assert calando("show", "study", "--json").json["spec"]["lane"]["precision"] == precision
    train = ("train", text, "fixed", "--steps", "2")
    assert precision in calando(*train).err
    assert calando(*train, "--json").json["lane"]["precision"] == precision
    find = ("find", text, "--steps", "20", "--repeats", "1")
    assert precision in calando(*find).out.splitlines()[0]
    assert calando(*find, "--json").json["lane"]["precision"] == precision


def test_show_lists_the_studies_of_a_folder(calando, refused, finished_study, tmp_path):
    """A line each, whatever state they are in, and how to show one; the verbs that take one say which there are."""
    home = tmp_path / "my studies"
    for name in ("older", "newer", "damaged"):
        shutil.copytree(finished_study, home / name)
    with closing(sqlite3.connect(home / "newer" / "study.sqlite")) as connection, connection:
        connection.execute("DELETE FROM tests")
        connection.execute("DELETE FROM runs WHERE rowid > 1")
    (home / "damaged" / "study.sqlite").write_bytes(b"no store")
    (home / "something else").mkdir()
    for age, name in enumerate(("newer", "older", "damaged")):
        os.utime(home / name / "study.sqlite", (1e9 - age, 1e9 - age))
    home = Path("my studies")  # short, so that lines of 100 columns have room for what is asserted
    ended = calando("show", home)
    assert ended.status == 0
    newer, older, damaged, advice = ended.out.splitlines()
    assert re.match(rf"{home}/newer  \d+ d ago, [\d.]+ [kM]B  1 of \d+ runs is done", newer)
    assert re.match(rf"{home}/older  \d+ d ago, [\d.]+ [kM]B  complete: ", older)
    assert damaged.startswith(f"{home}/damaged  ")
    assert max(map(len, ended.out.splitlines()[:3])) <= 100
    words = shlex.split(advice.partition(": ")[2])
    assert words == ["calando", "show", f"{home}/newer"]
    assert "there is no verdict yet" in calando(*words[1:]).out
    listed = calando("show", home, "--json").json
    assert [one["study"] for one in listed] == [f"{home}/{name}" for name in ("newer", "older", "damaged")]
    assert [one.get("complete") for one in listed] == [False, True, None]
    assert f"it holds 3: name one, as '{home}/newer'" in refused("report", home).err
    assert "no studies in 'calando-studies'; `calando compare digits` makes one" in refused("show").err
    (tmp_path / "my studies").rename(tmp_path / "calando-studies")
    again = [line.split("  ")[0] for line in calando("show").out.splitlines()[:3]]
    assert again == [f"calando-studies/{name}" for name in ("newer", "older", "damaged")]
    (tmp_path / "calando-studies").rename(tmp_path / "my studies")
    (tmp_path / "empty").mkdir()
    assert "`calando compare` makes one" in refused("show", tmp_path / "empty").err
