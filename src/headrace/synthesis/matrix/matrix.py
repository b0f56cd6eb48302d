"""The feature matrix of a spine: stored definitions by an engine, the rest finished."""

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
    """One column per definition, one row per spine row, in its order (see `finish`)."""
    values = engine.compute(problem, stored(definitions), spine, snapshot)
    given = {item.column: spine[item.column] for item in row_columns(definitions)}
    return finish(
        definitions,
        {name: values[name] for name in values.column_names},
        given,
        spine["tick"].to_numpy(),
        spine["cutoff"].to_numpy(),
    )
