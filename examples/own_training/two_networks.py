"""Two networks, trained against each other: a generator learns to draw points on a ring of eight heaps.

python examples/own_training/two_networks.py
calando compare examples/own_training/two_networks.py fixed cosine adamw-cosine -- --size real

Each network follows the strategy that is asked, with a state of its own: `run.follow` twice. The first one's updates
are counted. To compare strategies for one network alone, let the other follow what you like: `calando.follow(critic,
"adamw", lr=1e-3, total_steps=…)`; `run.keep` keeps it too.

Score: the energy distance between drawn and true points, lower is better, 0 where the two are alike.
"""

import argparse
import math

import torch
from torch import nn

import calando

GOAL, UNIT = "min", "energy distance"
SIZES = {  # width, points in a batch, points to judge by, updates of each network
    "tiny": (8, 32, 64, 10),
    "real": (64, 256, 1000, 600),
}


def ring(count: int, generator: torch.Generator | None = None) -> torch.Tensor:
    """Points round eight places on the unit circle."""
    angle = torch.randint(8, (count,), generator=generator) * (math.pi / 4)
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(count, 2, generator=generator)


def energy_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|."""
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


def network(inputs: int, width: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
    )


def train(run: calando.Run, size: str = "tiny") -> None:
    width, batch, judged_by, updates = SIZES[size]
    generator, critic = network(4, width, 2), network(2, width, 1)
    steps = run.steps(updates)
    drawing = run.follow(generator, total_steps=len(steps))
    judging = run.follow(critic, total_steps=len(steps))
    run.keep(generator=generator, critic=critic, drawing=drawing, judging=judging)

    def distance(seed: int) -> float:
        fixed = torch.Generator().manual_seed(seed)
        with drawing.evaluated(), torch.no_grad():
            return energy_distance(generator(torch.randn(judged_by, 4, generator=fixed)), ring(judged_by, fixed))

    for step in steps:
        drawn, true = generator(torch.randn(batch, 4)), ring(batch)
        softplus = nn.functional.softplus
        (softplus(critic(drawn.detach())) + softplus(-critic(true))).mean().backward()
        judging.optimizer.step()
        loss = softplus(-critic(drawn)).mean()
        loss.backward()
        drawing.optimizer.step()
        drawing.optimizer.zero_grad()
        judging.optimizer.zero_grad()
        run.observe(loss=loss)
        if (step + 1) % max(1, len(steps) // 5) == 0 or step + 1 == len(steps):
            score = distance(1)
            print(f"update {step + 1}: {score:.3f} {UNIT}")
            run.report(score)
    run.finish(test=distance(2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="tiny")
    train(calando.run("adamw-cosine", lr=0.001, goal=GOAL, unit=UNIT), parser.parse_args().size)
