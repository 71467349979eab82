"""Stored sentences are English, and are shown in the person's language: known by their words, or by their form."""

import contextlib
import json
import sqlite3

import pytest
from tests.cli.test_language import HAN, read_catalogue
from tests.report.fabricate import fabricate, make_study

from calando.language import Message, in_language, joined, message, translated
from calando.records.command import branch_of, parse_command
from calando.records.live import Live
from calando.records.live_file import hold
from calando.records.live_picture import LivePicture
from calando.standing import ETA
from calando.stored_words import form_of, recognized, restored
from calando.study.listening import RunStatus
from calando.study.standing import run_standing
from calando.web.run_place import RunPlace


@pytest.fixture(autouse=True)
def _in_chinese():
    with in_language("zh"):
        yield


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("loss is nan at step 7", "第 7 步损失为 nan"),
        ("loss is nan", "损失为 nan"),
        ("weights are not finite after step 7", "第 7 步之后权重不是有限值"),
        (
            "loss is nan at step 7: going back at 0.5 of the rate, try 1 of 5",
            "第 7 步损失为 nan：以 0.5 倍学习率回滚，第 1/5 次尝试",
        ),
        ("it has ended", "它已结束"),
        (
            "it has ended; say from where, as 'from 30: rate *0.5'",
            "它已结束；请说明从哪里开始，例如 'from 30: rate *0.5'",
        ),
        (
            "rate multiplied by 0.1: no progress on validation loss 0.31 for 1 step",
            "学习率乘以 0.1：验证损失 0.31 已有 1 步没有改善",
        ),
    ],
)
def test_a_sentence_of_ours_is_known_by_its_words(stored, shown):
    assert translated(recognized(stored)) == shown
    assert recognized(stored) == stored


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "a person's own words at step 7",
        "digits: 10 classes (0, 1); train 1438 (139 to 146 of a class, 9.7 % to 10 %); images of 8x8 pixels",
        "no run 'x' here, said somebody else",
        "{loss} is {loss}",
        "loss is nan at step 7 " * 500,
    ],
)
def test_what_is_not_ours_wholly_stays_english(stored):
    assert recognized(stored) == stored
    assert not HAN.search(translated(recognized(stored)))


def test_every_text_of_the_catalogue_without_places_is_known():
    texts = [text for text in read_catalogue() if "{" not in text and " " in text and len(text) > 20]
    assert len(texts) > 200
    assert [text for text in texts if not isinstance(recognized(text), Message)] == []


def test_in_english_nothing_is_looked_up():
    with in_language("en"):
        assert type(recognized("loss is nan at step 7")) is str
        assert type(restored("loss is nan", ["loss is {loss}", {"loss": "nan"}])) is str


def test_a_message_is_restored_by_its_form():
    made = joined("{one}; {other}", [message("rate {rate:.3g}", rate=0.1234567), message("loss is {loss}", loss=0.5)])
    form = json.loads(json.dumps(form_of(made)))
    assert restored(str(made), form) == made
    assert translated(restored(str(made), form)) == translated(made) != made
    assert form_of("no message") is None


@pytest.mark.parametrize(
    "form",
    [
        ["{x.__class__}", {"x": "a"}],
        ["rate {rate:.3g}", {"rate": 10**400}],
        ["rate {rate:.3g}", {"rate": "a"}],
        ["rate {rate:.3g}", {}],
        ["loss is {loss}", {"loss": "another"}],
        ["loss is {loss}", ["loss"]],
        "loss is nan", 7, [], {}, [[], {}], [["loss is {loss}", {}], {"loss": 1}], None,
    ],
)  # fmt: skip
def test_a_form_that_is_wrong_or_hostile_changes_nothing(form):
    assert type(restored("loss is nan", form)) is str


def test_a_form_that_is_nested_without_end_changes_nothing():
    form = ["loss is {loss}", {"loss": "nan"}]
    for _ in range(200):
        form = ["{one}; {other}", {"one": form, "other": "x"}]
    assert type(restored("loss is nan", form)) is str


def test_how_a_run_stands_is_stored_in_english_and_shown_in_chinese(tmp_path):
    run = next(iter(fabricate(make_study(("fixed",), seeds=1, steps=60))[0].values())).spec
    held = hold(tmp_path)
    live = Live(tmp_path)
    live.began(run, 0)
    live.noted(message("no run {name!r} here", name="x"))
    live.noted("a person's own words")
    live.stands(run_standing(RunStatus(run=run, notes=(), step=3, steps=60, lr=0.1, loss=0.5), ETA()))
    live.close()
    stored = LivePicture(tmp_path).since(0)
    assert stored.standing.words == "step 3/60  rate 0.1  loss 0.500  ETA unknown yet"
    assert stored.notes == ["no run 'x' here", "a person's own words"]
    with contextlib.closing(sqlite3.connect(tmp_path / "live.sqlite")) as file:
        assert not HAN.search("\n".join(file.iterdump()))
    place = RunPlace("", tmp_path)
    place.refresh()
    status = place.status()
    held.close()
    assert translated(status["words"]) == "步 3/60  学习率 0.1  损失 0.500  预计剩余尚不清楚"
    assert list(map(translated, status["notes"])) == ["这里没有运行 'x'", "a person's own words"]
    assert json.loads(json.dumps(status["words"])) == stored.standing.words


def test_a_picture_of_an_earlier_version_has_no_forms_and_is_shown_in_english(tmp_path):
    held = hold(tmp_path)
    live = Live(tmp_path)
    live.noted(message("no run {name!r} here", name="x"))
    live.close()
    with sqlite3.connect(tmp_path / "live.sqlite") as file:
        file.execute("DELETE FROM meta WHERE key LIKE 'note %' OR key = 'said'")
    place = RunPlace("", tmp_path)
    place.refresh()
    assert place.status()["notes"] == ["no run 'x' here"]
    held.close()


def test_a_refusal_of_a_command_is_chinese_where_it_is_shown():
    run = next(iter(fabricate(make_study(("fixed",), seeds=1, steps=60))[0].values())).spec
    with pytest.raises(ValueError, match="changes nothing") as raised:
        branch_of(run, parse_command("rate *1"), step=3)
    assert translated(recognized(str(raised.value))) == "'rate *1' 没有改变任何东西：运行本来就是这样计划的"
