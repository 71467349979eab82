"""A schedule as the function that torch's LambdaLR wants."""

import io
import pickle

import pytest
import torch
from tests.oracles.traces import sgd, stepped
from torch.optim import lr_scheduler

import calando
from calando.errors import UsageError
from calando.loops.transformers import lambda_of

TEXT = "linear(0.1, 1, over='25%') >> cosine(1, 0)"
TOTAL = 12


def test_lambda_lr_gives_the_rates_of_our_scheduler():
    ours, theirs = sgd(), sgd()
    scheduler = lr_scheduler.LambdaLR(theirs, lambda_of(TEXT, TOTAL))
    expected = stepped(calando.LRScheduler(ours, TEXT, total_steps=TOTAL), ours, 20)
    assert (stepped(scheduler, theirs, 20) == expected).all()


def test_what_lambda_lr_saves_of_it_is_plain():
    optimizer = sgd()
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda_of(TEXT, TOTAL))
    stepped(scheduler, optimizer, 5)
    saved = io.BytesIO()
    torch.save(scheduler.state_dict(), saved)
    saved.seek(0)
    again = lr_scheduler.LambdaLR(sgd(), lambda_of(TEXT, TOTAL))
    again.load_state_dict(torch.load(saved, weights_only=True))
    assert again.last_epoch == 4
    assert again.get_last_lr() == scheduler.get_last_lr()


def test_it_survives_pickling():
    law = pickle.loads(pickle.dumps(lambda_of(calando.parse(TEXT), TOTAL)))
    assert [law(step) for step in range(20)] == [calando.parse(TEXT).bind(TOTAL)(step) for step in range(20)]


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="needs steps_per_epoch"):
        lambda_of("cosine(1, 0, over='2 epochs')", 10)
    assert lambda_of("linear(1, 0, over='2 epochs')", 10, steps_per_epoch=4)(4) == 0.5
