"""The page and the figure of a tuning: written by default; left out, and not promised, with --no-page."""

import inspect
from pathlib import Path

import pytest

import calando as package

WORDS = ("--steps", "100", "--threads", "1", "--device", "cpu", "--study")
DRAWN = {"report.html", "race.png"}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tuning that is finished, so that the command trains nothing."""
    folder = tmp_path_factory.mktemp("tuned")
    package.tune("digits", steps=100, threads=1, device="cpu", folder=folder, page=False, listen=lambda status: None)
    return folder


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_function_writes_the_page_unless_told_not_to(tuned: Path) -> None:
    assert not DRAWN & files_of(tuned)
    package.tune("digits", steps=100, threads=1, device="cpu", folder=tuned, listen=lambda status: None)
    assert (tuned / "report.html").stat().st_size > 0
    (tuned / "report.html").unlink()
    assert inspect.signature(package.tune).parameters["page"].default is True


def test_without_a_page_nothing_is_drawn_or_promised(calando, tuned: Path) -> None:
    ended = calando("tune", "digits", *WORDS, tuned, "--no-page")
    assert ended.status == 0, ended
    assert not DRAWN & files_of(tuned)
    assert "weights: " in ended.out
    assert "report" not in ended.out + ended.err
    assert "figure" not in ended.out + ended.err
    printed = calando("tune", "digits", *WORDS, tuned, "--no-page", "--json").json
    assert printed["figure"] is None


def test_with_a_page_both_are_there_and_named(calando, tuned: Path) -> None:
    ended = calando("tune", "digits", *WORDS, tuned)
    assert ended.status == 0, ended
    assert f"report: {tuned / 'report.html'}" in ended.out
    assert files_of(tuned) >= DRAWN
