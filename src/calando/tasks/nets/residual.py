"""Residual networks in the CIFAR form, their plain twins without shortcuts, both without batch norm, and wide ones.

    resnet, depth 6n+2       conv 3x3 (16) - norm - ReLU - 3 stages of n blocks, widths 16, 32, 64 - pool - linear
    block                    y = ReLU(x' + norm(conv(ReLU(norm(conv(x))))))      plain twin: without x'
    x'                       x; where a stage begins, every second pixel of x, padded with channels of 0 (option A)
    -nonorm                  without norm: each convolution has a bias instead, which starts at 0

    wrn-D-K, D = 6n+4        conv 3x3 (16) - 3 stages of n blocks, widths 16K, 32K, 64K - norm - ReLU - pool - linear
    block                    y = x' + conv(dropout(ReLU(norm(conv(a))))),   a = ReLU(norm(x))
    x'                       x; where the width changes, a 1x1 convolution of a

The first block of stages 2 and 3 has stride 2. Weights start as He et al. (2015): normal, variance 2 / fan-in; wide
ones 2 / fan-out. Sources: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition",
arXiv:1512.03385, sec. 4.2; S. Zagoruyko, N. Komodakis, "Wide residual networks", arXiv:1605.07146.
"""

from __future__ import annotations

import re
from functools import cache, partial
from typing import TYPE_CHECKING

from calando.errors import UsageError
from calando.language import message
from calando.tasks.nets import Build, NetworkEntry, blocks_of

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["ENTRIES", "resnet", "wrn"]

_WIDTHS = (16, 32, 64)


def resnet(
    *, blocks: int, shortcuts: bool, norm: bool = True, in_channels: int, classes: int, image_size: object = None
) -> nn.Module:
    """Build resnet{6·blocks+2}, or its plain twin; with batch norm or without.

    >>> net = resnet(blocks=3, shortcuts=True, in_channels=3, classes=10)
    >>> sum(p.numel() for p in net.parameters())
    269722

    Args:
        blocks: n, blocks in each of the 3 stages; at least 1.
        shortcuts: False builds the plain twin, which has the same parameters.
        norm: False leaves batch norm out.
    """
    from torch import nn

    assert blocks >= 1
    layers: list[nn.Module] = [_conv(in_channels, _WIDTHS[0], bias=not norm)]
    layers += [nn.BatchNorm2d(_WIDTHS[0])] * norm + [nn.ReLU(inplace=True)]
    before, block = _WIDTHS[0], _blocks()[0]
    for width in _WIDTHS:
        for _ in range(blocks):
            layers.append(block(before, width, shortcut=shortcuts, norm=norm))
            before = width
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return net


def wrn(
    *, blocks: int, width: int, dropout: float, in_channels: int, classes: int, image_size: object = None
) -> nn.Module:
    """Build wrn-{6·blocks+4}-{width}.

    >>> net = wrn(blocks=2, width=4, dropout=0.0, in_channels=3, classes=10)
    >>> sum(p.numel() for p in net.parameters())
    2748890

    Args:
        blocks: n, blocks in each of the 3 stages; at least 1.
        width: K, at least 1.
        dropout: share of values set to 0 between the two convolutions of a block, in [0, 1).
    """
    from torch import nn

    assert min(blocks, width) >= 1
    assert 0 <= dropout < 1
    layers: list[nn.Module] = [_conv(in_channels, _WIDTHS[0])]
    before, wide = _WIDTHS[0], _blocks()[1]
    for stage, base in enumerate(_WIDTHS):
        for block in range(blocks):
            layers.append(wide(before, base * width, stride=2 if stage and not block else 1, dropout=dropout))
            before = base * width
    layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    net = nn.Sequential(*layers, nn.Linear(before, classes))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    return net


def _conv(in_channels: int, out_channels: int, *, size: int = 3, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    from torch import nn

    return nn.Conv2d(in_channels, out_channels, size, stride=stride, padding=size // 2, bias=bias)


@cache
def _blocks() -> tuple[type[nn.Module], type[nn.Module]]:
    """The classes are made when the first network is built: this file is read for its names without torch."""
    import torch.nn.functional as F
    from torch import nn

    class Block(nn.Module):
        """Two convolutions; the first has stride 2 where the width grows."""

        def __init__(self, in_channels: int, out_channels: int, *, shortcut: bool, norm: bool) -> None:
            super().__init__()
            self.stride = 1 if in_channels == out_channels else 2
            self.new_channels = out_channels - in_channels
            self.shortcut = shortcut
            self.conv1 = _conv(in_channels, out_channels, stride=self.stride, bias=not norm)
            self.norm1 = nn.BatchNorm2d(out_channels) if norm else nn.Identity()
            self.conv2 = _conv(out_channels, out_channels, bias=not norm)
            self.norm2 = nn.BatchNorm2d(out_channels) if norm else nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """[N, C, H, W] -> [N, C', H', W']."""
            y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)), inplace=True)))
            if self.shortcut:
                if self.stride == 2:
                    x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.new_channels))
                y = y + x
            return F.relu(y, inplace=True)

    class WideBlock(nn.Module):
        """Norm and ReLU come before each convolution."""

        def __init__(self, in_channels: int, out_channels: int, *, stride: int, dropout: float) -> None:
            super().__init__()
            self.norm1 = nn.BatchNorm2d(in_channels)
            self.conv1 = _conv(in_channels, out_channels, stride=stride)
            self.norm2 = nn.BatchNorm2d(out_channels)
            self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
            self.conv2 = _conv(out_channels, out_channels)
            same = in_channels == out_channels and stride == 1
            self.project = None if same else _conv(in_channels, out_channels, size=1, stride=stride)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """[N, C, H, W] -> [N, C', H', W']."""
            a = F.relu(self.norm1(x), inplace=True)
            y: torch.Tensor = self.conv2(self.dropout(F.relu(self.norm2(self.conv1(a)), inplace=True)))
            return y + (x if self.project is None else self.project(a))

    return Block, WideBlock


def _resnets(family: str, name: str) -> Build | None:
    found = re.fullmatch(rf"{family}(\d{{1,4}})(-nonorm)?", name)
    if found is None:
        return None
    blocks = blocks_of(name, int(found[1]), 2)
    return partial(resnet, blocks=blocks, shortcuts=family == "resnet", norm=found[2] is None)


def _wide(name: str) -> Build | None:
    found = re.fullmatch(r"wrn-(\d{1,4})-(\d{1,3})(?:-drop(0?\.\d{1,6}))?", name)
    if found is None:
        return None
    if int(found[2]) < 1:
        raise UsageError(message("network {name!r}: the width must be at least 1, e.g. wrn-16-4", name=name))
    return partial(wrn, blocks=blocks_of(name, int(found[1]), 4), width=int(found[2]), dropout=float(found[3] or 0))


ENTRIES = (
    NetworkEntry(
        names="resnet8 … resnet110",
        description="residual networks in the CIFAR form, depth 6n+2 (He et al., 2015); -nonorm: without batch norm",
        read=partial(_resnets, "resnet"),
        examples=("resnet8", "resnet20", "resnet56", "resnet110"),
    ),
    NetworkEntry(
        names="plain8 … plain110",
        description="the same without shortcuts; -nonorm: without batch norm",
        read=partial(_resnets, "plain"),
        examples=("plain8", "plain20"),
    ),
    NetworkEntry(
        names="wrn-16-4, wrn-28-10 …",
        description="wide residual networks, wrn-DEPTH-WIDTH, depth 6n+4; -drop0.3 adds dropout",
        read=_wide,
        examples=("wrn-16-4", "wrn-28-10"),
    ),
)
