"""What lint finds in a schedule: what kind, where, what is the matter, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from calando.language import message as said
from calando.schedules.schedule import Level

__all__ = ["Finding"]


@final
@dataclass(frozen=True)
class Finding:
    """Something suspicious about a schedule.

    Args:
        name: the rule, such as "negative"; `calando.schedules.linting` lists all.
        level: "error" (training would break), "warning" (likely a mistake), "info".
        step: the update concerned.
        message: what is wrong, one line.
        remedy: what to do, one line.
        group: the parameter group it is about, where it is not about all.

    >>> print(Finding("negative", "error", 51, "the multiplier is -0.02", "raise end to 0 or more", group="head"))
    error: negative in group 'head' at step 51: the multiplier is -0.02; raise end to 0 or more
    """

    name: str
    level: Level
    step: int
    message: str
    remedy: str
    group: str | None = None

    @property
    def sentence(self) -> str:
        """All of it in a line, which can be shown in another language."""
        return said(
            "{level}: {name} at step {step}: {matter}; {remedy}"
            if self.group is None
            else "{level}: {name} in group {group!r} at step {step}: {matter}; {remedy}",
            level=said(self.level),
            name=self.name,
            group=self.group,
            step=self.step,
            matter=self.message,
            remedy=self.remedy,
        )

    def __str__(self) -> str:
        return str(self.sentence)
