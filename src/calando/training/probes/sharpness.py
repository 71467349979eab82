"""Sharpness: the largest eigenvalue of a batch's Hessian, preconditioned as the optimizer does.

    P^-1/2 D^1/2 H D^1/2 P^-1/2

    H   Hessian of the batch's loss in the trained weights, batch normalisation in training mode
    P   what the optimizer divides gradients by, a diagonal (`calando.training.probes.stability`); 1 for SGD
    D   each group's rate over the first group's

By SciPy's Lanczos method on products H v, each two backward passes through one graph (Pearlmutter 1994). SciPy keeps
its vectors in float64 on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from calando.training.probes.stability import preconditioner

__all__ = ["Sharpness", "largest_eigenvalue"]

VECTORS = 8
START_SEED = 0


@final
@dataclass(frozen=True)
class Sharpness:
    """The eigenvalue, and how many products it took."""

    value: float
    products: int


class _NotFinite(Exception):
    pass


def largest_eigenvalue(
    loss: Callable[[], torch.Tensor], optimizer: Optimizer, *, tolerance: float = 0.02, most: int = 24
) -> Sharpness | None:
    """The preconditioned sharpness at the present weights.

    Args:
        loss: the batch's, of shape (), with its graph.
        tolerance: relative, of the eigenvalue.
        most: products H v; what is reached by then is the answer.

    Returns:
        None where the optimizer's preconditioner is unknown, where the loss has no second derivative, or where a number
        is not finite.
    """
    from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

    divide = preconditioner(optimizer)
    if divide is None:
        return None
    with torch.enable_grad(), nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        value = loss()
        pairs = [(p, group) for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        found = torch.autograd.grad(value, [p for p, _ in pairs], create_graph=True, allow_unused=True)
    reached = [(p, group, g) for (p, group), g in zip(pairs, found, strict=True) if g is not None and g.requires_grad]
    if not reached or not bool(torch.isfinite(value)) or any(p.is_complex() for p, _, _ in reached):
        return None
    parameters, gradients = [p for p, _, _ in reached], [g for _, _, g in reached]
    first = float(optimizer.param_groups[0]["lr"])
    scales = []
    with torch.no_grad():
        for p, group, _ in reached:
            share = float(group["lr"]) / first if first > 0 else 1.0
            scales.append((torch.ones_like(p) * share / divide(p)).sqrt())
    sizes = [p.numel() for p in parameters]
    products = 0
    largest = 0.0

    def product(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        nonlocal products, largest
        products += 1
        flat = np.asarray(vector).reshape(-1)
        pieces = [
            torch.from_numpy(piece).to(p).reshape(p.shape) * scale
            for piece, p, scale in zip(np.split(flat, np.cumsum(sizes)[:-1]), parameters, scales, strict=True)
        ]
        with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
            out = torch.autograd.grad(gradients, parameters, pieces, retain_graph=True, allow_unused=True)
        rows = [
            torch.zeros_like(p) if o is None else o * scale for o, p, scale in zip(out, parameters, scales, strict=True)
        ]
        answer = torch.cat([row.detach().reshape(-1).double().cpu() for row in rows]).numpy()
        if not np.isfinite(answer).all():
            raise _NotFinite  # LAPACK would print about it
        largest = max(largest, float(flat @ answer) / max(float(flat @ flat), 1e-300))
        return answer

    count = sum(sizes)
    start = np.random.Generator(np.random.PCG64(START_SEED)).standard_normal(count)
    try:
        if count <= VECTORS:
            dense = np.stack([product(row) for row in np.eye(count)])
            return Sharpness(float(np.linalg.eigvalsh((dense + dense.T) / 2)[-1]), products)
        operator = LinearOperator((count, count), matvec=product, dtype=np.float64)
        rounds = max(1, most // (VECTORS // 2))
        found_values = eigsh(
            operator, k=1, which="LA", ncv=VECTORS, v0=start, tol=tolerance, maxiter=rounds, return_eigenvectors=False
        )
        value_found = float(found_values[0])
    except ArpackNoConvergence as short:
        value_found = float(short.eigenvalues[0]) if len(short.eigenvalues) else largest
    except (_NotFinite, ArpackError, RuntimeError):  # a number that is not finite; a layer without a second derivative
        return None
    return Sharpness(value_found, products) if np.isfinite(value_found) else None
