"""Augmentation: windows, mirrors and holes, and nothing else; a pure function of (seed, step)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UnknownName, UsageError
from calando.tasks.augment import Augment, Crop, Cutout, Flip, parse_augment

parts = st.one_of(
    st.builds(Crop, st.integers(1, 7), st.booleans()), st.just(Flip()), st.builds(Cutout, st.integers(1, 7))
)
augments = st.builds(lambda some: Augment(tuple(some)), st.lists(parts, max_size=4))


def batch_of(n: int, *, channels: int = 3, height: int = 8, width: int = 9) -> np.ndarray:
    """Every pixel of an image has a value of its own, above 0, so that where it came from is known."""
    pixels = np.arange(1, channels * height * width + 1, dtype=np.float32).reshape(channels, height, width)
    return np.stack([pixels + 1000 * i for i in range(n)])


@given(augments)
def test_print_and_parse_are_inverse(augment: Augment) -> None:
    assert parse_augment(str(augment)) == augment


@given(augments, st.integers(0, 2**65), st.integers(0, 10**9), st.sampled_from([np.uint8, np.float32]))
def test_pure_and_shape_keeping(augment: Augment, seed: int, step: int, kind: type) -> None:
    batch = batch_of(5).astype(kind)
    before = batch.copy()
    first = augment(batch, seed=seed, step=step)
    augment(batch, seed=seed + 1, step=step + 3)
    assert np.array_equal(first, augment(batch, seed=seed, step=step))
    assert np.array_equal(batch, before)
    assert first.shape == batch.shape
    assert first.dtype == batch.dtype
    assert first.flags.c_contiguous


@given(st.integers(1, 7), st.booleans(), st.integers(0, 100))
def test_crop_is_a_window_of_the_padded_image(pad: int, reflect: bool, seed: int) -> None:
    batch = batch_of(6)
    out = Augment((Crop(pad, reflect),))(batch, seed=seed, step=0)
    padded = np.pad(batch, [(0, 0), (0, 0), (pad, pad), (pad, pad)], mode="reflect" if reflect else "constant")
    for image, whole in zip(out, padded, strict=True):
        windows = [whole[:, y : y + 8, x : x + 9] for y in range(2 * pad + 1) for x in range(2 * pad + 1)]
        assert any(np.array_equal(image, window) for window in windows)


def test_crop_uses_every_offset_equally() -> None:
    batch = batch_of(300, channels=1)
    counts = np.zeros((5, 5))
    for step in range(30):
        out = Crop(2, reflect=True)(batch, np.random.default_rng(step))
        row, column = np.divmod(out[:, 0, 4, 4].astype(int) % 1000 - 1, 9)
        np.add.at(counts, (row - 2, column - 2), 1)
    assert abs(counts / 9000 - 1 / 25).max() < 0.012  # six standard deviations


def test_flip_mirrors_about_half() -> None:
    batch = batch_of(2000, channels=1, height=1, width=2)
    out = parse_augment("flip")(batch, seed=0, step=0)
    mirrored = (out[:, 0, 0, 0] > out[:, 0, 0, 1]).sum()
    assert 900 < mirrored < 1100
    assert np.array_equal(np.sort(out, axis=3), batch)


@given(st.integers(1, 7), st.integers(0, 100))
def test_cutout_is_a_square_that_the_edge_may_cut(pixels: int, seed: int) -> None:
    batch = batch_of(20)
    out = Augment((Cutout(pixels),))(batch, seed=seed, step=0)
    for image, original in zip(out, batch, strict=True):
        hole = image == 0
        assert np.array_equal(image[~hole], original[~hole])
        assert (hole == hole[:1]).all()  # the same place in every channel
        rows, columns = np.flatnonzero(hole[0].any(1)), np.flatnonzero(hole[0].any(0))
        assert hole[0].sum() == len(rows) * len(columns) > 0
        assert np.ptp(rows) < pixels
        assert np.ptp(columns) < pixels
        assert len(rows) == pixels or rows[0] == 0 or rows[-1] == 7
        assert len(columns) == pixels or columns[0] == 0 or columns[-1] == 8


def test_steps_and_seeds_differ() -> None:
    batch = batch_of(8)
    augment = parse_augment("crop(4)+flip")
    seen = {augment(batch, seed=seed, step=step).tobytes() for seed in range(10) for step in range(10)}
    assert len(seen) == 100


def test_none_is_the_batch_itself() -> None:
    batch = batch_of(2)
    assert parse_augment("none")(batch, seed=0, step=0) is batch


@pytest.mark.parametrize("text", ["crp(4)", "", "crop(4)+", "none+flip", "crop(4)flip", "__import__('os')", "+"])
def test_unknown_parts_are_refused_with_the_choices(text: str) -> None:
    with pytest.raises(
        UnknownName, match=r"unknown augmentation .* choices: crop\(4\), crop\(4, reflect\), cutout\(8\)"
    ):
        parse_augment(text)


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(UnknownName, match=r"did you mean 'crop\(4\)'"):
        parse_augment("flip+crp(4)")


@pytest.mark.parametrize(
    "text",
    [
        "crop",
        "crop()",
        "crop(0)",
        "crop(-1)",
        "crop(1.5)",
        "crop(4, mirror)",
        "crop(99999)",
        "flip(2)",
        "cutout(4, reflect)",
    ],
)
def test_wrong_arguments_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="augmentation '"):
        parse_augment(text)


@pytest.mark.parametrize("text", ["crop(8)", "crop(8, reflect)", "flip+cutout(8)"])
def test_parts_that_leave_nothing_are_refused(text: str) -> None:
    parse_augment(text).check_fits(9, 9)
    with pytest.raises(UsageError, match="choose at most 7"):
        parse_augment(text).check_fits(8, 12)
