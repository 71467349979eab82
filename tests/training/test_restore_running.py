"""What runs by itself is not put back: workers that stay, queues and threads."""

import queue
import threading

import pytest
import torch
from tests.waiting import PATIENCE
from torch import nn
from torch.utils.data import DataLoader

from calando.training.restore import restoring, undisturbed_loader


class Slow(torch.utils.data.Dataset):
    """A loader's workers import this module."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return torch.tensor(float(index))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_workers_and_queues_that_run_by_themselves_are_left_alone(place):
    """What they wait on is not put back: they would wait for ever."""
    orders, layer = [], nn.Linear(1, 1)
    for lend in (False, True):
        torch.manual_seed(0)
        loader = DataLoader(Slow(), batch_size=4, shuffle=True, num_workers=1, persistent_workers=True)
        order = []
        for _ in range(2):
            for at, batch in enumerate(loader):
                order += batch.tolist()
                if lend and at == place:
                    with restoring(layer, source=loader):
                        assert len(list(undisturbed_loader(loader))) == 3
        orders.append(order)
    assert orders[0] == orders[1]

    class Feeding:
        """A loader of one's own with a thread that feeds it."""

        def __init__(self):
            self.queue = queue.Queue(maxsize=1)
            threading.Thread(target=self.feed, daemon=True).start()

        def feed(self):
            for index in range(20):
                self.queue.put(index)

        def __iter__(self):
            return iter([self.queue.get(timeout=PATIENCE) for _ in range(5)])

    feeding, seen = Feeding(), []
    for _ in range(2):
        seen += list(feeding)
        with restoring(layer, source=feeding):
            seen += list(feeding)
    assert seen == list(range(20))
