"""Windows of a world that stands still, and shifts planted into it: for the tests and for benchmarks/bench_drift.py."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.models.bundle import LABEL, PREDICTION

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
