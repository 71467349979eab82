"""What a reader returns of data that are no images with class labels: arrays of any shape, and how they are judged.

    table     inputs float32[N, F]    targets int64[N] (classes) or float32[N, T] (numbers)
    text      inputs int64[N, L]      targets int64[N, L]: the token that follows each

Targets that are numbers are standardised by the training part's moments, so that one learning rate fits any unit:

    target = (value - shift) / scale        a metric in the value's unit, such as RMSE, is multiplied by scale
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["Inputs", "SampleData", "SamplePart", "rows_of"]

Inputs = np.ndarray | Mapping[str, np.ndarray]
"""One array [N, …], or several by name, for a network with several inputs."""


def rows_of(inputs: Inputs) -> int:
    """N.

    >>> rows_of({"a": np.zeros((3, 2)), "b": np.zeros(3)})
    3
    """
    return len(inputs) if isinstance(inputs, np.ndarray) else len(next(iter(inputs.values())))


@dataclass(frozen=True, eq=False)
class SamplePart:
    """One part of the data.

    Args:
        inputs: one array [N, …], or several by name.
        targets: [N, …]; int64 where they are classes, float32 where they are numbers.
        origin: what to call it in an error: the file's name.
    """

    inputs: Inputs
    targets: np.ndarray
    origin: str

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, eq=False)
class SampleData:
    """A data set as read; the validation part is not yet cut from `train`.

    Args:
        loss: by name: "cross_entropy", "mse".
        metric: by name: "accuracy", "rmse", "perplexity"; which way is better is the metric's own.
        class_names: for display; None: the targets are no classes.
        outputs: how many numbers the network gives for a target; None: as many as there are classes, or T.
        cut: the test part was cut off from one whole.
        by_position: the samples follow each other in time or text, so that a part is cut off at the end of the
            training part, and not at random: what is next to each other is alike.
        shift, scale: of the targets, see above; one a column, or none where they are classes.
        notes: sentences for the person: how the reader understood what it found.
        fitted: the same with moments, categories and fillings of these rows of the training part alone, ascending
            int64: those that are trained on, when the validation part is cut off; None: nothing is fitted.
    """

    train: SamplePart
    test: SamplePart
    loss: str
    metric: str
    class_names: tuple[str, ...] | None = None
    outputs: int | None = None
    cut: bool = False
    by_position: bool = False
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    fitted: Callable[[np.ndarray], SampleData] | None = None
