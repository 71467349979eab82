"""Lessons: what is trained to show one thing about learning rates, and what was found, read without torch.

    FOLDER/NETWORK/study.sqlite   a study for each network: every rate, and at the first network the schedules as well
    FOLDER/gradients.json         a probe's rows for each network, at one rate
    FOLDER/lesson.json            which lesson, once all of it is there
    FOLDER/report.html, figures/  the page

Nothing in a lesson says how its runs end: what it teaches is read from them (`calando.analysis.lesson`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from calando.errors import CorruptFile, UnknownName, UsageError
from calando.language import message
from calando.records.files import read_plain, write_atomically
from calando.records.probe import ProbeRow
from calando.records.record import RunRecord
from calando.records.store import Store

__all__ = [
    "LESSONS",
    "Lesson",
    "StoredLesson",
    "check_free",
    "find_lesson",
    "read_gradients",
    "read_lesson",
    "stored_whole",
    "write_gradients",
    "write_whole",
]

MOST_BYTES = 2**22
AGAIN = message("it is measured again")


@final
@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What is trained.

    Args:
        name: on the command line.
        summary: a sentence.
        data, batch_size, steps: of every run.
        networks: name -> what it is, in words; four, with neither batch norm nor shortcuts, with batch norm, with
            shortcuts, with both. The first is the one that schedules are shown with.
        method: text of the method with its options, `{rate}` in the place of its rate.
        rates: fixed ones, ascending, of every network.
        start: the rate that schedules begin at; held fixed as well.
        schedules: strategy's name -> schedule.
        adaptive: strategy's name -> its text.
        probed: the rate at which gradients are looked at.
        at: updates, ascending, at which they are.
    """

    name: str
    summary: str
    data: str
    batch_size: int
    steps: int
    networks: Mapping[str, str]
    method: str
    rates: tuple[float, ...]
    start: float
    schedules: Mapping[str, str]
    adaptive: Mapping[str, str]
    probed: float
    at: tuple[int, ...]

    @property
    def network(self) -> str:
        """The one that schedules are shown with."""
        return next(iter(self.networks))

    def fixed(self, rate: float) -> str:
        """The name of the strategy that holds this rate.

        >>> find_lesson("diverge-and-crawl").fixed(0.01)
        'fixed 0.01'
        """
        return f"fixed {rate:g}"

    def strategies(self, network: str) -> dict[str, str]:
        """Name -> text of every strategy that this network is trained with."""
        others = network != self.network
        rates = self.rates if others else sorted({*self.rates, self.start})
        found = {self.fixed(rate): self.method.format(rate=rate) for rate in rates}
        if others:
            return found
        started = self.method.format(rate=self.start)
        found |= {f"{name} from {self.start:g}": f"{started} | {text}" for name, text in self.schedules.items()}
        return found | {**self.adaptive}


LESSONS: Mapping[str, Lesson] = {
    lesson.name: lesson
    for lesson in (
        Lesson(
            name="diverge-and-crawl",
            summary="rates that are too small, right and too large; what decay, Adam, batch norm and shortcuts change",
            data="digits",
            batch_size=32,
            steps=200,
            networks={
                "plain14-nonorm": "plain, without batch norm",
                "plain14": "plain, with batch norm",
                "resnet14-nonorm": "with shortcuts, without batch norm",
                "resnet14": "with shortcuts and batch norm",
            },
            method="sgd(lr={rate}, momentum=0.9)",
            rates=(0.0001, 0.001, 0.01, 0.1, 1.0, 10.0),
            start=0.03,
            schedules={"steps": "step(every='10%', factor=0.7)", "exponential": "exponential(1, 0.03)"},
            adaptive={"adam 0.001": "adam(lr=0.001)"},
            probed=0.01,
            at=(1, 50),
        ),
    )
}
"""By name."""


def find_lesson(name: str) -> Lesson:
    """The lesson of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in LESSONS:
        raise UnknownName("lesson", str(name), tuple(LESSONS))
    return LESSONS[name]


@final
@dataclass(frozen=True, eq=False)
class StoredLesson:
    """What a lesson's runs gave.

    Args:
        runs: network -> strategy -> its records, in the order of their seeds.
        gradients: network -> a probe's rows, at seed 0; none of a network whose run ended before.
        host: of the machine.
    """

    lesson: Lesson
    runs: Mapping[str, Mapping[str, tuple[RunRecord, ...]]]
    gradients: Mapping[str, tuple[ProbeRow, ...]]

    @property
    def seeds(self) -> int:
        """How many every strategy has."""
        return min(len(records) for those in self.runs.values() for records in those.values())

    @property
    def host(self) -> dict[str, str]:
        """The machine of the first run."""
        return next(iter(self.runs[self.lesson.network].values()))[0].host


def read_lesson(folder: Path, lesson: Lesson) -> StoredLesson:
    """What a folder holds of a lesson that was trained to its end.

    Raises:
        UsageError: a study of it is not there.
        CorruptFile: what is there is damaged.
    """
    runs = {}
    for network in lesson.networks:
        with Store.open(folder / network, read_only=True) as store:
            there = store.read()
        runs[network] = {
            strategy.name: tuple(
                there.runs[digest]
                for seed in range(there.study.seeds)
                if (digest := there.study.run(strategy, seed=seed).digest()) in there.runs
            )
            for strategy in there.study.strategies
            if strategy.name in lesson.strategies(network) and strategy.lr is not None
        }
    gradients = {}
    for network in lesson.networks:
        probed = runs[network][lesson.fixed(lesson.probed)][0].spec.digest()
        gradients[network] = read_gradients(folder, network, probed) or ()
    return StoredLesson(lesson, runs, gradients)


def stored_whole(folder: Path, lesson: Lesson, *, seeds: int) -> StoredLesson | None:
    """What a folder holds of a lesson, where nothing of it is missing; None: it is still to be made.

    Raises:
        CorruptFile: what is there is damaged.
    """
    kept = _read_json(folder / "lesson.json", message("the same command trains what is missing"))
    if kept.get("lesson") != _document(lesson) or not isinstance(kept.get("seeds"), int) or kept["seeds"] < seeds:
        return None
    if not all((folder / network / "study.sqlite").exists() for network in lesson.networks):
        return None
    stored = read_lesson(folder, lesson)
    for network, runs in stored.runs.items():
        if any(len(runs.get(name, ())) < seeds for name in lesson.strategies(network)):
            return None
    probed = {name: runs[lesson.fixed(lesson.probed)][0].spec.digest() for name, runs in stored.runs.items()}
    return None if any(read_gradients(folder, *one) is None for one in probed.items()) else stored


def check_free(folder: Path, lesson: Lesson) -> None:
    """Check that a folder is there for the lesson, before anything in it is removed or written.

    Raises:
        UsageError: it holds something else.
    """
    for name, refusal in (
        ("study.sqlite", message("{folder!r} holds a comparison; name another folder=", folder=str(folder))),
        ("tune.sqlite", message("{folder!r} holds a tuning; name another folder=", folder=str(folder))),
    ):
        if (folder / name).exists():
            raise UsageError(refusal)
    begun = [folder / "lesson.json", *(folder / network / "study.sqlite" for network in lesson.networks)]
    if (folder / "report.html").exists() and not any(path.exists() for path in begun):
        raise UsageError(
            message(
                "{folder!r} holds a report.html that is none of this lesson; name another folder=", folder=str(folder)
            )
        )


def write_whole(folder: Path, lesson: Lesson, *, seeds: int) -> None:
    """Note that all of a lesson is there."""
    write_atomically(
        folder / "lesson.json", json.dumps({"lesson": _document(lesson), "seeds": seeds}, indent=1).encode()
    )


def _document(lesson: Lesson) -> Any:
    return json.loads(json.dumps(asdict(lesson)))


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        read = json.loads(read_plain(path, most=MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptFile(message("{path} is damaged; remove it, and {remedy}", path=path, remedy=remedy)) from error
    if not isinstance(read, dict):
        raise CorruptFile(message("{path} is damaged; remove it, and {remedy}", path=path, remedy=remedy))
    return read


def read_gradients(folder: Path, network: str, run: str) -> tuple[ProbeRow, ...] | None:
    """A probe's rows of a network; None: not measured, or of another run than the one of this digest."""
    path = folder / "gradients.json"
    kept = _read_json(path, AGAIN).get(network)
    if kept is None:
        return None
    try:
        rows = tuple(ProbeRow.read(row) for row in kept["rows"])
        for size in (layer.gradient for row in rows for layer in row.layers):
            size is None or float(size)
        return rows if kept["run"] == run else None
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile(message("{path} is damaged; remove it, and {remedy}", path=path, remedy=AGAIN)) from error


def write_gradients(folder: Path, network: str, run: str, rows: tuple[ProbeRow, ...]) -> None:
    """Keep a probe's rows of a network, next to those of others."""
    kept = _read_json(folder / "gradients.json", AGAIN) | {
        network: {"run": run, "rows": [row.document() for row in rows]}
    }
    write_atomically(folder / "gradients.json", json.dumps(kept, indent=1).encode())
