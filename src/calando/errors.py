"""The exceptions of calando.

    CalandoError
    ├── UsageError (a ValueError)   the user's mistake: one line, exit status 2
    │   ├── UnknownName             a name no registry holds; suggests the nearest
    │   ├── ScheduleTextError       a text that does not parse; points at the character
    │   ├── CodeFailed              a person's own training code raised; its last lines follow
    │   ├── DataError               a data set that cannot be read or used
    │   ├── CorruptFile             a checkpoint or store that is damaged or not ours
    │   └── FileLocked              another program holds a file, and may let it go
    ├── NotDrawn                    the world's fault: a picture that cannot be drawn here; the numbers stand
    └── StudyStopped                the world's fault: exit status 1, the same command goes on
        ├── WorkerLost              a worker process died, more often than is forgiven
        └── DiskFull                nothing more can be written

    DataWarning (a UserWarning)     data that can be trained on, though scores may not mean what they seem to

A message is one line: it names the thing, what came, the range or choices allowed, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from calando.language import Message, joined, message

__all__ = [
    "CalandoError",
    "CodeFailed",
    "CorruptFile",
    "DataError",
    "DataWarning",
    "DiskFull",
    "FileLocked",
    "NotDrawn",
    "ScheduleTextError",
    "StudyStopped",
    "UnknownName",
    "UsageError",
    "WorkerLost",
    "fault_of",
    "is_plain",
    "line_of",
    "plain",
    "quote",
    "reason_of",
    "said_by",
    "unless_it_fails",
]

T = TypeVar("T")

MANY = 20  # choices; more would bury the suggestion
NEAREST = 3


def said_by(error: BaseException) -> str:
    """The text of an exception as it was made: a message of ours can still be translated.

    >>> said_by(UsageError("no such folder")), said_by(OSError(2, "No such file"))
    ('no such folder', '[Errno 2] No such file')
    """
    first = error.args[0] if len(error.args) == 1 else None
    return first if isinstance(first, Message) and first == str(error) else str(error)


def line_of(error: BaseException) -> str:
    """The text of an exception in one line; a message of ours stays one.

    >>> line_of(ValueError("no\\ngood"))
    'no good'
    """
    said = said_by(error)
    line = " ".join(said.split())
    return said if said == line else line


UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of what a terminal obeys, hides, reorders or cannot encode."""


def is_plain(text: str) -> bool:
    r"""Whether the text is one line in which everything can be seen.

    >>> is_plain("cosine, 10 % \u00e9"), is_plain("red\x1b[31m"), is_plain("two\nlines")
    (True, False, False)
    """
    return (text.isascii() and text.isprintable()) or not any(map(_is_unseen, text))


def plain(text: str) -> str:
    r"""The text as one line that does nothing to a terminal: what cannot be seen is written as Python would.

    >>> print(plain("clear\x1b[2J, and\nanother line"))
    clear\x1b[2J, and another line
    """
    if is_plain(text):
        return text
    words = " ".join(text.split())
    return "".join(ascii(one)[1:-1] if _is_unseen(one) else one for one in words)


def fault_of(error: BaseException) -> str:
    """What is wrong with a file that was read, in a few words: the key that lacks, else the kind of the exception.

    >>> fault_of(KeyError("spec")), fault_of(TypeError("unhashable"))
    ("it lacks 'spec'", 'TypeError')
    """
    if isinstance(error, KeyError) and error.args:
        return message("it lacks {key}", key=quote(error.args[0]))
    return type(error).__name__


LONGEST_REASON = 300


def reason_of(error: BaseException) -> str:
    r"""Type and first line of somebody else's exception, as one plain line; whatever its text does.

    >>> reason_of(ValueError("no\x1b[2J good\nfor many reasons")), reason_of(KeyError())
    ('ValueError: no\\x1b[2J good', 'KeyError: no message')
    """
    try:
        lines = str(error).strip().splitlines()
    except BaseException as other:  # a __str__ of the user's own, which may raise anything
        return f"{type(error).__name__}, whose text cannot be read ({type(other).__name__})"
    told = plain(lines[0]) if lines else "no message"
    return f"{type(error).__name__}: {told if len(told) <= LONGEST_REASON else told[:LONGEST_REASON] + '…'}"


def unless_it_fails(code: Callable[[], T]) -> T | None:
    """What the user's own code gives, which may raise anything; None where it does, but for Ctrl-C.

    For a look at what will be run in earnest, where the failure is met again and reported.

    >>> unless_it_fails(lambda: 1), unless_it_fails(lambda: 1 / 0)
    (1, None)
    """
    try:
        return code()
    except KeyboardInterrupt:
        raise
    except BaseException:
        return None


QUOTED_LENGTH = 60


def quote(value: object) -> str:
    """`value` as it is shown in a message: its repr on one line, at most 60 characters.

    >>> quote("cosine")
    "'cosine'"
    """
    try:
        shown = repr(value)
    except ValueError:  # Python refuses to print integers of more than 4300 digits
        shown = "an integer of thousands of digits"
    shown = " ".join(shown.split())
    return shown if len(shown) <= QUOTED_LENGTH else shown[: QUOTED_LENGTH - 1] + "…"


def _is_unseen(letter: str) -> bool:
    # Only here: most texts are ASCII, and the commands start sooner without it.
    import unicodedata

    return unicodedata.category(letter) in UNSEEN


class CalandoError(Exception):
    """Every error that calando raises on purpose.

    It comes from another process as it was raised there, whatever arguments its kind is made of.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self.args, self.__dict__)


def _remade(kind: type[CalandoError], args: tuple[object, ...], attributes: dict[str, object]) -> CalandoError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class UsageError(CalandoError, ValueError):
    """The user made a mistake; the message says what is wrong and what to do."""


class CodeFailed(UsageError):
    """A person's own training code failed.

    Args:
        message: what failed, and where all that it printed is.
        printed: the last lines of that.
    """

    def __init__(self, message: str, printed: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.printed = printed

    def __str__(self) -> str:
        return "\n    ".join((super().__str__(), *self.printed))


class UnknownName(UsageError):
    """A name that is not among the choices.

    >>> print(UnknownName("strategy", "cosin", ["cosine", "step"]))
    unknown strategy 'cosin'; did you mean 'cosine'? choices: cosine, step

    Of many choices, the nearest few are named where one is near.
    """

    def __init__(self, kind: str, name: str, choices: Iterable[str], *, hint: str = "") -> None:
        known = sorted(choices)
        near = difflib.get_close_matches(name, known, n=NEAREST)
        if near and len(known) > MANY:
            near_ones = joined("{one} or {other}", map(repr, near))
            said = message(
                "unknown {kind} {name!r}; did you mean {near}?", kind=message(kind), name=name, near=near_ones
            )
            super().__init__(message("{one} {other}", one=said, other=message(hint)) if hint else said)
            return
        said = message(
            "unknown {kind} {name!r}; did you mean {near!r}? choices: {choices}"
            if near
            else "unknown {kind} {name!r}; choices: {choices}",
            kind=message(kind),
            name=name,
            near=near[0] if near else "",
            choices=", ".join(known),
        )
        super().__init__(message("{one}; {other}", one=said, other=message(hint)) if hint else said)


class ScheduleTextError(UsageError):
    """A schedule or strategy text that does not parse, with the place marked.

    >>> print(ScheduleTextError("expected ')'", "cosine(1, 0", 11))
    expected ')', at character 12 of 'cosine(1, 0' -> here: cosine(1, 0<!>
    """

    def __init__(self, problem: str, text: str, position: int) -> None:
        self.problem, self.text, self.position = problem, text, position
        start, stop = max(0, position - 40), position + 20
        place = plain(f"{'…' if start else ''}{text[start:position]}<!>{text[position:stop]}")
        shown = text if len(text) <= 60 else text[:57] + "…"
        super().__init__(
            message(
                "{problem}, at character {position} of {text!r} -> here: {place}",
                problem=problem,
                position=position + 1,
                text=shown,
                place=place,
            )
        )


class DataError(UsageError):
    """A data set that cannot be read or used; the message names the file and the remedy."""


class DataWarning(UserWarning):
    """Data that can be trained on, though scores may not mean what they seem to; the message says what to do."""


class CorruptFile(UsageError):
    """A checkpoint or store that is damaged, truncated or was not written by calando."""


class FileLocked(UsageError):
    """Another program holds a file of calando's: it can be used again as soon as that lets it go."""


class NotDrawn(CalandoError):
    """A picture cannot be drawn on this machine, or not now; the numbers do not depend on it."""

    page: Path | None = None
    """The page that was written all the same."""


class StudyStopped(CalandoError):
    """The study could not go on; what was finished is safe and the same command continues."""


class WorkerLost(StudyStopped):
    """A worker process died (killed, out of memory) more often than is forgiven."""


class DiskFull(StudyStopped):
    """The disk took no more; what was finished is intact."""
