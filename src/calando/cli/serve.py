"""`calando serve STUDY`: the study as a page that follows it while it runs."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer

from calando.errors import UsageError

__all__ = ["serve"]


def serve(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="study folder")],
    port: Annotated[int, typer.Option(help="on this machine alone (127.0.0.1); 0: any free one")] = 8321,
) -> None:
    """Serve a study's page while it runs.

    On this machine alone; the page follows the study, and can ask it to stop.
    """
    try:
        import uvicorn

        from calando.web.app import create_app
    except ModuleNotFoundError as error:
        raise UsageError(f"`calando serve` needs {error.name}: pip install 'calando[web]'") from error
    if not 0 <= port <= 65535:
        raise UsageError(f"--port must be from 0 to 65535, got {port}")
    app = create_app(study)
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise UsageError(f"port {port} cannot be had: {error.strerror}; choose another --port, or 0") from error
    with listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        typer.echo(f"{address}  (Ctrl-C ends it; the study is not touched)")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
