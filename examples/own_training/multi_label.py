"""Multi-label: which of the ten digits a picture of several shows.

python examples/own_training/multi_label.py
calando compare examples/own_training/multi_label.py fixed cosine adamw-cosine -- --size real

Score: F1, averaged over the ten labels, in percent; higher is better. The loss is reported next to it, so that
strategies which answer to a validation loss take part too.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import calando

GOAL, UNIT = "max", "% F1"
SHOWN = 4  # digits in a picture
SIZES = {  # pictures to train on, pictures in each of the other parts, channels, epochs
    "tiny": (128, 64, 4, 2),
    "real": (3000, 1000, 16, 5),
}


def pictures(count: int, digits: torch.Tensor, kinds: torch.Tensor, seed: int) -> TensorDataset:
    """Four digits in a square of 16 by 16 pixels, and which of the ten are there."""
    chosen = torch.randint(len(digits), (count, SHOWN), generator=torch.Generator().manual_seed(seed))
    rows = digits[chosen].view(count, 2, 2, 8, 8).transpose(2, 3).reshape(count, 1, 16, 16)
    return TensorDataset(rows, torch.zeros(count, 10).scatter_(1, kinds[chosen], 1.0))


def train(run: calando.Run, size: str = "tiny") -> None:
    count, others, channels, epochs = SIZES[size]
    data = load_digits()
    digits, kinds = torch.tensor(data.images, dtype=torch.float32) / 16, torch.tensor(data.target)
    # A digit is in the pictures of one part alone.
    parts = zip(digits.split([1200, 300, 297]), kinds.split([1200, 300, 297]), (count, others, others), strict=True)
    fit, validation, test = (pictures(n, some, names, seed) for seed, (some, names, n) in enumerate(parts))
    loader = DataLoader(fit, batch_size=64, shuffle=True)
    model = nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * channels * 64, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )

    def judged(part: TensorDataset) -> tuple[float, float]:
        """F1 in percent, and the loss."""
        images, labels = part.tensors
        with training.evaluated(loader), torch.no_grad():
            outputs = model(images)
        loss = nn.functional.binary_cross_entropy_with_logits(outputs, labels).item()
        return 100 * float(f1_score(labels, outputs > 0, average="macro", zero_division=0.0)), loss

    epochs = run.epochs(epochs)
    training = run.follow(model, total_steps=len(epochs) * len(loader), steps_per_epoch=len(loader))
    run.keep(model=model, training=training)
    for epoch in epochs:
        for images, labels in loader:
            loss = nn.functional.binary_cross_entropy_with_logits(model(images), labels)
            loss.backward()
            training.optimizer.step()
            training.optimizer.zero_grad()
            run.observe(loss=loss)
        score, error = judged(validation)
        print(f"epoch {epoch + 1}: {score:.1f} {UNIT}, loss {error:.3f}")
        run.report(score, loss=error)
    run.finish(test=judged(test)[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="tiny")
    train(calando.run("cosine", lr=0.1, goal=GOAL, unit=UNIT), parser.parse_args().size)
