"""The local engine: sort once per (table, key, clock), then prefix sums, deques and two pointers.

Per group: rows get an entity code and are sorted by (code, known time); queries are made distinct and sorted by (code,
tick). A lookback is two positions in the sort. Each column drops what it does not assert (`assertions`) and its nulls
by mapping positions through running counts, so the kernels know no nulls.

Where an assertion was superseded, a window of positions holds more than is true. Such queries (decided by what is known
before their tick alone) are answered from their own list of live entries by the same kernels: exact, and linear in the
window. So are lookbacks on event time.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.core.errors import DataError
from headrace.schema import Problem
from headrace.synthesis.definitions import Stored
from headrace.synthesis.engine import Tables
from headrace.synthesis.engines.keys import encode_pairs, plain
from headrace.synthesis.engines.rows import Rows
from headrace.synthesis.engines.sorting import GroupSort, Queries, sort_group, sort_queries
from headrace.synthesis.engines.windows import column_values
from headrace.synthesis.plan import Group, make_plan
from headrace.synthesis.values import to_arrow


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Computes in this process, on `threads` threads."""

    threads: int = 2

    def compute(self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables) -> pa.Table:
        """See `synthesis.engine.Engine`."""
        plan = make_plan(problem, definitions)
        _check_keys(keys, plan.groups)
        rows = {name: Rows(problem, name, snapshot.table(name)) for name in {group.table for group in plan.groups}}
        largest_first = sorted(plan.groups, key=lambda group: -_work(group))
        with ThreadPoolExecutor(self.threads) as pool:
            parts = list(pool.map(lambda group: _compute_group(group, rows[group.table], keys), largest_first))
        values = {slug: array for part in parts for slug, array in part.items()}
        if not definitions:
            return pa.table({"tick": keys["tick"]}).select([])
        return pa.table({definition.slug: values[definition.slug] for definition in definitions})


def _work(group: Group) -> int:
    return sum(len(column.outputs) for column in group.columns)


def _check_keys(keys: pa.Table, groups: Sequence[Group]) -> None:
    for name in ("tick", *(name for group in groups for name in group.join_keys)):
        if name not in keys.column_names:
            raise DataError(f"no column {name!r} among the keys", where="compute", found=keys.column_names)


def _compute_group(group: Group, rows: Rows, keys: pa.Table) -> dict[str, pa.Array]:
    """Every output of a group, by slug, in the order of `keys`."""
    sort, queries = _sorted(group, rows, keys)
    result: dict[str, pa.Array] = {}
    for work in group.columns:
        for output, values in column_values(rows, sort, queries, work):
            # Answers are for distinct (key, tick); a null key has none.
            spread = pa.array(queries.inverse, mask=queries.null)
            result[output.slug] = to_arrow(values, output.kind).take(spread)
    return result


def _sorted(group: Group, rows: Rows, keys: pa.Table) -> tuple[GroupSort, Queries]:
    ours = [plain(rows.raw(column)) for column in group.keys]
    asked = [plain(keys[column]) for column in group.join_keys]
    codes, wanted = encode_pairs(ours, asked)
    ticks = np.asarray(keys["tick"].to_numpy(), dtype=np.int64)
    return sort_group(rows, group.clock, codes), sort_queries(wanted, ticks)
