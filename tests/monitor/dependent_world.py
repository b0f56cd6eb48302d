"""Columns without drift whose rows share entities, days and shocks: for the tests and for benchmarks/bench_drift.py.

A value is a sum of independent parts of total variance 1: the entity's level, a shock of the day common to all
entities, one of the entity's own on that day (both with autocorrelation .8 between days), and noise of the row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headrace.core.clock import DAY

DAYS, WINDOW_DAYS, MEMORY, REFERENCE_ROWS, ENTITIES = 119, 7, 0.8, 5_000, 50


class World(NamedTuple):
    """Variances of the parts. recur: whether the window's entities are those of the reference. skewed: values are
    log-normal, and half of all parts but the noise is common to all columns.
    """

    level: float
    common: float
    daily: float
    noise: float
    recur: bool = True
    skewed: bool = False


WORLDS = {
    "independent rows": World(0, 0, 0, 1),
    "same entities": World(0.5, 0, 0, 0.5),
    "new entities": World(0.5, 0, 0, 0.5, recur=False),
    "entity-day AR .8": World(0, 0, 1, 0),
    "10 % common shock": World(0.3, 0.1, 0.3, 0.3),
    "skewed, correlated": World(0.3, 0.1, 0.3, 0.3, skewed=True),
}


class Sample(NamedTuple):
    """Columns of the reference (each [n]) and of `weeks` windows (each [m]) with the entities; cutoffs in us."""

    reference: list[NDArray[np.float64]]
    current: list[NDArray[np.float64]]
    reference_entities: NDArray[np.int64]
    current_entities: NDArray[np.int64]
    cutoffs: NDArray[np.int64]
    current_cutoffs: NDArray[np.int64]


def draw(rng: np.random.Generator, world: str, *, rows: int, columns: int, weeks: int = 1) -> Sample:
    """Draw a reference of 17 weeks, and `weeks` weeks of `rows` rows after it."""
    parts, days = WORLDS[world], DAYS + WINDOW_DAYS * weeks
    entity, day = rng.integers(0, ENTITIES, REFERENCE_ROWS), rng.integers(0, DAYS, REFERENCE_ROWS)
    later = rng.integers(0, ENTITIES, rows * weeks)
    later_day = DAYS + np.repeat(np.arange(weeks), rows) * WINDOW_DAYS + rng.integers(0, WINDOW_DAYS, rows * weeks)
    shared = _effects(rng, days) if parts.skewed else None
    reference, current = [], []
    for _ in range(columns):
        effects = _effects(rng, days)
        if shared is not None:
            effects = [np.sqrt(0.5) * (own + common) for own, common in zip(effects, shared, strict=True)]
        levels = effects[0] if parts.recur else rng.standard_normal(ENTITIES)
        values = (
            _values(rng, parts, effects, effects[0], entity, day),
            _values(rng, parts, effects, levels, later, later_day),
        )
        before, after = (np.exp(side) for side in values) if parts.skewed else values
        reference.append(before)
        current.append(after)
    cutoffs, later_cutoffs = (days_ * DAY + rng.integers(0, DAY, len(days_)) for days_ in (day, later_day))
    cutoffs[np.argmax(cutoffs)] = DAYS * DAY - 1
    return Sample(reference, current, entity, later + (0 if parts.recur else ENTITIES), cutoffs, later_cutoffs)


def shifted(world: str, values: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """Shift values [m] by standard deviations of their normal scores."""
    return values * np.exp(size) if WORLDS[world].skewed else values + size


def _effects(rng: np.random.Generator, days: int) -> list[NDArray[np.float64]]:
    """Levels of entities [g], common shocks [days, 1], shocks of entities [days, g]; variance 1 each."""
    return [rng.standard_normal(ENTITIES), _autoregressive(rng, days, 1), _autoregressive(rng, days, ENTITIES)]


def _autoregressive(rng: np.random.Generator, days: int, count: int) -> NDArray[np.float64]:
    values = rng.standard_normal((days, count))
    for day in range(1, days):
        values[day] = MEMORY * values[day - 1] + np.sqrt(1 - MEMORY**2) * values[day]
    return values


def _values(
    rng: np.random.Generator,
    parts: World,
    effects: list[NDArray[np.float64]],
    levels: NDArray[np.float64],
    entity: NDArray[np.int64],
    day: NDArray[np.int64],
) -> NDArray[np.float64]:
    _, common, daily = effects
    known = np.sqrt(parts.level) * levels[entity] + np.sqrt(parts.common) * common[day, 0]
    own = np.sqrt(parts.daily) * daily[day, entity] + np.sqrt(parts.noise) * rng.standard_normal(len(day))
    return np.asarray(known + own, dtype=np.float64)
