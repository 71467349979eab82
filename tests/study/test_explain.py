"""`calando explain`: the run is the same, the answer is kept, a study is read, and errors say what to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import calando
from calando.errors import CorruptFile, UsageError
from calando.study import look
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.tasks.catalog import resolve
from calando.training.loop import execute
from calando.training.probes.probe_run import probe_run

STRATEGIES = [
    "sgd(lr=0.1, momentum=0.9) | cosine(1, 0)",
    "adamw(lr=0.003, weight_decay=0.05) | linear(0, 1, over='20%') >> cosine(1, 0)",
    "sam(lr=0.1, momentum=0.9)",
    "schedule_free_sgd(lr=0.5)",
    "sgd(lr=0.1, momentum=0.9) | edge(until='30%')",
    "sgd(lr=3.0, momentum=0.9) | rollback()",
    "sgd(lr=0.1, momentum=0.9) | ema(decay=0.9)",
    "muon(lr=0.02)",
    "sgd(lr=1000.0, momentum=0.9)",
]


@pytest.fixture(scope="module")
def digits():
    def run(strategy: str, **options):
        return build_run(
            resolve("digits", batch_size=32),
            strategy,
            budget=Budget(steps=40),
            machine=Machine(device="cpu", precision="fp32", threads=1),
            **options,
        )

    return run


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_that_is_looked_at_is_the_run_to_the_bit(digits, strategy) -> None:
    spec, task = digits(strategy)
    ends: list[dict] = []

    def last(state, *_):
        ends[:] = [{name: value.clone() for name, value in state.network.state_dict().items()}]
        return False

    whole = execute(spec, task, watch=last)
    without = ends[0]
    found = probe_run(spec, task, at=range(1, 40), until=40, sharp=(5, 20), listen=last)
    assert np.array_equal(whole.losses, found.losses, equal_nan=True)
    assert np.array_equal(whole.rates, found.rates, equal_nan=True)
    assert all(torch.equal(value, ends[0][name]) or value.isnan().any() for name, value in without.items())
    assert found.rows or whole.outcome == "diverged"
    for row in found.rows:
        if row.loss is not None and np.isfinite(found.losses[row.step]) and "rollback" not in strategy:
            assert row.loss == pytest.approx(float(found.losses[row.step]), rel=1e-5)


def explain(folder, strategy="sgd(lr=0.05, momentum=0.9)", **options):
    given = {"steps": 60, "threads": 1, "listen": lambda _: None} | options
    return calando.explain("digits", strategy, folder=folder, **given)


def test_asked_again_it_answers_from_what_is_kept(tmp_path, monkeypatch) -> None:
    first = explain(tmp_path)
    monkeypatch.setattr(look, "probe_run", lambda *_, **__: pytest.fail("made again"))
    again = explain(tmp_path)
    assert again.reading == first.reading
    assert str(again) == str(first)
    monkeypatch.undo()
    longer = explain(tmp_path, until="50%")
    assert longer.looked.step == 30


def test_a_damaged_file_of_looks_is_named(tmp_path) -> None:
    explain(tmp_path)
    (tmp_path / "probes.json").write_text("{")
    with pytest.raises(CorruptFile, match=r"probes\.json"):
        explain(tmp_path)


def test_a_run_of_a_study_is_made_again_to_the_bit(tmp_path) -> None:
    study = tmp_path / "study"
    calando.compare(
        "digits", "fixed", "cosine", folder=study, steps=60, seeds=1, lr=0.1, executor="inline", threads=1,
        listen=lambda _: None,
    )  # fmt: skip
    found = calando.explain(study, run="cosine", folder=tmp_path / "looks", listen=lambda _: None)
    assert "to the bit" in found.outcome
    assert found.looked.spec is not None
    assert found.looked.spec.strategy.name == "cosine"
    with pytest.raises(UsageError, match="fixed, cosine"):
        calando.explain(study)
    with pytest.raises(UsageError, match="no strategy 'linear'"):
        calando.explain(study, run="linear")
    with pytest.raises(UsageError, match="seed 7"):
        calando.explain(study, run="cosine", seed=7)
    with pytest.raises(UsageError, match="run="):
        calando.explain(study, "cosine")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"strategy": None}, "needs a strategy"),
        ({"run": "cosine"}, "folder first"),
        ({"until": 1}, "at least 2|from 2"),
        ({"until": 61}, "60"),
        ({"until": "half"}, "until"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, options, text) -> None:
    with pytest.raises(UsageError, match=text):
        explain(tmp_path, **options)


def test_a_run_that_diverges_says_so(tmp_path) -> None:
    found = explain(tmp_path, "sgd(lr=1e30, momentum=0.9)")
    assert found.reading.verdict == "diverged"
    assert "loss" in found.reading.because[0]
    assert found.write_page().exists()


def test_the_page_shows_the_reading_first_and_needs_no_network(tmp_path) -> None:
    found = explain(tmp_path, "sgd(lr=2.0, momentum=0.9)")
    page = found.write_page().read_text()
    assert page.index(found.reading.heading) < page.index("<main>")
    assert "https://" not in page.split("<script")[0]
    for name in ("loss", "sharpness", "ratios", "gradients"):
        assert f'data-figure="{name}"' in page
