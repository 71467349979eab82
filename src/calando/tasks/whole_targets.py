"""Class numbers of which a sample has several: of pixels, of tokens. What is left out, -100, does not count."""

from __future__ import annotations

from typing import final

import torch

from calando.tasks.objective import IGNORED

__all__ = ["WholeTargets"]

_TRACKED = 1000  # a mask's class numbers; a vocabulary's words are not listed


@final
class WholeTargets:
    """The least and the largest number, and which of the first thousand occur.

    >>> seen = WholeTargets()
    >>> seen.add(torch.tensor([[0, 1], [-100, 4]]))
    >>> seen.least, seen.most, seen.gaps
    (0, 4, [2, 3])
    """

    def __init__(self) -> None:
        self.least: int | None = None
        self.most: int | None = None
        self._occurs = torch.zeros(_TRACKED, dtype=torch.bool)

    def add(self, targets: object) -> None:
        """Take a batch or a sample in; what is not a tensor of whole numbers is passed over."""
        if not isinstance(targets, torch.Tensor) or targets.is_floating_point() or targets.is_complex():
            return
        kept = targets.reshape(-1)
        kept = kept[kept != IGNORED]
        if not len(kept):
            return
        least, most = int(kept.min()), int(kept.max())
        self.least = least if self.least is None else min(self.least, least)
        self.most = most if self.most is None else max(self.most, most)
        if least >= 0 and most < _TRACKED:
            self._occurs[kept.long()] = True

    @property
    def gaps(self) -> list[int]:
        """Numbers from 0 on that occur nowhere, though a larger one does; none where numbers are a thousand or more."""
        if self.least is None or self.most is None or self.least < 0 or self.most >= _TRACKED:
            return []
        return self._occurs[: self.most].logical_not().nonzero().flatten().tolist()
