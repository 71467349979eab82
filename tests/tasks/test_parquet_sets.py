"""Which files are one data set, and that a class is the same class in each of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tasks.same_samples import assert_same, assert_whole

from calando.errors import DataError
from calando.tasks.catalog import resolve
from calando.tasks.data.parquet import read_parquet
from calando.tasks.data.parquet_files import find_files
from calando.tasks.load_task import load

Samples = Callable[..., tuple[np.ndarray, np.ndarray]]
Write = Callable[..., Path]


def touched(root: Path, *files: str) -> Path:
    """A tree of empty files."""
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_classes_are_known_by_name_however_a_file_numbers_them(
    tmp_path: Path, samples: Samples, write_parquet: Write
) -> None:
    images, labels = samples(36, classes=3)
    orders = {"train-00000-of-00002": "abc", "train-00001-of-00002": "cab", "test": "bca"}
    words = ["abc"[label] for label in labels]
    for i, (name, order) in enumerate(orders.items()):
        part = slice(12 * i, 12 * i + 12)
        numbers = [order.index(word) for word in words[part]]
        write_parquet(tmp_path / f"{name}.parquet", images[part], numbers, names=list(order))
    data = read_parquet(tmp_path)
    assert data.class_names == ("a", "b", "c")
    assert [data.class_names[label] for label in [*data.train.labels, *data.test.labels]] == words
    message = "numbers the classes otherwise than the training part; renumbered by name"
    assert [note for note in data.notes if message in note] == [
        f"{tmp_path / name}.parquet: {message}" for name in ("train-00001-of-00002", "test")
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations("abcd"), words=st.booleans())
def test_any_numbering_gives_the_same_labels(
    tmp_path: Path, samples: Samples, write_parquet: Write, order: list[str], words: bool
) -> None:
    images, labels = samples(8, classes=4)
    write_parquet(tmp_path / "train.parquet", images, labels.tolist(), names=list("abcd"))
    meant = ["abcd"[label] for label in labels]
    numbers = [order.index(word) for word in meant]
    write_parquet(tmp_path / "test.parquet", images, meant if words else numbers, names=None if words else order)
    data = read_parquet(tmp_path)
    assert np.array_equal(data.test.labels, labels)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (([0, 1], ["a", "b"]), ([0, 1], ["a", "x"]), "label 'x' is not among the training part's: a, b"),
        (([0, 1], ["a", "b"]), ([0, 2], ["b", "a"]), "label 2 is none of the 2 classes that it names"),
        (([0, 1], ["a", "b"]), ([0, 1], ["b", "b"]), "share a name"),
        ((["a", "b"], None), ([0, 1], None), "its labels are numbers without names"),
        (([0, 1], None), (["a", "b"], None), r"its labels are names \('a'\), those of the training part numbers"),
    ],
)
def test_classes_that_do_not_fit_are_refused(
    tmp_path: Path, samples: Samples, write_parquet: Write, train: tuple, test: tuple, message: str
) -> None:
    images, _ = samples(2)
    for name, (labels, names) in (("train", train), ("test", test)):
        write_parquet(tmp_path / f"{name}.parquet", images, labels, names=names)
    with pytest.raises(DataError, match=f"{tmp_path}/test.parquet: .*{message}"):
        read_parquet(tmp_path)


def test_a_class_named_but_without_samples_is_named(tmp_path: Path, samples: Samples, write_parquet: Write) -> None:
    images, labels = samples(20)
    write_parquet(tmp_path / "train.parquet", images, labels.tolist(), names=["ant", "bee", "cow"])
    with pytest.raises(
        DataError, match="no training sample of class 2 of 3; add samples of 'cow', or leave the name out"
    ):
        load(resolve(f"parquet:{tmp_path}", batch_size=4))


@pytest.mark.parametrize(
    ("files", "train", "test"),
    [
        (["train.parquet", "test.parquet"], 1, 1),
        (["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"], 2, 0),
        (["train-00001-of-00002.parquet", "train-00002-of-00002.parquet"], 2, 0),
        (["default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet"], 2, 1),
        (["train/train-0.parquet", "test/test-0.parquet"], 1, 1),
        (["Training.parquet", "Validation.parquet"], 1, 1),
        (["mnist_train.parquet", "mnist_test.parquet"], 1, 1),
        (["train_part1.parquet", "train_part2.parquet", "val.parquet", "test.parquet"], 2, 1),
        (["train-00000-of-00002-0a1b2c3d4e5f6a7b.parquet", "train-00001-of-00002-b7a6f5e4d3c2b1a0.parquet"], 2, 0),
        (["train/ant.parquet", "train/bee.parquet", "test/cow.parquet"], 2, 1),
        (["train.parquet", ".cache/train.parquet", "._train.parquet", "extra.parquet"], 1, 0),
    ],
)
def test_files_of_one_set(tmp_path: Path, files: list[str], train: int, test: int) -> None:
    found = find_files(touched(tmp_path, *files))
    assert (len(found.train), len(found.test)) == (train, test)


def test_what_is_passed_over_is_reported(tmp_path: Path) -> None:
    names = ("train.parquet", "test.parquet", "val.parquet", "extra.parquet", ".cache/train.parquet")
    assert find_files(touched(tmp_path, *names)).passed_over == (
        "val.parquet (there is a test part; validation is cut from the training part)",
        "extra.parquet (no part in the name)",
        "1 hidden parquet file",
    )


SHARDS = [f"train-{i:05}-of-00004.parquet" for i in range(4)]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            SHARDS[1:2],
            "3 of 4 shards are missing: train-00000-of-00004.parquet, train-00002-of-00004.parquet, train-00003",
        ),
        ([*SHARDS[:3], "test.parquet"], "1 of 4 shards are missing: train-00003-of-00004.parquet; fetch them"),
        ([*SHARDS, "test-00000-of-00002.parquet"], "shards are missing: test-00001-of-00002.parquet"),
        ([*SHARDS, "train-00000-of-00002.parquet", "train-00001-of-00002.parquet"], "shards of several sets"),
        (
            ["a/train.parquet", "b/train.parquet", "b/test.parquet"],
            r"several configurations or data sets, in .*/a, .*/b",
        ),
        (["a/train/0.parquet", "b/train/0.parquet"], "several configurations or data sets"),
        (["a/train.parquet", "b/test.parquet"], "its files belong to different configurations"),
        (["train_clean.parquet", "train_noisy.parquet"], "several kinds of training files"),
        (["train.parquet", "test.parquet", "test_hard.parquet"], "several kinds of test files"),
        (["train-00000-of-00002-0a1b2c3d4e5f6a7b.parquet"], "missing: train-00001-of-00002.parquet"),
        (["train/0000.parquet", "train/0002.parquet"], r"missing before 0002.parquet: 0001.parquet; fetch them"),
        (["train/0001.parquet", "test/0000.parquet"], r"missing before 0001.parquet: 0000.parquet; fetch them"),
        (["a.parquet"], "has no parquet file named train.*it holds a.parquet"),
        ([".a/train.parquet"], "it holds none that is not hidden"),
    ],
)
def test_what_is_not_one_whole_set_is_refused(tmp_path: Path, files: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message) as refused:
        find_files(touched(tmp_path, *files))
    assert "\n" not in str(refused.value)


def test_a_file_that_was_fetched_twice_is_not_read_twice(
    tmp_path: Path, samples: Samples, write_parquet: Write
) -> None:
    images, labels = samples(20)
    path = write_parquet(tmp_path / "train.parquet", images, labels.tolist())
    copy = tmp_path / "train (1).parquet"
    copy.write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"train \(1\).parquet and train.parquet hold the same bytes; remove one"):
        read_parquet(tmp_path)
    write_parquet(copy, images[::-1].copy(), labels[::-1].tolist())  # another shard, of the same size or not
    assert len(find_files(tmp_path).train) == 2
    copy.unlink()
    assert len(read_parquet(tmp_path).train.labels) == 16


def test_one_configuration_can_be_named(tmp_path: Path, samples: Samples, write_parquet: Write) -> None:
    images, labels = samples(20)
    for folder in ("a", "b"):
        write_parquet(tmp_path / folder / "train" / "0000.parquet", images, labels.tolist())
        write_parquet(tmp_path / folder / "test" / "0000.parquet", images, labels.tolist())
    with pytest.raises(DataError, match=f"in {tmp_path}/a, {tmp_path}/b; name one of these folders"):
        read_parquet(tmp_path)
    data = read_parquet(tmp_path / "a")
    assert (len(data.train.labels), len(data.test.labels)) == (20, 20)
    size = "images of 8x8 pixels in 1 channel"
    assert data.notes == (
        f"{tmp_path}/a: 2 classes (0, 1); train 20 (10 of each), test 20 (10 of each); {size}",
        "20 of 20 test samples are in the training part too, pixel by pixel",
    )


def test_a_shard_alone_is_refused_and_renamed_is_read(tmp_path: Path, samples: Samples, write_parquet: Write) -> None:
    images, labels = samples(20)
    path = write_parquet(tmp_path / SHARDS[1], images, labels.tolist())
    with pytest.raises(
        DataError, match="is one of 4 shards by its name; name the folder that holds them all, or rename"
    ):
        read_parquet(path)
    assert len(read_parquet(path.rename(tmp_path / "piece.parquet")).train.labels) == 16


def test_sizes_are_made_common_over_both_parts(tmp_path: Path, samples: Samples, write_parquet: Write) -> None:
    images, labels = samples(20)
    write_parquet(tmp_path / "train.parquet", images, labels.tolist())
    write_parquet(tmp_path / "test.parquet", images.repeat(2, 2).repeat(2, 3), labels.tolist())
    data = read_parquet(tmp_path)
    assert data.test.images.shape[1:] == data.train.images.shape[1:] == (1, 8, 8)
    assert "20 of 40 resized to 8x8" in data.notes[1]


def test_a_label_beyond_all_bounds_is_reported_and_counts_nothing(
    tmp_path: Path, samples: Samples, write_parquet: Write
) -> None:
    images, labels = samples(20)
    write_parquet(tmp_path / "train.parquet", images, [*labels[:18].tolist(), 2**61, 2**61])
    assert (
        read_parquet(tmp_path)
        .notes[0]
        .startswith(f"{tmp_path}: 3 classes (0, 1, {2**61}); train 15 (0 7 = 47 %, 1 7 = 47 %, {2**61} 1 = 6.7 %)")
    )
    write_parquet(tmp_path / "train.parquet", images, [*labels[:18].tolist(), -3, -3])
    assert "3 classes (-3, 0, 1)" in read_parquet(tmp_path).notes[0]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("struct_column", [True, False])
def test_parquet_folder(
    tmp_path: Path, samples: Samples, write_parquet: Write, channels: int, struct_column: bool
) -> None:
    images, labels = samples(30, channels=channels)
    names = ["no", "yes"]
    for name, part in (("data/train-00000-of-00002", slice(0, 10)), ("data/train-00001-of-00002", slice(10, 20))):
        write_parquet(
            tmp_path / f"{name}.parquet", images[part], labels[part].tolist(), struct_column=struct_column, names=names
        )
    write_parquet(tmp_path / "data/test-00000-of-00001.parquet", images[20:], labels[20:].tolist())
    write_parquet(tmp_path / "data/validation.parquet", images[:1], [0])
    data = read_parquet(tmp_path)
    assert_same(data.train.images, data.train.labels, images[:20], labels[:20])
    assert_same(data.test.images, data.test.labels, images[20:], labels[20:])
    assert data.class_names == ("no", "yes")


@pytest.mark.parametrize(("image_name", "label_name"), [("img", "label"), ("image", "labels"), ("image", "fine_label")])
def test_parquet_single_file(
    tmp_path: Path, samples: Samples, write_parquet: Write, image_name: str, label_name: str
) -> None:
    images, labels = samples(40)
    path = write_parquet(tmp_path / "x.parquet", images, labels.tolist(), image_name=image_name, label_name=label_name)
    assert_whole(read_parquet(path), images, labels)


def test_parquet_columns_by_name(tmp_path: Path, samples: Samples, write_parquet: Write) -> None:
    images, labels = samples(40)
    path = write_parquet(tmp_path / "x.parquet", images, labels.tolist(), image_name="scan", label_name="grade")
    with pytest.raises(DataError, match=r"no image column .* write image=NAME behind the path, or target=NAME"):
        read_parquet(path)
    with pytest.raises(DataError, match=r"no label column .* write label=NAME"):
        read_parquet(path, image="scan")
    assert_whole(read_parquet(path, image="scan", label="grade"), images, labels)


def test_which_of_several_columns_is_read_is_reported(tmp_path: Path, samples: Samples, write_parquet: Write) -> None:
    import pyarrow
    import pyarrow.parquet

    images, labels = samples(40)
    path = write_parquet(tmp_path / "x.parquet", images, labels.tolist(), label_name="fine_label")
    table = pyarrow.parquet.read_table(path).append_column("target", [pyarrow.array((1 - labels).tolist())])
    pyarrow.parquet.write_table(table, path)
    data = read_parquet(path)
    assert_whole(data, images, labels)
    assert any("labels are read from column fine_label, not target (else label=NAME)" in note for note in data.notes)
    assert_whole(read_parquet(path, label="target"), images, 1 - labels)


def test_parquet_splits_are_distinguished_by_folder_too(tmp_path: Path, samples: Samples, write_parquet: Write) -> None:
    images, labels = samples(30)
    root = tmp_path / "training_data"  # the name of the folder asked for is not a split
    write_parquet(root / "train" / "0.parquet", images[:20], labels[:20].tolist())
    write_parquet(root / "validation" / "0.parquet", images[20:], labels[20:].tolist())
    data = read_parquet(root)
    assert_same(data.train.images, data.train.labels, images[:20], labels[:20])
    assert_same(data.test.images, data.test.labels, images[20:], labels[20:])


def test_parquet_labels_may_be_names(tmp_path: Path, samples: Samples, write_parquet: Write) -> None:
    images, labels = samples(30, classes=3)
    words = [["cat", "ant", "bee"][label] for label in labels]
    write_parquet(tmp_path / "train.parquet", images[:24], words[:24])
    write_parquet(tmp_path / "test.parquet", images[24:], words[24:])
    data = read_parquet(tmp_path)
    assert data.class_names == ("ant", "bee", "cat")
    assert [data.class_names[label] for label in data.train.labels] == words[:24]
    write_parquet(tmp_path / "test.parquet", images[24:25], ["dog"])
    with pytest.raises(DataError, match="label 'dog' is not among the training part's: ant, bee, cat"):
        read_parquet(tmp_path)


def test_parquet_faults(tmp_path: Path, samples: Samples, write_parquet: Write) -> None:
    import pyarrow
    import pyarrow.parquet

    images, labels = samples(4)
    for name, table, message in (
        ("columns", {"audio": [b"x"], "label": [0]}, "has no image column .*; its columns are audio, label"),
        ("unlabelled", {"image": [b"x"]}, "has no label column"),
        (
            "empty",
            {"image": pyarrow.array([], pyarrow.binary()), "label": pyarrow.array([], pyarrow.int64())},
            "no samples",
        ),
        ("null", {"image": [b"x", None], "label": [0, 1]}, "1 of 2 images have no bytes"),
        ("nolabel", {"image": [b"x", b"y"], "label": [0, None]}, "row 1 has no label"),
        ("outside", {"image": [{"path": "a.png"}], "label": [0]}, "not stored inside"),
        ("text", {"image": ["x"], "label": [0]}, "encoded images as bytes, got string"),
        ("lists", {"image": [b"x"], "label": [[0]]}, "labels must be whole numbers"),
        ("noimage", {"image": [b"x"], "label": [0]}, "row 0: not an image that can be decoded"),
    ):
        pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / f"{name}.parquet")
        with pytest.raises(DataError, match=message):
            read_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match="no such file or folder"):
        read_parquet(tmp_path / "absent")
    with pytest.raises(DataError, match="has no parquet file named train"):
        read_parquet(tmp_path)
    path = write_parquet(tmp_path / "torn.parquet", images, labels.tolist())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="torn.parquet: not a parquet file"):
        read_parquet(path)
