"""Wide residual networks: wrn-D-K has depth D = 6n+4 and is K times as wide.

    conv 3x3 (16) - 3 stages of n blocks, widths 16K, 32K, 64K - norm - ReLU - global average pool - linear
    block   y = x' + conv(dropout(ReLU(norm(conv(a))))),   a = ReLU(norm(x))
    x'      x; where the width changes, a 1x1 convolution of a

The first block of stages 2 and 3 has stride 2. Weights start as He et al. (2015): normal, variance 2 / fan-out.
Source: S. Zagoruyko, N. Komodakis, "Wide residual networks", arXiv:1605.07146.
"""

from __future__ import annotations

import re
from functools import cache, partial
from typing import TYPE_CHECKING

from calando.errors import UsageError
from calando.tasks.nets import Build, NetworkEntry, blocks_of

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["ENTRIES", "wrn"]

_WIDTHS = (16, 32, 64)


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
    layers: list[nn.Module] = [nn.Conv2d(in_channels, _WIDTHS[0], 3, padding=1, bias=False)]
    before, block_class = _WIDTHS[0], _block()
    for stage, base in enumerate(_WIDTHS):
        for block in range(blocks):
            layers.append(block_class(before, base * width, stride=2 if stage and not block else 1, dropout=dropout))
            before = base * width
    layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    net = nn.Sequential(*layers, nn.Linear(before, classes))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    return net


@cache
def _block() -> type[nn.Module]:
    """The class is made when the first network is built: this file is read for its names without torch."""
    import torch.nn.functional as F
    from torch import nn

    class Block(nn.Module):
        """Norm and ReLU come before each convolution."""

        def __init__(self, in_channels: int, out_channels: int, *, stride: int, dropout: float) -> None:
            super().__init__()
            self.norm1 = nn.BatchNorm2d(in_channels)
            self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
            self.norm2 = nn.BatchNorm2d(out_channels)
            self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
            self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
            same = in_channels == out_channels and stride == 1
            self.project = None if same else nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """[N, C, H, W] -> [N, C', H', W']."""
            a = F.relu(self.norm1(x), inplace=True)
            y: torch.Tensor = self.conv2(self.dropout(F.relu(self.norm2(self.conv1(a)), inplace=True)))
            return y + (x if self.project is None else self.project(a))

    return Block


def _read(name: str) -> Build | None:
    found = re.fullmatch(r"wrn-(\d{1,4})-(\d{1,3})(?:-drop(0?\.\d{1,6}))?", name)
    if found is None:
        return None
    if int(found[2]) < 1:
        raise UsageError(f"network {name!r}: the width must be at least 1, e.g. wrn-16-4")
    return partial(wrn, blocks=blocks_of(name, int(found[1]), 4), width=int(found[2]), dropout=float(found[3] or 0))


ENTRIES = (
    NetworkEntry(
        names="wrn-16-4, wrn-28-10 …",
        description="wide residual networks, wrn-DEPTH-WIDTH, depth 6n+4; -drop0.3 adds dropout",
        read=_read,
        examples=("wrn-16-4", "wrn-28-10"),
    ),
)
