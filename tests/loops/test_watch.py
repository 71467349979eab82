"""`calando.watch` in a person's own loop: nothing changes, the cost is bounded, and frameworks have a callback."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import calando
from calando.errors import UsageError


def made(*, dropout: float = 0.0):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(8, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(16, 16),
        nn.ReLU(),
        nn.Linear(16, 3),
    )
    x, y = torch.randn(96, 8), torch.arange(96) % 3
    return network, x, y


def train(network, optimizer, x, y, steps, *, watch=None, again=False, after=None):
    torch.manual_seed(1)
    for step in range(steps):
        part = slice(32 * (step % 3), 32 * (step % 3) + 32)
        loss = nn.functional.cross_entropy(network(x[part]), y[part])
        loss.backward()
        if watch is not None:
            closure = (lambda part=part: nn.functional.cross_entropy(network(x[part]), y[part])) if again else None
            watch.batch(loss, closure)
        optimizer.step()
        optimizer.zero_grad()
        if after is not None:
            after(step)


def bits(network, optimizer):
    tensors = [*network.parameters(), *network.buffers()]
    tensors += [v for s in optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor)]
    return [t.detach().numpy().tobytes() for t in tensors] + [
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
    ]


OPTIMIZERS = {
    "sgd": lambda ps: torch.optim.SGD(ps, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "adamw": lambda ps: torch.optim.AdamW(ps, lr=0.01),
    "adagrad": lambda ps: torch.optim.Adagrad(ps, lr=0.01),
}


@settings(max_examples=20)
@given(
    name=st.sampled_from(sorted(OPTIMIZERS)),
    again=st.booleans(),
    share=st.sampled_from([0.02, 0.3, 1.0]),
    dropout=st.sampled_from([0.0, 0.4]),
)
def test_a_watched_training_is_the_same_to_the_bit(name, again, share, dropout) -> None:
    ends = []
    for watched in (False, True):
        network, x, y = made(dropout=dropout)
        optimizer = OPTIMIZERS[name](network.parameters())
        watch = calando.watch(network, optimizer, total_steps=200, share=share) if watched else None
        train(network, optimizer, x, y, 40, watch=watch, again=again)
        if watch is not None:
            assert watch.rows
            watch.close()
        ends.append(bits(network, optimizer))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("share", [0.01, 0.1])
def test_looks_take_no_more_than_their_share(monkeypatch, share, again) -> None:
    """By a clock on which an update takes a second, and a look ten."""
    network, x, y = made()
    optimizer = OPTIMIZERS["sgd"](network.parameters())
    clock = [0.0]
    monkeypatch.setattr("calando.loops.watch.time.perf_counter", lambda: clock[0])
    with calando.watch(network, optimizer, total_steps=3000, share=share) as watch:
        closing = watch._probe.close

        def close(*given, **named):
            clock[0] += 10.0
            return closing(*given, **named)

        monkeypatch.setattr(watch._probe, "close", close)

        def after(step: int) -> None:
            clock[0] += 1.0
            assert (len(watch.rows) - 1) * 10 <= share * clock[0]

        train(network, optimizer, x, y, 700, watch=watch, again=again, after=after)
    assert [row.step for row in watch.rows][:1] == [1]
    assert watch.seconds == 10 * len(watch.rows)
    assert len(watch.rows) >= 1 + (share == 0.1) * 5


def test_where_looks_are_too_few_it_says_which_share_is_enough() -> None:
    def seen(share: float):
        network, x, y = made()
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-5, momentum=0.9)
        with calando.watch(network, optimizer, total_steps=400, chance=y, share=share) as watch:
            train(network, optimizer, x, y, 60, watch=watch)
        return watch

    few = seen(1e-6)
    assert [row.step for row in few.rows] == [1]
    assert few.reading().verdict == "silent"
    assert "too early" in few.reading().because[0]
    advised = re.search(r"share=([0-9.]+)\)", few.reading().because[1])
    assert advised is not None
    assert 1e-6 < float(advised[1]) <= 1
    assert str(few) == repr(few) == str(few.reading())
    assert len(seen(1.0).reading().because) >= 1
    assert "share=" not in str(seen(1.0))


def test_the_reading_follows_the_rate() -> None:
    verdicts = {}
    for rate in (1e-5, 0.05, 8.0):
        network, x, y = made()
        optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
        with calando.watch(network, optimizer, total_steps=400, chance=y, share=1.0) as watch:
            train(network, optimizer, x, y, 60, watch=watch)
        verdicts[rate] = watch.reading()
    assert verdicts[1e-5].verdict == "too low"
    assert verdicts[8.0].verdict == "too high"
    assert verdicts[0.05].verdict in ("nothing wrong is seen", "silent")


def test_rows_with_the_batch_have_its_critical_ratio(tmp_path) -> None:
    network, x, y = made()
    optimizer = OPTIMIZERS["sgd"](network.parameters())
    watch = calando.watch(network, optimizer, total_steps=100, share=1.0)
    train(network, optimizer, x, y, 20, watch=watch, again=True)
    assert all(row.ratio is not None and row.loss is not None for row in watch.rows)
    assert [row.loss for row in watch.rows] == [pytest.approx(watch.losses[row.step], rel=1e-6) for row in watch.rows]
    watch.save(tmp_path / "probes.json")
    found = calando.explain(tmp_path / "probes.json")
    live = watch.reading()
    # A watch says, too, how seldom it looks where looks are slow: on a busy machine, so not in the file.
    assert live.because[: len(found.reading.because)] == found.reading.because
    assert all("a look takes as long" in line for line in live.because[len(found.reading.because) :])
    assert replace(found.reading, because=()) == replace(live, because=())
    assert [row.step for row in found.looked.rows] == [row.step for row in watch.rows]
    json.dumps(found.to_json(), allow_nan=False)


def test_closed_it_leaves_no_hook_and_looks_no_more() -> None:
    network, x, y = made()
    optimizer = OPTIMIZERS["sgd"](network.parameters())
    watch = calando.watch(network, optimizer, share=1.0)
    train(network, optimizer, x, y, 5, watch=watch)
    rows = len(watch.rows)
    watch.close()
    train(network, optimizer, x, y, 5)
    assert len(watch.rows) == rows
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"total_steps": 0}, "total_steps"),
        ({"total_steps": 2.5}, "total_steps"),
        ({"share": 0}, "share"),
        ({"share": 2}, "share"),
        ({"chance": -1.0}, "chance"),
    ],
)
def test_numbers_outside_their_range_are_refused(change, text) -> None:
    network, *_ = made()
    with pytest.raises(UsageError, match=text):
        calando.watch(network, OPTIMIZERS["sgd"](network.parameters()), **change)


def test_what_is_no_network_no_optimizer_or_no_loss_is_refused() -> None:
    network, x, _ = made()
    optimizer = OPTIMIZERS["sgd"](network.parameters())
    with pytest.raises(UsageError, match="network"):
        calando.watch([network], optimizer)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="optimizer"):
        calando.watch(network, object())  # type: ignore[arg-type]
    watch = calando.watch(network, optimizer)
    with pytest.raises(UsageError, match="one number"):
        watch.batch(network(x))
    with pytest.raises(UsageError, match="again"):
        watch.batch(1.0, 3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="total_steps"):
        watch.reading()
    watch.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Lightning's own
def test_lightning_has_a_callback() -> None:
    lightning = pytest.importorskip("pytorch_lightning")
    from calando.loops.watch_callbacks import for_lightning

    network, x, y = made()

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch, _):
            return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.network.parameters(), lr=1e-5, momentum=0.9)

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=32)
    course = for_lightning(share=1.0)
    trainer = lightning.Trainer(
        max_steps=60, callbacks=[course], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", limit_train_batches=3, max_epochs=-1,
    )  # fmt: skip
    trainer.fit(Module(), loader)
    assert course.watch is not None
    assert course.watch.step == 60
    assert len(course.watch.losses) == 60
    assert course.watch.total_steps == 60
    middle = [row for row in course.watch.rows if row.step > 2]
    assert middle
    assert all(layer.gradient is not None for row in middle for layer in row.layers)
    assert all(row.gradient_norm is not None and row.gradient_norm > 0 for row in middle)


@pytest.mark.slow
def test_the_trainer_has_a_callback(tmp_path) -> None:
    transformers = pytest.importorskip("transformers")
    from calando.loops.watch_callbacks import for_transformers

    network, x, y = made()

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x, labels):
            out = self.network(x)
            return {"loss": nn.functional.cross_entropy(out, labels), "logits": out}

    rows = [{"x": a, "labels": b} for a, b in zip(x, y, strict=True)]
    course = for_transformers(share=1.0)
    arguments = transformers.TrainingArguments(
        str(tmp_path), max_steps=40, per_device_train_batch_size=32, logging_steps=5, report_to=[], save_strategy="no",
        use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    transformers.Trainer(Model(), arguments, train_dataset=rows, callbacks=[course]).train()
    assert course.watch is not None
    assert course.watch.step == 40
    assert len(course.watch.losses) == 40
    assert np.isfinite(course.watch.losses).all()
    assert all(layer.gradient is not None for layer in course.watch.rows[-1].layers)
