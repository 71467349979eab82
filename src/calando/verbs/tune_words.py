"""A tuning's answer in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calando.analysis.tuned import TuneResult

__all__ = ["remarks_on", "verdict_of"]


def verdict_of(result: TuneResult) -> str:
    """In a sentence: the rate, and what is known of it."""
    if result.spec.whole:
        return _of_whole_runs(result)
    from calando.analysis.arms import USUAL

    settled, rate = result.settled, result.run.lr
    if settled.begun is None:
        rates = [arm.rate for arm in settled.arms]
        tried = f"at rates from {min(rates):.3g} to {max(rates):.3g}" if len(rates) > 1 else f"at {rate:.3g}"
        if all(arm.trace.diverged for arm in settled.arms):
            return (
                f"nothing was learned {tried}: every loss ended not finite; look at the data, the loss and the "
                "network, or begin at another rate, lr= in the strategy"
            )
        return (
            f"nothing was learned {tried}: no arm's loss fell below {USUAL.begun:.0%} of chance, so none is better "
            "than another; look at the data, the loss and the network, or begin at another rate, lr= in the "
            "strategy"
        )
    if settled.died:
        leg, raced = settled.leg, f"{rate:.3g}, the best of {len(settled.arms)} that were raced"
        if settled.unpaid:
            stop = f"at update {leg.until} of {leg.steps}"
            return f"the budget ended before the run did, {stop}: rate {raced}; with a larger budget it goes on"
        last = next(arm.trace for arm in settled.arms if arm.rate == rate)
        return f"the run died: rate {raced}; its loss {'is not finite' if last.diverged else 'ends at chance'}"
    near = "" if settled.low == settled.high else f" (undecided between {settled.low:.3g} and {settled.high:.3g})"
    edge = "; it is at the edge of what was tried: the best may lie beyond" if settled.edge else ""
    cuts = [f"{rate * factor:.3g} from update {step}" for step, factor in settled.leg.cuts if factor != 1.0]
    cut = f", and after a death {', '.join(cuts)}" if cuts else ""
    arms = [arm for arm in settled.arms if not arm.also]
    others = _of_others(result)
    if len(arms) == 1:
        return f"rate {rate:.3g}{cut}: where the race begins; the budget left no room to race another{others}"
    return f"rate {rate:.3g}{near}{cut}: the best of {len(arms)} that were raced{edge}{others}"


def _of_others(result: TuneResult) -> str:
    """What came of other hyper-parameters."""
    settled, names = result.settled, result.spec.also
    tried = [arm for arm in settled.arms if arm.also]
    if not names or not tried:
        return ""
    if not settled.leg.also:
        proposals = f"none of {len(tried)} proposals" if len(tried) > 1 else "the one proposal"
        return f"; {proposals} for {', '.join(names)} {'is' if len(tried) > 1 else 'is not'} better on validation"
    values = ", ".join(f"{name} {value:g}" for name, value in settled.leg.also)
    proposals = f"{len(tried)} proposals" if len(tried) > 1 else "one proposal"
    return f"; with {values}, the best on validation of {proposals} and the strategy's own"


def _of_whole_runs(result: TuneResult) -> str:
    settled, rate = result.settled, result.run.lr
    rates, n = [arm.rate for arm in settled.arms], len(settled.arms)
    if settled.died:
        return (
            f"every run failed at rates from {min(rates):.3g} to {max(rates):.3g}: each diverged, or its score is "
            "not a number; look at the data, the loss and the network, or begin at another rate, lr= in the strategy"
        )
    near = "" if settled.low == settled.high else f" (about as good from {settled.low:.3g} to {settled.high:.3g})"
    beyond = "the best may lie beyond, where a larger budget goes on"
    edge = f"; it is at the edge of what was tried: {beyond}" if settled.edge else ""
    doubt = "".join(f"; {note}" for note in settled.notes)
    return f"rate {rate:.3g}{near}: the best of {n} whole runs on validation{edge}{doubt}"


def remarks_on(result: TuneResult, *, lacking: str) -> tuple[str, ...]:
    """What a person's own code left out, and how to get it.

    Args:
        lacking: why there are no weights; "": there are.
    """
    said = []
    if any(event.kind == "no test" for event in result.events):
        said.append(
            "no test score: the code gives none (run.finish(test=…)), and the validation score has chosen the rate"
        )
    if lacking and not result.settled.died:
        seed = f", seed={result.run.seed}" if result.run.seed else ""
        said.append(
            f"no weights: {lacking}. With run.keep(model=model, …) in the code, a tuning in another folder leaves "
            f'them; or run the code by itself with run = calando.run("{result.run.strategy.text}"{seed}): the same run '
            "again, to the bit where it repeats itself"
        )
    return tuple(said)
