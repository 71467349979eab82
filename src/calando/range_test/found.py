"""What a range test found: curves, the suggestion, whether the network lived at the rate, and the cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, final

import numpy as np

from calando.analysis.range_curves import RangeCurves, Rule
from calando.analysis.suggest import Suggestion
from calando.errors import UnknownName, UsageError
from calando.language import _, joined, message, translated
from calando.records import RunSpec
from calando.shown import Shown

__all__ = ["Found", "FoundRate", "HeldRate", "judge_held"]

HeldOutcome = Literal["lives", "no better", "diverged", "not finite"]
LEARNED = 0.75  # share of the sweep's fall that a network which lives keeps; on 12 tasks it went 1 to 2 times as far
LOST = 0.5  # one that diverged is above the start by this share of the fall


@final
@dataclass(frozen=True, eq=False, repr=False)
class HeldRate:
    """Training at the recommended `rate`, from the state before the range test.

    Args:
        losses: float64[updates], the loss before each; the last is nan where something was not finite.
        outcome: "lives", "no better" (it died, or needs more updates), "diverged" or "not finite".
        kept: its gain as a share of the sweep's; nan where something was not finite.
    """

    rate: float
    losses: np.ndarray
    outcome: HeldOutcome
    kept: float

    @property
    def failure(self) -> str:
        """Why the rate is not reliable; "" where the network lives."""
        if self.outcome == "lives":
            return ""
        what = {
            "no better": message(
                "the network keeps {kept:.0%} of what the sweep had gained"
                if math.isfinite(self.kept)
                else "the network has learned no more than the mean of its targets",
                kept=max(0.0, self.kept),
            ),
            "diverged": message("the loss explodes"),
            "not finite": message("the loss is not finite"),
        }[self.outcome]
        return message(
            "after {updates} updates at {rate:.3g} {what}, though the sweep, whose rate rises slowly, bears it: "
            "warm up "
            "to it, or take a lower rate",
            updates=len(self.losses),
            rate=self.rate,
            what=what,
        )

    def __str__(self) -> str:
        return _(
            "{updates} updates at {rate:.3g}: {outcome}, {kept:.0%} of what the sweep had gained"
            if math.isfinite(self.kept)
            else "{updates} updates at {rate:.3g}: {outcome}",
            updates=len(self.losses),
            rate=self.rate,
            outcome=message(self.outcome),
            kept=self.kept,
        )

    __repr__ = __str__


@final
@dataclass(frozen=True, eq=False, repr=False)
class FoundRate:
    """What a range test found for one group, or for all.

    Args:
        curves: training loss over the rate, a row for each sweep.
        suggestion: the two rates, their intervals, and whether they are reliable.
        held: the training at the recommended rate; None if there was none.
    """

    curves: RangeCurves
    suggestion: Suggestion
    held: HeldRate | None

    def __str__(self) -> str:
        found, curves = self.suggestion, self.curves
        ends = [message(why or "reached the last rate") for why in curves.stopped]
        count = len(curves.losses)
        lines = [
            _("peak rate, decayed schedule  {rate}", rate=_rate_text(found.decayed)),
            _("constant rate                {rate}", rate=_rate_text(found.constant)),
            _("reliable")
            if found.reliable
            else _("not reliable: {reasons}", reasons=joined("{one}; {other}", found.reasons)),
            translated(found.explanation),
            _(
                "rates from {low:.3g} to {high:.3g}, {count} repeats: {ends}"
                if count > 1
                else "rates from {low:.3g} to {high:.3g}, {count} repeat: {ends}",
                low=curves.rates[0],
                high=curves.rates[-1],
                count=count,
                ends=joined("{one}, {other}", ends),
            ),
        ]
        if self.held is not None:
            lines.append(str(self.held))
        return "\n".join(line for line in lines if line)

    __repr__ = __str__


@final
@dataclass(frozen=True, eq=False, repr=False)
class Found(Shown):
    """The answer of `find_lr`; print it to read it.

    Args:
        groups: "all", or each tested group's name -> what was found for it.
        updates: all updates made, those of dropped sweeps and of trainings at the rate included: the cost.
        run: calando's run for which it was made; None: it was made on objects of yours.
    """

    groups: Mapping[str, FoundRate]
    updates: int
    run: RunSpec | None = None

    # Of the group that was tested; of several they raise UsageError: take `found["NAME"]`.

    @property
    def curves(self) -> RangeCurves:
        return self._only().curves

    @property
    def suggestion(self) -> Suggestion:
        return self._only().suggestion

    @property
    def held(self) -> HeldRate | None:
        """The training at the recommended rate; None if there was none."""
        return self._only().held

    def __getitem__(self, group: str) -> FoundRate:
        """What was found for one group; UnknownName where it was not tested."""
        if group not in self.groups:
            raise UnknownName(message("tested group"), group, self.groups)
        return self.groups[group]

    def __str__(self) -> str:
        if len(self.groups) == 1:
            (only,) = self.groups.values()
            return f"{only}\n{self.updates} updates in all"
        parts = [f"group {name}\n{found}" for name, found in self.groups.items()]
        return "\n\n".join([*parts, f"{self.updates} updates in all"])

    __repr__ = __str__  # a terminal shows this

    def table(self) -> list[dict[str, Any]]:
        """A row for each tested group: the two rates and their intervals, and whether to rely on them."""
        return [
            {
                "group": name,
                **{
                    f"{kind}{end}": getattr(getattr(found.suggestion, kind), of)
                    for kind in ("decayed", "constant")
                    for end, of in (("", "rate"), (" low", "low"), (" high", "high"))
                },
                "reliable": found.suggestion.reliable,
                "doubts": "; ".join(found.suggestion.reasons),
            }
            for name, found in self.groups.items()
        ]

    def to_json(self) -> str:
        """Everything, as JSON text; what is not finite becomes null."""
        return json.dumps({"updates": self.updates, "groups": {k: _plain(v) for k, v in self.groups.items()}})

    def _only(self) -> FoundRate:
        if len(self.groups) != 1:
            raise UsageError(
                message(
                    "several groups were tested: {groups}; take one, as in found['NAME']", groups=", ".join(self.groups)
                )
            )
        (only,) = self.groups.values()
        return only


def judge_held(curves: RangeCurves, losses: np.ndarray, *, rate: float, trivial: float | None = None) -> HeldRate:
    """How training at a rate went, compared with the loss S at which the sweeps began and the lowest, B.

    level   C   where a network that knows nothing stands: min(S, trivial), or min(S, chance) where that is not known
    kept        (C - median of the last quarter of the losses) / (C - B)
    lives       kept >= LEARNED;      diverged    that median is above S + LOST (C - B)

    >>> curves = RangeCurves.from_arrays(np.geomspace(1e-3, 1, 40), np.linspace(2, 1, 40))
    >>> [judge_held(curves, np.array(losses), rate=0.1).outcome for losses in ([2, 1.2], [2, 2], [2, 4], [2, math.nan])]
    ['lives', 'no better', 'diverged', 'not finite']
    """
    middle = np.nanmedian(np.where(np.isnan(curves.losses), np.inf, curves.losses), axis=0)
    start = float(np.median(middle[: max(3, len(middle) // 10)]))
    known = curves.chance if trivial is None else trivial
    level = start if known is None else min(start, known)
    fall = level - min(level, float(np.median(np.sort(middle)[:5])))
    last = float(np.median(losses[-max(1, len(losses) // 4) :]))
    kept = (level - last) / fall if fall > 0 else math.nan
    outcome: HeldOutcome = "no better"
    if not math.isfinite(losses[-1]):
        outcome, kept = "not finite", math.nan
    elif last > start + LOST * fall and fall > 0:
        outcome = "diverged"
    elif kept >= LEARNED:
        outcome = "lives"
    return HeldRate(rate, losses, outcome, kept)


def _rate_text(rule: Rule) -> str:
    return "none" if rule.rate is None else f"{rule.rate:.3g}  [{rule.low:.3g}, {rule.high:.3g}]"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
