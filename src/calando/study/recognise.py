"""Whether a person's own code is still what a study was started with."""

from __future__ import annotations

from calando.errors import UsageError
from calando.study.own_training import OwnTraining

__all__ = ["recognised_code"]


def recognised_code(stored: str, training: OwnTraining, *, what: str, remedy: str) -> tuple[str, ...]:
    """What to say of code that is run again: whether its first updates are those that there were.

    Args:
        stored: the digest of the first updates at the start; "": they did not repeat.
        what, remedy: the study, and what to do, for an error.

    Raises:
        UsageError: they are others.
    """
    if not stored or not training.fingerprint:
        return (f"whether the code is still the one that {what} was started with is unknown: it does not repeat",)
    if stored != training.fingerprint:
        raise UsageError(
            f"the first updates of {training.spec.title} differ from those that {what} was started with: its code, "
            f"data or packages have changed; change them back, or {remedy}"
        )
    return ()
