"""Two studies in two threads give what each gives alone; a thread that draws from torch's generator is noticed."""

import os
import threading
import time

import numpy as np
import pytest
import torch
from tests.study.study_kit import decided
from tests.training.small_runs import Dropping, a_run, a_workload, bits

import calando
from calando.errors import UsageError
from calando.tasks.randomness import holding_generators, holding_seeded
from calando.training.loop import execute

pytestmark = pytest.mark.filterwarnings("ignore::calando.errors.DataWarning")


def compare(folder, workload):
    calando.compare(
        workload, "sgd(lr=0.1)", "adam(lr=0.01)", folder=folder, steps=12, seeds=2, executor="inline", rates=1
    )
    return decided(folder)["runs"]


class Drawing:
    """A Dataset whose transform draws from all three generators."""

    def __len__(self):
        return 60

    def __getitem__(self, index):
        return torch.rand(1, 8, 8) + index % 3 + float(np.random.rand()), index % 3


def of_dataset():
    return calando.workload(train=Drawing(), model=Dropping, batch_size=8)


def test_two_inline_studies_at_once_are_as_alone(tmp_path):
    """They are put together in their threads, too: Datasets are looked at, networks built."""
    makes = {"tensors": a_workload, "dataset": of_dataset}
    alone = {name: compare(tmp_path / name, make()) for name, make in makes.items()}
    both, failures = {}, []

    def conduct(name):
        try:
            both[name] = [compare(tmp_path / f"{name} {turn}", makes[name]()) for turn in range(2)]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=conduct, args=(name,)) for name in makes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for name, runs in both.items():
        assert runs == [alone[name]] * 2


@pytest.mark.parametrize("pause", [0.0, 0.002])
def test_a_thread_that_draws_is_noticed(pause):
    workload = a_workload()
    spec = a_run("sgd(lr=0.1)", workload, steps=2000).model_copy(update={"evaluate_every": 2000})
    over = threading.Event()

    def draw():
        while not over.is_set():
            torch.rand(10)
            time.sleep(pause)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        with pytest.raises(UsageError, match='another thread of this process draws .*executor="process"'):
            execute(spec, workload)
    finally:
        over.set()
        thread.join()


class DrawsBackward(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * (1 + 0.1 * torch.rand_like(gradient))


class NoisyGradient(Dropping):
    def forward(self, x):
        return DrawsBackward.apply(super().forward(x))


def test_threads_that_draw_nothing_and_networks_that_draw_themselves_are_let_be():
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    for model in (Dropping, NoisyGradient):
        workload = a_workload(model)
        spec = a_run("sgd(lr=0.1)", workload)
        alone = bits(execute(spec, workload))
        if not thread.is_alive():
            thread.start()
        # What a listener draws between two updates is nobody's loss.
        assert bits(execute(spec, workload, watch=lambda state: bool(torch.rand(1).item() > 2))) == alone
    over.set()
    thread.join()


def test_a_forked_process_does_not_wait_for_a_thread_that_it_has_not():
    held, over = threading.Event(), threading.Event()

    def hold():
        with holding_generators():
            held.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        with holding_seeded(1):
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    over.set()
    thread.join()
