"""What Tab offers: the names that the commands take, looked up when asked for, by the shell's own protocol."""

import os
import subprocess
import sys

import pytest
from tests.waiting import PATIENCE

from calando.cli import completion
from calando.strategy import PRESETS

COMMAND = "import sys; sys.argv[0] = 'calando'; from calando.cli.main import main; main()"


def offered(line, cwd):
    environment = os.environ | {
        "_CALANDO_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND], env=environment, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.stderr == ""
    return ended.stdout.split()


@pytest.fixture
def home(tmp_path, monkeypatch):
    for place in ("calando-studies/digits-12", "mine", "deep/other"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "study.sqlite").touch()
    (tmp_path / "no-study").mkdir()
    for name in ("train.py", "mine.toml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("calando compare dig", {"digits"}),
        ("calando compare tr", {"train.py"}),
        ("calando compare digits adamw-c", {"adamw-cosine"}),
        ("calando compare digits cosine --family ra", {"rate-free"}),
        ("calando train digits mi", {"mine.toml"}),
        ("calando plot warmup-", {"warmup-cosine"}),
        ("calando show calando", {"calando-studies/digits-12"}),
    ],
)
def test_a_shell_is_offered_what_a_command_takes(home, line, expected):
    assert set(offered(line, home)) == expected


def test_every_name_offered_is_taken(home):
    from calando.strategy import read_strategy
    from calando.verbs.schedules import read_schedules

    assert {*PRESETS} <= {*completion.strategies("")}
    for name in completion.strategies(""):
        if not name.endswith(".toml"):
            read_strategy(name)
    assert completion.studies("") == ["calando-studies/digits-12", "mine"]
    assert completion.studies("deep/") == ["deep/other"]
    assert completion.workloads("fol") == ["folder:"]
    assert "resnet8" in completion.models("")
    assert completion.methods("lio") == ["lion"]
    assert {"warmup-cosine", "noam"} <= {*completion.schedules("")}
    read_schedules("noam")
