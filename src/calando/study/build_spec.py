"""From what a user says to a complete question: names looked up, defaults filled in, everything checked.

All that can be wrong is found here, before a study folder exists or a worker starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Literal

import numpy as np

from calando.analysis import log_grid
from calando.errors import UsageError, quote
from calando.language import joined, message
from calando.methods import find_method
from calando.methods.method import check_methods_installed
from calando.records import Lane, RunSpec, StrategySpec, StudySpec, WorkloadSpec
from calando.records.fields import check
from calando.records.spec import BEYOND, LARGEST_SEED
from calando.schedules import Span
from calando.schedules.span import Horizon
from calando.sizes import check_products
from calando.strategy import at_rate, bind, read_strategy
from calando.strategy.strategy_checks import check_clipping
from calando.study.limits import GIVEN, Budget, Machine, at_lengths, cadence, settle_seeds
from calando.tasks.catalog import UNNAMED
from calando.tasks.load_task import load_settled
from calando.tasks.randomness import steps_per_epoch
from calando.tasks.workload import CrossEntropy, Workload
from calando.training.lane import choose_lane

__all__ = [
    "BuiltStudy",
    "build_run",
    "build_study",
    "check_curves",
    "check_grid",
    "read_strategies",
    "read_workload",
    "said_by",
]

MOST_RATES = 100


@dataclass(frozen=True)
class BuiltStudy:
    """A complete question and the workload, loaded; `given`: it is the user's own object."""

    study: StudySpec
    task: Workload
    given: bool


def read_workload(task: WorkloadSpec | Workload, *, data_dir: Path | None) -> tuple[WorkloadSpec, Workload, bool]:
    """A workload as spec and as loaded data; True where it is the user's own object."""
    if isinstance(task, WorkloadSpec):
        return *load_settled(task, data_dir=data_dir), False
    smoothing = task.loss.label_smoothing if isinstance(task.loss, CrossEntropy) else 0.0
    spec = WorkloadSpec(
        data=f"{GIVEN}{task.name}",
        model=task.build.name,
        batch_size=task.batch_size,
        augment=str(task.augment),
        label_smoothing=smoothing,
        name="" if task.name == UNNAMED else task.name,
        **task.scored,
    )
    return spec, task, True


def read_strategies(strategies: Sequence[str | StrategySpec], *, lr: float | str | None) -> tuple[StrategySpec, ...]:
    """Strategies by name, file, text or value; `lr` settles the rate of those that leave it open.

    Raises:
        UsageError: anything wrong with one, a package that its method needs missing, or a name given twice.
    """
    if lr is not None and (not isinstance(lr, Real) or isinstance(lr, bool) or not 0 < lr < float("inf")):
        raise UsageError(message('lr must be a positive finite number or "find", got {lr}', lr=quote(lr)))
    for strategy in strategies:
        if not isinstance(strategy, str | StrategySpec):
            raise UsageError(
                message(
                    "a strategy is a text or a StrategySpec, got {strategy}; give each by itself",
                    strategy=quote(strategy),
                )
            )
    read = [read_strategy(strategy) if isinstance(strategy, str) else strategy for strategy in strategies]
    for place, strategy in enumerate(read):
        _check_name(strategy, read[:place])
    check_methods_installed(read)
    return tuple(at_rate(strategy, lr) if lr is not None and strategy.lr is None else strategy for strategy in read)


def _why_none(strategies: Sequence[StrategySpec]) -> str:
    """Why strategies that all have a rate leave none to find, with what to do."""
    methods = {strategy.method: find_method(strategy.method) for strategy in strategies}
    remedies = [
        message("{own_rate}, and leave lr=find out", own_rate=method.own_rate)
        for method in methods.values()
        if method.rate_free
    ]
    if len(remedies) < len(methods):
        who = message("every other strategy") if remedies else message("every strategy")
        remedies.append(message("{who} names its own; leave it out, as in sgd(momentum=0.9)", who=who))
    return joined("{one}; {other}", remedies)


def _check_name(strategy: StrategySpec, before: Sequence[StrategySpec]) -> None:
    name = strategy.name
    if not name.strip() or not name.isprintable():
        raise UsageError(message("a strategy's name must be one line that can be seen, got {name!r}", name=name))
    for other in before:
        if strategy == other:
            raise UsageError(message("strategy {name!r} is given twice; leave one out", name=name))
        if name == other.name:
            raise UsageError(
                message(
                    "two strategies are called {name!r}: {text}, and {other}; give one a name of its own, as in "
                    '"mine = {other}"',
                    name=name,
                    text=other.text,
                    other=strategy.text,
                )
            )


def build_study(
    task: WorkloadSpec | Workload,
    strategies: Sequence[str | StrategySpec],
    *,
    budget: Budget,
    machine: Machine,
    seeds: int | Literal["auto"] = 5,
    until: Literal["decided"] | None = None,
    most_seeds: int | None = None,
    rates: int = 5,
    span: float | None = None,
    beyond: int = BEYOND,
    lr: float | Literal["find"] | None = None,
    target: float | None = None,
    data_dir: Path | None = None,
) -> BuiltStudy:
    """A whole study.

    Args:
        budget: how long runs are; of several lengths, each strategy without a horizon of its own is run at each.
        seeds, until, most_seeds: as `settle_seeds`.
        rates: trials a strategy; its grid is centred on the method's usual rate.
        span: ratio of a grid's highest to its lowest rate; None: the method's own.
        beyond: how many rates a grid may go on by, past the end where its best trial lies.
        lr: one rate for every strategy that leaves its own open: no trials; "find": each grid is centred on what a
            range test finds.
        target: validation score in (0, 1].

    Raises:
        UsageError: anything that cannot be.
    """
    find = lr == "find"
    read = read_strategies(strategies, lr=None if find else lr)
    count, until = settle_seeds(seeds, until=until, most_seeds=most_seeds)
    check(StudySpec, beyond=beyond)
    check_grid(rates, span)
    grids = {}
    for strategy in read:
        method = find_method(strategy.method)
        if strategy.lr is None:
            grids[method.name] = log_grid(method.usual_rate, span or method.rate_span, rates)
    if find and all(find_method(strategy.method).rate_free for strategy in read if strategy.lr is None):
        raise UsageError(message("there is no rate to find: {read}", read=_why_none(read)))
    spec, loaded, given = read_workload(task, data_dir=data_dir)
    if target is not None and spec.measure.share and not 0 < target <= 1:
        raise UsageError(message("target must be a validation score in (0, 1], got {target:g}", target=target))
    per_epoch = steps_per_epoch(len(loaded.train), spec.batch_size)
    lengths = budget.settle(spec, per_epoch=per_epoch)
    specs, steps = at_lengths(read, lengths), lengths[-1].steps
    own = [strategy.steps_within(steps, steps_per_epoch=per_epoch) for strategy in specs]
    for strategy, horizon in zip(specs, own, strict=True):
        _check_parts(strategy, spec, steps=horizon, steps_per_epoch=per_epoch)
    study = StudySpec(
        workload=spec,
        strategies=specs,
        rate_grids={strategy.name: grids[strategy.method] for strategy in specs if strategy.lr is None},
        beyond=beyond,
        find=find,
        seeds=count,
        until=until,
        steps=steps,
        steps_per_epoch=per_epoch,
        evaluate_every=cadence(min(own), per_epoch=per_epoch),
        target=target,
        lane=_lane(machine, loaded),
    )
    return BuiltStudy(study=study, task=loaded, given=given)


def check_grid(rates: int, span: float | None) -> None:
    """Nothing, if trials can be laid out so.

    Raises:
        UsageError: they cannot.
    """
    if not isinstance(rates, Integral) or isinstance(rates, bool) or not 1 <= rates <= MOST_RATES:
        raise UsageError(
            message("rates must be from 1 to {MOST_RATES}, got {rates}", MOST_RATES=MOST_RATES, rates=quote(rates))
        )
    if span is not None and not 1 < span < 1e12:
        raise UsageError(
            message("span must be above 1 and below 1e12 (highest over lowest rate of a grid), got {span}", span=span)
        )


def build_run(
    task: WorkloadSpec | Workload,
    strategy: str | StrategySpec,
    *,
    budget: Budget,
    machine: Machine,
    seed: int = 0,
    lr: float | Literal["find"] | None = None,
    data_dir: Path | None = None,
) -> tuple[RunSpec, Workload]:
    """A single run; a rate left open becomes the method's usual one, to be replaced where `lr` is "find".

    Its length is the budget's; where that says nothing, the horizon that the strategy says of itself.

    Raises:
        UsageError: anything that cannot be.
    """
    (read,) = read_strategies([strategy], lr=None if lr == "find" else lr)
    if lr == "find" and (read.lr is not None or find_method(read.method).rate_free):
        raise UsageError(message("there is no rate to find: {value}", value=_why_none([read])))
    settled = read if read.lr is not None else read.at_rate(find_method(read.method).usual_rate)
    # A spec allows one more, since `records.family` knows runs that differ in their seed by the text of the next one.
    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(
            message("seed must be from 0 to {LARGEST_SEED}, got {seed}", LARGEST_SEED=LARGEST_SEED, seed=seed)
        )
    spec, loaded, _ = read_workload(task, data_dir=data_dir)
    per_epoch = steps_per_epoch(len(loaded.train), spec.batch_size)
    steps = _length(settled, spec, budget, per_epoch=per_epoch)
    _check_parts(settled, spec, steps=steps, steps_per_epoch=per_epoch)
    run = RunSpec(
        workload=spec,
        strategy=settled.without_horizon(),
        steps=steps,
        steps_per_epoch=per_epoch,
        evaluate_every=cadence(steps, per_epoch=per_epoch),
        seed=seed,
        lane=_lane(machine, loaded),
    )
    return run, loaded


def _check_parts(strategy: StrategySpec, task: WorkloadSpec, *, steps: int, steps_per_epoch: int) -> None:
    if task.clip_norm is not None:
        method = find_method(strategy.method)
        check_clipping(method.name, method.closure)
    check_curves(strategy, steps=steps, steps_per_epoch=steps_per_epoch)


def check_curves(strategy: StrategySpec, *, steps: int, steps_per_epoch: int) -> None:
    """Nothing, if what a strategy schedules can be trained with.

    Raises:
        UsageError: a value that is not finite or below 0; a rate of zero at every step.
    """
    for key, curves in bind(strategy, Horizon(steps, steps_per_epoch)).curves.items():
        values = np.concatenate([curve.sample() for curve in curves])
        if key == "lr" and strategy.lr is not None:
            check_products(key, strategy.lr, values)
        if not np.isfinite(values).all() or values.min() < 0:
            worst = int(np.argmin(np.where(np.isfinite(values), values, -np.inf)))
            raise UsageError(
                message(
                    "strategy {name!r}: its {key} schedule is {values:g} at step {worst}; it must be finite and not "
                    "below 0 (draw it with `calando plot`)",
                    name=strategy.name,
                    key=key,
                    values=values[worst],
                    worst=worst % steps,
                )
            )
        if key == "lr" and values.max() == 0:
            raise UsageError(
                message(
                    "strategy {name!r}: its rate is zero at every step; nothing would be trained", name=strategy.name
                )
            )


def said_by(strategy: StrategySpec, budget: Budget) -> Budget:
    """The length that is asked for; where none is, the one that the strategy says of itself."""
    if strategy.horizon and budget == Budget():
        span = Span.parse(strategy.horizon)
        if span.unit == "epochs":
            return Budget(epochs=span.value)
        if span.unit == "steps":
            return Budget(steps=round(span.value))
    return budget


def _length(strategy: StrategySpec, spec: WorkloadSpec, budget: Budget, *, per_epoch: int) -> int:
    """How long a single run is: what was asked for; where nothing was, what its strategy says."""
    budget = said_by(strategy, budget)
    lengths = budget.settle(spec, per_epoch=per_epoch)
    if len(lengths) > 1:
        raise UsageError(
            message("a single run has one length, got {lengths}; `calando compare` takes several", lengths=len(lengths))
        )
    return strategy.steps_within(lengths[0].steps, steps_per_epoch=per_epoch)


def _lane(machine: Machine, task: Workload) -> Lane:
    check(Lane, threads=machine.threads)
    return choose_lane(
        device=machine.device,
        precision=machine.precision,
        threads=machine.threads,
        image_size=0 if task.shape is None else max(task.shape[1:]),
    )
