"""The whole runs of a tuning: validation score against the rate, a ring round the one that was chosen."""

from __future__ import annotations

from calando.analysis.results import RateTrial
from calando.analysis.ride import Settled
from calando.analysis.whole_arms import failed
from calando.language import message
from calando.records.tuning import TuneSpec
from calando.report.figures.by_rate import sensitivity_figure
from calando.report.figures.theme import WIDTH, AnyChart, styled
from calando.report.palette import line_styles

__all__ = ["whole_runs_figure"]


def whole_runs_figure(spec: TuneSpec, settled: Settled) -> AnyChart:
    """The validation score at the end of each run; a cross where a run failed."""
    measure, name = spec.workload.measure, spec.strategy.method
    trials = []
    for arm in sorted(settled.arms, key=lambda arm: arm.rate):
        score = None if failed(arm.trace) else arm.trace.score
        trials.append(
            RateTrial(
                lr=arm.rate,
                score=measure.worst if score is None else measure.merit(score),
                loss=arm.trace.loss,
                outcome="diverged" if score is None else "finished",
            )
        )
    chart = sensitivity_figure(
        {name: trials},
        chosen={name: settled.leg.rate},
        best=name,
        styles=line_styles([name]),
        measure=measure,
    )
    runs = settled.charged / spec.run_cost
    return styled(
        chart.properties(width=WIDTH, height=260),
        title=message(
            "{count} rates of {name} in {title}", count=len(settled.arms), name=name, title=spec.workload.title
        ),
        subtitle=message(
            "validation score at the end of a whole run each; one seed ({seed}); ring: the chosen rate; cross: failed; "
            "{runs:.2f} runs of {steps:,} updates in all",
            seed=spec.seed,
            runs=runs,
            steps=spec.steps,
        ),
    )
