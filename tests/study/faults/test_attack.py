"""A finished study and an unfinished one are damaged, flooded and starved: the same answer, or a line of ours.

    same       the answer that the study gives when nobody disturbs it
    ours       a refusal in a line, "calando: …", and no answer
    noted      another answer than the undisturbed one, and a line that says why
    foreign    a traceback, or somebody else's message
    hung       no end within a minute
    silent     another answer, or none, without a word

Each attack is the whole command in a process of its own. How many: $CALANDO_ATTACKS, 60 where nothing is set; which:
$CALANDO_ATTACK_SEED.
"""

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.study.faults.harmed import WORDS, timeless

import calando

pytestmark = [pytest.mark.torture, pytest.mark.skipif(sys.platform != "linux", reason="its limits are Linux's")]

ATTACKS = int(os.environ.get("CALANDO_ATTACKS", "60"))
SEED = int(os.environ.get("CALANDO_ATTACK_SEED", "0"))
PATIENCE_SECONDS = 90
MEBIBYTE = 2**20
SCRIPT = Path(sys.executable).with_name("calando")
FAULTS = ("foreign", "hung", "silent")


@dataclass
class Attack:
    """What is done to a copy of a study before, and to the command that then works on it."""

    folder: Path
    rng: random.Random
    turn: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    limits: list[tuple[int, int]] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    told: str = ""

    def file(self) -> Path:
        """Any file of the study but its page."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return self.rng.choice([path for path in found if "figures" not in path.parts and path.suffix != ".html"])


def damaged(attack: Attack) -> None:
    """A file is another, or is none."""
    path, rng = attack.file(), attack.rng
    harm = rng.choice(["truncate", "flip", "empty", "remove", "folder", "pipe", "endless", "loop", "link", "noise"])
    attack.told = f"{harm} {path.relative_to(attack.folder)}"
    data = path.read_bytes()
    path.unlink()
    match harm:
        case "truncate":
            path.write_bytes(data[: len(data) // 2])
        case "flip":
            flipped = bytearray(data or b"\0")
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
            path.write_bytes(flipped)
        case "empty":
            path.touch()
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "endless":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path.name)
        case "link":
            path.symlink_to(attack.folder.parent / "nowhere")
        case "noise":
            path.write_bytes(rng.randbytes(len(data)))


SCARCE = ("memory", "descriptors", "file size", "tmpdir", "home", "encoding", "columns", "optimize")


def starved(attack: Attack) -> None:
    """Something that a command needs is scarce or not there."""
    rng = attack.rng
    # In turn: a draw can leave out one of eight for a long time.
    match SCARCE[attack.turn % len(SCARCE)]:
        case "memory":
            size = rng.choice([512, 1024, 2048, 3072, 4096, 6144, 12288])
            attack.limits.append((resource.RLIMIT_AS, size * MEBIBYTE))
            attack.told = f"memory of {size} MiB"
        case "descriptors":
            count = rng.choice([16, 24, 32, 64])
            attack.limits.append((resource.RLIMIT_NOFILE, count))
            attack.told = f"{count} descriptors"
        case "file size":
            size = rng.choice([0, 4096, 65536, 1048576])
            attack.limits.append((resource.RLIMIT_FSIZE, size))
            attack.told = f"files of {size} bytes"
        case "tmpdir":
            where = rng.choice(["/nowhere", "/dev/null", str(attack.folder / ("d" * 150))])
            if where.endswith("d" * 150):
                Path(where).mkdir()
            attack.environment["TMPDIR"] = where
            attack.told = f"TMPDIR={where[:20]}"
        case "home":
            attack.environment |= {"HOME": "/nowhere", "XDG_CACHE_HOME": "/dev/null/cache"}
            attack.told = "no home"
        case "encoding":
            attack.environment |= {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
            attack.told = "ASCII"
        case "columns":
            attack.environment |= {"COLUMNS": "1", "LINES": "1"}
            attack.told = "a terminal of one column"
        case "optimize":
            attack.environment["PYTHONOPTIMIZE"] = "2"
            attack.told = "no docstrings, no assertions"


def flooded(attack: Attack) -> None:
    """There is far too much of something."""
    rng = attack.rng
    what = rng.choice(["commands", "files", "runs", "partial", "environment"])
    attack.told = f"flood of {what}"
    store = attack.folder / "study.sqlite"
    match what:
        case "commands":
            with closing(sqlite3.connect(store)) as file, file:
                file.executemany("INSERT INTO commands (text) VALUES (?)", [("stop" * 100,)] * 20_000)
        case "runs":
            with closing(sqlite3.connect(store)) as file, file:
                columns = len(list(file.execute("PRAGMA table_info(runs)")))
                row = ["x" * 10_000] + ["0"] * (columns - 1)
                file.execute(f"INSERT INTO runs VALUES ({', '.join('?' * columns)})", row)
        case "files":
            for index in range(3000):
                (attack.folder / "checkpoints").mkdir(exist_ok=True)
                (attack.folder / "checkpoints" / f"{index:016x}").mkdir()
        case "partial":
            for index in range(3000):
                (attack.folder / f".study.json.{index:08x}.part").touch()
        case "environment":
            attack.environment |= {f"CALANDO_FLOOD_{index}": "x" * 1000 for index in range(500)}


def command(attack: Attack, *words: str) -> tuple[int | None, str, str]:
    """Status (None: hung), standard output, standard error."""

    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for limit, value in attack.limits:
            resource.setrlimit(limit, (value, value))

    paths = {"PYTHONPATH": str(Path(calando.__file__).parents[1])}
    with subprocess.Popen(
        [SCRIPT, *words],
        cwd=attack.folder.parent,
        env=os.environ | paths | attack.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        preexec_fn=prepare,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
            return process.returncode, out, err
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            return None, out, err


def verdict(status: int | None, out: str, err: str, *, right: object) -> str:
    lines = [line for line in err.splitlines() if line.strip()]
    if status is None:
        return "hung"
    if "Traceback" in err or status < 0 or "internal error" in err:
        return "foreign"
    if status == 0:
        try:
            answer = timeless(json.loads(out))
        except ValueError:
            return "silent"
        if answer == right:
            return "same"
        return "noted" if any(line.startswith("calando: ") for line in lines) else "silent"
    return "ours" if lines and lines[-1].startswith("calando: ") and not out else "foreign"


@pytest.fixture(scope="module")
def studies(tmp_path_factory) -> dict[str, tuple[Path, object]]:
    """A study finished, and the same after it was killed midway; with the answers that `show` gives."""
    root = tmp_path_factory.mktemp("studies")
    still = Attack(root / "finished", random.Random(0))
    assert command(still, "compare", *WORDS, "--json", "--study", "finished")[0] == 0
    process = subprocess.Popen(
        [SCRIPT, "compare", *WORDS, "--json", "--study", "midway"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not any(root.glob("midway/checkpoints/*/state.json")):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    made = {}
    for name in ("finished", "midway"):
        _, out, _ = command(Attack(root / name, random.Random(0)), "show", name, "--json")
        made[name] = (root / name, timeless(json.loads(out)))
    return made


KINDS: tuple[Callable[[Attack], None], ...] = (damaged, starved, flooded)


def test_whatever_is_done_to_it_it_gives_the_same_answer_or_a_line_of_ours(studies, tmp_path, capsys):
    finished = studies["finished"][1]
    found: Counter[tuple[str, str]] = Counter()
    wrong = []
    for number in range(ATTACKS):
        rng = random.Random(SEED * 100_000 + number)
        moment, kind = rng.choice(["finished", "midway"]), KINDS[number % len(KINDS)]
        folder = tmp_path / f"{number}" / "study"
        shutil.copytree(studies[moment][0], folder, symlinks=True)
        attack = Attack(folder, rng, number // len(KINDS))
        kind(attack)
        verb = rng.choice(["show", "compare", "compare"])
        words = ["show", "study"] if verb == "show" else ["compare", *WORDS, "--study", "study"]
        status, out, err = command(attack, *words, "--json")
        # What a killed study shows is what it has; asked again it comes to what the finished one says.
        right = studies[moment][1] if verb == "show" else finished
        what = verdict(status, out, err, right=right)
        found[kind.__name__, what] += 1
        if what in FAULTS:
            wrong.append(f"{number}: {what}: {attack.told}, {moment}, {verb}: {err.strip()[-400:]}")
        shutil.rmtree(tmp_path / f"{number}", ignore_errors=True)
    with capsys.disabled():
        print(f"\n{ATTACKS} attacks, seed {SEED}")
        for kind in KINDS:
            counts = {what: found[kind.__name__, what] for what in ("same", "ours", "noted", *FAULTS)}
            print(
                f"  {kind.__name__:9} tried {sum(counts.values()):3}  "
                + "  ".join(f"{k} {v}" for k, v in counts.items())
            )
    assert not wrong, "\n".join(wrong)
