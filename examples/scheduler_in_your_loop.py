"""Your own training loop, with calando's scheduler where torch's would be: one line differs.

python examples/scheduler_in_your_loop.py
"""

import torch
from torch import nn

import calando

STEPS, BATCH = 200, 32
torch.manual_seed(0)
points = torch.randn(1024, 8)
labels = (points[:, 0] * points[:, 1] > 0).long()

network = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.SGD(network.parameters(), lr=0.2, momentum=0.9)
scheduler = calando.LRScheduler(optimizer, "linear(0.01, 1, over='5%') >> cosine(1, 0)", total_steps=STEPS)

for step in range(STEPS):
    rows = torch.randint(len(points), (BATCH,))
    loss = nn.functional.cross_entropy(network(points[rows]), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 40 == 39:
        print(f"step {step + 1:3}  loss {loss.item():.3f}  next rate {scheduler.get_last_lr()[0]:.4f}")

right = (network(points).argmax(1) == labels).float().mean().item()
print(f"right: {right:.0%}")
