"""Reports of a study: tables for the terminal, figures, and the page that holds both.

Names are imported when first used: the figures need altair, the tables do not.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from calando.errors import NotDrawn
from calando.language import message

if TYPE_CHECKING:
    from calando.report.figures import arms_figure, race_figure, range_figure, schedule_figure, training_figure
    from calando.report.html import write_page
    from calando.report.lesson_figures import lesson_figure
    from calando.report.lesson_page import write_lesson_page
    from calando.report.pictures import save
    from calando.report.tables import study_tables

__all__ = [
    "arms_figure",
    "lesson_figure",
    "race_figure",
    "range_figure",
    "save",
    "schedule_figure",
    "study_tables",
    "training_figure",
    "write_lesson_page",
    "write_page",
]

_HOMES = {
    "arms_figure": "calando.report.figures",
    "lesson_figure": "calando.report.lesson_figures",
    "race_figure": "calando.report.figures",
    "range_figure": "calando.report.figures",
    "save": "calando.report.pictures",
    "schedule_figure": "calando.report.figures",
    "study_tables": "calando.report.tables",
    "training_figure": "calando.report.figures",
    "write_lesson_page": "calando.report.lesson_page",
    "write_page": "calando.report.html",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'calando.report' has no attribute {name!r}")
    if sys.flags.optimize > 1 and name != "study_tables":
        raise NotDrawn(message("pictures need altair, which needs docstrings: unset PYTHONOPTIMIZE, or leave out -OO"))
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
