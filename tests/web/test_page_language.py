"""The live page is in the language of CALANDO_LANG, else of who opens it; answers are English but for `lang=`."""

import json
import re

import pytest
from tests.cli.test_language import HAN, read_catalogue
from tests.web.test_web_app import STATIC, Client, fill

from calando.web.access import Tokens
from calando.web.live_page import create_app
from calando.web.page_language import preferred, script_texts, texts_in

CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
ENGLISH = {"Accept-Language": "en-US,en;q=0.9"}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A study of which seven runs are done, and a client of its page."""
    folder = tmp_path_factory.mktemp("study")
    fill(folder, until=7)
    return Client(create_app(folder))


@pytest.mark.parametrize(
    ("variables", "headers", "shown"),
    [
        ({}, {}, "en"),
        ({}, CHINESE, "zh-CN"),
        ({"LANG": "en_US.UTF-8"}, CHINESE, "zh-CN"),
        ({"LANG": "zh_CN.UTF-8"}, ENGLISH, "en"),
        ({"LANG": "zh_CN.UTF-8"}, {}, "zh-CN"),
        ({"LANG": "zh_CN.UTF-8"}, {"Accept-Language": "fr"}, "zh-CN"),
        ({"CALANDO_LANG": "zh"}, ENGLISH, "zh-CN"),
        ({"CALANDO_LANG": "en"}, CHINESE, "en"),
    ],
)
def test_calando_lang_decides_else_the_browser_else_the_locale(page, machine, variables, headers, shown):
    machine(**variables)
    answer = page.get("/", headers)
    assert f'<html lang="{shown}">' in answer.text
    assert answer.headers["vary"] == "Accept-Language"
    assert f'<html lang="{shown}">' in page.get("/report", headers).text


def test_a_browser_that_keeps_the_shell_of_one_language_is_given_that_of_another(page, machine):
    machine()
    kept = page.get("/", ENGLISH).headers["etag"]
    assert page.get("/", {**ENGLISH, "If-None-Match": kept}).status_code == 304
    assert page.get("/", {**CHINESE, "If-None-Match": kept}).status_code == 200


@pytest.mark.parametrize(
    ("languages", "shown"),
    [
        ("zh", "zh"), ("zh-TW,zh;q=0.9,en-US;q=0.8", "zh"), ("en;q=0.3, zh;q=0.7", "zh"), ("de, en;q=0.5", "en"),
        ("zh;q=0, en;q=0.1", "en"), ("zh;q=2", None), ("*", None), ("", None), (";;,,;q=", None), ("x" * 9000, None),
        (",".join(["fr"] * 500) + ",zh", None),
    ],
)  # fmt: skip
def test_the_first_language_that_exists_of_those_that_a_browser_accepts(languages, shown):
    assert preferred(languages) == shown


def test_the_english_shell_carries_no_words_and_the_chinese_one_all_that_scripts_say(page, machine):
    machine()
    english, chinese = page.get("/", ENGLISH).text, page.get("/", CHINESE).text
    assert "application/json" not in english
    assert not HAN.search(english)
    (carried,) = re.findall(r'<script type="application/json" id="words">(.*?)</script>', chinese)
    words = json.loads(carried)
    assert {text for text in script_texts() if not HAN.search(words.get(text, ""))} == {
        "{done} of {expected}",
        "{name}: {note}",
    }
    catalogue = read_catalogue()
    assert all(catalogue[text] == one for text, one in words.items())


def test_scripts_say_no_text_past_the_catalogue():
    """A sentence in a script stands in `_(…)` or `woven(…)`; conditions and names of the API are no sentences."""
    known = set(script_texts())
    for path in STATIC.glob("*.js"):
        if path.name == "uplot.js":
            continue
        code = re.sub(r"(^|\s)//.*", "", path.read_text(encoding="utf-8"))
        for text in re.findall(r'"((?:[^"\\]|\\.)*)"', code):
            if re.search(r"[A-Za-z]{2,} [a-z]{2,}", text) and not re.fullmatch(r"[a-z]+( [a-z]+)*", text):
                assert text in known or "[" in text or ">" in text or text in ("use strict", "12px system-ui"), (
                    path.name,
                    text,
                )
        for text in re.findall(r"`([^`]*)`", re.sub(r'"(?:[^"\\]|\\.)*"', '""', code)):
            said = re.sub(r"\$\{[^}]*\}", "", text)
            assert not re.search(r"[a-z]{3,} [a-z]{3,}", said) or "no attribute" in said or "no link" in said, text


@pytest.mark.parametrize("script", ["_('a b')", "_(`a ${b}`)", "woven(n ? `a` : b)"])
def test_a_text_that_cannot_be_found_is_refused(script):
    with pytest.raises(ValueError, match="not in double quotes"):
        list(texts_in(script))


def test_answers_say_sentences_in_the_language_that_is_asked_for_and_data_in_none(page, machine):
    machine(CALANDO_LANG="zh")  # a program that asks gets English all the same
    for path in ("/api/status", "/api/summary", "/api/places", "/api/runs", "/api/status?lang=klingon"):
        assert not HAN.search(page.get(path, CHINESE).text), path
    english, chinese = page.get("/api/status").json(), page.get("/api/status?lang=zh-CN").json()
    said = {name for name in english if english[name] != chinese[name]}
    assert said == {"words", "headline"}
    assert HAN.search(chinese["headline"])
    assert chinese["words"].startswith("已停止：")
    english, chinese = page.get("/api/summary").json(), page.get("/api/summary?lang=zh").json()
    assert english["spec"] == chinese["spec"]
    assert [one["name"] for one in chinese["results"]] == [one["name"] for one in english["results"]]
    assert page.get("/api/curves?lang=zh&run=x").json()["error"] == "这里没有运行 'x'"


def test_who_is_not_let_in_reads_why_in_the_language_of_the_browser(tmp_path, machine):
    fill(tmp_path, until=1)
    machine()
    closed = Client(create_app(tmp_path, tokens=Tokens.random()))
    assert "只对启动" in closed.get("/", CHINESE).text
    assert "this page is for whoever started" in closed.get("/", ENGLISH).text
