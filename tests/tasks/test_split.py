"""The held-out part: stratified, nested, and the same for ever."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calando.errors import DataError
from calando.tasks.labels import hold_out, take_stratified
from calando.tasks.randomness import Purpose, rank_keys

label_arrays = arrays(np.int64, st.integers(2, 300), elements=st.integers(0, 5)).map(
    lambda labels: np.concatenate([labels, np.unique(labels)])  # at least two of each
)


@given(label_arrays, st.floats(0.001, 0.999))
def test_parts_are_disjoint_complete_and_stratified(labels: np.ndarray, fraction: float) -> None:
    kept, held = hold_out(labels, fraction=fraction, purpose=Purpose.VALIDATION_SPLIT, what="validation part")
    assert np.array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(labels)))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held) > 0).all()
    for label in np.unique(labels):
        n, out = int((labels == label).sum()), int((labels[held] == label).sum())
        assert 1 <= out <= n - 1
        assert abs(out - fraction * n) <= 0.5 or out in (1, n - 1)


@given(label_arrays, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_larger_fraction_holds_out_all_that_a_smaller_one_does(labels: np.ndarray, a: float, b: float) -> None:
    held = [
        set(hold_out(labels, fraction=fraction, purpose=Purpose.TEST_SPLIT, what="test part")[1].tolist())
        for fraction in sorted((a, b))
    ]
    assert held[0] <= held[1]


def test_which_are_held_out_is_pinned() -> None:
    """A change here makes old and new results incomparable: give it a line in the change log."""
    labels = np.arange(60) % 3
    held = [
        hold_out(labels, fraction=0.1, purpose=purpose, what="part")[1].tolist()
        for purpose in (Purpose.TEST_SPLIT, Purpose.VALIDATION_SPLIT)
    ]
    assert held == [[2, 22, 29, 43, 48, 51], [10, 11, 20, 27, 40, 54]]


def test_positions_do_not_matter_to_who_is_held_out() -> None:
    """Early and late samples are held out alike, for data that are sorted by writer or speaker."""
    _, held = hold_out(np.zeros(10_000, dtype=int), fraction=0.2, purpose=Purpose.TEST_SPLIT, what="test part")
    counts = np.histogram(held, bins=10, range=(0, 10_000))[0]
    assert counts.sum() == 2000
    assert abs(counts - 200).max() < 6 * np.sqrt(1000 * 0.2 * 0.8)


def test_keys_are_distinct() -> None:
    keys = np.concatenate([rank_keys(10_000, purpose) for purpose in Purpose])
    assert len(np.unique(keys)) == len(keys)


def test_a_single_sample_of_a_class_is_refused() -> None:
    with pytest.raises(DataError, match="class 7 has only one sample; a validation part"):
        hold_out(np.array([0, 0, 7]), fraction=0.1, purpose=Purpose.VALIDATION_SPLIT, what="validation part")


@given(label_arrays, st.data())
def test_a_limit_is_met_exactly_with_every_class_near_its_share(labels: np.ndarray, data: st.DataObject) -> None:
    classes, sizes = np.unique(labels, return_counts=True)
    count = data.draw(st.integers(len(classes), len(labels)))
    rows = take_stratified(labels, count=count)
    assert len(rows) == len(set(rows.tolist())) == count
    taken = np.array([(labels[rows] == label).sum() for label in classes])
    assert (taken >= 1).all()
    assert (taken <= sizes).all()
    share = sizes * count / len(labels)
    if (share >= 1).all():
        assert (abs(taken - share) <= 1).all()


def test_a_limit_above_the_size_takes_all() -> None:
    assert take_stratified(np.array([0, 1, 1]), count=10).tolist() == [0, 1, 2]


def test_a_limit_below_the_number_of_classes_is_refused() -> None:
    with pytest.raises(DataError, match="train_limit=2 cannot hold one sample of each of 3 classes"):
        take_stratified(np.array([0, 1, 2]), count=2)
