"""Small workloads and runs that break what resumes inexactly."""

import torch
from torch import nn

import calando
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine

STEPS = 12


class Dropping(nn.Module):
    """Batch norm and dropout: what breaks resuming elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Conv2d(4, 4, 1),
            nn.Flatten(),
            nn.Linear(256, 3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Bare(nn.Module):
    """No normalisation, so micro-batches add up exactly but for rounding; deep enough to die."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Counting(nn.Module):
    """Keeps count of its forward passes in a place that no checkpoint holds."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Bare()
        self.passes = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return self.layers(x) * (1 + 0.01 * self.passes)


def a_workload(model=Dropping, *, scale: float = 1.0, batch_size: int = 16, augment: str = "crop(1)+flip"):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    images = torch.randint(0, 60, (120, 1, 8, 8), generator=generator) + 60 * labels[:, None, None, None]
    images = (images.to(torch.uint8) if scale == 1 else images * scale).clone()
    return calando.workload(
        train=(images, labels), test=(images[:30], labels[:30]), model=model, batch_size=batch_size, augment=augment
    )


def a_run(text: str, workload, *, steps: int = STEPS, **changes):
    spec, _ = build_run(workload, text, budget=Budget(steps=steps), machine=Machine(device="cpu"))
    spec = spec.model_copy(update={"evaluate_every": 4})
    return spec.model_copy(update={"workload": spec.workload.model_copy(update=changes)})


def bits(record) -> tuple:
    # repr: nan equals nan
    return (record.outcome, record.losses.tobytes(), record.rates.tobytes(), repr(record.evaluations), record.events)
