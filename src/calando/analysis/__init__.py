"""Records in, conclusions out: which rate, which strategy, and whether the runs decide it at all."""

from calando.analysis.choose import planned_runs, rate_band, rates_that_may_come, runs_to_come, settle_rate
from calando.analysis.grids import log_grid
from calando.analysis.paired import paired_interval, paired_p
from calando.analysis.results import (
    Advice,
    Comparison,
    PlannedRuns,
    RateBand,
    RateChoice,
    RateTrial,
    Spread,
    StrategyResult,
    StudySummary,
    Verdict,
)
from calando.analysis.summary import summarize
from calando.analysis.target import has_fixed_rate, steps_to_target, target_of
from calando.analysis.verdicts import against_best

__all__ = [
    "Advice",
    "Comparison",
    "PlannedRuns",
    "RateBand",
    "RateChoice",
    "RateTrial",
    "Spread",
    "StrategyResult",
    "StudySummary",
    "Verdict",
    "against_best",
    "has_fixed_rate",
    "log_grid",
    "paired_interval",
    "paired_p",
    "planned_runs",
    "rate_band",
    "rates_that_may_come",
    "runs_to_come",
    "settle_rate",
    "steps_to_target",
    "summarize",
    "target_of",
]
