"""A real server on this machine: what holds a connection open without asking anything is closed."""

import json
import logging
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tests.web.test_web_app import fill

import calando
from calando.web.http_server import MOST_CONNECTIONS, REQUEST_SECONDS, _OnceAMinute


class Served:
    """`calando serve` as a process."""

    def __init__(self, folder: Path, *, descriptors: int | None = None) -> None:
        def limit() -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("calando"), "serve", str(folder), "--port", "0"],
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
        made = socket.create_connection(("127.0.0.1", self.port), timeout=REQUEST_SECONDS + 10)
        self.connections.append(made)
        return made

    def answers(self) -> bool:
        with urllib.request.urlopen(f"{self.address}/api/summary?{self.token}", timeout=60) as answer:
            return "complete" in json.load(answer)

    def end(self) -> str:
        for one in self.connections:
            one.close()
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=60)[1]


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
        began = time.monotonic()
        begun.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        body.sendall(b"POST /commands/stop HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nx")
        assert served.answers()
        assert closed(silent)
        assert closed(begun)
        body.recv(4096)
        assert time.monotonic() - began < REQUEST_SECONDS + 9
        many = [served.connect() for _ in range(MOST_CONNECTIONS + 40)]
        time.sleep(0.5)
        assert sum(closed(one) for one in many[-30:]) == 30
        for one in many:
            one.close()
        time.sleep(0.5)
        assert served.answers()
    finally:
        assert "Traceback" not in served.end()


def test_out_of_descriptors_it_reports_so_in_few_lines_and_goes_on(study):
    served = Served(study, descriptors=40)
    try:
        many = [served.connect() for _ in range(60)]
        time.sleep(3)
        for one in many:
            one.close()
        time.sleep(2)
        assert served.answers()
    finally:
        said = served.end()
    assert len(said) < 10_000


def test_each_message_passes_once_a_minute():
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "out of descriptors", None, None)
    another = logging.LogRecord("asyncio", logging.ERROR, "", 0, "something else", None, None)
    quiet = _OnceAMinute()
    assert [quiet.filter(one) for one in (record, record, another, record)] == [True, False, True, False]
