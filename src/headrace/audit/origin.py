"""Where a feature of a logged prediction comes from: its definition unfolded to the raw rows, at the logged ticks."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from headrace.audit.recompute import Recomputed, key_types_of, view_ticks
from headrace.core.clock import floor_to_tick
from headrace.lake.keys import value_text
from headrace.lake.store import Snapshot
from headrace.schema import Problem
from headrace.store.published import LAKE_TYPES
from headrace.synthesis.explanation.unfold import Node, unfold
from headrace.synthesis.language.definitions import Definition, stored


def feature_tree(
    problem: Problem, definition: Definition, recomputed: Recomputed, row: int, snapshot: Snapshot, *, most: int
) -> Node:
    """Unfold a feature of a logged prediction.

    Args:
        problem: The problem.
        definition: The feature.
        recomputed: Predictions and the columns of their rows.
        row: Position of the prediction.
        snapshot: The lake's present tables.
        most: Number of raw rows of each aggregation, of those that count and of those that do not.
    """
    prediction = recomputed.predictions[row]
    ticks = view_ticks(problem, prediction, stored([definition]))
    return unfold(
        problem,
        definition,
        _query(problem, recomputed, row, snapshot),
        floor_to_tick(prediction.cutoff_us, problem.tick_us),
        snapshot,
        most=most,
        ticks_us={name: tick for name, tick in ticks.items() if tick is not None},
    )


def _query(problem: Problem, recomputed: Recomputed, row: int, snapshot: Snapshot) -> dict[str, Any]:
    """Return the join keys of a prediction, in the types of the lake, and the columns of its row."""
    logged, types = recomputed.predictions[row].join_keys, key_types_of(problem, snapshot)
    keys = {name: pa.scalar(value_text(logged[name]), pa.string()).cast(LAKE_TYPES[types[name]]) for name in types}
    own = {name: recomputed.own[name][row] for name in recomputed.own.column_names}
    return {name: value.as_py() for name, value in (own | keys).items()}
