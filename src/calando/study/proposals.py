"""Values for other hyper-parameters, proposed by Optuna's Gaussian process through ask and tell.

    weight_decay    logarithmic, from a thirtieth to thirty times the strategy's own; of a strategy without, round
                    0.0005, or 0.01 where the method adapts its steps
    momentum        0.5 to 0.99, logarithmic in 1 - momentum
    warmup          0 to 20 % of the run, in whole percent, before whatever the schedule does

Each time a sampler is made from the tuning's seed and the number of runs so far, gets all of them, and is asked once.
So a proposal is a pure function of the question and the runs before, whoever asks, and after a kill as well.

The first proposal is drawn at random. Its tree-structured Parzen estimator needs more runs than a budget of a few has:
on simulated valleys of two and three dimensions it was 1.1 to 1.4 times as far from the best after three and five runs
(docs/LOG.md).

Optuna: Akiba et al. 2019.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from calando.analysis.also import LEAST_RUNS, Proposed, Tried
from calando.analysis.grids import written
from calando.errors import UnknownName, UsageError
from calando.language import message
from calando.methods import find_method
from calando.records import StrategySpec
from calando.records.tuning import Also, TuneSpec

if TYPE_CHECKING:
    from optuna.distributions import FloatDistribution, IntDistribution

    Range = FloatDistribution | IntDistribution

__all__ = ["own_values", "propose", "read_also"]

NAMES: tuple[Also, ...] = get_args(Also)
SPAN = 30.0
USUAL_DECAY = {"classic": 0.0005, "adaptive": 0.01}
MOMENTUM = 0.5, 0.99
WARMUP = 20
AT_RANDOM = 2
"""Runs, the settled one among them, before the sampler goes by their scores."""
MOST_REPEATS = 100


def read_also(given: str | Sequence[str], strategy: StrategySpec, *, budget: float) -> tuple[Also, ...]:
    """Which hyper-parameters values are proposed for, each once, in our order.

    Args:
        given: "weight_decay,momentum", or several names.

    Raises:
        UsageError: one that there is none of, that the method does not have, or no budget for it; Optuna is missing.

    >>> from calando.strategy import read_strategy
    >>> read_also("warmup,weight_decay", read_strategy("adamw"), budget=3)
    ('weight_decay', 'warmup')
    """
    names = [name.strip() for name in given.split(",")] if isinstance(given, str) else list(given)
    names = [name for name in names if name]
    if not names:
        return ()
    method = find_method(strategy.method)
    can = [name for name in NAMES if (name in method.options if name != "warmup" else method.schedules != "none")]
    for name in names:
        if name == "batch_size":
            raise UsageError(
                message(
                    "also= has no batch_size, since another one makes another number of updates: tune at each "
                    "batch_size= by itself; there is {can}",
                    can=", ".join(can),
                )
            )
        if name not in NAMES:
            raise UnknownName(message("hyper-parameter of also="), str(name), NAMES)
        if name not in can:
            there = ", ".join(can) or "nothing to propose values for"
            raise UsageError(
                message(
                    "{method} has no {name} to propose values for; there is {there}",
                    method=method.name,
                    name=name,
                    there=there,
                )
            )
    if budget < LEAST_RUNS:
        raise UsageError(
            message(
                "also= takes whole runs once the rate is settled by one and a half: give a budget= of "
                "{least_runs:g} or more, got {budget:g}",
                least_runs=LEAST_RUNS,
                budget=budget,
            )
        )
    optuna()
    return tuple(name for name in NAMES if name in names)


def optuna() -> Any:
    """The package.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import optuna as package
    except ModuleNotFoundError as error:
        raise UsageError(message("also= needs optuna: pip install 'calando[tune]'")) from error
    package.logging.set_verbosity(package.logging.WARNING)
    return package


def own_values(strategy: StrategySpec, names: Sequence[Also]) -> dict[str, float]:
    """The strategy's own values of what is proposed."""
    settled = find_method(strategy.method).settle(strategy.options)
    return {name: 0.0 if name == "warmup" else float(settled[name]) for name in names}


def propose(spec: TuneSpec, tried: Sequence[Tried]) -> Proposed:
    """What to try after these runs."""
    own, ranges = spec.own, _ranges(spec)
    # The settled run has the strategy's own values.
    known = [{**own, **dict(one.values)} for one in tried]
    # A run that failed is as bad as the worst that did not.
    worst = min((one.merit for one in tried if one.merit is not None), default=0.0)
    for number in range(MOST_REPEATS):
        study = optuna().create_study(direction="maximize", sampler=_sampler(spec.seed + 1000 * len(tried), number))
        for values, one in zip(known, tried, strict=True):
            _tell(study, _searched(values), ranges, worst if one.merit is None else one.merit)
        proposed = _read(study.ask(ranges).params)
        if dict(proposed) not in known:
            break
    return proposed


def _sampler(seed: int, number: int) -> Any:
    """The model of the scores; where it says again what was tried, values at random."""
    samplers = optuna().samplers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is experimental in one version and not in the next
        if number:
            return samplers.RandomSampler(seed=(seed + number) % 2**32)
        return samplers.GPSampler(seed=seed % 2**32, n_startup_trials=AT_RANDOM)


def _tell(study: Any, searched: Mapping[str, float], ranges: Mapping[str, Range], merit: float) -> None:
    """A run as a trial; one whose values lie outside the ranges, as no weight decay does, is left out."""
    if all(ranges[name].low <= value <= ranges[name].high for name, value in searched.items()):
        made = optuna().trial.create_trial(params=dict(searched), distributions=dict(ranges), value=merit)
        study.add_trial(made)


def _ranges(spec: TuneSpec) -> dict[str, Range]:
    """What is searched, by hyper-parameter; of momentum what it lacks to 1."""
    distributions = optuna().distributions
    made: dict[str, Range] = {}
    for name in spec.also:
        match name:
            case "weight_decay":
                centre = _centre(spec)
                made[name] = distributions.FloatDistribution(centre / SPAN, centre * SPAN, log=True)
            case "momentum":
                low, high = (round(1 - end, 9) for end in reversed(MOMENTUM))
                made[name] = distributions.FloatDistribution(low, high, log=True)
            case "warmup":
                made[name] = distributions.IntDistribution(0, WARMUP)
    return made


def _centre(spec: TuneSpec) -> float:
    """The middle of the weight decays that are searched."""
    method, own = find_method(spec.strategy.method), spec.own["weight_decay"]
    return own or USUAL_DECAY["classic" if method.family == "classic" else "adaptive"]


def _searched(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(1 - value, 9) if name == "momentum" else value for name, value in values.items()}


def _read(params: Mapping[str, float]) -> Proposed:
    """What was proposed, in numbers that people would write."""
    read = {
        name: round(1 - written(value), 9) if name == "momentum" else written(value) if name != "warmup" else value
        for name, value in params.items()
    }
    return tuple((name, float(read[name])) for name in NAMES if name in read)
