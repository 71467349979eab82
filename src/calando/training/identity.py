"""What a network and a loss are, as far as a study can see: measured on a few samples, stored, compared later.

    structure   names, shapes and types of parameters and buffers                       compared exactly
    weights     initial weights at seed 0
    output      of PROBED training samples, in training mode and then in evaluation mode
    loss        of these outputs, of made-up outputs of every class, and its gradient there
    gradient    of the loss with respect to the weights
    samples     hash of all samples of Datasets                                         compared exactly

Of each tensor three numbers are kept: its norm and two sums with fixed signs. Processors round differently, so these
are equal within a tolerance of the norm. Where another machine, or another torch, draws other numbers from one seed,
weights and what follows from them are not compared, which is reported.

fp32, on the CPU, one thread, generators seeded; on copies of what was given, so that a run finds it as it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cache
from typing import final

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.parameter import is_lazy

from calando.errors import CorruptFile, UsageError, unless_it_fails
from calando.language import joined, message
from calando.records import Lane
from calando.tasks.tree import leaves
from calando.tasks.workload import Workload
from calando.training.lane import holding_lane, seed_step

__all__ = ["Identity", "check_same", "identify", "recognised"]

PROBED = 4
MADE_UP, MOST_MADE_UP = 64, 4096
SIGNS = 4093  # a prime: no shape's rows fall on the same signs again and again
TOLERANCES = {"weights": 1e-5, "output": 1e-4, "loss": 1e-4, "gradient": 1e-3}
"""Relative to the norm; processors with other instructions differ by 1e-6 (docs/LOG.md)."""

FURTHER_LOOKS = 4

FOLLOWING = ("weights", "output", "gradient")
"""What depends on the numbers that the machine draws from a seed."""

CALLED = {
    "structure": message("the network's parameters"),
    "weights": message("the network's initial weights"),
    "output": message("the network's output"),
    "gradient": message("the network's gradient"),
    "loss": message("the loss"),
    "samples": message("samples of its data"),
}

DRAWS_OTHERWISE = message(
    "this machine or its torch draws other numbers from a seed than where it was started, so "
    "initial weights and what follows from them are not compared"
)

Numbers = tuple[float, ...]


@final
@dataclass(frozen=True)
class Identity:
    """What `identify` measured; `str` and `read` are inverse."""

    structure: str  # hash
    size: str  # what that is of, in words
    numbers: Mapping[str, Numbers]  # of weights, output, loss and gradient; three a tensor
    samples: str  # hash, or "" where there are no Datasets
    drawn: Numbers  # by this machine from one seed

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def read(text: str) -> Identity:
        """From its text; ValueError, KeyError or TypeError where it is none."""
        kept = json.loads(text)
        numbers = {what: tuple(map(float, kept["numbers"][what])) for what in TOLERANCES}
        drawn = tuple(map(float, kept["drawn"]))
        return Identity(str(kept["structure"]), str(kept["size"]), numbers, str(kept["samples"]), drawn)

    def draws_as(self, other: Identity) -> bool:
        return _near(self.drawn, other.drawn, tolerance=1e-5)

    def changes(self, now: Identity) -> list[str]:
        if self.structure != now.structure:
            return ["structure"]
        found = [
            what
            for what in ("weights", "output", "loss", "gradient")
            if (what not in FOLLOWING or self.draws_as(now))
            and not _near(
                self.numbers[what], now.numbers[what], tolerance=TOLERANCES[what], together=what == "gradient"
            )
        ]
        return found + ["samples"] * (self.samples != now.samples)

    def in_words(self, changes: list[str], now: Identity, *, verb: tuple[str, str]) -> str:
        """Subject and verb ("has" or "have") of a sentence on changes, without what follows from another change."""
        follows = {"weights": ("output", "gradient"), "output": ("gradient",), "loss": ("gradient",)}
        implied = {one for what in changes for one in follows.get(what, ())}
        words: list[str] = [CALLED[what] for what in changes if what not in implied]
        if "structure" in changes and self.size != now.size:
            words[0] = message("{words} ({size}, now {now})", words=words[0], size=self.size, now=now.size)
        one = len(words) == 1 and not {"structure", "weights", "samples"} & set(changes)
        return message(
            "{words} {verb}", words=joined("{one} and {other}", words), verb=message(verb[0] if one else verb[1])
        )


def identify(workload: Workload) -> Identity:
    """Measure a workload's network and loss.

    What fails here fails in training too, which reports it: for that nothing is stored.
    """
    lane = Lane(device="cpu", precision="fp32", threads=1, channels_last=False)
    with holding_lane(lane):
        drawn = _drawn()
        own = workload.fresh()
        seed_step(0, -1)
        network = own.build()
        layout = [_spelled(name, value) for name, value in _tensors(network)]
        weights = [number for _, value in _tensors(network) for number in _sketch(value)]
        loss = unless_it_fails(lambda: _of_loss(own.loss, own.classes)) or [] if own.classes else []
        another = workload.fresh()
        passes = unless_it_fails(lambda: _of_passes(network, another)) or {"output": [], "gradient": []}
    count = sum(value.numel() for value in network.parameters() if not is_lazy(value))
    return Identity(
        structure=hashlib.sha256("\n".join(layout).encode()).hexdigest()[:16],
        size=f"{count:,} in {len(layout)} tensors",
        numbers={what: _rounded(found) for what, found in {"weights": weights, "loss": loss, **passes}.items()},
        samples=workload.hash_of_samples,
        drawn=_rounded(drawn),
    )


def recognised(kept: str, workload: Workload, *, what: str, remedy: str) -> tuple[str, tuple[str, ...]]:
    """Check that network and loss are those that were stored: (what to store from now on, what to report).

    Args:
        kept: as text; "" where an older calando kept nothing.
        what: they belong to.
        remedy: what to do to train another network.

    Raises:
        UsageError: they are others; it names what has changed.
        CorruptFile: what was kept is damaged.
    """
    now = identify(workload)
    if not kept:
        return str(now), (
            message("{what} did not know its network and loss; from now on it does, as they are today", what=what),
        )
    try:
        before = Identity.read(kept)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFile(
            message("what the network and the loss of {what} were is damaged; restore a copy", what=what)
        ) from error
    changes = before.changes(now)
    if not changes:
        same = before.draws_as(now)
        return kept, () if same else (message("{what}: {other}", what=what, other=DRAWS_OTHERWISE),)
    if certain := _certain(changes, now, workload):
        raise UsageError(
            message(
                "{in_words} changed since {what} was started; bring back what was there, or {remedy}",
                in_words=before.in_words(certain, now, verb=("has", "have")),
                what=what,
                remedy=remedy,
            )
        )
    subject = before.in_words(changes, now, verb=("varies", "vary"))
    return kept, (
        message(
            "{subject} from look to look, so whether that has changed since {what} was started is unknown",
            subject=subject,
            what=what,
        ),
    )


def check_same(kept: str, workload: Workload, *, where: str) -> None:
    """Raise UsageError where a worker's network and loss are not the scheduler's; it names which."""
    before, now = Identity.read(kept), identify(workload)
    if (changes := before.changes(now)) and (certain := _certain(changes, now, workload)):
        raise UsageError(
            message(
                "{in_words} on {where} from where the study was started: bring the code up to date there, "
                "or, if it draws at random, have it draw the same each time",
                in_words=before.in_words(certain, now, verb=("differs", "differ")),
                where=where,
            )
        )


def _certain(changes: list[str], now: Identity, workload: Workload) -> list[str]:
    """The changes that further looks at this workload do not show as well: what varies is no evidence.

    Two draws of one gradient may be as near as two machines are; several hardly ever are.
    """
    certain = changes
    for _ in range(FURTHER_LOOKS):
        if not certain:
            break
        wavering = set(now.changes(identify(workload)))
        certain = [one for one in certain if one not in wavering]
    return certain


def _of_passes(network: nn.Module, workload: Workload) -> dict[str, list[float]]:
    """Output and gradient, and the loss where it is not of classes; the loss is another copy's, as it was given."""
    rows = torch.from_numpy(np.linspace(0, len(workload.train) - 1, PROBED).round().astype(np.int64))
    seed_step(0, 0)
    samples = workload.read(workload.train, rows)
    network.train()
    seed_step(0, 1)
    loss, trained = workload.judged(network, samples, precision=nullcontext)
    output = _sketches(trained)
    loss.backward()
    gradient = [number for value in network.parameters() if value.grad is not None for number in _sketch(value.grad)]
    network.eval()
    with torch.no_grad():
        # After a pass in training mode, which statistics of batch norm have taken in at their momentum.
        if workload.classes:
            return {"output": output + _sketch(network(samples.inputs)), "gradient": gradient}
        _, evaluated = workload.judged(network, samples, precision=nullcontext)
    return {"output": output + _sketches(evaluated), "gradient": gradient, "loss": _sketch(loss)}


def _sketches(outputs: object) -> list[float]:
    return [number for _, value in leaves(outputs) for number in _sketch(value)]


def _of_loss(loss: object, classes: int) -> list[float]:
    assert callable(loss)
    count = min(max(MADE_UP, 2 * classes), MOST_MADE_UP)
    drawn = np.random.default_rng(0).uniform(-4, 4, (count, classes)).astype(np.float32)
    outputs, targets = torch.from_numpy(drawn).requires_grad_(), torch.arange(count) % classes
    seed_step(0, 0)
    value = loss(outputs, targets)
    value.backward()
    return [*_sketch(value), *_sketch(torch.zeros(1) if outputs.grad is None else outputs.grad)]


def _tensors(network: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from network.named_parameters()
    yield from network.named_buffers()


def _spelled(name: str, value: torch.Tensor) -> str:
    kind = "parameter" if isinstance(value, nn.Parameter) else "buffer"
    shape = "lazy" if is_lazy(value) else str(tuple(value.shape))
    return f"{kind} {name} {shape} {value.dtype} {value.requires_grad}"


def _sketch(value: torch.Tensor) -> list[float]:
    """Norm and two signed sums: another tensor of this shape hardly ever has the same."""
    if is_lazy(value):
        return []
    flat = value.detach()
    flat = (torch.view_as_real(flat) if flat.is_complex() else flat).reshape(-1).double()
    norm = float(torch.linalg.vector_norm(flat))
    flat = F.pad(flat, (0, -len(flat) % SIGNS)) if len(flat) > SIGNS else flat
    folded = flat.view(-1, SIGNS).sum(0) if len(flat) > SIGNS else flat
    return [norm, *(_signs()[:, : len(folded)] @ folded).tolist()]


@cache
def _signs() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 2, (2, SIGNS)) * 2.0 - 1.0)


def _drawn() -> list[float]:
    seed_step(0, 0)
    kept = F.dropout(torch.ones(1000), 0.3)
    values = (kept, torch.rand(100), torch.randn(100), torch.randperm(100))
    return [number for value in values for number in _sketch(value)]


def _rounded(numbers: list[float]) -> Numbers:
    return tuple(float(f"{number:.8g}") for number in numbers)


def _near(some: Numbers, others: Numbers, *, tolerance: float, together: bool = False) -> bool:
    if len(some) != len(others):
        return False
    one, other = np.array(some).reshape(-1, 3), np.array(others).reshape(-1, 3)
    norms = np.maximum(np.abs(one[:, :1]), np.abs(other[:, :1]))
    # A gradient that would be 0 (of a bias before batch norm) is all rounding: it is measured by those of all weights.
    room = tolerance * (np.linalg.norm(norms) if together else norms)
    with np.errstate(invalid="ignore"):  # of infinities
        return bool(np.all((np.abs(one - other) <= room) | (one == other) | (np.isnan(one) & np.isnan(other))))
