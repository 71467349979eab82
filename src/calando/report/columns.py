"""The table of strategies: its columns, its rows and its footnotes, defined once for terminal, page and JSON.

    row       a StrategyResult, and its Comparison with the best where there is one
    column    the fields of these that it shows, under the names that `--json` gives them, and how they are written
    marks     (a), (b), … a note of a strategy, next to its rate
              *           next to a validation score of the very run that chose the rate

The page groups the cells under headings of its own and writes marks raised; the cells are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calando.analysis.conclusion import EQUAL, listed, listed_all
from calando.analysis.results import Advice, Comparison, StrategyResult, StudySummary
from calando.language import capitalized, message, translated
from calando.records.measure import SHARE, Measure
from calando.report.formatting import ABSENT, count, first_word, rate, saved, spread, target_steps

__all__ = [
    "COLUMNS",
    "UNTUNED",
    "Column",
    "Footnote",
    "StrategyRow",
    "advice_lines",
    "advice_sentence",
    "footnotes",
    "strategy_rows",
]

CHOSE = "*"
UNTUNED = message(
    "no verdict: not fully tuned, a better rate may lie past those tried; a new study with a larger --span, --rates or "
    "--beyond tries more"
)


def _failed(summary: StudySummary) -> bool:
    return any(result.diverged + result.died for result in summary.results)


def _is_tested(summary: StudySummary) -> bool:
    return summary.judged == "test"


def _has_target(summary: StudySummary) -> bool:
    return summary.target is not None


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        fields: what it shows, of the result or, where `compared`, of its comparison; the first names its cells.
        heading: on the terminal.
        write: its cell from the values of these fields.
        expendable: how soon it goes where a terminal has no room for all; 0: never.
        numeric: set to the right.
        scored: it is of scores, and `write` takes their measure last.
        compared: it is of the comparison, so a study without any has no such column.
        absent: what stands where a strategy has no comparison: the best one.
        needs: whether a study has anything for it; None: every study has.
    """

    fields: tuple[str, ...]
    heading: str
    write: Callable[..., str]
    expendable: int
    numeric: bool = True
    scored: bool = False
    compared: bool = False
    absent: str = ABSENT
    needs: Callable[[StudySummary], bool] | None = None

    @property
    def key(self) -> str:
        """What its cells are called."""
        return self.fields[0]

    def is_shown(self, summary: StudySummary) -> bool:
        """Whether any row has something in it."""
        return bool(summary.comparisons) if self.compared else self.needs is None or self.needs(summary)

    def headed(self, summary: StudySummary) -> str:
        """Its heading, with the unit of what is in it."""
        if not self.scored or self.compared:
            return self.heading
        heading = message(summary.judged) if self.key == "test" else self.heading
        return message("{heading}{unit}", heading=heading, unit=summary.spec.workload.measure.title)

    def cell(self, result: StrategyResult, against: Comparison | None, measure: Measure) -> str:
        """Its text in the row of a strategy."""
        of = against if self.compared else result
        if of is None:
            return self.absent
        values = [getattr(of, field) for field in self.fields]
        return self.write(*values, measure) if self.scored else self.write(*values)


def _difference(value: float, measure: Measure) -> str:
    return measure.difference(value)


def _interval(low: float, high: float, measure: Measure) -> str:
    return measure.interval(low, high)


COLUMNS = (
    Column(("name",), message("strategy"), str, expendable=0, numeric=False),
    Column(("lr",), message("rate"), rate, expendable=1),
    Column(("validation",), message("validation"), spread, expendable=6, scored=True, needs=_is_tested),
    Column(("test",), message("test"), spread, expendable=0, scored=True),
    Column(("difference",), message("diff"), _difference, expendable=3, compared=True, scored=True),
    Column(("low", "high"), message("[interval]"), _interval, expendable=4, compared=True, scored=True, absent=""),
    Column(("verdict",), message("verdict"), str, expendable=0, numeric=False, compared=True),
    Column(("steps_to_target",), message("to target"), target_steps, expendable=8, needs=_has_target),
    Column(
        ("diverged", "died"),
        message("failed"),
        lambda diverged, died: str(diverged + died),
        expendable=9,
        needs=_failed,
    ),
    Column(("steps_trials",), message("trial steps"), count, expendable=11),
    Column(("steps_final",), message("final steps"), count, expendable=10),
)


@dataclass(frozen=True)
class StrategyRow:
    """A strategy in the table.

    Args:
        result, against: what is known of it.
        best: the first of a complete study.
        cells: key of a column -> its text.
        marks: key of a column -> the mark of the footnote on its cell.
    """

    result: StrategyResult
    against: Comparison | None
    best: bool
    cells: Mapping[str, str]
    marks: Mapping[str, str]


def strategy_rows(summary: StudySummary) -> tuple[StrategyRow, ...]:
    """The rows, best strategy first."""
    against = {one.strategy: one for one in summary.comparisons}
    noted = {note: letters(place) for place, note in enumerate(_notes(summary))}
    rows, measure = [], summary.spec.workload.measure
    for result in summary.results:
        other = against.get(result.name)
        best = summary.complete and result.name == summary.best
        cells = {column.key: column.cell(result, other, measure) for column in COLUMNS}
        if best and summary.advice is not None and len(summary.results) > 1:
            cells["verdict"] = first_word(summary)
        marks = {"lr": noted.get(result.note, ""), "validation": CHOSE if result.validation_chose else ""}
        rows.append(StrategyRow(result=result, against=other, best=best, cells=cells, marks=marks))
    return tuple(rows)


@dataclass(frozen=True)
class Footnote:
    """A note below the table; `mark`: what points to it, "" where nothing does. `text` has no full stop."""

    mark: str
    text: str

    def __str__(self) -> str:
        """
        >>> str(Footnote("a", "sgd: only one rate tried")), str(Footnote("*", "of one seed"))
        ('(a) sgd: only one rate tried', '* of one seed')
        """
        return f"{f'({self.mark})' if self.mark.isalpha() else self.mark} {translated(self.text)}".strip()


def footnotes(summary: StudySummary) -> tuple[Footnote, ...]:
    """All there are: the notes of strategies, in the order in which the table comes to them, then those on all."""
    found = [
        Footnote(letters(place), message("{names}: {note}", names=_named(summary, note), note=note))
        for place, note in enumerate(_notes(summary))
    ]
    if any(result.validation_chose for result in summary.results):
        text = message("this validation score is of the very run that chose the rate, so it is a little too good")
        found.append(Footnote(CHOSE, text))
    found += [Footnote("", text) for text in summary.cautions]
    found += [Footnote("", text) for text in summary.steered]
    if any(result.untuned for result in summary.results):
        found.append(Footnote("", UNTUNED))
    if line := saved(summary):
        found.append(Footnote("", line))
    if line := _settled_early(summary):
        found.append(Footnote("", line))
    return tuple(found)


def _settled_early(summary: StudySummary) -> str:
    """Which strategies have fewer seeds than those that outlasted them, and against which they were settled."""
    most = max((one.n for one in summary.comparisons), default=0)
    early = [
        message("{strategy} ({n} seeds, against {best})", strategy=one.strategy, n=one.n, best=one.best)
        if one.best != summary.best
        else f"{one.strategy} ({one.n})"
        for one in summary.comparisons
        if one.n < most
    ]
    if not early:
        return ""
    return message("settled early, with so many seeds: {strategies}", strategies=listed(early, "strategies"))


def _notes(summary: StudySummary) -> tuple[str, ...]:
    """Each once, whoever it is of."""
    return tuple(dict.fromkeys(result.note for result in summary.results if result.note))


def _named(summary: StudySummary, note: str) -> str:
    return listed([result.name for result in summary.results if result.note == note], "strategies")


def letters(place: int) -> str:
    """Marks where figures would read as part of a number: a to z, aa, ab, …

    >>> letters(0), letters(25), letters(26), letters(51), letters(52)
    ('a', 'z', 'aa', 'az', 'ba')
    """
    before, last = divmod(place, 26)
    return (letters(before - 1) if before else "") + chr(ord("a") + last)


def advice_lines(advice: Advice, measure: Measure) -> tuple[str, ...]:
    """Why which strategy, and what to paste to use it."""
    why = advice_sentence(advice, measure)
    return (*([why] if why else []), message("To use {name}: {text}", name=advice.name, text=advice.text))


def advice_sentence(advice: Advice, measure: Measure = SHARE) -> str:
    """Which strategies the tests do not distinguish, and which of them we would take; "" where there was no choice.

    >>> advice = Advice("b", "sgd", level=("a", "b"), why="it is the cheapest to train", n=2, apart=0.18, behind=0.004)
    >>> print("\\n".join(advice_sentence(advice).split(". ")[:2]))
    At n = 2 the tests do not distinguish a and b, although their mean scores lie up to 18.0 points apart
    a scores highest; we would take b, 0.40 points below it: it is the cheapest to train
    """
    if not advice.level:
        return capitalized(message("{sentence}.", sentence=advice.why)) if advice.why else ""
    open_ = message("the tests do not distinguish {names}", names=listed_all(advice.level))
    if advice.apart > advice.near:
        open_ = message(
            "{open}, although their mean scores lie up to {gap} apart",
            open=open_,
            gap=measure.gap(advice.apart, decimals=1),
        )
    take = message("We would take {name}", name=advice.name)
    if advice.behind > EQUAL:
        take = message(
            "{first} scores {highest}; we would take {name}, {gap} below it"
            if measure.goal == "max"
            else "{first} scores {highest}; we would take {name}, {gap} above it",
            first=advice.level[0],
            highest=measure.first,
            name=advice.name,
            gap=measure.gap(advice.behind),
        )
    return message(
        "At n = {n} {open}. {take}: {why}. That is a preference of ours, not a finding. Within {near} of the {highest} "
        "score we prefer the cheapest to train, then the widest band of good rates.",
        n=advice.n,
        open=open_,
        take=take,
        why=advice.why,
        near=measure.near_words,
        highest=measure.first,
    )
