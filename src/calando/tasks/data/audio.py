"""Recordings of any rate and length -> one array a part, and what a network sees of them.

    mono      several channels are mixed (`wav.py`)
    rate      the most common one of the training part, or `rate=`; others are resampled (scipy's `resample_poly`)
    length    `milliseconds=`; else the length that holds 99 % of the training part whole, rounded up to 100 ms: shorter
              recordings are followed by zeros, longer ones lose their end

Recordings are int16 where 16 bits keep every level of all, else float32. The front end is `front_end.py`'s for that
rate and length. What was done to how many recordings is in the notes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calando.errors import DataError
from calando.language import joined, message
from calando.tasks.data.arrays import Part, with_test
from calando.tasks.data.parts import classes_in, printable, repeats
from calando.tasks.data.wav import Clip, read_clip
from calando.tasks.front_end import MELS, LogMel, front_end_for

__all__ = ["AudioData", "AudioForm", "Listed", "audio_data", "with_note"]

_LIMIT_BYTES = 8 * 2**30
_HELD, _STEP_MS = 0.99, 100
_RATES = (1000, 384_000)  # Hz


@dataclass(frozen=True)
class AudioForm:
    """What a person asks of the recordings; what is None is chosen by the data.

    Args:
        rate: Hz, to which all are resampled.
        milliseconds: to which all are cut or filled.
        mels: rows of the log-mel picture.
    """

    rate: int | None = None
    milliseconds: int | None = None
    mels: int = MELS


@dataclass(frozen=True, eq=False)
class AudioData:
    """A speech data set as read; the parts' `images` are recordings, int16 or float32 [N, T].

    Args:
        train, test: parts.
        validation: None: it is cut from `train`.
        front_end: what a recording is turned into.
        background: recordings of noise alone, float32, each of at least T samples.
        class_names: for display.
        notes: sentences for the person: how the reader understood what it found.
        cut: the test part was cut off from one whole.
    """

    train: Part
    test: Part
    validation: Part | None
    front_end: LogMel
    background: tuple[np.ndarray, ...]
    class_names: tuple[str, ...] | None
    notes: tuple[str, ...]
    cut: bool


@dataclass(frozen=True, eq=False)
class Listed:
    """The recordings of one part before they are decoded.

    Args:
        name: what it is called in the notes: "train".
        origin: what it is called in an error.
        files: (what to call it, its bytes) of each, read one by one.
        labels: int64[N].
    """

    name: str
    origin: str
    files: Iterable[tuple[str, bytes]]
    labels: np.ndarray


def audio_data(
    path: object,
    parts: Sequence[Listed],
    *,
    form: AudioForm,
    class_names: tuple[str, ...] | None,
    validation: Listed | None = None,
    background: Iterable[tuple[str, bytes]] = (),
    passed_over: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> AudioData:
    """Decode the parts and make them alike.

    Args:
        path: what was read, for the notes.
        parts: the training part and the test part, or one whole, of which a fifth becomes the test part.
        background: recordings of noise alone.
        passed_over: what was found and not read, each with the reason.
        notes: what else the reader did.

    Raises:
        UsageError: a rate or length that cannot be; a recording that needs soundfile, which is not installed.
        DataError: a recording that cannot be decoded, too many for memory, or parts that do not fit.
    """
    listed = [*parts, *([validation] if validation else [])]
    clips = [[read_clip(content, origin=name) for name, content in part.files] for part in listed]
    for part, those in zip(listed, clips, strict=True):
        if not those:
            raise DataError(
                message("{origin}: holds no recordings; give at least one of each class", origin=part.origin)
            )
    noise = [read_clip(content, origin=name) for name, content in background]
    rate, said = _common_rate(clips, form)
    fine = all(clip.is_fine and clip.rate == rate for those in clips for clip in those)
    waves = [[clip.levels if fine else _resampled(clip, rate) for clip in those] for those in clips]
    length, cut = _common_length(waves, rate, form)
    arrays = [_array(those, length, fine=fine, origin=part.origin) for those, part in zip(waves, listed, strict=True)]
    said += cut
    front = front_end_for(rate=rate, length=length, mels=form.mels)
    read = [Part(array, part.labels, part.origin) for array, part in zip(arrays, listed, strict=True)]
    if len(parts) == 1:
        whole = with_test(read[0], class_names=class_names)
        train, test = whole.train, whole.test
    else:
        train, test = read[:2]
    held = read[-1] if validation else None
    shown = {"train": train.labels, **({"validation": held.labels} if held else {}), "test": test.labels}
    if class_names is None:  # a damaged file may hold any number: none is counted up to
        called = {int(number): str(number) for number in np.unique(np.concatenate(list(shown.values())))}
    else:
        called = dict(enumerate(class_names))
    summary = message(
        "{path}: {classes}, a fifth of the whole" if len(parts) == 1 else "{path}: {classes}",
        path=printable(str(path)),
        classes=classes_in(shown, {number: printable(name) for number, name in called.items()}),
    )
    if passed_over:
        left = joined("{one}; {other}", map(printable, passed_over))
        summary = message("{summary}; passed over: {left}", summary=summary, left=left)
    background_waves = _background(noise, rate, length)
    if noise:
        seconds = sum(map(len, background_waves)) / rate
        said.append(
            message(
                "background noise for noise(low, high): {count} recordings, {seconds:.0f} s in all",
                count=len(noise),
                seconds=seconds,
            )
        )
    return AudioData(
        train=train,
        test=test,
        validation=held,
        front_end=front,
        background=background_waves,
        class_names=class_names,
        notes=(
            summary,
            *notes,
            message("recordings: {said}", said=joined("{one}; {other}", said)),
            message("a network sees {front}, {seen}", front=str(front), seen=_seen(front)),
            *repeats((train.images, train.labels), (test.images, test.labels), how=message("sample by sample")),
        ),
        cut=len(parts) == 1,
    )


def with_note(data: AudioData, note: str) -> AudioData:
    """The same, with one more sentence."""
    return replace(data, notes=(*data.notes, note))


def _seen(front: LogMel) -> str:
    mels, frames = front.shape
    ms = 1000 / front.rate
    return message(
        "{mels} mels x {frames} frames: {window:g} ms windows every {hop:g} ms",
        mels=mels,
        frames=frames,
        window=front.window * ms,
        hop=front.hop * ms,
    )


def _common_rate(clips: Sequence[Sequence[Clip]], form: AudioForm) -> tuple[int, list[str]]:
    """Hz; and of how many recordings what was changed."""
    every = [clip for those in clips for clip in those]
    rates = Counter(clip.rate for clip in every)
    trained = Counter(clip.rate for clip in clips[0])
    rate = form.rate or min(trained, key=lambda one: (-trained[one], one))
    if not _RATES[0] <= rate <= _RATES[1]:
        raise DataError(
            message(
                "rate must be {low} … {high} Hz, got {rate}; set it with rate=, as in rate=16000",
                low=_RATES[0],
                high=_RATES[1],
                rate=rate,
            )
        )
    said: list[str] = [message("{count:,} at {rate} Hz, {bits}", count=len(every), rate=rate, bits=_bits(every))]
    said += [
        message("{count} resampled from {other} Hz (scipy.signal.resample_poly)", count=count, other=other)
        for other, count in sorted(rates.items())
        if other != rate
    ]
    if mixed := sum(clip.channels > 1 for clip in every):
        said.append(message("{mixed} of several channels, mixed to one", mixed=mixed))
    if wide := sum(clip.bits == 32 for clip in every):
        said.append(message("{wide} of 32 bits, of which float32 keeps 24", wide=wide))
    return rate, said


def _bits(clips: Sequence[Clip]) -> str:
    counted = Counter(clip.bits for clip in clips)
    named = {bits: message("{bits} bits", bits=bits) if bits else message("no whole numbers") for bits in counted}
    if len(counted) == 1:
        return next(iter(named.values()))
    ordered = sorted(counted, key=lambda bits: named[bits])
    return joined(
        "{one}, {other}", (message("{count} of {what}", count=counted[bits], what=named[bits]) for bits in ordered)
    )


def _resampled(clip: Clip, rate: int) -> np.ndarray:
    if clip.rate == rate:
        return clip.samples
    from scipy.signal import resample_poly  # here: it takes a tenth of a second, and few need it

    common = math.gcd(rate, clip.rate)
    made: np.ndarray = resample_poly(clip.samples.astype(np.float64), rate // common, clip.rate // common)
    return made.astype(np.float32)


def _common_length(waves: Sequence[Sequence[np.ndarray]], rate: int, form: AudioForm) -> tuple[int, list[str]]:
    """Samples; and of how many recordings what was changed."""
    lengths = np.array([len(wave) for those in waves for wave in those])
    if form.milliseconds is not None:
        length, why = round(form.milliseconds * rate / 1000), message("as asked")
    else:
        trained = np.sort([len(wave) for wave in waves[0]])
        held = int(trained[math.ceil(_HELD * len(trained)) - 1])
        length = math.ceil(held * 1000 / rate / _STEP_MS) * _STEP_MS * rate // 1000
        why = message("which holds 99 % of the training part whole")
    shortest, longest = lengths.min() / rate, lengths.max() / rate
    said: list[str] = [
        message(
            "{shortest:.3g} to {longest:.3g} s long, made {length:g} s, {why}",
            shortest=shortest,
            longest=longest,
            length=length / rate,
            why=why,
        )
    ]
    if short := int((lengths < length).sum()):
        said.append(message("{short} shorter ones followed by zeros", short=short))
    if long := int((lengths > length).sum()):
        lost = float(np.maximum(lengths - length, 0).sum() / rate)
        said.append(
            message(
                "{long} longer ones cut at their end, {lost:.3g} s in all; milliseconds= sets another length",
                long=long,
                lost=lost,
            )
        )
    return length, said


def _array(waves: Sequence[np.ndarray], length: int, *, fine: bool, origin: str) -> np.ndarray:
    kind = np.dtype(np.int16 if fine else np.float32)
    if len(waves) * length * kind.itemsize > _LIMIT_BYTES:
        raise DataError(
            message(
                "{origin}: {count:,} recordings of {length:,} samples take more than {most} GiB "
                "of memory; choose a lower rate= or fewer milliseconds=",
                origin=origin,
                count=len(waves),
                length=length,
                most=_LIMIT_BYTES >> 30,
            )
        )
    made = np.zeros((len(waves), length), kind)
    for row, wave in zip(made, waves, strict=True):
        row[: len(wave)] = wave[:length]
    return made


def _background(clips: Sequence[Clip], rate: int, length: int) -> tuple[np.ndarray, ...]:
    """Shorter ones are repeated until they fill a recording."""
    waves = [_resampled(clip, rate) for clip in clips]
    return tuple(np.resize(wave, length) if len(wave) < length else wave for wave in waves)
