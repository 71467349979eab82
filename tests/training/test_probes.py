"""Probes: values worked out exactly on small networks, and nothing left behind."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from calando.records.probe import ProbeRow
from calando.training.probes.along import LEAST_RATIO, MOST_RATIO, critical_ratio
from calando.training.probes.noise import noise_and_signal
from calando.training.probes.probe import Halves, Probe
from calando.training.probes.sharpness import largest_eigenvalue
from calando.training.probes.stability import equilibrium, sharpness_limit


def net(kind: str, *, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    layers: dict[str, list[nn.Module]] = {
        "plain": [nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)],
        "norm": [nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.3), nn.Linear(7, 3)],
        "conv": [
            nn.Unflatten(1, (1, 5)),
            nn.Conv1d(1, 4, 3, padding=1),
            nn.GroupNorm(2, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(20, 3),
        ],
        "frozen": [nn.Linear(5, 7).requires_grad_(False), nn.Tanh(), nn.Linear(7, 3)],
    }
    return nn.Sequential(*layers[kind]).to(dtype)


def batch(seed: int = 1, *, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(16, 5, generator=generator, dtype=dtype)
    return inputs, torch.randint(3, (16,), generator=generator)


OPTIMIZERS: dict[str, Callable[[list[dict[str, Any]]], torch.optim.Optimizer]] = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "nesterov": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.01),
    "amsgrad": lambda groups: torch.optim.Adam(groups, lr=0.01, amsgrad=True),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01, weight_decay=0.1),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, lr=0.01),
    "adagrad": lambda groups: torch.optim.Adagrad(groups, lr=0.01),
}


def two_groups(network: nn.Module, name: str) -> torch.optim.Optimizer:
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = OPTIMIZERS[name]([{"params": parameters[:1]}, {"params": parameters[1:]}])
    optimizer.param_groups[1]["lr"] *= 3
    return optimizer


def update(network: nn.Module, optimizer: torch.optim.Optimizer, inputs: torch.Tensor, labels: torch.Tensor) -> None:
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(inputs), labels).backward()
    optimizer.step()


@pytest.mark.parametrize("name", ["sgd", "adam", "amsgrad", "rmsprop"])
def test_sharpness_is_the_largest_eigenvalue_of_the_whole_hessian(name: str) -> None:
    network, (inputs, labels) = net("plain"), batch()
    optimizer = two_groups(network, name)
    for _ in range(3):
        update(network, optimizer, inputs, labels)
    names = [n for n, _ in network.named_parameters()]
    weights = {n: p.detach() for n, p in network.named_parameters()}

    def loss(given: dict[str, torch.Tensor]) -> torch.Tensor:
        return nn.functional.cross_entropy(torch.func.functional_call(network, given, (inputs,)), labels)

    blocks = torch.func.jacrev(torch.func.jacrev(loss))(weights)
    sizes = [weights[n].numel() for n in names]
    rows = [
        [blocks[a][b].reshape(x, y) for b, y in zip(names, sizes, strict=True)]
        for a, x in zip(names, sizes, strict=True)
    ]
    whole = torch.cat([torch.cat(row, 1) for row in rows])
    scale = []
    for place, (_, p) in enumerate(network.named_parameters()):
        state, divisor = optimizer.state[p], torch.ones_like(p)
        if name in ("adam", "amsgrad"):
            squares = state["exp_avg_sq"] if name == "adam" else state["max_exp_avg_sq"]
            divisor = (squares / (1 - 0.999 ** float(state["step"]))).sqrt() + 1e-8
        elif name == "rmsprop":
            divisor = state["square_avg"].sqrt() + 1e-8
        scale.append(((1.0 if place == 0 else 3.0) / divisor).sqrt().reshape(-1))
    root = torch.cat(scale).detach()
    exact = float(torch.linalg.eigvalsh(root[:, None] * whole * root[None, :])[-1])

    found = largest_eigenvalue(
        lambda: nn.functional.cross_entropy(network(inputs), labels), optimizer, tolerance=1e-6, most=400
    )
    assert found is not None
    assert found.value == pytest.approx(exact, rel=1e-5)
    quick = largest_eigenvalue(lambda: nn.functional.cross_entropy(network(inputs), labels), optimizer)
    assert quick is not None
    assert quick.value == pytest.approx(exact, rel=0.03)
    assert quick.products <= 44


def test_sharpness_of_an_unknown_optimizer_or_of_a_loss_that_is_not_finite_is_none() -> None:
    network, (inputs, labels) = net("plain"), batch()
    assert largest_eigenvalue(lambda: network(inputs).sum(), two_groups(network, "adagrad")) is None
    sgd = torch.optim.SGD(network.parameters(), lr=1.0)
    assert largest_eigenvalue(lambda: nn.functional.cross_entropy(network(inputs) / 0.0, labels), sgd) is None


def test_noise_and_signal_over_all_pairs_are_trace_and_square_of_the_mean() -> None:
    network, (inputs, labels) = net("plain"), batch()
    parameters = list(network.parameters())

    def of(i: int) -> Callable[[], torch.Tensor]:
        return lambda: nn.functional.cross_entropy(network(inputs[i : i + 1]), labels[i : i + 1])

    singles = [torch.cat([g.reshape(-1) for g in torch.autograd.grad(of(i)(), parameters)]) for i in range(16)]
    stack = torch.stack(singles)
    trace = float(stack.var(0, unbiased=True).sum())
    square = float(stack.mean(0).square().sum()) - trace / 16  # without bias
    pairs = [(i, j) for i in range(16) for j in range(i)]
    found = [noise_and_signal([of(i), of(j)], parameters, samples=1) for i, j in pairs]
    assert np.mean([noise for noise, _ in found]) == pytest.approx(trace, rel=1e-10)
    assert np.mean([signal for _, signal in found]) == pytest.approx(square, rel=1e-9)


@given(
    curvature=st.floats(1e-3, 1e3),
    share=st.floats(LEAST_RATIO * 1.5, MOST_RATIO / 1.5),
    offset=st.floats(-100, 100),
)
def test_the_ratio_of_a_quadratic_is_its_share_of_the_way_back(curvature: float, share: float, offset: float) -> None:
    """f(s) = c ((s share 2 - 1)² - 1): back at its start at s = 1 / share."""
    found = critical_ratio(lambda s: offset + curvature * 4 * share * s * (share * s - 1))
    # Ends of the grid's last bracket are a factor √2 apart, and the answer is in its middle.
    assert found / share == pytest.approx(1, rel=2**0.25 - 1 + 1e-6)


def test_the_ratio_is_held_at_its_ends() -> None:
    assert critical_ratio(lambda s: s) == MOST_RATIO
    assert critical_ratio(lambda s: -s) == LEAST_RATIO
    assert critical_ratio(lambda s: math.nan if s else 0.0) == MOST_RATIO
    counted: list[float] = []
    critical_ratio(lambda s: counted.append(s) or (s - 0.3) ** 2)  # type: ignore[func-returns-value]
    assert len(counted) <= 6


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.0},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "dampening": 0.9},  # the recursion of Adam, whose divisor is left out
    ],
    ids=str,
)
def test_a_quadratic_converges_below_the_limit_and_not_above(options: dict[str, Any]) -> None:
    ends = []
    for factor in (0.97, 1.03):
        w = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
        optimizer = torch.optim.SGD([w], lr=0.1, **options)
        limit = sharpness_limit(optimizer, optimizer.param_groups[0])
        assert limit is not None
        for _ in range(2000):
            optimizer.zero_grad()
            (factor * limit * w.square().sum() / 2).backward()
            optimizer.step()
        ends.append(abs(w.item()))
    assert ends[0] < 1e-3
    assert not ends[1] < 1e3


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_layer_before_normalisation_turns_by_the_equilibrium(name: str) -> None:
    """Random gradients at right angles to the weight, as large as 1 / |w|: those of a layer that is normalised."""
    torch.manual_seed(0)
    w = torch.nn.Parameter(torch.randn(4000, dtype=torch.float64) * 0.1)
    optimizer: torch.optim.Optimizer = (
        torch.optim.SGD([w], lr=0.1, momentum=0.9, weight_decay=0.02)
        if name == "sgd"
        else torch.optim.AdamW([w], lr=0.02, weight_decay=0.2, betas=(0.9, 0.99))
    )
    tends, angles = equilibrium(optimizer, optimizer.param_groups[0]), []
    for step in range(1500):
        before = w.detach().clone()
        gradient = torch.randn_like(before)
        gradient -= before * (gradient @ before) / before.square().sum()
        w.grad = gradient / gradient.norm() / before.norm()
        optimizer.step()
        if step >= 1000:
            cosine = torch.nn.functional.cosine_similarity(before, w.detach(), dim=0)
            angles.append(math.acos(min(1.0, float(cosine))))
    assert tends is not None
    assert np.median(angles) == pytest.approx(tends, rel=0.05)


def state_of(network: nn.Module, optimizer: torch.optim.Optimizer) -> list[Any]:
    tensors = [*network.parameters(), *network.buffers()]
    for entries in optimizer.state.values():
        tensors += [value for value in entries.values() if isinstance(value, torch.Tensor)]
    return [
        [tensor.detach().numpy().tobytes() for tensor in tensors],
        [None if p.grad is None else p.grad.numpy().tobytes() for p in network.parameters()],
        [p.requires_grad for p in network.parameters()],
        [module.training for module in network.modules()],
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
        np.random.get_state()[1].tobytes(),  # type: ignore[union-attr]
        [len(module._forward_hooks) for module in network.modules()],
        [len(optimizer._optimizer_step_pre_hooks), len(optimizer._optimizer_step_post_hooks)],
    ]


@settings(max_examples=60)
@given(
    kind=st.sampled_from(["plain", "norm", "conv", "frozen"]),
    name=st.sampled_from(sorted(OPTIMIZERS)),
    probed=st.lists(st.booleans(), min_size=4, max_size=4),
    sharp=st.booleans(),
    training=st.booleans(),
    failing=st.sampled_from([None, ValueError, KeyboardInterrupt]),
    fails_at=st.integers(1, 12),
)
def test_a_training_with_probes_is_the_training_without_to_the_bit(
    kind: str,
    name: str,
    probed: list[bool],
    sharp: bool,
    training: bool,
    failing: type[BaseException] | None,
    fails_at: int,
) -> None:
    ends = []
    for looks in ([False] * 4, probed):
        network, (inputs, labels) = net(kind, dtype=torch.float32), batch(dtype=torch.float32)
        network.train(training)
        optimizer = two_groups(network, name)
        probe, calls = Probe(network, optimizer), 0
        torch.manual_seed(5), random.seed(5), np.random.seed(5)

        def loss(part: slice = slice(None)) -> torch.Tensor:
            nonlocal calls
            calls += 1
            random.random(), np.random.rand()
            if failing is not None and calls == fails_at:
                raise failing("in the middle of a probe")
            return nn.functional.cross_entropy(network(inputs[part]), labels[part])  # noqa: B023

        for step, look in enumerate(looks):
            if look:
                probe.open()
            update(network, optimizer, inputs, labels)
            if look:
                halves = Halves((lambda: loss(slice(8)), lambda: loss(slice(8, 16))), 8)
                try:
                    row = probe.close(step, batch=loss, sharp=loss if sharp else None, halves=halves)
                except (ValueError, KeyboardInterrupt):
                    pass
                else:
                    assert row is not None
                    assert row.ratio is not None
        ends.append(state_of(network, optimizer))
    assert ends[0] == ends[1]


def test_layers_are_read_from_the_training_s_own_passes() -> None:
    network, (inputs, labels) = net("conv"), batch()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.1)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    probe = Probe(network, optimizer)
    probe.open()
    hidden = network[1](network[0](inputs))
    hidden.retain_grad()
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network[2:](hidden), labels)
    loss.backward()
    optimizer.step()
    row = probe.close(7)
    assert row is not None
    assert (row.step, row.rate, row.ratio, row.loss) == (7, 0.1, None, None)
    conv, linear = row.layers
    assert (conv.name, linear.name) == ("1", "5")
    assert hidden.grad is not None
    assert conv.gradient == pytest.approx(float(hidden.grad.norm()), rel=1e-6)
    moved = (network[1].weight.detach() - before["1.weight"]).norm() / before["1.weight"].norm()
    assert conv.update_ratio == pytest.approx(float(moved), rel=1e-12)
    assert conv.equilibrium == pytest.approx(math.sqrt(2 * 0.1 * 0.1))
    assert conv.dead == 0.0
    assert row.slope is not None
    assert row.slope > 0


def test_the_curvature_along_the_update_is_that_of_the_hessian() -> None:
    """A linear network under squares has a quadratic loss: 2 |X d|² / n along the update d, whatever its length."""
    network, (inputs, _) = nn.Linear(5, 1, bias=False).double(), batch()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    before = network.weight.detach().clone()

    def loss() -> torch.Tensor:
        return (network(inputs) - 1).square().mean()

    probe = Probe(network, optimizer)
    probe.open()
    loss().backward()
    optimizer.step()
    row = probe.close(0, batch=loss)
    assert row is not None
    moved = inputs @ (network.weight.detach() - before).T
    assert row.curvature == pytest.approx(float(2 * moved.square().mean()), rel=1e-10)


def test_dead_channels_are_counted() -> None:
    network, (inputs, labels) = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)).double(), batch()
    with torch.no_grad():
        network[0].bias[0] = -1e3
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    probe = Probe(network, optimizer)
    probe.open()
    update(network, optimizer, inputs, labels)
    row = probe.close(0)
    assert row is not None
    assert [layer.dead for layer in row.layers] == [0.25, 0.0]


def test_a_probe_without_a_step_has_no_row() -> None:
    network = net("plain")
    probe = Probe(network, torch.optim.SGD(network.parameters(), lr=0.1))
    probe.open()
    network(batch()[0])
    assert probe.close(0) is None
    assert not any(module._forward_hooks for module in network.modules())


def test_a_row_survives_as_json() -> None:
    import json

    network = net("norm")
    probe = Probe(network, optimizer := torch.optim.AdamW(network.parameters(), lr=0.1))
    probe.open()
    update(network, optimizer, *batch())

    def loss() -> torch.Tensor:
        return nn.functional.cross_entropy(network(batch()[0]), batch()[1])

    row = probe.close(3, batch=loss, sharp=loss)
    assert row is not None
    assert ProbeRow.read(json.loads(json.dumps(row.document()))) == row
