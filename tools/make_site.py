"""Build the site: docs/ in English and in Chinese, with the reference generated, cells run, and everything checked.

    python tools/make_site.py                         both languages into build/site/html; what make site runs
    python tools/make_site.py --language en --page course/01-why-the-rate-matters how-to/index
                                                      these pages alone, unchecked: quick while one writes
    python tools/make_site.py --words                 both languages into build/site/words, with no cell run
    python tools/make_site.py --strings               gather the texts to translate into docs/locale

Cells are run once, and the code of a course page's answers behind them, hidden: outputs lie in build/site/cache by what
decides them, their text, calando's code, the versions of what computes and draws, and the data that lie there. Both
languages show the same. Nothing is fetched, neither by
the build nor by a page that is read.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from jupyter_cache import get_cache
from site_answers import MAGIC, seconds_of, with_answers
from site_checks import check_html, check_lengths
from site_reference import write_reference
from site_search import check_search
from site_strings import check_catalogues, gather

ROOT = Path(__file__).resolve().parents[1]
DOCS, BUILD = ROOT / "docs", ROOT / "build/site"
LANGUAGES = {"en": "en", "zh_CN": "zh"}
"""Sphinx's name of a language -> calando's."""

FILES = Path("files")
"""Below a site's root: files that pages link to."""

STARTUP = """import altair
altair.renderers.enable("svg")  # pages open with no network: a figure is a picture
"""

CHOICE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>calando</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<script>location.replace((navigator.language || "en").startsWith("zh") ? "zh_CN/index.html" : "en/index.html")</script>
</head><body><p><a href="en/index.html">English</a> · <a href="zh_CN/index.html" lang="zh-CN">中文</a></p></body></html>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", choices=[*LANGUAGES, "all"], default="all")
    parser.add_argument(
        "--page", nargs="+", metavar="PAGE", help="these pages alone, as course/01-why-the-rate-matters"
    )
    parser.add_argument("--strings", action="store_true", help="gather the texts to translate into docs/locale")
    parser.add_argument("--words", action="store_true", help="run no cell: quick, for pages whose words alone change")
    parser.add_argument("--unchecked", action="store_true", help="build, also where translations lack")
    asked = parser.parse_args()
    if asked.words:
        os.environ["CALANDO_SITE_RUN"] = "off"
    if asked.strings:
        source = lay_source("en", None)
        read_texts(source)
        gather(BUILD / "texts", DOCS / "locale")
        return
    wanted = list(LANGUAGES) if asked.language == "all" else [asked.language]
    faults: list[str] = []
    if not (asked.page or asked.unchecked):
        source = lay_source("en", None)
        read_texts(source)
        faults += [*check_lengths(DOCS), *check_catalogues(BUILD / "texts", DOCS / "locale")]
        report(faults)
    # pages without outputs never lie where a later build would take them for done
    site = BUILD / ("drafts" if asked.page else "words" if asked.words else "html")
    for language in wanted:
        source = lay_source(language, asked.page)
        html = site / language
        sphinx(source, html, language, builder="html", strict=not asked.page)
        print(f"{language}: {html / 'index.html'}")
    print_seconds()
    if not asked.page and asked.language == "all":
        (site / "index.html").write_text(CHOICE, encoding="utf-8")
        report([*check_html(site), *check_search(site)])
        print(f"site: {site / 'index.html'}")


def read_texts(source: Path) -> None:
    """Gather the texts of every page below build/site/texts, and of no page that was."""
    shutil.rmtree(BUILD / "texts", ignore_errors=True)
    sphinx(source, BUILD / "texts", "en", builder="gettext", strict=False)


def report(faults: Iterable[str]) -> None:
    """End where there are faults, each on a line."""
    found = list(faults)
    if found:
        sys.exit("\n".join([*found, f"{len(found)} faults"]))


def lay_source(language: str, pages: list[str] | None) -> Path:
    """A copy of docs/ with the generated reference, files written only where they changed: Sphinx goes by dates."""
    source = BUILD / "source" / (language if pages is None else f"{language}-draft")
    texts = {path.relative_to(DOCS): path.read_bytes() for path in DOCS.rglob("*") if path.is_file()}
    if pages is not None:
        missing = [page for page in pages if Path(f"{page}.md") not in texts]
        if missing:
            sys.exit(f"docs/ has no page {missing[0]!r}; --page takes what stands before .md, as how-to/lightning")
        kept = {Path(f"{page}.md") for page in pages}
        texts = {path: text for path, text in texts.items() if path.suffix != ".md" or path in kept}
        listed = "\n".join(pages)
        texts[Path("index.md")] = f"# Draft\n\n```{{toctree}}\n{listed}\n```\n".encode()
    else:
        texts |= {
            Path("reference") / path: text.encode() for path, text in write_reference(LANGUAGES[language]).items()
        }
    texts |= linked_files(texts)
    for path in [path for path in texts if path.suffix == ".md"]:
        texts[path] = with_answers(texts[path].decode(), path.as_posix()).encode()
    for path, text in texts.items():
        file = source / path
        if not file.is_file() or file.read_bytes() != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text)
    for file in [file for file in source.rglob("*") if file.is_file() and file.relative_to(source) not in texts]:
        file.unlink()
    return source


def linked_files(texts: dict[Path, bytes]) -> dict[Path, bytes]:
    """What pages link to outside docs/, and the log, as files that a reader downloads; the links lead to them."""
    files: dict[Path, bytes] = {}

    def link(match: re.Match[str], page: Path) -> str:
        target = match[1].partition("#")[0]
        if not target or ":" in target:
            return match[0]
        file = Path(os.path.normpath(DOCS / page.parent / target))
        if not file.is_file() or (file.is_relative_to(DOCS) and file.name != "LOG.md"):
            return match[0]
        kept = FILES / file.relative_to(ROOT).with_name(file.name.replace(".md", ".md.txt"))
        files[kept] = file.read_bytes()
        return f"](/{kept.as_posix()})"

    for page in [page for page in texts if page.suffix == ".md" and page.parts[:2] != ("reference", "python")]:
        text = texts[page].decode()
        texts[page] = re.sub(r"\]\(([^)\s]+)\)", lambda match, page=page: link(match, page), text).encode()
    return files


def sphinx(source: Path, out: Path, language: str, *, builder: str, strict: bool) -> None:
    """Run Sphinx in a process of its own, where cells find figures drawn and data sets, if there are any."""
    startup = BUILD / "ipython/profile_default/startup"
    startup.mkdir(parents=True, exist_ok=True)
    (startup / "figures.py").write_text(STARTUP, encoding="utf-8")
    (startup / "answers.py").write_text(MAGIC, encoding="utf-8")
    environment = {
        **os.environ,
        "IPYTHONDIR": str(BUILD / "ipython"),
        "CALANDO_LANG": "en",  # outputs are the same in every language
        "CALANDO_PROGRESS": "off",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),  # small networks; and the same bits on more cores
        "CALANDO_SITE_LANGUAGE": language,
        "CALANDO_SITE_DOCS": str(DOCS),
        "CALANDO_SITE_TOOLS": str(ROOT / "tools"),
        "CALANDO_SITE_CACHE": str(BUILD / "cache" / code_digest(data_folder())),
        "CALANDO_SITE_RUN": "off" if builder == "gettext" else os.environ.get("CALANDO_SITE_RUN", "cache"),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]),
        **({"CALANDO_DATA": data_folder()} if Path(data_folder()).is_dir() else {}),
    }
    for page in [
        file for file in out.rglob("*.html") if not (source / file.relative_to(out)).with_suffix(".md").is_file()
    ]:
        page.unlink()  # of a page that was; Sphinx writes its own, as the search, again
    options = ["-W", "--keep-going"] if strict else []
    trees = BUILD / "trees" / f"{builder}-{source.name}-{environment['CALANDO_SITE_RUN']}"
    command = [sys.executable, "-m", "sphinx", "-q", "-b", builder, "-d", str(trees), *options, str(source), str(out)]
    ended = subprocess.run(command, env=environment)
    if ended.returncode:
        sys.exit(f"sphinx ended with {ended.returncode}")


def data_folder() -> str:
    """Where data sets lie, if there are any: $CALANDO_DATA, else next to the checkout."""
    return os.environ.get("CALANDO_DATA") or str(ROOT.parent / "shared/data")


def print_seconds() -> None:
    """Print how long the cells of each page took when they were run, as they are cached, and its answers of that."""
    folder = BUILD / "cache" / code_digest(data_folder())
    if not folder.is_dir():
        return
    cache = get_cache(str(folder))
    for record in cache.list_cache_records():
        page = Path(record.uri).with_suffix("").parts[-2:]
        cells = cache.get_cache_bundle(record.pk).nb.cells
        printed = [output.get("text", "") for cell in cells for output in cell.outputs if cell.source.startswith("%%")]
        answers = sum(map(seconds_of, printed))
        whole = record.data.get("execution_seconds", math.nan)
        print(f"{'/'.join(page):48} {whole:5.1f} s, of these answers {answers:5.1f} s")


@cache
def code_digest(data: str) -> str:
    """What the cells' outputs depend on besides their text.

    Calando's files, less what only pages in a browser and who reads Chinese need; the versions of what computes and
    draws; which data sets there are.
    """
    src = ROOT / "src/calando"
    elsewhere = ("web", "testing", "locale", "__pycache__")
    files = [path for path in src.rglob("*") if path.is_file() and not set(path.relative_to(src).parts) & {*elsewhere}]
    digest = sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    versions = [f"{name} {version(name)}" for name in ("torch", "numpy", "altair", "vl-convert-python")]
    sets = sorted(path.name for path in Path(data).iterdir()) if Path(data).is_dir() else []
    digest.update("\n".join([sys.version, *versions, *sets]).encode())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    if shutil.which("sphinx-intl", path=str(Path(sys.executable).parent)) is None:
        sys.exit("the site's tools are not installed: make site, or pip install -c constraints.txt -e '.[site]'")
    main()
