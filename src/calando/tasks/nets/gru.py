"""`gru-128`: a recurrent network that predicts each token of a text from those before it.

    z_t = GRU(embedding(x_t), z_{t-1})       scores_t = linear(z_t)

x: token numbers int64[N, L]; scores [N, L, V] with V the vocabulary; embedding and state have the width behind the
name; gru-128-2 has two layers. The state starts at zero in every window. Source: K. Cho et al., "Learning phrase
representations using RNN encoder-decoder", arXiv:1406.1078.
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

__all__ = ["ENTRIES", "gru"]

_WIDEST, _DEEPEST = 8192, 16


def gru(*, width: int, layers: int, inputs: tuple[int, ...], classes: int) -> nn.Module:
    """Build the network.

    >>> import torch
    >>> net = gru(width=16, layers=1, inputs=(5,), classes=10)
    >>> tuple(net(torch.zeros(2, 5, dtype=torch.int64)).shape)
    (2, 5, 10)

    Args:
        width: of embedding and state.
        layers: recurrent layers, one on the other.
        inputs: (L,), the tokens of a window.
        classes: V, the vocabulary.

    Raises:
        UsageError: samples that are no windows of tokens.
    """
    if len(inputs) != 1:
        raise UsageError(
            message(
                "network 'gru-{width}' takes windows of token numbers [N, L], these samples are {inputs}",
                width=width,
                inputs=inputs,
            )
        )
    return _recurrent()(width=width, layers=layers, vocabulary=classes)


@cache
def _recurrent() -> type[nn.Module]:
    """The class is made when the first network is built: this file is read for its names without torch."""
    from torch import nn

    class Recurrent(nn.Module):
        """Embedding, recurrent layers, and a linear layer of scores."""

        def __init__(self, *, width: int, layers: int, vocabulary: int) -> None:
            super().__init__()
            self.vocabulary = vocabulary
            self.embedding = nn.Embedding(vocabulary, width)
            self.recurrent = nn.GRU(width, width, num_layers=layers, batch_first=True)
            self.scores = nn.Linear(width, vocabulary)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            """int64[N, L] -> [N, L, V]."""
            if tokens.is_floating_point():
                raise UsageError(
                    message("token numbers are whole, got {dtype}; this network is for text", dtype=tokens.dtype)
                )
            states, _ = self.recurrent(self.embedding(tokens))
            scores: torch.Tensor = self.scores(states)
            return scores

    return Recurrent


def _read(name: str) -> Build | None:
    found = re.fullmatch(r"gru(?:-(\d{1,6}))?(?:-(\d{1,3}))?", name)
    if found is None:
        return None
    width, layers = int(found[1] or 128), int(found[2] or 1)
    if not 1 <= width <= _WIDEST or not 1 <= layers <= _DEEPEST:
        raise UsageError(
            message(
                "network {name!r}: the width must be 1 to {widest}, the layers 1 to {deepest}, e.g. "
                "gru-128 or gru-128-2",
                name=name,
                widest=_WIDEST,
                deepest=_DEEPEST,
            )
        )
    return partial(gru, width=width, layers=layers)


ENTRIES = (
    NetworkEntry(
        names="gru-128, gru-256-2 …",
        description="a recurrent network for text, gru-WIDTH, or gru-WIDTH-LAYERS (Cho et al., 2014)",
        read=_read,
        examples=("gru-128", "gru-256-2"),
    ),
)
