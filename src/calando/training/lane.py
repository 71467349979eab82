"""Lanes: what decides the bits of a run besides its spec, chosen once and held while it trains.

The rule behind "auto" is fixed, so that equal machines choose equally (measured, see docs/LOG.md):
    CUDA                                                      bf16 autocast
    CPU with bf16 dot products, images of 28 pixels or more   bf16 autocast
    any other                                                 fp32
and channels_last for images: never slower here, and pooling and fp32 convolutions gain much.
"""

from __future__ import annotations

import os
import platform
import random
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calando.errors import UsageError
from calando.language import message
from calando.records import Lane
from calando.tasks.randomness import holding_generators

__all__ = ["choose_lane", "describe_host", "holding_lane", "in_precision", "placed", "seed_step"]

LARGE_IMAGE = 28


def choose_lane(*, device: str = "auto", precision: str = "auto", threads: int = 1, image_size: int) -> Lane:
    """The lane for images of that many pixels a side, 0 where samples are none; UsageError for what is not here."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise UsageError(message("device must be auto, cpu, cuda or cuda:N, got {device!r}", device=device))
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(
            message(
                "device {device!r} asked for, but torch sees no CUDA device; give device= the value cpu", device=device
            )
        )
    if device.startswith("cuda:") and int(device[5:]) >= torch.cuda.device_count():
        raise UsageError(
            message(
                "device {device!r} asked for, but there are {device_count} CUDA devices, from cuda:0",
                device=device,
                device_count=torch.cuda.device_count(),
            )
        )
    if precision not in ("auto", "fp32", "bf16"):
        raise UsageError(message("precision must be auto, fp32 or bf16, got {precision!r}", precision=precision))
    if precision == "auto":
        helps = device.startswith("cuda") or (image_size >= LARGE_IMAGE and "avx512_bf16" in _cpu_flags())
        precision = "bf16" if helps else "fp32"
    return Lane(
        device=device,
        precision="bf16" if precision == "bf16" else "fp32",
        threads=threads,
        channels_last=image_size > 0,
    )


@contextmanager
def holding_lane(lane: Lane) -> Iterator[None]:
    """Set torch up for a lane, and put everything back: threads, determinism, and the generators' states.

    One thread at a time: all that is set is the process's.
    """
    with holding_generators():
        threads = torch.get_num_threads()
        deterministic = torch.get_deterministic_debug_mode()
        benchmark, cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
        this = os.getpid()
        try:
            torch.set_num_threads(lane.threads)
            # Not torch.use_deterministic_algorithms: it imports torch's compiler, which takes longer than a short run.
            torch.set_deterministic_debug_mode("warn" if lane.deterministic else "default")
            torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, lane.deterministic
            yield
        finally:
            if os.getpid() != this:
                print("calando: the network, the loss or the data forked this process; the copy ends", file=sys.stderr)
                os._exit(1)
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(deterministic)
            torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = benchmark, cudnn


def in_precision(lane: Lane) -> AbstractContextManager[Any]:
    """The context in which a network computes on a lane."""
    return torch.autocast(torch.device(lane.device).type, torch.bfloat16) if lane.precision == "bf16" else nullcontext()


def placed(tensor: torch.Tensor, lane: Lane) -> torch.Tensor:
    """A tensor on a lane's device; images [N, C, H, W] in its layout."""
    tensor = tensor.to(lane.device)
    if lane.channels_last and tensor.ndim == 4 and tensor.is_floating_point():
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor


def seed_step(seed: int, step: int) -> None:
    """Seed every global generator by (seed, step), so that dropout and people's transforms resume to the bit.

    Step -1 seeds the initial weights.
    """
    mixed = int(np.random.SeedSequence([seed, step + 1]).generate_state(1, np.uint64)[0])
    # Not torch.manual_seed: it records a stack trace for CUDA's lazy start, which takes longer than a small step.
    torch.default_generator.manual_seed(mixed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(mixed)
    np.random.seed(mixed & 0xFFFFFFFF)
    random.seed(mixed)


def describe_host(lane: Lane) -> dict[str, str]:
    name = torch.cuda.get_device_name(lane.device) if lane.device.startswith("cuda") else _cpu_name()
    return {"machine": name, "torch": torch.__version__, "python": platform.python_version()}


def _cpu_flags() -> str:
    info = Path("/proc/cpuinfo")
    return info.read_text() if info.is_file() else ""


def _cpu_name() -> str:
    for line in _cpu_flags().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
