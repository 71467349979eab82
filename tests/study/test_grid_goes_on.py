"""A grid that goes on past its edge: trial after trial is made, charged, and survives what stops a study."""

from pathlib import Path

import pytest
from tests.study.study_kit import decided

from calando.errors import UsageError
from calando.records import Store
from calando.study.build_spec import build_study
from calando.study.conduct import conduct
from calando.study.limits import Budget, Machine
from calando.tasks.catalog import resolve

STEPS = 12


def ask(*strategies: str, **changes):
    """Rates far too low for so short a run, so that grids go on upwards."""
    options = {"seeds": 2, "rates": 3, "span": 10, **changes}
    return build_study(
        resolve("digits", batch_size=32),
        strategies or ("slow = sgd", "given = sgd(lr=0.5)"),
        budget=Budget(steps=STEPS),
        machine=Machine(device="cpu"),
        **options,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "study"
    asked = ask()
    return folder, conduct(folder, asked.study, asked.task, executor="inline")


def test_it_goes_on_until_the_best_is_inside_and_every_trial_is_charged(undisturbed):
    _, summary = undisturbed
    slow = next(result for result in summary.results if result.name == "slow")
    rates = [trial.lr for trial in slow.trials]
    assert rates[:4] == [0.0316, 0.1, 0.316, 1.0]  # as people write them, past the edge too
    assert rates[0] < slow.lr < rates[-1]
    assert slow.untuned == ""
    assert slow.steps_trials == STEPS * len(rates)
    assert slow.steps_final == STEPS
    assert slow.note.startswith("grid extended ")
    assert summary.updates == STEPS * (len(rates) + 1 + 2)


def test_no_further_than_it_may(tmp_path, undisturbed):
    asked = ask(beyond=0)
    summary = conduct(tmp_path / "study", asked.study, asked.task, executor="inline")
    slow = next(result for result in summary.results if result.name == "slow")
    assert [trial.lr for trial in slow.trials] == [0.0316, 0.1, 0.316]
    assert (slow.lr, slow.untuned) == (0.316, "best rate at the edge of its grid")
    assert "slow" in summary.headline
    assert "is best" not in summary.headline
    again = ask()
    with pytest.raises(UsageError, match=r"\(beyond 4 instead of 0\); .* name another --study"):
        conduct(tmp_path / "study", again.study, again.task, executor="inline")


class StopAtEveryRun:
    """Ctrl-C whenever another run has been put away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.there = self.made()

    def made(self) -> int:
        if not (self.folder / "study.sqlite").exists():
            return 0
        with Store.open(self.folder, read_only=True) as store:
            return len(store.runs())

    def __call__(self, status) -> None:
        if self.made() > self.there:
            raise KeyboardInterrupt


def test_stopped_after_every_single_run_it_ends_the_same(undisturbed, tmp_path):
    """Where a grid goes on next is decided by what is stored alone."""
    folder, asked, stops = tmp_path / "study", ask(), 0
    while True:
        try:
            conduct(folder, asked.study, asked.task, executor="inline", listen=StopAtEveryRun(folder))
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 5
    assert decided(folder) == decided(undisturbed[0])


@pytest.mark.parametrize("beyond", [-1, 21])
def test_how_far_is_checked(beyond):
    with pytest.raises(UsageError, match=f"beyond must be from 0 to 20 .* got {beyond}"):
        ask(beyond=beyond)


def test_grids_that_a_range_test_centred_go_on_too(tmp_path):
    asked = ask("slow = sgd", lr="find", span=1.5)
    summary = conduct(tmp_path / "study", asked.study, asked.task, executor="inline")
    (slow,) = summary.results
    grid = summary.spec.rate_grids["slow"]
    rates = [trial.lr for trial in slow.trials]
    assert set(grid) <= set(rates)
    assert slow.untuned == ("" if rates[0] < slow.lr < rates[-1] else "best rate at the edge of its grid")
    assert slow.untuned == "" or len(rates) == len(grid) + 4
    assert slow.steps_trials == STEPS * len(rates) + summary.spec.centres["slow"].updates
    assert all(rate == float(f"{rate:.3g}") for rate in rates)


def test_a_study_of_an_older_calando_goes_on_by_its_rule_and_says_so(tmp_path):
    asked, folder, notes = ask(), tmp_path / "study", set()
    old = asked.study.model_copy(update={"beyond": None})
    with pytest.raises(KeyboardInterrupt):
        conduct(folder, old, asked.task, executor="inline", listen=StopAtEveryRun(folder))
    summary = conduct(
        folder, asked.study, asked.task, executor="inline", listen=lambda status: notes.update(status.notes)
    )
    slow = next(result for result in summary.results if result.name == "slow")
    assert [trial.lr for trial in slow.trials] == [0.0316, 0.1, 0.316, 0.999]
    assert "this study was started by an older calando, so each grid is extended by at most one rate" in notes
    assert slow.lr != 0.999 or "one rate in the calando that began this study" in slow.note
