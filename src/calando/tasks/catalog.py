"""What can be trained on and with: names, their defaults, and the spec that they make; needs no torch.

    data       digits | fashion-mnist | cifar10 | FORM:PATH,OPTION=VALUE | MODULE:CALLABLE
    forms      folder | npz | parquet | csv | text: `calando workloads` lists their options
    networks   cnn | resnet{6n+2} | plain{6n+2} | wrn-{6n+4}-{width} | timm:NAME | torchvision:NAME | MODULE:CALLABLE

    resolve("digits")     the spec of a task, with the defaults of its data filled in

A name is checked here; whether the data are on this machine, or a package is installed, is seen when it is used.
"""

from __future__ import annotations

import difflib
import importlib.util
import pkgutil
import re
import sys
import sysconfig
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calando.errors import UnknownName, UsageError, quote
from calando.language import joined, message
from calando.records.fields import check
from calando.records.task_spec import WorkloadSpec
from calando.tasks import data as formats
from calando.tasks import nets
from calando.tasks.augment import parse_augment
from calando.tasks.data import DataEntry
from calando.tasks.data.options import Value, split_options
from calando.tasks.nets import Build, NetworkEntry

if TYPE_CHECKING:
    from types import ModuleType

    from calando.tasks.workload import Workload

__all__ = [
    "CALLABLE",
    "DATA",
    "NETWORKS",
    "OWN_NETWORK",
    "READERS",
    "UNNAMED",
    "VARIANTS",
    "data_entry",
    "find_network",
    "is_callable_text",
    "is_standard",
    "no_reader",
    "path_of",
    "resolve",
    "with_path",
]

UNNAMED = "custom"
"""The name of a workload of somebody's own who gave it none."""

OWN_NETWORK = "own"
"""The network's name where a MODULE:CALLABLE workload brings its own."""


def _entries(folder: ModuleType) -> list[Any]:
    """All that the files of a folder hold, file by file in the order of their names."""
    files = (
        importlib.import_module(f"{folder.__name__}.{file.name}") for file in pkgutil.iter_modules(folder.__path__)
    )
    return [entry for file in files for entry in getattr(file, "ENTRIES", ())]


_FORMATS: list[DataEntry] = _entries(formats)
_NETWORKS: list[NetworkEntry] = _entries(nets)

DATA = {entry.name: entry for entry in _FORMATS if entry.read is None}
"""The data sets, by name."""

READERS = {entry.form: entry for entry in _FORMATS if entry.read is not None and not entry.chosen_by}
"""The formats, by what stands before the colon."""

VARIANTS = [entry for entry in _FORMATS if entry.chosen_by]
"""Other readings of the same formats, each chosen by an option: parquet:FILE,target=COLUMN is a table."""

CALLABLE = DataEntry(
    name="MODULE:CALLABLE", description="your own: a function that returns calando.workload(…)", model=OWN_NETWORK
)

NETWORKS = {entry.names: entry.description for entry in _NETWORKS} | {
    "MODULE:CALLABLE": "your own: a class or function that returns a torch.nn.Module"
}
"""Pattern of names -> one line."""

_CALLABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
# "timm:resnet18" has the form MODULE:CALLABLE too, so these are asked first.
_FORMS = {*READERS, *(names.partition(":")[0] for names in NETWORKS if ":" in names)}


def is_callable_text(text: str) -> bool:
    """Whether the text has the form MODULE:CALLABLE, and is no name of ours."""
    return text.partition(":")[0] not in _FORMS and bool(_CALLABLE.fullmatch(text))


def data_entry(data: str) -> DataEntry:
    """The entry of a data text.

    Raises:
        UnknownName: no data set or form of that name.
        UsageError: a form without its path.
    """
    if data in DATA:
        return DATA[data]
    form, colon, rest = data.partition(":")
    if is_callable_text(data):
        return CALLABLE
    if colon and form in READERS:
        return _reading_of(data)[0]
    hint = no_reader(form) if colon and rest else _as_path(data)
    if hint and (near := difflib.get_close_matches(form, READERS, n=1)):
        hint = message("{hint}; did you mean {near}:{rest}?", hint=hint, near=near[0], rest=rest)
    raise UnknownName("workload", data, [*DATA, *(entry.name for entry in READERS.values()), CALLABLE.name], hint=hint)


def path_of(data: str) -> tuple[Path, dict[str, Value]]:
    """The path of a text FORM:PATH, and the options behind it.

    >>> path_of("csv:~x/houses.csv,target=price,missing=drop")[1]
    {'target': 'price', 'missing': 'drop'}
    """
    _, path, options = _reading_of(data)
    with suppress(RuntimeError):  # no such user's home: the path is reported as it is written
        return Path(path).expanduser(), options
    return Path(path), options


def with_path(data: str, path: Path) -> str:
    """The same text FORM:PATH,OPTION=VALUE with another path.

    >>> with_path("csv:houses.csv,target=price, USD", Path("/data/houses.csv"))
    'csv:/data/houses.csv,target=price, USD'
    """
    form, _, rest = data.partition(":")
    return f"{form}:{path}{rest.removeprefix(_reading_of(data)[1])}"


def _reading_of(data: str) -> tuple[DataEntry, str, dict[str, Value]]:
    """Entry, path and options of a text FORM:PATH,NAME=VALUE."""
    form, _, rest = data.partition(":")
    entries = [READERS[form], *(entry for entry in VARIANTS if entry.form == form)]
    known = {option.name: option for entry in entries for option in entry.options}
    path, options = split_options(form, rest, tuple(known.values()))
    if not path:
        raise UsageError(
            message(
                "{data!r} names no path; write {name}, e.g. {form}:data/flowers",
                data=data,
                name=READERS[form].name,
                form=form,
            )
        )
    chosen = [entry for entry in entries if entry.chosen_by in options]
    if len(chosen) > 1:
        both = " and ".join(f"{entry.chosen_by}=" for entry in chosen)
        raise UsageError(
            message(
                "{form}:{path}: {both} mean different kinds of data; keep one of them", form=form, path=path, both=both
            )
        )
    entry = chosen[0] if chosen else READERS[form]
    takes = {option.name for option in entry.options}
    if alien := next((name for name in options if name not in takes), None):
        of = next(other for other in entries if alien in {option.name for option in other.options})
        with_it = f"{entry.chosen_by}=" if chosen else message("no {name}=", name=of.chosen_by)
        raise UsageError(
            message(
                "{form}:{path}: {alien}= does not go with {with_it}; it is an option of {name}",
                form=form,
                path=path,
                alien=alien,
                with_it=with_it,
                name=of.name,
            )
        )
    return entry, path, options


def _as_path(data: str) -> str:
    """A hint where the text is the path of something that a reader reads; else ""."""
    try:
        ending = Path(data).suffix[1:].lower() if Path(data).is_file() else ""
        form = "folder" if Path(data).is_dir() else ending
    except (OSError, ValueError):  # no name that a file can have
        return ""
    form = next((entry.form for entry in READERS.values() if ending in entry.endings), form)
    return message("did you mean {form}:{data}?", form=form, data=data) if form in READERS else ""


def no_reader(form: str) -> str:
    """The message for a text whose form is none of ours."""
    readers = ", ".join(entry.name for entry in READERS.values())
    return message(
        "{form!r} is not a reader; readers are {readers}; or name your function as MODULE:CALLABLE",
        form=form,
        readers=readers,
    )


def is_standard(module: str) -> bool:
    """Whether Python itself brings the module, so that its name was meant as a format."""
    top = module.partition(".")[0]
    if top not in sys.stdlib_module_names:
        return False
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return True
    origin = spec.origin if spec is not None else None
    return origin in (None, "built-in", "frozen") or Path(origin).is_relative_to(sysconfig.get_path("stdlib"))


def find_network(name: str) -> Build | None:
    """What builds the network of that name; None for MODULE:CALLABLE, which is imported to build it.

    Raises:
        UnknownName: no network of that name; lists the patterns.
        UsageError: a depth that does not exist, or a form without a name.
    """
    for entry in _NETWORKS:
        if (build := entry.read(name)) is not None:
            return build
    if is_callable_text(name):
        return None
    patterns = [pattern for pattern in NETWORKS if not pattern.isalnum()]
    examples = [example for entry in _NETWORKS for example in entry.examples]
    raise UnknownName(
        "network", name, examples, hint=message("patterns: {patterns}", patterns=joined("{one}; {other}", patterns))
    )


def resolve(
    data: str | Workload | WorkloadSpec,
    *,
    model: str | None = None,
    batch_size: int | None = None,
    accumulate: int = 1,
    augment: str | None = None,
    label_smoothing: float | None = None,
    clip_norm: float | None = None,
    validation_fraction: float | None = None,
    train_limit: int | None = None,
    metric: str | None = None,
) -> WorkloadSpec | Workload:
    """The spec of a workload by name, where what is None is the data set's default, or that of your own workload.

    An object comes back as it is: it has settled all that a name leaves open.

    >>> resolve("digits", batch_size=32).model
    'cnn'

    Args:
        data: a data text, see above; or `calando.workload(…)`.
        model: a network's name, see above.
        batch_size, accumulate, augment, label_smoothing, clip_norm, validation_fraction, train_limit: see WorkloadSpec.
        metric: what a score is, by name; see `calando.tasks.metrics`.

    Raises:
        UnknownName: no data, network, augmentation or metric of that name.
        UsageError: an option out of its range, or given with an object.
    """
    options: dict[str, Any] = {
        "model": model,
        "batch_size": batch_size,
        "augment": augment,
        "label_smoothing": label_smoothing,
        "clip_norm": clip_norm,
        "accumulate": accumulate,
        "validation_fraction": validation_fraction,
        "train_limit": train_limit,
        "metric": metric,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if not isinstance(data, str):
        _check_object(data, given)
        return data
    entry, smoothing, name = data_entry(data), 0.0, ""
    scored: dict[str, Any] = {}
    if is_callable_text(data):
        if validation_fraction is not None:
            raise UsageError(
                message(
                    "{data!r} cuts its own validation part; set validation_fraction in calando.workload there",
                    data=data,
                )
            )
        from calando.tasks.load_task import call_task, smoothing_of

        own = call_task(data)
        name = "" if own.name == UNNAMED else own.name
        entry, smoothing = replace(entry, batch_size=own.batch_size, augment=str(own.augment)), smoothing_of(own)
        scored = own.scored
    if metric is not None:
        from calando.tasks.metrics import found_metric

        given["metric"], scored = found_metric(metric).name, {}
    check(WorkloadSpec, **{option: value for option, value in given.items() if option not in ("model", "augment")})
    if model is not None and model != entry.model:  # what a workload brings, "own", is no network's name
        find_network(model)
    defaults = {
        "model": entry.model,
        "batch_size": entry.batch_size,
        "label_smoothing": smoothing,
        "validation_fraction": entry.validation_fraction,
    }
    augmentation = str(parse_augment(given.pop("augment", entry.augment)))
    return WorkloadSpec(data=data, name=name, augment=augmentation, **{**defaults, **given}, **scored)


def _check_object(workload: object, given: dict[str, object]) -> None:
    # Only here: importing it imports torch, which a name does not need.
    from calando.tasks.workload import Workload

    if not isinstance(workload, Workload | WorkloadSpec):
        raise UsageError(
            message("workload must be a name or calando.workload(…), got {workload}", workload=quote(workload))
        )
    called = workload.title if isinstance(workload, WorkloadSpec) else workload.name
    if settled := [name for name, value in given.items() if (name, value) != ("accumulate", 1)]:
        name = settled[0]
        raise UsageError(
            message(
                "{name} is an option of named workloads; {called!r} is an object, which has settled it: leave "
                "{name} out, or change the object",
                name=name,
                called=called,
            )
        )
