"""One recording -> numbers: float32[frames] of one channel, full scale at -1 and 1.

    PCM WAV       8, 16, 24 or 32 bits, read by Python's own `wave`
    anything else FLAC, OGG, WAV of floats: by the package soundfile, where it is installed

    x = v / 2^(b-1)    of signed b bits; of 8 bits (v - 128) / 128

Up to 24 bits no level is lost. Several channels are mixed: their mean.
"""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass

import numpy as np

from calando.errors import DataError, UsageError, line_of, reason_of
from calando.language import message

__all__ = ["EXTENSIONS", "Clip", "read_clip"]

EXTENSIONS = (".flac", ".ogg", ".wav")

_FINE = ("PCM_S8", "PCM_U8", "PCM_16")
_PCM, _EXTENSIBLE = b"\x01\x00", b"\xfe\xff"
_MOST_FRAMES = 2**28  # 1 GiB of float32: of one recording, more is no clip


@dataclass(frozen=True, eq=False)
class Clip:
    """One recording.

    Args:
        levels: [frames], mixed to one channel: int16, whose full scale is 2^15, where that keeps every level; float32.
        rate: Hz.
        channels: how many were mixed.
        bits: of a sample as it was written; 0: not whole numbers.
    """

    levels: np.ndarray
    rate: int
    channels: int
    bits: int

    @property
    def is_fine(self) -> bool:
        """Whether whole numbers of 16 bits keep every level."""
        return self.levels.dtype == np.int16

    @property
    def samples(self) -> np.ndarray:
        """float32[frames]."""
        return self.levels.astype(np.float32) / np.float32(2**15) if self.is_fine else self.levels


def read_clip(content: bytes, *, origin: str) -> Clip:
    """Decode one file.

    >>> file = io.BytesIO()
    >>> with wave.open(file, "wb") as out:
    ...     out.setparams((1, 2, 8000, 0, "NONE", ""))
    ...     out.writeframes(np.array([0, 16384], "<i2").tobytes())
    >>> read_clip(file.getvalue(), origin="a.wav").samples.tolist()
    [0.0, 0.5]

    Args:
        content: the bytes of the file.
        origin: what to call it in an error.

    Raises:
        UsageError: no PCM WAV, and soundfile is not installed.
        DataError: damaged, cut off or empty.
    """
    try:
        with wave.open(io.BytesIO(_tagged(content))) as file:
            clip = _pcm(file, origin=origin)
    except (wave.Error, EOFError, RuntimeError) as error:
        clip = _by_soundfile(content, origin=origin, why=line_of(error) or message("it ends within its header"))
    if not len(clip.levels):
        raise DataError(message("{origin}: holds no samples; remove it", origin=origin))
    if not clip.is_fine and not np.isfinite(clip.levels).all():
        raise DataError(message("{origin}: holds a NaN or infinite value; correct or remove it", origin=origin))
    return clip


def _tagged(content: bytes) -> bytes:
    """The file, called PCM where its form is "extensible" and PCM within: Python before 3.12 does not look there."""
    at = 12
    while content[:4] == b"RIFF" and at + 48 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        if name == b"fmt ":
            tag, within = content[at + 8 : at + 10], content[at + 32 : at + 34]
            pcm = size >= 40 and tag == _EXTENSIBLE and within == _PCM
            return content[: at + 8] + _PCM + content[at + 10 :] if pcm else content
        at += 8 + size + size % 2
    return content


def _pcm(file: wave.Wave_read, *, origin: str) -> Clip:
    channels, width, rate, frames = file.getparams()[:4]
    if channels < 1 or width not in (1, 2, 3, 4) or rate < 1:
        raise DataError(
            message(
                "{origin}: its header says {channels} channels of {bits} bits at {rate} Hz; write it again",
                origin=origin,
                channels=channels,
                bits=8 * width,
                rate=rate,
            )
        )
    if frames > _MOST_FRAMES:
        raise DataError(
            message(
                "{origin}: its header says {frames:,} frames, more than the {most:,} that are read",
                origin=origin,
                frames=frames,
                most=_MOST_FRAMES,
            )
        )
    content = file.readframes(frames)
    if len(content) != frames * channels * width:
        whole = len(content) // (channels * width)
        raise DataError(
            message(
                "{origin}: is cut off: {whole:,} of {frames:,} frames are there; fetch or write it again",
                origin=origin,
                whole=whole,
                frames=frames,
            )
        )
    if channels == 1 and width <= 2:
        fine = np.frombuffer(content, "<i2") if width == 2 else (np.frombuffer(content, np.uint8) - np.int16(128)) * 256
        return Clip(fine.astype(np.int16), rate, channels, 8 * width)
    return Clip(_mixed(_levels(content, width), channels), rate, channels, 8 * width)


def _levels(content: bytes, width: int) -> np.ndarray:
    if width == 1:
        return (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / np.float32(128)
    if width == 3:
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)  # the upper bytes of 32 bits
        return wide.view("<i4")[:, 0].astype(np.float64).astype(np.float32) / np.float32(2**31)
    return np.frombuffer(content, f"<i{width}").astype(np.float32) / np.float32(2 ** (8 * width - 1))


def _mixed(samples: np.ndarray, channels: int) -> np.ndarray:
    if channels == 1:
        return samples
    mixed: np.ndarray = samples.reshape(-1, channels).mean(1, dtype=np.float64).astype(np.float32)
    return mixed


def _by_soundfile(content: bytes, *, origin: str, why: str) -> Clip:
    if not content:
        raise DataError(message("{origin}: is empty; remove it or fetch it again", origin=origin))
    try:
        import soundfile
    except (ModuleNotFoundError, OSError) as error:  # the latter: its library does not load
        raise UsageError(
            message(
                "{origin}: is no PCM WAV file ({why}); FLAC, OGG and WAV of floats need soundfile: pip "
                "install 'calando[speech]'",
                origin=origin,
                why=why,
            )
        ) from error
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if file.frames > _MOST_FRAMES:
                raise DataError(
                    message(
                        "{origin}: says it has {frames:,} frames, more than the {most:,} read",
                        origin=origin,
                        frames=file.frames,
                        most=_MOST_FRAMES,
                    )
                )
            fine = file.subtype in _FINE and file.channels == 1
            levels = file.read(dtype="int16" if fine else "float32", always_2d=True).reshape(-1)
            bits = 16 if file.subtype in _FINE else 0
            return Clip(_mixed(levels, file.channels), file.samplerate, file.channels, bits)
    except (RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            message("{origin}: cannot be decoded ({reason}); fetch it again", origin=origin, reason=reason_of(error))
        ) from error
