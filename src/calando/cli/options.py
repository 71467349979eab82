"""Options that several verbs share, said once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

if TYPE_CHECKING:
    from calando.records import WorkloadSpec

__all__ = [
    "Accumulate",
    "AsJson",
    "Augment",
    "BatchSize",
    "ClipNorm",
    "DataDir",
    "Device",
    "Epochs",
    "LabelSmoothing",
    "Lengths",
    "Model",
    "Precision",
    "Rate",
    "StepLengths",
    "Steps",
    "Threads",
    "TrainLimit",
    "WorkloadName",
    "epochs_asked",
    "file_name",
    "rate_asked",
    "steps_asked",
    "workload_spec",
]

Number = TypeVar("Number", int, float)

WorkloadName = Annotated[
    str,
    typer.Argument(
        metavar="WORKLOAD",
        help="digits, fashion-mnist, cifar10, folder:PATH, parquet:PATH, npz:PATH or module:callable",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(help="network: cnn, resnet8, plain20, wrn-16-4, timm:NAME, torchvision:NAME or module:callable"),
]
BatchSize = Annotated[int | None, typer.Option(help="samples per update")]
Augment = Annotated[str | None, typer.Option(help="none, or parts joined by +: crop(4)+flip+cutout(8)")]
LabelSmoothing = Annotated[float | None, typer.Option(help="of the cross-entropy, in [0, 1)")]
ClipNorm = Annotated[float | None, typer.Option(help="largest gradient norm")]
Accumulate = Annotated[int, typer.Option(help="micro-batches per update")]
TrainLimit = Annotated[int | None, typer.Option(help="use only this many training samples")]
DataDir = Annotated[
    Path | None, typer.Option("--data", help="folder where data sets lie; else $CALANDO_DATA, the cache …")
]
Epochs = Annotated[float | None, typer.Option(help="length of each run in passes over the data")]
Steps = Annotated[int | None, typer.Option(help="length of each run in updates, instead of --epochs")]
Lengths = Annotated[
    str | None,
    typer.Option(
        "--epochs", metavar="N[,N…]", help="length of runs in passes over the data; of several, each strategy at each"
    ),
]
StepLengths = Annotated[
    str | None, typer.Option("--steps", metavar="N[,N…]", help="length of runs in updates, instead of --epochs")
]
Rate = Annotated[
    str | None,
    typer.Option(
        "--lr", metavar="RATE|find", help="base rate, where the strategy leaves it open; find: by a range test first"
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16")]
Threads = Annotated[int, typer.Option(help="threads of each worker")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of tables")]


def workload_spec(
    name: str,
    *,
    model: str | None,
    batch_size: int | None,
    augment: str | None,
    label_smoothing: float | None,
    clip_norm: float | None,
    accumulate: int,
    train_limit: int | None,
) -> WorkloadSpec:
    """The workload the user named, defaults of its data set filled in.

    Raises:
        UsageError: an unknown name or a value outside its range.
    """
    from calando.cli.output import others_on_stderr
    from calando.tasks.registry import resolve

    with others_on_stderr():
        return resolve(
            name,
            model=model,
            batch_size=batch_size,
            augment=augment,
            label_smoothing=label_smoothing,
            clip_norm=clip_norm,
            accumulate=accumulate,
            train_limit=train_limit,
        )


def rate_asked(text: str | None) -> float | Literal["find"] | None:
    """What `--lr` was given.

    Raises:
        UsageError: neither a number nor "find".

    >>> rate_asked("0.1"), rate_asked("find"), rate_asked(None)
    (0.1, 'find', None)
    """
    from calando.errors import UsageError

    if text is None:
        return None
    if text == "find":
        return "find"
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--lr must be a positive finite number or find, got {text!r}") from None


def epochs_asked(text: str | None) -> tuple[float, ...] | None:
    """What `--epochs` was given.

    Raises:
        UsageError: not numbers joined by commas.

    >>> epochs_asked("4,8,20"), epochs_asked("0.5"), epochs_asked(None)
    ((4.0, 8.0, 20.0), (0.5,), None)
    """
    return None if text is None else _numbers("--epochs", text, float)


def steps_asked(text: str | None) -> tuple[int, ...] | None:
    """What `--steps` was given.

    Raises:
        UsageError: not whole numbers joined by commas.

    >>> steps_asked("100, 200")
    (100, 200)
    """
    return None if text is None else _numbers("--steps", text, int)


def _numbers(option: str, text: str, kind: Callable[[str], Number]) -> tuple[Number, ...]:
    from calando.errors import UsageError

    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        whole = "a whole number" if kind is int else "a number"
        raise UsageError(f"{option} must be {whole}, or several joined by commas as in 4,8,20, got {text!r}") from None


def file_name(text: str) -> str:
    """The text as part of a folder's name: letters, digits, "-", "_" and "." of its last 40 characters.

    >>> file_name("folder:../my photos/")
    'folder-..-my-photos'
    """
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)
    return kept[-40:].strip("-.") or "run"
