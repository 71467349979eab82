"""Every run is listed once, with all it was used for."""

import dataclasses

from calando.analysis.choose import planned_runs
from calando.records import Event
from calando.report.page_contents import run_rows


def test_every_run_is_listed_once(study):
    rows = run_rows(study.summary, study.runs, study.tests)
    assert sorted(row.digest for row in rows) == sorted(study.runs)
    assert {row.role for row in rows} <= {"trial", "final", "trial + final"}


def test_the_trial_that_was_chosen_is_also_the_first_final_run(made):
    study = made("thirteen")
    rows = {row.digest: row for row in run_rows(study.summary, study.runs, study.tests)}
    for strategy in study.study.strategies:
        roles = [rows[run.digest()].role for run in planned_runs(study.study, strategy, study.runs).final_runs]
        assert roles == ["trial + final", "final", "final"]
    assert sum("trial" in row.role for row in rows.values()) == 65


def test_equal_training_under_several_names_is_one_run_with_all_names(made):
    rows = run_rows(made("hostile").summary, made("hostile").runs, made("hostile").tests)
    names = [strategy.name for strategy in made("hostile").study.strategies]
    assert all(row.strategy == ", ".join(names) for row in rows)


def test_a_run_tells_what_happened_in_it_and_what_was_taken_back(study):
    digest, record = next(iter(study.runs.items()))
    events = (Event(step=1200, kind="rewind", text="went back"), Event(step=1300, kind="controller", text="cut"))
    runs = {**study.runs, digest: dataclasses.replace(record, undone=1500, events=events)}
    row = next(row for row in run_rows(study.summary, runs, study.tests) if row.digest == digest)
    assert row.events == (("1,200", "went back"), ("1,300", "cut"))
    assert row.steps.endswith(" + 1,500 taken back")
