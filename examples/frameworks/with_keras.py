"""Keras on its torch backend: a model is a torch module, and is trained in a loop of torch's.

KERAS_BACKEND=torch calando compare examples/frameworks/with_keras.py fixed cosine adamw-cosine
"""

import keras
import torch
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

import calando

run = calando.run("cosine", lr=0.05, goal="min", unit="MSE")
data = TensorDataset(x := torch.randn(256, 4), x.sum(1, keepdim=True))
loader = DataLoader(data, 16, shuffle=True)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
epochs = run.epochs(4)
training = run.follow(model, total_steps=len(epochs) * len(loader), steps_per_epoch=len(loader))
run.keep(model=model, training=training)
for _ in epochs:
    for a, b in loader:
        mse_loss(model(a, training=True), b).backward()
        training.optimizer.step()
        training.optimizer.zero_grad()
    with training.evaluated(loader):
        run.report(mse_loss(model(x), data.tensors[1]))
