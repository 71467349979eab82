"""What tests of strategies in a loop of one's own share: the loops."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from calando.methods import find_method
from calando.strategy import read_strategy
from calando.training.evaluate import evaluate
from calando.training.lane import seed_step

__all__ = ["Deeper", "averages", "bits", "one_update", "settled", "train"]


def settled(text: str):
    """With a rate; and its method's usual one."""
    strategy = read_strategy(text)
    return strategy.model_copy(update={"lr": strategy.lr or find_method(strategy.method).usual_rate})


def train(training, workload, *, seed: int, batches: range, evaluate_every: int = 0, lane=None):
    """A loop as a user writes it, on the batches of a run of ours."""
    for index in batches:
        seed_step(seed, index)
        images, labels = workload.batch(index, seed=seed)

        def closure(images=images, labels=labels):
            training.optimizer.zero_grad()
            loss = workload.loss(training.network(images).float(), labels)
            loss.backward()
            closure.losses.append(loss.item())
            return loss

        closure.losses = []
        training.optimizer.step(closure)
        if any(c.wants(0).seen == "loss" for c in training._session.controllers):
            training.observe(loss=closure.losses[0])
        elif training.strategy.controllers and training.step % evaluate_every == 0:
            with training.evaluated():
                loss, _ = evaluate(training.network, workload, workload.validation, lane=lane)
            training.observe(validation_loss=loss)


def one_update(training, x, y, **options):
    def closure():
        training.optimizer.zero_grad()
        loss = cross_entropy(training.network(x), y)
        loss.backward()
        return loss

    return training.optimizer.step(closure, **options)


def bits(module: nn.Module) -> list[bytes]:
    return [value.numpy().tobytes() for value in module.state_dict().values()]


def averages(training) -> list[torch.Tensor]:
    return training.optimizer.state_dict()["calando"]["average"]


class Deeper(nn.Module):
    """Batch norm, dropout, and a hidden layer for muon."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (1, 4):
            layers += [nn.Conv2d(before, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 3))

    def forward(self, x):
        return self.layers(x)
