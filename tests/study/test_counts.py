"""The terminal, the page and JSON count the runs of a study alike, at every moment."""

import pytest

from calando.analysis import summarize
from calando.records import Store
from calando.report.page_contents import page_contents
from calando.standing import ETA
from calando.study.build_spec import build_study
from calando.study.conduct import conduct
from calando.study.limits import Budget, Machine
from calando.study.standing import study_standing
from calando.tasks.catalog import resolve


@pytest.mark.parametrize(
    ("strategies", "options"),
    [
        # Two that train alike are one run; a rate that is given next to rates that are chosen.
        (("fixed", "twin = sgd(lr=auto, momentum=0.9)", "sgd(lr=0.1)"), {"rates": 3}),
        # One grid is extended at its end.
        (("far = sgd(lr=auto)", "cosine"), {"rates": 2, "span": 1.5}),
        (("fixed",), {"rates": 2, "lr": "find"}),
    ],
)
def test_every_count_is_the_same(tmp_path, strategies, options):
    asked = build_study(
        resolve("digits", batch_size=32), strategies, budget=Budget(steps=6), machine=Machine(), seeds=3, **options
    )
    counts = []

    def listen(status):
        if status.looks:
            return
        with Store.open(tmp_path / "study", read_only=True) as store:
            study, runs, tests = store.study, store.runs(), store.tests()
        summary = summarize(study, runs, tests)
        if summary.complete:
            return
        page, plain = page_contents(summary, runs, tests), summary.to_json()
        counts.append((status.done, status.expected))
        assert counts[-1] == (summary.runs_done, summary.runs_expected)
        assert counts[-1] == (plain["runs_done"], plain["runs_expected"])
        assert page.progress == 100 * status.done // status.expected
        assert f"{status.expected} run" in page.headline
        if status.done < status.expected and status.done:
            assert page.headline.startswith(f"{status.done} of {status.expected} run")
        _terminal_says(status)

    conduct(tmp_path / "study", asked.study, asked.task, executor="inline", listen=listen)
    done = [one for one, _ in counts]
    assert done == sorted(done)
    assert counts[-1][0] == counts[-1][1]


def _terminal_says(status):
    line = study_standing(status, ETA()).words
    if status.finds or not (status.done or status.running):
        assert f"{status.expected} run" in line
        return
    parts = [int(part.split()[0]) for part in line.partition(" runs done, ")[2].split(", ") if part[0].isdigit()]
    assert line.startswith(f"{status.done} of {status.expected} runs done")
    assert status.done + sum(parts) == status.expected, line
