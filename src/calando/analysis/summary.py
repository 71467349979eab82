"""The answer to a study, at any stage of its progress: records in, plain values out.

scores                    as in `final_scores`
best                      highest mean test score, once every test score is there; before that, highest validation;
                          of strategies of which a final run finished with finite numbers, where there are any
updates charged           what each run costs alone; a trial that is also the final run of seed 0 counts as a trial; a
                          range test counts among the trials of every strategy that it was made for
updates spent             each run's own share, once: what it started from was trained for another
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from calando.analysis.choose import rate_band, runs_to_come, untuned_because
from calando.analysis.conclusion import advise, headline, price_of
from calando.analysis.final_scores import (
    coarsest_step,
    counting_failures,
    did_diverge,
    did_work,
    rank,
    spread_of,
    spread_of_tests,
    unbiased,
)
from calando.analysis.results import (
    Comparison,
    PlannedRuns,
    RateChoice,
    RateTrial,
    Saved,
    StrategyResult,
    StudySummary,
)
from calando.analysis.target import idle_controllers, steps_to_target, target_of
from calando.analysis.until_decided import Standing, plan_study, seeds_at_first
from calando.analysis.verdicts import against_best, withhold_verdicts
from calando.language import joined, message
from calando.records.measure import SHARE
from calando.records.record import RunRecord, TestScore
from calando.records.spec import Centre, StudySpec
from calando.records.strategy_spec import StrategySpec
from calando.records.task_spec import OwnTrainingSpec

__all__ = ["summarize"]


def summarize(study: StudySpec, runs: Mapping[str, RunRecord], tests: Mapping[str, TestScore]) -> StudySummary:
    """The answer as far as the records go: no run at all, half of them or every one.

    Args:
        runs: records by `RunSpec.digest()`; those of other studies are passed over.
        tests: test scores by the digest of the final run they belong to. A final run that diverged needs none.
    """
    measure, given = study.workload.measure, runs
    if study.until is None:
        runs = counting_failures(runs, measure)
    plans, standing = plan_study(study, runs, tests)
    if standing is not None:
        # As at the last look: a run of a seed that is not asked for is passed over.
        asked = dict.fromkeys(digest for one in plans for digest in one.digests if digest in runs)
        runs = counting_failures({digest: runs[digest] for digest in asked}, measure)
    target, source = target_of(study, plans, runs)
    results = [
        _result(study, strategy, planned, runs, tests, target)
        for strategy, planned in zip(study.strategies, plans, strict=True)
    ]
    planned = dict.fromkeys(digest for one in plans for digest in one.digests)
    expected = len(planned) + runs_to_come(plans, seeds=seeds_at_first(study))
    done = [runs[digest] for digest in planned if digest in runs]
    complete = all(result.test is not None for result in results) and (standing is None or standing.decided)
    usable = {
        one.name: [
            runs[digest]
            for digest in one.planned.finals
            if digest in runs and did_work(runs[digest], tests.get(digest))
        ]
        for one in results
    }

    def place(result: StrategyResult) -> tuple[bool, int, float, float]:
        # One that was settled early has no scores at later seeds: it comes after those that outlasted it.
        outlasted = -standing.seeds[result.name] if standing is not None and complete else 0
        return not usable[result.name], outlasted, *rank(result.test, result.validation, measure, by_test=complete)

    ranked = sorted(results, key=place)
    failed = complete and all(record.at_chance for records in usable.values() for record in records)
    begun = any(result.seeds_done for result in results)
    best = ranked[0].name if begun else None
    comparisons: tuple[Comparison, ...] = ()
    if complete and study.seeds >= 2:
        assert best is not None
        if standing is None:
            scores = {result.name: result.test.values for result in ranked if result.test is not None}
            comparisons = against_best(best, scores, resolution=coarsest_step(planned, tests), measure=measure)
        else:
            assert best == standing.best
            comparisons = tuple(standing.comparisons[result.name] for result in ranked[1:])
    if failed:
        ranked = [_without_verdict(one, message("every final run diverged or ended at chance level")) for one in ranked]
    elif complete:
        assert ranked[0].test is not None
        behind = {one.strategy: one.difference for one in comparisons}
        if standing is None:
            behind = {one.name: one.test.mean - ranked[0].test.mean for one in ranked if one.test is not None}
        ahead = {name for name, difference in behind.items() if measure.merit(difference) > 1e-12}
        assert not any(usable[name] for name in ahead), f"{best} is not the best"
        # Where no final run worked and chance is higher than the best that did, a verdict would be of chance.
        ranked = [
            _without_verdict(one, message("every final run diverged or died")) if one.name in ahead else one
            for one in ranked
        ]
    comparisons = withhold_verdicts(comparisons, {one.name: one.untuned for one in ranked}, measure=measure)
    prices = {name: price_of(records) for name, records in usable.items()}
    ranges = _range_tests(study)
    charged = sum(record.updates for record in done) + sum(centre.updates for centre in ranges)
    untested = any(event.kind == "no test" for record in done for event in record.events)
    judged: Literal["test", "validation"] = "validation" if untested else "test"
    return StudySummary(
        spec=study,
        complete=complete,
        results=tuple(ranked),
        best=best,
        comparisons=comparisons,
        target=target,
        target_source=source,
        headline=headline(
            ranked,
            comparisons,
            complete=complete,
            failed=failed,
            best=best,
            done=len(done),
            expected=expected,
            measure=measure,
            judged=judged,
        ),
        runs_done=len(done),
        runs_known=len(planned),
        runs_expected=expected,
        updates=charged,
        seconds=sum(record.seconds for record in done) + sum(centre.seconds for centre in ranges),
        updates_spent=sum(record.updates_spent for record in done) + sum(centre.updates for centre in ranges),
        seconds_spent=sum(record.seconds_spent for record in done) + sum(centre.seconds for centre in ranges),
        cautions=(
            *(_cautions(study) if judged == "validation" else ()),
            *_unknown_chance(study, [given[key] for key in planned if key in given]),
        ),
        judged=judged,
        saved=_saved(study, standing, ranked, spent=charged) if complete and standing is not None else None,
        advice=advise(ranked, comparisons, prices, measure=measure) if complete and not failed else None,
    )


def _without_verdict(result: StrategyResult, why: str) -> StrategyResult:
    """Where its rate is not fully tuned either, that is the lesser reason."""
    others = [note for note in (result.note, message("no verdict: {why}", why=why)) if note]
    return replace(result, untuned=why, note=joined("{one}; {other}", others))


def _saved(study: StudySpec, standing: Standing, results: Sequence[StrategyResult], *, spent: int) -> Saved:
    """What the final runs that were not made would have cost, each as the mean of those of its strategy."""
    not_made = 0.0
    for one in results:
        # Of a rate that was chosen, the final run at seed 0 is charged as a trial.
        charged = max(1, one.seeds_done - one.chosen)
        mean = one.steps_final / charged if one.steps_final else study.steps_of(study.strategy(one.name))
        not_made += (study.seeds - one.seeds_done) * mean
    return Saved(
        looks=tuple(look.n for look in standing.looks),
        most=study.seeds,
        finals=sum(one.seeds_done for one in results),
        of_finals=study.seeds * len(results),
        updates=spent,
        of_updates=spent + round(not_made),
    )


def _cautions(study: StudySpec) -> tuple[str, ...]:
    """What holds for all scores and makes them a little too good."""
    chose = message("; those of seed 0 chose the rates") if study.rate_grids else ""
    return (
        message(
            "The code reports no test score (run.finish(test=…)), so validation scores are compared{chose}", chose=chose
        ),
    )


def _unknown_chance(study: StudySpec, runs: Sequence[RunRecord]) -> tuple[str, ...]:
    """Of code of one's own no chance level is expected; of a task in our loop it is worked out where that can be."""
    if isinstance(study.workload, OwnTrainingSpec) or all(math.isfinite(record.chance) for record in runs):
        return ()
    why = message("no score of one answer for all samples could be worked out")
    return (message("chance level unknown: {why}, so a run that has learned nothing may count as finished", why=why),)


def _range_tests(study: StudySpec) -> list[Centre]:
    """Each range test once: strategies of the same method and options share one."""
    found = [(study.strategy(name), centre) for name, centre in study.centres.items()]
    return list({(one.method, str(one.options)): centre for one, centre in found}.values())


def _result(
    study: StudySpec,
    strategy: StrategySpec,
    planned: PlannedRuns,
    runs: Mapping[str, RunRecord],
    tests: Mapping[str, TestScore],
    target: float | None,
) -> StrategyResult:
    choice = planned.choice
    finals = {digest: runs[digest] for digest in planned.finals if digest in runs}
    charged = {digest: runs[digest] for digest in planned.digests if digest in runs}
    tried = [runs[digest] for digest in planned.trials if digest in runs]
    trials = tuple(RateTrial(one.spec.lr, one.score, one.loss, one.outcome) for one in tried)

    chosen = strategy.lr is None
    centre = study.centres.get(strategy.name)
    own = unbiased(finals.values(), chosen=chosen)
    return StrategyResult(
        name=strategy.name,
        text=(strategy if choice.lr is None else strategy.at_rate(choice.lr)).text,
        lr=choice.lr,
        chosen=chosen,
        trials=trials,
        note=_note(study, strategy, choice, centre, list(finals.values())),
        validation=spread_of(own or [record.score for record in finals.values()]),
        validation_chose=bool(finals) and not own,
        test=spread_of_tests(finals, tests) if planned.finals and len(finals) == len(planned.finals) else None,
        steps_to_target=() if target is None else tuple(steps_to_target(record, target) for record in finals.values()),
        diverged=sum(did_diverge(record, tests.get(digest)) for digest, record in charged.items()),
        died=sum(
            record.outcome == "died" and not did_diverge(record, tests.get(digest))
            for digest, record in charged.items()
        ),
        steps_trials=sum(record.updates for digest, record in charged.items() if digest in planned.trials)
        + (0 if centre is None else centre.updates),
        steps_final=sum(record.updates for digest, record in charged.items() if digest not in planned.trials),
        seconds=sum(record.seconds for record in charged.values()) + (0.0 if centre is None else centre.seconds),
        seeds_done=len(finals),
        planned=planned,
        band=rate_band(trials, measure=study.workload.measure),
        untuned=untuned_because(study, choice),
    )


def _note(
    study: StudySpec,
    strategy: StrategySpec,
    choice: RateChoice,
    centre: Centre | None,
    finals: Sequence[RunRecord],
) -> str:
    notes: list[str] = []
    raw = [record.evaluations[-1].raw_score for record in finals if record.evaluations]
    known = [score for score in raw if score is not None]
    if known:
        mean, measure = float(np.mean(known)), study.workload.measure
        trained = f"{100 * mean:.2f}%" if measure.share else measure.amount(mean)
        notes.append(
            message(
                "scores are of an average of the weights; the trained weights score {trained} on validation",
                trained=trained,
            )
        )
    if guessing := sum(record.at_chance for record in finals if record.outcome != "diverged"):
        one_answer = "always naming one class" if study.workload.measure == SHARE else "one answer for all samples"
        notes.append(
            message(
                "{guessing} of {finals} final runs score no better than {one_answer}"
                if len(finals) > 1
                else "the final run scores no better than {one_answer}",
                guessing=guessing,
                finals=len(finals),
                one_answer=message(one_answer),
            )
        )
    if idle := idle_controllers(strategy, finals):
        notes.append(idle)
    if any(record.second_passes for record in finals):
        notes.append(message("a second pass over a batch is charged as one more update"))
    if centre is not None and centre.updates == 0:
        notes.append(message("no range test: {doubts}", doubts=joined("{one}; {other}", map(message, centre.doubts))))
    elif centre is not None:
        found = message("no rate to rely on") if centre.lr is None else message("grid centred on {lr:g}", lr=centre.lr)
        notes.append(message("range test of {updates} updates: {found}", updates=centre.updates, found=found))
    if choice.extended is not None:
        last = choice.trials[0 if choice.extended == "low" else -1]
        added = len(choice.trials) - len(study.rate_grids[last.strategy.name])
        notes.append(
            message(
                "grid extended to {lr:g}" if added == 1 else "grid extended by {added} rates to {lr:g}",
                added=added,
                lr=last.lr,
            )
        )
    if why := untuned_because(study, choice):
        notes.append(message("not fully tuned: {why}", why=why))
    return joined("{one}; {other}", notes)
