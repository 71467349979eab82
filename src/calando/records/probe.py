"""What a probe found at one update of a training: a row each, without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

__all__ = ["LayerRow", "ProbeRow"]


@final
@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer with a weight, in the order in which the network runs them.

    Args:
        name: as the network calls it.
        weight: |w| before the update; None where it is not trained.
        update_ratio: |Δw| / |w|; None where the layer is not trained or its weight is 0.
        equilibrium: what the ratio tends to under weight decay, where it is known.
        gradient: |∂L/∂h|, over the whole output of the layer; None where no gradient reached it.
        dead: share of the layer's channels whose gradient is zero for every sample of the batch.
    """

    name: str
    weight: float | None = None
    update_ratio: float | None = None
    equilibrium: float | None = None
    gradient: float | None = None
    dead: float | None = None


@final
@dataclass(frozen=True, kw_only=True)
class ProbeRow:
    """One look at a training.

    Args:
        step: the update that was looked at.
        rate: the first group's, in this update.
        loss: of the update's batch, before it; None where the batch was not given.
        after: of the same batch, after it.
        gradient_norm: |g| as the optimizer got it.
        slope: -<g, d> along the update d: how much the loss would fall if it were straight.
        ratio: the critical ratio, rate over the least rate at which this update raises the batch's loss; 1 and more:
            it raises it. Between 1/256 and 64, what lies outside is held there.
        sharpness: largest eigenvalue of the Hessian, preconditioned as the optimizer does.
        limit: the sharpness at which this optimizer starts to oscillate at this rate.
        noise: trace of the covariance of one sample's gradient.
        signal: square of the mean gradient's norm, estimated without bias, so it may be below 0.
        layers: the network's.
        updates: what the look cost, in updates.
    """

    step: int
    rate: float
    loss: float | None = None
    after: float | None = None
    gradient_norm: float | None = None
    slope: float | None = None
    ratio: float | None = None
    sharpness: float | None = None
    limit: float | None = None
    noise: float | None = None
    signal: float | None = None
    layers: tuple[LayerRow, ...] = ()
    updates: float = 0.0

    @property
    def noise_scale(self) -> float | None:
        """tr Σ / |g|², in samples: below it a larger batch pays, far above it does not; None where it is unknown."""
        if self.noise is None or self.signal is None or self.signal <= 0:
            return None
        return self.noise / self.signal

    @property
    def curvature(self) -> float | None:
        """<d, H d> along the update d, the mean over the step: 2 (f(w + d) - f(w) + slope).

        Exact for a quadratic loss. It stands in for sharpness where that is too dear.
        """
        if self.loss is None or self.after is None or self.slope is None:
            return None
        return 2 * (self.after - self.loss + self.slope)

    def document(self) -> dict[str, Any]:
        """As JSON: a number that is not finite is a string, as JSON has none."""
        found: dict[str, Any] = _written(asdict(self))
        return found

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> ProbeRow:
        """The row of a document.

        >>> row = ProbeRow(step=3, rate=0.1, layers=(LayerRow(name="conv"),))
        >>> ProbeRow.read(row.document()) == row
        True
        """
        layers = tuple(LayerRow(**_read(layer, text=("name",))) for layer in document["layers"])
        row = cls(**{**_read({**document, "layers": None}), "layers": layers})
        if row.step < 0 or not isinstance(row.step, int) or not isinstance(row.rate, float):
            raise ValueError(f"no update and rate: {row.step!r}, {row.rate!r}")
        return row


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _written(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_written(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _read(document: Mapping[str, Any], *, text: tuple[str, ...] = ()) -> dict[str, Any]:
    """Its numbers as such.

    Raises:
        ValueError, TypeError: something else in a number's place.
    """
    found = dict(document)
    for key, value in found.items():
        if key in text:
            if not isinstance(value, str):
                raise TypeError(f"{key} is no text")
        elif value is not None and key != "step":
            found[key] = float(value)
    return found
