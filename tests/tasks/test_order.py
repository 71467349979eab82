"""Batch t is a function of (seed, step); an epoch visits distinct samples."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import DataError
from calando.tasks.randomness import batch_indices, steps_per_epoch

sizes = st.integers(2, 200).flatmap(lambda size: st.tuples(st.just(size), st.integers(1, size)))


@given(sizes, st.integers(0, 2**70), st.integers(0, 1000))
def test_an_epoch_visits_distinct_samples_and_drops_less_than_a_batch(
    size_and_batch: tuple[int, int], seed: int, epoch: int
) -> None:
    size, batch_size = size_and_batch
    per_epoch = steps_per_epoch(size, batch_size)
    visited = torch.cat(
        [
            batch_indices(size=size, batch_size=batch_size, seed=seed, step=epoch * per_epoch + i)
            for i in range(per_epoch)
        ]
    )
    assert visited.dtype == torch.int64
    assert len(visited.unique()) == per_epoch * batch_size > size - batch_size
    assert visited.min() >= 0
    assert visited.max() < size


@given(st.lists(st.integers(0, 60), min_size=1, max_size=20), st.integers(0, 5))
def test_history_does_not_matter(steps: list[int], seed: int) -> None:
    expected = {t: batch_indices(size=30, batch_size=7, seed=seed, step=t) for t in range(61)}
    for step in steps:
        got = batch_indices(size=30, batch_size=7, seed=seed, step=step)
        assert torch.equal(got, expected[step])
        got.zero_()  # what is returned is the caller's own


def test_seeds_and_epochs_differ() -> None:
    seen = {tuple(batch_indices(size=50, batch_size=50, seed=s, step=e).tolist()) for s in range(20) for e in range(20)}
    assert len(seen) == 400


def test_every_sample_is_visited_equally_often_in_the_long_run() -> None:
    counts = torch.zeros(10)
    for step in range(3000):
        counts[batch_indices(size=10, batch_size=4, seed=1, step=step)] += 1
    assert counts.sum() == 12_000
    assert (counts - 1200).abs().max() < 120  # six standard deviations of a fair choice of who is left out


def test_order_is_pinned() -> None:
    """A change here changes every run: give it a line in the change log."""
    assert batch_indices(size=100, batch_size=6, seed=0, step=0).tolist() == [87, 37, 9, 56, 35, 40]
    assert batch_indices(size=100, batch_size=6, seed=3, step=40).tolist() == [28, 75, 36, 10, 76, 52]


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(DataError, match="batch size 11 is larger than the training part, which has 10 samples"):
        steps_per_epoch(10, 11)
