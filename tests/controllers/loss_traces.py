"""Training losses as they may come, in ten classes: what is only noise, and what went wrong."""

import math

import numpy as np

from calando.controllers import Observation

CHANCE = math.log(10)


def falling(rng, n):
    """From chance to somewhere between 0.001 and 1, at some pace."""
    end = 10 ** rng.uniform(-3, 0)
    return end + (CHANCE * rng.uniform(0.95, 1.1) - end) * np.exp(-np.arange(n) * rng.uniform(3, 30) / n)


def normal(rng, n):
    return np.abs(falling(rng, n) * (1 + rng.uniform(0.02, 0.3) * rng.standard_normal(n)))


def lognormal(rng, n):
    sigma = rng.uniform(0.2, 1.5)
    return falling(rng, n) * np.exp(sigma * rng.standard_normal(n) - sigma**2 / 2)


def student(rng, n):
    """Two degrees of freedom: no variance."""
    return np.abs(falling(rng, n) * (1 + rng.uniform(0.05, 0.3) * rng.standard_t(2, n)))


def cauchy(rng, n):
    """No mean."""
    return np.abs(falling(rng, n) * (1 + rng.uniform(0.05, 0.2) * rng.standard_cauchy(n)))


def outliers(rng, n):
    """One batch in twenty is 3 to 100 times as hard."""
    return normal(rng, n) * np.where(rng.random(n) < 0.05, rng.uniform(3, 100, n), 1)


def correlated(rng, n):
    noise, memory = rng.standard_normal(n), rng.uniform(0.3, 0.95)
    for t in range(1, n):
        noise[t] = memory * noise[t - 1] + math.sqrt(1 - memory**2) * noise[t]
    return falling(rng, n) * np.exp(rng.uniform(0.05, 0.3) * noise)


def drifting_up(rng, n):
    """A rate that warms up makes the loss rise again by up to 60 %."""
    low, rise = rng.uniform(0.2, 0.6) * CHANCE, rng.uniform(1.2, 1.6)
    places, levels = [0, 0.1, rng.uniform(0.15, 0.5), 0.6, 1], [CHANCE, low, low * rise, 0.9 * low * rise, 0.3 * low]
    mean = np.interp(np.linspace(0, 1, n), places, levels)
    return np.abs(mean * (1 + rng.uniform(0.02, 0.2) * rng.standard_normal(n)))


def restarting(rng, n):
    """Warm restarts: within a few updates from almost nothing to up to 0.4 of chance."""
    t, cycle = np.arange(n), n // 4
    low, high = 10 ** rng.uniform(-3, -0.5), rng.uniform(0.2, 0.4) * CHANCE
    jump = low + (high - low) * (1 - t % cycle / cycle) * (1 - np.exp(-(t % cycle) / rng.uniform(1, 10)))
    return np.abs(np.where(t < cycle, falling(rng, n), jump) * (1 + rng.uniform(0.02, 0.3) * rng.standard_normal(n)))


def rising_first(rng, n):
    """Momentum carries the first updates too far: up to twice chance."""
    t, width = np.arange(n), rng.uniform(5, 30)
    bump = CHANCE * rng.uniform(0, 1) * t / width * np.exp(1 - t / width)
    return np.abs((falling(rng, n) + bump) * (1 + rng.uniform(0.02, 0.15) * rng.standard_normal(n)))


def not_learning(rng, n):
    """A network that stays at chance level for long, as those without normalisation do."""
    return np.abs(CHANCE * rng.uniform(1, 1.1) * (1 + rng.uniform(0.001, 0.15) * rng.standard_normal(n)))


NOISE = (
    normal, lognormal, student, cauchy, outliers, correlated, drifting_up, restarting, rising_first, not_learning,
)  # fmt: skip


def ask(controller, losses, *, state=None, chance=CHANCE, dead=None):
    """What a controller answers to a trace: the actions, up to the first rewind or stop, and its last state."""
    state, actions = controller.initial() if state is None else state, []
    for step, loss in enumerate(losses):
        seen = Observation(step=step, loss=float(loss), chance=chance, dead=dead and dead(step))
        state, action = controller.respond(state, seen)
        actions.append(action)
        if action.rewind or action.stop:
            break
    return actions, state
