"""A tensor's numbers, whatever it is: complex ones as pairs, sparse ones with their zeros."""

from __future__ import annotations

import torch

__all__ = ["entries"]


def entries(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers, real and dense: the dot product of two is the sum of their products.

    >>> entries(torch.tensor([3 + 4j])).norm()
    tensor(5.)
    """
    dense = tensor.detach() if tensor.layout is torch.strided else tensor.detach().to_dense()
    return torch.view_as_real(dense.resolve_conj()) if dense.is_complex() else dense
