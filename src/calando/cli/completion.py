"""What a shell offers behind Tab: workloads, strategies, schedules and study folders. Each is looked up when asked for.

calando --install-completion     once, for the shell that it is typed in
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = ["families", "methods", "models", "schedules", "strategies", "studies", "words", "workloads"]

Complete = Callable[[str], list[str]]
"""(what is typed so far) -> what it may become."""


def workloads(incomplete: str) -> list[str]:
    """Names, the beginnings of those with a path, and scripts here."""
    from calando.tasks.catalog import DATA, READERS

    return _fitting([*DATA, *(f"{reader}:" for reader in READERS), *_files("*.py")], incomplete)


def models(incomplete: str) -> list[str]:
    """Networks by name: of "resnet8 … resnet110" both, of "timm:NAME" its beginning."""
    from calando.tasks.catalog import NETWORKS

    return _fitting(re.findall(r"[\w-]*\d|\bcnn\b|(?:timm|torchvision|transformers):", " ".join(NETWORKS)), incomplete)


def strategies(incomplete: str) -> list[str]:
    """Presets, schedules that need no argument, and files here."""
    from calando.schedules.by_name import BY_NAME
    from calando.strategy import PRESETS

    return _fitting([*PRESETS, *BY_NAME, *_files("*.toml")], incomplete)


def schedules(incomplete: str) -> list[str]:
    """What a plot takes: presets, schedules by name, and files here."""
    from calando.schedules import SCHEDULES
    from calando.strategy import PRESETS

    return _fitting([*PRESETS, *SCHEDULES.names(), *_files("*.toml")], incomplete)


def methods(incomplete: str) -> list[str]:
    """Strategies and methods, of which `calando strategies NAME` says all."""
    from calando.methods import METHODS
    from calando.strategy import PRESETS

    return _fitting([*PRESETS, *METHODS.names()], incomplete)


def families(incomplete: str) -> list[str]:
    """Of strategies."""
    from calando.strategy.presets import STRATEGY_FAMILIES

    return _fitting([*STRATEGY_FAMILIES, "all"], incomplete)


def studies(incomplete: str) -> list[str]:
    """Folders of studies: in the one that is being typed, here, and where `calando compare` puts them."""
    typed = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    places = dict.fromkeys([Path("calando-studies"), Path(), typed])
    found = sorted(file.parent for place in places for file in place.glob("*/study.sqlite"))
    return _fitting(map(str, found), incomplete)


def words(*choices: str) -> Complete:
    """A completion of fixed words."""

    def complete(incomplete: str) -> list[str]:
        return _fitting(choices, incomplete)

    return complete


def _files(pattern: str) -> list[str]:
    return sorted(str(path) for path in Path().glob(pattern))


def _fitting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]
