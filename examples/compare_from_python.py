"""Compare strategies on your own data and network from Python, and look at the verdict.

python examples/compare_from_python.py
"""

import tempfile

import torch
from torch import nn

import calando


def net(classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, classes))


def main() -> None:
    labels = torch.arange(600) % 3
    images = torch.rand(600, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1 * labels.view(-1, 1, 1, 1)
    task = calando.workload(train=(images, labels), model=net, batch_size=32)
    strategies = ["fixed", "cosine", "mine = sgd(lr=0.1) | linear(0, 1, over='10%') >> cosine(1, 0)"]
    with tempfile.TemporaryDirectory() as folder:
        study = calando.compare(task, *strategies, folder=folder, lr=0.1, steps=60, seeds=3, executor="inline")
    print(study.headline)
    for result in study.results:
        test = result.test
        print(f"{result.name:8} rate {result.lr:g}  test {test.mean:.1%} ± {test.sd:.1%} (sd, n = {test.n})")
    for one in study.comparisons:
        print(f"{one.strategy:8} {one.verdict}: {one.text}")


if __name__ == "__main__":
    main()
