"""What the fits reach, as tables: on tasks left out, or on those set aside, with the product's own numbers."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

from calando.analysis.reading import FITS, SURE, Fit
from calando.analysis.signals import SIGNALS

from .fit import DISTANCE, MODELS, fit_all, left_out, speaks
from .measure import AGES
from .signals import Look, looks

__all__ = ["print_fits", "print_folk", "print_score", "print_worth"]

FOLK = {
    "update ratio above 3e-3: too high": ("high", lambda s: s["update ratio"] > 3e-3),
    "update ratio above 1e-2: too high": ("high", lambda s: s["update ratio"] > 1e-2),
    "update ratio below 3e-4: too low": ("low", lambda s: s["update ratio"] < 3e-4),
    "update ratio below 1e-3: too low": ("low", lambda s: s["update ratio"] < 1e-3),
    "sharpness above its limit: too high": ("high", lambda s: s["sharpness share"] > 1),
    "the update raises its own batch's loss: too high": ("high", lambda s: s["critical ratio"] > 1),
    "one channel in ten is dead: too high": ("high", lambda s: s["alive"] < 0.9),
    "the loss rose above 1.05 chance: too high": ("high", lambda s: s["peak"] > 1.05),
}


def print_fits() -> None:
    """The numbers that belong into `calando.analysis.reading`."""
    warnings.simplefilter("ignore")
    known = looks()
    for name, fit in fit_all(known).items():
        print(f'    "{name}": Fit(\n        {fit.bias},\n        {{')
        for signal, terms in fit.terms.items():
            print(f'            "{signal}": {terms},')
        print("        },\n    ),")
    fine = [look for look in known if look.end == "fine"]
    print("USUAL", {name: float(f"{np.nanmedian([look.signals[name] for look in fine]):.2g}") for name in SIGNALS})
    print("OFF", _off(left_out(known)))


def _off(judged: Sequence[tuple[Look, dict[str, Fit]]]) -> dict[str, dict[str, tuple[float, float]]]:
    """10 % and 90 % of the true distance less the fitted one, where the verdict is given."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for name in DISTANCE:
        for verdict, model in (("too high", "too high"), ("too low", "too low, with sharpness")):
            off = [look.distance - fits[name](look.signals) for look, fits in judged if speaks(fits[model], look)]
            low, high = np.quantile(off, [0.1, 0.9])
            found.setdefault(name, {})[verdict] = (round(float(low), 1), round(float(high), 1))
    return found


def print_score(*, untouched: bool) -> None:
    """How often the reading speaks, and is right: on each task with fits that have not seen it."""
    warnings.simplefilter("ignore")
    known = looks(untouched=untouched)
    judged = [(look, dict(FITS)) for look in known] if untouched else left_out(known)
    print(f"{len(known)} looks at {len({(one.case.name, one.exponent, one.seed) for one in known})} runs")
    for name, (end, _) in MODELS.items():
        spoken = [look for look, fits in judged if speaks(fits[name], look)]
        right = sum(look.end == end for look in spoken)
        there = sum(look.end == end for look in known)
        by_age = [sum(look.age == age and look.end == end for look in spoken) for age in AGES]
        print(f"{name}: right {right} of {len(spoken)} spoken; {there} are so; right at 5, 10, 20 %: {by_age}")
    verdicts = [(look, _verdict(fits, look)) for look, fits in judged]
    for verdict in ("too high", "too low", "nothing wrong is seen", "silent"):
        ends = Counter(look.end for look, found in verdicts if found == verdict)
        print(f"  {verdict}: {sum(ends.values())}, of which {dict(ends)}")
    for case in sorted({look.case.name for look in known}):
        mine = [(look, found) for look, found in verdicts if look.case.name == case]
        good = {"too high": "high", "too low": "low", "nothing wrong is seen": "fine"}
        spoken_here = [(look, found) for look, found in mine if found != "silent"]
        right = sum(good[found] == look.end for look, found in spoken_here)
        wrong = Counter((found, look.end) for look, found in spoken_here if good[found] != look.end)
        print(f"  {case}: speaks in {len(spoken_here)} of {len(mine)}, right {right}, wrong {dict(wrong)}")
    for name in DISTANCE:
        errors = [(abs(fits[name](look.signals) - look.distance), found) for (look, fits), (_, found) in
                  zip(judged, verdicts, strict=True)]  # fmt: skip
        spoken_errors = [error for error, found in errors if found in ("too high", "too low")]
        whole = np.median([error for error, _ in errors])
        print(f"{name}: median error {whole:.2f} octaves, where spoken {np.median(spoken_errors):.2f}")


def _verdict(fits: dict[str, Fit], look: Look) -> str:
    def probability(name: str) -> float:
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, fits[name](look.signals)))))

    low_model = "too low, with sharpness"
    if not fits[low_model].covers(look.signals):
        low_model = "too low"
    high, low = probability("too high"), probability(low_model)
    if max(high, low) >= SURE:
        return "too high" if high >= low else "too low"
    return "nothing wrong is seen" if max(high, low) <= 1 - SURE else "silent"


def print_worth(*, untouched: bool) -> None:
    """Area under the curve of each signal alone: high against fine, fine against low, at 5, 10 and 20 %."""
    warnings.simplefilter("ignore")
    known = looks(untouched=untouched)
    print(f"{'signal':18} {'high > fine':>20} {'fine > low':>20}    at 5, 10, 20 %, all tasks together")
    for name in SIGNALS:
        areas = [
            _area(known, name, age, above, below)
            for above, below in (("high", "fine"), ("fine", "low"))
            for age in AGES
        ]
        print(f"{name:18} " + "  ".join(f"{area:5.2f}" for area in areas))


def _area(known: Sequence[Look], name: str, age: float, above: str, below: str) -> float:
    def of(end: str) -> np.ndarray:
        found = np.array([look.signals[name] for look in known if look.end == end and look.age == age])
        return found[np.isfinite(found)]

    a, b = of(above)[:, None], of(below)
    return float((a > b).mean() + 0.5 * (a == b).mean()) if a.size and b.size else math.nan


def print_folk(*, untouched: bool) -> None:
    """Rules that people pass on: how often they speak, and are right."""
    known = looks(untouched=untouched)
    for rule, (end, holds) in FOLK.items():
        spoken = [look for look in known if holds(look.signals)]
        right = sum(look.end == end for look in spoken)
        there = sum(look.end == end for look in known)
        print(f"{rule}: right {right} of {len(spoken)} ({right / max(1, len(spoken)):.0%}), finds {right / there:.0%}")
