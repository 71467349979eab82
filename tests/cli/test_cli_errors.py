"""What a wrong command gets: one line that names the thing and says what to do, status 2, nothing left behind."""

import gzip
import os
import re
import socket
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UsageError
from calando.strategy import parse_strategy
from calando.study.build_spec import read_strategies

D = ("compare", "digits")
INLINE = ("--executor", "inline", "--steps", "2", "--seeds", "1", "--rates", "1")

# What is asked, and what the message must say.
WRONG = [
    # names, with the nearest
    (("compare", "digit"), r"unknown workload 'digit'; did you mean 'digits'\? choices: .*cifar10"),
    (("compare", ""), "unknown workload ''; choices:"),
    (("compare", "dïgits ☃"), "did you mean 'digits'"),
    ((*D, "cosin"), r"unknown strategy 'cosin'; did you mean 'cosine' or .*cosine'\? or a .toml file"),
    ((*D, ""), "expected a method or a schedule, at character 1"),
    ((*D, "☃"), "unexpected '☃', at character 1"),
    ((*D, "bgd(lr=1)"), r"unknown method 'bgd'; did you mean 'sgd'\? .*see `calando strategies`"),
    ((*D, "sgd(lr=0.1, momentu=0.9)"), "unknown option of sgd 'momentu'; did you mean 'momentum'"),
    ((*D, "momo", "fixed", "--clip-norm", "1"), "momo works its step out from .* clipped gradients would lengthen it"),
    (("train", "digits", "alig", "--clip-norm", "1"), "alig works its step out from"),
    ((*D, "sgd(lr=0.1) | momentun: cosine(1, 0)"), "unknown scheduled hyper-parameter of sgd 'momentun'; did you mean"),
    ((*D, "fixed", "--model", "resnt8"), "unknown network 'resnt8'; did you mean 'resnet8'"),
    ((*D, "fixed", "--model", "resnet9"), "depth must be 6n.2 .* nearest is 8 or 14"),
    ((*D, "fixed", "--model", "os:getcwd"), "must return a torch.nn.Module, got str"),
    ((*D, "fixed", "--augment", "crop(4)+flp"), "unknown augmentation 'flp'; did you mean 'flip'"),
    ((*D, "fixed", "--executor", "dask"), "unknown executor 'dask'; choices: inline, process, ray"),
    ((*D, "fixed", "--device", "tpu"), "--device must be auto, cpu, cuda or cuda:N, got 'tpu'"),
    ((*D, "fixed", "--device", "cpu:x"), "--device must be auto, cpu, cuda or cuda:N, got 'cpu:x'"),
    ((*D, "fixed", "--precision", "fp8"), "--precision must be auto, fp32 or bf16, got 'fp8'"),
    (("import", "log.csv", "--study", "study"), "needs a file to draw to: give -o FILE as well"),
    (("compare", "no_such.tasks:workload", "fixed"), "cannot import 'no_such.tasks'.*No module named 'no_such'"),
    (("compare", "json:nope", "fixed"), "module 'json' has no 'nope'; it has .*dumps"),
    (("compare", "json:dumps", "fixed"), "workload 'json:dumps' failed: TypeError"),
    (("plot", "cosin"), r"unknown schedule or strategy 'cosin'; did you mean 'cosine'"),
    (("data", "get", "cifar"), r"unknown data set to fetch 'cifar'; did you mean 'cifar10'\?"),
    (("data", "get", "digits"), "digits come with calando"),
    # texts that do not parse, with the place
    (
        (*D, "sgd(lr=0.1) | cosine(1, 0"),
        r"'\(' is never closed, at character 21 .* here: sgd\(lr=0.1\) \| cosine<!>\(1",
    ),
    ((*D, "sgd(lr=0.1) | cosin(1, 0)"), r"did you mean 'cosine'.* character 15 .* \| <!>cosin"),
    ((*D, "sgd(lr=0.1) | "), "expected a method or a schedule, at character 14"),
    ((*D, "sgd(lr=0.1) || cosine(1, 0)"), "expected a method or a schedule, at character 14"),
    ((*D, "sgd(lr=0.1) | cosine(1, 0) | linear(1, 0)"), "a second schedule for lr; join schedules with >>"),
    ((*D, "sgd(lr=0.1) | linear(0, 1, over=5%) >> cosine(1, 0)"), "goes in quotes"),
    ((*D, "sgd(lr=0.1) | plateau(factor=2)"), r"plateau: factor must be in \(0, 1\), got 2"),
    (("plot", "cosine(1, 0"), r"expected .,. or .\)., at character 12"),
    (("plot", ""), "expected a schedule"),
    # rates
    ((*D, "sgd(lr=0)"), "lr must be a positive finite number or auto, got 0 "),
    ((*D, "sgd(lr=-0.1)"), "lr must be a positive finite number or auto, got -0.1"),
    ((*D, "sgd(lr=inf)"), "lr must be a positive finite number or auto, got 'inf'"),
    ((*D, "sgd(lr=nan)"), "lr must be a positive finite number or auto, got 'nan'"),
    ((*D, "sgd(lr=1e999)"), "number is too large, at character 8"),
    ((*D, "fixed", "--lr", "0"), '--lr must be a positive finite number or "find", got 0'),
    ((*D, "fixed", "--lr", "-1"), '--lr must be a positive finite number or "find", got -1'),
    ((*D, "fixed", "--lr", "nan"), '--lr must be a positive finite number or "find", got nan'),
    ((*D, "fixed", "--lr", "inf"), '--lr must be a positive finite number or "find", got inf'),
    ((*D, "sgd(lr=0.1) | linear(1, -1)"), "its lr schedule is .* it must be finite and not below 0"),
    ((*D, "sgd(lr=0.1) | constant(0)"), "its rate is zero at every step"),
    ((*D, "sgd(lr=0.1) | cosine(1, 0, over='99 steps')", "--steps", "9"), "90 steps too many; shorten its over="),
    ((*D, "sgd(momentum=1)"), r"momentum must be a number in \[0, 1\), got 1"),
    # sizes
    ((*D, "fixed", "--batch-size", "5000"), r"batch size 5000 is larger .* 1151 samples; choose at most 1151"),
    ((*D, "fixed", "--batch-size", "0"), "--batch-size must be at least 1, got 0"),
    ((*D, "fixed", "--batch-size", "-3"), "--batch-size must be at least 1, got -3"),
    ((*D, "fixed", "--accumulate", "3"), "accumulate must divide the batch size, got 3 for a batch size of 64"),
    ((*D, "fixed", "--train-limit", "5"), "cannot hold one sample of each of 10 classes"),
    ((*D, "fixed", "--train-limit", "20"), "batch size 64 is larger than the training part, which has 20"),
    ((*D, "fixed", "--label-smoothing", "1"), r"--label-smoothing must be in \[0, 1\), got 1"),
    ((*D, "fixed", "--clip-norm", "nan"), "--clip-norm must be a positive number, got nan"),
    ((*D, "fixed", "--epochs", "0"), "--epochs must be above 0 and at most .*, got 0"),
    ((*D, "fixed", "--epochs", "nan"), "--epochs must be above 0 and at most .*, got nan"),
    ((*D, "fixed", "--epochs", "1e-9"), r"epochs must give at least one update \(17 make an epoch\), got 1e-09"),
    ((*D, "fixed", "--epochs", "1", "--steps", "1"), "give --epochs or --steps, not both"),
    ((*D, "fixed", "--epochs", "4,x"), "--epochs must be a number, or several joined by commas as in .*, got '4,x'"),
    ((*D, "fixed", "--steps", "4,8.5"), "--steps must be a whole number, or several joined by commas .*, got '4,8.5'"),
    ((*D, "fixed", "--steps", "4,9,4"), "lengths asked for must differ, got '4 steps' and '4 steps', 4 updates both"),
    ((*D, "fixed", "--epochs", "1,1.001"), "must differ, got '1 epoch' and '1.001 epochs', 17 updates both"),
    ((*D, "sgd | horizon(10)", "--steps", "4,9"), "'10 steps', is 10 updates and must be at most .* to have, 9; give"),
    ((*D, "sgd | horizon('1%')", "--steps", "4,9"), "its horizon, '1%', comes to less than one update"),
    ((*D, "sgd | horizon('101%')"), "horizon must be at most 100% of the study's, got '101%', at character 7"),
    ((*D, "sgd | horizon(5) | horizon(6)"), "a second horizon next to '5 steps'; keep one, at character 20"),
    ((*D, "sgd | lr: horizon(5)"), "horizon is no schedule; it stands by itself, without a key, at character 11"),
    ((*D, "sgd | horizn(5)"), "unknown schedule or controller 'horizn'; did you mean 'horizon'"),
    ((*D, "fixed", "--steps", "0"), "--steps must be from 1 to 10000000, got 0"),
    ((*D, "fixed", "--steps", "9" * 30), "--steps must be from 1 to 10000000, got 9999"),
    ((*D, "fixed", "--seeds", "0"), "--seeds must be from 1 to 1000, got 0"),
    ((*D, "fixed", "--seeds", "9" * 30), "--seeds must be from 1 to 1000, got 9999"),
    ((*D, "fixed", "--most-seeds", "9"), r"--most-seeds is for seeds that are added until decided; .*--until decided"),
    ((*D, "fixed", "--until", "decided", "--seeds", "3"), "seeds 3 is a fixed number, .*--most-seeds says"),
    ((*D, "fixed", "--until", "sure"), "--until must be \"decided\", or left out .* got 'sure'"),
    ((*D, "fixed", "--seeds", "auto", "--most-seeds", "1"), r"--most-seeds must be from 2 to 1000 \(one seed .* got 1"),
    ((*D, "fixed", "--rates", "0"), "--rates must be from 1 to 100, got 0"),
    ((*D, "fixed", "--rates", "9" * 30), "--rates must be from 1 to 100, got 9999"),
    ((*D, "fixed", "--span", "1"), r"--span must be above 1 and below 1e12 .*, got 1\.0"),
    ((*D, "fixed", "--span", "nan"), "--span must be above 1 and below 1e12 .*, got nan"),
    ((*D, "fixed", "--target", "2"), r"--target must be a validation score in \(0, 1\], got 2"),
    ((*D, "fixed", "--target", "nan"), r"--target must be a validation score in \(0, 1\], got nan"),
    ((*D, "fixed", "--workers", "0"), "--workers must be from 1 to 1024, got 0"),
    ((*D, "fixed", "--threads", "0"), "--threads must be from 1 to 1024, got 0"),
    ((*D, "fixed", "--threads", "9" * 30), "--threads must be from 1 to 1024, got 999"),
    (("train", "digits", "fixed", "--seed", "-1"), "--seed must be from 0 to 9223372036854775807, got -1"),
    (("train", "digits", "fixed", "--seed", "9" * 30), "--seed must be from 0 to 9223372036854775807, got 999"),
    (("plot", "cosine", "--steps", "0"), "--steps must be from 1 to 10000000, got 0"),
    (("plot", "cosine", "--steps", "9" * 30), "--steps must be from 1 to 10000000, got 999"),
    (
        ("plot", "linear(0, 1, over='2 epochs') >> cosine(1, 0)"),
        "'2 epochs' needs --steps-per-epoch .*: pass --steps-per-epoch",
    ),
    # families
    (
        (*D, "--family", "adaptiv"),
        r"unknown family 'adaptiv'; did you mean 'adaptive'\? choices: adaptive, all, decayed",
    ),
    ((*D, "cosine", "--family", "decayed"), "give strategies or the family 'decayed', not both"),
    (("strategies", "lio"), r"unknown strategy or method 'lio'; did you mean 'lion'\?"),
    # names given twice
    ((*D, "fixed", "fixed"), "strategy 'fixed' is given twice; leave one out"),
    ((*D, "x = sgd(lr=0.1)", "x = sgd(lr=0.2)"), "two strategies are called 'x'"),
    # paths
    (("compare", "npz:", "fixed"), "'npz:' names no path"),
    (("compare", "/"), r"unknown workload '/'.* did you mean folder:/\?"),
    (("find", "digits", "--strategy", "prodigy"), "no rate to find: prodigy works its step size out .*: take lr=1"),
    (("compare", "npz:nope.npz", "fixed"), "nope.npz: there is no such file"),
    (("compare", "folder:nope", "fixed"), "nope: there is no such folder"),
    (("compare", "parquet:nope", "fixed"), "nope: there is no such file or folder"),
    (("compare", "cifar10", "fixed", "--data", "nope"), "--data nope: there is no such folder"),
    (("compare", "cifar10", "fixed"), "cifar10 was not found; .*`calando data get cifar10`"),
    ((*D, "nope.toml"), "strategy file 'nope.toml' cannot be read: No such file"),
    (("show", "nope"), "no study in 'nope' .*`calando compare` makes one"),
    (("show", ""), "no study in"),
    (("report", "nope"), "no study in 'nope'"),
    (("serve", "nope"), "no study in 'nope'"),
    (("serve",), "no study, tuning or run in"),
    (("serve", "nope", "--port", "99999"), "--port must be from 0 to 65535, got 99999"),
    (("plot", "cosine", "-o", "a.pdf"), "a figure can be .png, .svg, .html, .json, got 'a.pdf'"),
    (("plot", "cosine", "-o", "a"), "choose one of these suffixes"),
    (("plot", "cosine", "-o", "a.svg", "--json"), "give --output or --json, not both"),
    (("plot", "exponential(1, 1e300) * exponential(1, 1e300)"), "cannot be drawn: at step .* the multiplier is inf"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[" ".join(arguments)[:70] for arguments, _ in WRONG])
def test_a_wrong_command_gets_one_line_and_leaves_nothing(refused, arguments, message):
    ended = refused(*arguments)
    assert re.search(message, ended.err), ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("nope",),
        ("compare",),
        ("train", "digits"),
        ("train", "digits", "fixed", "cosine"),
        ("plot",),
        ("data", "get"),
        ("compare", "digits", "--nope"),
        ("train", "digits", "fixed", "--steps", "x"),
        ("compare", "digits", "--seeds", "2.5"),
    ],
    ids=" ".join,
)
def test_a_command_that_cannot_be_understood_gets_its_usage(calando, arguments):
    ended = calando(*arguments)
    assert (ended.status, ended.out, ended.left) == (2, "", frozenset())
    assert "Usage: calando" in ended.err
    assert "Traceback" not in ended.err


# Strategy files: the file, what it holds, what the message must say.
WRONG_FILES = [
    ("", 'must have method = "…" or strategy ='),
    ("method = 'sgd'\nname", "is not TOML"),
    ("method = 3", "method must be text, got 3"),
    ("method = 'sgd'\nmetod = 3", "unknown key of strategy file s.toml 'metod'; did you mean 'method'"),
    ("method = 'sgd'\nlr = -1", "lr must be a positive number, got -1"),
    ("method = 'sgd'\nlr = nan", "lr must be a positive number, got nan"),
    ("method = 'sgd'\nlr = true", 'lr must be a positive finite number or "auto", got True'),
    ("method = 'sgd'\noptions = 3", "options must be a table, as in .*, got 3"),
    ("method = 'sgd'\nschedules = 'cosine(1, 0)'", "schedules must be a table, as in .*, got 'cosine"),
    ("method = 'sgd'\ncontrollers = 'plateau()'", "controllers must be a list, as in .*, got 'plateau"),
    ("strategy = 3", "s.toml': strategy must be text, got 3"),
    ("strategy = 'sgd'\nlr = 0.1", "lr belongs into the strategy's text"),
    ("method = 'adam'\noptions = { betas = ['a', 'b'] }", r"betas must be two numbers in \[0, 1\)"),
    ("method = 'sgd'\nlr = 'x'", "lr: .*valid number.*, got 'x'"),
    ("method = 'sgd'\nname = ''", "a strategy's name must be one line that can be seen, got ''"),
    ("method = 'sgd'\nname = 3", "name must be text, got 3"),
    ('method = "sgd"\nname = "a\\nb"', r"a strategy's name must be one line that can be seen, got 'a\\nb'"),
    ("method = 'sgd'\noptions = { momentum = 'x' }", r"momentum must be a number in \[0, 1\), got 'x'"),
    ("method = 'sgd'\nschedules = { lr = 'cosin(1, 0)' }", "unknown schedule 'cosin'; did you mean 'cosine'"),
    ("method = 'sgd'\nschedules = { banana = 'cosine(1, 0)' }", "unknown scheduled hyper-parameter of sgd 'banana'"),
    ("method = 'sgd'\ncontrollers = ['plato()']", "unknown controller 'plato'; did you mean 'plateau'"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_FILES)
def test_a_wrong_strategy_file_gets_one_line(refused, tmp_path, text, message):
    (tmp_path / "s.toml").write_text(text)
    ended = refused(*D, "s.toml")
    assert re.search(message, ended.err), ended.err


def test_a_strategy_file_that_is_no_text_or_no_file(refused, tmp_path):
    (tmp_path / "s.toml").write_bytes(b"\xff\xfe\x00")
    assert "is not TOML" in refused(*D, "s.toml").err
    (tmp_path / "d.toml").mkdir()
    assert "cannot be read: Is a directory" in refused(*D, "d.toml").err
    os.mkfifo(tmp_path / "p.toml")
    assert "is a FIFO, not a file" in refused(*D, "p.toml").err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 20_000, "is nested too deeply|is not TOML"),
        (f"method = 'sgd'\nlr = {'9' * 5000}", "is not TOML: Exceeds the limit"),
        (f"strategy = '''sgd(lr=0.1) | linear(1, {'9' * 5000})'''", "this number is too large"),
        (f"strategy = '''sgd(lr=0.1) | {'(' * 5000}'''", "is never closed"),
    ],
    ids=["lists", "number", "number in a schedule", "brackets"],
)
def test_a_strategy_file_without_measure_gets_one_line(refused, tmp_path, text, message):
    (tmp_path / "s.toml").write_text(text)
    assert re.search(message, refused(*D, "s.toml").err)


def test_texts_with_one_automatic_name_are_told_how_to_be_named(refused):
    """What the message advises works as it stands."""
    texts = "sgd(lr=0.1) | cosine(1, 0)", "sgd(lr=0.1) | cosine(1, 0.1)"
    ended = refused(*D, *texts)
    advice = re.search(r'as in "(mine = .*)"$', ended.err.strip())
    assert advice, ended.err
    assert "two strategies are called 'sgd|cosine'" in ended.err
    assert [one.name for one in read_strategies([texts[0], advice[1]], lr=None)] == ["sgd|cosine", "mine"]


METHOD = st.sampled_from(["sgd(lr=0.1)", "sgd(lr=0.1, momentum=0.9)", "sgd", "adam", "adam(lr=0.001)"])
SCHEDULE = st.sampled_from(
    ["", " | cosine(1, 0)", " | cosine(1, 0.1)", " | linear(0, 1, over='5%') >> cosine(1, 0)",
     " | step(every='30%', factor=0.1)",
     " | linear(0, 1, over='9%') >> cosine(1, 0)", " | plateau(factor=0.2)", " | plateau(factor=0.3)",
     " | weight_decay: linear(1, 0)", " | cosine(1, 0) | weight_decay: linear(1, 0)"]
)  # fmt: skip
TEXT = st.tuples(METHOD, SCHEDULE).map("".join)


@given(TEXT, TEXT)
def test_two_different_texts_never_share_a_name(first, second):
    """Either the automatic names differ, or the user is asked for one; never do two strategies become one."""
    apart = parse_strategy(first), parse_strategy(second)
    if apart[0].name != apart[1].name:
        assert read_strategies([first, second], lr=None) == apart
        return
    advice = "is given twice; leave one out" if apart[0] == apart[1] else "give one a name of its own"
    with pytest.raises(UsageError, match=advice):
        read_strategies([first, second], lr=None)


IMAGES = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
LABELS = np.arange(60) % 3
FLOATS = IMAGES.astype(np.float32)


def with_one(value: float) -> np.ndarray:
    spoiled = FLOATS.copy()
    spoiled[3, 2, 2] = value
    return spoiled


# Arrays that cannot be trained on, and what the message must say.
WRONG_ARRAYS = {
    "nan": ({"images": with_one(np.nan), "labels": LABELS}, "NaN or infinite value; correct or remove it"),
    "inf": ({"images": with_one(np.inf), "labels": LABELS}, "NaN or infinite value; correct or remove it"),
    "one class": ({"images": IMAGES, "labels": LABELS * 0}, "a single class"),
    "empty": ({"images": IMAGES[:0], "labels": LABELS[:0]}, "holds no samples"),
    "labels below 0": ({"images": IMAGES, "labels": LABELS - 1}, "labels must be 0 .*, got -1"),
    "labels with a gap": ({"images": IMAGES, "labels": LABELS * 2}, "no training sample of class 1"),
    "labels out of range": (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS + 5},
        "has label 5, but the training part's classes are 0 … 2",
    ),
    "labels in fractions": ({"images": IMAGES, "labels": LABELS + 0.5}, "labels must be whole numbers"),
    "fewer labels in one piece": ({"images": IMAGES, "labels": LABELS[:-1]}, "60 images but 59 labels"),
    "fewer images in one piece": ({"images": IMAGES[:-1], "labels": LABELS}, "59 images but 60 labels"),
    "fewer labels": (
        {"x_train": IMAGES, "y_train": LABELS[:-7], "x_test": IMAGES, "y_test": LABELS},
        "60 images but 53 labels",
    ),
    "nothing to see": ({"images": IMAGES * 0, "labels": LABELS}, "every pixel of every image is the same"),
    "other names": ({"a": IMAGES, "b": LABELS}, "must hold x_train, y_train"),
}


@pytest.mark.parametrize("what", WRONG_ARRAYS)
def test_arrays_that_cannot_be_trained_on_are_found_before_training(refused, tmp_path, what):
    arrays, message = WRONG_ARRAYS[what]
    np.savez(tmp_path / "data.npz", **arrays)
    ended = refused("compare", "npz:data.npz", "fixed", "--batch-size", "8")
    assert re.search(message, ended.err), ended.err
    assert "data.npz" in ended.err


def test_damaged_files_are_named(refused, tmp_path):
    np.savez(tmp_path / "whole.npz", images=IMAGES, labels=LABELS)
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    for part in ("a", "b"):
        (tmp_path / "photos" / part).mkdir(parents=True)
        (tmp_path / "photos" / part / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (tmp_path / "fashion").mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        header = struct.pack(">4BIII", 0, 0, 8, 3, 5, 5, 5)
        (tmp_path / "fashion" / f"{name}-ubyte.gz").write_bytes(gzip.compress(header))
    for workload, named in [
        ("npz:cut.npz", "cut.npz"),
        ("parquet:bad.parquet", "bad.parquet"),
        ("folder:photos", "1.png"),
        ("fashion-mnist", "train-images-idx3-ubyte.gz"),
    ]:
        ended = refused("compare", workload, "fixed", "--data", tmp_path / "fashion")
        assert named in ended.err, ended.err


def test_a_folder_that_cannot_be_made_is_named(refused, tmp_path):
    """A file in the way; the same as a folder without permission, which a test that runs as root cannot make."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    for arguments in [
        (*D, "fixed", *INLINE, "--study", "file"),
        (*D, "fixed", *INLINE, "--study", "file/study"),
        ("train", "digits", "fixed", "--steps", "2", "--threads", "1", "--out", "file"),
        ("plot", "cosine", "-o", "file/a.svg"),
        ("plot", "cosine", "-o", "folder.png"),
    ]:
        ended = refused(*arguments)
        assert arguments[-1].partition("/")[0] in ended.err
        assert "name another path, or change its permissions" in ended.err


def test_no_network_is_one_line_and_leaves_no_file(refused, tmp_path, monkeypatch):
    def unreachable(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    ended = refused("data", "get", "cifar10", "--data", "here")
    assert "cifar-10-binary.tar.gz could not be fetched" in ended.err
    assert "--data" in ended.err


def test_a_mistake_in_the_users_own_code_names_the_line(refused, tmp_path):
    (tmp_path / "broken_tasks.py").write_text("def workload():\n    return 1 / 0\n")
    ended = refused("compare", "broken_tasks:workload", "fixed")
    assert "workload 'broken_tasks:workload' failed: ZeroDivisionError: division by zero" in ended.err
    assert "broken_tasks.py, line 2" in ended.err


def test_an_internal_mistake_is_not_dressed_up_as_the_users(calando, monkeypatch):
    """Only our own errors and the file system's become a line; anything else must show where it came from."""

    def broken(*_: object, **__: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr("calando.schedules.describe", broken)
    with pytest.raises(KeyError, match="ours"):
        calando("schedules")


def test_a_full_disk_is_the_worlds_fault(calando, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    ended = calando(*D, "fixed", *INLINE)
    assert (ended.status, ended.out) == (1, "")
    assert re.fullmatch(r"calando: no space left .*free some and run the same command again\n", ended.err)


@pytest.mark.parametrize(
    "words",
    [("explain", *D[1:], "fixed", "--lr"), ("train", *D[1:], "fixed", "--lr"), ("find", *D[1:], "--low")],
    ids=" ".join,
)
def test_an_option_is_named_as_it_was_typed(refused, words):
    assert refused(*words, "-1").err.startswith(f"calando: {words[-1]} must be ")


@pytest.mark.parametrize("option", ["--steps", "--steps-per-epoch"])
@pytest.mark.parametrize("value", ["0", "-3"])
def test_an_import_names_the_option_that_is_out_of_range(refused, tmp_path, option, value):
    log = tmp_path / "log.csv"
    log.write_text("step,lr\n" + "".join(f"{step},{0.1 * (1 - step / 50)}\n" for step in range(50)))
    assert refused("import", log, option, value).err.startswith(f"calando: {option} must be a whole number from 1 ")


def test_a_strategy_s_own_hyper_parameter_is_no_option(refused):
    assert "--low" not in refused("plot", "chebyshev(low=1)").err
    assert "--lr" not in refused("train", *D[1:], "sgd(lr=-1)", "--seed", "3").err
