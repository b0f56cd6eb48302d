"""A small table with missing values, a category and signal, for the conformance suite of families."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.core.clock import DAY, HOUR
from headrace.evaluate.splits import Windows, time_windows
from headrace.models.design import Design, Encoder


def matrix(n: int = 600, seed: int = 0) -> pa.Table:
    """Features [n, 5]: x0 and the carrier matter, x3 is empty."""
    rng = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {}
    for i in range(3):
        values = rng.normal(size=n)
        columns[f"x{i}"] = pa.array(values, mask=rng.random(n) < 0.1)
    columns["x3"] = pa.array(np.full(n, np.nan))
    columns["carrier"] = pa.array(rng.choice(["AA", "UA", "né"], n), mask=rng.random(n) < 0.05)
    return pa.table(columns)


def number(table: pa.Table, seed: int = 1) -> np.ndarray:
    """A numeric label."""
    noise = np.random.default_rng(seed).normal(size=table.num_rows) * 0.3
    x0 = np.nan_to_num(table["x0"].to_numpy())
    carrier = np.array([value == "UA" for value in table["carrier"].to_pylist()])
    return np.asarray(2 * x0 + carrier + noise)


def binary(table: pa.Table) -> np.ndarray:
    """A label of 0 and 1."""
    return (number(table) > 0.5).astype(np.float64)


def windows(n: int = 600) -> Windows:
    cutoffs = np.linspace(0, 60 * DAY, n).astype(np.int64)
    return time_windows(cutoffs, cutoffs + HOUR, 100 * DAY)


def design(table: pa.Table) -> Design:
    return Encoder.fit(table).encode(table)
