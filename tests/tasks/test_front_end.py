"""The log-mel front end, held against librosa 0.11.0 (kept numbers) and Transformers' audio_utils (as installed).

librosa_log_mel.npz holds every ninth frame of

    np.log(librosa.feature.melspectrogram(y=sound(rate), sr=rate, n_fft=w, win_length=w, hop_length=h, n_mels=40,
        fmin=20, fmax=4000, center=True, pad_mode="constant", dtype=np.float64) + 1e-6)      w 30 ms, h 10 ms
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UsageError
from calando.tasks.front_end import LogMel, front_end_for, mel_weights

LIBROSA = Path(__file__).with_name("librosa_log_mel.npz")
RATES = (8000, 11025, 16000)


def sound(rate: int) -> np.ndarray:
    """A second of a chirp that swells and fades, on a hum."""
    t = np.arange(rate) / rate
    chirp = 0.3 * np.sin(2 * np.pi * (200 * t + 0.4 * rate / 2 * t * t)) * np.exp(-3 * (t - 0.4) ** 2 * 9)
    return chirp + 0.01 * np.sin(2 * np.pi * 50 * t)


@pytest.mark.parametrize("rate", RATES)
def test_librosa_sees_the_same(rate: int) -> None:
    with np.load(LIBROSA) as kept:
        theirs = kept[str(rate)]
    front = front_end_for(rate=rate, length=rate)
    wave = torch.from_numpy(sound(rate))[None]
    ours = front(wave)[0, 0].numpy()
    assert ours.shape == front.shape
    assert abs(ours[:, ::9] - theirs).max() < 1e-11
    single = front(wave.float())[0, 0].double().numpy()
    assert abs(single - ours).max() < 3e-4  # of a logarithm whose floor is 1e-6: quiet mels cancel in single precision
    assert np.median(abs(single - ours)) < 1e-6


@pytest.mark.parametrize("rate", RATES)
def test_transformers_sees_the_same(rate: int) -> None:
    audio = pytest.importorskip("transformers.audio_utils")
    front = front_end_for(rate=rate, length=rate)
    weights = audio.mel_filter_bank(
        front.window // 2 + 1, front.mels, front.low, front.high, rate, norm="slaney", mel_scale="slaney"
    )
    if front.window % 2 == 0:  # of an odd window they place the frequencies as of an even one
        assert abs(weights.T - mel_weights(rate, front.window, front.mels, front.low, front.high)).max() < 1e-12
    power = audio.spectrogram(
        sound(rate),
        audio.window_function(front.window, "hann", periodic=True),
        frame_length=front.window,
        hop_length=front.hop,
        fft_length=front.window,
        power=2.0,
        center=True,
        pad_mode="constant",
        dtype=np.float64,
    )
    ours = front(torch.from_numpy(sound(rate))[None])[0, 0].numpy()
    theirs = np.log(mel_weights(rate, front.window, front.mels, front.low, front.high) @ power + front.floor)
    assert theirs.shape == ours.shape
    assert abs(theirs - ours).max() < 1e-6  # they square a complex64 spectrum


def test_whole_numbers_of_16_bits_are_the_floats_that_they_stand_for() -> None:
    front = front_end_for(rate=8000, length=800)
    levels = torch.randint(-(2**15), 2**15, (3, 800), dtype=torch.int16)
    assert torch.equal(front(levels), front(levels.float() / 2**15))


@given(st.integers(8, 48), st.integers(100, 3000))
def test_frames_are_one_more_than_whole_hops(kilohertz: int, length: int) -> None:
    front = front_end_for(rate=1000 * kilohertz, length=length)
    assert front(torch.zeros(2, length)).shape == (2, 1, *front.shape)
    assert front.shape == (40, 1 + length // front.hop)


def test_silence_is_the_floor_and_finite() -> None:
    front = front_end_for(rate=8000, length=800)
    assert torch.allclose(front(torch.zeros(1, 800)), torch.tensor(front.floor).log())


def test_a_front_end_is_a_value_that_prints_its_numbers() -> None:
    front = front_end_for(rate=16000, length=16000)
    assert front == LogMel(16000, 16000, 480, 160, 40, 20, 4000)
    assert str(front) == (
        "log-mel(rate=16000, length=16000, window=480, hop=160, mels=40, low=20, high=4000, floor=1e-06)"
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mels": 400}, "take fewer mels or a longer window"),
        ({"high": 5000.0}, "within 0 … 4000 Hz, half the rate"),
        ({"low": 4000.0}, "low below high"),
        ({"hop": 0}, "must be above 0"),
        ({"floor": 0.0}, "must be above 0"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(changed: dict, message: str) -> None:
    numbers = {"rate": 8000, "length": 8000, "window": 240, "hop": 80, "mels": 40, "low": 20.0, "high": 4000.0}
    with pytest.raises(UsageError, match=message):
        LogMel(**(numbers | changed))
