"""Predictions for the rows of a spine, with features computed from the lake at each row's own tick, in chunks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.lake.store import Snapshot
from headrace.models.bundle import Bundle
from headrace.schema import Problem
from headrace.synthesis.language.engine import Engine
from headrace.synthesis.matrix.matrix import feature_matrix

#: Rows whose features are in memory at once.
_CHUNK = 200_000


def predict_spine(
    problem: Problem, bundle: Bundle, spine: pa.Table, snapshot: Snapshot, engine: Engine, *, threads: int = 1
) -> NDArray[np.float64]:
    """Predict the rows of a spine.

    Args:
        problem: Declares the tables.
        bundle: The model.
        spine: Join keys, `cutoff` and `tick` (int64 us) and the row's own columns [n].
        snapshot: The tables. Nothing known at or after a row's tick is used for it.
        engine: Computes the features.
        threads: Threads of the model.

    Returns:
        Probabilities or numbers [n], in the spine's order.
    """
    parts = [
        bundle.predict(feature_matrix(problem, bundle.definitions, rows, snapshot, engine), threads=threads)
        for rows in _chunks(spine)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def frozen_at(spine: pa.Table, instant_us: int, tick_us: int) -> pa.Table:
    """Return a spine whose ticks are at most an instant: features are computed as if nothing later was recorded.

    Cutoffs do not change, so the time since an event still grows until the row's own cutoff.

    Args:
        spine: Rows with `tick` (int64 us) [n].
        instant_us: The instant at which the database is frozen.
        tick_us: The problem's tick.
    """
    ticks = np.minimum(spine["tick"].to_numpy(), instant_us - instant_us % tick_us)
    return spine.set_column(spine.column_names.index("tick"), "tick", pa.array(ticks))


def _chunks(spine: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, spine.num_rows, _CHUNK):
        yield spine.slice(start, _CHUNK)
