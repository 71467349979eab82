"""The reading: silent where it was not tested, and never against its own signals."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.analysis.looked import AGES, Looked, keep_looks, kept_looks, plan_looks
from calando.analysis.reading import FITS, SURE, USUAL, read_rate
from calando.analysis.signals import SIGNALS, signals_of
from calando.errors import CorruptFile
from calando.records.probe import LayerRow, ProbeRow


def row(step: int, **values: float) -> ProbeRow:
    ratio, weight = values.pop("update_ratio", 0.0075), values.pop("weight", 1.0)
    first, last = values.pop("first", 0.8), values.pop("last", 1.0)
    layers = tuple(
        LayerRow(name=name, weight=weight, update_ratio=ratio, gradient=gradient, dead=0.0)
        for name, gradient in (("in", first), ("out", last))
    )
    known = {"rate": 0.1, "gradient_norm": 1.0, "ratio": 0.1, "sharpness": 1.0, "limit": 12.0} | values
    return ProbeRow(step=step, layers=layers, **known)


def read(step: int = 100, total: int = 1000, *, loss: float = 0.5, chance: float = 1.0, **late: float):
    start = {name: late[name] for name in ("sharpness", "limit") if name in late}
    rows = [row(1, **start), *(row(at, **late) for at in (step - 2, step - 1, step))]
    losses = np.concatenate([np.full(8, chance), np.full(step - 7, loss)])
    return read_rate(rows, losses=losses, step=step + 1, total_steps=total, chance=chance, method="sgd")


def test_a_run_that_looks_as_usual_has_nothing_wrong() -> None:
    found = read()
    assert found.verdict == "nothing wrong is seen"
    assert found.factor is None
    assert found.high is not None
    assert found.high <= 1 - SURE


def test_a_run_that_barely_moves_is_too_low_and_by_how_much() -> None:
    found = read(loss=0.99, update_ratio=2e-4, sharpness=0.01, limit=12.0, ratio=0.004)
    assert found.verdict == "too low"
    assert found.factor is not None
    assert found.factors is not None
    assert found.factors[0] <= found.factor <= found.factors[1]
    assert found.factor < 1
    assert found.heading.startswith("too low by about ")
    assert any("updates so far would add up to" in text for text in found.because)
    assert any("sharpness is 0.083%" in text for text in found.because)


def test_shares_have_two_digits_and_a_loss_at_chance_is_at_all_of_it() -> None:
    found = read(loss=0.998, update_ratio=2e-4, sharpness=0.01, limit=12.0, ratio=0.004)
    assert any("the loss is at 100% of chance level; 49% is usual" in text for text in found.because)
    assert any("; 11% is usual" in text for text in found.because)


def test_a_run_that_jumped_is_too_high() -> None:
    found = read(loss=3.5, update_ratio=0.08, first=1e-3, weight=9.0, ratio=1.0)
    assert found.verdict == "too high"
    assert any("weights are 9 times" in text for text in found.because)
    assert any("gradient at the first layer is 0.001" in text for text in found.because)
    assert found.factor is None or found.factor > 1


def test_a_network_that_died_has_no_factor_as_what_is_zero_has_no_logarithm() -> None:
    found = read(loss=1e4, update_ratio=1e-3, first=0.0, weight=1e10, ratio=0.4, sharpness=None, limit=None)
    assert found.verdict == "too high"
    assert found.factor is None
    assert found.instead is None
    assert any("first over last" in text and "not known" in text for text in found.cautions)


@pytest.mark.parametrize("step", [20, 400])
def test_outside_the_ages_that_were_tested_it_is_silent(step: int) -> None:
    found = read(step, loss=3.9, update_ratio=0.5)
    assert found.verdict == "silent"
    assert "tested" in found.because[0]


def test_without_a_look_or_without_losses_it_is_silent() -> None:
    nothing = read_rate([], losses=np.array([]), step=0, total_steps=100)
    assert nothing.verdict == "silent"
    rows = [row(1), row(100)]
    assert read_rate(rows, losses=np.array([]), step=101, total_steps=1000).verdict == "silent"


def test_a_loss_that_is_not_finite_is_a_verdict() -> None:
    found = read_rate([row(1)], losses=np.array([1.0, math.nan]), step=2, total_steps=100)
    assert found.verdict == "diverged"
    assert "update 1" in found.because[0]


def test_what_was_not_tested_is_said() -> None:
    rows = [row(1), *(row(at, rate=at / 100) for at in (60, 99, 100))]
    found = read_rate(rows, losses=np.full(101, 0.5), step=101, total_steps=1000, method="lion")
    assert any("lion" in text for text in found.cautions)
    assert any("rate changed" in text for text in found.cautions)
    assert any("chance" in text for text in found.cautions)


SIGNAL = st.floats(1e-9, 1e9) | st.just(math.nan)


@given(st.fixed_dictionaries(dict.fromkeys(SIGNALS, SIGNAL)), st.sampled_from(sorted(FITS)), st.floats(1.01, 1e4))
def test_a_fit_is_finite_and_follows_the_sign_of_its_weights(signals: dict, name: str, factor: float) -> None:
    fit = FITS[name]
    assert math.isfinite(fit(signals))
    for signal, (_, _, weight) in fit.terms.items():
        if math.isfinite(signals[signal]):
            more = fit({**signals, signal: signals[signal] * factor})
            assert (more - fit(signals)) * weight >= -1e-9


@given(
    st.floats(1e-6, 1.0),
    st.floats(1e-8, 1e8),
    st.floats(0.0, 1e6),
    st.floats(1e-6, 1e6),
    st.integers(50, 290),
)
def test_every_reading_is_in_words_and_json(
    ratio: float, sharpness: float, first: float, loss: float, step: int
) -> None:
    found = read(step, update_ratio=ratio, sharpness=sharpness, first=first, loss=loss)
    assert found.because
    assert found.heading in str(found)
    assert (found.instead is None) == (found.factor is None)
    if found.factor is not None and found.instead is not None:
        at, low, high = map(float, re.findall(r"[0-9][0-9.e+-]*[0-9]|[0-9]", found.instead)[:3])
        assert at == pytest.approx(0.1 / found.factor, rel=0.06)
        assert low <= at * 1.06
        assert at <= high * 1.06
        assert high <= 0.1 if found.factor > 1 else low >= 0.1
    json.dumps(found.to_json(), allow_nan=False)
    if found.verdict == "too high":
        assert found.factor is None or found.factor > 1
    if found.verdict == "too low":
        assert found.factor is None or found.factor < 1
    if found.verdict in ("too high", "too low"):
        assert max(found.high or 0, found.low or 0) >= SURE


def test_every_signal_of_a_fit_has_a_usual_value_and_is_explained() -> None:
    for fit in FITS.values():
        for name in fit.terms:
            assert name in USUAL
            assert name in SIGNALS


@given(st.floats(1e-3, 1e3))
def test_signals_have_no_unit(scale: float) -> None:
    """A loss measured in other units, with its chance, gives the same signals."""
    rows = [row(1), row(50)]
    losses = np.linspace(2.0, 1.0, 51)
    one = signals_of(rows[0], rows[1:], losses=losses, chance=2.0)
    other = signals_of(rows[0], rows[1:], losses=losses * scale, chance=2.0 * scale)
    for name in ("peak", "level"):
        assert one[name] == pytest.approx(other[name], rel=1e-9)


@given(st.integers(10, 100_000), st.floats(0.02, 1.0))
def test_looks_are_within_the_run_and_their_cost_is_bounded(steps: int, share: float) -> None:
    until = max(2, round(share * steps))
    looks = plan_looks(steps, until=until)
    assert all(1 <= step < until for step in looks.at)
    assert set(looks.sharp) <= set(looks.at)
    assert looks.cost <= 4 * 60 + 25 * 4 + 0.06 * steps
    for age in AGES:
        if round(age * steps) - 1 >= 4 and round(age * steps) <= until:
            assert round(age * steps) - 1 in looks.sharp


def test_looks_are_kept_and_damage_is_noticed(tmp_path) -> None:
    rows = tuple(row(at) for at in (1, 9))
    looked = Looked(
        rows=rows, losses=np.array([1.0, math.inf]), rates=np.array([0.1, 0.1]), total_steps=100, step=10, chance=2.3
    )
    path = keep_looks(tmp_path, looked)
    again = Looked.read(path)
    assert again.rows == rows
    assert again.losses.tolist() == [1.0, math.inf]
    assert again.reading() == looked.reading()
    path.write_text(path.read_text()[:50])
    with pytest.raises(CorruptFile, match="probes"):
        Looked.read(path)
    assert kept_looks(tmp_path / "elsewhere", None, plan_looks(100, until=20)) is None
