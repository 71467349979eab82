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
from calando.language import message
from calando.tasks.data import DataEntry
from calando.tasks.data.arrays import content_of
from calando.tasks.data.csv_file import ENCODINGS, refuse_other_encoding
from calando.tasks.data.options import Option, Value
from calando.tasks.data.parquet_files import find_files, passed_over_in
from calando.tasks.data.parts import printable
from calando.tasks.data.samples import SampleData, SamplePart
from calando.tasks.labels import TEST_FRACTION

__all__ = ["ENTRIES", "read_text"]

LENGTH = 64
_MOST_BYTES, _SHOWN = 2**28, 24
_ADVICE = message("; give a smaller file, or a torch Dataset, which is read sample by sample")


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
            raise DataError(
                message(
                    "{path}: has train*.txt but no test*.txt; name the one file, whose last fifth is cut off", path=path
                )
            )
        notes += [*passed_over_in(path, files), *files.notes]
        texts = [_tokens(part, level, encoding) for part in (files.train, files.test)]
        origins = [str(part[0] if len(part) == 1 else path) for part in (files.train, files.test)]
    elif path.is_file():
        whole = _tokens([path], level, encoding)
        cut = len(whole) - round(TEST_FRACTION * len(whole))
        texts, origins = [whole[:cut], whole[cut:]], [str(path), message("{path} (its last fifth)", path=path)]
    else:
        raise DataError(message("{path}: there is no such file or folder", path=path))
    called, numbers = _numbered(texts, origins, level)
    windows = [_windows(tokens, length, origin) for tokens, origin in zip(numbers, origins, strict=True)]
    parts = [SamplePart(x, y, origin) for (x, y), origin in zip(windows, origins, strict=True)]
    rest = [len(tokens) - len(x) * (length + 1) for tokens, (x, _) in zip(numbers, windows, strict=True)]
    how = "" if path.is_dir() else message(", the last fifth")
    summary = message(
        "{path}: {count:,} bytes, windows of {length} that share none; train {train:,}, test {test:,} windows{how}; "
        "{rest} and {rest2} bytes at the ends fill no window"
        if level == "bytes"
        else "{path}: {count:,} characters, windows of {length} that share none; train {train:,}, test {test:,} "
        "windows{how}; {rest} and {rest2} characters at the ends fill no window",
        path=path,
        count=sum(map(len, texts)),
        length=length,
        train=len(parts[0]),
        test=len(parts[1]),
        how=how,
        rest=rest[0],
        rest2=rest[1],
    )
    vocabulary = message("{path}: {what}", path=path, what=_vocabulary(called, level))
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
                message(
                    "{file}: line {line} is not {encoding} ({hex} in hexadecimal); name the encoding behind "
                    "the path, as encoding=latin-1, or take level=bytes",
                    file=file,
                    line=line,
                    encoding=encoding,
                    hex=content[error.start : error.start + 1].hex(),
                )
            ) from error
        pieces.append(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4"))
    return np.concatenate(pieces)


def _numbered(texts: Sequence[np.ndarray], origins: Sequence[str], level: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """What occurs in the training part, in order; the tokens of each part by number."""
    for tokens, origin in zip(texts, origins, strict=True):
        if not len(tokens):
            raise DataError(message("{origin}: holds no text", origin=origin))
    known = np.unique(texts[0])
    if len(known) < 2:
        raise DataError(
            message(
                "{origin}: holds a single kind of byte; there is nothing to learn"
                if level == "bytes"
                else "{origin}: holds a single kind of character; there is nothing to learn",
                origin=origins[0],
            )
        )
    if level == "bytes":
        return known, [tokens.astype(np.int64) for tokens in texts]
    made = []
    for tokens, origin in zip(texts, origins, strict=True):
        places = np.searchsorted(known, tokens).clip(max=len(known) - 1)
        if (strange := np.flatnonzero(known[places] != tokens)).size:
            character = chr(int(tokens[strange[0]]))
            raise DataError(
                message(
                    "{origin}: character {character} (number {place} there; {count} in all) is not in the "
                    "training part, so it cannot be predicted; take level=bytes, or take it out",
                    origin=origin,
                    character=quote(character),
                    place=int(strange[0]),
                    count=strange.size,
                )
            )
        made.append(places.astype(np.int64))
    return known, made


def _windows(tokens: np.ndarray, length: int, origin: str) -> tuple[np.ndarray, np.ndarray]:
    count = len(tokens) // (length + 1)
    if not count:
        raise DataError(
            message(
                "{origin}: {count} tokens are fewer than a window and the token after it ({least}); "
                "choose a smaller length=",
                origin=origin,
                count=len(tokens),
                least=length + 1,
            )
        )
    table = tokens[: count * (length + 1)].reshape(count, length + 1)
    return np.ascontiguousarray(table[:, :-1]), np.ascontiguousarray(table[:, 1:])


def _scores(vocabulary: int, length: int) -> int:
    """One more where scores [N, L, V] would look like [N, V, L]; the last is never right, and soon never chosen."""
    return vocabulary + (vocabulary == length)


def _vocabulary(called: np.ndarray, level: str) -> str:
    if level == "bytes":
        return message(
            "a network gives 256 scores a token; {count} of 256 bytes occur in the training part", count=len(called)
        )
    shown = "".join(chr(int(one)) for one in called[:_SHOWN])
    return message(
        "vocabulary of the training part: {count} characters ({shown!r} …)"
        if len(called) > _SHOWN
        else "vocabulary of the training part: {count} characters ({shown!r})",
        count=len(called),
        shown=shown,
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
