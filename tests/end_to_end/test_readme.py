"""What the README and the guides say is done: their files written, their Python run, their commands given.

A block of code whose last line before it names a file (`my_project/tasks.py`) is that file; other Python is run as it
stands, and so is every `calando …` and `python FILE` line. Only lengths are changed, as `SHORTER` and `SHORT` say.
"""

import io
import re
import shlex
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from calando.cli.main import main
from calando.tasks.data.spoken_digits import SPEAKERS

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "docs/explanation/a-run-is-a-function.md",
    "docs/explanation/sharing.md",
    "docs/how-to/choosing-a-schedule.md",
    "docs/how-to/finding-a-rate.md",
    "docs/how-to/from-torch.md",
    "docs/how-to/own-workload.md",
    "docs/how-to/speech.md",
    "docs/how-to/trackers.md",
    "docs/how-to/which-method.md",
    "docs/how-to/your-own-loop.md",
    "docs/reference/strategy-text.md",
    "docs/how-to/your-own-task.md",
    "docs/how-to/your-training-code.md",
)
PAGES = (
    *DOCUMENTS,
    "docs/architecture.md",
    "docs/reference/schedules/index.md",
    "docs/how-to/a-first-lesson.md",
    "docs/how-to/many-machines.md",
    "docs/how-to/watching.md",
    "docs/upgrading.md",
    "docs/glossary.md",
    "docs/LOG.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *sorted(
        str(page.relative_to(ROOT))
        for room in ("explanation", "reference")
        for page in (ROOT / f"docs/{room}").glob("*.md")
    ),
)

# Put in place of the lengths of commands (`--epochs 5`) and of scripts.
SHORTER = {
    "compare": ["--steps", "4", "--seeds", "2", "--rates", "1", "--workers", "1", "--device", "cpu"],
    "train": ["--steps", "4", "--threads", "1", "--device", "cpu"],
}
# A script says its own length, and each of its runs is a process.
SHORTER_SCRIPT = ["--seeds", "1", "--lr", "0.05", "--no-check-repeats", "--workers", "1"]
SHORT = {
    "epochs=10": "steps=4, seeds=2, rates=1, workers=1, device='cpu'",
    "range(1000)": "range(10)",
    "seeds=3": "seeds=1, lr=0.05, executor='inline'",
}

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w/]+\.(?:py|toml))`:\s*\Z")


def blocks(document: str) -> list[tuple[str, str | None, str]]:
    """(language, the file it is, the text) of each block."""
    text = (ROOT / document).read_text()
    found = []
    for block in _BLOCK.finditer(text):
        named = _FILE.search(text[: block.start()])
        found.append((block[1], named[1] if named else None, block[2]))
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_the_document_says_works(document, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    images = np.random.default_rng(0).integers(0, 256, (120, 16, 16), dtype=np.uint8)
    np.savez("shapes.npz", images=images, labels=np.arange(120) % 3)
    if document == "docs/how-to/speech.md":
        monkeypatch.setenv("CALANDO_DATA", str(tmp_path))
        write_recordings(tmp_path)
    ran = 0
    try:
        for language, file, text in blocks(document):
            for long, short in SHORT.items():
                text = text.replace(long, short)
            if file is not None:
                path = Path(file)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            elif language == "python":
                exec(compile(text, document, "exec"), {"__name__": "__main__"})
                ran += 1
            elif language == "console":
                for line in text.splitlines():
                    run(shlex.split(line), monkeypatch, capsys)
                    ran += 1
            else:
                raise AssertionError(f"a block of {language} that nobody checks")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "my_project"]:
            del sys.modules[name]
    assert ran


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
        return [*command, *SHORTER_SCRIPT]
    kept, words = [], iter(command)
    for word in words:
        if word in ("--epochs", "--steps"):
            next(words)
        else:
            kept.append(word)
    # One's own workload runs in a worker process, as it does for a newcomer; the others in this one, to be quick.
    inline = ["--executor", "inline"] if command[1] == "compare" and "my_project.tasks:workload" not in kept else []
    return [*kept, *SHORTER[command[1]], *inline]


def run(command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Run one line; it must succeed and say something."""
    if command[0] == "python":
        ended = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True, timeout=240)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout
        return
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
