"""A tuning's answer in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calando.language import joined, message

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
        tried = message(
            "at rates from {low:.3g} to {high:.3g}" if len(rates) > 1 else "at {rate:.3g}",
            low=min(rates),
            high=max(rates),
            rate=rate,
        )
        if all(arm.trace.diverged for arm in settled.arms):
            return message(
                "nothing was learned {tried}: every loss ended not finite; look at the data, the loss and the network, "
                "or begin at another rate, lr= in the strategy",
                tried=tried,
            )
        return message(
            "nothing was learned {tried}: no arm's loss fell below {begun:.0%} of chance, so none is better than "
            "another; look at the data, the loss and the network, or begin at another rate, lr= in the strategy",
            tried=tried,
            begun=USUAL.begun,
        )
    if settled.died:
        leg = settled.leg
        raced = message("{rate:.3g}, the best of {count} that were raced", rate=rate, count=len(settled.arms))
        if settled.unpaid:
            return message(
                "the budget ended before the run did, at update {until} of {steps}: rate {raced}; with a larger budget "
                "it goes on",
                until=leg.until,
                steps=leg.steps,
                raced=raced,
            )
        last = next(arm.trace for arm in settled.arms if arm.rate == rate)
        return message(
            "the run died: rate {raced}; its loss is not finite"
            if last.diverged
            else "the run died: rate {raced}; its loss ends at chance",
            raced=raced,
        )
    near = edge = cut = ""
    if settled.low != settled.high:
        near = message(" (undecided between {low:.3g} and {high:.3g})", low=settled.low, high=settled.high)
    if settled.edge:
        edge = message("; it is at the edge of what was tried: the best may lie beyond")
    cuts = [
        message("{rate:.3g} from update {step}", rate=rate * factor, step=step)
        for step, factor in settled.leg.cuts
        if factor != 1.0
    ]
    if cuts:
        cut = message(", and after a death {cuts}", cuts=joined("{one}, {other}", cuts))
    arms = [arm for arm in settled.arms if not arm.also]
    others = _of_others(result)
    if len(arms) == 1:
        return message(
            "rate {rate:.3g}{cut}: where the race begins; the budget left no room to race another{others}",
            rate=rate,
            cut=cut,
            others=others,
        )
    return message(
        "rate {rate:.3g}{near}{cut}: the best of {count} that were raced{edge}{others}",
        rate=rate,
        near=near,
        cut=cut,
        count=len(arms),
        edge=edge,
        others=others,
    )


def _of_others(result: TuneResult) -> str:
    """What came of other hyper-parameters."""
    settled, names = result.settled, result.spec.also
    tried = [arm for arm in settled.arms if arm.also]
    if not names or not tried:
        return ""
    if not settled.leg.also:
        return message(
            "; none of {count} proposals for {names} is better on validation"
            if len(tried) > 1
            else "; the one proposal for {names} is not better on validation",
            count=len(tried),
            names=joined("{one}, {other}", names),
        )
    return message(
        "; with {values}, the best on validation of {count} proposals and the strategy's own"
        if len(tried) > 1
        else "; with {values}, the best on validation of one proposal and the strategy's own",
        values=joined("{one}, {other}", [f"{name} {value:g}" for name, value in settled.leg.also]),
        count=len(tried),
    )


def _of_whole_runs(result: TuneResult) -> str:
    settled, rate = result.settled, result.run.lr
    rates, n = [arm.rate for arm in settled.arms], len(settled.arms)
    if settled.died:
        return message(
            "every run failed at rates from {low:.3g} to {high:.3g}: each diverged, or its score is not a number; look "
            "at the data, the loss and the network, or begin at another rate, lr= in the strategy",
            low=min(rates),
            high=max(rates),
        )
    near = edge = ""
    if settled.low != settled.high:
        near = message(" (about as good from {low:.3g} to {high:.3g})", low=settled.low, high=settled.high)
    if settled.edge:
        edge = message("; it is at the edge of what was tried: the best may lie beyond, where a larger budget goes on")
    said = message(
        "rate {rate:.3g}{near}: the best of {n} whole runs on validation{edge}", rate=rate, near=near, n=n, edge=edge
    )
    return joined("{one}; {other}", [said, *settled.notes])


def remarks_on(result: TuneResult, *, lacking: str) -> tuple[str, ...]:
    """What a person's own code left out, and how to get it.

    Args:
        lacking: why there are no weights; "": there are.
    """
    said = []
    if any(event.kind == "no test" for event in result.events):
        said.append(
            message(
                "no test score: the code gives none (run.finish(test=…)), and the validation score has chosen the rate"
            )
        )
    if lacking and not result.settled.died:
        said.append(
            message(
                "no weights: {lacking}. With run.keep(model=model, …) in the code, a tuning in another folder leaves "
                'them; or run the code by itself with run = calando.run("{text}"{seed}): the same run again, to the '
                "bit where it repeats itself",
                lacking=lacking,
                text=result.run.strategy.text,
                seed=f", seed={result.run.seed}" if result.run.seed else "",
            )
        )
    return tuple(said)
