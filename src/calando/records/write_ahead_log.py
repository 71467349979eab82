"""Is SQLite's write-ahead log whole? SQLite itself reads it up to the first damage and says nothing of the rest.

    header    magic, version, page size, number, salt 1, salt 2, checksum          32 bytes
    frame     page, commit, salt 1, salt 2, checksum                               24 bytes, and a page
    commit    above 0 in the last frame of a transaction

    checksum  of all before it: (a, b) -> (a + b + x, a + 2 b + x + y) mod 2^32 for each pair of words x, y

A kill leaves a log that ends early: what follows is cut short, or of an older log, with other salts. Damage leaves
whole frames after one that is not, or a last frame of full length that is not whole.

Source: https://www.sqlite.org/fileformat2.html, section 4, *The Write-Ahead Log*.
"""

from __future__ import annotations

import functools
import struct
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calando.records.plain_file import read_plain

__all__ = ["lost_commits"]

Words = NDArray[np.uint32]

HEADER, FRAME = 32, 24
MAGIC, BIG_ENDIAN = 0x377F0682, 1
AGAIN_SECONDS = 0.05
LONGEST = 2**31


def lost_commits(path: Path) -> int:
    """How many transactions are lost to damage in the log of the store at `path`.

    0 for a log that is whole, ends early, or is not there. May be called while others write.
    """
    log = path.with_name(f"{path.name}-wal")
    lost = _lost(log)
    if lost:
        # Read while somebody wrote it, it may look so; then it looks otherwise the next time.
        time.sleep(AGAIN_SECONDS)
        lost = min(lost, _lost(log))
    return lost


def _lost(log: Path) -> int:
    try:
        data = read_plain(log, most=LONGEST)
    except OSError:
        return 0
    if len(data) <= HEADER:
        return 0
    magic, _, size, _, *salts = struct.unpack(">6I", data[:24])
    if magic | BIG_ENDIAN != MAGIC | BIG_ENDIAN or size & (size - 1) or not 512 <= size <= 65536:
        # The header says nothing, so nobody knows how many there were.
        return 1
    order = ">u4" if magic & BIG_ENDIAN else "<u4"
    before = struct.unpack(">2I", data[24:32])
    whole = _checksum(np.frombuffer(data[:24], order), (0, 0)) == before
    broken, after = 0, 0
    ends = len(data) - FRAME - size
    for start in range(HEADER, ends + 1, FRAME + size):
        _, commit, *rest = struct.unpack(">6I", data[start : start + FRAME])
        words = np.frombuffer(data[start : start + 8] + data[start + FRAME : start + FRAME + size], order)
        sound = rest[:2] == salts and _checksum(words, before) == tuple(rest[2:])
        if whole and not sound:
            if start == ends:
                return 1
            broken = int(commit > 0)
        whole = whole and sound
        if commit and sound and not whole:
            after += 1
        before = (rest[2], rest[3])
    # With nothing whole behind it, what is broken may be what a kill left in the midst of, over an older log.
    return broken + after if after else 0


def _checksum(words: NDArray[np.generic], before: tuple[int, ...]) -> tuple[int, int]:
    """Over an even number of words, from the checksum of what stands before them."""
    factors, (aa, ab, ba, bb) = _factors(len(words))
    own = (factors * words.astype(np.uint32)).sum(axis=1, dtype=np.uint32)
    a, b = before
    return (aa * a + ab * b + int(own[0])) % 2**32, (ba * a + bb * b + int(own[1])) % 2**32


@functools.cache
def _factors(count: int) -> tuple[Words, tuple[int, int, int, int]]:
    """How much each word counts in the sums a and b, and how much the sums before them do."""
    rows = np.zeros((2, count), dtype=np.uint32)
    aa, ab, ba, bb = 1, 0, 0, 1  # the matrix [[1, 1], [1, 2]] to the power of the pairs that follow
    for place in range(count - 2, -1, -2):
        rows[:, place] = (aa + ab) % 2**32, (ba + bb) % 2**32
        rows[:, place + 1] = ab, bb
        aa, ab, ba, bb = (one % 2**32 for one in (aa + ab, aa + 2 * ab, ba + bb, ba + 2 * bb))
    return rows, (aa, ab, ba, bb)
