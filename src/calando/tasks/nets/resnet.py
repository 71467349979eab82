"""Residual networks in the CIFAR form, depth 6n+2, and their plain twins without shortcuts.

    conv 3x3 (16) - norm - ReLU - 3 stages of n blocks, widths 16, 32, 64 - global average pool - linear
    block   y = ReLU(x' + norm(conv(ReLU(norm(conv(x))))))      plain twin: without x'
    x'      x; where a stage begins, every second pixel of x, padded with channels of 0 (option A: no parameters)

The first block of stages 2 and 3 has stride 2. Weights start as He et al. (2015): normal, variance 2 / fan-in.
Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", arXiv:1512.03385, sec. 4.2.
"""

from __future__ import annotations

import re
from functools import cache, partial
from typing import TYPE_CHECKING

from calando.tasks.nets import Build, NetworkEntry, blocks_of

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["ENTRIES", "resnet"]

_WIDTHS = (16, 32, 64)


def resnet(*, blocks: int, shortcuts: bool, in_channels: int, classes: int, image_size: object = None) -> nn.Module:
    """Build resnet{6·blocks+2}, or its plain twin.

    >>> net = resnet(blocks=3, shortcuts=True, in_channels=3, classes=10)
    >>> sum(p.numel() for p in net.parameters())
    269722

    Args:
        blocks: n, blocks in each of the 3 stages; at least 1.
        shortcuts: False builds the plain twin, which has the same parameters.
    """
    from torch import nn

    assert blocks >= 1
    layers: list[nn.Module] = [
        _conv(in_channels, _WIDTHS[0], stride=1),
        nn.BatchNorm2d(_WIDTHS[0]),
        nn.ReLU(inplace=True),
    ]
    before, block = _WIDTHS[0], _block()
    for width in _WIDTHS:
        for _ in range(blocks):
            layers.append(block(before, width, shortcut=shortcuts))
            before = width
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return net


@cache
def _block() -> type[nn.Module]:
    """The class is made when the first network is built: this file is read for its names without torch."""
    import torch.nn.functional as F
    from torch import nn

    class Block(nn.Module):
        """Two convolutions; the first has stride 2 where the width grows."""

        def __init__(self, in_channels: int, out_channels: int, *, shortcut: bool) -> None:
            super().__init__()
            self.stride = 1 if in_channels == out_channels else 2
            self.new_channels = out_channels - in_channels
            self.shortcut = shortcut
            self.conv1 = _conv(in_channels, out_channels, stride=self.stride)
            self.norm1 = nn.BatchNorm2d(out_channels)
            self.conv2 = _conv(out_channels, out_channels, stride=1)
            self.norm2 = nn.BatchNorm2d(out_channels)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """[N, C, H, W] -> [N, C', H', W']."""
            y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)), inplace=True)))
            if self.shortcut:
                if self.stride == 2:
                    x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.new_channels))
                y = y + x
            return F.relu(y, inplace=True)

    return Block


def _conv(in_channels: int, out_channels: int, *, stride: int) -> nn.Conv2d:
    from torch import nn

    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


def _entry(family: str, description: str, sizes: tuple[int, ...], *, shortcuts: bool) -> NetworkEntry:
    def read(name: str) -> Build | None:
        found = re.fullmatch(rf"{family}(\d{{1,4}})", name)
        return partial(resnet, blocks=blocks_of(name, int(found[1]), 2), shortcuts=shortcuts) if found else None

    names = f"{family}8 … {family}110"
    return NetworkEntry(names=names, description=description, read=read, examples=tuple(f"{family}{n}" for n in sizes))


ENTRIES = (
    _entry(
        "resnet",
        "residual networks in the CIFAR form, depth 6n+2 (He et al., 2015)",
        (8, 20, 56, 110),
        shortcuts=True,
    ),
    _entry("plain", "the same without shortcuts", (8, 20), shortcuts=False),
)
