"""Under a memory limit a command runs in a child process, so that even a crash ends in a one-line error.

    the command    a child: imports, trains, answers. Python prints to the terminal; what C++, workers and tracebacks
                   print goes into a pipe
    the guard      this process, with hardly anything in it: holds back what comes through the pipe, passes signals
                   on, and says at the end how the command ended

A library that finds no memory may call abort(), leave half an import behind, or print pages of tracebacks from several
processes: only somebody who stands outside can say one line instead.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from calando.cli.ending import Ending
from calando.errors import plain
from calando.language import message, translated
from calando.process_limits import (
    FROM_OTHERS,
    for_more_files,
    for_more_memory,
    is_want_of_files,
    is_want_of_memory,
    look_before_blas,
    signals,
)

__all__ = ["guarded"]


KEPT_BYTES = 2**20
"""Of what is held back, the last: people's code may print for days."""
OUR_OWN = ("out of memory", "too many open files")
LOOK_SECONDS = 0.05
"""So that who prints much does not wait for a reader."""
PASSED_ON = FROM_OTHERS - signals("SIGKILL")
FROM_OUTSIDE = FROM_OTHERS | signals("SIGALRM", "SIGXCPU", "SIGPIPE")
"""Signals that end a process without its own doing."""
BY_A_PERSON = 0
"""Linux's SI_USER: sent to this process alone. Ctrl-C in a terminal reaches the command by itself."""


def guarded(command: Callable[[], Ending]) -> NoReturn:
    """Run the command in a child and end as it ended, or with a line where memory is what it lacked.

    Args:
        command: returns its ending, or raises SystemExit.
    """
    held_out, held_in = os.pipe()
    word_out, word_in = os.pipe()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON | {signal.SIGCHLD})
    guard = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(held_out)
        os.close(word_out)
        _end_with(guard)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _be_the_command(command, held_in, word_in)
    os.close(held_in)
    os.close(word_in)
    os.set_blocking(held_out, False)
    held = bytearray()
    while True:
        heard = signal.sigtimedwait(PASSED_ON | {signal.SIGCHLD}, LOOK_SECONDS)
        _drain(held_out, held)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if heard is not None and heard.si_signo in PASSED_ON and heard.si_code == BY_A_PERSON:
            os.kill(child, heard.si_signo)
    _drain(held_out, held)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    _conclude(os.waitstatus_to_exitcode(status), _word(word_out), held.decode(errors="backslashreplace"))


def _end_with(guard: int) -> None:
    """Killed, the guard takes the command with it, as if they were one."""
    death_signal = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(death_signal, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(1)


def _be_the_command(command: Callable[[], Ending], held: int, word: int) -> NoReturn:
    # Live drawings and our own notes: not held back.
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors)
    os.dup2(held, 2)
    os.close(held)
    look_before_blas()
    try:
        try:
            ending = command()
        except SystemExit as asked:
            ending = Ending(asked.code if isinstance(asked.code, int) else 1 if asked.code else 0)
        if sys.stdout is not None:
            sys.stdout.flush()
        os.write(word, json.dumps([ending.status, ending.line, translated(ending.line)]).encode())
    except BaseException:
        held_back = traceback.format_exc().encode(errors="backslashreplace")
        with suppress(OSError):
            os.write(2, held_back)
        os._exit(1)
    if ending.at_once:
        os._exit(ending.status)
    sys.exit(ending.status)


def _drain(pipe: int, held: bytearray) -> None:
    with suppress(BlockingIOError):
        while piece := os.read(pipe, 2**16):
            held += piece
            del held[:-KEPT_BYTES]


def _word(pipe: int) -> Ending | None:
    """The command's own last word; None: it died without one."""
    os.set_blocking(pipe, False)
    with suppress(BlockingIOError, ValueError):
        status, line, shown = json.loads(os.read(pipe, 2**16))
        return Ending(status, line, shown=shown)
    return None


def _conclude(code: int, word: Ending | None, held: str) -> NoReturn:
    if word is None and -code in FROM_OUTSIDE:
        _die_of(-code)
    ending = _translated(code, word, held)
    if ending is None:
        print(held, end="", file=sys.stderr, flush=True)
        ending = word or Ending(code)
    ending.say()
    os._exit(ending.status)


def _translated(code: int, word: Ending | None, held: str) -> Ending | None:
    """What to say instead of what was held back; None: that is to be printed."""
    if word is not None and word.status == 0:
        if not is_want_of_memory(held):
            return None
        return Ending(
            0, message("processes of this command found too little memory and were replaced (see `ulimit -v`)")
        )
    said = held if word is None else f"{held}\n{word.line}"
    if word is not None and word.line.startswith(OUR_OWN):
        return word
    reason = (word.line if word is not None else "") or _last_sign(held) or _how(code)
    if is_want_of_files(said):
        return Ending(1, for_more_files(reason))
    if is_want_of_memory(said):
        return Ending(1, for_more_memory(reason))
    if code < 0 or (word is None and "Traceback" not in held):  # a library in C ended it
        return Ending(1, for_more_memory(message("as it seems: {reason}", reason=reason)))
    return None


def _last_sign(text: str) -> str:
    lines = text.split("\n")
    return next((plain(line.strip())[:200] for line in reversed(lines) if is_want_of_memory(line)), "")


def _how(code: int) -> str:
    if code < 0:
        return message("ended with {name}", name=signal.Signals(-code).name)
    return message("exited with status {status}", status=code)


def _die_of(number: int) -> NoReturn:
    """As the command did, so that who started it sees the same."""
    signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
    os.kill(os.getpid(), number)
    os._exit(128 + number)
