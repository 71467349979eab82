"""Residual networks for keyword spotting (Tang & Lin, 2018), and their plain twins without shortcuts.

    conv 3x3 (K) - ReLU - [average pool] - n layers - mean over all places - linear
    layer i           y = ReLU(conv 3x3(x));  for even i also  y + s, which is the next s;  then batch norm
    s                 the sum before, at first what comes out of the pool; plain twin: no s is added

                      K     n     pool (mels x frames)    dilation of layer i = 1 … n
    res8              45    6     3 x 4                   1
    res15             45    13    none                    2^floor((i-1) / 3)
    res26             45    24    2 x 2                   1
    …-narrow          19    as above

The norms have no scale or bias. Parameters, with 12 classes as in the paper: res8 110,307, res15 237,882, res26
438,357; narrow 19,905, 42,648 and 78,387. Weights start as torch's own, which is what the authors' code does. The
published pool is over 4 frames x 3 mels; here the mels are the picture's rows.

Source: R. Tang, J. Lin, "Deep residual learning for small-footprint keyword spotting", arXiv:1710.10361, and their code
(castorini/honk, utils/model.py).
"""

from __future__ import annotations

import re
from functools import cache, partial
from typing import TYPE_CHECKING

from calando.errors import UsageError
from calando.language import message
from calando.tasks.nets import Build, NetworkEntry

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["ENTRIES", "speech_resnet"]

_WIDTH, _NARROW = 45, 19
_FORMS: dict[str, tuple[int, tuple[int, int] | None, bool]] = {
    "res8": (6, (3, 4), False),
    "res15": (13, None, True),
    "res26": (24, (2, 2), False),
}
"""Name -> number of layers, pool (mels, frames), whether the layers are dilated."""


def speech_resnet(
    *, form: str, width: int, shortcuts: bool, in_channels: int, classes: int, image_size: tuple[int, int]
) -> nn.Module:
    """Build one.

    >>> net = speech_resnet(form="res8", width=45, shortcuts=True, in_channels=1, classes=12, image_size=(40, 101))
    >>> sum(p.numel() for p in net.parameters())
    110307

    Args:
        form: "res8", "res15" or "res26".
        width: channels K.
        shortcuts: False builds the plain twin, which has the same parameters.
        image_size: (mels, frames).

    Raises:
        UsageError: pictures smaller than the pool.
    """
    layers, pool, dilated = _FORMS[form]
    if pool is not None and (image_size[0] < pool[0] or image_size[1] < pool[1]):
        raise UsageError(
            message(
                "network {form!r} pools {rows}x{columns} (height x width), these pictures are {height}x{width}",
                form=form,
                rows=pool[0],
                columns=pool[1],
                height=image_size[0],
                width=image_size[1],
            )
        )
    dilations = tuple(2 ** (i // 3) if dilated else 1 for i in range(layers))
    return _module()(in_channels, width, classes, dilations=dilations, pool=pool, shortcuts=shortcuts)


@cache
def _module() -> type[nn.Module]:
    """The class is made when the first network is built: this file is read for its names without torch."""
    import torch.nn.functional as F
    from torch import nn

    class SpeechResNet(nn.Module):
        """See the head of the file."""

        def __init__(
            self,
            in_channels: int,
            width: int,
            classes: int,
            *,
            dilations: tuple[int, ...],
            pool: tuple[int, int] | None,
            shortcuts: bool,
        ) -> None:
            super().__init__()
            self.shortcuts = shortcuts
            self.first = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
            self.pool = nn.AvgPool2d(pool) if pool else nn.Identity()
            self.convs = nn.ModuleList(
                nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False) for dilation in dilations
            )
            self.norms = nn.ModuleList(nn.BatchNorm2d(width, affine=False) for _ in dilations)
            self.output = nn.Linear(width, classes)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """[N, C, mels, frames] -> [N, classes]."""
            x = s = self.pool(F.relu(self.first(x)))
            for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True), 1):
                y = F.relu(conv(x))
                if i % 2 == 0 and self.shortcuts:
                    y = s = y + s
                x = norm(y)
            scores: torch.Tensor = self.output(x.flatten(2).mean(2))
            return scores

    return SpeechResNet


_NAME = re.compile(r"(plain-)?(res8|res15|res26)(-narrow)?")


def _read(plain: bool, name: str) -> Build | None:
    found = _NAME.fullmatch(name)
    if found is None or bool(found[1]) != plain:
        return None
    return partial(speech_resnet, form=found[2], width=_NARROW if found[3] else _WIDTH, shortcuts=not plain)


ENTRIES = (
    NetworkEntry(
        names="res8, res15, res26",
        description="residual networks for keyword spotting (Tang & Lin, 2018); -narrow has 19 channels for 45",
        read=partial(_read, False),
        examples=("res8", "res15", "res26", "res8-narrow"),
    ),
    NetworkEntry(
        names="plain-res8 … plain-res26",
        description="the same without shortcuts",
        read=partial(_read, True),
        examples=("plain-res8", "plain-res8-narrow"),
    ),
)
