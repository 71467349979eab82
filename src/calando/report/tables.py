"""A study on the terminal: the verdict, one row a strategy, and how each compares with the best.

The table fits the width it is given: where there is no room for all columns it leaves out the least needed and
says so. 80 characters are enough for the answer itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from calando.analysis.results import Comparison, StrategyResult, StudySummary, Trial
from calando.report.advice import UNTUNED, advice_lines
from calando.report.footnotes import footnotes, letters
from calando.report.numbers import (
    ABSENT,
    count,
    difference,
    first_word,
    interval,
    percent,
    rate,
    shared,
    spread,
    target_steps,
)

__all__ = ["StudyTables", "comparison_lines", "headline", "study_table", "study_tables", "trials_table"]

STYLES = {"worse": "red", "better": "green", "best": "green", "cannot distinguish": "dim", "not tuned out": "yellow"}
NAME_WIDTH = 20
TO_TARGET = "to target"


@dataclass(frozen=True)
class _Column:
    """One column: its heading, how a row fills it, and how soon it goes where there is no room (0: never)."""

    heading: str
    cell: Callable[[StrategyResult, Comparison | None], str]
    expendable: int
    right: bool = True


@dataclass(frozen=True)
class StudyTables:
    """The verdict, the table, the comparisons in words, the trials and what to use, as wide as the console is."""

    summary: StudySummary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield headline(self.summary)
        yield Text()
        yield study_table(self.summary, width=width)
        if lines := comparison_lines(self.summary):
            yield Text()
            yield from map(Text, lines)
        if any(result.trials for result in self.summary.results):
            yield Text()
            yield trials_table(self.summary, width=width)
        if advice := self.summary.advice:
            yield Text()
            yield from map(Text, advice_lines(advice))


def study_tables(summary: StudySummary) -> StudyTables:
    """Everything the terminal says of a study: print it on a rich console, of any width."""
    return StudyTables(summary)


def headline(summary: StudySummary) -> Panel:
    """The verdict in a frame."""
    return Panel(Text(summary.headline), title="complete" if summary.complete else "not finished", title_align="left")


def study_table(summary: StudySummary, *, width: int) -> Group:
    """One row a strategy, best first, with footnotes.

    Args:
        width: of the terminal, in characters; from 60 on every row shows its test score and verdict whole.
    """
    against = {one.strategy: one for one in summary.comparisons}
    columns = _columns(summary)
    cells = [[column.cell(result, against.get(result.name)) for column in columns] for result in summary.results]
    kept = _fitting(columns, cells, width=width)
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold", show_edge=False)
    for place in kept:
        side: JustifyMethod = "right" if columns[place].right else "left"
        table.add_column(columns[place].heading, justify=side, no_wrap=True, overflow="ellipsis")
    for result, row in zip(summary.results, cells, strict=True):
        texts = [Text(row[place], style=STYLES.get(row[place], "")) for place in kept]
        table.add_row(*texts, style="bold" if result.name == summary.best else "")
    left_out = [column.heading for place, column in enumerate(columns) if place not in kept]
    return Group(table, *(Text(line, style="dim") for line in _notes(summary, left_out)))


def comparison_lines(summary: StudySummary) -> tuple[str, ...]:
    """Each other strategy against the best, in words; one line that says why not where there are none."""
    if summary.comparisons:
        return tuple(f"{one.strategy} against {one.best}: {one.text}" for one in summary.comparisons)
    if summary.complete and len(summary.results) > 1:
        return ("one seed gives no interval, so there is no verdict; use --seeds 2 or more",)
    return ()


def trials_table(summary: StudySummary, *, width: int) -> Table:
    """What each rate tried gave on validation at the first seed; the chosen one marked by *.

    Args:
        width: of the terminal; where the cells of a row need more, they go on in the next line.
    """
    cells = {
        result.name: [_trial(trial, chosen=trial.lr == result.lr) for trial in result.trials]
        for result in summary.results
        if result.trials
    }
    names = max((len(_shortened(name)) for name in cells), default=0)
    cell = max((len(text) for row in cells.values() for text in row), default=1)
    per_line = max(1, (width - names - 2) // (cell + 2))
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("strategy", no_wrap=True)
    table.add_column("rate: validation score, %  (* chosen)", no_wrap=True)
    for name, row in cells.items():
        lines = [row[start : start + per_line] for start in range(0, len(row), per_line)]
        table.add_row(
            Text(_shortened(name)),
            Text("\n".join("  ".join(text.ljust(cell) for text in line).rstrip() for line in lines)),
        )
    return table


def _trial(trial: Trial, *, chosen: bool) -> str:
    result = percent(trial.score) if trial.outcome == "finished" else trial.outcome
    return f"{rate(trial.lr)}: {result}{'*' if chosen else ''}"


def _columns(summary: StudySummary) -> list[_Column]:
    """All columns there is something to say in."""
    marks = {name: _mark(place) for place, one in enumerate(footnotes(summary)) for name in one.names}

    def verdict(result: StrategyResult, against: Comparison | None) -> str:
        if against is not None:
            return against.verdict
        return first_word(summary) if result.name == summary.best else ABSENT

    columns = [
        _Column("strategy", lambda one, _: _shortened(one.name), 0, right=False),
        _Column("rate", lambda one, _: f"{rate(one.lr)} {marks.get(one.name, '')}".rstrip(), 1),
        _Column("validation, %", lambda one, _: spread(one.validation) + ("*" if one.validation_chose else ""), 6),
        _Column("test, %", lambda one, _: spread(one.test), 0),
    ]
    if summary.comparisons:
        columns += [
            _Column("difference", lambda _, other: difference(other.difference) if other else ABSENT, 3),
            _Column("[interval]", lambda _, other: interval(other) if other else "", 7),
            _Column("verdict", verdict, 0, right=False),
        ]
    if summary.target is not None:
        columns.append(_Column(TO_TARGET, lambda one, _: target_steps(one), 8))
    if any(result.diverged + result.died for result in summary.results):
        columns.append(_Column("failed", lambda one, _: str(one.diverged + one.died), 9))
    return [
        *columns,
        _Column("trial steps", lambda one, _: count(one.steps_trials), 11),
        _Column("final steps", lambda one, _: count(one.steps_final), 10),
    ]


def _shortened(name: str) -> str:
    """Cut in its middle: where strategies differ in their length alone, the end says which it is."""
    tail = NAME_WIDTH // 2
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1 - tail]}…{name[-tail:]}"


def _fitting(columns: Sequence[_Column], cells: Sequence[Sequence[str]], *, width: int) -> list[int]:
    """Places of the columns to show: the needed ones, then the others by how much they are needed, where they fit."""
    widths = [max(len(column.heading), *(len(row[place]) for row in cells)) for place, column in enumerate(columns)]
    kept: list[int] = []
    for place in sorted(range(len(columns)), key=lambda place: columns[place].expendable):
        tried = [*kept, place]
        if not columns[place].expendable or sum(widths[one] for one in tried) + 2 * (len(tried) - 1) <= width:
            kept = tried
    return sorted(kept)


def _mark(place: int) -> str:
    return f"({letters(place)})"


def _notes(summary: StudySummary, left_out: Sequence[str]) -> list[str]:
    notes = [f"{_mark(place)} {one}" for place, one in enumerate(footnotes(summary))]
    said = "mean ± sd (n)"
    if summary.comparisons:
        n = summary.comparisons[0].n
        said += f"; differences in points, paired over {n} seeds"
        if len(summary.comparisons) > 1:
            said += f", intervals corrected for picking the best of {len(summary.results)}"
    notes.append(said)
    if summary.target is not None and TO_TARGET not in left_out:
        notes.append(f"to target: median steps to {percent(summary.target)}% on validation ({summary.target_source})")
    if any(result.validation_chose for result in summary.results):
        notes.append("* of the very run that chose the rate, so a little too good")
    if any(result.untuned for result in summary.results):
        notes.append(UNTUNED)
    if said := shared(summary):
        notes.append(f"{said}; steps are what each strategy costs alone")
    if left_out:
        notes.append(f"left out, as the terminal is narrow: {', '.join(sorted(left_out))}")
    return notes
