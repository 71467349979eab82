"""Which folders are parts and classes: nothing read twice, left out or renamed in silence."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calando.errors import DataError
from calando.tasks.catalog import resolve
from calando.tasks.data.folder import find_pictures, read_folder
from calando.tasks.data.parts import is_hidden, part_of
from calando.tasks.load_task import load

Samples = Callable[..., tuple[np.ndarray, np.ndarray]]
Write = Callable[..., Path]

SIZE = "; images of 8x8 pixels in 1 channel"


def grown(root: Path, *files: str) -> Path:
    """A tree of empty files; names that end in / are empty folders."""
    for name in files:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


def read(root: Path) -> dict[str, list[str]]:
    """Part -> the files read, below the root."""
    return {
        part: [str(file.relative_to(root)) for file, _ in files] for part, files in find_pictures(root).parts.items()
    }


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Train", "Test"),
        ("TRAINING", "TESTING"),
        ("Training", "Testing"),
        ("seg_train", "seg_test"),
        ("trn", "tst"),
        ("train", "Valid"),
        ("train2017", "val2017"),
        ("Training Set", "dev-set"),
        ("trainset", "testset"),
        ("mnist_train_images", "mnist_validation_images"),
        ("train", "test_images"),
    ],
)
def test_known_names_are_parts(tmp_path: Path, samples: Samples, write_folder: Write, train: str, test: str) -> None:
    images, labels = samples(20)
    write_folder(tmp_path / train, images[:12], labels[:12])
    write_folder(tmp_path / test, images[12:], labels[12:])
    data = read_folder(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert (len(data.train.labels), len(data.test.labels)) == (12, 8)
    assert data.notes[0] == f"{tmp_path}: 2 classes (cat, dog); {train} 12 (6 of each), {test} 8 (4 of each){SIZE}"


def test_hidden_files_and_folders_are_neither_classes_nor_pictures(
    tmp_path: Path, samples: Samples, write_folder: Write
) -> None:
    images, labels = samples(20)
    write_folder(tmp_path, images, labels)
    for name in (".ipynb_checkpoints", "__MACOSX", ".git"):
        shutil.copytree(tmp_path / "cat", tmp_path / name)
        shutil.copytree(tmp_path / "dog", tmp_path / "cat" / name)
    for name in (".DS_Store", "Thumbs.db", "._0001.png", "desktop.ini"):
        (tmp_path / name).touch()
        (tmp_path / "dog" / name).touch()
    data = read_folder(tmp_path)
    assert len(data.train.labels) + len(data.test.labels) == 20
    message = "\n".join(data.notes)
    assert (
        "2 classes (cat, dog); train 16 (8 of each), test 4 (2 of each), a fifth of the whole" + SIZE + "; passed over:"
        in message
    )
    assert ".ipynb_checkpoints" in message
    assert "(hidden: 14)" in message
    assert "is in the training part" not in message


def test_what_is_passed_over_is_reported_with_the_reason(tmp_path: Path) -> None:
    grown(tmp_path, "train/a/1.png", "train/b/1.png", "train/loose.png", "test/a/1.png", "test/b/more/2.png")
    grown(tmp_path, "test/b/1.png", "val/a/1.png", "pred/1.png", "readme.txt", "train/a/x.heic", "test/c/")
    tree = find_pictures(tmp_path)
    assert tree.passed_over == (
        "pred/ (1 picture: without class folders)",
        "val/ (1 picture: there is a test part; validation is cut from the training part)",
        "loose.png (outside the class folders)",
        "test/c/ (no pictures)",
        "2 files: readme.txt, x.heic (no picture by the ending: .heic 1, .txt 1)",
    )
    assert read(tmp_path)["test"] == ["test/a/1.png", "test/b/1.png", "test/b/more/2.png"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["data/cat/1.png", "data/dog/1.png"], "holds only folders (cat/, dog/) where the pictures of class 'data'"),
        (["data/train/c/1.png", "data/test/c/1.png"], "holds only folders (test/, train/)"),
        (["cat/train/1.png", "dog/train/1.png"], "put the parts above the classes, as in train/cat/"),
        (["cat/x/1.png", "dog/1.png"], "holds only folders (x/) where the pictures of class 'cat' should be"),
        (["t_train/t_train/c/1.png", "t_test/t_test/c/1.png"], "t_train: holds only folders (c/)"),
        (["train/c/1.png", "test/x/c/1.png"], "test/x: holds only folders (c/)"),
        (["cat/1.png", "bird/"], "class folder 'bird' holds no picture (it holds nothing)"),
        (["cat/1.png", "bird/1.heic"], "class folder 'bird' holds no picture (it holds 1.heic)"),
        (["train/cat/1.png", "train/bird/.x.png", "test/cat/1.png"], "class folder 'bird' holds no picture"),
        (["train/1.png", "test/1.png"], "test/ and train/ look like parts, but hold pictures without class folders"),
        (["x_train/1.png", "x_test/1.png", "a/1.png"], "x_test/ and x_train/ look like parts"),
        (["train/c/1.png", "test/1.png"], "test/ holds pictures without class folders, so their classes are unknown"),
        (["train/1.png", "test/c/1.png"], "has test/ but no train/ with class folders"),
        (["train/c/1.png", "training/c/1.png", "test/c/1.png"], "train/ and training/ could each be the training part"),
        (["train/c/1.png", "Test/c/1.png", "test/c/1.png"], "Test/ and test/ could each be the test part"),
        (
            ["train_hall/x/1.png", "test_tube/x/1.png", "bus/1.png"],
            "train_hall/ and test_tube/ may be parts or classes",
        ),
        (["train/c/1.png", "a/1.png"], "has train/ but no test/"),
        (["Train/c/1.png", "test/d/1.png"], "class 'd' is not among the training part's: c"),
    ],
)
def test_what_is_not_plain_is_refused_with_what_was_seen(tmp_path: Path, files: list[str], message: str) -> None:
    with pytest.raises(DataError) as refused:
        find_pictures(grown(tmp_path, *files))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_class_may_be_called_as_a_part(tmp_path: Path) -> None:
    grown(tmp_path, "train/1.png", "bus/1.png", "car/1.png")
    assert find_pictures(tmp_path).classes == ("bus", "car", "train")
    grown(tmp_path / "nested", "train/train/1.png", "train/bus/1.png", "test/train/1.png", "test/bus/1.png")
    assert find_pictures(tmp_path / "nested").classes == ("bus", "train")


def test_what_errors_advise_works(tmp_path: Path) -> None:
    grown(tmp_path, "data/train/c/1.png", "data/train/d/1.png")
    with pytest.raises(DataError, match=f"name {tmp_path / 'data'}, or"):
        find_pictures(tmp_path)
    with pytest.raises(DataError, match=f"name {tmp_path / 'data' / 'train'} to have a fifth"):
        find_pictures(tmp_path / "data")
    assert find_pictures(tmp_path / "data" / "train").classes == ("c", "d")


def test_a_link_to_nothing_and_an_empty_file_are_named(tmp_path: Path) -> None:
    grown(tmp_path, "cat/1.png", "dog/1.png")
    with pytest.raises(DataError, match=r"1.png: not an image that can be decoded \(cannot identify image file\)"):
        read_folder(tmp_path)
    (tmp_path / "cat" / "0.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"0.png: cannot be read \(No such file or directory\)"):
        read_folder(tmp_path)


def test_a_link_to_a_folder_above_ends(tmp_path: Path) -> None:
    grown(tmp_path, "cat/1.png", "dog/1.png")
    (tmp_path / "cat" / "up").symlink_to(tmp_path)
    (tmp_path / "bird").symlink_to(tmp_path / "dog")
    assert read(tmp_path) == {"": ["bird/1.png", "cat/1.png", "dog/1.png"]}


def test_repeated_pictures_are_reported(tmp_path: Path, samples: Samples, write_folder: Write) -> None:
    images, labels = samples(12)
    write_folder(tmp_path / "train", images[:8], labels[:8])
    write_folder(tmp_path / "test", images[6:], labels[6:])
    shutil.copy(tmp_path / "train" / "cat" / "0000.png", tmp_path / "test" / "dog" / "copy.png")
    (_, message) = read_folder(tmp_path).notes
    assert message == "3 of 7 test samples are in the training part too, pixel by pixel, 1 of them as another class"


def test_a_class_of_two_pictures_is_refused_with_how_many_it_needs(
    tmp_path: Path, samples: Samples, write_folder: Write
) -> None:
    images, labels = samples(22)
    write_folder(tmp_path, images[:20], labels[:20])
    write_folder(tmp_path, images[20:], labels[20:] * 0, names=("eel", ""))
    message = "a test part and a validation part are cut off class by class, which needs at least 3"
    with pytest.raises(DataError, match=f"class 'eel' has 2 samples; {message}"):
        load(resolve(f"folder:{tmp_path}", batch_size=4))
    shutil.copy(tmp_path / "cat" / "0000.png", tmp_path / "eel" / "3.png")
    assert load(resolve(f"folder:{tmp_path}", batch_size=4)).classes == 3
    for file in sorted((tmp_path / "eel").iterdir())[1:]:
        file.unlink()
    with pytest.raises(DataError, match="class 'eel' has 1 sample; .* at least 3 of each"):
        load(resolve(f"folder:{tmp_path}", batch_size=4))


def test_the_line_is_kept_with_the_workload(tmp_path: Path, samples: Samples, write_folder: Write) -> None:
    images, labels = samples(20)
    write_folder(tmp_path, images, labels)
    (note,) = load(resolve(f"folder:{tmp_path}", batch_size=4)).notes
    counted = "2 classes (cat, dog); train 16 (8 of each), test 4 (2 of each), a fifth of the whole"
    assert note == f"{tmp_path}: {counted}{SIZE}"


NAMES = ("train", "Test", "val", "seg_train", "seg_test", "cat", "dog", ".git", "__MACOSX", ".ipynb_checkpoints")
FILES = ("1.png", "2.JPG", "a.txt", ".b.png", "Thumbs.db")
trees = st.recursive(
    st.lists(st.sampled_from(FILES), max_size=2, unique=True).map(lambda names: dict.fromkeys(names)),
    lambda below: st.dictionaries(st.sampled_from([*NAMES, *FILES[:2]]), below, max_size=4),
    max_leaves=12,
)


def plant(folder: Path, tree: dict[str, dict | None]) -> None:
    """Write a random tree; a picture's name with something below it is a folder."""
    folder.mkdir()
    for name, below in tree.items():
        if below is None:
            (folder / name).touch()
        else:
            plant(folder / name, below)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees)
def test_of_any_tree_each_picture_is_read_once_or_reported_or_all_is_refused(tree: dict[str, dict | None]) -> None:
    with tempfile.TemporaryDirectory() as above:
        root = Path(above) / "data"
        plant(root, tree)
        pictures = {
            file
            for file in root.rglob("*")
            if file.is_file()
            and file.suffix.lower() in (".png", ".jpg")
            and not any(is_hidden(name) for name in file.relative_to(root).parts)
        }
        try:
            found = find_pictures(root)
        except DataError as error:
            refused = str(error)
        else:
            refused = ""
        if refused:
            assert str(root) in refused
            assert "\n" not in refused
            return
        got = [file for files in found.parts.values() for file, _ in files]
        assert len(set(got)) == len(got)
        assert set(got) <= pictures
        message = " ".join(found.passed_over)
        assert all(
            file.name in message or f"{file.relative_to(root).parts[0]}/ (" in message for file in pictures - set(got)
        )
        depth = 1 if "" in found.parts else 2
        for part, files in found.parts.items():
            for file, label in files:
                path = file.relative_to(root).parts
                assert path[depth - 1] == found.classes[label]
                assert depth == 1 or (path[0] == part and part_of(part)[0] is not None)
        first = next(iter(found.parts.values()))
        assert {label for _, label in first} == set(range(len(found.classes)))


def test_a_class_of_one_picture_is_named_where_there_are_parts(
    tmp_path: Path, samples: Samples, write_folder: Write
) -> None:
    images, labels = samples(13)
    write_folder(tmp_path / "train", images[:12], labels[:12])
    write_folder(tmp_path / "test", images[:2], labels[:2])
    write_folder(tmp_path / "train", images[12:], labels[12:], names=("eel",))
    with pytest.raises(DataError, match="class 'eel' has 1 sample; a validation part is cut off .* at least 2 of each"):
        load(resolve(f"folder:{tmp_path}", batch_size=4))


def test_an_archive_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").touch()
    with pytest.raises(DataError, match="is a file, not a folder; unpack it"):
        find_pictures(tmp_path / "photos.zip")


def test_what_a_terminal_would_obey_is_shown(tmp_path: Path) -> None:
    tree = find_pictures(grown(tmp_path, "cat/1.png", "dog/1.png", "dog/Icon\r"))
    assert tree.passed_over == ("Icon\\r (no picture by the ending: none 1)",)
