"""Compute the feature matrix of a spine: stored definitions by an engine, the others finished from these."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from headrace.schema import Problem
from headrace.synthesis.language.definitions import Definition, row_columns, stored
from headrace.synthesis.language.engine import Engine, Tables
from headrace.synthesis.primitives.finish import finish


def feature_matrix(
    problem: Problem, definitions: Sequence[Definition], spine: pa.Table, snapshot: Tables, engine: Engine
) -> pa.Table:
    """Compute a feature matrix in memory.

    Args:
        problem: declares the tables.
        definitions: one column each.
        spine: one row each, with `tick` and `cutoff` (us), the join keys and the row's own columns.
        snapshot: the tables.
        engine: computes the stored definitions.

    Returns:
        One column per definition, named by its slug (see `finish`), one row per spine row, in its order.
    """
    values = engine.compute(problem, stored(definitions), spine, snapshot)
    columns = {item.column: spine[item.column] for item in row_columns(definitions)}
    return finish(
        definitions,
        {name: values[name] for name in values.column_names},
        columns,
        spine["tick"].to_numpy(),
        spine["cutoff"].to_numpy(),
    )
