"""docs/glossary.md: each term in English and in Chinese, with one sentence; both languages pair the same terms.

The Chinese of the program, of the pages and of README.zh.md says one thing by one word, with Chinese punctuation.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.catalogue import PO, read_po

from calando.schedules import describe

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HAN = re.compile("[\u4e00-\u9fff]")
CODE = re.compile(r"```.*?```|`+[^`]*`+|\$[^$]*\$|'[^']*'|\"[^\"]*\"|\]\([^)]*\)|https?://\S+|\{[^{}]*\}", re.DOTALL)

REJECTED = {
    "(?<![部百])分数|最高分|平均分": "得分",  # 分数 is a fraction as well
    "步更新": "次更新",
    "更新步数": "更新次数",
    "个运行(?!环境|句柄)": "次运行",
    "(?<!整)个策略": "种策略",
    "个研究": "项研究",
    "研究文件夹": "研究的文件夹",
    "未读取|略去|略过": "跳过",
    "竞争|赛跑": "竞赛",
    "各臂|(?<!参赛)分支表": "参赛分支",
    "跟踪器|追踪器": "跟踪工具",
    "梅尔带": "梅尔频带",
    "图片(?!文件|形式|无法)": "图像",
    "捷径": "残差连接",
    "平均方式": "权重平均",
    "策略族": "族",
    "区段": "长度",
    "因子": "系数",
    "恒定的?学习率": "固定学习率",
    "十倍程": "数量级",
    "热身": "预热",
    "学习速率": "学习率",
    "traceback": "错误回溯",
    "docstring": "文档字符串",
    "同一命令": "同一条命令",
    "退出状态(?!码)": "退出状态码",
    "[「」]": "“”",
}
"""Words that stood for a thing, as a regular expression -> the word that stands for it everywhere."""


def chinese() -> Iterator[tuple[str, str]]:
    """(where, Chinese text without its code) of the program, of every page and of README.zh.md."""
    for file in (PO, *sorted((DOCS / "locale/zh_CN").rglob("*.po"))):
        for text in read_po(file.read_text("utf-8")).values():
            yield file.stem, CODE.sub("`", text)
    yield "README.zh.md", CODE.sub("`", (ROOT / "README.zh.md").read_text("utf-8"))


TEXTS = list(chinese())


def entries() -> list[tuple[str, str, str]]:
    """(English, Chinese, meaning) of each entry."""
    blocks = re.findall(r"^```\{glossary\}\n(.*?)^```$", (DOCS / "glossary.md").read_text("utf-8"), re.M | re.S)
    found = []
    for entry in "\n".join(blocks).strip().split("\n\n"):
        english, chinese, meaning = (line for line in entry.splitlines() if line)
        found.append((english, chinese, meaning.removeprefix("  ")))
    return found


def test_every_term_is_there_once_in_both_languages():
    assert len(entries()) >= 70
    for place in (0, 1):
        terms = [entry[place] for entry in entries()]
        assert len(set(terms)) == len(terms)
    for english, chinese, meaning in entries():
        assert not HAN.search(english), english
        assert HAN.search(chinese), chinese
        assert re.fullmatch(r"\S.*\.", meaning), english


def test_the_chinese_page_pairs_the_same_terms():
    texts = read_po((DOCS / "locale/zh_CN/LC_MESSAGES/glossary.po").read_text("utf-8"))
    for english, chinese, meaning in entries():
        assert (texts[english], texts[chinese]) == (english, chinese)
        assert HAN.search(texts[meaning]), meaning


@pytest.mark.parametrize(("rejected", "term"), REJECTED.items())
def test_one_thing_has_one_name_in_chinese(rejected, term):
    assert not re.search(rejected, term)
    assert [(where, text, term) for where, text in TEXTS if re.search(rejected, text)] == []


def test_a_schedule_is_described_in_the_same_words_in_the_terminal_and_on_its_page():
    shown = read_po(PO.read_text("utf-8"))
    page = read_po((DOCS / "locale/zh_CN/LC_MESSAGES/reference/python/calando.schedules.po").read_text("utf-8"))
    for one in describe():
        written = page[one.summary.replace("`", "``") + "."].removesuffix("。").replace("``", "`")
        assert written == shown[one.summary]


def half_width(text: str) -> bool:
    """Whether a half-width mark stands next to a Chinese character."""
    han = HAN.pattern
    return bool(re.search(rf"{han}[*_]* ?[;,:?!]|[;,:?!] ?[*_]*{han}|{han}\.(\s|$)", text))


def test_sentences_have_chinese_punctuation():
    assert len(TEXTS) > 5000
    assert [(where, text) for where, text in TEXTS if half_width(text)] == []


@pytest.mark.parametrize("text", ["没有参数;写法是", "未知的调度 `; 可选", "甲, 乙", "**甲**:乙", "完成.", "对吗?"])
def test_half_width_marks_next_to_chinese_are_seen(text):
    assert half_width(text)
    assert not half_width(text.translate(str.maketrans(";,:.?", "；，：。？")))
