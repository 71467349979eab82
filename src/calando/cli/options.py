"""The options of all verbs, each declared once; `verb` builds a command from a public function's signature.

calando.compare(..., rates: int = 5)   the name of an option and its default
OPTIONS["rates"]                       its text on the command line, and its help
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer
from typer.models import OptionInfo

from calando.cli import completion
from calando.errors import UsageError
from calando.language import message, translated

__all__ = ["OPTIONS", "Given", "numbers_of", "rate_of", "seeds_of", "verb"]

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Given:
    """How a parameter of a public function is given on the command line.

    Args:
        kind: the type that the command line is read as.
        declared: typer's Option or Argument, with its help.
        read: from that to what the function takes; None: as it is.
    """

    kind: Any
    declared: Any
    read: Callable[[Any], Any] | None = None


def rate_of(text: str | None) -> float | Literal["find"] | None:
    """What `--lr` was given.

    Raises:
        UsageError: neither a number nor "find".

    >>> rate_of("0.1"), rate_of("find"), rate_of(None)
    (0.1, 'find', None)
    """
    if text is None:
        return None
    if text == "find":
        return "find"
    try:
        return float(text)
    except ValueError:
        raise UsageError(message("--lr must be a positive finite number or find, got {text!r}", text=text)) from None


def seeds_of(given: str | int) -> int | Literal["auto"]:
    """What `--seeds` was given, or its default.

    Raises:
        BadParameter: neither a whole number nor "auto".

    >>> seeds_of("3"), seeds_of("auto")
    (3, 'auto')
    """
    if given == "auto":
        return "auto"
    try:
        return int(given)
    except ValueError:
        raise typer.BadParameter(message("{given!r} is neither a whole number nor auto", given=given)) from None


def numbers_of(option: str, kind: Callable[[str], Number], text: str | None) -> tuple[Number, ...] | None:
    """What an option of one or several numbers was given.

    Raises:
        UsageError: not numbers joined by commas.

    >>> numbers_of("--epochs", float, "4,8,20"), numbers_of("--steps", int, "100, 200")
    ((4.0, 8.0, 20.0), (100, 200))
    """
    if text is None:
        return None
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        whole = message("a whole number" if kind is int else "a number")
        raise UsageError(
            message(
                "{option} must be {whole}, or several joined by commas as in 4,8,20, got {text!r}",
                option=option,
                whole=whole,
                text=text,
            )
        ) from None


def _option(
    kind: Any, text: str, *flags: str, metavar: str | None = None, complete: completion.Complete | None = None
) -> Given:
    return Given(kind, typer.Option(*flags, help=text, metavar=metavar, autocompletion=complete))


def _argument(kind: Any, metavar: str, text: str, complete: completion.Complete | None = None) -> Given:
    return Given(kind, typer.Argument(help=text, metavar=metavar, autocompletion=complete))


SCHEDULES = _argument(
    list[str], "SCHEDULE", "schedule or strategy texts, strategies' names or .toml files", completion.schedules
)

OPTIONS: Mapping[str, Given] = {
    "workload": _argument(
        str,
        "WORKLOAD",
        "digits, fashion-mnist, cifar10 or fsdd; files: folder:PATH, parquet:PATH, npz:PATH, csv:FILE,target=COLUMN, "
        "parquet:FILE,target=COLUMN, text:FILE, audio:PATH; your own: module:callable, for compare a script as well; "
        "`calando workloads` describes each",
        completion.workloads,
    ),
    "strategy": _argument(str, "STRATEGY", "a preset's name, a .toml file or pipe text", completion.strategies),
    "strategies": _argument(
        list[str] | None,
        "STRATEGY",
        "preset names, .toml files or pipe texts; none: the default set (see `calando strategies`)",
        completion.strategies,
    ),
    "schedules": SCHEDULES,
    "study": _argument(Path, "STUDY", "study folder, as `calando compare` names it", completion.studies),
    "name": _argument(str | None, "NAME", "one strategy or method, in full", completion.methods),
    # the task
    "model": _option(
        str | None,
        "network: cnn, resnet8, plain20, wrn-16-4, mlp-128-128, gru-128, timm:NAME, torchvision:NAME, "
        "transformers:NAME or module:callable",
        complete=completion.models,
    ),
    "batch_size": _option(int | None, "samples per update"),
    "augment": _option(
        str | None, "none, or parts joined by +: crop(4)+flip+cutout(8); of speech shift(100)+noise(5, 20)"
    ),
    "label_smoothing": _option(float | None, "of the cross-entropy, in [0, 1)"),
    "metric": _option(
        str | None, "what a score is: accuracy, balanced accuracy, f1, mean iou, rmse, r2, perplexity or loss"
    ),
    "clip_norm": _option(float | None, "largest gradient norm"),
    "accumulate": _option(int, "micro-batches per update"),
    "train_limit": _option(int | None, "use only this many training samples"),
    "data_dir": _option(Path | None, "folder of the data sets; else $CALANDO_DATA, then the user's cache", "--data"),
    # how it is trained
    "epochs": _option(float | None, "length of each run in passes over the data"),
    "steps": _option(int | None, "length of each run in updates, instead of --epochs"),
    "seed": _option(int, "of initial weights, data order and augmentation"),
    "lr": Given(
        str | None,
        typer.Option(
            metavar="RATE|find",
            help="base rate, where the strategy leaves it open; find: measure it by a range test first",
        ),
        rate_of,
    ),
    "budget": _option(float, "how many runs everything may cost, arms that lose and evaluations included"),
    "also": Given(
        str | None,
        typer.Option(
            metavar="NAME[,NAME…]",
            help="then tune these too: weight_decay (a thirtieth to 30 times its own), momentum (0.5 to 0.99), warmup "
            "(0 to 20% of the run); takes --budget 3 or more",
        ),
    ),
    # the comparison
    "family": _option(
        str | None,
        "instead of strategies: a family's presets (fixed, decayed, adaptive, rate-free, all), with fixed and cosine",
        metavar="FAMILY",
        complete=completion.families,
    ),
    "seeds": Given(
        str,
        typer.Option(
            metavar="N|auto",
            parser=seeds_of,
            help="paired runs of each strategy at its rate; auto: as many as decide (--until decided)",
        ),
    ),
    "until": _option(
        str | None,
        "add seeds, only where the verdict is open, until it is settled; the whole keeps to 5% false verdicts",
        metavar="decided",
        complete=completion.words("decided"),
    ),
    "most_seeds": _option(int | None, "of each strategy, with --until decided; else 20"),
    "rates": _option(int, "rate trials of each strategy"),
    "span": _option(float | None, "highest over lowest rate of the trial grid"),
    "beyond": _option(
        int, "rates that a grid may be extended by, past the edge where its best lies; still at the edge: no verdict"
    ),
    "target": _option(float | None, "validation score whose first reaching is counted"),
    "keep": _option(str, "disk space for the checkpoints that runs start from", metavar="SIZE"),
    "goal": _option(
        str | None,
        "max or min: whether a higher or a lower score of your own code is better",
        complete=completion.words("max", "min"),
    ),
    "unit": _option(str | None, "of the scores of your own code, as RMSE or %"),
    "check_repeats": _option(
        bool, "start your own code twice first, and say whether it repeats itself", "--check-repeats/--no-check-repeats"
    ),
    "verify_sharing": _option(
        bool, "first compare whole runs trained alone and from forks, bit by bit", "--verify-sharing"
    ),
    "no_sharing": _option(bool, "train every run alone", "--no-sharing"),
    "page": _option(bool, "write report.html and figures once the answer is there", "--page/--no-page"),
    # the range test
    "repeats": _option(int, "sweeps from the same weights over different batches"),
    "low": _option(float | None, "lowest rate; else 1e-6, or lower where that is too high"),
    "high": _option(float | None, "highest rate; else 10, or higher where nothing diverges"),
    "hold": _option(
        int | None,
        "updates at the rate found, to see whether the network trains there; else as many as --steps; 0: none",
    ),
    "race": _option(
        bool,
        "race short arms instead of sweeping, at most 0.6 runs: where a sweep is not reliable",
        "--race",
    ),
    # schedules
    "steps_per_epoch": _option(int | None, "updates in one pass over the data"),
    "of": _option(str | None, "hyper-parameter: what a schedule is of (else lr), or which of a strategy's (else all)"),
    # the machine
    "executor": _option(
        str,
        "process; ray for many machines; inline for debugging; or one of your own",
        complete=completion.words("process", "ray", "inline"),
    ),
    "address": _option(str | None, "of the Ray cluster; else Ray starts on this machine"),
    "workers": _option(int | None, "worker processes; else one per core"),
    "threads": _option(int | None, "CPU threads; else $OMP_NUM_THREADS, else one per core"),
    "device": _option(str, "auto, cpu, cuda or cuda:N", complete=completion.words("auto", "cpu", "cuda")),
    "precision": _option(str, "auto, fp32 or bf16", complete=completion.words("auto", "fp32", "bf16")),
    "log": _option(
        str | None,
        "trackers to write to: tensorboard, mlflow, wandb (offline), trackio; else none",
        metavar="NAME[:PLACE][,…]",
        complete=completion.words("tensorboard", "mlflow", "wandb", "trackio"),
    ),
    "port": _option(int, "where the page is reached; 0: any free one"),
    "host": _option(str, "listen here; beyond this machine: https or a proxy"),
    "tls_cert": _option(Path | None, "certificate in PEM, for https", metavar="FILE"),
    "tls_key": _option(Path | None, "its key, without a passphrase", metavar="FILE"),
    "behind_proxy": _option(bool, "a proxy in front of the page does the encryption", "--behind-proxy"),
    "known_as": _option(
        str | None, "another host name that the page is reached by, or several joined by commas", metavar="NAME"
    ),
    "no_token": _option(bool, "let every user of this machine read the page and steer", "--no-token"),
    # what is printed
    "to": _option(
        str,
        "csv, parquet, appendix; or a tracker: tensorboard, mlflow, wandb, trackio",
        complete=completion.words("csv", "parquet", "appendix", "tensorboard", "mlflow", "wandb", "trackio"),
    ),
    "out": _option(
        Path | None, "where to write; else FOLDER/export, FOLDER/appendix, or a tracker's usual place in FOLDER"
    ),
    "output": _option(Path | None, "write .png, .svg, .html or .json", "--output", "-o"),
    "look": _option(bool, "only show what it would do", "--look"),
    "wait": _option(float, "seconds to wait for the answer"),
    "key": _option(str | None, "asked again with the same key, it is done once"),
    "who": _option(str | None, "whoever asks, for the record; else this user"),
    "yes": _option(bool, "do not ask", "--yes"),
    "strict": _option(bool, "end with status 1 on warnings too", "--strict"),
    "as_json": _option(bool, "print JSON instead of tables", "--json"),
}
"""Parameter -> how it is given, for every verb that has one of that name; `verb(…)` may replace an entry."""


def verb(
    function: Callable[..., Any], *, filled: tuple[str, ...] = ("listen",), **otherwise: Given
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a command of `present(call, …)`: it takes the parameters of `function`, then those that `present` has.

    `call(…)` calls the function with what the command line gives; `present` prints what it returns.

    Args:
        function: a public verb; its signature is the source of names and defaults.
        filled: parameters that `present` passes to `call`; the command line does not have them.
        otherwise: how a parameter is given where it differs from `OPTIONS`.
    """
    parameters = [one for one in inspect.signature(function).parameters.values() if one.name not in filled]

    def make(present: Callable[..., None]) -> Callable[..., None]:
        shown = list(inspect.signature(present).parameters.values())[1:]
        given_as = {one.name: otherwise.get(one.name) or OPTIONS[one.name] for one in (*parameters, *shown)}

        def command(**given: Any) -> None:
            typed = {one.name for one in (*parameters, *shown) if given[one.name] != one.default}
            printing = {one.name: given.pop(one.name) for one in shown}
            values = {name: read(given[name]) if (read := given_as[name].read) else given[name] for name in given}
            several = [values.pop(one.name) or () for one in parameters if one.kind is one.VAR_POSITIONAL]
            first = [values.pop(one.name) for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
            call = partial(function, *first, *(value for each in several for value in each), **values)
            try:
                present(call, **printing)
            except UsageError as error:
                # Not what the person's own code printed, which `str` of a CodeFailed has as well.
                said = translated(error.args[0] if error.args else str(error))
                error.args = (as_flags(said, given_as, typed=typed),)
                raise

        declared = [
            inspect.Parameter(
                one.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=_default(one, given_as[one.name]),
                annotation=Annotated[given_as[one.name].kind, given_as[one.name].declared],
            )
            for one in (*parameters, *shown)
        ]
        command.__doc__, command.__name__ = present.__doc__, function.__name__
        command.__annotations__ = {one.name: one.annotation for one in declared}
        command.__signature__ = inspect.Signature(declared)  # type: ignore[attr-defined]
        return command

    return make


SAID_OF_IT = ("must ", "is for ", "必须", "至少", "用于")
"""What follows an argument's name at the beginning of a message that refuses it, in every language."""


def as_flags(message: str, given_as: Mapping[str, Given], *, typed: Collection[str] = ()) -> str:
    """A message in which the arguments of the Python function are the options that a person types.

    What has a value, as in a strategy's text, is no argument of ours; a capital letter stands for one. A word of
    several parts is an argument's name also without its "=", and so is what a message begins with and says of it what
    it must be.

    Args:
        message: in the person's language.
        given_as: the command's options.
        typed: those that were given: only these can be wrong, and a strategy's `lr` or `low` has the same name.

    >>> as_flags("give steps= or steps_per_epoch=N, not sgd(lr=0.1); batch_size must be 1", OPTIONS)
    'give --steps or --steps-per-epoch N, not sgd(lr=0.1); --batch-size must be 1'
    >>> as_flags("lr must be above 0", OPTIONS, typed=["lr"]), as_flags("lr must be above 0", OPTIONS)
    ('--lr must be above 0', 'lr must be above 0')
    """

    def flag_of(name: str) -> str:
        declared = given_as[name].declared
        # typer takes the first flag for a default until it reads the annotation.
        named = (declared.default, *(declared.param_decls or ()))
        flags = [one for one in named if isinstance(one, str) and one.startswith("--")]
        return flags[0] if flags else "--" + name.replace("_", "-")

    def flag(found: re.Match[str]) -> str:
        return flag_of(found[1]) + (f" {found[2]}" if found[2] else "")

    options = [name for name, given in given_as.items() if isinstance(given.declared, OptionInfo)]
    for name in options:
        # The fields of a spec have spaces in their names, "clip norm must be", or are translated.
        spaced = name.replace("_", " ")
        begun = re.match("|".join(map(re.escape, (name, spaced, translated(spaced)))), message)
        if name in typed and begun and (rest := message[begun.end() :].lstrip()).startswith(SAID_OF_IT):
            message = f"{flag_of(name)} {rest}"
    for names, end in ((options, "="), ([name for name in options if "_" in name], "")):
        pattern = rf"(?<![\w.'\"(/=-])({'|'.join(names)}){end}([A-Z]\b)?(?![^\s,;:)，；：（）。、])"
        message = re.sub(pattern, flag, message) if names else message
    return message


def _default(parameter: inspect.Parameter, given_as: Given) -> Any:
    if parameter.kind is parameter.VAR_POSITIONAL:
        # A list that may not be empty is required.
        return parameter.empty if given_as.kind == list[str] else None
    return parameter.default
