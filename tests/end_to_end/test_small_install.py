"""What `pip install calando` alone gives: all but parquet, PNG and SVG, and these say in a line what they lack."""

import json
import subprocess
import sys

import pytest
from tests.end_to_end.hiding import calling, environment
from tests.waiting import PATIENCE

from calando.errors import UsageError

EXTRAS = ["pyarrow", "vl_convert", "sklearn", "jax", "prodigyopt", "pytorch_optimizer", "schedulefree", "ray", "optuna"]
SERVING = ["starlette", "uvicorn", "h11"]
SMALL = ["--lr", "0.1", "--steps", "4"]


def run(tmp_path, *lines):
    """Status, output and errors of each command line, where none of the extras is installed."""
    found = environment(tmp_path / "site", modules=EXTRAS + SERVING)
    ended = subprocess.run(
        calling(*lines), cwd=tmp_path, env=found, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_compare_and_the_page_need_no_extra(tmp_path):
    study = ["--study", "made", "--seeds", "2", "--executor", "inline"]
    compared, reported, shown, plotted, trained = run(
        tmp_path,
        ["compare", "digits", "fixed", "cosine", *study, *SMALL],
        ["report", "made"],
        ["show", "made"],
        ["plot", "cosine", "--output", "cosine.html"],
        ["train", "digits", "fixed", *SMALL, "--json"],
    )
    assert [one[0] for one in (compared, reported, shown, plotted, trained)] == [0] * 5
    for one in (compared, reported):
        assert "report.html" in one[1]
        assert one[2].splitlines()[-1] == (
            "calando: PNG and SVG need vl-convert: pip install 'calando[pictures]'; HTML needs nothing more"
        )
    page = (tmp_path / "made" / "report.html").read_text()
    assert "window.vegaEmbed" in page
    assert "window.vegaEmbed" in (tmp_path / "cosine.html").read_text()
    assert not (tmp_path / "made" / "figures").exists()
    assert json.loads(trained[1])["figure"] is None
    assert "pip install 'calando[pictures]'" in trained[2]


def test_what_lacks_an_extra_says_which(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    lines = {
        "calando[parquet]": ["compare", "parquet:train.parquet", "fixed", *SMALL],
        "calando[pictures]": ["plot", "cosine", "--output", "cosine.png"],
        "calando[methods]": ["train", "digits", "prodigy", "--steps", "4"],
        "calando[ray]": ["compare", "digits", "fixed", "--executor", "ray", *SMALL],
        "calando[web]": ["serve", "."],
        "calando[tune]": ["tune", "digits", "--budget", "3", "--also", "warmup"],
    }
    for extra, (status, out, err) in zip(lines, run(tmp_path, *lines.values()), strict=True):
        assert status in (1, 2)
        assert out == ""
        assert f"pip install '{extra}'" in err
        assert err.count("\n") == 1


def test_a_schedule_for_optax_says_that_it_needs_jax(monkeypatch):
    from calando.loops.optax import as_optax

    for name in ("jax", "jax.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"pip install 'calando\[jax\]'$"):
        as_optax("cosine(1, 0)", 0.1, total_steps=10)
