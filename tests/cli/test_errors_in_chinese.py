"""What a wrong command gets in Chinese: one Chinese line with no English sentence left in it; errors pickle whole."""

import pickle
import re

import pytest
from tests.cli.test_cli_errors import WRONG

from calando import errors
from calando.errors import CalandoError, CodeFailed, ScheduleTextError, UnknownName, said_by
from calando.language import in_language, message, translated
from calando.schedules.checks import BadArgument
from calando.schedules.schedule import DoesNotFit

HAN = re.compile("[\u4e00-\u9fff]")
QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"|'[^']*'|[(（][^()（）]*[)）]|-> .*|…|\w+Error: .*|：No such file .*")
"""What is a person's own, Python's or the system's: commands, texts and what a text is quoted from."""
ENGLISH = re.compile(r"\b[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}\b")

D = ("compare", "digits")
MORE = [
    ("find", "digits", "dog"),
    ("find", "digits", "sgd", "--steps", "5"),
    ("find", "digits", "sgd", "--epochs", "3"),
    ("tune", "digits", "sgd(lr=0.1)", "--budget", "0.01"),
    ("tune", "digits", "--also", "momentum", "--budget", "2"),
    ("tune", "digits", "--also", "momentm", "--budget", "9"),
    ("tune", "digits", "adam", "--also", "batch_size", "--budget", "9"),
    ("explain", "digits"),
    ("explain", "no/such"),
    ("explain", "train.py"),
    ("explain", "digits", "sgd(lr=0.1)", "--run", "cosine"),
    ("export", "no/such"),
    ("export", ".", "--to", "xlsx"),
    ("report", "no/such"),
    ("show", "no/such"),
    ("serve", "no/such"),
    ("serve", ".", "--port", "99999"),
    ("serve", ".", "--tls-cert", "cert.pem"),
    ("serve", ".", "--host", "0.0.0.0"),
    ("steer", ".", "rate *0.5"),
    ("import", "no/such.csv"),
    ("import", "."),
    ("lint", "cosin", "--steps", "9"),
    ("lint", "cosine", "--epochs", "2"),
    ("plot", "cosine", "--steps", "9", "--epochs", "2"),
    ("plot", "step(every=0)"),
    ("plot", "linear(0, 1, over='5 parsecs')"),
    ("plot", "exponential(1, 0)"),
    ("plot", "repeat(cosine(1, 0))"),
    ("plot", "clip(cosine(1, 0))"),
    ("plot", "linear(1, 0) >> cosine(1, 0)"),
    ("plot", "multistep(at=['66%', '33%'])"),
    ("plot", "piecewise(values=[1, 0.1], at=['33%', '66%'])"),
    ("plot", "cosine(1, 0, ovr='5%')"),
    ("plot", "cosine(1, 0, over='5%', over='6%')"),
    ("plot", "cosine(1"),
    ("plot", "cosine(1, 'a')"),
    ("plot", "wsd()", "--steps", "0"),
    (*D, "sgd(lr=0.1) | ema(decay=2)"),
    (*D, "sgd(lr=0.1) | ema() | swa()"),
    (*D, "sgd(lr=0.1) | rollback(factor=1)"),
    (*D, "sgd(lr=0.1) | edge(sigma=9)"),
    (*D, "sgd(lr=0.1, nesterov=true)"),
    (*D, "adam(lr=0.1, betas=[1, 2])"),
    (*D, "sgd(lr=1e-40)"),
    (*D, "fixed", "--family", "decaed"),
    (*D, "fixed", "--family", "decayed"),
    (*D, "fixed", "--executor", "ray", "--device", "cuda:1"),
    ("strategies", "adm"),
    ("compare", "own.py", "cosine"),
]


def words_of(line: str) -> str:
    """What of a line is no quotation."""
    before = ""
    while before != line:
        before, line = line, QUOTED.sub("", line)
    return line


@pytest.mark.parametrize("arguments", [one for one, _line in WRONG], ids=lambda one: " ".join(map(str, one))[:50])
def test_a_wrong_command_gets_its_line_in_chinese(refused, arguments, monkeypatch):
    monkeypatch.setenv("CALANDO_LANG", "zh")
    line = refused(*arguments).err
    assert HAN.search(line), line
    assert not ENGLISH.search(words_of(line)), line


@pytest.mark.parametrize("arguments", MORE, ids=" ".join)
def test_so_do_more_of_them(calando, arguments, monkeypatch, tmp_path):
    monkeypatch.setenv("CALANDO_LANG", "zh")
    ended = calando(*arguments)
    assert ended.status != 0, ended
    line = ended.err.strip().splitlines()[-1]
    assert HAN.search(line), line
    assert not ENGLISH.search(words_of(line)), line


CHOICES = ["cosine", "step"]
MADE = [
    UnknownName("strategy", "cosin", CHOICES),
    UnknownName(message("option of {name}", name="sgd"), "lrr", CHOICES, hint="see `calando strategies`"),
    ScheduleTextError(message("this number is too large"), "cosine(1e999, 0)", 7),
    CodeFailed(message("{name} failed", name="train.py"), ("line 1", "line 2")),
    BadArgument("end", message("must be a finite number"), "soon"),
    DoesNotFit(message("{schedule} takes all", schedule="cosine(1, 0)"), message("train longer")),
]
OTHERS = [
    kind
    for kind in map(vars(errors).get, errors.__all__)
    if isinstance(kind, type) and issubclass(kind, Exception) and kind not in {type(one) for one in MADE}
]


@pytest.mark.parametrize("error", [*MADE, *(kind(message("no {what} here", what="file")) for kind in OTHERS)], ids=repr)
def test_an_error_comes_from_another_process_as_it_was(error):
    error.where = "a note of its own"
    same = pickle.loads(pickle.dumps(error))
    assert (type(same), str(same), same.args, vars(same)) == (type(error), str(error), error.args, vars(error))
    with in_language("zh"):
        assert translated(said_by(same)) == translated(said_by(error))


def test_every_kind_of_error_is_ours():
    assert {type(one) for one in MADE} | set(OTHERS) >= {CalandoError, errors.DataError, errors.WorkerLost}
