"""Windows of a world that stands still, and shifts planted into it: for the tests and for benchmarks/bench_drift.py."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.core.clock import DAY
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION

_LETTERS = np.array([f"carrier {letter}" for letter in "abcdefgh"])
_MIX = np.array([0.30, 0.20, 0.20, 0.10, 0.10, 0.05, 0.03, 0.02])


def window(rng: np.random.Generator, rows: int, kinds: dict[str, str]) -> pa.Table:
    """Features by kind (numeric in turn normal, heavy-tailed, counts, with missing rows), label and prediction."""
    columns: dict[str, np.ndarray | pa.Array] = {}
    for i, (name, kind) in enumerate(kinds.items()):
        columns[name] = _categories(rng, rows) if kind == "categorical" else _numbers(rng, rows, i)
    chance = 1 / (1 + np.exp(1.2 - rng.normal(size=rows)))
    columns[PREDICTION] = chance
    columns[LABEL] = (rng.random(rows) < chance).astype(np.float64)
    return pa.table(columns)


def features(numeric: int, categorical: int) -> dict[str, str]:
    """Names and kinds of as many features."""
    return {f"n{i}": "numeric" for i in range(numeric)} | {f"c{i}": "categorical" for i in range(categorical)}


def _categories(rng: np.random.Generator, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(rng.choice(8, rows, p=_MIX)), pa.array(_LETTERS)).dictionary_decode()


def _numbers(rng: np.random.Generator, rows: int, which: int) -> np.ndarray | pa.Array:
    if which % 4 == 1:
        return rng.lognormal(0, 1, size=rows)
    if which % 4 == 2:
        return rng.poisson(1.5, size=rows).astype(np.float64)
    values = rng.normal(size=rows)
    return pa.array(values, mask=rng.random(rows) < 0.04) if which % 4 == 3 else values


def planted(rng: np.random.Generator, table: pa.Table, column: str, shift: str, size: float) -> pa.Table:
    """The window with one shift. mean: added, in standard deviations. spread: the standard deviation is multiplied.
    mix: this share of rows moves to the rarest category. missing: this share of rows loses its value. label rate:
    this many more of 100 labels are true.
    """
    if shift == "label rate":
        label = table[LABEL].to_numpy()
        false = label.mean() < 1 and size / (1 - label.mean())
        moved = np.where((label == 0) & (rng.random(len(label)) < false), 1.0, label)
        return table.set_column(table.column_names.index(LABEL), LABEL, pa.array(moved))
    values = table[column].to_numpy()
    chosen = rng.random(len(values)) < size
    if shift == "mean":
        changed = pa.array(values + size)
    elif shift == "spread":
        changed = pa.array(values * size)
    elif shift == "mix":
        changed = pa.array(np.where(chosen, _LETTERS[-1], values))
    else:
        changed = pa.array(values, mask=chosen)
    return table.set_column(table.column_names.index(column), column, changed)


def timed(rng: np.random.Generator, table: pa.Table, first: int, last: int) -> pa.Table:
    """The table with cutoffs, uniform in the days [first, last)."""
    return table.append_column(CUTOFF, pa.array(np.sort(rng.integers(first * DAY, last * DAY, table.num_rows))))


def lived(
    rng: np.random.Generator, rows: int, days: int, kinds: dict[str, str], *, entities: int, memory: float
) -> tuple[pa.Table, pa.Table]:
    """Reference and last week of one still world whose rows are not independent.

    Each feature is a value that an entity has that day, seen by all of its rows of the day: the entity's own level,
    and what moves from day to day with autocorrelation `memory`, half of it common to all below 1,000 entities.
    rows: of the week; the reference is 5,000 rows of the `days` before. Labels and predictions are those of `window`.
    """
    levels = {name: _days(rng, days + 7, entities, memory) for name in kinds}
    sides = []
    for first, last, size in ((0, days, 5_000), (days, days + 7, rows)):
        day, entity = np.sort(rng.integers(first, last, size)), rng.integers(0, entities, size)
        table = window(rng, size, kinds)
        for name, kind in kinds.items():
            value = levels[name][day, entity]
            cells = np.clip(np.floor((value + 2) * 2), 0, 7).astype(int)
            changed = pa.array(value if kind == "numeric" else _LETTERS[cells])
            table = table.set_column(table.column_names.index(name), name, changed)
        table = table.append_column("_entity_e", pa.array(entity))
        sides.append(table.append_column(CUTOFF, pa.array(day * DAY + rng.integers(0, DAY, size))))
    return sides[0], sides[1]


def _days(rng: np.random.Generator, days: int, entities: int, memory: float) -> np.ndarray:
    """Values [days, entities]: AR(1) from day to day, of variance 1, around levels of variance 1."""
    shocks = rng.normal(size=(days, entities)) + (rng.normal(size=(days, 1)) if entities < 1_000 else 0.0)
    values = shocks / shocks.std()
    for day in range(1, days):
        values[day] = memory * values[day - 1] + np.sqrt(1 - memory**2) * values[day]
    return np.asarray((values + rng.normal(size=entities)) / np.sqrt(2))
