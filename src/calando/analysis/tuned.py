"""What the stored pieces of a tuning come to: the rules of race and ride, replayed on them.

Nothing but the question and its pieces decides, so a tuning can be read where torch and the data are not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from calando.analysis.also import Propose, Proposed, Tried, Unknown, settle_also
from calando.analysis.arms import Leg, Question, Traced, Training
from calando.analysis.ride import Settled, settle
from calando.analysis.whole_arms import settle_whole
from calando.records.record import Evaluation, Event, TestScore
from calando.records.spec import RunSpec
from calando.records.tuning import Piece, TuneSpec

__all__ = ["Stored", "TuneResult", "as_stored", "concluded", "game_of", "question_of"]


@final
@dataclass(frozen=True, kw_only=True)
class TuneResult:
    """What a tuning came to.

    Args:
        run: the run whose weights are the answer.
        settled: the race and the ride.
        evaluations, events: of that run.
        traces: rate -> losses of every arm that was raced.
        seconds: of all that was trained.
        test: of the weights; None before they were looked at.
    """

    spec: TuneSpec
    run: RunSpec
    settled: Settled
    evaluations: tuple[Evaluation, ...]
    events: tuple[Event, ...]
    traces: Mapping[float, np.ndarray]
    seconds: float
    test: TestScore | None


ENDS = ("diverged", "failed")
"""Events that say how a run ended."""


def question_of(spec: TuneSpec) -> Question:
    """What the rules are asked."""
    assert spec.strategy.lr is not None
    return Question(
        steps=spec.steps,
        rate=spec.strategy.lr,
        budget=spec.budget * spec.passes,
        chance=spec.chance,
        look_every=spec.evaluate_every,
        look_cost=spec.look_cost,
        per_update=spec.per_update,
        per_until=spec.measured,
        per_later=spec.passes,
        open=spec.open,
    )


def game_of(spec: TuneSpec, propose: Propose) -> Training[Settled]:
    """The rules that a question is settled by: race and ride, other hyper-parameters after them, or whole runs."""
    question, measure = question_of(spec), spec.workload.measure
    if spec.whole:
        return settle_whole(question, measure)
    if not spec.also:
        return settle(question)
    return settle_also(question, propose, own=dict(spec.own), sums=spec.sums, measure=measure)


def as_stored(proposals: Sequence[Proposed]) -> Propose:
    """Proposals that were made before, in their order."""

    def propose(tried: Sequence[Tried]) -> Proposed | None:
        # The first that was tried is the settled rate with the strategy's own values.
        number = len(tried) - 1
        return proposals[number] if number < len(proposals) else None

    return propose


@final
class Stored:
    """What a store knows of the arms, as the rules ask for it."""

    def __init__(self, spec: TuneSpec, pieces: Sequence[Piece]) -> None:
        self.spec = spec
        self.specs: dict[Leg, RunSpec] = {}
        self.pieces: dict[str, list[Piece]] = {}
        for piece in pieces:
            self.add(piece)

    def add(self, piece: Piece) -> None:
        """Take in a piece."""
        known = self.pieces.setdefault(piece.spec.digest(), [])
        known.append(piece)
        known.sort(key=lambda one: one.until)

    def knows(self, piece: Piece) -> bool:
        """Whether it is there already."""
        return any(one.until == piece.until for one in self.pieces.get(piece.spec.digest(), ()))

    def run(self, leg: Leg) -> RunSpec:
        """The run that a leg is of."""
        key = replace(leg, until=leg.steps)
        if key not in self.specs:
            self.specs[key] = self.spec.run(leg.rate, steps=leg.steps, cuts=leg.cuts, also=leg.also)
        return self.specs[key]

    def evaluations(self, leg: Leg) -> tuple[Evaluation, ...]:
        """Of a leg's run; of one that started from another's checkpoint, since then."""
        return tuple(look for piece in self.pieces.get(self.run(leg).digest(), ()) for look in piece.evaluations)

    def traced(self, leg: Leg) -> Traced | None:
        """What is known of a leg; None: it has not been trained so far."""
        known = self.pieces.get(self.run(leg).digest(), [])
        upto = [piece for piece in known if piece.until <= leg.until]
        if not upto or (upto[-1].until < leg.until and not upto[-1].diverged):
            return None
        losses = np.concatenate([piece.losses for piece in upto])
        measure = self.spec.workload.measure
        looks = [look for piece in upto for look in piece.evaluations]
        return Traced(
            losses[: upto[-1].stop + upto[-1].diverged],
            diverged=upto[-1].diverged,
            charged=upto[-1].charged,
            score=measure.merit(looks[-1].score) if looks else None,
            loss=looks[-1].loss if looks and math.isfinite(looks[-1].loss) else math.inf,
            rise=measure.merit(looks[-1].score) - measure.merit(looks[0].score) if len(looks) > 1 else None,
            why=next((str(event) for event in reversed(upto[-1].events) if event.kind in ENDS), ""),
        )

    def result(self, settled: Settled, test: TestScore | None) -> TuneResult:
        """What it all came to."""
        run = self.run(settled.leg)
        return TuneResult(
            spec=self.spec,
            run=run,
            settled=settled,
            evaluations=self.evaluations(settled.leg),
            events=tuple(event for piece in self.pieces.get(run.digest(), ()) for event in piece.events),
            traces={arm.rate: arm.trace.losses for arm in settled.arms if not arm.also},
            seconds=sum(piece.seconds for pieces in self.pieces.values() for piece in pieces),
            test=test,
        )


def concluded(
    spec: TuneSpec, pieces: Sequence[Piece], test: TestScore | None, proposals: Sequence[Proposed] = ()
) -> TuneResult | None:
    """What stored pieces and proposals come to; None: some are missing."""
    stored, game = Stored(spec, pieces), game_of(spec, as_stored(proposals))
    try:
        legs = next(game)
        while True:
            answers = {leg: stored.traced(leg) for leg in legs}
            known = {leg: traced for leg, traced in answers.items() if traced is not None}
            if len(known) < len(answers):
                return None
            legs = game.send(known)
    except Unknown:
        return None
    except StopIteration as end:
        return stored.result(end.value, test)
