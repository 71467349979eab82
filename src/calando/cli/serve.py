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
    no_token: Annotated[
        bool, typer.Option("--no-token", help="let every user of this machine read the page and stop the study")
    ] = False,
) -> None:
    """Serve a study's page while it runs.

    On this machine alone, and to whoever has the address that is printed, with its token. The page follows the study,
    and can ask it to stop.
    """
    try:
        from calando.web.app import create_app
        from calando.web.server import run_server
    except ModuleNotFoundError as error:
        raise UsageError(f"`calando serve` needs {error.name}: pip install 'calando[web]'") from error
    import secrets

    if not 0 <= port <= 65535:
        raise UsageError(f"--port must be from 0 to 65535, got {port}")
    token = None if no_token else secrets.token_hex(16)
    app = create_app(study, token=token)
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise UsageError(f"port {port} cannot be used: {error.strerror}; choose another --port, or 0") from error
    with listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/" + (f"?token={token}" if token else "")
        typer.echo(f"{address}  (Ctrl-C ends it; the study is not touched)")
        run_server(app, listener)
