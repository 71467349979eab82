"""Segmentation: which pixels of a noisy picture belong to which shape, or to which kind of garment.

python examples/own_training/segmentation.py
calando compare examples/own_training/segmentation.py fixed cosine adamw-cosine -- --size real --data ../shared/data

Score: the mean over the kinds of intersection over union, higher is better. Tiny: made-up discs and squares. Real: two
garments of Fashion-MNIST's ten kinds in each picture; --data is the folder with its files.
"""

import argparse
import gzip
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import calando

GOAL, UNIT = "max", "mIoU"
SIDE = 40
SIZES = {  # pictures to train on, pictures in each of the other parts, pictures in a batch, channels, epochs
    "tiny": (64, 16, 8, 4, 3),
    "real": (800, 200, 32, 8, 3),
}


def shapes() -> tuple[torch.Tensor, torch.Tensor]:
    """A disc and a square of 28 by 28 pixels, kinds 0 and 1."""
    at = torch.linspace(-1, 1, 28)
    disc = (at[:, None] ** 2 + at[None] ** 2 < 0.8).float()
    square = torch.zeros(28, 28)
    square[4:24, 4:24] = 1
    return torch.stack([disc, square]), torch.tensor([0, 1])


def garments(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Fashion-MNIST's training pictures in [0, 1], and their kinds."""
    images, kinds = (
        torch.frombuffer(bytearray(gzip.decompress(next(folder.rglob(name)).read_bytes())), dtype=torch.uint8)
        for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
    )
    return images[16:].view(-1, 28, 28).float() / 255, kinds[8:].long()


def pictures(count: int, things: torch.Tensor, kinds: torch.Tensor, seed: int) -> TensorDataset:
    """Two things each, at random places on noise; a pixel's label is 0 or 1 + the kind of what covers it."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.2 * torch.rand(count, 1, SIDE, SIDE, generator=generator)
    labels = torch.zeros(count, SIDE, SIDE, dtype=torch.long)
    for image, label in zip(images, labels, strict=True):
        for thing in torch.randint(len(things), (2,), generator=generator):
            top, left = torch.randint(SIDE - 28 + 1, (2,), generator=generator)
            place = slice(top, top + 28), slice(left, left + 28)
            seen = things[thing] > 0.1
            image[0][place] = torch.where(seen, things[thing], image[0][place])
            label[place] = torch.where(seen, 1 + kinds[thing], label[place])
    return TensorDataset(images, labels)


class UNet(nn.Module):
    """Down twice, up twice, each height seeing what was there on the way down."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()

        def block(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())

        self.down = nn.ModuleList([block(1, channels), block(channels, 2 * channels)])
        self.bottom = block(2 * channels, 4 * channels)
        self.up = nn.ModuleList([block(6 * channels, 2 * channels), block(3 * channels, channels)])
        self.head = nn.Conv2d(channels, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        passed = []
        for block in self.down:
            x = block(x)
            passed.append(x)
            x = nn.functional.max_pool2d(x, 2)
        x = self.bottom(x)
        for block in self.up:
            x = block(torch.cat([nn.functional.interpolate(x, scale_factor=2.0), passed.pop()], 1))
        return self.head(x)


def train(run: calando.Run, size: str = "tiny", data: Path = Path("data")) -> None:
    count, others, batch, channels, epochs = SIZES[size]
    things, kinds = shapes() if size == "tiny" else garments(data)
    fit, validation, test = (pictures(n, things, kinds, seed) for seed, n in enumerate((count, others, others)))
    classes = 1 + int(kinds.max()) + 1
    loader = DataLoader(fit, batch_size=batch, shuffle=True)
    model = UNet(channels, classes)

    def overlap(part: TensorDataset) -> float:
        with training.evaluated(loader), torch.no_grad():
            found = torch.cat([model(images).argmax(1) for images, _ in DataLoader(part, batch_size=100)])
        pairs = torch.bincount((part.tensors[1] * classes + found).flatten(), minlength=classes**2).view(classes, -1)
        both = pairs.diag().float()
        return (both / (pairs.sum(0) + pairs.sum(1) - both).clamp(min=1)).mean().item()

    epochs = run.epochs(epochs)
    training = run.follow(model, total_steps=len(epochs) * len(loader), steps_per_epoch=len(loader))
    run.keep(model=model, training=training)
    for epoch in epochs:
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            training.optimizer.step()
            training.optimizer.zero_grad()
            run.observe(loss=loss)
        score = overlap(validation)
        print(f"epoch {epoch + 1}: {score:.3f} {UNIT}")
        run.report(score)
    run.finish(test=overlap(test))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--data", type=Path, default=Path("data"))
    options = parser.parse_args()
    train(calando.run("cosine", lr=0.05, goal=GOAL, unit=UNIT), options.size, options.data)
