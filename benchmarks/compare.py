"""Compare: wall-clock of the same runs one after another in a plain PyTorch script over ours.

    python benchmarks/compare.py [--data ../shared/data] [--steps 60] [--limit 5000]

Eight runs (two strategies, two rates, two seeds) of ResNet-8 on CIFAR-10 shapes, batch 128, crop and flip,
a validation pass at the end. The plain script is what one writes first: PIL images, per-sample transforms, a
DataLoader and torch as they come, one run after another. Ours includes starting the workers and writing the
study. Without CIFAR-10 the images are noise of the same shape. Goal: at least 2.
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

import calando
from calando.errors import UsageError
from calando.tasks.catalog import resolve
from calando.tasks.load_task import load
from calando.tasks.network_factory import NetworkFactory

BATCH, RATES, SEEDS = 128, (0.03, 0.1), (0, 1)


class Images(Dataset):
    """PIL images with per-sample transforms, as a torchvision pipeline makes them."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, *, train: bool) -> None:
        self.images = [Image.fromarray(image.transpose(1, 2, 0)) for image in images]
        self.labels, self.train = labels, train
        self.mean = torch.tensor([0.49, 0.48, 0.45]).view(3, 1, 1)
        self.std = torch.tensor([0.25, 0.24, 0.26]).view(3, 1, 1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = self.images[index]
        if self.train:
            image = ImageOps.expand(image, 4)
            left, top = random.randint(0, 8), random.randint(0, 8)
            image = image.crop((left, top, left + 32, top + 32))
            if random.random() < 0.5:
                image = ImageOps.mirror(image)
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        return tensor.sub(self.mean).div(self.std), int(self.labels[index])


def plain(train: tuple[np.ndarray, np.ndarray], validation: tuple[np.ndarray, np.ndarray], *, steps: int) -> float:
    """Seconds for all runs, one after another."""
    began = time.perf_counter()
    for decayed in (False, True):
        for lr in RATES:
            for seed in SEEDS:
                torch.manual_seed(seed)
                random.seed(seed)
                network = NetworkFactory("resnet8", in_channels=3, classes=10, image_size=(32, 32))()
                optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
                loader = DataLoader(Images(*train, train=True), batch_size=BATCH, shuffle=True, drop_last=True)
                step = 0
                while step < steps:
                    for x, y in loader:
                        if decayed:
                            for group in optimizer.param_groups:
                                group["lr"] = lr * (1 + math.cos(math.pi * step / steps)) / 2
                        loss = F.cross_entropy(network(x), y)
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
                        step += 1
                        if step == steps:
                            break
                network.eval()
                right = 0
                with torch.no_grad():
                    for x, y in DataLoader(Images(*validation, train=False), batch_size=BATCH):
                        right += int((network(x).argmax(1) == y).sum())
    return time.perf_counter() - began


def ours(workload: calando.Workload, *, steps: int) -> float:
    """Seconds for the same runs as a study, start-up of the workers included."""
    method = "sgd(lr={lr}, momentum=0.9, nesterov=true, weight_decay=0.0005)"
    texts = [f"s{i}{j} = {method.format(lr=lr)}{tail}" for i, lr in enumerate(RATES) for j, tail in TAILS]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        calando.compare(workload, *texts, folder=Path(folder) / "study", steps=steps, seeds=len(SEEDS))
        return time.perf_counter() - began


TAILS = ((0, ""), (1, " | cosine(1, 0)"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--limit", type=int, default=5000)
    options = parser.parse_args()
    try:
        whole = load(resolve("cifar10", train_limit=options.limit), data_dir=options.data)
        parts = [(part.fetch(torch.arange(min(len(part), 1000 if part is not whole.train else len(part)))), part.labels)
                 for part in (whole.train, whole.validation, whole.test)]  # fmt: skip
        (train, validation, test) = [(images, labels[: len(images)]) for images, labels in parts]
    except UsageError:
        generator = torch.Generator().manual_seed(0)
        sizes = (options.limit, 1000, 1000)
        train, validation, test = (
            (torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=generator), torch.arange(n) % 10)
            for n in sizes
        )
        print("CIFAR-10 not found: noise of the same shape")
    workload = calando.workload(
        train=train, validation=validation, test=test, model="resnet8", batch_size=BATCH, augment="crop(4)+flip"
    )
    as_arrays = [(x.numpy(), y.numpy()) for x, y in (train, validation)]
    our_seconds = ours(workload, steps=options.steps)
    plain_seconds = plain(*as_arrays, steps=options.steps)
    runs = len(RATES) * len(TAILS) * len(SEEDS)
    print(
        f"compare: plain / ours = {plain_seconds / our_seconds:.2f} "
        f"(plain {plain_seconds:.1f} s, ours {our_seconds:.1f} s, {runs} runs of {options.steps} steps, n=1)"
    )


if __name__ == "__main__":
    main()
