"""The distinct join keys of an entity that were known before a tick."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.schema import Problem, TimeExpression
from headrace.synthesis.history.keys import encode_rows, plain
from headrace.synthesis.history.known_time import effective_known
from headrace.synthesis.language.columns import ARRIVAL, clock_of
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import read_columns


def entity_keys(problem: Problem, entity: str, snapshot: Tables, tick_us: int) -> pa.Table:
    """All distinct keys of an entity that the spine's table was known to carry before a tick.

    Returns:
        One column per join key, one row per key, in the order of their first appended row; no nulls.
    """
    table = problem.entity_set.table(problem.carrier)
    join_keys = problem.entity(entity).join_keys
    clock = clock_of(problem, table, join_keys)
    times = [TimeExpression.parse(text).column for text in clock]
    rows = read_columns(snapshot, table.name, [*dict.fromkeys([*join_keys, *times, ARRIVAL])])
    known = effective_known(table, clock, rows)
    rows = rows.select(join_keys).filter(pa.array(known < tick_us))
    columns = {name: plain(rows[name]) for name in join_keys}
    codes, _ = encode_rows(list(columns.values()))
    distinct, first = np.unique(codes, return_index=True)
    return pa.table(columns).take(pa.array(np.sort(first[distinct >= 0])))
