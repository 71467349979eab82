"""Find a learning rate: a range test on the user's own objects, judged, and everything given back as it was.

found = calando.find_lr(model, optimizer, loss_fn, loader)
print(found)
found.suggestion.decayed.rate
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from numbers import Real
from typing import Any, final

import torch
from torch import nn
from torch.optim import Optimizer

from calando.analysis.suggest import suggest
from calando.errors import UnknownName, UsageError
from calando.methods import closure_of, usual_rate_of, works_its_rate_out
from calando.methods.driver import Driver
from calando.methods.known_groups import group_name
from calando.range_test.found import Found, FoundRate, held
from calando.range_test.loss import Forward, LentLoss
from calando.range_test.measure import Sweep, hold_rate, measure_curves
from calando.range_test.ready import check_lent, device_of, endless, prepare, try_step
from calando.range_test.update import LentUpdate
from calando.schedules import constant
from calando.schedules.checks import quote
from calando.schedules.span import Horizon
from calando.sizes import check_rate
from calando.training.restore import Undo, restoring

__all__ = ["Asked", "Progress", "find_lr", "find_ranges"]

Progress = Callable[[int, int], object]
"""(updates made, updates expected) after each update; more may come to be expected."""

LOW, HIGH = 1e-6, 10.0
BOTTOM, TOP = 1e-12, 1e4
FEWEST_STEPS, MOST_STEPS, MOST_REPEATS = 20, 100_000, 1000


@final
@dataclass(frozen=True, kw_only=True)
class Asked:
    """What to measure; see `find_lr`.

    Raises:
        UsageError: a number out of its range.
    """

    repeats: int = 3
    steps: int = 100
    low: float | None = None
    high: float | None = None
    groups: str = "all"
    hold: int | None = None

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("repeats", self.repeats, 1, MOST_REPEATS),
            ("steps", self.steps, FEWEST_STEPS, MOST_STEPS),
            ("hold", 0 if self.hold is None else self.hold, 0, MOST_STEPS),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise UsageError(f"{name} must be a whole number from {least} to {most}, got {value!r}")
        for name, rate in (("low", self.low), ("high", self.high)):
            if rate is not None and not (isinstance(rate, Real) and 0 < rate < math.inf):
                raise UsageError(f"{name} must be a positive finite rate, got {quote(rate)}")
            if rate is not None:
                check_rate(name, rate)
        if not isinstance(self.groups, str):
            raise UsageError(f"groups must be 'all', 'each' or a group's name, got {self.groups!r}")
        if not self.sweep.low * 10 <= self.sweep.high:
            raise UsageError(
                f"high must be at least ten times low, got low={self.sweep.low:g} and high={self.sweep.high:g}"
            )

    @property
    def sweep(self) -> Sweep:
        """The first one; it goes no further at an end that was asked for."""
        return Sweep(
            low=LOW if self.low is None else self.low,
            high=HIGH if self.high is None else self.high,
            steps=self.steps,
            bottom=BOTTOM if self.low is None else self.low,
            top=TOP if self.high is None else self.high,
        )


def find_lr(
    model: nn.Module,
    optimizer: Optimizer,
    loss_fn: Callable[..., Any] | None,
    loader: Iterable[Any],
    *,
    device: torch.device | str | None = None,
    forward: Forward | None = None,
    repeats: int = 3,
    steps: int = 100,
    low: float | None = None,
    high: float | None = None,
    groups: str = "all",
    accumulate: int = 1,
    clip_norm: float | None = None,
    scaler: torch.amp.GradScaler | None = None,
    autocast: torch.dtype | None = None,
    hold: int | None = None,
    progress: Progress | None = None,
) -> Found:
    """Measure the training loss over a rising learning rate, a few times, and say which rate it speaks for.

    Everything lent comes back bit by bit, also on an error and on Ctrl-C; see `calando.training.restore`.
    It may be called in the middle of training. Under DistributedDataParallel call it on every rank: all get the same
    answer.

    >>> torch.manual_seed(0); model = nn.Linear(4, 2)
    <torch._C.Generator object at ...>
    >>> x = torch.randn(64, 4)
    >>> loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, (x[:, 0] > 0).long()), batch_size=16)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> found = find_lr(model, optimizer, nn.functional.cross_entropy, loader, steps=40)
    >>> found.curves.losses.shape[0], 1e-6 < found.suggestion.decayed.rate < 100, optimizer.param_groups[0]["lr"]
    (3, True, 0.1)

    Args:
        model: in the mode it is trained in; if it is in eval mode, it is put in train mode for the test.
        optimizer: its groups keep the ratios of their base rates ("initial_lr" where a scheduler left one). Rates are
            counted in the first group's. Schedules attached by `calando.attach` are set aside meanwhile.
        loss_fn: (output, target) -> loss, for batches (*inputs, target); None: the network returns its loss.
            A loss is a scalar, a dict or an object with "loss", or a tuple that begins with it.
        loader: what `for batch in loader` reads again and again: a DataLoader, a list, an object of yours.
        device: where batches are moved to; None: where the network is.
        forward: (model, batch) -> loss, for batches and networks of any other kind; with a loss_fn it may return
            (output, target) for it.
        repeats: sweeps from the same state over different batches.
        steps: updates from low to high.
        low, high: rates, e.g. 1e-6 and 10, which are meant by None: then the range extends itself where what is of
            interest lies outside.
        groups: "all"; "each" group in turn, the others at their own rates; or the name of one group.
        accumulate: batches an update.
        clip_norm: largest global norm of the gradient.
        scaler: the gradient scaler.
        autocast: torch.bfloat16 or torch.float16.
        hold: train that many updates at the recommended peak rate too: where the network does not live there, the
            rate is not reliable. None: as many as `steps`, where the curves are reliable; 0: believe the curves.
        progress: called with (updates made, updates expected).

    Raises:
        UsageError: anything that cannot be: no batch, a loss without gradient or not of one number, everything frozen,
            a rate of zero, something not finite before the first update, an argument out of its range.
        UnknownName: a group that the optimizer does not have.
    """
    asked = Asked(repeats=repeats, steps=steps, low=low, high=high, groups=groups, hold=hold)
    check_lent(
        model,
        optimizer,
        loss_fn=loss_fn,
        forward=forward,
        loader=loader,
        accumulate=accumulate,
        clip_norm=clip_norm,
        scaler=scaler,
        autocast=autocast,
    )
    if progress is not None and not callable(progress):
        raise UsageError(f"progress must be a function, called with (updates made, updates expected), got {progress!r}")
    place = device_of(model, device)
    with restoring(model, optimizer, scaler, reached=(loss_fn, forward), source=loader) as put_back:

        def begin() -> None:
            put_back()
            prepare(model, optimizer)

        prepare(model, optimizer)
        update = LentUpdate(
            loss=LentLoss(model=model, loss_fn=loss_fn, forward=forward),
            optimizer=optimizer,
            device=place,
            accumulate=accumulate,
            clip_norm=clip_norm,
            scaler=scaler,
            autocast=autocast,
            closure=closure_of(optimizer) or try_step(optimizer, begin),
        )
        with closing(endless(loader)) as batches:
            return find_ranges(update, batches, begin, asked=asked, progress=progress)


def find_ranges(
    update: LentUpdate, batches: Iterator[Any], start_again: Undo, *, asked: Asked, progress: Progress | None
) -> Found:
    """Measure and judge; whoever calls puts everything back.

    Raises:
        UsageError, UnknownName: as `find_lr`.
    """
    tested = _tested(update.optimizer, asked.groups)
    held_for = asked.steps if asked.hold is None else asked.hold
    made, expected = 0, len(tested) * (asked.repeats * asked.steps + held_for)

    def tick() -> None:
        nonlocal made
        made += 1
        if progress is not None:
            progress(made, max(made, expected))

    found = {}
    for name, group in tested.items():
        curves = measure_curves(
            update, batches, start_again, sweep=asked.sweep, repeats=asked.repeats, group=group, tick=tick
        )
        usual = usual_rate_of(update.optimizer) if group is None else None
        own_rate = works_its_rate_out(update.optimizer)
        suggestion, lived = suggest(curves, usual=usual, own_rate=own_rate), None
        rate, wanted = suggestion.decayed.rate, suggestion.reliable or asked.hold is not None
        if held_for and wanted and rate is not None:
            losses = hold_rate(update, batches, start_again, rate=rate, steps=held_for, group=group, tick=tick)
            lived = held(curves, losses, rate=rate, trivial=update.loss.trivial)
            start_again()
            # A network that has had less time than half a sweep may only need more of it.
            if lived.failure and (lived.outcome != "no better" or held_for >= asked.steps / 2):
                suggestion = suggestion.doubted("does not live", lived.failure)
        found[name] = FoundRate(curves, suggestion, lived)
    return Found(found, made)


def _tested(optimizer: Optimizer, groups: str) -> dict[str, str | None]:
    """What is tested -> the group it is, None for all together."""
    names = [group_name(group, index) for index, group in enumerate(optimizer.param_groups)]
    if groups not in ("all", "each") and groups not in names:
        raise UnknownName("parameter group", groups, ["all", "each", *names])
    chosen = names if groups in ("all", "each") else [groups]
    for name in chosen:
        if groups != "all" and names.count(name) > 1:
            raise UsageError(f"{names.count(name)} groups are called {name!r}; give each a name of its own")
    bases = Driver(optimizer, schedules={"lr": constant(1)}, horizon=Horizon(1)).base_values["lr"]
    for name, base in zip(names, bases, strict=True):
        if name in chosen and not (0 < base < math.inf):
            raise UsageError(
                f"group {name!r} of the optimizer has base rate {base:g}, which no factor makes a rate: give it a "
                "positive one, freeze its parameters instead, or name another with groups="
            )
    return {"all": None} if groups == "all" else {name: name for name in chosen}
