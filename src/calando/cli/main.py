"""`calando`: the verbs, and how errors reach the user: one line, exit status 2 (theirs) or 1 (the world's)."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
from typing import Annotated, NoReturn

import typer

from calando import __version__
from calando.cli import compare, data, find, lint, lists, plot, report, serve, train
from calando.cli.torch_first import memory_is_limited
from calando.errors import CalandoError, UsageError, plain

__all__ = ["app", "main"]

NO_ROOM = ("bad_alloc", "allocate memory", "map segment", "start new thread", "without exception set")

app = typer.Typer(
    name="calando",
    help="Settle the learning rate of a neural network: compare strategies fairly, see why, train with the answer.\n\n"
    "Start with: calando compare digits",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("compare")(compare.compare)
app.command("train")(train.train)
app.command("find")(find.find)
app.command("show")(report.show)
app.command("report")(report.report)
app.command("plot")(plot.plot)
app.command("lint")(lint.lint)
app.command("strategies")(lists.strategies)
app.command("workloads")(lists.workloads)
app.command("schedules")(lists.schedules)
app.command("serve")(serve.serve)
app.add_typer(data.app, name="data")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"calando {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="print the version", callback=_print_version)] = False,
) -> None:
    """Hold the options that come before a verb; what is said of `calando` itself stands above."""


def main() -> None:
    """Entry point of the `calando` command."""
    # Else the end of a process with torch in it takes most of a second, in which Python looks for garbage.
    atexit.register(gc.freeze)
    try:
        app(prog_name="calando")
    except CalandoError as error:
        _end(str(error), status=2 if isinstance(error, UsageError) else 1)
    except MemoryError as error:
        _end_for_want_of_memory(error)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            _end_for_want_of_memory(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _end("no space left on the disk; free some and run the same command again", status=1)
        path = error.filename2 or error.filename
        if path is None:
            raise
        _end(f"{path}: {error.strerror}; name another path, or change its permissions", status=2)
    except Exception as error:
        # Libraries in C++ that find no room end in errors of many kinds.
        if not memory_is_limited() or not any(sign in str(error) for sign in NO_ROOM):
            raise
        _end_for_want_of_memory(error)
    finally:
        # Registered last, and so the first to be called.
        atexit.register(_answered)


def _end_for_want_of_memory(error: BaseException) -> NoReturn:
    reason = plain(str(error))[:200] or type(error).__name__
    limited = " (see `ulimit -v`)" if memory_is_limited() else ""
    message = f"out of memory ({reason}); allow this process more{limited}, then run the same command again"
    print(f"calando: {message}", file=sys.stderr, flush=True)
    # What is tidied up at a usual end needs memory too, and says so at length.
    os._exit(1)


def _answered() -> None:
    """What people's own code prints at its end does not follow the answer."""
    sys.stdout.flush()
    os.dup2(2, 1)
    sys.stdout = sys.stderr


def _end(message: str, *, status: int) -> NoReturn:
    print(f"calando: {plain(message)}", file=sys.stderr)
    sys.exit(status)
