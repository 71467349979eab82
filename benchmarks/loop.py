"""The loop: time per step of `training.loop.advance` over a bare forward/backward/step on the same tensors.

    python benchmarks/loop.py [--pairs 9] [--steps 12]

ResNet-8, CIFAR-10 shapes, batch 128, one thread. Blocks of steps alternate between the two, so both see the same
machine; the ratio is the median over pairs. Goal: at most 1.03. Printed for fp32 and for this machine's own lane.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext

import torch
import torch.nn.functional as F

import calando
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.training.lane import holding_lane
from calando.training.loop import advance
from calando.training.state import start

BATCH = 128
STRATEGY = "sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.0005) | cosine(1, 0)"


def measure(*, precision: str, pairs: int, steps: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4 * BATCH, 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.arange(4 * BATCH) % 10
    workload = calando.workload(
        train=(images, labels), test=(images, labels), validation=(images, labels), model="resnet8", batch_size=BATCH
    )
    horizon = 2 * steps * (pairs + 2)
    spec, _ = build_run(
        workload, STRATEGY, budget=Budget(steps=horizon), machine=Machine(device="cpu", precision=precision)
    )
    spec = spec.model_copy(update={"evaluate_every": horizon + 1})
    layout = torch.channels_last if spec.lane.channels_last else torch.contiguous_format
    with holding_lane(spec.lane):
        ours, bare = start(spec, workload), start(spec, workload)
        batches = [workload.batch(step, seed=0) for step in range(4)]
        batches = [(x.contiguous(memory_format=layout), y) for x, y in batches]
        cast = torch.autocast("cpu", torch.bfloat16) if spec.lane.precision == "bf16" else nullcontext()

        def bare_steps() -> None:
            for step in range(steps):
                x, y = batches[step % 4]
                with cast:
                    outputs = bare.network(x)
                loss = F.cross_entropy(outputs.float(), y)
                loss.backward()
                bare.optimizer.step()
                bare.optimizer.zero_grad(set_to_none=True)

        def our_steps() -> None:
            advance(ours, workload, until=ours.step + steps)

        def seconds(block) -> float:
            began = time.perf_counter()
            block()
            return (time.perf_counter() - began) / steps

        seconds(bare_steps), seconds(our_steps)
        ratios, times = [], []
        for pair in range(pairs):
            first, second = (bare_steps, our_steps) if pair % 2 else (our_steps, bare_steps)
            a, b = seconds(first), seconds(second)
            bare_time, our_time = (a, b) if pair % 2 else (b, a)
            ratios.append(our_time / bare_time)
            times.append(bare_time)
    ratios.sort()
    print(
        f"loop {spec.lane.precision} channels_last={spec.lane.channels_last}: ratio {statistics.median(ratios):.3f} "
        f"[{ratios[0]:.3f}, {ratios[-1]:.3f}], bare step {1e3 * statistics.median(times):.1f} ms, n={pairs} pairs"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    for precision in ("fp32", "auto"):
        measure(precision=precision, pairs=options.pairs, steps=options.steps)


if __name__ == "__main__":
    main()
