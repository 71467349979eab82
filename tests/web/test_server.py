"""A real server on this machine: what holds a connection open without asking anything is closed."""

import http.client
import json
import logging
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from tests.waiting import PATIENCE, until
from tests.web.test_web_app import fill

import calando
from calando.web import http_server
from calando.web.http_server import MOST_CONNECTIONS, REQUEST_SECONDS, _OnceAMinute

SERVE = """
import sys
from calando.cli.main import main
from calando.web import http_server
http_server.REQUEST_SECONDS = float(sys.argv.pop(1))
main()
"""


class Served:
    """`calando serve` as a process; `request_seconds`: until a connection that asks nothing is closed."""

    def __init__(
        self, folder: Path, *, descriptors: int | None = None, request_seconds: float = REQUEST_SECONDS
    ) -> None:
        def limit() -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(request_seconds), "serve", str(folder), "--port", "0"],
            env=os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=limit,
        )
        assert self.process.stdout is not None
        self.address, self.token = re.match(r"(http://.*)/\?(token=\w+)", self.process.stdout.readline()).groups()
        self.port = int(self.address.rpartition(":")[2])
        self.connections: list[socket.socket] = []

    def connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        self.connections.append(made)
        return made

    def answers(self) -> bool:
        """Whether it does, if it takes this connection in."""
        try:
            with urllib.request.urlopen(f"{self.address}/api/summary?{self.token}", timeout=PATIENCE) as answer:
                return "complete" in json.load(answer)
        except (ConnectionError, http.client.RemoteDisconnected, urllib.error.URLError):
            return False

    def end(self) -> str:
        for one in self.connections:
            one.close()
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=PATIENCE)[1]


@pytest.fixture
def study(tmp_path):
    fill(tmp_path, until=7)
    return tmp_path


def closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_half_open_connections_are_closed_and_others_served_meanwhile(study):
    served = Served(study)
    try:
        silent, begun, body = served.connect(), served.connect(), served.connect()
        begun.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        body.sendall(b"POST /commands/stop HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nx")
        assert served.answers()
        assert closed(silent)
        assert closed(begun)
        body.recv(4096)
        assert served.answers()
    finally:
        assert "Traceback" not in served.end()


def test_too_many_connections_are_closed_while_the_first_stay(study):
    """Where none is closed for its silence."""
    served = Served(study, request_seconds=3600)
    try:
        many = [served.connect() for _ in range(MOST_CONNECTIONS + 40)]
        assert all(closed(one) for one in many[MOST_CONNECTIONS:])
        for one in many[:MOST_CONNECTIONS]:
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)
        for one in many:
            one.close()
        until(served.answers)
    finally:
        assert "Traceback" not in served.end()


def test_out_of_descriptors_it_reports_so_in_few_lines_and_goes_on(study):
    served = Served(study, descriptors=40)
    try:
        many = [served.connect() for _ in range(60)]
        first = served.process.stderr.readline()
        assert "out of system resource" in first
        time.sleep(3)  # in which asyncio tries again three times, and each time as often as the backlog is long
        for one in many:
            one.close()
        until(served.answers)
    finally:
        said = served.end()
    assert len(first + said) < 10_000


def test_an_answer_does_not_wait_for_a_receipt_of_its_head(monkeypatch):
    """A client acknowledges what it got after 40 ms, unless it has something to say: nothing may wait for it."""
    starts, found, servers = uvicorn.Server.__init__, [], []
    monkeypatch.setattr(uvicorn.Server, "__init__", lambda one, config: (starts(one, config), servers.append(one))[0])
    made = http_server._Bounded.connection_made

    def seen(self, transport):
        made(self, transport)
        found.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(http_server._Bounded, "connection_made", seen)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=http_server.run_server, args=(PlainTextResponse("here"), listener))
        thread.start()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=PATIENCE) as answer:
                assert answer.read() == b"here"
        finally:
            until(lambda: servers)[0].should_exit = True
            thread.join()
    assert found == [1]


def test_each_message_passes_once_a_minute():
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "out of descriptors", None, None)
    another = logging.LogRecord("asyncio", logging.ERROR, "", 0, "something else", None, None)
    quiet = _OnceAMinute()
    assert [quiet.filter(one) for one in (record, record, another, record)] == [True, False, True, False]
