"""Text -> windows in which each token is predicted from those before it: text:FILE, of bytes or characters.

    tokens     bytes: 0 … 255, of any file; or characters: those of the training part, by their code points
    windows    inputs[i] = tokens[i s : i s + L],  targets[i] = tokens[i s + 1 : i s + L + 1],   s = L + 1,  L = length
    judged by  perplexity = exp(mean cross-entropy of a token), lower is better

Windows share no token. One text is cut by position, before windows are made: its last fifth is the test part; a
validation part is the end of what is left. A character that the training part has not is refused: with level=bytes
there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calando.errors import DataError, quote
from calando.tasks.data import DataEntry
from calando.tasks.data.arrays import content_of
from calando.tasks.data.csv_file import ENCODINGS, refuse_other_encoding
from calando.tasks.data.options import Option, Value
from calando.tasks.data.parquet_files import find_files
from calando.tasks.data.parts import printable
from calando.tasks.data.samples import SampleData, SamplePart
from calando.tasks.labels import TEST_FRACTION

__all__ = ["ENTRIES", "read_text"]

LENGTH = 64
_MOST_BYTES, _SHOWN = 2**28, 24
_ADVICE = "; give a smaller file, or a torch Dataset, which is read sample by sample"


def read_text(path: Path, **options: Value) -> SampleData:
    """A file, or a folder with train.txt and test.txt.

    Raises:
        DataError: missing, not of that encoding, too short, of one character, or with a character that the training
            part has not.
    """
    level, length = str(options.get("level", "characters")), int(options.get("length", LENGTH))
    encoding, notes = str(options.get("encoding", "utf-8")), list[str]()
    if path.is_dir():
        files = find_files(path, ending="txt")
        if not files.test:
            raise DataError(f"{path}: has train*.txt but no test*.txt; name the one file, whose last fifth is cut off")
        notes += [f"{path}: passed over: {'; '.join(files.passed_over)}"] if files.passed_over else []
        notes += files.notes
        texts = [_tokens(part, level, encoding) for part in (files.train, files.test)]
        origins = [str(part[0] if len(part) == 1 else path) for part in (files.train, files.test)]
    elif path.is_file():
        whole = _tokens([path], level, encoding)
        cut = len(whole) - round(TEST_FRACTION * len(whole))
        texts, origins = [whole[:cut], whole[cut:]], [str(path), f"{path} (its last fifth)"]
    else:
        raise DataError(f"{path}: there is no such file or folder")
    called, numbers = _numbered(texts, origins, level)
    windows = [_windows(tokens, length, origin) for tokens, origin in zip(numbers, origins, strict=True)]
    parts = [SamplePart(x, y, origin) for (x, y), origin in zip(windows, origins, strict=True)]
    rest = [len(tokens) - len(x) * (length + 1) for tokens, (x, _) in zip(numbers, windows, strict=True)]
    how = "" if path.is_dir() else ", the last fifth"
    summary = (
        f"{path}: {sum(map(len, texts)):,} {level}, windows of {length} that share none; train {len(parts[0]):,}, test "
        f"{len(parts[1]):,} windows{how}; {rest[0]} and {rest[1]} {level} at the ends fill no window"
    )
    vocabulary = f"{path}: {_vocabulary(called, level)}"
    return SampleData(
        train=parts[0],
        test=parts[1],
        loss="cross_entropy",
        metric="perplexity",
        outputs=_scores(len(called) if level == "characters" else 256, length),
        cut=not path.is_dir(),
        by_position=True,
        notes=tuple(printable(note) for note in (summary, vocabulary, *notes)),
    )


def _tokens(files: Sequence[Path], level: str, encoding: str) -> np.ndarray:
    """Bytes, or code points, of the files one after the other."""
    pieces = []
    for file in files:
        content = content_of(file, most=_MOST_BYTES, advice=_ADVICE)
        if level == "bytes":
            pieces.append(np.frombuffer(content, dtype=np.uint8))
            continue
        refuse_other_encoding(file, content, encoding)
        try:
            text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise DataError(
                f"{file}: line {line} is not {encoding} ({content[error.start : error.start + 1].hex()} in hexadecimal)"
                "; name the encoding behind the path, as encoding=latin-1, or take level=bytes"
            ) from error
        pieces.append(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4"))
    return np.concatenate(pieces)


def _numbered(texts: Sequence[np.ndarray], origins: Sequence[str], level: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """What occurs in the training part, in order; the tokens of each part by number."""
    for tokens, origin in zip(texts, origins, strict=True):
        if not len(tokens):
            raise DataError(f"{origin}: holds no text")
    known = np.unique(texts[0])
    if len(known) < 2:
        raise DataError(f"{origins[0]}: holds a single kind of {level[:-1]}; there is nothing to learn")
    if level == "bytes":
        return known, [tokens.astype(np.int64) for tokens in texts]
    made = []
    for tokens, origin in zip(texts, origins, strict=True):
        places = np.searchsorted(known, tokens).clip(max=len(known) - 1)
        if (strange := np.flatnonzero(known[places] != tokens)).size:
            character = chr(int(tokens[strange[0]]))
            raise DataError(
                f"{origin}: character {quote(character)} (number {int(strange[0])} there; {strange.size} in all) is not"
                " in the training part, so it cannot be predicted; take level=bytes, or take it out"
            )
        made.append(places.astype(np.int64))
    return known, made


def _windows(tokens: np.ndarray, length: int, origin: str) -> tuple[np.ndarray, np.ndarray]:
    count = len(tokens) // (length + 1)
    if not count:
        raise DataError(
            f"{origin}: {len(tokens)} tokens are fewer than a window and the token after it ({length + 1}); choose a "
            "smaller length="
        )
    table = tokens[: count * (length + 1)].reshape(count, length + 1)
    return np.ascontiguousarray(table[:, :-1]), np.ascontiguousarray(table[:, 1:])


def _scores(vocabulary: int, length: int) -> int:
    """One more where scores [N, L, V] would look like [N, V, L]; the last is never right, and soon never chosen."""
    return vocabulary + (vocabulary == length)


def _vocabulary(called: np.ndarray, level: str) -> str:
    if level == "bytes":
        return f"a network gives 256 scores a token; {len(called)} of 256 bytes occur in the training part"
    shown = "".join(chr(int(one)) for one in called[:_SHOWN])
    return (
        f"vocabulary of the training part: {len(called)} characters ({shown!r}{' …' if len(called) > _SHOWN else ''})"
    )


ENTRIES = (
    DataEntry(
        name="text:FILE",
        description="text, whose next characters or bytes are predicted; or a folder with train.txt and test.txt",
        model="gru-128",
        batch_size=32,
        read=read_text,
        options=(
            Option("level", "what a token is", choices=("characters", "bytes")),
            Option("length", f"tokens of a window; {LENGTH}", least=2),
            Option("encoding", "of the file, where tokens are characters", choices=ENCODINGS),
        ),
        endings=("txt",),
    ),
)
