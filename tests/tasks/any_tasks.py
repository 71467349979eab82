"""Small tasks of every kind that is no image classification, each a function that makes a new one."""

import torch
import torch.nn.functional as F
from torch import nn

import calando
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.training.loop import execute


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def regression():
    x = torch.randn(120, 5, generator=generator())
    y = x @ torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]) + 7
    return calando.workload(train=(x, y), model=lambda inputs, classes: nn.Linear(inputs[0], classes), batch_size=8)


def segmentation():
    x = torch.randint(0, 256, (90, 1, 8, 8), dtype=torch.uint8, generator=generator())
    y = (F.avg_pool2d(x.float(), 3, 1, 1) > 140).long().squeeze(1)
    return calando.workload(train=(x, y), model=Pixels, metric="mean iou", batch_size=8)


class Pixels(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv2d(6, classes, 1),
        )

    def forward(self, x):
        return {"out": self.layers(x), "aux": None}


def several_labels():
    x = torch.randn(120, 6, generator=generator())
    y = x @ torch.randn(6, 3, generator=generator(1)) > 0.5
    return calando.workload(train=(x, y), model=lambda: nn.Linear(6, 3), batch_size=8)


class Characters(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.embed, self.rnn = nn.Embedding(classes, 8), nn.GRU(8, 16, batch_first=True)
        self.out = nn.Linear(16, classes)

    def forward(self, tokens):
        return self.out(self.rnn(self.embed(tokens))[0])


def language():
    text = "a rate too large diverges, a rate too small crawls. " * 30
    letters = sorted(set(text))
    ids = torch.tensor([letters.index(letter) for letter in text]).unfold(0, 13, 7)
    return calando.workload(train=(ids[:, :-1], ids[:, 1:]), model=Characters, metric="perplexity", batch_size=8)


class Padded(torch.utils.data.Dataset):
    """Sequences of other lengths, in a dict."""

    def __init__(self):
        self.items = [torch.randint(1, 9, (3 + i % 5,), generator=generator(i)) for i in range(90)]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, place):
        return {"tokens": self.items[place], "long": len(self.items[place]) > 5}


def padded(samples):
    tokens = nn.utils.rnn.pad_sequence([sample["tokens"] for sample in samples], batch_first=True)
    return {"tokens": tokens, "long": torch.tensor([float(sample["long"]) for sample in samples])}


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.out = nn.Embedding(9, 8, padding_idx=0), nn.Linear(8, 1)

    def forward(self, tokens):
        return self.out(self.embed(tokens).sum(1)).squeeze(1)


def right(network, batch):
    outputs = network(batch["tokens"])
    return F.binary_cross_entropy_with_logits(outputs, batch["long"]), outputs


def of_other_lengths():
    return calando.workload(
        train=Padded(), model=Bag, collate=padded, forward=right, metric=share_right, unit="right", batch_size=8
    )


def share_right(outputs, batch):
    return float(((outputs > 0).float() == batch["long"]).float().mean())


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3, 4), nn.Linear(2, 4)

    def forward(self, one, two):
        return {"logits": self.one(one) * self.two(two)}


def two_inputs():
    one, two = torch.randn(96, 3, generator=generator()), torch.randn(96, 2, generator=generator(1))
    labels = (one[:, 0] > 0).long() + 2 * (two[:, 0] > 0).long()
    return calando.workload(
        train=(one, two, labels), model=Pair, loss=cross_entropy, metric="balanced accuracy", batch_size=8
    )


def cross_entropy(outputs, targets):
    return F.cross_entropy(outputs["logits"], targets)


def unequal():
    """Classes of 19 : 1."""
    x = torch.randn(400, 4, generator=generator())
    return calando.workload(
        train=(x, (torch.arange(400) % 20 == 0).long()), model=lambda: nn.Linear(4, 2), batch_size=20
    )


def speech():
    """Tones of three pitches, in noise; recordings, augmented in every way there is."""
    pitch = torch.arange(96) % 3
    time = torch.arange(800) / 8000
    tones = torch.sin(2 * torch.pi * (300 + 500 * pitch[:, None]) * time + torch.arange(96)[:, None])
    waves = 0.1 * tones + 0.02 * torch.randn(96, 800, generator=generator())
    augment = "shift(10)+noise(5, 20)+spec(3, 8)+mixup(0.2)"
    return calando.workload(train=(waves, pitch), rate=8000, model="res8-narrow", augment=augment, batch_size=8)


TASKS = (regression, segmentation, several_labels, language, of_other_lengths, two_inputs, unequal, speech)


def run_of(task, strategy="sgd(lr=0.01)", steps=12):
    run, _ = build_run(task, strategy, budget=Budget(steps=steps), machine=Machine(device="cpu"))
    return execute(run, task)
