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
    Saved,
    Spread,
    StrategyResult,
    StudySummary,
    Verdict,
)
from calando.analysis.summary import summarize
from calando.analysis.target import has_fixed_rate, steps_to_target, target_of
from calando.analysis.until_decided import Standing, plan_study, seeds_at_first
from calando.analysis.verdicts import against_best

__all__ = [
    "Advice",
    "Comparison",
    "PlannedRuns",
    "RateBand",
    "RateChoice",
    "RateTrial",
    "Saved",
    "Spread",
    "Standing",
    "StrategyResult",
    "StudySummary",
    "Verdict",
    "against_best",
    "has_fixed_rate",
    "log_grid",
    "paired_interval",
    "paired_p",
    "plan_study",
    "planned_runs",
    "rate_band",
    "rates_that_may_come",
    "runs_to_come",
    "seeds_at_first",
    "settle_rate",
    "steps_to_target",
    "summarize",
    "target_of",
]
