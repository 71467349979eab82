"""A study of data that a relative path names, read from another folder: where they lie is kept next to the question."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import calando
from calando.errors import DataError
from calando.records import Store
from calando.verbs.explain import Explained

DATA = "csv:houses.csv,target=price"
SMALL = {"steps": 6, "seeds": 1, "lr": 0.01, "workers": 1, "threads": 1, "device": "cpu", "executor": "inline"}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study made where its data lie; the tests go on in another folder."""
    made, elsewhere = tmp_path / "made", tmp_path / "elsewhere"
    made.mkdir()
    elsewhere.mkdir()
    rows = "".join(f"{n % 7},{n % 5},{n % 7 + 2 * (n % 5)}\n" for n in range(80))
    (made / "houses.csv").write_text("rooms,floor,price\n" + rows)
    monkeypatch.chdir(made)
    calando.compare(DATA, "sgd(lr=0.01)", folder="study", page=False, listen=lambda status: None, **SMALL)
    monkeypatch.chdir(elsewhere)
    return made / "study"


def looked_at(study: Path, **given: object) -> Explained:
    return calando.explain(study, until=2, folder="looks", listen=lambda status: None, **given)  # type: ignore[arg-type]


def test_a_run_of_it_is_explained_from_another_folder(study: Path) -> None:
    assert "to the bit" in looked_at(study).outcome


def test_both_may_move_together(study: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.move(study.parent, moved)
    assert "to the bit" in looked_at(moved / "study").outcome


def test_data_that_moved_are_asked_for_and_may_be_named(study: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shutil.move(study.parent / "houses.csv", tmp_path / "data")
    with pytest.raises(DataError, match=r"looked for .*houses.csv.*data_dir="):
        looked_at(study)
    assert "to the bit" in looked_at(study, data_dir=tmp_path / "data").outcome


def test_the_plain_twin_of_a_network_with_shortcuts_has_the_same_data(tmp_path: Path, monkeypatch) -> None:
    made, elsewhere = tmp_path / "made", tmp_path / "elsewhere"
    made.mkdir()
    elsewhere.mkdir()
    labels = np.arange(90) % 3
    np.savez(
        made / "x.npz",
        images=np.full((90, 8, 8, 1), 60, np.uint8) * labels[:, None, None, None].astype(np.uint8),
        labels=labels,
    )
    monkeypatch.chdir(made)
    options = {**SMALL, "lr": 0.1, "model": "resnet8", "batch_size": 16}
    calando.compare("npz:x.npz", "sgd(lr=0.1)", folder="study", page=False, listen=lambda status: None, **options)
    here = calando.explain("study", until=2, folder="looks", listen=lambda status: None)
    monkeypatch.chdir(elsewhere)
    there = looked_at(made / "study")
    assert there.looked.twin
    assert there.looked.twin == here.looked.twin


def test_its_page_and_its_table_need_no_data(study: Path) -> None:
    (study.parent / "houses.csv").unlink()
    assert calando.write_report(study).is_file()
    assert calando.show(study).results


def test_a_study_of_before_gets_its_place_where_it_goes_on(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(study) as store:
        store.keep_place("../gone.csv")
    with pytest.raises(DataError, match="gone.csv"):
        looked_at(study)
    monkeypatch.chdir(study.parent)
    calando.compare(DATA, "sgd(lr=0.01)", folder="study", page=False, listen=lambda status: None, **SMALL)
    with Store.open(study, read_only=True) as store:
        assert store.place is not None
        assert store.place.samefile(study.parent / "houses.csv")


def test_its_appendix_names_the_place(study: Path) -> None:
    done = calando.export(study, to="appendix", run="sgd")
    assert "place" in (done.path / "spec.json").read_text()
