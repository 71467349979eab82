"""Regression on a table: how far a diabetes patient's disease has come after a year, from ten measurements.

python examples/own_training/regression.py
calando compare examples/own_training/regression.py fixed cosine adamw-cosine -- --size real

Score: the root mean square error in the target's own unit, lower is better.
"""

import argparse

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import calando

GOAL, UNIT = "min", "RMSE"
SIZES = {  # rows to train on, width, epochs
    "tiny": (96, 8, 2),
    "real": (300, 64, 40),
}


def table(rows: int):
    """Standardized inputs and targets in three parts, and the target's unit."""
    x, y = (torch.tensor(part, dtype=torch.float32) for part in load_diabetes(return_X_y=True, scaled=False))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    parts = order[:rows], order[300:370], order[370:]
    mean, sd, centre, unit = x[parts[0]].mean(0), x[parts[0]].std(0), y[parts[0]].mean(), y[parts[0]].std()
    return [((x[part] - mean) / sd, (y[part] - centre) / unit) for part in parts], unit


def train(run: calando.Run, size: str = "tiny") -> None:
    rows, width, epochs = SIZES[size]
    (fit, validation, test), unit = table(rows)
    loader = DataLoader(TensorDataset(*fit), batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def error(inputs: torch.Tensor, targets: torch.Tensor) -> float:
        with training.evaluated(loader), torch.no_grad():
            return (unit * nn.functional.mse_loss(model(inputs).squeeze(1), targets).sqrt()).item()

    epochs = run.epochs(epochs)
    training = run.follow(model, total_steps=len(epochs) * len(loader), steps_per_epoch=len(loader))
    run.keep(model=model, training=training)
    for epoch in epochs:
        for inputs, targets in loader:
            loss = nn.functional.mse_loss(model(inputs).squeeze(1), targets)
            loss.backward()
            training.optimizer.step()
            training.optimizer.zero_grad()
            run.observe(loss=loss)
        score = error(*validation)
        print(f"epoch {epoch + 1}: {score:.2f} {UNIT}")
        run.report(score)
    run.finish(test=error(*test))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="tiny")
    train(calando.run("cosine", lr=0.02, goal=GOAL, unit=UNIT), parser.parse_args().size)
