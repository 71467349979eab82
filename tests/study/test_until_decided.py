"""A study that adds seeds where they decide: whole ones, killed and gone on with, and what its plan asks for."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.study.study_kit import decided
from tests.waiting import PATIENCE

import calando
from calando.errors import UsageError
from calando.records import Store
from calando.report import study_tables
from calando.standing import ETA
from calando.study.build_spec import build_study
from calando.study.conduct import conduct
from calando.study.extend import extended
from calando.study.limits import Budget, Machine, settle_seeds
from calando.study.plan import Plan
from calando.study.standing import study_standing
from calando.tasks.catalog import resolve

# The first two share a past and are level; the third learns next to nothing.
STRATEGIES = ("fixed", "step", "weak = sgd(lr=0.002)")
STEPS, MOST = 16, 5


def ask(*strategies: str, **changes):
    options = {"lr": 0.1, "until": "decided", "most_seeds": MOST, **changes}
    return build_study(
        resolve("digits", batch_size=32),
        strategies or STRATEGIES,
        budget=Budget(steps=STEPS),
        machine=Machine(device="cpu"),
        **options,
    )


@pytest.fixture(scope="module")
def undisturbed(made_once):
    def make(folder):
        asked = ask()
        return folder / "study", conduct(folder / "study", asked.study, asked.task, executor="inline")

    return made_once("until-decided", make)


def test_each_look_that_goes_on_is_reported(tmp_path):
    notes, asked = [], ask()
    conduct(tmp_path, asked.study, asked.task, executor="inline", listen=lambda status: notes.append([*status.notes]))
    looks = [note for note in notes[-1] if note.startswith("look at")]
    assert looks == ["look at 3 seeds: weak settled; fixed and step go on to 5"]


def test_the_time_left_says_that_it_is_to_the_next_look_until_there_is_none(tmp_path, monkeypatch):
    # Updates instead of seconds.
    monkeypatch.setattr(ETA, "remaining", lambda self, left, *, begun=True: f"{left}")
    lines, asked = [], ask()

    def listen(status):
        if "ETA" in (line := study_standing(status, ETA()).words):
            lines.append((status.done, line.rpartition("ETA ")[2]))

    conduct(tmp_path, asked.study, asked.task, executor="inline", listen=listen)
    first = [left for done, left in lines if done < 9]
    assert all(left.endswith(" to the next look") for left in first)
    # The first report comes before the second run at the latest, however busy the machine is.
    assert 8 * STEPS <= max(int(left.split()[0]) for left in first) <= 9 * STEPS
    later = [int(left) for done, left in lines if done > 9]
    assert 2 * STEPS <= later[0] <= 3 * STEPS
    assert later == sorted(later, reverse=True)


class StopAtEveryRecord:
    """Ctrl-C whenever another run or another test score has been put away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.there = self.made()

    def made(self) -> int:
        if not (self.folder / "study.sqlite").exists():
            return 0
        with Store.open(self.folder, read_only=True) as store:
            return len(store.runs()) + len(store.tests())

    def __call__(self, status) -> None:
        if self.made() > self.there:
            raise KeyboardInterrupt


def test_seeds_go_where_the_verdict_is_open(undisturbed):
    folder, summary = undisturbed
    assert summary.complete
    given_ = {result.name: result.seeds_done for result in summary.results}
    assert given_ == {"fixed": 5, "step": 5, "weak": 3}
    assert {one.strategy: one.n for one in summary.comparisons}["weak"] == 3
    assert (summary.saved.looks, summary.saved.finals, summary.saved.of_finals) == ((3, 5), 13, 15)
    assert (summary.saved.updates, summary.saved.of_updates) == (13 * STEPS, 15 * STEPS)
    assert len(decided(folder)["runs"]) == len(decided(folder)["tests"]) == 13


def test_stopped_after_every_single_record_it_ends_the_same(undisturbed, tmp_path):
    folder, asked, stops = tmp_path / "study", ask(), 0
    while True:
        try:
            summary = conduct(folder, asked.study, asked.task, executor="inline", listen=StopAtEveryRecord(folder))
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 10
    assert decided(folder) == decided(undisturbed[0])
    assert summary.headline == undisturbed[1].headline
    assert summary.comparisons == undisturbed[1].comparisons
    assert summary.saved == undisturbed[1].saved


@pytest.mark.slow
def test_killed_in_its_later_seeds_the_same_call_goes_on_to_the_same_answer(undisturbed, tmp_path):
    """A real process, which kills itself once the first look is over and runs of the second are made."""
    folder = tmp_path / "study"
    code = (
        "import calando, os, signal; from calando.records import Store; put = Store.put_run\n"
        "def last(self, *given, **named):\n"
        "    put(self, *given, **named)\n"
        "    if len(self.tests()) >= 9 and len(self.runs(traces=False)) > 9: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"Store.put_run = last; calando.compare('digits', *{STRATEGIES!r}, batch_size=32, lr=0.1, seeds='auto', "
        f"most_seeds={MOST}, steps={STEPS}, executor='inline', device='cpu', threads=1, folder={str(folder)!r}, "
        "page=False)"
    )
    killed = subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, timeout=PATIENCE)
    assert killed.returncode == -signal.SIGKILL
    assert len(decided(folder)["runs"]) == 10
    answer = calando.compare(
        "digits",
        *STRATEGIES,
        batch_size=32,
        lr=0.1,
        until="decided",
        most_seeds=MOST,
        steps=STEPS,
        executor="inline",
        device="cpu",
        threads=1,
        folder=folder,
        page=False,
        listen=lambda status: None,
    )
    assert answer.comparisons == undisturbed[1].comparisons
    assert decided(folder)["runs"] == decided(undisturbed[0])["runs"]
    assert decided(folder)["tests"] == decided(undisturbed[0])["tests"]


@pytest.mark.slow
def test_worker_processes_come_to_the_same_answer(undisturbed, tmp_path):
    asked = ask()
    again = conduct(tmp_path / "study", asked.study, asked.task, executor="process", workers=2)
    assert decided(tmp_path / "study") == decided(undisturbed[0])
    assert again.comparisons == undisturbed[1].comparisons


@given(order=st.randoms(use_true_random=False))
def test_a_plan_told_of_results_one_by_one_is_the_plan_made_from_the_store(undisturbed, order):
    """Whatever the order in which runs end and test scores come."""
    with Store.open(undisturbed[0], read_only=True) as store:
        study, records, scores = store.study, store.runs(traces=False), store.tests()
    made, read = {}, {}
    plan = Plan(study, runs=made, tests=read, ranges={})
    assert plan.expected == 9
    while plan.wanted or plan.looks():
        # Test scores are read once nothing is left to train of what is asked for.
        assert not (plan.wanted and plan.looks())
        before = set(plan.wanted)
        if plan.wanted:
            digest = order.choice(sorted(plan.wanted))
            made[digest] = records[digest]
            news = plan.took(digest)
        else:
            digest = order.choice([look.spec.digest() for look in plan.looks()])
            read[digest] = scores[digest]
            news = plan.read()
        fresh = Plan(study, runs=made, tests=read, ranges={})
        assert {one.spec.digest() for one in news} == set(plan.wanted) - before
        for what in ("wanted", "rates", "seeds", "trained", "done", "expected", "may_come"):
            assert getattr(plan, what) == getattr(fresh, what), what
        assert [look.spec for look in plan.looks()] == [look.spec for look in fresh.looks()]
        assert len(made) + len(plan.wanted) + plan.may_come <= MOST * len(STRATEGIES)
    assert made == records
    assert read == scores
    assert plan.may_come == 0


def test_more_strategies_and_more_seeds_later(tmp_path):
    """A larger question: at most 20 seeds may become more; what the looks found stands."""
    ours, folder = ask(most_seeds=20).study, Path("x")
    more = ask(most_seeds=32).study
    assert extended(more, asked=ours, settled=ours, folder=folder).study == more
    few, some = ask(most_seeds=8).study, ask(most_seeds=20).study
    with pytest.raises(
        UsageError, match="has looked at up to 8 seeds, at levels that hold only where there are no more"
    ):
        extended(some, asked=few, settled=few, folder=folder)
    fixed = ask(until=None, most_seeds=None, seeds=5).study
    for new, old, words in ((few, fixed, "until decided instead of a fixed"), (fixed, few, "a fixed number of seeds")):
        with pytest.raises(UsageError, match=words):
            extended(new, asked=old, settled=old, folder=folder)


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"seeds": 3, "until": "decided"}, "seeds 3 is a fixed number, and until decided they are added"),
        ({"seeds": "many"}, "seeds must be a whole number or auto, got 'many'"),
        ({"until": "sure"}, "until must be \"decided\", or left out .* got 'sure'"),
        ({"most_seeds": 9}, "most_seeds is for seeds that are added until decided"),
        ({"seeds": "auto", "most_seeds": 1}, "most_seeds must be from 2 to 1000 .* got 1"),
        ({"seeds": "auto", "most_seeds": True}, "most_seeds must be from 2 to 1000 .* got True"),
        ({"seeds": "auto", "most_seeds": 1001}, "most_seeds must be from 2 to 1000"),
        ({"seeds": 0}, "seeds must be from 1 to 1000, got 0"),
    ],
)
def test_contradictions_are_refused(given_, words):
    with pytest.raises(UsageError, match=words):
        settle_seeds(**{"seeds": 5, "until": None, "most_seeds": None, **given_})


def test_auto_is_another_word_for_until_decided():
    assert ask(until=None, seeds="auto").study == ask().study
    assert ask(most_seeds=None).study.seeds == 20


def test_more_strategies_later_are_decided_as_if_asked_at_once(undisturbed, tmp_path):
    """Looks are taken again among all; runs that there are stay and count."""
    folder, more = tmp_path / "study", ask(*STRATEGIES, "cosine")
    shutil.copytree(undisturbed[0], folder)
    later = conduct(folder, more.study, more.task, executor="inline")
    at_once = conduct(tmp_path / "other", more.study, more.task, executor="inline")
    assert later.comparisons == at_once.comparisons
    assert later.saved == at_once.saved
    assert decided(undisturbed[0])["runs"].items() <= decided(folder)["runs"].items()


def test_terminal_and_page_say_what_was_saved_and_who_was_settled_early(undisturbed, tmp_path):
    folder, summary = undisturbed
    console = Console(width=300, record=True, file=StringIO())
    console.print(study_tables(summary))
    shutil.copytree(folder, tmp_path / "study")
    page = calando.write_report(tmp_path / "study").read_text()
    printed = console.export_text()
    for shown in (printed, page):
        assert "looked at 3 and 5 seeds; 13 final runs instead of 15, 208 updates instead of 240 with 5 seeds" in shown
        assert "settled early, with so many seeds: weak (3)" in shown
    assert "paired over 3 to 5 seeds" in printed
    assert "up to 5 paired seeds, until decided" in page
