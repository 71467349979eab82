"""A schedule where optax takes one: a function of the count of updates.

rate(count) = base_rate * schedule(min(count, total_steps))        looked up in a table, so it works under jax.jit
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from calando.errors import UsageError
from calando.schedules import Schedule, parse

if TYPE_CHECKING:
    import jax

__all__ = ["as_optax"]


def as_optax(
    schedule: Schedule | str, base_rate: float, *, total_steps: int, steps_per_epoch: int | None = None
) -> Callable[[jax.typing.ArrayLike], jax.Array]:
    """An optax schedule: `optax.sgd(as_optax("cosine(1, 0)", 0.1, total_steps=1000))`.

    Args:
        schedule: a schedule or its text; one without per_group parts (make one of each `.for_group(name)`).
        base_rate: what it multiplies.
        total_steps: the horizon in updates; beyond it the last rate holds.
        steps_per_epoch: needed where the schedule has spans in epochs.

    Returns:
        count, of any shape -> rate, of the same shape, in jax's default float type.

    Raises:
        UsageError: JAX is not installed, or a schedule that does not parse or does not fit the horizon.
    """
    try:
        import jax.numpy as jnp
    except ModuleNotFoundError as error:
        raise UsageError("a schedule for optax needs JAX: pip install 'calando[jax]'") from error

    bound = (parse(schedule) if isinstance(schedule, str) else schedule).bind(
        total_steps, steps_per_epoch=steps_per_epoch
    )
    rates = jnp.asarray(base_rate * bound(np.arange(total_steps + 1)))
    return lambda count: rates[jnp.minimum(count, total_steps)]
