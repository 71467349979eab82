"""A run to make again from the file that says what it was: `calando train spec.json`.

    spec.json    {"spec", "data", "identity", "place"}: as `calando train` and `calando export --to appendix` write it

The spec has everything that decides the run's bits, so nothing else is asked; data, network and loss are checked
against what they were. Of data that a relative path names, `place` says where they lie, seen from the file's folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from calando.errors import CorruptFile, UsageError, fault_of, quote
from calando.language import message
from calando.tasks.data_place import path_within, place_of, relative_to

if TYPE_CHECKING:
    from calando.records import RunSpec
    from calando.tasks.workload import Workload

__all__ = ["SPEC_FILE", "StoredSpec", "is_stored", "kept_place", "spec_document"]

SPEC_FILE = "spec.json"
LARGEST = 2**20


@final
@dataclass(frozen=True)
class StoredSpec:
    """A run as a file has it.

    Args:
        path: of the file.
        run: its spec.
        data: fingerprint of the data; "": unknown.
        identity: of network and loss, as `calando.training.identity` writes it; "": unknown.
        place: where the files of the data lay; None: unknown, or it is as the spec says.
    """

    path: Path
    run: RunSpec
    data: str
    identity: str
    place: Path | None = None

    @classmethod
    def read(cls, given: object, options: Mapping[str, object]) -> StoredSpec:
        """From a file, or from the folder that holds it.

        Args:
            given: what stands where a workload does.
            options: those that were given, of what a spec says itself.

        Raises:
            UsageError: no such file; options next to it.
            CorruptFile: it is damaged.
        """
        path = _path(given)
        if path is None:
            raise UsageError(
                message(
                    "a task needs a strategy to train with, such as 'sgd(lr=0.1, momentum=0.9) | cosine(1, 0)'; a "
                    "run is made again from its {SPEC_FILE} alone, got {given}",
                    SPEC_FILE=SPEC_FILE,
                    given=quote(given),
                )
            )
        if options:
            named = ", ".join(f"{name}=" for name in options)
            raise UsageError(
                message(
                    "{named} cannot be changed in {path!r}: it says the whole run; leave it out",
                    named=named,
                    path=str(path),
                )
            )
        from calando.records import RunSpec
        from calando.records.files import read_plain

        try:
            kept: dict[str, Any] = json.loads(read_plain(path, most=LARGEST))
            run = RunSpec.model_validate(kept["spec"])
            data, identity = str(kept.get("data", "")), str(kept.get("identity", ""))
            return cls(path, run, data, identity, _place(kept, path))
        except (OSError, ValueError, KeyError, TypeError, AssertionError, RecursionError) as error:
            why = error.strerror if isinstance(error, OSError) else fault_of(error)
            raise CorruptFile(
                message("{path!r} is no spec of a run, or damaged ({why}); export it again", path=str(path), why=why)
            ) from error

    def load(self, data_dir: Path | None) -> tuple[RunSpec, Workload, Path | None]:
        """The run, its task, which is what it was, and where the files of its data lie.

        Args:
            data_dir: where data sets lie, or of data that a path names, these themselves.

        Raises:
            DataError: the data are not there.
            UsageError: a task that no file holds, other data, another network, or no such device.
        """
        from calando.records.task_spec import OwnTrainingSpec
        from calando.study.limits import GIVEN
        from calando.tasks.catalog import with_path
        from calando.tasks.load_task import load
        from calando.training.identity import recognised
        from calando.training.lane import choose_lane

        spec = self.run
        if isinstance(spec.workload, OwnTrainingSpec):
            raise UsageError(
                message(
                    "the run in {path!r} was made by training code of its own, {code}, which only itself can run: "
                    "with calando.run({text!r}, seed={seed}) in it",
                    path=str(self.path),
                    code=quote(spec.workload.code),
                    text=spec.strategy.text,
                    seed=spec.seed,
                )
            )
        if spec.in_our_loop.data.startswith(GIVEN):
            raise UsageError(
                message(
                    "the run in {path!r} is of a workload that was made in Python, which no file holds: "
                    "calando.train(that workload, {text!r}, steps={steps}, seed={seed}) makes it",
                    path=str(self.path),
                    text=spec.strategy.text,
                    steps=spec.steps,
                    seed=spec.seed,
                )
            )
        if spec.lane.device != "cpu":
            choose_lane(device=spec.lane.device, image_size=0)
        asked = spec.in_our_loop
        place = place_of(asked.data, given=data_dir, kept=self.place)
        if place is not None and place != path_within(asked.data):
            asked = asked.model_copy(update={"data": with_path(asked.data, place)})
        task = load(asked, data_dir=data_dir)
        if self.data and task.fingerprint != self.data:
            raise UsageError(
                message(
                    "the data here are not those of the run in {path!r}, so it cannot be made again; is data_dir= "
                    "the right folder?",
                    path=str(self.path),
                )
            )
        recognised(
            self.identity,
            task,
            what=message("the run in {path!r}", path=str(self.path)),
            remedy=message("give task and strategy in words"),
        )
        return spec, task, place


def spec_document(run: RunSpec, folder: Path, *, data: str, identity: str, place: Path | None) -> bytes:
    """What `StoredSpec.read` reads.

    Args:
        folder: that it is written to.
        place: where the files of its data lie; None: it has none, or nobody knows.
    """
    document = {"spec": run.model_dump(mode="json"), "data": data, "identity": identity}
    if place is not None and not (place.is_absolute() and place == path_within(run.in_our_loop.data)):
        document["place"] = relative_to(place, folder)
    return json.dumps(document, indent=2).encode()


def kept_place(folder: Path) -> Path | None:
    """Where the data lie by the spec.json of a folder; None: it does not say so."""
    from calando.records.files import read_plain

    path = folder / SPEC_FILE
    try:
        return _place(json.loads(read_plain(path, most=LARGEST)), path)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _place(kept: Mapping[str, Any], path: Path) -> Path | None:
    place = kept.get("place")
    return path.parent / place if isinstance(place, str) else None


def is_stored(given: object) -> bool:
    """Whether it names such a file, or the folder that holds one.

    >>> is_stored("appendix/spec.json"), is_stored("digits")
    (True, False)
    """
    return _path(given) is not None


def _path(given: object) -> Path | None:
    if not isinstance(given, str | os.PathLike):
        return None
    path = Path(given)
    try:
        if path.is_dir() and (path / SPEC_FILE).is_file():
            return path / SPEC_FILE
    except OSError:  # too long for a path, say
        return None
    return path if path.suffix == ".json" else None
