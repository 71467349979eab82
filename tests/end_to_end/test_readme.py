"""What the README and the guides say is done: their files written, their Python run, their commands given.

file          a block whose last line before it names it (`my_project/tasks.py`)
python        run as it stands; a block that is a script of `examples/` is run by that script's tests
console       every `calando …` and `python FILE` line is run. Only lengths are changed, as `SHORTER` and `SHORT` say
sh            what cannot be run here (a cluster, a download, an hour): bash and calando's own parser read it
yaml, toml    read
text          strategies, or what a command printed: `test_shown_output.py` reads it. Below commands that are run whole
              it is what they printed, line by line
`print(x)  # prints: 3`  in a block of Python is held against what that line printed
"""

import ast
import io
import re
import runpy
import shlex
import socket
import subprocess
import sys
import tomllib
import warnings
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.waiting import PATIENCE
from typer.main import get_command

from calando.cli.app import app
from calando.cli.main import main
from calando.errors import CalandoError
from calando.strategy import parse_strategy
from calando.tasks.data.spoken_digits import SPEAKERS

ROOT = Path(__file__).parents[2]
# The blocks of these are run by tests of their own.
ELSEWHERE = {"docs/how-to/your-own.md": "tests/testing/test_registering.py, tests/study/test_executors.py"}
GUIDES = sorted(
    str(path.relative_to(ROOT))
    for room in ("explanation", "how-to", "reference")
    for path in (ROOT / "docs" / room).rglob("*.md")
)
DOCUMENTS = ["README.md", "docs/index.md", *(guide for guide in GUIDES if guide not in ELSEWHERE)]
PAGES = sorted(
    str(path.relative_to(ROOT)) for folder in (ROOT, ROOT / "docs") for path in folder.glob("*.md")
) + sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*/**/*.md"))
# Whose blocks are cells of one notebook.
CELLS = ("docs/how-to/notebook.md",)
# What a framework warns of is its own affair.
FRAMEWORKS = {
    f"docs/how-to/{name}.md": package
    for name, package in {
        "accelerate": "accelerate",
        "ddp": "torch",
        "ignite": "ignite",
        "lightning": "pytorch_lightning",
        "transformers": "transformers",
    }.items()
}

# Put in place of the lengths of commands (`--epochs 5`) and of scripts.
SHORTER = {
    "find": ["--repeats", "2"],
    "compare": ["--steps", "4", "--seeds", "2", "--rates", "1", "--workers", "1", "--device", "cpu"],
    "train": ["--steps", "4", "--threads", "1", "--device", "cpu"],
    "tune": ["--steps", "100", "--device", "cpu"],
    "explain": ["--steps", "100", "--device", "cpu"],
}
# A script says its own length, and each of its runs is a process.
SHORTER_SCRIPT = ["--seeds", "1", "--lr", "0.05", "--no-check-repeats", "--workers", "1"]
SHORT = {
    "epochs=10": "steps=4, seeds=2, rates=1, executor='inline', device='cpu'",
    "most_seeds=12": "most_seeds=4, steps=4, rates=1, executor='inline', device='cpu'",
    "return 600": "return 150",
    "range(1000)": "range(10)",
    "warmup='20 steps'": "warmup='2 steps'",
    "seeds=3": "seeds=1, lr=0.05, executor='inline'",
    "budget=3": "budget=3, executor='inline'",
    "steps=200, folder": "steps=100, folder",
}

_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w/]+\.(?:py|toml))`:\s*\Z")


def blocks(document: str) -> list[tuple[str, str | None, str]]:
    """(language, the file it is, the text) of each block but directives, as `{toctree}`."""
    text = (ROOT / document).read_text()
    found = []
    for block in _BLOCK.finditer(text):
        named = _FILE.search(text[: block.start()])
        if not block[1].startswith("{"):
            found.append((block[1], named[1] if named else None, block[2]))
    return found


def bodies_of_examples() -> dict[str, str]:
    """The code below the docstring of each example that tests run, by its name."""
    found = {}
    for path in (ROOT / "examples").rglob("*.py"):
        text = path.read_text()
        head = ast.parse(text).body[0].end_lineno
        found["".join(text.splitlines(keepends=True)[head:]).strip()] = path.name
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_the_document_says_works(document, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    if document in FRAMEWORKS:
        pytest.importorskip(FRAMEWORKS[document])
    write_data(tmp_path)
    if document == "docs/how-to/speech.md":
        monkeypatch.setenv("CALANDO_DATA", str(tmp_path))
        write_recordings(tmp_path)
    if document == "docs/how-to/ddp.md":
        alone_in_the_world(monkeypatch)
    examples = bodies_of_examples()
    cells: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    try:
        for language, file, text in blocks(document):
            elsewhere = text.strip() in examples and document != "docs/how-to/ddp.md"
            if PRINTS.search(text) and (elsewhere or file is not None or language != "python"):
                raise AssertionError(f"nothing holds `# prints:` in this block:\n{text}")
            if elsewhere:
                continue
            whole = text
            for long, short in SHORT.items():
                text = text.replace(long, short)
            if file is not None:
                path = Path(file)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            if language == "python" and (file is None or document == "docs/how-to/ddp.md"):
                with warnings.catch_warnings():
                    if document in FRAMEWORKS:
                        warnings.simplefilter("ignore")
                    run_python(text, document, cells if document in CELLS else {"__name__": "__main__"})
                printed = capsys.readouterr().out if text == whole else ""
            elif language == "console":
                commands = [shlex.split(line) for line in text.splitlines()]
                answers = [run(command, monkeypatch, capsys) for command in commands]
                printed = "".join(answers) if all(shorter(command) == command for command in commands) else ""
            elif language == "text":
                if not are_strategies(text):
                    assert_printed(text, printed)
            elif language == "sh":
                read_by_bash(text)
                printed = ""
            elif language == "yaml":
                pytest.importorskip("yaml").safe_load(text)
            elif language == "toml":
                tomllib.loads(text)
            elif language != "python":
                raise AssertionError(f"a block of {language or 'no language'} that nobody checks")
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name in [name for name in sys.modules if name.partition(".")[0] == "my_project"]:
            del sys.modules[name]


PRINTS = re.compile(r"^.*\bprint\(.*\)  # prints: (.*)$", re.MULTILINE)


def run_python(text: str, document: str, namespace: dict[str, object]) -> None:
    """Run a block; where a line says what it prints, it must have printed that, each time."""
    expected = {text[: line.start()].count("\n") + 1: line[1] for line in PRINTS.finditer(text)}
    lines: dict[int, set[str]] = {}

    def noting(*values: object, **options: object) -> None:
        lines.setdefault(sys._getframe(1).f_lineno, set()).add(" ".join(map(str, values)))
        print(*values, **options)

    namespace["print"] = noting
    exec(compile(text, document, "exec"), namespace)
    assert {line: lines.get(line) for line in expected} == {line: {says} for line, says in expected.items()}


def are_strategies(text: str) -> bool:
    """Whether calando reads each line as one."""
    try:
        return bool([parse_strategy(line) for line in text.splitlines() if line])
    except CalandoError:
        return False


def assert_printed(text: str, printed: str) -> None:
    """Lines shown on a page were printed one below the other by what was run whole above them; "" was not."""
    shown, said = ([line.rstrip() for line in part.splitlines()] for part in (text, printed))
    places = range(len(said) - len(shown) + 1)
    assert not said or any(said[place : place + len(shown)] == shown for place in places), (text, printed)


def test_a_block_that_prints_something_else_is_found():
    run_python("for x in 1, 1:\n    print(x, 'b')  # prints: 1 b\nprint(2)  # two\n", "page", {})
    with pytest.raises(AssertionError):
        run_python("for x in 1, 2:\n    print(x, 'b')  # prints: 1 b\n", "page", {})
    with pytest.raises(AssertionError):
        run_python("if 0:\n    print(1)  # prints: 1\n", "page", {})
    assert_printed("b  \nc\n", "a\nb\nc\nd\n")
    with pytest.raises(AssertionError):
        assert_printed("b\nd\n", "a\nb\nc\nd\n")


def alone_in_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """One rank of one, as `torchrun --nproc-per-node 1` tells its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    for name, value in {**place, "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)


def read_by_bash(script: str) -> None:
    """Bash takes it for a script, and each of calando's commands in it has the options it is given."""
    ended = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    verbs = get_command(app).commands
    for line in re.sub(r"\$\(\(.*?\)\)", "4", script.replace("\\\n", " ")).splitlines():
        if "calando " not in line or line.startswith("#"):
            continue
        words = shlex.split(line, comments=True)
        # after another command (srun … calando show), or handed over as one word (ray exec … "calando show")
        inner = next((word for word in words if word.startswith("calando ")), None)
        words = shlex.split(inner) if inner else words[words.index("calando") :] if "calando" in words else []
        if len(words) > 1:
            reader, name, given = verbs[words[1]], words[1], words[2:]
            if hasattr(reader, "commands"):
                reader, given = reader.commands[given[0]], given[1:]
            reader.make_context(name, given)


def test_a_command_that_does_not_exist_is_found_on_a_page():
    with pytest.raises(Exception, match="No such option: --worker"):
        read_by_bash("for fold in 1 2; do\n  calando compare digits --worker 3\ndone\n")
    with pytest.raises(Exception, match=r"No such option: --seed\b"):
        read_by_bash("srun --nodes=1 calando compare digits --seed 3")
    with pytest.raises(KeyError, match="sho"):
        read_by_bash('ray exec cluster.yaml "calando sho study"')
    with pytest.raises(AssertionError, match="syntax error"):
        read_by_bash("for fold in 1 2\n  calando show\n")


def write_data(folder: Path) -> None:
    """What pages take for a reader's own: shapes.npz, pictures in folders, a table, a log, a text."""
    from PIL import Image

    images = np.random.default_rng(0).integers(0, 256, (120, 16, 16), dtype=np.uint8)
    np.savez(folder / "shapes.npz", images=images, labels=np.arange(120) % 3)
    for place, image in enumerate(images):
        home = folder / "photos" / ("cat", "dog")[place % 2]
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(home / f"{place}.png")
    rows = [f"{place % 7},{('north', 'south')[place % 2]},{3.5 * (place % 7) + place % 5}" for place in range(120)]
    (folder / "houses.csv").write_text("\n".join(["rooms,side,price", *rows]) + "\n")
    rates = ((step, 0.1 * min(step / 50, (1000 - step) / 950)) for step in range(0, 1000, 10))
    (folder / "log.csv").write_text("step,lr\n" + "".join(f"{step},{rate:.6g}\n" for step, rate in rates))
    (folder / "letters.txt").write_text("a rate too large diverges, a rate too small crawls. " * 60)


def write_recordings(folder: Path) -> None:
    """Tones in two classes below words/, and three takes of each digit by each speaker as fsdd/ has them."""
    import pyarrow
    import pyarrow.parquet as storage

    def tone(place: int) -> bytes:
        file, levels = io.BytesIO(), 9000 * np.sin(np.arange(2400) * (0.1 + place / 200))
        with wave.open(file, "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", ""))
            out.writeframes(levels.astype("<i2").tobytes())
        return file.getvalue()

    for name in ("no", "yes"):
        (folder / "words" / name).mkdir(parents=True)
        for place in range(20):
            (folder / "words" / name / f"{place}.wav").write_bytes(tone(place + 40 * (name == "yes")))
    (folder / "fsdd").mkdir()
    spoken = [(digit, speaker) for digit in range(10) for speaker in SPEAKERS]
    for part, takes in (("test", 1), ("train", 2)):
        rows = [
            {"audio": {"bytes": tone(10 * digit + takes), "path": None}, "label": digit, "speaker": speaker}
            for digit, speaker in spoken * takes
        ]
        storage.write_table(pyarrow.Table.from_pylist(rows), folder / "fsdd" / f"{part}.parquet")


def shorter(command: list[str]) -> list[str]:
    """The command with its length changed."""
    if command[1] not in SHORTER or command[2].endswith("spec.json"):
        return command  # a spec says its own length
    if command[1] == "compare" and command[2].endswith(".py"):
        return [*command, "--epochs", "1", *SHORTER_SCRIPT]
    kept, words = [], iter(command)
    for word in words:
        if word in ("--epochs", "--steps"):
            next(words)
        else:
            kept.append(word)
    # One's own workload runs in a worker process, as it does for a newcomer; the others in this one, to be quick.
    inline = ["--executor", "inline"] if command[1] == "compare" and "my_project.tasks:workload" not in kept else []
    return [*kept, *SHORTER[command[1]], *inline]


def run(command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Run one line; it must succeed and say something, which is returned."""
    if command[0] == "python" and re.search(r"calando\.run\(|executor='inline'", Path(command[1]).read_text()):
        runpy.run_path(command[1], run_name="__main__")
        said = capsys.readouterr().out
        assert said
        return said
    if command[0] == "python":
        ended = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True, timeout=PATIENCE)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout
        return ended.stdout
    assert command[0] == "calando", command
    monkeypatch.setattr(sys, "argv", shorter(command))
    status = None
    try:
        main()
    except SystemExit as left:
        status = left.code
    said, err = capsys.readouterr()
    assert not status, (command, err)
    assert said.strip()
    if command[1] == "compare":
        assert re.search(r"^report: .*report\.html$", said, re.MULTILINE), said
    return said


def test_the_two_commands_of_a_newcomer_are_the_makefiles():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    targets = re.findall(r"^    make (\w+) ", readme, re.MULTILINE)
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_every_verb_is_in_the_readme(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["calando", "--help"])
    with pytest.raises(SystemExit):
        main()
    verbs = re.findall(r"^  (\w+)  +", capsys.readouterr().out.partition("Commands:")[2], re.MULTILINE)
    table = (ROOT / "README.md").read_text().partition("## The verbs")[2].partition("\n## ")[0]
    assert len(verbs) > 5
    assert all(re.search(rf"`(calando )?{verb}\b", table) for verb in verbs)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.is_file(), f"{page} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
