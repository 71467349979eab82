"""The study that is harmed, made once a page, and the command that makes it."""

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.study.faults.harmed import WORDS, Ended, Moments, ask, timeless
from tests.study.study_kit import decided

import calando.report
from calando.cli.main import main
from calando.records import Store
from calando.study.conduct import conduct
from calando.training.loop import Interrupted, execute


@pytest.fixture
def command(monkeypatch, capsys) -> Callable[..., Ended]:
    """`calando compare … --study FOLDER --json` in this process, the page left out, which takes seconds."""
    monkeypatch.setattr(calando.report, "write_page", lambda folder, *rest, **options: folder / "report.html")
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(folder: Path) -> Ended:
        where = ["--executor", "inline", "--study", str(folder)]
        monkeypatch.setattr(sys, "argv", ["calando", "compare", *WORDS, "--json", *where])
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def moments(tmp_path_factory) -> Moments:
    root = tmp_path_factory.mktemp("moments")
    asked = ask()
    folder = root / "study"

    def listen(status) -> None:
        # A copy of the folder while the coordinator has it open is what a kill at that moment leaves.
        for name, reached in (("midway", status.done >= 4), ("trained", status.looks > 0)):
            if reached and not (root / name).exists():
                shutil.copytree(folder, root / name)

    summary = conduct(folder, asked.study, asked.task, executor="inline", listen=listen)
    begin_a_run(root / "midway", asked)
    said = timeless(json.loads(json.dumps(summary.to_json())))
    return Moments(root / "midway", root / "trained", folder, decided(folder), said)


def begin_a_run(folder: Path, asked) -> None:
    """Leave the checkpoint of a run that was stopped on its way."""
    with Store.open(folder, read_only=True) as store:
        made = store.runs()
    grids = asked.study.rate_grids
    trials = [asked.study.run(one.at_rate(lr), seed=1) for one in asked.study.strategies for lr in grids[one.name]]
    spec = next(trial for trial in trials if trial.digest() not in made)
    with suppress(Interrupted):
        execute(spec, asked.task, folder=folder / "checkpoints" / spec.digest(), watch=lambda state: state.step == 5)
