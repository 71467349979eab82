"""Find a learning rate: a range test on a person's own objects, or for a run of ours, judged; everything is restored.

found = calando.find_lr(model, optimizer, loss_fn, loader)
print(found)
found.suggestion.decayed.rate
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from calando.analysis.suggest import suggest
from calando.errors import UnknownName, UsageError
from calando.language import message
from calando.methods import closure_of, usual_rate_of, works_its_rate_out
from calando.methods.driver import Driver
from calando.methods.known_groups import group_name
from calando.range_test.borrowed_update import BorrowedUpdate
from calando.range_test.found import Found, FoundRate, judge_held
from calando.range_test.loss import BatchLoss, Forward
from calando.range_test.raced import Raced, race_lent
from calando.range_test.ready import check_lent, device_of, endless, prepare, try_step
from calando.range_test.sweep import Measurement, SweepOptions
from calando.records import RunSpec
from calando.schedules import Horizon, constant
from calando.tasks.objective import Samples
from calando.tasks.workload import Workload
from calando.training.lane import holding_lane, in_precision, placed, seed_step
from calando.training.restore import Undo, restoring
from calando.training.state import start

__all__ = ["SweepProgress", "find_for_run", "find_lr"]

LEAST_RACED = 100
"""Updates of a training below which there is nothing to race."""
SweepProgress = Callable[[int, int], object]
"""Called with (updates made, updates expected) after each update; the expected number may grow."""


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
    race: int | None = None,
    progress: SweepProgress | None = None,
) -> Found | Raced:
    """Measure the training loss over a rising learning rate, a few times, and recommend a rate.

    It may be called in the middle of training: everything is restored bit by bit, also after an error and after Ctrl-C;
    see `calando.training.restore`. Under DistributedDataParallel call it on every rank: all get the same answer.

    Args:
        model: the network, in the mode it is trained in; in eval mode, it is put in train mode for the test.
        optimizer: its groups keep the ratios of their base rates ("initial_lr" where a scheduler left one). The rates
            reported are those of the first group. Schedules attached by `calando.attach` do not act during the test.
        loss_fn: (output, target) -> loss, for batches (*inputs, target). None: the network returns its loss. A loss is
            a scalar, a dict or an object with "loss", or a tuple that begins with it.
        loader: what `for batch in loader` can read more than once: a DataLoader, a list, or an object of your own.
        device: device that batches are moved to. None: that of the network.
        forward: (model, batch) -> loss, for any other kind of batches and networks; with a loss_fn it may return
            (output, target) for it.
        repeats: number of sweeps, from the same state over different batches.
        steps: updates from `low` to `high`.
        low: lowest rate. None: 1e-6, lowered if the region of interest lies outside.
        high: highest rate. None: 10, raised if the region of interest lies outside.
        groups: "all"; "each": one group after the other, while the others keep their own rates; or the name of one
            group.
        accumulate: batches per update.
        clip_norm: largest global norm of the gradient.
        scaler: the gradient scaler.
        autocast: torch.bfloat16 or torch.float16.
        hold: updates to train at the recommended peak rate; if the network does not train there, the rate is not
            reliable. None: as many as `steps`, if the curves are reliable. 0: none.
        race: number of updates of the training that the rate is for. Instead of sweeps, arms at a few rates race from
            the network's current weights, on the same batches, for at most 0.6 times as many updates. For networks on
            which sweeps are not reliable, such as those without normalisation. The answer's `suggestion` reads as a
            sweep's.
        progress: called with (updates made, updates expected).

    Raises:
        UsageError: there is no batch, the loss has no gradient or is not one number, every parameter is frozen, a rate
            is zero, something is not finite before the first update, or an argument is out of range.
        UnknownName: the optimizer has no group of this name.

    >>> torch.manual_seed(0); model = nn.Linear(4, 2)
    <torch._C.Generator object at ...>
    >>> x = torch.randn(64, 4)
    >>> loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, (x[:, 0] > 0).long()), batch_size=16)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> found = find_lr(model, optimizer, nn.functional.cross_entropy, loader, steps=40)
    >>> found.curves.losses.shape[0], 1e-6 < found.suggestion.decayed.rate < 100, optimizer.param_groups[0]["lr"]
    (3, True, 0.1)
    """
    options = SweepOptions(repeats=repeats, steps=steps, low=low, high=high, groups=groups, hold=hold)
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
    if race is not None and (isinstance(race, bool) or not isinstance(race, int) or race < LEAST_RACED):
        raise UsageError(
            message(
                "race must be the updates of the training that the rate is for, at least {least_raced}, got {race}",
                least_raced=LEAST_RACED,
                race=repr(race),
            )
        )
    if race is not None and groups != "all":
        raise UsageError(message("a race is of all groups together; leave groups= out"))
    if progress is not None and not callable(progress):
        raise UsageError(
            message(
                "progress must be a function, called with (updates made, updates expected), got {progress}",
                progress=repr(progress),
            )
        )
    place = device_of(model, device)
    with restoring(model, optimizer, scaler, reached=(loss_fn, forward), source=loader) as put_back:

        def begin() -> None:
            put_back()
            prepare(model, optimizer)

        prepare(model, optimizer)
        update = BorrowedUpdate(
            loss=BatchLoss(model=model, loss_fn=loss_fn, forward=forward),
            optimizer=optimizer,
            device=place,
            accumulate=accumulate,
            clip_norm=clip_norm,
            scaler=scaler,
            autocast=autocast,
            closure=closure_of(optimizer) or try_step(optimizer, begin),
        )
        with closing(endless(loader)) as batches:
            if race is not None:
                return race_lent(update, batches, begin, steps=race, usual=_begins_at(optimizer), progress=progress)
            return _find_ranges(update, batches, begin, options=options, progress=progress)


def find_for_run(
    spec: RunSpec, workload: Workload, *, options: SweepOptions | None = None, progress: SweepProgress | None = None
) -> Found:
    """Find a rate for a run of calando, on network, optimizer and batches exactly as `calando.training.loop` has them.

    The first sweep starts from the weights of the run's seed and trains on the batches of its first updates; the next
    goes on with the batches that follow. Only the rate is swept: the strategy's schedules and controllers are left out,
    and the run's own rate and length do not matter. Raises as `find_lr`.

    Args:
        spec: workload, method with its options, seed and lane.
        options: what to measure; None: as `find_lr` does by default.
    """
    workload = workload.fresh()
    lane, parts = spec.lane, spec.in_our_loop.accumulate

    def forward(network: nn.Module, batch: Samples) -> torch.Tensor:
        here = batch.mapped(lambda tensor: placed(tensor, lane))
        return workload.judged(network, here, precision=lambda: in_precision(lane))[0]

    with holding_lane(lane):
        state = start(spec, workload)
        update = BorrowedUpdate(
            loss=BatchLoss(model=state.network, forward=forward, chance=workload.chance_loss),
            optimizer=state.optimizer,
            device=torch.device(lane.device),
            accumulate=parts,
            clip_norm=spec.in_our_loop.clip_norm,
            closure=state.session.closure,
        )
        with restoring(state.network, state.optimizer) as start_again, closing(_batches(spec, workload)) as batches:
            found = _find_ranges(update, batches, start_again, options=options or SweepOptions(), progress=progress)
    return replace(found, run=spec)


def _find_ranges(
    update: BorrowedUpdate,
    batches: Iterator[Any],
    start_again: Undo,
    *,
    options: SweepOptions,
    progress: SweepProgress | None,
) -> Found:
    tested = _tested(update.optimizer, options.groups)
    held_for = options.steps if options.hold is None else options.hold
    made, expected = 0, len(tested) * (options.repeats * options.steps + held_for)

    def tick() -> None:
        nonlocal made
        made += 1
        if progress is not None:
            progress(made, max(made, expected))

    found = {}
    for name, group in tested.items():
        measurement = Measurement(update=update, batches=batches, start_again=start_again, group=group, tick=tick)
        curves = measurement.curves(options.sweep, repeats=options.repeats)
        usual = usual_rate_of(update.optimizer) if group is None else None
        own_rate = works_its_rate_out(update.optimizer)
        suggestion, lived = suggest(curves, usual=usual, own_rate=own_rate), None
        rate, wanted = suggestion.decayed.rate, suggestion.reliable or options.hold is not None
        if held_for and wanted and rate is not None:
            losses = measurement.hold(rate, steps=held_for)
            lived = judge_held(curves, losses, rate=rate, trivial=update.loss.trivial)
            start_again()
            # A network that has had less time than half a sweep may only need more of it.
            if lived.failure and (lived.outcome != "no better" or held_for >= options.steps / 2):
                suggestion = suggestion.doubted("does not live", lived.failure)
        found[name] = FoundRate(curves, suggestion, lived)
    return Found(found, made)


def _begins_at(optimizer: Optimizer) -> float:
    """The optimizer's usual rate; its own where it is like no known one."""
    if works_its_rate_out(optimizer):
        raise UsageError(message("this optimizer works its step size out by itself: there is no rate to race for"))
    own = float(Driver(optimizer, schedules={"lr": constant(1)}, horizon=Horizon(1)).base_values["lr"][0])
    return usual_rate_of(optimizer) or own


def _tested(optimizer: Optimizer, groups: str) -> dict[str, str | None]:
    """What is tested -> the group it is, None for all together."""
    names = [group_name(group, index) for index, group in enumerate(optimizer.param_groups)]
    if groups not in ("all", "each") and groups not in names:
        raise UnknownName(message("parameter group"), groups, ["all", "each", *names])
    chosen = names if groups in ("all", "each") else [groups]
    for name in chosen:
        if groups != "all" and names.count(name) > 1:
            raise UsageError(
                message(
                    "{count} groups are called {name!r}; give each a name of its own",
                    count=names.count(name),
                    name=name,
                )
            )
    bases = Driver(optimizer, schedules={"lr": constant(1)}, horizon=Horizon(1)).base_values["lr"]
    for name, base in zip(names, bases, strict=True):
        if name in chosen and not (0 < base < math.inf):
            raise UsageError(
                message(
                    "group {name!r} of the optimizer has base rate {base:g}, which no factor makes a rate: give "
                    "it a positive one, freeze its parameters instead, or name another with groups=",
                    name=name,
                    base=base,
                )
            )
    return {"all": None} if groups == "all" else {name: name for name in chosen}


def _batches(spec: RunSpec, workload: Workload) -> Generator[Samples, None, None]:
    """Micro-batches of updates 0, 1, …; each update's generators are seeded as in the run."""
    micro = spec.in_our_loop.batch_size // spec.in_our_loop.accumulate
    step = 0
    while True:
        seed_step(spec.seed, step)
        yield from workload.batch(step, seed=spec.seed).split(micro)
        step += 1
