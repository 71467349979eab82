"""`calando compare`: the live display of a study, and its answer.

The display shows runs done, running and queued; each worker's step, rate and loss; the estimated time of arrival.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import calando
from calando.cli import completion
from calando.cli.dashes import arguments_after_dashes
from calando.cli.options import Given, numbers_of, verb
from calando.cli.output import others_on_stderr
from calando.cli.study import print_study
from calando.errors import UsageError, plain
from calando.language import _, message, translated
from calando.verbs.progress import StudyProgress
from calando.verbs.study import write_page_of

if TYPE_CHECKING:
    from calando.analysis import StudySummary
    from calando.study.standing import Status

__all__ = ["compare"]

LENGTHS = {
    "epochs": Given(
        str | None,
        typer.Option(
            metavar="N[,N…]", help="length of runs in passes over the data; of several, each strategy at each"
        ),
        partial(numbers_of, "--epochs", float),
    ),
    "steps": Given(
        str | None,
        typer.Option(metavar="N[,N…]", help="length of runs in updates, instead of --epochs"),
        partial(numbers_of, "--steps", int),
    ),
}


@verb(
    calando.compare,
    filled=("sharing", "arguments", "command", "listen", "page"),
    folder=Given(
        Path | None,
        typer.Option(
            "--study", help="study folder; else calando-studies/NAME-DIGEST", autocompletion=completion.studies
        ),
    ),
    threads=Given(int | None, typer.Option(help="threads of each worker; else $OMP_NUM_THREADS, else 1")),
    **LENGTHS,
)
def compare(
    call: Callable[..., StudySummary],
    verify_sharing: bool = False,
    no_sharing: bool = False,
    page: bool = True,
    as_json: bool = False,
) -> None:
    """Compare strategies and say which one to use.

    Fairly: equal rate trials, paired seeds, calibrated intervals, every cost charged.
    Stopped by Ctrl-C or anything else, the same command goes on where it stood.
    Updates that several runs have in common are trained once, to the same bits as if each run were trained alone.
    Given the same --study, more strategies, lengths or seeds are added to what is there.

    \b
    calando compare digits
    calando compare digits fixed cosine adamw --lr find --rates 3 --span 10
    calando compare digits --family rate-free
    calando compare digits fixed cosine adamw --until decided --most-seeds 12
    calando compare digits fixed cosine --epochs 4,8,20 --study lengths
    calando compare cifar10 fixed step cosine adamw --model resnet8 --epochs 5 --data ../data
    calando compare train.py fixed cosine --seeds 3 -- --data photos
    calando compare "torchrun --nproc-per-node 2 train.py" fixed cosine
    calando compare my_module:train fixed cosine --goal min --unit RMSE
    calando compare digits "sgd(lr=0.1, momentum=0.9) | linear(0, 1, over='5%') >> cosine(1, 0)" cosine
    """
    if verify_sharing and no_sharing:
        raise UsageError(message("--verify-sharing and --no-sharing contradict each other; give one"))
    with others_on_stderr(), StudyProgress(_ignore if as_json else None) as progress:
        try:
            answer = call(
                arguments=arguments_after_dashes(),
                sharing="none" if no_sharing else "verified" if verify_sharing else "checked",
                command=plain(shlex.join(["calando", *sys.argv[1:]])),
                listen=progress,
                page=False,
            )
        except KeyboardInterrupt:
            if progress.folder is None:
                raise
            stopped = True
        else:
            stopped = False
    if stopped:
        print(
            _("stopped; nothing is lost: the same command goes on ({folder})", folder=progress.folder), file=sys.stderr
        )
        raise typer.Exit(130)
    assert answer.folder is not None
    print_study(answer, as_json=as_json)
    if not page:
        return
    # The answer first: whatever becomes of the pictures, it stands.
    if sys.stdout is not None:
        sys.stdout.flush()
    try:
        path, lacking = write_page_of(answer.folder)
    except KeyboardInterrupt:
        said = _("stopped before the report was written; `calando report {folder}` writes it", folder=answer.folder)
        print(said, file=sys.stderr)
        raise typer.Exit(130) from None
    if lacking:
        print(f"calando: {translated(lacking)}", file=sys.stderr)
    if path is not None and not as_json:
        typer.echo(_("report: {path}", path=path))


def _ignore(status: Status) -> None:
    """Nothing is shown."""
