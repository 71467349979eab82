"""What a training shows of its rate while it is young: numbers without units, from probes and losses.

    peak               highest mean of 8 losses in a row, over chance
    level              mean of the last 16 losses, over chance
    update ratio       median over layers of |Δw| / |w|
    first over last    |∂L/∂h| of the first layer over that of the last
    gradient growth    |g| over |g| at update 1
    weight growth      median over layers of |w| over |w| at update 1
    path               update ratio times updates made: how far weights would have moved in a straight line
    alive              mean over layers of the share of channels that get a gradient
    critical ratio     rate over the least one at which this update would raise its batch's loss
    sharpness share    sharpness over the limit of the optimizer
    sharpness growth   sharpness over that at update 1
    noise scale        over the batch size

Losses above four times chance count as that. Of several rows the median; a signal that was not seen is nan. Without a
known chance the mean of the first eight losses stands for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from calando.records.probe import ProbeRow

__all__ = ["SIGNALS", "signals_of"]

SMOOTHED, LEVEL = 8, 16
MOST = 4.0

SIGNALS: dict[str, str] = {
    "peak": "highest mean of 8 losses in a row, over chance",
    "level": "mean of the last 16 losses, over chance",
    "update ratio": "|Δw| / |w|, median over layers",
    "first over last": "gradient at the first layer, over that at the last",
    "gradient growth": "gradient norm, over that at the start",
    "weight growth": "size of weights, over that at the start, median over layers",
    "path": "update ratio times updates made",
    "alive": "share of channels that get a gradient, mean over layers",
    "critical ratio": "rate, over the least one that raises the batch's loss",
    "sharpness share": "sharpness, over the most that the method bears at this rate",
    "sharpness growth": "sharpness, over that at the start",
    "noise scale": "noise of one sample's gradient over the mean one, in batches",
}
"""Name -> what it is."""


def signals_of(
    start: ProbeRow, rows: Sequence[ProbeRow], *, losses: np.ndarray, chance: float | None, batch: int | None = None
) -> dict[str, float]:
    """All signals by name.

    Args:
        start: the row of update 1, or the earliest there is.
        rows: of the age that is judged.
        losses: the training losses up to there; may be empty.
        chance: the loss of a network that knows nothing of the inputs, above 0.
        batch: samples in a batch.
    """
    return {
        **_of_losses(losses, chance),
        "update ratio": _median(v for row in rows for v in _seen(layer.update_ratio for layer in row.layers)),
        "first over last": _median(_first_over_last(row) for row in rows),
        "gradient growth": _over(start, rows, lambda row: row.gradient_norm),
        "weight growth": _median(v for row in rows for v in _weights_over(row, start)),
        "path": _median(v * (row.step + 1) for row in rows for v in _seen(layer.update_ratio for layer in row.layers)),
        "alive": _median(1 - _mean(_seen(layer.dead for layer in row.layers)) for row in rows),
        "critical ratio": _median(_seen(row.ratio for row in rows)),
        "sharpness share": _median(_share(row) for row in rows),
        "sharpness growth": _over(start, rows, lambda row: row.sharpness),
        "noise scale": _noise(rows, batch),
    }


def _of_losses(losses: np.ndarray, chance: float | None) -> dict[str, float]:
    finite = losses[np.isfinite(losses)]
    if len(finite) < SMOOTHED:
        return {"peak": math.nan, "level": math.nan}
    known = chance if chance is not None and chance > 0 else float(np.mean(finite[:SMOOTHED]))
    if known <= 0:
        return {"peak": math.nan, "level": math.nan}
    capped = np.minimum(finite, MOST * known) / known
    smooth = np.convolve(capped, np.ones(SMOOTHED) / SMOOTHED, "valid")
    return {"peak": float(np.max(smooth)), "level": float(np.mean(capped[-LEVEL:]))}


def _first_over_last(row: ProbeRow) -> float:
    found = _seen(layer.gradient for layer in row.layers)
    return found[0] / found[-1] if len(found) > 1 and found[-1] > 0 else math.nan


def _weights_over(row: ProbeRow, start: ProbeRow) -> list[float]:
    before = {layer.name: layer.weight for layer in start.layers}
    return [layer.weight / first for layer in row.layers if layer.weight and (first := before.get(layer.name))]


def _share(row: ProbeRow) -> float:
    if row.sharpness is None or not row.limit or not math.isfinite(row.limit):
        return math.nan
    return row.sharpness / row.limit


def _noise(rows: Sequence[ProbeRow], batch: int | None) -> float:
    noise = sum(_seen(row.noise for row in rows))
    signal = sum(_seen(row.signal for row in rows))
    return noise / signal / batch if batch and signal > 0 else math.nan


def _over(start: ProbeRow, rows: Sequence[ProbeRow], value: Callable[[ProbeRow], float | None]) -> float:
    first, found = value(start), _seen(value(row) for row in rows)
    return _median(found) / first if first and found else math.nan


def _seen(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _median(values: Iterable[float]) -> float:
    found = [value for value in values if math.isfinite(value)]
    return float(np.median(found)) if found else math.nan
