"""Ignite: the engine goes on epoch by epoch, and is kept with the rest.

calando compare examples/frameworks/with_ignite.py fixed cosine adamw-cosine
"""

import torch
from ignite.engine import create_supervised_evaluator, create_supervised_trainer
from ignite.metrics import MeanSquaredError
from torch.utils.data import DataLoader, TensorDataset

import calando

run = calando.run("cosine", lr=0.05, goal="min", unit="MSE")
data = TensorDataset(x := torch.randn(256, 4), x.sum(1, keepdim=True))
model, loader = torch.nn.Linear(4, 1), DataLoader(data, 16, shuffle=True)
epochs = run.epochs(4)
training = run.follow(model, total_steps=len(epochs) * len(loader), steps_per_epoch=len(loader))
trainer = create_supervised_trainer(model, training.optimizer, torch.nn.functional.mse_loss)
evaluator = create_supervised_evaluator(model, {"error": MeanSquaredError()})
run.keep(model=model, training=training, trainer=trainer)
for epoch in epochs:
    trainer.run(loader, max_epochs=epoch + 1)
    with training.evaluated(loader):
        run.report(evaluator.run(DataLoader(data, 256)).metrics["error"])
