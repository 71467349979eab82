"""The language that a person reads follows CALANDO_LANG, else the locale; what is stored or sent is English."""

import ast
import importlib.util
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from random import Random

import pytest
from tests.waiting import PATIENCE

from calando import language as languages
from calando.cli.options import OPTIONS, as_flags
from calando.language import Message, _, in_language, joined, language, message, translated

ROOT = Path(__file__).parents[2]
HAN = re.compile("[\u4e00-\u9fff]")


def load_tool():
    spec = importlib.util.spec_from_file_location("catalogue", ROOT / "tools" / "catalogue.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_catalogue() -> dict[str, str]:
    """English -> Chinese."""
    tool = load_tool()
    return tool.read_po(tool.PO.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def catalogue():
    return load_tool()


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LC_MESSAGES": "zh_CN.UTF-8", "LANG": "de_DE.UTF-8"}, "zh"),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"CALANDO_LANG": "en", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"CALANDO_LANG": "zh", "LC_ALL": "C"}, "zh"),
        ({"CALANDO_LANG": "zh-Hans", "LANG": "C"}, "zh"),
    ],
)
def test_calando_lang_decides_else_the_first_locale_that_is_set(machine, variables, shown):
    machine(**variables)
    assert language() == shown


def test_a_language_that_does_not_exist_is_reported_once_and_english_is_shown(machine, capsys):
    machine(CALANDO_LANG="klingon", LANG="zh_CN.UTF-8")
    languages._unknown.cache_clear()
    assert (language(), language()) == ("en", "en")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert all(word in said for word in ("'klingon'", "en and zh"))


def test_every_text_is_translated_with_the_same_places_and_nothing_is_fuzzy(catalogue):
    texts, po = catalogue.said(), catalogue.read_po(catalogue.PO.read_text(encoding="utf-8"))
    assert catalogue.faults(texts, po) == []
    assert catalogue.PO.read_text(encoding="utf-8") == catalogue.write_po(texts, po)


def test_the_compiled_catalogue_is_that_of_the_text(catalogue):
    po = catalogue.read_po(catalogue.PO.read_text(encoding="utf-8"))
    assert catalogue.MO.read_bytes() == catalogue.compiled(po)
    for name in languages.CATALOGUES:
        read = languages._catalogue(name)
        assert {text: read.gettext(text) for text in po} == po


def test_an_argument_is_shown_as_its_option_in_both_languages(catalogue):
    given_as = {**OPTIONS, "folder": OPTIONS["data_dir"]}  # each command has its own option for a folder
    shown = [
        (text, chinese)
        for text, chinese in catalogue.read_po(catalogue.PO.read_text(encoding="utf-8")).items()
        if "=" in text and (as_flags(text, given_as) == text) != (as_flags(chinese, given_as) == chinese)
    ]
    assert shown == []
    assert as_flags("请给出 steps_per_epoch=（一轮的批次数）", OPTIONS) == "请给出 --steps-per-epoch（一轮的批次数）"


def test_what_is_fuzzy_lacks_or_has_other_places_is_a_fault(catalogue):
    entry = 'msgid "rate {rate:g}"\nmsgstr "{lr:g}"\n'
    with pytest.raises(SystemExit, match="fuzzy"):
        catalogue.read_po(f"#, fuzzy\n{entry}")
    faults = catalogue.faults({"rate {rate:g}": ["a.py"], "new": ["a.py"]}, {**catalogue.read_po(entry), "old": "旧"})
    assert [one.split(":")[0] for one in faults] == ["not translated", "no longer said", "other places"]


def _sentence(value: ast.expr) -> str:
    """What an expression holds of English words in a row, outside a message."""
    if isinstance(value, ast.IfExp):
        return _sentence(value.body) or _sentence(value.orelse)
    parts = value.values if isinstance(value, ast.JoinedStr) else [value]
    text = "".join(str(part.value) if isinstance(part, ast.Constant) else "it" for part in parts)
    return text if re.search(r"[a-z]{2,} [a-z]{2,}", text) else ""


def _named(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Name -> the English sentence that it is given."""
    return {
        node.targets[0].id: _sentence(node.value)
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def test_no_value_of_a_message_is_an_english_sentence_that_would_stand_in_a_chinese_one():
    found = []
    for path in sorted((ROOT / "src/calando").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = _named(tree.body)
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            nodes = list(ast.walk(function))
            known = constants | _named(nodes)
            calls = [
                node
                for node in nodes
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("message", "_", "Message")
            ]
            values = [one.value for call in calls for one in call.keywords]
            said = [known.get(one.id, "") if isinstance(one, ast.Name) else _sentence(one) for one in values]
            found += [f"{path.name}: {text!r}" for text in said if text and not text.startswith("calando demo")]
    assert found == []


def test_a_text_survives_its_file(catalogue):
    odd = {'a "b"\\n\n\tc': "甲\\乙\n丙"}
    assert catalogue.read_po(catalogue.write_po({text: ["a.py"] for text in odd}, odd)) == odd


def test_a_message_is_its_english_text_wherever_it_is_no_longer_shown():
    with in_language("zh"):
        one = message("rate {rate:.2g}: {end}", rate=0.125, end=message("diverged"))
        for same in (one, deepcopy(one), pickle.loads(pickle.dumps(one))):
            assert same == "rate 0.12: diverged"
            assert f"{same}" == str(same) == json.loads(json.dumps(same)) == "rate 0.12: diverged"
            assert (same.template, hash(same)) == (one.template, hash(str(one)))


@pytest.fixture
def with_texts(monkeypatch):
    """A catalogue of these texts."""

    class Texts:
        texts = None

        def gettext(self, text: str) -> str:
            return self.texts.get(text, text)

    found = Texts()
    monkeypatch.setattr(languages, "_catalogue", lambda name: found)
    return found


def test_values_that_are_messages_are_translated_and_data_are_not(with_texts):
    with_texts.texts = {"{name} {end}": "{end}：{name}", "diverged": "发散", "{one}, {other}": "{one}、{other}"}
    with in_language("zh"):
        assert translated(message("{name} {end}", name="diverged", end=message("diverged"))) == "发散：diverged"
        assert translated(joined("{one}, {other}", ["diverged", message("diverged"), "c"])) == "diverged、发散、c"
        assert (translated("diverged"), translated("lacks"), translated(""), _("lacks")) == (
            "发散",
            "lacks",
            "",
            "lacks",
        )
    assert translated(message("{name} {end}", name="a", end=message("diverged"))) == "a diverged"


@pytest.mark.parametrize("wrong", ["{other}", "{rate:%q}", "{rate.real.nothing}", "{", "{rate[0]}"])
def test_a_translation_that_cannot_be_filled_in_gives_english(with_texts, wrong):
    with_texts.texts = {"rate {rate:g}": wrong}
    with in_language("zh"):
        assert _("rate {rate:g}", rate=0.1) == "rate 0.1"


def damaged(seed: int) -> bytes:
    """The catalogue cut off in its tables of texts, and some bytes of its head changed."""
    random = Random(seed)
    content = bytearray(load_tool().MO.read_bytes()[: random.randrange(24_000)])
    for _place in range(random.choice((0, 1, 3))):
        content[random.randrange(len(content))] = random.randrange(256)
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        *(None, b"", b"\xde\x12\x04\x95", b"no catalogue", b"\xde\x12\x04\x95" + b"\xff" * 40),
        *map(damaged, range(1, 30)),
    ],
    ids=lambda content: "missing" if content is None else f"{len(content)} bytes",
)
def test_a_missing_or_damaged_catalogue_gives_english_and_is_reported_once(monkeypatch, tmp_path, content, capsys):
    monkeypatch.setattr(languages, "__file__", str(tmp_path / "language.py"))
    path = tmp_path / "locale/zh_CN/LC_MESSAGES/calando.mo"
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    languages._catalogue.cache_clear()
    try:
        with in_language("zh"):
            assert (_("{count} runs", count=3), _("lacks")) == ("3 runs", "lacks")
        assert capsys.readouterr().err.count("is missing or damaged, so this is English") == 1
    finally:
        languages._catalogue.cache_clear()


def test_a_message_of_a_message_is_that_message():
    one = message("rate {rate:g}", rate=0.1)
    assert message(one) is one


def test_a_message_without_values_is_taken_as_it_stands():
    assert Message("np{z") == "np{z"
    with in_language("zh"):
        assert translated(Message("np{z")) == "np{z"


def _calando(*words: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name not in ("CALANDO_LANG", "LC_ALL")}
    return subprocess.run(
        [sys.executable, "-m", "calando", *words],
        capture_output=True,
        encoding="utf-8",
        env={**environment, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80", **variables},
        timeout=PATIENCE,
    )


@pytest.mark.slow
def test_help_follows_the_language_and_fits_the_terminal():
    from rich.cells import cell_len

    helped = _calando("compare", "--help", LANG="zh_CN.UTF-8")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert {
        line.split()[0] for line in _calando("--help", LANG="zh_CN.UTF-8").stdout.split("命令：")[1].splitlines()[1:]
    } >= {
        "compare",
        "data",
        "report",
    }
    usage, options = helped.stdout.split("参数：")
    assert usage.startswith("用法：calando compare")
    assert "calando compare digits\n" in usage
    assert max(map(cell_len, options.splitlines())) <= 80
    assert not any(line.lstrip().startswith(tuple("，。；：、）")) for line in helped.stdout.splitlines())
    assert "[默认：5]" in options
    english = _calando("compare", "--help", LANG="zh_CN.UTF-8", CALANDO_LANG="en")
    assert not HAN.search(english.stdout)


def test_every_command_and_option_has_its_help_in_chinese():
    from typer.main import get_command

    from calando.cli.app import app
    from calando.cli.help_words import in_their_language

    with in_language("zh"):
        root = in_their_language(get_command(app))
    for name, command in root.commands.items():
        assert HAN.search(command.help), name
        assert len(command.short_help) < 40, name
        for one in command.params:
            assert HAN.search(one.help), (name, one.name)


@pytest.mark.slow
def test_a_study_made_in_chinese_is_stored_and_sent_as_in_english(tmp_path, capfd, machine):
    """The answer on the terminal is Chinese; its file, its JSON and its tables are not, and are those of English."""
    import sqlite3

    import calando
    from calando.cli.study import print_study

    def study(name: str) -> object:
        return calando.compare(
            "digits", "fixed", "cosine", folder=tmp_path / name, steps=6, seeds=2, rates=1, executor="inline"
        )

    def stored(name: str) -> list[str]:
        with sqlite3.connect(tmp_path / name / "study.sqlite") as file:
            return list(file.iterdump())

    def without_times(text: str) -> str:
        return re.sub(r'("seconds\w*": )[\d.e-]+', r"\1", text)

    machine(LANG="zh_CN.UTF-8")
    chinese = study("zh")
    print_study(chinese, as_json=False)
    printed = capfd.readouterr().out
    print_study(chinese, as_json=True)
    sent = capfd.readouterr().out
    exported = calando.export(tmp_path / "zh", out=tmp_path / "tables")
    machine(CALANDO_LANG="en", LANG="zh_CN.UTF-8")
    print_study(study("en"), as_json=True)
    assert HAN.search(printed)
    assert without_times(sent) == without_times(capfd.readouterr().out)
    assert not [line for line in stored("zh") if HAN.search(line)]
    assert len(stored("zh")) == len(stored("en"))
    for path in Path(exported.path).iterdir():
        assert not HAN.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], "没有命令 'frobnicate'"),
        (["compare", "--stepp", "3", "digits"], "没有选项 --stepp"),
        (["compare"], "缺少参数 'WORKLOAD'"),
        (["compare", "digits", "--rates", "x"], "'--rates' 的值无效："),
        (["compare", "digits", "--seeds", "x"], "'--seeds' 的值无效：'x' 既不是整数也不是 auto"),
        (["data", "get", "a", "b"], "多余的参数（b）"),
    ],
)
def test_a_wrong_command_line_is_refused_in_chinese(words, said, capsys):
    from typer.main import get_command

    from calando.cli.app import app
    from calando.cli.help_words import in_their_language

    with in_language("zh"), pytest.raises(SystemExit) as ended:
        in_their_language(get_command(app))(words, prog_name="calando")
    refused = capsys.readouterr().err
    assert ended.value.code == 2
    assert refused.startswith("用法：calando")
    assert f"错误：{said}" in refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "digitz"], "未知的任务 'digitz'；是否想写 'digits'？"),
        (["compare", "digits", "cosine", "--seeds", "0"], "--seeds 必须在 1 到 1000 之间，给出的是 0"),
        (["tune", "digits", "--seed", "-1"], "--seed 必须在 0 到 "),
        (["compare", "digits", "--epochs", "2", "--steps", "3"], "--epochs 与 --steps 只能给一个"),
        (["plot", "cosine", "--steps", "0"], "--steps 必须在 1 到 "),
    ],
)
def test_an_error_of_ours_names_options_as_a_person_types_them_in_chinese_too(words, said, monkeypatch, machine):
    from calando.cli.main import _command

    machine(LANG="zh_CN.UTF-8")
    monkeypatch.setattr(sys, "argv", ["calando", *words])
    monkeypatch.setattr("atexit.register", lambda call: call)
    ending = _command()
    assert ending.status == 2
    assert ending.line.startswith(said)
