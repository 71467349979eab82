"""Every command that may take long says how far it is where standard error is no terminal, and is quiet if asked."""

import re

import pytest

import calando as package
from calando.verbs import progress

DIGITS = ("digits", "--threads", "1")
LOG = "step,lr\n" + "".join(f"{t},{0.1 * (1 - t / 100)}\n" for t in range(100))
LONG = {
    "find": (
        ("find", *DIGITS, "--steps", "40", "--repeats", "1", "--hold", "0"),
        r"range test: update \d+/\d+  ETA .+",
    ),
    "race": (("find", *DIGITS, "--race", "--epochs", "8"), r"race: update \d+/\d+  ETA .+"),
    "train": (("train", *DIGITS, "sgd(lr=0.1)", "--steps", "5"), r"step \d/5  rate 0\.1  loss \d\.\d+  ETA .+"),
    "train at a rate found": (
        ("train", *DIGITS, "sgd", "--lr", "find", "--steps", "5"),
        r"range test: update \d+/\d+  ETA .+",
    ),
    "explain": (("explain", *DIGITS, "sgd(lr=0.1)", "--steps", "20"), r"step \d+/\d+  rate 0\.1  loss .+  ETA .+"),
    "tune": (("tune", *DIGITS, "--steps", "100"), r".+ of at most \d+ updates.*  ETA .+"),
    "compare": (
        ("compare", *DIGITS, "fixed", "--lr", "0.1", "--steps", "5", "--seeds", "2", "--executor", "inline"),
        r"\d of 2 runs done, .* ETA .+",
    ),
    "export": (("export", "{study}", "--out", "tables"), r"writing runs: \d+ of \d+, ETA .+"),
    "import": (("import", "log.csv"), r"recovering schedules: 0 of 1, ETA .+"),
}


@pytest.mark.parametrize("shown", [True, False], ids=["shown", "off"])
@pytest.mark.parametrize("name", LONG)
def test_a_long_command_says_how_far_it_is(name, shown, calando, finished_study, tmp_path, monkeypatch):
    arguments, line = LONG[name]
    (tmp_path / "log.csv").write_text(LOG)
    monkeypatch.setattr(progress, "PLAIN_SECONDS", -1.0)
    if not shown:
        monkeypatch.setenv("CALANDO_PROGRESS", "off")
    ended = calando(*(one.format(study=finished_study) for one in arguments))
    assert ended.status == 0, ended.err
    found = [one for one in ended.err.splitlines() if re.fullmatch(line, one.strip())]
    assert bool(found) == shown, ended.err


@pytest.mark.parametrize("name", ["export", "import"])
def test_what_is_over_soon_shows_no_progress(name, calando, finished_study, tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    ended = calando(*(one.format(study=finished_study) for one in LONG[name][0]))
    assert "ETA" not in ended.err


def test_fetching_data_says_how_much_is_there(calando, tmp_path, monkeypatch):
    def fetch(name, *, data_dir, progress):
        for done in range(3):
            progress(60_000_000 * done, 170_000_000)
        return tmp_path / name

    monkeypatch.setattr(progress, "PLAIN_SECONDS", -1.0)
    monkeypatch.setattr(package, "get_data", fetch)
    ended = calando("data", "get", "cifar10")
    assert ended.err.splitlines() == [f"fetching cifar10: {mb} of 170 MB, ETA unknown yet" for mb in (0, 60, 120)]
    assert ended.out == f"{tmp_path / 'cifar10'}\n"
