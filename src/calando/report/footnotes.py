"""What a table notes of its strategies: one footnote a note, whoever it is of."""

from __future__ import annotations

from dataclasses import dataclass

from calando.analysis.results import StudySummary

__all__ = ["Footnote", "footnotes", "letters"]

MOST_NAMED = 6


@dataclass(frozen=True)
class Footnote:
    """A note and the strategies that it is of, in the table's order."""

    note: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        """
        >>> str(Footnote("only one rate tried", ("sgd", "adam")))
        'sgd, adam: only one rate tried'
        """
        many = f"{len(self.names)} strategies"
        return f"{', '.join(self.names) if len(self.names) <= MOST_NAMED else many}: {self.note}"


def footnotes(summary: StudySummary) -> tuple[Footnote, ...]:
    """All there are, in the order in which the table comes to them."""
    notes = dict.fromkeys(result.note for result in summary.results if result.note)
    return tuple(Footnote(note, tuple(one.name for one in summary.results if one.note == note)) for note in notes)


def letters(place: int) -> str:
    """Marks where figures would read as part of a number: a to z, aa, ab, …

    >>> letters(0), letters(25), letters(26), letters(51), letters(52)
    ('a', 'z', 'aa', 'az', 'ba')
    """
    before, last = divmod(place, 26)
    return (letters(before - 1) if before else "") + chr(ord("a") + last)
