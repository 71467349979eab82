"""The networks: one family a file, which joins by its `ENTRIES`.

Names are listed and checked without torch, so a file imports torch only where it builds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calando.errors import UsageError
from calando.language import message

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Build", "NetworkEntry", "blocks_of"]

Build = Callable[..., "nn.Module"]
"""What it names of the following, by keyword -> a new network; the caller seeds torch's generator.

    in_channels, image_size: (height, width)     of images
    classes                                      number of outputs: of classes, or of numbers that a target has
    inputs                                       shape of one sample's input

A network that names what the samples do not have is refused.
"""


@dataclass(frozen=True, kw_only=True)
class NetworkEntry:
    """A family of networks.

    Args:
        names: the pattern of its names, as lists show it.
        description: one line.
        read: name -> what builds it; None: not a name of this family. Raises UsageError for a size that does not exist.
        examples: names to suggest.
    """

    names: str
    description: str
    read: Callable[[str], Build | None]
    examples: tuple[str, ...] = ()


def blocks_of(name: str, depth: int, rest: int) -> int:
    """Number n of blocks in each stage of a network of depth 6n + rest.

    >>> blocks_of("resnet20", 20, 2)
    3

    Raises:
        UsageError: a depth that is not of that form; names the nearest ones.
    """
    n, left = divmod(depth - rest, 6)
    if left or n < 1:
        below, above = 6 * max(n, 1) + rest, 6 * max(n + 1, 1) + rest
        near = f"{below}" if below == above else message("{below} or {above}", below=below, above=above)
        raise UsageError(
            message(
                "network {name!r}: the depth must be 6n+{rest} with n >= 1; the nearest is {near}",
                name=name,
                rest=rest,
                near=near,
            )
        )
    return n
