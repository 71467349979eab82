"""How a tuning stands, as a person sees it: a line for each arm that ended, and one that is brought up to date."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from calando.errors import plain
from calando.language import _, joined, translated
from calando.standing import ETA
from calando.study.standing import tuning_standing
from calando.verbs.progress import Screen, ShownProgress

if TYPE_CHECKING:
    from calando.study.tune import TuneStatus

__all__ = ["TuningProgress"]


@final
class TuningProgress(ShownProgress["TuneStatus"]):
    """Of a tuning."""

    def __init__(self, listen: Callable[[TuneStatus], None] | None = None) -> None:
        super().__init__(listen)
        self._reported, self._eta, self._headed = 0, ETA(), False

    def _show(self, screen: Screen, status: TuneStatus) -> None:
        if not self._headed:
            self._headed = True
            for line in _heading(status):
                screen.say(line)
        for note in status.notes[self._reported :]:
            screen.say(plain(translated(note)))
        self._reported = len(status.notes)
        screen.show(lambda: translated(tuning_standing(status, self._eta).words))


def _heading(status: TuneStatus) -> tuple[str, ...]:
    spec = status.spec
    schedule = spec.strategy.schedules["lr"]
    most = spec.budget * spec.run_cost
    return (
        _(
            "{title}{network}, {facts}",
            title=spec.workload.title,
            network=spec.workload.network,
            facts=joined("{one}, {other}", spec.workload.facts),
        ),
        _(
            "tuning {method} | {schedule}: one run is {steps} updates, charged as {cost:.0f}, everything at most "
            "{most:.0f} ({budget:g} runs)"
            if spec.passes > 1
            else "tuning {method} | {schedule}: one run is {steps} updates, everything at most {most:.0f} "
            "({budget:g} runs)",
            method=spec.strategy.method,
            schedule=schedule,
            steps=spec.steps,
            cost=spec.run_cost,
            most=most,
            budget=spec.budget,
        ),
        _("on {machine}; folder: {folder}", machine=status.machine or spec.lane.text, folder=status.folder),
    )
