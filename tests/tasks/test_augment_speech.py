"""Augmentation of speech, and mixup: what each does and nothing else; pure functions of (seed, step)."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UsageError
from calando.tasks.augment import Augment, parse_augment
from calando.tasks.augment_speech import Mixup, Noise, Shift, Spec

RATE = 1000
parts = st.one_of(
    st.builds(Shift, st.integers(1, 500)),
    st.builds(lambda low, more: Noise(low, low + more), st.integers(-20, 40), st.integers(0, 40)),
    st.builds(Spec, st.integers(1, 9), st.integers(0, 9)),
)
mixups = st.builds(Mixup, st.sampled_from([0.1, 0.2, 1.0, 5.0]))
augments = st.builds(
    lambda some, last: Augment((*some, *last)), st.lists(parts, max_size=3), st.lists(mixups, max_size=1)
)


def waves_of(n: int, length: int = 300) -> np.ndarray:
    return np.random.default_rng(n).standard_normal((n, length)).astype(np.float32)


@given(augments)
def test_print_and_parse_are_inverse(augment: Augment) -> None:
    assert parse_augment(str(augment)) == augment


@given(augments, st.integers(0, 2**65), st.integers(0, 10**9), st.booleans())
def test_pure_and_shape_keeping(augment: Augment, seed: int, step: int, recorded: bool) -> None:
    waves, pictures, labels = waves_of(5), torch.randn(5, 1, 12, 20), torch.arange(5) % 3
    background = (waves_of(1, 400)[0],) if recorded else ()
    before = waves.copy(), pictures.clone()

    def made(seed: int, step: int) -> list[np.ndarray]:
        heard = augment.on_recordings(waves, rate=RATE, background=background, seed=seed, step=step)
        seen = augment.mixed(augment.on_pictures(pictures, seed=seed, step=step), seed=seed, step=step)
        wanted = augment.mixed_targets(labels, classes=3, seed=seed, step=step)
        return [heard, seen.numpy(), wanted.numpy()]

    first = made(seed, step)
    made(seed + 1, step + 3)
    assert all(np.array_equal(one, other) for one, other in zip(first, made(seed, step), strict=True))
    assert np.array_equal(waves, before[0])
    assert torch.equal(pictures, before[1])
    assert [one.shape for one in first[:2]] == [(5, 300), (5, 1, 12, 20)]
    assert first[0].dtype == first[1].dtype == np.float32


@given(st.integers(1, 250), st.integers(0, 100))
def test_shift_moves_and_fills_with_silence(ms: int, seed: int) -> None:
    waves = waves_of(8)
    moved = Augment((Shift(ms),)).on_recordings(waves, rate=RATE, background=(), seed=seed, step=0)
    for wave, other in zip(waves, moved, strict=True):
        padded = np.pad(wave, ms)
        assert any(np.array_equal(other, padded[start : start + 300]) for start in range(2 * ms + 1))


def test_shift_uses_every_place_equally() -> None:
    waves = np.zeros((500, 20), np.float32)
    waves[:, 10] = 1
    counts = np.zeros(20)
    for step in range(20):
        counts += Augment((Shift(3),)).on_recordings(waves, rate=RATE, background=(), seed=0, step=step).sum(0)
    assert (counts[:7] == 0).all()
    assert (counts[14:] == 0).all()
    assert abs(counts[7:14] / 10_000 - 1 / 7).max() < 0.021  # six standard deviations


@given(st.integers(-10, 30), st.booleans())
def test_noise_has_the_power_that_was_asked_for(decibels: int, recorded: bool) -> None:
    waves = waves_of(6)
    background = (waves_of(1, 999)[0], 5 * waves_of(2, 300)[1]) if recorded else ()
    noisy = Augment((Noise(decibels, decibels),)).on_recordings(waves, rate=RATE, background=background, seed=1, step=2)
    ratio = (waves.astype(np.float64) ** 2).sum(1) / ((noisy.astype(np.float64) - waves) ** 2).sum(1)
    assert abs(10 * np.log10(ratio) - decibels).max() < 1e-3
    if recorded:  # each noise is a piece of one of the recordings, scaled
        for added in noisy.astype(np.float64) - waves:
            pieces = np.concatenate([np.lib.stride_tricks.sliding_window_view(one, 300) for one in background])
            likeness = pieces @ added / np.linalg.norm(pieces, axis=1) / np.linalg.norm(added)
            assert likeness.max() > 1 - 1e-6


def test_silence_gets_no_noise_and_silent_noise_adds_nothing() -> None:
    silent, loud = np.zeros((2, 50), np.float32), waves_of(2, 50)
    noise = Augment((Noise(5, 20),))
    assert not noise.on_recordings(silent, rate=RATE, background=(), seed=0, step=0).any()
    still = noise.on_recordings(loud, rate=RATE, background=(np.zeros(80, np.float32),), seed=0, step=0)
    assert np.array_equal(still, loud)


def test_spec_hides_at_most_two_strips_each_way_of_that_width() -> None:
    pictures = torch.ones(400, 1, 30, 50)
    seen = Augment((Spec(7, 4),)).on_pictures(pictures, seed=0, step=0)[:, 0]
    rows, columns = (seen == 0).all(2), (seen == 0).all(1)
    assert torch.equal(seen == 0, rows[:, :, None] | columns[:, None, :])
    for hidden, widest in ((rows, 4), (columns, 7)):
        strips = (hidden.int().diff(dim=1, prepend=torch.zeros(400, 1)) == 1).sum(1)
        assert strips.max() == 2
        assert hidden.sum(1).max() <= 2 * widest
        assert set((hidden.sum(1)[strips == 1]).tolist()) >= set(range(1, widest + 1))


def test_mixup_mixes_inputs_and_targets_alike() -> None:
    labels, inputs = torch.arange(6), torch.eye(6)[:, None, None]
    augment = Augment((Mixup(0.4),))
    for step in range(20):
        mixed = augment.mixed(inputs, seed=3, step=step)[:, 0, 0]
        targets = augment.mixed_targets(labels, classes=6, seed=3, step=step)
        assert torch.allclose(mixed, targets, atol=1e-7)
        assert torch.allclose(targets.sum(1), torch.ones(6), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shift", r"write shift\(MILLISECONDS\), e.g. shift\(100\), in whole numbers"),
        ("shift(1.5)", "in whole numbers"),
        ("shift(0)", "numbers are 1 … 10000, got 0"),
        ("noise(5)", r"write noise\(LOW, HIGH\) in dB below the recording"),
        ("noise(20, 5)", "the first is above the second"),
        ("noise(nan, 5)", "write noise"),
        ("spec(0, 0)", "hides nothing"),
        ("spec(20)", r"write spec\(FRAMES, MELS\)"),
        ("mixup(0)", "numbers are 0.001 … 1000, got 0"),
        ("mixup(0.2)+mixup(0.2)", "a batch is mixed once"),
        ("shift(100, reflect)", "write shift"),
    ],
)
def test_wrong_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_augment(text)


@pytest.mark.parametrize(
    ("text", "speech", "message"),
    [
        ("crop(4)+shift(9)", True, r"augmentation crop\(4\) is of pictures, these are recordings; take shift"),
        ("flip", True, "is of pictures"),
        ("spec(3, 3)", False, r"augmentation spec\(3, 3\) is of speech, these are no recordings; take crop"),
        ("noise(5, 20)", False, "is of speech"),
    ],
)
def test_what_acts_on_other_samples_is_refused(text: str, speech: bool, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_augment(text).check_acts(speech=speech)
    parse_augment("mixup(0.2)").check_acts(speech=speech)


def test_strips_leave_something_of_the_picture() -> None:
    parse_augment("spec(100, 39)").check_fits(40, 101)
    with pytest.raises(UsageError, match="needs log-mel pictures of more than 101 frames and 3 mels, got 101 frames"):
        parse_augment("spec(101, 3)").check_fits(40, 101)
