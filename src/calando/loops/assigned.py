"""What may be assigned to a handle: attributes that it has. Others would be taken in silence and change nothing."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["refuse_unknown"]


def refuse_unknown(handle: object, name: str, *, own: Sequence[str]) -> None:
    """Before `handle.name = …`; `own` are its attributes that are not of its class.

    Frameworks keep notes of theirs under names that begin with "_", and patch methods: both may be assigned.

    Raises:
        AttributeError: it has no attribute of this name.
    """
    kind = type(handle)
    if name in own or name.startswith("_") or hasattr(kind, name):
        return
    of_class = [key for key in dir(kind) if not key.startswith("_") and isinstance(getattr(kind, key), property)]
    has = ", ".join(sorted({*own, *of_class}))
    raise AttributeError(
        f"{kind.__name__} has no attribute {name!r}, and setting it would change nothing; it has {has}"
    )
