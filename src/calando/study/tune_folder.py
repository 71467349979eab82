"""The folder of a tuning: begun, or gone on with where the question, the data and the code are still the same."""

from __future__ import annotations

from pathlib import Path

from calando.errors import UsageError
from calando.language import message
from calando.records.tuning import TuneSpec, TuneStore
from calando.study.own_look import recognised_code
from calando.study.own_training import OwnTraining
from calando.tasks.workload import Workload
from calando.training.identity import identify, recognised

__all__ = ["open_or_create"]


def open_or_create(
    folder: Path, spec: TuneSpec, task: Workload | OwnTraining, command: str
) -> tuple[TuneStore, str, tuple[str, ...]]:
    """The store, what network and loss are, and what to report of them.

    Raises:
        UsageError: the folder holds something else, or was tuned with a larger budget.
    """
    if (folder / "study.sqlite").exists():
        raise UsageError(message("{folder!r} holds a comparison; name another folder=", folder=str(folder)))
    if not TuneStore.there(folder):
        identity = "" if isinstance(task, OwnTraining) else str(identify(task))
        made = TuneStore.create(folder, spec, fingerprint=task.fingerprint, identity=identity, command=command)
        return made, identity, ()
    store = TuneStore.open(folder)
    asked = store.spec
    is_ours = not isinstance(task, OwnTraining)
    if is_ours and asked.workload == spec.workload and store.meta("fingerprint") != task.fingerprint:
        raise UsageError(
            message("the data has changed since {folder!r} was started; name another folder=", folder=str(folder))
        )
    if asked.model_copy(update={"budget": spec.budget}).digest() != spec.digest():
        raise UsageError(
            message(
                "{folder!r} holds a tuning of another question ({asked}); name another folder=",
                folder=str(folder),
                asked=_differing(asked, spec),
            )
        )
    if spec.budget < asked.budget:
        raise UsageError(
            message(
                "{folder!r} was tuned with a budget of {budget:g} runs, got {asked:g}; what is spent is "
                "spent: ask for as much or more, or name another folder=",
                folder=str(folder),
                budget=asked.budget,
                asked=spec.budget,
            )
        )
    what, remedy = message("the tuning in {folder!r}", folder=str(folder)), message("name another folder=")
    before = identity = store.meta("identity")
    if isinstance(task, OwnTraining):
        notes = recognised_code(store.meta("fingerprint"), task, what=what, remedy=remedy)
    else:
        identity, notes = recognised(before, task, what=what, remedy=remedy)
    if identity != before:
        store.put_meta("identity", identity)
    if spec.budget != asked.budget:
        store.put_meta("question", spec.model_dump_json())
        if command:
            store.put_meta("command", command)
    return store, identity, tuple(notes)


def _differing(asked: TuneSpec, spec: TuneSpec) -> str:
    """What is another in a question, in words."""
    before, now = asked.model_dump(mode="json"), spec.model_dump(mode="json")
    before["strategy"], now["strategy"] = asked.strategy.text, spec.strategy.text
    found: list[str] = []
    for name, value in before.items():
        if name in ("workload", "lane"):
            other = now[name]
            found += [f"{part} {v!r}, now {other.get(part)!r}" for part, v in value.items() if v != other.get(part)]
        elif value != now[name] and name != "budget":
            found.append(f"{name} {value!r}, now {now[name]!r}")
    return "; ".join(found[:3])
