"""`serve`: the page answers, on this machine alone, and ends with Ctrl-C."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from tests.waiting import PATIENCE


def test_serve_answers_and_ends_with_ctrl_c(finished_study):
    command = [sys.executable, "-c", "from calando.cli.main import main; main()", "serve", str(finished_study)]
    process = subprocess.Popen(
        [*command, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert process.stdout is not None
        address = re.match(r"(http://127\.0\.0\.1:\d+)/\?(token=[0-9a-f]{32})  ", process.stdout.readline())
        assert address
        with urllib.request.urlopen(f"{address[1]}/api/summary?{address[2]}", timeout=PATIENCE) as answer:
            assert json.load(answer)["complete"] is True
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{address[1]}/api/summary", timeout=PATIENCE)
        # A browser: the cookie comes with the address that was printed, and the token leaves the address bar.
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(f"{address[1]}/?{address[2]}", timeout=PATIENCE) as answer:
            assert answer.url == f"{address[1]}/"
            assert answer.status == 200
        with browser.open(f"{address[1]}/api/summary", timeout=PATIENCE) as answer:
            assert json.load(answer)["complete"] is True
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err
    assert process.returncode in (0, 130)


def test_a_port_that_is_taken_is_one_line(refused, finished_study):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} is already in use" in refused("serve", finished_study, "--port", port).err
