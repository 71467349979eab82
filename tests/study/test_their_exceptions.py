"""Whatever the user's own code raises while a run is trained is one line, which names it."""

import os
import signal

import pytest
import torch
import torch.nn.functional as F

import calando
from calando.errors import UsageError, is_plain


class Wordless(Exception):
    def __str__(self):
        raise ValueError("no text")


class Interrupting(Exception):
    def __str__(self):
        raise KeyboardInterrupt


class WordlessExit(SystemExit):
    def __str__(self):
        raise ValueError("no text")


RAISED = {
    "without a text": (Wordless(), "failed with Wordless, whose text cannot be read"),
    "with a text that interrupts": (Interrupting(), "failed with Interrupting, whose text"),
    "an exit without a text": (WordlessExit(3), "failed with WordlessExit, whose text"),
    "no Exception at all": (BaseException("mine"), "failed with BaseException: mine"),
    "a closed generator": (GeneratorExit(), "failed with GeneratorExit: no message"),
    "with escapes": (Exception("\x1b[2J gone\nmore"), r"failed with Exception: .x1b.2J gone; the traceback"),
    "without an encoding": (Exception("\ud800"), r"failed with Exception: .ud800; the traceback"),
    "without end": (Exception("x" * 100_000), "failed with Exception: x{300}…; the traceback"),
    "one of ours, of two lines": (UsageError("mine,\nown"), "^mine, own$"),
}


def task(raised):
    def loss(outputs, targets):
        if len(outputs) == 16:  # in training, not in the looks before it
            raise raised
        return F.cross_entropy(outputs, targets)

    return calando.workload(
        train=(torch.rand(60, 1, 8, 8), torch.arange(60) % 2), model="cnn", batch_size=16, loss=loss
    )


def asked(folder, raised):
    return calando.compare(task(raised), "fixed", folder=folder, executor="inline", lr=0.1, steps=2, seeds=1)


@pytest.mark.parametrize("what", RAISED)
def test_it_is_one_plain_line(tmp_path, what):
    raised, line = RAISED[what]
    with pytest.raises(UsageError, match=line) as caught:
        asked(tmp_path, raised)
    assert is_plain(str(caught.value))
    assert len(str(caught.value)) < 1000


def test_an_interrupt_is_the_users_own_where_no_key_can_be_heard(tmp_path, monkeypatch):
    monkeypatch.setattr("calando.study.verify.difference_when_repeated", lambda *_: ("", ()))
    monkeypatch.setattr("calando.study.verify.quick_doubt", lambda *_: "")
    with pytest.raises(KeyboardInterrupt):
        asked(tmp_path / "heard", KeyboardInterrupt())
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in workers
    try:
        with pytest.raises(UsageError, match="failed with KeyboardInterrupt: no message"):
            asked(tmp_path / "not heard", KeyboardInterrupt())
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("made", [os.mkfifo, os.mkdir])
def test_what_lies_in_the_place_of_the_log_loses_no_error(tmp_path, made):
    made(tmp_path / "error.log")
    with pytest.raises(UsageError, match="failed with ValueError: mine; its traceback is not kept, since"):
        asked(tmp_path, ValueError("mine"))


@pytest.mark.parametrize("made", [os.mkfifo, os.mkdir])
def test_what_lies_in_the_place_of_the_lock_is_named(tmp_path, made):
    made(tmp_path / "study.lock")
    with pytest.raises(UsageError, match="study.lock is a pipe or a folder, not a file; remove it"):
        asked(tmp_path, ValueError("mine"))


class MoreWhenEvaluated(torch.nn.Linear):
    """Two classes too many once it is evaluated: there would be a loss all the same, and a score."""

    def __init__(self):
        super().__init__(64, 2)

    def forward(self, x):
        outputs = super().forward(x.flatten(1))
        return outputs if self.training or len(x) == 2 else torch.cat([outputs, outputs + 9], 1)


def test_outputs_of_another_shape_are_not_scored(tmp_path):
    data = torch.rand(60, 1, 8, 8), torch.arange(60) % 2
    odd = calando.workload(train=data, model=MoreWhenEvaluated, batch_size=16)
    with pytest.raises(UsageError, match=r"must give \[N, 2\] scores when it is evaluated, got \(\d+, 4\)"):
        calando.compare(odd, "fixed", folder=tmp_path, executor="inline", lr=0.1, steps=2, seeds=1)
