"""Entries by name: the schedules, methods and controllers that a text may call, and executors; ours and other people's.

    add             an entry, from a file of ours or from a person's own code (`calando.schedules.register`, ...)
    entry points    of installed packages, in the groups `calando.schedules`, `calando.methods`, `calando.controllers`,
                    `calando.executors`: read where a name is asked for that nobody knows, so that a start does not
                    wait for them

A name has one meaning in a strategy's text, whatever its kind: a second entry of that name is refused.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from calando.errors import UsageError, quote
from calando.language import message

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["Registry", "explain_with", "home_of", "own_entries", "own_mistake", "reserve", "why_elsewhere"]

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAKEN: dict[str, str] = dict.fromkeys(("true", "false", "none", "True", "False", "None"), "a value")
"""Name -> what it means in a strategy's text."""


def reserve(name: str, meaning: str) -> None:
    """Keep a name for something that is no entry: no entry may have it.

    >>> reserve("horizon", "a strategy's own length")
    """
    _TAKEN[name] = meaning


Explain = Callable[[str], str | None]
_EXPLAIN: list[Explain] = []


def explain_with(explain: Explain) -> Explain:
    """Have a room say what a text is that a room below cannot read; None: it does not know either."""
    _EXPLAIN.append(explain)
    return explain


def why_elsewhere(text: str) -> str | None:
    """What a text is that is no schedule, and what to do, where a room above knows it; asked on the way to an error."""
    _know_ours()
    return next(filter(None, (explain(text) for explain in _EXPLAIN)), None)


def home_of(entry: object) -> str:
    """Where a function or class was defined: the same again, as in a module that is loaded twice, is no clash.

    >>> home_of(reserve)
    'calando.registry.reserve'
    """
    # a script's workers import it under the second name
    module = "__main__" if (found := getattr(entry, "__module__", "?")) == "__mp_main__" else found
    name = getattr(entry, "__qualname__", type(entry).__qualname__)
    line = f":{entry.__code__.co_firstlineno}" if name.endswith("<lambda>") and hasattr(entry, "__code__") else ""
    return f"{module}.{name}{line}"


@final
class Registry(Mapping[str, T], Generic[T]):
    """The entries of one kind. Iterating gives those that are loaded; a lookup finds installed packages' too.

    Args:
        kind: what an entry is, in the singular; its entry points are in the group "calando.KINDs".
        join: (name, what an entry point gave) -> None: registers it under that name.
        in_texts: whether a strategy's text may call it; what else has the name there is then no entry's.
    """

    def __init__(self, kind: str, *, join: Callable[[str, Any], object], in_texts: bool = True) -> None:
        self.kind, self.group, self._join = kind, f"calando.{kind}s", join
        self._entries: dict[str, T] = {}
        self._homes: dict[str, str] = {}
        self._installed: set[str] = set()
        self._in_texts, self._taken = in_texts, _TAKEN if in_texts else {}

    def add(self, name: str, entry: T, *, home: str) -> None:
        """Register an entry.

        Args:
            home: where it was defined, as `home_of` has it.

        Raises:
            UsageError: no name that a text can call, or one that has a meaning already.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError(
                message(
                    "every {kind} must be named by letters, digits and _, such as my_{kind}, got {name}",
                    kind=self.kind,
                    name=quote(name),
                )
            )
        if self._in_texts and not home.startswith("calando."):
            _know_ours()
        meaning = f"the {self.kind} {home}"
        if self._taken.get(name, meaning) != meaning:
            raise UsageError(
                message(
                    "the name {name!r} is taken by {taken}; choose another for {home}",
                    name=name,
                    taken=self._taken[name],
                    home=home,
                )
            )
        self._taken[name], self._entries[name], self._homes[name] = meaning, entry, home

    def remove(self, name: str) -> None:
        """Forget an entry, as tests do after themselves."""
        del self._entries[name], self._homes[name], self._taken[name]
        self._installed.discard(name)

    def __getitem__(self, name: str) -> T:
        if name not in self:
            raise KeyError(name)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        if name in self._entries:
            return True
        # a name that has a meaning as something else needs no look at what is installed
        if not isinstance(name, str) or name in self._taken or not _NAME.fullmatch(name):
            return False
        found = [point for point in self._points() if point.name == name]
        if len({point.value for point in found}) > 1:
            owners = " and ".join(sorted(_owner(point) for point in found))
            raise UsageError(
                message(
                    "{owners} both bring the {kind} {name!r}; uninstall one", owners=owners, kind=self.kind, name=name
                )
            )
        if found:
            self._load(found[0])
        return bool(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> list[str]:
        """Every name that can be looked up, in order; those of installed packages too, which are not loaded for it."""
        return sorted({*self._entries, *(point.name for point in self._points())})

    def is_ours(self, name: str) -> bool:
        """Whether calando itself registered it."""
        return self._homes[name].startswith("calando.")

    def load_installed(self) -> dict[str, str]:
        """Load the entries of every installed package, for a list of all.

        Returns:
            The name of each that cannot be loaded -> why, in one line.
        """
        problems = {}
        for point in self._points():
            try:
                if point.name not in self._installed:
                    self._load(point)
            except UsageError as error:
                problems[point.name] = str(error)
        return problems

    def own(self, text: str) -> dict[str, tuple[T, str]]:
        """The entries that this process registered by itself and `text` names: name -> (entry, home).

        Another process has ours, and finds what is installed.
        """
        words = set(_NAME.findall(text))
        return {
            name: (entry, self._homes[name])
            for name, entry in self._entries.items()
            if name in words and name not in self._installed and not self.is_ours(name)
        }

    def bring(self, entries: Mapping[str, tuple[T, str]]) -> None:
        """Register what `own` gave in another process, which is right: this one may have it from the same script."""
        for name, (entry, home) in entries.items():
            self._taken.pop(name, None)
            self.add(name, entry, home=home)

    def _points(self) -> tuple[EntryPoint, ...]:
        return _installed_points(self.group, tuple(sys.path))

    def _load(self, point: EntryPoint) -> None:
        try:
            found = point.load()
            if point.name not in self._entries:
                self._join(point.name, found)
        except Exception as error:  # other people's code runs when it is imported, and may raise anything
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise UsageError(
                message(
                    "the {kind} {name!r} of {point} ({value}) cannot be loaded ({reason}); update or uninstall {point}",
                    kind=self.kind,
                    name=point.name,
                    point=_owner(point),
                    value=point.value,
                    reason=reason,
                )
            ) from error
        self._installed.add(point.name)


def _know_ours() -> None:
    """Load every kind of entry of ours: a name that one of them has is refused now, not when that is imported."""
    for room in ("calando.schedules", "calando.controllers", "calando.methods", "calando.strategy"):
        importlib.import_module(room)


def own_mistake(name: str, error: Exception) -> str:
    """What a person's own code raised where it was called as `name`, in a line."""
    return f"{name} raised {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def own_entries(text: str, registries: Mapping[str, Registry[Any]]) -> dict[str, dict[str, tuple[Any, str]]]:
    """Kind -> what `Registry.own` gives, for what must reach another process with a text."""
    return {kind: own for kind, registry in registries.items() if (own := registry.own(text))}


@cache
def _installed_points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The entry points of the packages on `path`, read once: that takes tens of milliseconds."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group=group))


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an installed package"
