"""`calando serve STUDY`: the study as a page that follows it while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calando.errors import UsageError

__all__ = ["serve"]


def serve(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="study folder")],
    port: Annotated[int, typer.Option(help="on this machine alone (127.0.0.1)")] = 8321,
) -> None:
    """Serve a study's page on this machine, following it while it runs."""
    try:
        import uvicorn

        from calando.web.app import create_app
    except ModuleNotFoundError as error:
        raise UsageError(f"`calando serve` needs {error.name}: pip install 'calando[web]'") from error
    app = create_app(study)
    typer.echo(f"http://127.0.0.1:{port}/  (Ctrl-C ends it; the study is not touched)")
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
