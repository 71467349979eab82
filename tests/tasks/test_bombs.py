"""Files that unpack to far more than they are long, lie about their size or never end: a line, soon."""

import gzip
import io
import os
import pickle
import socket
import struct
import time
import tracemalloc
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from calando.errors import CalandoError
from calando.strategy import read_strategy
from calando.tasks.data import images
from calando.tasks.data.folder import read_folder
from calando.tasks.data.named_datasets import read_binary, read_idx, read_pickled
from calando.tasks.data.npz import read_npz
from calando.tasks.data.parquet import read_parquet
from calando.tasks.data.safe_pickle import load_arrays
from calando.tasks.fetch import open_data

SECONDS, MEBIBYTES = 5.0, 96  # on a busy machine; alone they take a tenth


@contextmanager
def refused(*words, memory=MEBIBYTES):
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(CalandoError) as caught:
        yield
    spent, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert spent < SECONDS
    assert peak < memory * 2**20
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 600
    for word in words:
        assert word in said


def header(*shape):
    return b"\x00\x00\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2**32 - 1, 2**32 - 1, 2**32 - 1), "its header says"),
        ((60_000, 28_000, 28), "its header says"),
        ((1000, 10, 10), "holds more than 100000 bytes of data where its header says 100000"),
        ((0, 28, 28), "holds more than 0 bytes"),
        ((1,) * 255, "in 255 axes"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_an_idx_file_that_goes_on_or_says_too_much(tmp_path, shape, words, packed):
    path = tmp_path / ("x.gz" if packed else "x")
    content = header(*shape) + bytes(40 * 2**20)
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    with refused(words):
        read_idx(path)


def test_an_idx_file_of_many_small_gzip_members_without_end(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(header(4, 2, 2)) + gzip.compress(bytes(2**20)) * 1000)
    with refused("holds more than 16 bytes"):
        read_idx(path)


def test_an_idx_file_that_is_cut_short_under_a_large_header(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(header(60_000, 28, 28) + bytes(5)))
    with refused("holds 5 bytes of data where its header says 47040000"):
        read_idx(path)


def member(shape, content=b"", dtype="|u1"):
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


def archive(path, claimed=None, **members):
    """`claimed`: what the archive's list says of the first member's length."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    if claimed is not None:
        raw = path.read_bytes()
        place = raw.index(b"PK\x01\x02") + 24
        path.write_bytes(raw[:place] + struct.pack("<I", claimed) + raw[place + 4 :])
    return path


LABELS = member((4,), bytes([0, 1, 0, 1]))


@pytest.mark.parametrize(
    ("images", "claimed", "words"),
    [
        (member((10**6, 1, 10**6, 10**6)), None, "its header says"),
        (member((4, 8, 8), bytes(40 * 2**20)), None, "its header says"),
        (member((4, 8, 8), bytes(256)), 2**32 - 2, "would unpack to 4,294,967,"),
        (member((2**32 - 2 - 128,), bytes(256)), 2**32 - 2, "would unpack to"),
        (member((10**12, 8, 8), dtype="|V0"), None, "its header says"),
        (member((4, 8, 8), dtype="|O"), None, "allow_pickle"),
        (bytes(40 * 2**20), None, "not an archive that can be read"),
    ],
)
def test_an_archive_whose_members_lie(tmp_path, images, claimed, words):
    path = archive(tmp_path / "x.npz", claimed, images=images, labels=LABELS)
    with refused(words):
        read_npz(path)


def test_an_archive_of_other_members_unpacks_none_of_them(tmp_path):
    path = archive(tmp_path / "x.npz", **{f"bomb{i}": bytes(2**20) for i in range(60)})
    with refused("it holds bomb0, bomb1", "… (60)"):
        read_npz(path)
    with refused("would unpack"):
        read_npz(archive(tmp_path / "y.npz", 2**32 - 2, channels=member((4,), bytes(4)), images=LABELS, labels=LABELS))


def test_archives_of_savez_are_read_as_ever(tmp_path):
    x, y = np.asfortranarray(np.random.default_rng(0).integers(0, 255, (40, 8, 8), np.uint8)), np.arange(40) % 2
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "x.npz", images=x, labels=y, other=np.array([{}], dtype=object))
        found = read_npz(tmp_path / "x.npz")
        both = np.concatenate([found.train.images, found.test.images])
        assert sorted(map(bytes, both)) == sorted(bytes(np.ascontiguousarray(image)) for image in x)


def parquet(path, images, labels):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"image": images, "label": labels})
    pyarrow.parquet.write_table(table, path, row_group_size=100_000, dictionary_pagesize_limit=2**26)
    return path


def test_a_parquet_file_that_says_one_value_again_and_again(tmp_path):
    import pyarrow

    value = pyarrow.array([bytes(2**20)])
    images = pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.zeros(20_000, np.int32)), value)
    path = parquet(tmp_path / "x.parquet", images, pyarrow.array(np.zeros(20_000, np.int64)))
    assert path.stat().st_size < 2**21
    with refused():
        read_parquet(path)


def test_a_parquet_file_of_endless_rows(tmp_path, monkeypatch):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "x.parquet"
    schema = pyarrow.schema({"image": pyarrow.binary(), "label": pyarrow.int8()})
    rows = 100_000
    monkeypatch.setattr("calando.tasks.data.parquet_columns._MOST_ROWS", 5 * rows)
    table = pyarrow.table([pyarrow.nulls(rows, pyarrow.binary()), pyarrow.array(np.zeros(rows, np.int8))], schema)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for _ in range(6):
            writer.write_table(table, row_group_size=rows)
    assert path.stat().st_size < 2**20
    with refused("600,000 rows, more than the 500,000"):
        read_parquet(path)


def png(width, height, *, kind=0, bits=8, data=None):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    data = zlib.compress(bytes(2**20)) if data is None else data
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [
        png(20_000, 20_000),
        png(2**31 - 1, 2**31 - 1),
        png(30_000, 30_000, kind=6, bits=16),
        b"P5 100000 100000 255\n",
        b"P6 60000 60000 65535\n",
        b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00\xff\xd9",
        b"GIF89a\xff\xff\xff\xff\x00\x00\x00\x2c\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x00\x3b",
    ],
)
def test_pictures_of_more_pixels_than_can_be_meant(tmp_path, content):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(content)
    with refused("not an image that can be decoded"):
        read_folder(tmp_path)


def test_a_picture_file_without_end(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "x.png").open("wb") as file:
            file.truncate(2**40)
    with refused("is larger than 1 GiB"):
        read_folder(tmp_path)


def batches(folder, content):
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(content)


def again_and_again(text, times):
    """A pickle that makes bytes of one long text, as often as asked."""
    calls = b"".join(b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R" for _ in range(times))
    return b"\x80\x02X" + struct.pack("<I", len(text)) + text + b"q\x00](" + calls + b"e."


def test_a_pickle_that_unpacks_to_more_than_it_holds():
    content = again_and_again(b"x" * 2**20, 2000)
    assert len(content) < 2**21
    with refused("unpacks to more than it holds"):
        load_arrays(content, origin="batch")


def test_a_pickle_of_arrays_that_share_one_text():
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    state = b"(K\x01J\x00\x00\x10\x00\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89h\x00tb"
    content = b"\x80\x02X\x00\x00\x10\x00" + b"x" * 2**20 + b"q\x00](" + (array + state) * 2000 + b"e."
    with refused("does not hold a dict"):
        load_arrays(content, origin="batch")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02(" + b"N" * 1_000_000 + b"l.",
        b"\x80\x02}("
        + b"".join(b"\x8a\x0a" + (k * (2**61 - 1)).to_bytes(10, "little") + b"N" for k in range(90_000))
        + b"u.",
        b"\x80\x02" + b"(" * 150_000 + b"t" * 150_000 + b".",
    ],
)
def test_a_pickle_of_endless_instructions_colliding_keys_and_depth(tmp_path, content):
    batches(tmp_path, content)
    with refused("damaged or not trustworthy", memory=128):
        read_pickled(tmp_path)


def test_a_published_batch_is_well_within_it(tmp_path):
    names = [f"leptodactylus_pentadactylus_s_{i:06}.png" for i in range(10_000)]
    pixels = np.zeros((10_000, 3072), np.uint8)
    batch = {b"data": pixels, b"labels": [i % 10 for i in range(10_000)], b"filenames": names, b"batch_label": b"x"}
    for protocol in (2, 4):
        found = load_arrays(pickle.dumps(batch, protocol=protocol), origin="batch")
        assert found["data"].shape == (10_000, 3072)


def a_fifo(path):
    os.mkfifo(path)
    return "a FIFO"


def a_device(path):
    path.symlink_to("/dev/zero")
    return "a device"


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # the whole path may be too long for it
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)
    return "a socket"


def a_folder(path):
    path.mkdir()
    return "directory"


KINDS = [a_fifo, a_device, a_socket, a_folder]


@pytest.mark.parametrize("make", KINDS)
def test_what_is_no_file_is_not_waited_for(tmp_path, make):
    kind = make(tmp_path / "mine.toml")
    with refused("mine.toml", kind):
        read_strategy(str(tmp_path / "mine.toml"))
    make(tmp_path / "x.npz")
    with refused("x.npz", kind):
        read_npz(tmp_path / "x.npz")
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"):
        make(tmp_path / name)
        with refused(name, kind):
            read_idx(tmp_path / name)
    make(tmp_path / "x.parquet")
    with refused("parquet"):
        read_parquet(tmp_path / "x.parquet")
    (tmp_path / "cifar").mkdir()
    for name in ("data_batch_1.bin", "data_batch_1"):
        make(tmp_path / "cifar" / name)
    for read in (read_binary, read_pickled):
        with refused("data_batch_1", kind):
            read(tmp_path / "cifar")


@pytest.mark.parametrize("make", KINDS)
def test_pictures_that_are_no_files(tmp_path, make):
    (tmp_path / "elsewhere").mkdir()
    make(tmp_path / "elsewhere" / "x.png")
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "x.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    with refused():
        read_folder(tmp_path / "data")
    for form in ("folder", "parquet", "npz"):
        make(tmp_path / f"the-{form}")
        with refused(f"the-{form}"):
            open_data(f"{form}:{tmp_path / f'the-{form}'}")


@pytest.mark.parametrize("make", KINDS)
def test_a_cache_that_is_no_file_is_passed_over(tmp_path, monkeypatch, make):
    monkeypatch.setattr(images, "cache_folder", lambda: tmp_path)
    source = tmp_path / "source"
    source.write_bytes(b"x")
    (tmp_path / "decoded").mkdir()
    make(tmp_path / "decoded" / f"{images._key([source], '')}.npy")
    assert images.cached([source], lambda: np.zeros((1, 1, 2, 2), np.uint8)).shape == (1, 1, 2, 2)


@pytest.mark.parametrize("content", ["a = " + "[" * 100_000, "a = " + "9" * 5000, "x" * (2**20 + 1)])
def test_a_strategy_file_that_is_too_much(tmp_path, content):
    (tmp_path / "mine.toml").write_text(content)
    with refused("mine.toml"):
        read_strategy(str(tmp_path / "mine.toml"))
