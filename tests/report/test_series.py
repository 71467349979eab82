"""What figures are drawn from says what the records say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.report.fabricate import CHANCE, make_record, make_study

from calando.report.series import ends, loss_band, score_band, smoothed, thinned

finite = st.floats(-1e6, 1e6)
curves = arrays(np.float64, st.integers(1, 300), elements=finite)


def a_run(*, seed=0, diverge_at=None):
    study = make_study(("cosine",), seeds=4, steps=200)
    return make_record(study.run(study.strategies[0].at_rate(0.1), seed=seed), diverge_at=diverge_at)


@given(curves, st.integers(2, 60))
def test_thinned_keeps_the_ends_and_the_limit(values, limit):
    kept = thinned(values, limit=limit)
    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    assert len(kept) <= limit
    assert (np.diff(kept) > 0).all()


@given(curves, st.sampled_from([0.0005, 0.05, 0.3]))
def test_thinned_lines_stay_within_the_tolerance(values, tolerance):
    kept = thinned(values, limit=len(values) + 2, tolerance=tolerance)
    drawn = np.interp(np.arange(len(values)), kept, values[kept])
    span = values.max() - values.min()
    assert np.abs(drawn - values).max() <= tolerance * span + 1e-9 * max(1.0, span)


def test_thinned_keeps_the_corners_of_a_step_schedule():
    values = np.repeat([1.0, 0.1, 0.01], 1000)
    assert thinned(np.log(values)).tolist() == [0, 999, 1000, 1999, 2000, 2999]


@given(arrays(np.float32, st.integers(0, 60), elements=st.floats(-9, 9, width=32) | st.just(np.inf)), st.integers(0, 9))
def test_smoothed_is_the_mean_of_the_finite_neighbours(values, half):
    calm = smoothed(values, half=half)
    for at in range(len(values)):
        near = values[max(0, at - half) : at + half + 1].astype(np.float64)
        near = near[np.isfinite(near)]
        assert np.isclose(calm[at], near.mean(), atol=1e-9) if len(near) else np.isnan(calm[at])


def test_bands_hold_their_mean_and_count_their_runs():
    runs = [a_run(seed=seed) for seed in range(3)] + [a_run(seed=3, diverge_at=100)]
    for band in (loss_band(runs, half=3), score_band(runs)):
        assert (band.low <= band.mean).all()
        assert (band.mean <= band.high).all()
        assert band.n.max() == 4
        assert (np.diff(band.steps) > 0).all()


def test_a_diverged_run_leaves_the_loss_and_counts_as_chance_in_the_score():
    fine, lost = a_run(), a_run(seed=1, diverge_at=100)
    loss = loss_band([fine, lost], half=3)
    assert set(loss.n[loss.steps >= 100]) == {1}
    score = score_band([fine, lost])
    assert score.n[-1] == 2
    assert score.mean[-1] == (fine.score + CHANCE) / 2
    assert score.low[-1] == CHANCE


def test_where_all_runs_diverged_the_score_goes_on_at_chance_to_the_horizon():
    band = score_band([a_run(diverge_at=100), a_run(seed=1, diverge_at=90)])
    assert band.steps[-1] == 200
    assert band.mean[-1] == CHANCE


def test_runs_without_anything_to_draw_give_nothing():
    nothing = a_run(diverge_at=1)
    assert score_band([]) is None
    assert loss_band([], half=3) is None
    assert loss_band([nothing], half=3) is None
    assert ends([nothing], half=3) == ()


def test_ends_are_where_runs_diverged_at_their_last_finite_loss():
    lost = a_run(seed=2, diverge_at=100)
    (end,) = ends([a_run(), lost], half=3)
    assert (end.seed, end.step) == (2, 100)
    assert np.isfinite(end.loss)
    assert end.loss > lost.losses[:50].max()
