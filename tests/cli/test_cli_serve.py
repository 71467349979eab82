"""`serve`: the page answers, on this machine alone, and ends with Ctrl-C."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request


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
        address = re.match(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert address
        with urllib.request.urlopen(f"{address[0]}api/summary", timeout=60) as answer:
            assert json.load(answer)["complete"] is True
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert process.returncode in (0, 130)


def test_a_port_that_is_taken_is_one_line(refused, finished_study):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} cannot be had" in refused("serve", finished_study, "--port", port).err
