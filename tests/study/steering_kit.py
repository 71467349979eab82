"""What tests of steering share: a small study, commands asked in its midst, and what came of them."""

import time

import numpy as np

import calando
from calando.records import Store
from calando.records.command_log import CommandLog
from calando.study import perform_job, scheduler, steering

STEPS = 200


TEXT = "mine = sgd(lr=0.05, momentum=0.9) | linear(0, 1, over='10%') >> cosine(1, 0)"


def quickly(put=setattr):
    put(perform_job, "PROGRESS_SECONDS", 0.0)
    put(steering, "LOOK_SECONDS", 0.0)
    put(scheduler, "POLL_SECONDS", 0.0)  # a listener hears of every update, however many a second makes


def compare(folder, *, executor="inline", steps=STEPS, strategies=(TEXT,), seeds=1, listen=lambda status: None):
    return calando.compare(
        "digits",
        *strategies,
        seeds=seeds,
        steps=steps,
        folder=folder,
        executor=executor,
        workers=1,
        threads=1,
        train_limit=200,
        page=False,
        listen=listen,
    )


def ask(folder, line, *, run="mine", key=None):
    with CommandLog.open(folder) as log:
        return log.ask(line, run=run, key=key or f"k{time.monotonic_ns()}")


def at_step(folder, step, line, **more):
    """A listener that asks once when the run has made so many updates."""
    asked = []

    def listen(status):
        if not asked and any(one.now.step >= step for one in status.running.values()):
            asked.append(ask(folder, line, **more))

    return listen


def rows(folder):
    with CommandLog.open(folder, read_only=True) as log:
        return log.rows(), log.branches(), log.at_rest()


def records(folder):
    with Store.open(folder, read_only=True) as store:
        return store.runs()


def replayed(folder, spec, again):
    """The branch from the file of its spec alone, from the beginning."""
    trained = calando.train(folder / "branches" / f"{spec.digest()}.json", folder=again, listen=lambda status: None)
    assert trained.record.spec.digest() == spec.digest()
    return trained.record


def same_bits(one, other):
    assert np.array_equal(one.losses.view(np.uint32), other.losses.view(np.uint32))
    assert np.array_equal(one.rates, other.rates)
    assert [look.score for look in one.evaluations] == [look.score for look in other.evaluations]
