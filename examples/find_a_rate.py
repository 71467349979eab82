"""A learning-rate range test of your own network; afterwards network and optimizer are as they were, bit by bit.

python examples/find_a_rate.py
"""

import torch
from torch import nn

import calando

torch.manual_seed(0)
points = torch.randn(4096, 8)
labels = (points[:, 0] * points[:, 1] > 0).long()
data = torch.utils.data.TensorDataset(points, labels)
loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)

network = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
before = network[0].weight.detach().clone()

found = calando.find_lr(network, optimizer, nn.functional.cross_entropy, loader)

assert torch.equal(network[0].weight, before)
print(found)
