"""`calando.watch` in loops of other forms: the losses it gets, what it cannot look at, what it leaves in copies."""

from __future__ import annotations

import copy
import io
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import calando
from calando.errors import UsageError


def made():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    return network, torch.randn(24, 8), torch.arange(24) % 3


def update(network, optimizer, x, y, watch, loss=None):
    loss = loss or (lambda: nn.functional.cross_entropy(network(x), y))
    optimizer.zero_grad()
    found = loss()
    found.backward()
    watch.batch(found, loss)
    optimizer.step()


def test_a_copy_or_a_pickle_of_a_network_that_is_looked_at_is_not_looked_at(tmp_path) -> None:
    network, x, y = made()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    watch = calando.watch(network, optimizer, share=1.0)
    update(network, optimizer, x, y, watch)
    assert any(layer._forward_hooks for layer in network)  # the next update is looked at
    twin = copy.deepcopy(network)
    nn.functional.cross_entropy(twin(x), y).backward()
    assert not watch._probe._gradients._squares
    pickle.loads(pickle.dumps(optimizer))
    torch.save(network, tmp_path / "network.pt")
    torch.save(optimizer.state_dict(), io.BytesIO())
    watch.close()
    code = (
        "import sys, torch; sys.modules['calando'] = None\n"
        "n = torch.load(sys.argv[1], weights_only=False); n(torch.ones(2, 8)).sum().backward()"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "network.pt")], check=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("kind", ["sparse", "complex", "penalty", "scripted", "bfloat16"])
def test_odd_networks_and_losses_are_looked_at_and_trained_the_same(kind) -> None:
    ends = []
    for watched in (True, False):
        network, x, y = made()
        forward, penalised = network, kind == "penalty"
        if kind == "sparse":
            network = nn.Sequential(nn.Embedding(20, 8, sparse=True), nn.Flatten(), nn.Linear(32, 3))
            forward, x = network, torch.arange(96).reshape(24, 4) % 20
        elif kind == "complex":
            network = nn.Sequential(nn.Linear(8, 16, dtype=torch.complex64), nn.Linear(16, 3))
            forward, x = (lambda x, net=network: net[1](net[0](x).abs())), x.to(torch.complex64)
        elif kind == "scripted":
            network = forward = torch.jit.script(network)
        elif kind == "bfloat16":
            network, x = network.bfloat16(), x.bfloat16()

        def loss(forward=forward, x=x, y=y, penalised=penalised):
            if not penalised:
                return nn.functional.cross_entropy(forward(x), y)
            x = x.clone().requires_grad_()
            out = forward(x)
            (slope,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
            return nn.functional.cross_entropy(out, y) + slope.square().mean()

        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        if watched:
            with calando.watch(network, optimizer, share=1.0) as watch:
                for _ in range(4):
                    update(network, optimizer, x, y, watch, loss)
            (row, *_) = watch.rows
            assert row.ratio is not None
            assert row.slope is not None
            assert row.slope > 0
            assert row.gradient_norm == pytest.approx((row.slope / 0.1) ** 0.5, rel=0.05)  # SGD: d = -η g
            assert row.layers
        else:
            for _ in range(4):
                optimizer.zero_grad()
                loss().backward()
                optimizer.step()
        ends.append([p.detach().clone() for p in network.parameters()])
    assert all(map(torch.equal, *ends))


def test_losses_told_several_times_before_a_step_are_its_mean_and_those_never_told_are_nan() -> None:
    network, x, y = made()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with calando.watch(network, optimizer, total_steps=40) as watch:
        for told in ((1.0, 3.0), (), (4,), (torch.tensor([5.0]), 6.0), ()):
            nn.functional.cross_entropy(network(x), y).backward()
            for loss in told:
                watch.batch(loss)
            optimizer.step()
    np.testing.assert_array_equal(watch.losses, [2.0, np.nan, 4.0, 5.5])
    assert watch.looked.untold == (1, 4)
    assert watch.reading().verdict == "silent"  # a loss that was not told is none that is not finite


def test_a_closure_that_runs_several_times_tells_the_first_loss() -> None:
    network, x, y = made()
    optimizer = torch.optim.LBFGS(network.parameters(), lr=0.1, line_search_fn="strong_wolfe")
    with calando.watch(network, optimizer, share=1.0) as watch:
        firsts = []
        for _ in range(3):
            told = []

            def closure(told=told):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(network(x), y)
                loss.backward()
                watch.batch(loss)
                told.append(float(loss.detach()))
                return loss

            optimizer.step(closure)
            firsts.append(told[0])
    assert watch.losses.tolist() == firsts


def test_where_computing_again_raises_the_update_counts_and_the_weights_are_its() -> None:
    ends = []
    for again in (True, False):
        network, x, y = made()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        watch = calando.watch(network, optimizer, share=1.0)

        def broken(network=network):
            network[0].weight.data.mul_(2)
            torch.rand(1)
            raise KeyboardInterrupt

        for step in range(2):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(x), y)
            loss.backward()
            watch.batch(loss, broken if again else None)
            if again and step:
                with pytest.raises(KeyboardInterrupt):
                    optimizer.step()
            else:
                optimizer.step()
        assert watch.step == 2
        ends.append([*(p.detach().clone() for p in network.parameters()), torch.get_rng_state()])
    assert all(map(torch.equal, *ends))


def test_gradients_of_a_pass_that_a_scaler_skipped_are_not_those_of_an_update() -> None:
    network, x, y = made()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with calando.watch(network, optimizer, share=1.0) as watch:
        for step in range(3):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(x), y) * (float("inf") if step == 1 else 1)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    (row,) = watch.rows
    assert watch.step == 2
    assert row.gradient_norm is not None
    assert np.isfinite(row.gradient_norm)
    assert all(layer.gradient is None for layer in row.layers)


def test_without_a_planned_length_a_file_of_looks_has_no_reading(tmp_path) -> None:
    network, x, y = made()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-5)
    with calando.watch(network, optimizer, share=1.0) as watch:
        for _ in range(40):
            update(network, optimizer, x, y, watch)
    watch.save(tmp_path / "probes.json")
    found = calando.explain(tmp_path / "probes.json").reading
    assert found.verdict == "silent"
    assert "total_steps" in found.because[0]


@pytest.mark.parametrize("rate", [1e30, 0.0])
def test_numbers_that_are_not_finite_are_json_and_come_back(tmp_path, rate) -> None:
    network, x, y = made()
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    with calando.watch(network, optimizer, total_steps=60, share=1.0) as watch:
        for _ in range(10):
            update(network, optimizer, x, y, watch)
    watch.save(tmp_path / "probes.json")

    def refuse(text: str) -> None:
        raise AssertionError(text)

    json.loads((tmp_path / "probes.json").read_text(), parse_constant=refuse)
    found = calando.explain(tmp_path / "probes.json")
    assert str(found.looked.rows) == str(tuple(watch.rows))
    json.dumps(found.to_json(), allow_nan=False)
    assert found.write_page(tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"total_steps": "many"}, "total_steps"),
        ({"total_steps": float("nan")}, "total_steps"),
        ({"share": "half"}, "share"),
        ({"share": True}, "share"),
    ],
)
def test_what_is_no_number_is_refused(change, text) -> None:
    network, *_ = made()
    with pytest.raises(UsageError, match=text):
        calando.watch(network, torch.optim.SGD(network.parameters(), lr=0.1), **change)


def test_an_optimizer_without_a_rate_or_of_other_weights_is_refused() -> None:
    class Rateless(torch.optim.Optimizer):
        def step(self, closure=None):
            return None

    network, _, _ = made()
    for defaults in ({}, {"lr": None}):
        with pytest.raises(UsageError, match="give the optimizer lr="):
            calando.watch(network, Rateless(network.parameters(), defaults))
    with pytest.raises(UsageError, match="none of the network's parameters"):
        calando.watch(made()[0], torch.optim.SGD(network.parameters(), lr=0.1))
    watch = calando.watch(network, torch.optim.SGD(network.parameters(), lr=0.1))
    for loss in (None, "low"):
        with pytest.raises(UsageError, match="one number"):
            watch.batch(loss)  # type: ignore[arg-type]


@pytest.mark.parametrize("watched_first", [True, False])
def test_rates_and_gradients_are_those_of_the_update_whoever_hooked_in_first(watched_first) -> None:
    network, x, y = made()
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    watch = calando.watch(network, optimizer, share=1.0) if watched_first else None
    calando.attach(optimizer, "linear(0.1, 1)", total_steps=10)

    def clip(optimizer, args, kwargs):
        nn.utils.clip_grad_norm_(network.parameters(), 1e-3)

    optimizer.register_step_pre_hook(clip)
    watch = watch or calando.watch(network, optimizer, share=1.0)
    applied = []
    optimizer.register_step_post_hook(lambda optimizer, *_: applied.append(optimizer.param_groups[0]["lr"]))
    for _ in range(8):
        update(network, optimizer, x, y, watch)
    watch.close()
    assert watch.rows
    assert [row.rate for row in watch.rows] == [applied[row.step] for row in watch.rows]
    assert all(row.gradient_norm == pytest.approx(1e-3, rel=1e-2) for row in watch.rows)


@pytest.mark.parametrize(
    ("kind", "tested"), [("SGD", True), ("Adam", True), ("AdamW", True), ("Adagrad", False), ("NAdam", False)]
)
def test_an_optimizer_that_readings_were_not_tested_with_is_a_caution(monkeypatch, tmp_path, kind, tested) -> None:
    """By a clock on which an update takes a second, and a look none: as many looks on every machine."""
    clock = [0.0]
    monkeypatch.setattr("calando.loops.watch.time.perf_counter", lambda: clock[0])
    network, x, y = made()
    optimizer = getattr(torch.optim, kind)(network.parameters(), lr=1e-5)
    with calando.watch(network, optimizer, total_steps=100, chance=y, share=1.0) as watch:
        for _ in range(20):
            clock[0] += 1.0
            update(network, optimizer, x, y, watch)
    watch.save(tmp_path / "probes.json")
    for reading in (watch.reading(), calando.explain(tmp_path / "probes.json").reading):
        assert reading.because
        assert any(f"not with {kind.lower()}" in text for text in reading.cautions) == (not tested)


def test_a_rate_of_zero_has_no_factor() -> None:
    network, x, y = made()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    with calando.watch(network, optimizer, total_steps=100, share=1.0) as watch:
        for _ in range(20):
            update(network, optimizer, x, y, watch)
    assert watch.reading().verdict == "silent"
    assert "the rate is 0" in watch.reading().because[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Lightning's own
@pytest.mark.parametrize("raises", [False, True])
def test_lightning_s_losses_are_by_update_and_an_exception_leaves_no_hook(raises) -> None:
    lightning = pytest.importorskip("pytorch_lightning")
    from calando.loops.watch_callbacks import for_lightning

    network, x, y = made()
    seen = []

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch, _):
            if raises and len(seen) == 18:
                raise RuntimeError
            loss = nn.functional.cross_entropy(self.network(batch[0]), batch[1])
            seen.append(float(loss.detach()))
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.network.parameters(), lr=0.1)

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=4)  # six batches an epoch
    course = for_lightning(share=1.0)
    trainer = lightning.Trainer(
        max_epochs=4, accumulate_grad_batches=4, callbacks=[course], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    if raises:
        with pytest.raises(RuntimeError):
            trainer.fit(Module(), loader)
    else:
        trainer.fit(Module(), loader)
    watch = course.watch
    assert watch is not None
    # Four batches make an update, and so do the last two of an epoch.
    means = [np.mean(seen[6 * epoch :][part]) for epoch in range(len(seen) // 6) for part in (slice(4), slice(4, 6))]
    np.testing.assert_allclose(watch.losses, means, rtol=1e-6)
    assert not any(layer._forward_hooks for layer in network)
    trainer.fit_loop.max_epochs = 6
    if not raises:
        trainer.fit(Module(), loader)
        assert course.watch.total_steps is None  # its start was not seen
