"""Schedules of a second optimizer, which `forward` trains, are where they were after a range test."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as torchs

import calando

BATCHES = [(torch.randn(8, 2), torch.arange(8) % 2) for _ in range(4)]


def attached(optimizer):
    calando.attach(optimizer, "linear(1, 0)", total_steps=40)


def ours(optimizer):
    return calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=40)


def steps(optimizer):
    return torchs.StepLR(optimizer, 3)


def sequence(optimizer):
    parts = [torchs.LinearLR(optimizer, 0.1, 1.0, total_iters=3), ours(optimizer)]
    return torchs.SequentialLR(optimizer, parts, milestones=[3])


def plateau(optimizer):
    return torchs.ReduceLROnPlateau(optimizer, patience=1)


def critic_step(critic, optimizer, scheduler, x):
    loss = critic(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if scheduler is not None:
        scheduler.step(*([1.0] if isinstance(scheduler, torchs.ReduceLROnPlateau) else []))
    return [group["lr"] for group in optimizer.param_groups]


def followed(critic):
    training = calando.follow(critic, "sgd(lr=0.1) | linear(1, 0) | ema(decay=0.9)", total_steps=40)
    return training.optimizer, None


def built(kind):
    torch.manual_seed(0)
    critic = nn.Linear(2, 1)
    if kind is followed:
        return critic, *followed(critic)
    optimizer = torch.optim.SGD(critic.parameters(), lr=0.1, momentum=0.9)
    return critic, optimizer, kind(optimizer)


@pytest.mark.parametrize("kind", [attached, ours, steps, sequence, plateau, followed])
def test_the_schedule_of_an_inner_optimizer_goes_on_where_it_was(kind):
    x = torch.ones(4, 2)

    def trained(between):
        critic, optimizer, scheduler = built(kind)
        rates = [critic_step(critic, optimizer, scheduler, x) for _ in range(5)]
        between(critic, optimizer, scheduler)
        rates += [critic_step(critic, optimizer, scheduler, x) for _ in range(5)]
        return rates, copy.deepcopy(optimizer.state_dict()), critic.weight.tolist()

    def find(critic, optimizer, scheduler):
        network = nn.Linear(2, 2)

        def forward(model, batch):
            critic_step(critic, optimizer, scheduler, model(batch[0]).detach())
            return nn.functional.cross_entropy(model(batch[0]), batch[1])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            calando.find_lr(
                network, torch.optim.SGD(network.parameters(), lr=0.1), None, BATCHES, forward=forward, steps=20
            )

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wanted, got = trained(lambda *_: None), trained(find)
    assert got[0] == wanted[0]
    assert got[2] == wanted[2]
    assert str(got[1].get("calando")) == str(wanted[1].get("calando"))
