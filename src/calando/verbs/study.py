"""`calando.show`, `write_report` and `serve`: read a study, without training anything and without torch."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, final

from calando.errors import CalandoError, NotDrawn, UsageError, said_by
from calando.host import status_of
from calando.language import _, message, translated
from calando.rows import Rows

if TYPE_CHECKING:
    from calando.analysis import StudySummary
    from calando.verbs.tuned import Tuned

__all__ = ["Listed", "serve", "show", "studies", "write_page_of", "write_report"]


@final
@dataclass(frozen=True)
class Listed:
    """A study or a tuning of several that lie in one folder.

    Args:
        folder: where it is.
        size: bytes that its folder takes.
        written: seconds since the epoch, when it was last written to.
        summary: what a study has concluded; None where it cannot be read, and of a tuning.
        error: why it cannot be read, or that a tuning has not come to its end; "" where there is nothing of it.
        tuned: what a tuning has concluded; None where it has not, and of a study.
    """

    folder: Path
    size: int
    written: float
    summary: StudySummary | None
    error: str = ""
    tuned: Tuned | None = None

    @property
    def state(self) -> str:
        """How far it is, and its verdict; or why it cannot be read."""
        if self.tuned is not None:
            return message("tuned: {verdict}", verdict=self.tuned.verdict)
        if self.summary is None:
            return self.error
        if self.summary.complete:
            return message("complete: {headline}", headline=self.summary.headline)
        return self.summary.headline

    @property
    def row(self) -> dict[str, object]:
        """Its row in a table: folder, age in hours, size in MB, state and verdict."""
        hours, megabytes = (time.time() - self.written) / 3600, self.size / 1e6
        return {"study": str(self.folder), "hours": round(hours, 2), "MB": round(megabytes, 2), "verdict": self.state}


STUDIES = Path("calando-studies")
"""Where `calando.compare` puts them."""


def studies(folder: Path | str = STUDIES) -> Rows[Listed]:
    """List the studies and tunings in a folder, the last written first, with verdict, size and age.

    Args:
        folder: the folder that holds them.

    Raises:
        UsageError: it holds none.

    >>> import tempfile, calando
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = calando.compare("digits", "fixed", folder=f"{folder}/a", steps=5, seeds=1, lr=0.1, executor="inline")
    ...     [one.summary == made for one in studies(folder)]
    [True]
    """
    if not (inside := _inside(Path(folder))):
        raise UsageError(
            message(
                "no studies in {folder!r}; `calando compare digits` makes one in {STUDIES!r}",
                folder=str(folder),
                STUDIES=str(STUDIES),
            )
        )
    return Rows(map(_listed, inside), "studies")


def show(study: Path | str | None = None) -> StudySummary | Tuned | Rows[Listed]:
    """Read what a study has concluded so far.

    Args:
        study: its folder, or a folder that holds several studies. None: calando-studies.

    Returns:
        The answer, as `calando.compare` or `calando.tune` returns it. For a folder of several studies, the same as
        `calando.studies`.

    Raises:
        UsageError: there is no study.
        CorruptFile: the study is damaged, or was written by a newer calando.

    >>> import tempfile, calando
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = calando.compare("digits", "fixed", folder=folder, steps=5, seeds=1, lr=0.1, executor="inline")
    ...     calando.show(folder) == made
    True
    """
    from calando.records.tuning import TuneStore

    folder = STUDIES if study is None else Path(study)
    if TuneStore.there(folder):
        from calando.verbs.tuned import tuned_in

        return tuned_in(folder)
    return studies(folder) if study is None or _inside(folder) else _read(folder)


def _inside(folder: Path) -> list[Path]:
    """The studies and tunings that lie in a folder which is none itself, the one last written to first."""
    from calando.records.store import studies_in
    from calando.records.tuning import TuneStore

    found = set(studies_in(folder))
    if folder.is_dir() and not (folder / "study.sqlite").exists():
        found |= {path for path in folder.iterdir() if TuneStore.there(path)}
    return sorted(found, key=lambda path: (-_written(path), str(path)))


def _written(folder: Path) -> float:
    found = (status_of(folder / f"{name}.sqlite") for name in ("study", "tune"))
    return max((one.st_mtime for one in found if one), default=0.0)


def _listed(folder: Path) -> Listed:
    from calando.records.tuning import TuneStore

    # Checkpoints come and go while it is trained.
    files = (status_of(Path(inside, name)) for inside, _, names in os.walk(folder) for name in names)
    size, written = sum(one.st_size for one in files if one), _written(folder)
    try:
        if TuneStore.there(folder):
            from calando.verbs.tuned import tuned_in

            return Listed(folder, size, written, None, tuned=tuned_in(folder))
        return Listed(folder, size, written, _read(folder))
    except CalandoError as error:
        return Listed(folder, size, written, None, str(error))


def _read(folder: Path) -> StudySummary:
    from calando.analysis import summarize
    from calando.records import Store

    with Store.open(folder, read_only=True) as store:
        for note in store.notes:
            print(f"calando: {note}", file=sys.stderr)
        there = store.read(traces=False)
    return of_folder(summarize(there.study, there.runs, there.tests), folder)


def of_folder(summary: StudySummary, folder: Path) -> StudySummary:
    """The answer with what its folder adds: where it is, and the branches that commands have made."""
    from calando.records.command_log import steered_in

    return replace(summary, folder=folder, steered=steered_in(folder))


def write_report(study: Path | str) -> Path:
    """Write report.html and the figures of a study or a tuning, and return the page's path.

    With the extra "pictures", the figures are written as PNG and SVG too. Nothing is trained. The page names what the
    study has not concluded yet.

    Args:
        study: its folder.

    Raises:
        UsageError: there is no study, or the tuning has not ended.
        CorruptFile: the study is damaged, or was written by a newer calando.
        NotDrawn: the packages that draw pictures are not installed.
        DiskFull: the disk is full; each file is complete or unchanged.
    """
    from calando.verbs.progress import CountProgress

    with CountProgress(_("drawing figures")) as progress:
        return _report_of(study, progress)


def _report_of(study: Path | str, progress: Callable[[int, int], None] | None = None) -> Path:
    """The same, with nothing shown unless asked."""
    from calando import report
    from calando.analysis import summarize
    from calando.records import Store
    from calando.records.tuning import TuneStore
    from calando.report.drawing_process import NEEDED, can_draw

    folder = Path(study)
    if TuneStore.there(folder):
        from calando.verbs.tuned import write_tuning_report

        page = write_tuning_report(folder)
        if not can_draw():
            print(f"calando: {translated(NEEDED)}", file=sys.stderr)
        return page
    with Store.open(folder, read_only=True) as store:
        there = store.read()
    page = report.write_page(
        folder,
        of_folder(summarize(there.study, there.runs, there.tests), folder),
        there.runs,
        there.tests,
        fingerprint=there.fingerprint,
        command=there.command,
        progress=progress,
    )
    if not can_draw():
        print(f"calando: {translated(NEEDED)}", file=sys.stderr)
    return page


def write_page_of(folder: Path, write: Callable[[Path], Path] | None = None) -> tuple[Path | None, str]:
    """Write a study's page once its answer is there: the page's path, and what was not written, for a sentence.

    `write`: what writes it; None: `write_report`.

    Whatever becomes of the pictures, the answer stands: nothing but Ctrl-C is raised.
    """
    try:
        return (write or _report_of)(folder), ""
    except (CalandoError, OSError, MemoryError) as error:
        page = error.page if isinstance(error, NotDrawn) else None
        return page, message(
            "no report was written ({why}); `calando report {folder}` tries again"
            if page is None
            else "PNG and SVG were not written ({why}); `calando report {folder}` tries again",
            why=said_by(error) or message("out of memory"),
            folder=folder,
        )


def serve(
    folder: Path | str | None = None,
    *,
    port: int = 8321,
    host: str = "127.0.0.1",
    tls_cert: Path | str | None = None,
    tls_key: Path | str | None = None,
    behind_proxy: bool = False,
    known_as: str | None = None,
    no_token: bool = False,
    listen: Callable[[str, str], object] = print,
) -> None:
    """Serve a live page of studies, tunings and runs, until Ctrl-C.

    Only this machine can open it, unless you ask for more. It has two addresses with tokens: one to view, one to steer
    too.

    Args:
        folder: a study, a tuning or a run, or a folder that holds some. None: the current folder.
        port: port to listen on. 0: any free port.
        host: address to listen on; one that other machines reach needs tls_cert and tls_key, or behind_proxy.
        tls_cert: certificate file in PEM, for https.
        tls_key: file of its key, without a passphrase.
        behind_proxy: a proxy in front of the page encrypts; browsers reach it by https.
        known_as: another host name that the page is reached by, or several joined by commas.
        no_token: let every user of this machine view and steer.
        listen: called with both addresses, first the one to view, then the one to steer, once the page answers.

    Raises:
        UsageError: there is nothing to show, the port is in use or out of range, the page would be open to the network
            without encryption, or the extra is not installed.
        CorruptFile: the study is damaged, or was written by a newer calando.
    """
    import threading

    try:
        from calando.web.access import Tokens
        from calando.web.http_server import run_server
        from calando.web.live_page import create_app
        from calando.web.reach import plan_reach
    except ModuleNotFoundError as error:
        raise UsageError(
            message("`calando serve` needs {name}: pip install 'calando[web]'", name=error.name)
        ) from error
    tokens = None if no_token else Tokens.random()
    reach = plan_reach(
        host,
        port,
        tls_cert=None if tls_cert is None else Path(tls_cert),
        tls_key=None if tls_key is None else Path(tls_key),
        behind_proxy=behind_proxy,
        names=[one.strip() for one in (known_as or "").split(",") if one.strip()],
        open_to_all=no_token,
    )
    app = create_app(Path() if folder is None else Path(folder), tokens=tokens, hosts=reach.hosts)
    with reach.listen() as listener:
        address = reach.address(listener)
        threading.Thread(target=app.state.places.warm, daemon=True).start()
        looks, steers = (f"{address}?token={one}" for one in tokens) if tokens else (address, address)
        listen(looks, steers)
        run_server(app, listener, reach.certificate)
