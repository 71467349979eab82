"""A study on the terminal: the verdict, one row a strategy, and how each compares with the best.

The table fits the width it is given: where there is no room for all columns it leaves out the least needed and
names them. 80 characters are enough for the answer itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from calando.analysis.results import RateTrial, StudySummary
from calando.language import _, joined, message, translated
from calando.records.measure import Measure
from calando.records.task_spec import WorkloadSpec
from calando.report.columns import COLUMNS, Column, StrategyRow, advice_lines, footnotes, strategy_rows
from calando.report.formatting import distinct, rate, seeds_compared, shared, target_words
from calando.report.use import UseForm, use_forms

__all__ = ["StudyTables", "comparison_lines", "headline_panel", "study_table", "study_tables", "trials_table"]

STYLES = {"worse": "red", "better": "green", "best": "green", "cannot distinguish": "dim", "no verdict": "yellow"}
NAME_WIDTH = 20


@dataclass(frozen=True)
class StudyTables:
    """The verdict, the table, the comparisons in words, the trials and what to use, as wide as the console is."""

    summary: StudySummary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield headline_panel(self.summary)
        yield Text()
        yield study_table(self.summary, width=width)
        if lines := comparison_lines(self.summary):
            yield Text()
            yield from (Text(translated(line)) for line in lines)
        if any(result.trials for result in self.summary.results):
            yield Text()
            yield trials_table(self.summary, width=width)
            yield from (Text(translated(line), style="dim") for line in _outcomes_meant(self.summary))
        if advice := self.summary.advice:
            yield Text()
            yield from (Text(translated(line)) for line in advice_lines(advice, self.summary.spec.workload.measure))
            # Not wrapped by us: what is cut into lines cannot be pasted.
            yield from (Text(line, overflow="fold") for line in use_lines(use_forms(self.summary)))


def study_tables(summary: StudySummary) -> StudyTables:
    """The whole answer for the terminal; print it on a rich console of any width."""
    return StudyTables(summary)


def use_lines(forms: Sequence[UseForm]) -> list[str]:
    """Each form on a line behind what it is called; one of several lines indented below it."""
    lines: list[str] = []
    for form in forms:
        if len(form.lines) == 1:
            lines.append(_("  {title}: {text}", title=form.title, text=form.lines[0]))
        else:
            lines += [_("  {title}:", title=form.title), *(f"    {line}".rstrip() for line in form.lines)]
    return lines


def headline_panel(summary: StudySummary) -> Panel:
    """The verdict in a frame."""
    title = _("complete" if summary.complete else "not finished")
    return Panel(Text(translated(summary.headline)), title=title, title_align="left")


def study_table(summary: StudySummary, *, width: int) -> Group:
    """One row a strategy, best first, with footnotes.

    Args:
        width: of the terminal, in characters; from 60 on every row shows its test score and verdict on one line.
    """
    columns = [column for column in COLUMNS if column.is_shown(summary)]
    rows = strategy_rows(summary)
    names = distinct((row.result.name for row in rows), NAME_WIDTH)
    cells = [[_cell(column, row, names) for column in columns] for row in rows]
    headings = [translated(column.headed(summary)) for column in columns]
    kept = _fitting(columns, [headings, *cells], width=width)
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold", show_edge=False)
    for place in kept:
        side: JustifyMethod = "right" if columns[place].numeric else "left"
        table.add_column(Text(headings[place]), justify=side, overflow="fold")
    for row, texts in zip(rows, cells, strict=True):
        shown = [Text(texts[place], style=STYLES.get(row.cells[columns[place].key], "")) for place in kept]
        table.add_row(*shown, style="bold" if row.result.name == summary.best else "")
    left_out = [(column.key, headings[place]) for place, column in enumerate(columns) if place not in kept]
    return Group(table, *(Text(line, style="dim") for line in _lines_below(summary, left_out)))


def _cell(column: Column, row: StrategyRow, names: Mapping[str, str]) -> str:
    text, mark = row.cells[column.key], row.marks.get(column.key, "")
    if column.key == "name":
        return names[row.result.name]
    text = translated(text)
    return f"{text} ({mark})" if mark.isalpha() else f"{text}{mark}"


def comparison_lines(summary: StudySummary) -> tuple[str, ...]:
    """Each other strategy against the best, in words; one line that says why not where there are none."""
    if summary.comparisons:
        return tuple(
            message("{strategy} against {best}: {text}", strategy=one.strategy, best=one.best, text=one.text)
            for one in summary.comparisons
        )
    if summary.complete and len(summary.results) > 1:
        return (message("one seed gives no interval, so there is no verdict; use --seeds 2 or more"),)
    return ()


def trials_table(summary: StudySummary, *, width: int) -> Table:
    """What each rate tried gave on validation at the first seed; the chosen one marked by *.

    Args:
        width: of the terminal; where the cells of a row need more, they go on in the next line.
    """
    measure = summary.spec.workload.measure
    cells = {
        result.name: [_trial(trial, measure, chosen=trial.lr == result.lr) for trial in result.trials]
        for result in summary.results
        if result.trials
    }
    names = distinct(cells, NAME_WIDTH)
    cell = max((cell_len(text) for row in cells.values() for text in row), default=1)
    per_line = max(1, (width - max(map(len, names.values()), default=0) - 2) // (cell + 2))
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold", show_edge=False)
    table.add_column(Text(_("strategy")), no_wrap=True)
    table.add_column(Text(_("rate: validation score{unit}  (* chosen)", unit=measure.title)), no_wrap=True)
    for name, row in cells.items():
        lines = [row[start : start + per_line] for start in range(0, len(row), per_line)]
        table.add_row(
            Text(names[name]),
            Text("\n".join("  ".join(set_cell_size(text, cell) for text in line).rstrip() for line in lines)),
        )
    return table


def _trial(trial: RateTrial, measure: Measure, *, chosen: bool) -> str:
    result = measure.number(trial.score) if trial.outcome == "finished" else _(trial.outcome)
    return f"{rate(trial.lr)}: {result}{'*' if chosen else ''}"


def _outcomes_meant(summary: StudySummary) -> list[str]:
    """What the words in the trials' cells mean, those that are there."""
    seen = {trial.outcome for result in summary.results for trial in result.trials}
    meant = {
        "died": message("its training loss ended no lower than that of one answer for all samples"),
        "diverged": message("a loss or weight was not finite, or the strategy gave up"),
    }
    return [
        message("{outcome}: {meaning}", outcome=message(outcome), meaning=meaning)
        for outcome, meaning in meant.items()
        if outcome in seen
    ]


def _fitting(columns: Sequence[Column], cells: Sequence[Sequence[str]], *, width: int) -> list[int]:
    """Places of the columns to show: the needed ones, then the others by how much they are needed, where they fit.

    Args:
        cells: the headings, then the rows.
    """
    widths = [max(cell_len(row[place]) for row in cells) for place in range(len(columns))]
    kept: list[int] = []
    for place in sorted(range(len(columns)), key=lambda place: columns[place].expendable):
        tried = [*kept, place]
        if not columns[place].expendable or sum(widths[one] for one in tried) + 2 * (len(tried) - 1) <= width:
            kept = tried
    return sorted(kept)


def _lines_below(summary: StudySummary, left_out: Sequence[tuple[str, str]]) -> list[str]:
    """The footnotes, and what the columns mean."""
    lines = [str(one) for one in footnotes(summary)]
    meaning, measure = [message("mean ± sd (n)")], summary.spec.workload.measure
    if measure.share and isinstance(summary.spec.workload, WorkloadSpec) and summary.spec.workload.metric:
        meaning = [message("scores are {metric}, mean ± sd (n)", metric=summary.spec.workload.metric)]
    if summary.comparisons:
        seeds, several = seeds_compared(summary), len(summary.comparisons) > 1
        paired = message("differences, paired over {seeds} seeds", seeds=seeds)
        if measure.step:
            paired = message("differences in{unit}, paired over {seeds} seeds", unit=measure.step, seeds=seeds)
        if several:
            paired = message(
                "{paired}, intervals corrected for picking the best of {count}",
                paired=paired,
                count=len(summary.results),
            )
        meaning.append(paired)
    lines.append(translated(joined("{one}; {other}", meaning)))
    if summary.target is not None and not any(key == "steps_to_target" for key, _heading in left_out):
        lines.append(
            _(
                "to target: median steps to {target} on validation ({source})",
                target=target_words(summary),
                source=summary.target_source,
            )
        )
    if once := shared(summary):
        lines.append(_("{once}; steps are what each strategy costs alone", once=once))
    if left_out:
        names = joined("{one}, {other}", sorted(heading for _key, heading in left_out))
        lines.append(_("left out, as the terminal is narrow: {names}", names=names))
    return lines
