"""What a few samples at initial weights do not show: the first updates of a stored run are made again."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import calando
from calando.errors import UsageError
from calando.schedules.function import named_function

GENERATOR = torch.Generator().manual_seed(0)
LABELS = torch.arange(90) % 3
IMAGES = torch.rand(90, 1, 8, 8, generator=GENERATOR) + 0.3 * LABELS[:, None, None, None]


class FromZero(nn.Module):
    """A residual branch and a head that start at zero, as in Fixup: no output shows what is in the branch."""

    def __init__(self, inside, *, above=1.0, late=1.0, drop=0.0):
        super().__init__()
        self.stem, self.one, self.two, self.head = (
            nn.Linear(64, 16),
            nn.Linear(16, 16),
            nn.Linear(16, 16),
            nn.Linear(16, 3),
        )
        for layer in (self.two, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.inside, self.above, self.late, self.drop = inside, above, late, drop
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += self.training
        h = F.relu(self.stem(x.flatten(1)))
        h = h + self.two(self.inside(self.one(h)))
        if len(x) > 8:
            h = h * self.above
        if self.training and self.drop:
            h = h * (torch.rand(len(h), 1) >= self.drop)
        return self.head(h * self.late if self.seen > 4 else h)


def asked(folder, build, *, seeds, notes=None, strategy="fixed"):
    listen = None if notes is None else lambda status: notes.extend(status.notes)
    build.__qualname__ = "edited"  # as a function of a module that is edited keeps its name
    task = calando.workload(train=(IMAGES, LABELS), model=build, batch_size=16)
    return calando.compare(
        task, strategy, folder=folder, executor="inline", lr=0.1, steps=8, seeds=seeds, listen=listen
    )


CHANGED = {
    "what a zero hides": lambda: FromZero(F.gelu),
    "whole batches": lambda: FromZero(F.relu, above=2.0),
    "a later update": lambda: FromZero(F.relu, late=2.0),
    "what is rarely drawn": lambda: FromZero(F.relu, drop=0.05),
}


def plain():
    return FromZero(F.relu)


@pytest.mark.parametrize("change", CHANGED)
def test_what_changed_is_refused_where_the_first_updates_show_it(tmp_path, change):
    before = asked(tmp_path, plain, seeds=1)
    assert asked(tmp_path, plain, seeds=1) == before
    for seeds in (1, 2):
        with pytest.raises(UsageError, match="has changed since study .* the loss of update .* name another --study"):
            asked(tmp_path, CHANGED[change], seeds=seeds)
    assert asked(tmp_path, plain, seeds=2).complete


class Noisy(FromZero):
    drawn = torch.Generator().manual_seed(0)

    def forward(self, x):
        return super().forward(x) + (torch.rand(len(x), 3, generator=self.drawn) if len(x) == 16 else 0)


def test_what_does_not_repeat_itself_is_reported_and_not_refused(tmp_path):
    asked(tmp_path, lambda: Noisy(F.relu), seeds=1)
    notes = []
    asked(tmp_path, lambda: Noisy(F.relu), seeds=2, notes=notes)
    assert any("varies from look to look" in note for note in notes)


def test_a_function_that_gives_other_rates_is_refused(tmp_path):
    def named(power):
        named_function("falling")(lambda p: (1 - p) ** power)

    named(1)
    ours = 'sgd(lr=0.1) | function("falling")'
    asked(tmp_path, plain, seeds=1, strategy=ours)
    named(2)
    with pytest.raises(UsageError, match="the schedule of .* has changed .* another rate at step 1"):
        asked(tmp_path, plain, seeds=2, strategy=ours)
    named(1)
    assert asked(tmp_path, plain, seeds=2, strategy=ours).complete
