"""Residual networks in the CIFAR form, depth 6n+2, and their plain twins without shortcuts.

    conv 3x3 (16) - norm - ReLU - 3 stages of n blocks, widths 16, 32, 64 - global average pool - linear
    block   y = ReLU(x' + norm(conv(ReLU(norm(conv(x))))))      plain twin: without x'
    x'      x; where a stage begins, every second pixel of x, padded with channels of 0 (option A: no parameters)

The first block of stages 2 and 3 has stride 2. Weights start as He et al. (2015): normal, variance 2 / fan-in.
Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", arXiv:1512.03385, sec. 4.2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["resnet"]

_WIDTHS = (16, 32, 64)


def resnet(*, blocks: int, shortcuts: bool, in_channels: int, classes: int) -> nn.Module:
    """Build resnet{6·blocks+2}, or its plain twin.

    >>> net = resnet(blocks=3, shortcuts=True, in_channels=3, classes=10)
    >>> sum(p.numel() for p in net.parameters())
    269722

    Args:
        blocks: n, blocks in each of the 3 stages; at least 1.
        shortcuts: False builds the plain twin, which has the same parameters.
        in_channels: of the images.
        classes: number of outputs.
    """
    assert blocks >= 1
    layers: list[nn.Module] = [
        _conv(in_channels, _WIDTHS[0], stride=1),
        nn.BatchNorm2d(_WIDTHS[0]),
        nn.ReLU(inplace=True),
    ]
    before = _WIDTHS[0]
    for width in _WIDTHS:
        for _ in range(blocks):
            layers.append(_Block(before, width, shortcut=shortcuts))
            before = width
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return net


class _Block(nn.Module):
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


def _conv(in_channels: int, out_channels: int, *, stride: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
