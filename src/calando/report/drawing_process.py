"""Vega-Lite drawn in a process of its own, which may die without taking an answer with it.

    asked     a line of JSON: {"ask": "svg", "chart": …} or {"ask": "png", "svg": …}
    answered  a line, "ok BYTES" or "error BYTES", and that many bytes

vl-convert holds V8, which reserves gigabytes of addresses and aborts where a limit (`ulimit -v`, a container's) forbids
it. One process draws all that its parent asks for and ends with it; it imports nothing else of calando's.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import threading
from importlib.util import find_spec
from typing import IO, Any, final

from calando.errors import NotDrawn, plain
from calando.language import message
from calando.process_limits import files_allowed

__all__ = ["NEEDED", "DrawingProcess", "can_draw", "check_can_draw", "drawing_process"]

LONGEST_SECONDS = 120.0
"""A picture takes a tenth of a second."""
FILES = 20
"""What V8's threads open, 17, and a few; without them vl-convert fails in words of its own."""


NEEDED = message("PNG and SVG need vl-convert: pip install 'calando[pictures]'; HTML needs nothing more")


def can_draw() -> bool:
    """Whether vl-convert is there; it is not imported."""
    try:
        return find_spec("vl_convert") is not None
    except ValueError:  # what stands for it in sys.modules has no spec, as where a test hides it
        return False


def check_can_draw() -> None:
    """See that pictures can be drawn.

    Raises:
        NotDrawn: vl-convert is not there.
    """
    if not can_draw():
        raise NotDrawn(NEEDED)


@functools.cache
def drawing_process() -> DrawingProcess:
    """The one of this process, started when first asked for something."""
    return DrawingProcess()


@final
class DrawingProcess:
    """A process that draws.

    Args:
        longest_seconds: after which a picture is given up.
    """

    def __init__(self, *, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._longest_seconds = longest_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        atexit.register(self.close)

    def ask(self, **what: Any) -> bytes:
        """What comes back for one of the questions above.

        Raises:
            NotDrawn: the process cannot be started, died, took too long, or vl-convert is not there or refused.
        """
        check_can_draw()
        with self._lock:
            if self._process is None:
                self._process = _start()
            process = self._process
            assert process.stdin is not None
            assert process.stdout is not None
            late = threading.Timer(self._longest_seconds, process.kill)
            late.start()
            try:
                process.stdin.write(json.dumps(what, allow_nan=False).encode() + b"\n")
                process.stdin.flush()
                verdict, data = _read(process.stdout)
            except (OSError, EOFError):
                took_too_long = not late.is_alive()
                self.close()
                slow = message("it took over {seconds:g} s", seconds=self._longest_seconds)
                reason = slow if took_too_long else _how(process.returncode)
                raise NotDrawn(
                    message("pictures cannot be drawn here: {reason}; the numbers do not depend on it", reason=reason)
                ) from None
            except BaseException:
                # Interrupted between a question and its answer, which would pass for the next one's.
                self.close()
                raise
            finally:
                late.cancel()
        if verdict != "ok":
            raise NotDrawn(
                message(
                    "vl-convert cannot draw this: {strip}", strip=plain(data.decode(errors="replace").strip())[:200]
                )
            )
        return data

    def close(self) -> None:
        """End the process; another question starts another."""
        if self._process is None:
            return
        process, self._process = self._process, None
        # Nothing is lost with it, and to take V8 down takes a while.
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                continue


def _start() -> subprocess.Popen[bytes]:
    allowed = files_allowed()
    if allowed is not None and allowed < FILES:
        raise NotDrawn(
            message(
                "pictures cannot be drawn here: that takes {FILES} open files, and {allowed} are allowed (`ulimit -n`)",
                FILES=FILES,
                allowed=allowed,
            )
        )
    try:
        return subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Where the current folder holds a json.py; and Ctrl-C is for the parent, which ends this one.
            env=os.environ | {"PYTHONSAFEPATH": "1"},
            start_new_session=True,
        )
    except OSError as error:
        raise NotDrawn(
            message("pictures cannot be drawn here: no process can be started ({strerror})", strerror=error.strerror)
        ) from error


def _read(pipe: IO[bytes]) -> tuple[str, bytes]:
    words = pipe.readline().split()
    if len(words) != 2:
        raise EOFError
    data = pipe.read(int(words[1]))
    if len(data) < int(words[1]):
        raise EOFError
    return words[0].decode(), data


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return message("the process that draws ended with {name} (is its memory limited? see `ulimit -v`)", name=name)
    return message(
        "the process that draws ended with status {status} (is its memory limited? see `ulimit -v`)", status=status
    )


def main() -> None:
    """Answer questions until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    # Whatever else prints, prints elsewhere.
    os.dup2(2, 1)
    import vl_convert

    for line in sys.stdin.buffer:
        what = json.loads(line)
        try:
            verdict, data = "ok", _answer(vl_convert, what)
        except (ValueError, TypeError, RuntimeError) as error:
            verdict, data = "error", str(error).encode()
        answers.write(f"{verdict} {len(data)}\n".encode() + data)
        answers.flush()


def _answer(vl_convert: Any, what: dict[str, Any]) -> bytes:
    match what:
        case {"ask": "svg", "chart": chart, "major": major}:
            # Our data is inline: no address may be fetched, whatever a strategy's name looks like.
            drawn: str = vl_convert.vegalite_to_svg(chart, vl_version=_version(vl_convert, major), allowed_base_urls=[])
            return drawn.encode()
        case {"ask": "png", "svg": svg, "scale": scale}:
            return bytes(vl_convert.svg_to_png(svg, scale=scale))
    raise ValueError(f"unknown question {what}")


def _version(vl_convert: Any, major: str) -> str:
    """The newest Vega-Lite that vl-convert has of a major version: "6.1"."""
    versions = vl_convert.get_vegalite_versions()
    known = [version for version in versions if version.split(".")[0] == major]
    return str(known[-1] if known else versions[-1])


if __name__ == "__main__":
    main()
