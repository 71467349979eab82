"""Distributed data parallel: every rank follows, the first one reports and keeps.

calando compare "torchrun --standalone --nproc-per-node 2 examples/frameworks/with_ddp.py" fixed cosine adamw-cosine
"""

import torch
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import calando

torch.distributed.init_process_group("gloo")
run = calando.run("cosine", lr=0.05, goal="min", unit="MSE")
data = TensorDataset(x := torch.randn(256, 4), x.sum(1, keepdim=True))
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 1))
loader = DataLoader(data, 16, sampler=DistributedSampler(data, seed=run.seed))
epochs = run.epochs(4)
training = run.follow(model, total_steps=len(epochs) * len(loader), steps_per_epoch=len(loader))
run.keep(model=model, training=training)
for epoch in epochs:
    loader.sampler.set_epoch(epoch)
    for a, b in loader:
        mse_loss(model(a), b).backward()
        training.optimizer.step()
        training.optimizer.zero_grad()
    run.report(mse_loss(model.module(x), data.tensors[1]))
