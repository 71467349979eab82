"""Accelerate: what `run.follow` gives is prepared as any optimizer is.

cd examples/frameworks
calando compare "accelerate launch --multi_gpu --num_processes 2 --main_process_port 0 with_accelerate.py" fixed cosine
"""

import accelerate
import torch
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

import calando

accelerator = accelerate.Accelerator(cpu=True)
run = calando.run("cosine", lr=0.05, goal="min", unit="MSE")
data = TensorDataset(x := torch.randn(256, 4), x.sum(1, keepdim=True))
model, loader = accelerator.prepare(torch.nn.Linear(4, 1), DataLoader(data, 16, shuffle=True))
epochs = run.epochs(4)
training = run.follow(model, total_steps=len(epochs) * len(loader), steps_per_epoch=len(loader))
optimizer = accelerator.prepare(training.optimizer)
run.keep(model=model, training=training)
for _ in epochs:
    for a, b in loader:
        accelerator.backward(mse_loss(model(a), b))
        optimizer.step()
        optimizer.zero_grad()
    run.report(mse_loss(model(x), data.tensors[1]))
print(f"{accelerator.num_processes} processes, after {run.step} updates")
