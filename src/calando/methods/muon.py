"""Muon: steps along the orthogonal matrix nearest to the momentum; filters are matrices, a row an output channel.

    m <- lerp(m, g, 1 - mu);  u = lerp(g, m, mu), or m without Nesterov
    w <- w - lr * wd * w - lr * sqrt(max(1, rows / columns)) * NewtonSchulz5(u)

Rows and columns are those of the flattened filter; Jordan's own code scales a filter that is not flattened by its last
two dimensions, which is 1 for square kernels.

That is for hidden layers. What it is not made for moves by AdamW, at `auxiliary` times the rate, in the same optimizer:

    hidden     weights of Linear and convolution layers, but for the first and the last one
    outer      every other parameter of two dimensions or more: first convolution, classifier, embeddings
    no_decay   biases, scales and shifts

In parameter groups that the user made, a group without "use_muon" moves by Muon if all it holds are matrices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calando.errors import UsageError
from calando.language import message
from calando.methods.method import Flag, Grouping, Method, Number, import_class, register
from calando.methods.parameter_groups import split_by_decay

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

_ADAMW = {"betas": (0.9, 0.95), "eps": 1e-10}


def _split(network: nn.Module, options: dict[str, Any]) -> list[dict[str, Any]]:
    from torch import nn
    from torch.nn.modules.conv import _ConvNd

    everything = [p for group in split_by_decay(network, weight_decay=0.0) for p in group["params"]]
    layers = dict.fromkeys(m.weight for m in network.modules() if isinstance(m, nn.Linear | _ConvNd))
    inner = set(list(layers)[1:-1])
    hidden = [p for p in everything if p in inner]
    if not hidden:
        raise UsageError(
            message(
                "muon is for hidden layers, and of {count} convolution and linear layers none that is "
                "trained lies between the first and the last; use adamw",
                count=len(layers),
            )
        )
    adamw = {"use_muon": False, "lr_factor": options["auxiliary"], **_ADAMW}
    groups: list[dict[str, Any]] = [
        {"name": "hidden", "params": hidden, "use_muon": True, "weight_decay": options["weight_decay"]},
        {
            "name": "outer",
            "params": [p for p in everything if p not in inner and p.ndim >= 2],
            "weight_decay": options["weight_decay"],
            **adamw,
        },
        {"name": "no_decay", "params": [p for p in everything if p.ndim < 2], "weight_decay": 0.0, **adamw},
    ]
    return [group for group in groups if group["params"]]


def _muon(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    made: list[dict[str, Any]] = []
    for given in groups:
        group = {"weight_decay": options["weight_decay"], **given, "params": list(given["params"])}
        if "use_muon" not in group:
            group["use_muon"] = all(p.ndim >= 2 for p in group["params"])
            if not group["use_muon"]:
                group |= {"lr_factor": options["auxiliary"], **_ADAMW}
        if group["use_muon"]:
            group |= {"momentum": options["momentum"], "nesterov": options["nesterov"]}
        factor = group.pop("lr_factor", 1.0)
        made.append({"lr": lr * factor, **group})
    optimizer: Optimizer = import_class("pytorch_optimizer:Muon", method="muon")(made)
    for group in optimizer.param_groups:
        if group["use_muon"]:
            group["ns_coeffs"] = "original"  # the name of what stands there: text outlives JSON, nested tuples do not
    return optimizer


register(
    Method(
        name="muon", family="adaptive", memory=1,
        summary="orthogonalised momentum for hidden layers, AdamW at auxiliary x the rate for the rest",
        usual_rate=0.02, decay="gains much from decay: its steps never shrink by themselves",
        options={
            "momentum": Number(0.95, high=1.0),
            "nesterov": Flag(True),
            "weight_decay": Number(0.0),
            "auxiliary": Number(0.05, open_low=True),
        },
        build=_muon,
        source="Jordan et al. 2024, kellerjordan.github.io/posts/muon; pytorch-optimizer",
        keeps_base=True,
        package="pytorch-optimizer",
        groups=Grouping(names=lambda _: ("hidden", "outer", "no_decay"), split=_split),
    )
)  # fmt: skip
