"""What a verb's function returns is what its command prints with --json."""

import json
import socket
from dataclasses import asdict

import numpy as np
import pytest
import safetensors.numpy

import calando as package
from calando.errors import UsageError

TRAIN = {"steps": 6, "batch_size": 32, "threads": 1, "device": "cpu"}
WORDS = ("--steps", 6, "--batch-size", 32, "--threads", 1, "--device", "cpu")


def timeless(found):
    """Without what took time, which differs."""
    if isinstance(found, dict):
        kept = {name: timeless(value) for name, value in found.items() if "seconds" not in name}
        return {name: value for name, value in kept.items() if name not in ("weights", "figure")}
    return [timeless(one) for one in found] if isinstance(found, list) else found


def test_compare_show_and_write_report(calando, tmp_path):
    answer = package.compare(
        "digits", "fixed", "cosine", seeds=2, rates=2, executor="inline", folder=tmp_path / "mine", **TRAIN
    )
    more = ("--seeds", 2, "--rates", 2, "--executor", "inline", "--study", "theirs")
    printed = calando("compare", "digits", "fixed", "cosine", *WORDS, *more, "--no-page", "--json").json
    assert timeless(json.loads(json.dumps(answer.to_json()))) == timeless(printed)
    assert answer.folder == tmp_path / "mine"
    assert len(answer.comparisons) == 1
    shown = package.show(tmp_path / "theirs")
    assert json.loads(json.dumps(shown.to_json())) == printed == calando("show", "theirs", "--json").json
    assert shown.folder == tmp_path / "theirs"
    assert [one.folder for one in package.show(tmp_path)] == [one.parent for one in _stores(tmp_path)]
    listed = calando("show", ".", "--json").json
    assert [one["headline"] for one in listed] == [one.summary.headline for one in package.show(tmp_path)]
    page = package.write_report(tmp_path / "mine")
    assert page == tmp_path / "mine" / "report.html"
    assert calando("report", "theirs").out == "theirs/report.html\n"


def _stores(folder):
    return sorted(folder.glob("*/study.sqlite"), key=lambda path: -path.stat().st_mtime)


def test_compare_chooses_its_folder_as_the_command_does(calando, tmp_path, monkeypatch):
    """Called again by the other way, it goes on in the same folder: nothing is trained twice."""
    ended = calando(
        "compare", "digits", "sgd(lr=0.1)", *WORDS, "--seeds", 1, "--executor", "inline", "--no-page", "--json"
    )
    monkeypatch.chdir(tmp_path)
    answer = package.compare("digits", "sgd(lr=0.1)", seeds=1, executor="inline", **TRAIN)
    assert json.loads(json.dumps(answer.to_json())) == ended.json
    assert [path.parent.name for path in tmp_path.glob("calando-studies/*/study.sqlite")] == [answer.folder.name]


def test_train(calando, tmp_path):
    trained = package.train("digits", "cosine", lr=0.05, folder=tmp_path / "mine", **TRAIN)
    printed = calando("train", "digits", "cosine", "--lr", 0.05, "--out", "theirs", *WORDS, "--json").json
    assert timeless(json.loads(json.dumps(trained.to_json()))) == timeless(printed)
    assert "finished after 6 of 6 steps" in str(trained)
    mine, theirs = (
        safetensors.numpy.load_file(path) for path in (trained.weights, tmp_path / "theirs/weights.safetensors")
    )
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)


def test_train_reports_to_whoever_listens(tmp_path):
    heard = []
    trained = package.train("digits", "sgd(lr=0.1)", folder=tmp_path, listen=heard.append, **TRAIN)
    first, *rest = heard
    assert (first.step, first.steps, first.lr, first.folder) == (0, 6, None, tmp_path)
    assert rest
    assert all(one.run == trained.record.spec and one.lr == 0.1 for one in rest)


def test_train_stopped_by_ctrl_c_goes_on(tmp_path):
    import signal

    pressed = []

    def press(status):
        if status.lr is not None and not pressed:  # a second one ends at once
            pressed.append(status)
            signal.raise_signal(signal.SIGINT)

    options = {**TRAIN, "steps": 2000}
    with pytest.raises(KeyboardInterrupt):
        package.train("digits", "sgd(lr=0.1)", folder=tmp_path, listen=press, **options)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    (state,) = tmp_path.glob("checkpoints/*/state.json")
    assert 0 < json.loads(json.loads(state.read_text())["state"])["state"]["step"] < 2000


def test_find(calando):
    options = {"steps": 20, "repeats": 1, "hold": 0, "batch_size": 32, "threads": 1, "device": "cpu"}
    heard = []
    found = package.find("digits", listen=heard.append, **options)
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    printed = calando("find", "digits", *words, "--json").json
    assert {**json.loads(found.to_json()), "workload": "digits", "lane": found.run.lane.model_dump()} == printed
    assert heard[0].step == 0
    assert [one.step for one in heard[1:]] == list(range(1, found.updates + 1))


def test_lint_and_plot(calando, tmp_path):
    texts = ("linear(0, 1, over=5) >> constant(0)", "sgd | one_cycle | momentum: linear(1, 0.9)")
    linted = package.lint(*texts, steps=50)
    assert (
        json.loads(json.dumps([asdict(one) for one in linted])) == calando("lint", *texts, "--steps", 50, "--json").json
    )
    assert linted[0].findings
    plotted = package.plot(*texts, steps=50)
    printed = calando("plot", *texts, "--steps", 50, "--json")
    assert list(plotted.notes) == printed.err.splitlines()
    assert plotted.curves["lr"][texts[0]].tolist() == printed.json[texts[0]]
    assert plotted.curves["momentum"][texts[1]].tolist() == printed.json[f"{texts[1]} | momentum"]
    assert calando("plot", *texts, "--steps", 50, "-o", "theirs.json").out == "theirs.json\n"
    assert package.draw(plotted, tmp_path / "mine.json") == tmp_path / "mine.json"
    assert (tmp_path / "mine.json").read_bytes() == (tmp_path / "theirs.json").read_bytes()
    for nothing in (package.plot, package.lint):
        with pytest.raises(UsageError, match="give at least one schedule"):
            nothing(steps=5)
    with pytest.raises(
        UsageError, match="only what plot, find, find_lr, train and compare return can be drawn, .* got str"
    ):
        package.draw("cosine", tmp_path / "mine.json")


@pytest.mark.parametrize("name", [None, "lion", "cosine"])
def test_list_strategies(calando, name):
    printed = calando("strategies", *filter(None, [name]), "--json").json
    assert json.loads(json.dumps(package.list_strategies(name))) == printed


def test_list_workloads_and_schedules(calando):
    assert json.loads(json.dumps(package.list_workloads())) == calando("workloads", "--json").json
    listed = json.loads(json.dumps([asdict(one) for one in package.list_schedules()]))
    assert listed == calando("schedules", "--json").json


def test_serve_refuses_as_the_command_does(refused, finished_study):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError) as error:
            package.serve(finished_study, port=port)
        assert refused("serve", finished_study, "--port", port).err == f"calando: {error.value}\n"


def test_an_option_of_named_workloads_is_refused_with_an_object(tmp_path):
    """An object has settled it; nothing is passed over in silence."""
    import torch

    y = torch.arange(60) % 3
    x = torch.rand(60, 1, 8, 8) + y.view(-1, 1, 1, 1)
    mine = package.workload(train=(x, y), model="cnn", batch_size=8, name="mine")
    for name, value in {"model": "cnn", "batch_size": 4, "augment": "flip", "accumulate": 2, "clip_norm": 1.0}.items():
        with pytest.raises(UsageError, match=f"{name} is an option of named workloads; 'mine' is an object"):
            package.find(mine, **{name: value})
    trained = package.train(mine, "sgd(lr=0.1)", steps=2, threads=1, folder=tmp_path)
    assert trained.record.spec.workload.title == "mine"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda: package.compare("digits", ["fixed", "cosine"]), r"a strategy is a text .*, got \['fixed', 'cosine'\]"),
        (lambda: package.train("digits", 3), "a strategy is a text or a StrategySpec, got 3"),
        (lambda: package.find("digits", strategy=3), "a strategy is a text or a StrategySpec, got 3"),
        (lambda: package.train(3, "fixed"), r"workload must be a name or calando.workload\(…\), got 3"),
        (lambda: package.compare("digits", "fixed", rates=2.5), "rates must be from 1 to 100, got 2.5"),
        (lambda: package.compare("digits", "fixed", seeds=0), "seeds must be from 1 to 1000, got 0"),
        (lambda: package.compare("digits", "fixed", lr="0.1"), 'lr must be a positive finite number or "find", got'),
        (lambda: package.train("digits", "fixed", epochs=(1, 2)), "a single run has one length, got 2"),
        (lambda: package.train("digits", "fixed", threads=1.5), "threads must be a whole number, got 1.5"),
        (lambda: package.plot("cosine", steps=2.5), "steps= must be from 1 to .*, got 2.5"),
        (lambda: package.lint("cosine", steps="9"), "steps= must be from 1 to .*, got 9"),
        (lambda: package.plot(package.parse("cosine(1, 0)")), r"a schedule is given as text, .* got cosine\(1, 0\)"),
        (lambda: package.show("nowhere"), "nowhere"),
        (lambda: package.write_report("nowhere"), "nowhere"),
        (lambda: package.list_strategies("lino"), "unknown strategy or method 'lino'; did you mean 'lion'"),
    ],
)
def test_what_python_alone_can_get_wrong_is_one_line_too(asked, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message) as error:
        asked()
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: package.lint("cosine"), "steps=N, or epochs=E and steps_per_epoch=M"),
        (lambda: package.lint("cosine", steps=0), "steps= must be from 1"),
        (lambda: package.plot("linear(0, 1, over='2 epochs')"), "pass steps_per_epoch= "),
        (lambda: package.compare("digits", "fixed", steps=1, epochs=1), "give epochs= or steps=, not both"),
        (lambda: package.serve("nope", port=99999), "port= must be from 0"),
    ],
)
def test_python_is_told_its_own_arguments(call, words):
    with pytest.raises(UsageError) as refused:
        call()
    assert words in str(refused.value)
    assert "--" not in str(refused.value)
