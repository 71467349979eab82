"""What a room costs to enter."""

import subprocess
import sys

import calando.report


def loaded_by(statement):
    """Names of the modules that are there after a statement, in a fresh interpreter."""
    told = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(told.stdout.split())


def test_tables_need_no_drawing():
    heavy = {"altair", "vl_convert", "jinja2", "torch", "pandas"}
    assert not loaded_by("import calando.report.tables, calando.report.html, calando.report.pictures") & heavy


def test_figures_need_no_torch():
    there = loaded_by("import calando.report.study_figures")
    assert "altair" in there
    assert not there & {"torch", "pandas", "vl_convert"}


def test_public_names_are_sorted_and_there():
    assert calando.report.__all__ == sorted(calando.report.__all__)
    assert all(callable(getattr(calando.report, name)) for name in calando.report.__all__)
