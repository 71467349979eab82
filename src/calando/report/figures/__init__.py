"""Figures, each a function from plain values to an Altair chart. See `calando.report.study_figures` for a study's."""

from calando.report.figures.by_rate import range_figure, sensitivity_figure
from calando.report.figures.by_step import ALL_BANDS, loss_figure, rate_figure, schedule_figure, score_figure
from calando.report.figures.by_strategy import cost_figure, forest_figure, scores_figure, target_figure
from calando.report.figures.one_run import training_figure
from calando.report.figures.probes import (
    depth_figure,
    gradients_figure,
    ratios_figure,
    sharpness_figure,
)
from calando.report.figures.race import arms_figure, race_figure

__all__ = [
    "ALL_BANDS",
    "arms_figure",
    "cost_figure",
    "depth_figure",
    "forest_figure",
    "gradients_figure",
    "loss_figure",
    "race_figure",
    "range_figure",
    "rate_figure",
    "ratios_figure",
    "schedule_figure",
    "score_figure",
    "scores_figure",
    "sensitivity_figure",
    "sharpness_figure",
    "target_figure",
    "training_figure",
]
