"""A strategy's TOML file: its keys and their types, before anybody knows what they mean.

    name = "mine"
    method = "sgd"
    lr = 0.1
    options = { momentum = 0.9 }
    schedules = { lr = "cosine(1, 0)" }
    controllers = ["plateau(factor=0.2, patience='10%')", "rollback()"]
    average = "ema(decay=0.999)"
    horizon = "10 epochs"

or, in one, `strategy = "sgd(lr=0.1, momentum=0.9) | cosine(1, 0)"`.
"""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any

from calando.errors import UnknownName, UsageError
from calando.records.files import read_plain
from calando.sizes import check_rate

__all__ = ["read_fields"]

MOST_BYTES = 2**20

_TYPES: tuple[tuple[str, type | UnionType, str], ...] = (
    ("name", str, "text"),
    ("method", str, "text"),
    ("strategy", str, "text"),
    ("average", str, """text, as in "ema(decay=0.999)\""""),
    ("horizon", str | int, """a length, as in "10 epochs\""""),
    ("options", dict, "a table, as in { momentum = 0.9 }"),
    ("schedules", dict, 'a table, as in { lr = "cosine(1, 0)" }'),
    ("controllers", list, """a list, as in ["plateau(factor=0.2)"]"""),
)

_KNOWN = ("name", "method", "lr", "options", "schedules", "controllers", "average", "horizon", "strategy")


def read_fields(path: Path) -> dict[str, Any]:
    """The keys of a strategy file: "strategy" alone, or "method" and others; always "name", at least the file's.

    Raises:
        UsageError: the file cannot be read, is not TOML, or has a wrong, missing or second key.
    """
    try:
        fields = tomllib.loads(read_plain(path, most=MOST_BYTES).decode("utf-8").replace("\r\n", "\n"))
    except OSError as error:
        raise UsageError(f"strategy file {str(path)!r} cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise UsageError(f"strategy file {str(path)!r} is nested too deeply") from error
    except ValueError as error:  # TOML's, that of its encoding, or numbers of thousands of digits
        raise UsageError(f"strategy file {str(path)!r} is not TOML: {error}") from error
    for key in fields:
        if key not in _KNOWN:
            raise UnknownName(f"key of strategy file {path.name}", key, _KNOWN)
    for key, kind, said in _TYPES:
        if key in fields and not isinstance(fields[key], kind):
            raise UsageError(f"strategy file {str(path)!r}: {key} must be {said}, got {fields[key]!r}")
    if "strategy" in fields and (beside := sorted(fields.keys() - {"strategy", "name"})):
        raise UsageError(
            f"strategy file {str(path)!r}: {beside[0]} belongs into the strategy's text; only name stands beside it"
        )
    if "strategy" not in fields and "method" not in fields:
        raise UsageError(f'strategy file {str(path)!r} must say method = "…" or strategy = "pipe text"')
    if isinstance(fields.get("lr"), bool):
        raise UsageError(
            f'strategy file {str(path)!r}: lr must be a positive finite number or "auto", got {fields["lr"]}'
        )
    if isinstance(rate := fields.get("lr"), int | float) and rate > 0 and rate != math.inf:
        check_rate(f"strategy file {str(path)!r}: lr", rate)
    fields.setdefault("name", path.stem)
    return fields
