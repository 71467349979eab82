"""Every run is listed once, with all it was used for."""

from calando.analysis.choose import final_runs
from calando.report.run_rows import run_rows


def test_every_run_is_listed_once(study):
    rows = run_rows(study.summary, study.runs, study.tests)
    assert sorted(row.digest for row in rows) == sorted(study.runs)
    assert {row.role for row in rows} <= {"trial", "final", "trial + final"}


def test_the_trial_that_was_chosen_is_also_the_first_final_run(made):
    study = made("thirteen")
    rows = {row.digest: row for row in run_rows(study.summary, study.runs, study.tests)}
    for strategy in study.study.strategies:
        roles = [rows[run.digest()].role for run in final_runs(study.study, strategy, study.runs)]
        assert roles == ["trial + final", "final", "final"]
    assert sum("trial" in row.role for row in rows.values()) == 65


def test_equal_training_under_several_names_is_one_run_with_all_names(made):
    rows = run_rows(made("hostile").summary, made("hostile").runs, made("hostile").tests)
    names = [strategy.name for strategy in made("hostile").study.strategies]
    assert all(row.strategy == ", ".join(names) for row in rows)
