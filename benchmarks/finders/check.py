"""Two checks of the benchmark itself.

product   `find_for_run`, at its defaults, measures on a case's first seed what is stored: its first sweep is equal to
          the bit up to where it ends
peers     the installed packages, given a stored curve loss by loss, suggest what our words for their rules suggest, to
          a step of the grid (Ignite's rates begin one step later)
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from calando.range_test import find_for_run

from . import curves
from .cases import CASES, prepare
from .hopeless import HOPELESS
from .peers import PEERS

__all__ = ["run"]


def run(data_dir: Path, *, only: str = "") -> None:
    """Print both."""
    measured = curves.read()
    _peers(measured)
    for case in CASES:
        if only in case.name and case.name in measured:
            spec, workload = prepare(case, data_dir)
            spec = spec.model_copy(update={"seed": curves.FIRST_SEED})
            first = find_for_run(spec, workload).curves.losses[0].astype(np.float32)
            first = first[np.isfinite(first)]
            same = np.array_equal(first, measured[case.name][0, 0, : len(first)])
            print(f"{case.name}: {'equal to the bit' if same else 'DIFFERENT'} over {len(first)} updates", flush=True)


def _peers(measured: dict[str, np.ndarray]) -> None:
    rows = [seed[0] for case in (*CASES, *HOPELESS) for seed in measured.get(case.name, ())]
    step = 1.01 * curves.RATES[1] / curves.RATES[0]
    for name, own in (("lightning", _own_lightning), ("ignite", _own_ignite)):
        same = 0
        for row in rows:
            ours, theirs = PEERS[name](curves.RATES, row)[0], own(curves.RATES, row)
            same += ours == theirs or (None not in (ours, theirs) and 1 / step <= ours / theirs <= step)
        print(f"{name}: the package itself suggests the same on {same} of {len(rows)} curves", flush=True)


def _own_lightning(rates: np.ndarray, losses: np.ndarray) -> float | None:
    from pytorch_lightning.tuner.lr_finder import _LRCallback, _LRFinder

    callback = _LRCallback(len(rates), 4.0)
    scheduler = SimpleNamespace(lr=[0.0])
    trainer = SimpleNamespace(
        fit_loop=SimpleNamespace(batch_idx=0), accumulate_grad_batches=1, should_stop=False, global_step=0,
        lr_scheduler_configs=[SimpleNamespace(scheduler=scheduler)], strategy=SimpleNamespace(broadcast=lambda x: x),
    )  # fmt: skip
    for index, (rate, loss) in enumerate(zip(rates, losses, strict=True)):
        trainer.fit_loop.batch_idx, scheduler.lr[0] = index, float(rate)
        callback.on_train_batch_start(trainer, None, None, index)
        trainer.global_step += 1
        callback.on_train_batch_end(trainer, None, torch.tensor(float(loss)), None, index)
        if trainer.should_stop:
            break
    finder = _LRFinder("exponential", rates[0], rates[-1], len(rates))
    finder.results = {"lr": callback.lrs, "loss": callback.losses}
    return finder.suggestion()


def _own_ignite(rates: np.ndarray, losses: np.ndarray) -> float | None:
    from ignite.engine import Engine
    from ignite.handlers import FastaiLRFinder

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=float(rates[0]))
    given = iter([*losses.tolist(), math.nan])
    finder = FastaiLRFinder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = Engine(lambda engine, batch: next(given))
        with finder.attach(
            trainer,
            to_save={"optimizer": optimizer},
            num_iter=len(rates),
            start_lr=float(rates[0]),
            end_lr=float(rates[-1]),
        ) as sweeping:
            sweeping.run([0] * (len(rates)), max_epochs=1)
    try:
        return finder.lr_suggestion()
    except RuntimeError:
        return None
