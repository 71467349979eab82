"""A whole strategy in your own loop: schedule-free SGD, whose weights to judge are others than those that it trains.

python examples/follow_a_strategy.py
"""

import torch
from torch import nn

import calando

STEPS, BATCH = 200, 32
torch.manual_seed(0)
points = torch.randn(1024, 8)
labels = (points[:, 0] * points[:, 1] > 0).long()
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(points, labels), batch_size=BATCH)

network = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
training = calando.follow(network, "schedule_free_sgd", lr=1.0, total_steps=STEPS)

for step in range(STEPS):
    rows = torch.randint(len(points), (BATCH,))
    loss = nn.functional.cross_entropy(network(points[rows]), labels[rows])
    training.optimizer.zero_grad()
    loss.backward()
    training.optimizer.step()  # the rate advances with it
    if step % 40 == 39:
        print(f"step {step + 1:3}  loss {loss.item():.3f}")

with training.evaluated(loader), torch.no_grad():
    right = (network(points).argmax(1) == labels).float().mean().item()
print(f"right, with the weights to judge: {right:.0%}")
