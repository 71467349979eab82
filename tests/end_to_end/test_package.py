"""What is built and shipped: a wheel from an sdist, what both hold, and where shipped files are from."""

import gzip
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
SHIPPED = (
    "calando/py.typed",
    "calando/report/templates/figure.html.j2",
    "calando/report/templates/page.js",
    "calando/report/templates/report.html.j2",
    "calando/report/templates/style.css",
    "calando/report/templates/vega.LICENSE.txt",
    "calando/report/templates/vega.js.gz",
    "calando/tasks/data/digits.LICENSE.txt",
    "calando/tasks/data/digits.npy.gz",
    *(f"calando/web/static/{path.name}" for path in (ROOT / "src" / "calando" / "web" / "static").iterdir()),
)
UPLOT = {  # SHA-256 of dist/uPlot.iife.min.js and dist/uPlot.min.css in https://registry.npmjs.org/uplot/-/uplot-1.6.32.tgz
    "uplot.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


def tool(name="embed_files"):
    """A script of `tools/`: `embed_files.py` makes what is shipped, `release_checks.py` says what must be in it."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_shipped_digits_are_scikit_learns():
    from calando.tasks.data.named_datasets import DIGITS_FILE

    pytest.importorskip("sklearn")
    theirs = tool().digits()
    with gzip.open(DIGITS_FILE) as file:
        ours = np.load(file)
    assert ours.dtype == np.uint8
    assert np.array_equal(ours, theirs)


def test_the_pages_script_is_the_one_that_altair_writes_for():
    import altair

    from calando.report.pictures import bundle_js

    pytest.importorskip("vl_convert")
    assert altair.SCHEMA_VERSION.startswith("v6.")
    assert bundle_js() == tool().script()


def test_uplot_is_theirs_unchanged_and_its_licence_is_with_it():
    static = ROOT / "src" / "calando" / "web" / "static"
    assert {name: hashlib.sha256((static / name).read_bytes()).hexdigest() for name in UPLOT} == UPLOT
    assert "The MIT License (MIT)" in (static / "uplot.LICENSE.txt").read_text(encoding="utf-8")
    assert "src/calando/web/static/uplot.LICENSE.txt" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_wheel_and_sdist_are_built_and_installed(tmp_path):
    pytest.importorskip("hatchling")

    def python(*words, **environment):
        return subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout

    built = "from hatchling.build import build_sdist; import os, sys; os.chdir(sys.argv[1]); build_sdist(sys.argv[2])"
    python("-c", built, str(ROOT), str(tmp_path))
    (archive,) = tmp_path.glob("calando-*.tar.gz")
    with tarfile.open(archive) as file:
        held = {name.partition("/")[2] for name in file.getnames()}
    assert {f"src/{name}" for name in SHIPPED} <= held
    assert {"LICENSE", "README.md", "pyproject.toml", "tests/conftest.py"} <= held
    assert not any(name.startswith((".", "shared")) and name != ".gitignore" for name in held)
    checks = tool("release_checks")
    assert checks.check_sdist(archive, ROOT) == []

    pip = ["-m", "pip", "--disable-pip-version-check", "--no-input"]
    python(*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(tmp_path), str(archive))
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    assert set(SHIPPED) <= names
    assert not [name for name in names if name.startswith("tests")]
    assert checks.check_wheel(wheel, ROOT) == []

    python(*pip, "install", "--no-deps", "--no-index", "--target", str(tmp_path / "there"), str(wheel))
    told = python(
        "-c",
        "import calando, json; from calando.tasks.data.named_datasets import read_digits; "
        "from calando.report import pictures; "
        "print(json.dumps([calando.__file__, len(read_digits().train.labels), len(pictures.bundle_js())]))",
        PYTHONPATH=str(tmp_path / "there"),
        PYTHONWARNINGS="ignore",
    )
    file, samples, script = json.loads(told)
    assert Path(file).is_relative_to(tmp_path / "there")
    assert samples == 1438
    assert script > 500_000
