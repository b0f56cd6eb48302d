"""Prepare the computation of one entity: count keys, find rows with several versions, lay out the partitions.

The tables are read once for their keys (and once more for the versions of rows, where a table's key does not ascend).
What is estimated is the memory of the local engine on a partition:

  row      its columns twice (as they came, and sorted), and 246 bytes for passes, the sort and a kernel's entries
  query    136 bytes, 24 for each lookback, and 20 for each value

Constants are those of `engines.memory.estimate`, which were fitted to measured peaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from headrace.core.errors import DataError, DeclarationError
from headrace.schema import Problem
from headrace.synthesis.engines.memory.estimate import result_bytes
from headrace.synthesis.engines.shuffle.layout import Layout, make_layout, unique_pairs
from headrace.synthesis.engines.shuffle.partition import ShuffleTask
from headrace.synthesis.engines.shuffle.routes import EntityPlan, Route, plan_entity, with_versions
from headrace.synthesis.engines.shuffle.scatter import NO_VERSIONS, QUERY, VersionPairs, count_rows, row_pairs
from headrace.synthesis.history.key_hash import BUCKETS, Hashes, buckets, key_class, key_hashes
from headrace.synthesis.language.parquet_tables import StreamedTables, read_in_parts
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.planning.plan import Group

_ROW_BYTES, _COLUMN_BYTES = 246.0, 32.0
_QUERY_BYTES, _LOOKBACK_BYTES, _VALUE_BYTES = 136.0, 24.0, 2.2


def prepare(
    problem: Problem,
    groups: Sequence[Group],
    keys: pa.Table,
    tables: StreamedTables,
    *,
    partition_bytes: float,
    max_replicated: float,
    slab_rows: int,
) -> ShuffleTask:
    """Plan one entity's computation.

    Args:
        problem: declares the tables.
        groups: the features of one entity.
        keys: the queries: join keys and `tick`.
        tables: the rows.
        partition_bytes: what a partition may take in memory.
        max_replicated: bytes of the tables that every partition may hold whole.
        slab_rows: rows of the matrix that are read back at a time.

    Raises:
        DeclarationError: the features need larger tables whole.
        DataError: keys of two types cannot be compared, or have no hash.
    """
    plan = plan_entity(problem, groups)
    _require_small(problem, plan, tables, max_replicated)
    for route in plan.routes:
        _require_comparable(route, plan.join_keys, keys, tables)
    several = {route.table: _several_versions(route, tables) for route in plan.routes}
    plan = with_versions(plan, frozenset(name for name, hashes in several.items() if len(hashes)))
    ticks = np.asarray(keys["tick"].to_numpy(), dtype=np.int64)
    layout = make_layout(
        _bytes_by_bucket(plan, keys, tables),
        partition_bytes,
        ticks=ticks,
        lookback_us=max((route.lookback_us for route in plan.routes), default=0),
        is_sliceable=bool(plan.sliced),
        needs_whole=bool(plan.whole),
        queried=np.bincount(_query_buckets(plan, keys), minlength=BUCKETS) > 0,
    )
    return ShuffleTask(
        problem=problem,
        handed=tuple(problem.extensions),
        plan=plan,
        layout=layout,
        versions={
            route.table: _version_pairs(problem, route, layout, tables, several[route.table]) for route in plan.routes
        },
        schemas=_schemas(plan, keys, tables),
        slab_rows=slab_rows,
    )


def query_table(plan: EntityPlan, keys: pa.Table) -> pa.Table:
    """The queries of an entity with their row numbers."""
    rows = pa.array(np.arange(keys.num_rows, dtype=np.int64))
    return keys.select([*plan.join_keys, "tick"]).append_column(QUERY, rows)


def _schemas(plan: EntityPlan, keys: pa.Table, tables: StreamedTables) -> dict[str, pa.Schema]:
    schemas = {"": query_table(plan, keys.slice(0, 0)).schema}
    for route in plan.routes:
        schema = tables.schema(route.table)
        schemas[route.table] = pa.schema([schema.field(name) for name in route.columns])
    return schemas


def _require_small(problem: Problem, plan: EntityPlan, tables: StreamedTables, max_replicated: float) -> None:
    size = {name: tables.table_bytes(name) for name in plan.replicated}
    if sum(size.values()) <= max_replicated:
        return
    group = next(group for group in plan.groups if group.tables & set(plan.replicated))
    raise DeclarationError(
        f"features of {group.table} by {', '.join(group.keys)} read rows of rows, so every partition needs these "
        f"tables whole, and they take more than {max_replicated / 1e6:,.0f} MB",
        where=f"{problem.name}: {', '.join(plan.join_keys)}",
        found=[f"{name}: {many / 1e6:,.0f} MB" for name, many in size.items()],
        fix='use depth=1, engine="local" on a machine with more memory, or raise max_replicated',
    )


def _require_comparable(route: Route, join_keys: Sequence[str], keys: pa.Table, tables: StreamedTables) -> None:
    schema = tables.schema(route.table)
    for columns in route.keys:
        for column, name in zip(columns, join_keys, strict=True):
            ours, theirs = (key_class(kind) for kind in (schema.field(column).type, keys.schema.field(name).type))
            if ours != theirs and "null" not in (ours, theirs):
                raise DataError(
                    f"a key of type {keys.schema.field(name).type} is compared with {schema.field(column).type}",
                    where=f"{route.table}.{column}",
                    fix="write both keys alike",
                )


def _bytes_by_bucket(plan: EntityPlan, keys: pa.Table, tables: StreamedTables) -> Floats:
    total = np.zeros(BUCKETS)
    for route in plan.routes:
        row_bytes = _ROW_BYTES + _COLUMN_BYTES * len(route.columns)
        needed = list(dict.fromkeys(column for columns in route.keys for column in columns))
        for rows in read_in_parts(tables, route.table, needed):
            total += row_bytes * count_rows(route, rows)
    lookbacks = {output.lookback_us for group in plan.groups for item in group.columns for output in item.outputs}
    query_bytes = _QUERY_BYTES + _LOOKBACK_BYTES * len(lookbacks) + _VALUE_BYTES * result_bytes(plan.groups)
    queries = np.bincount(_query_buckets(plan, keys), minlength=BUCKETS)
    return np.asarray(total + query_bytes * queries, dtype=np.float64)


def _query_buckets(plan: EntityPlan, keys: pa.Table) -> Ints:
    """The bucket of each query [queries]."""
    return buckets(key_hashes([keys[name] for name in plan.join_keys]))


def _several_versions(route: Route, tables: StreamedTables) -> Hashes:
    """Hashes of the primary keys that more than one row has, ascending; none where the keys ascend."""
    parts: list[Hashes] = []
    ascending, last = True, None
    for rows in read_in_parts(tables, route.table, route.primary):
        values = _ascending_integers(rows, route.primary)
        ascending = ascending and values is not None and (last is None or not len(values) or values[0] > last)
        last = values[-1] if values is not None and len(values) else last
        parts.append(key_hashes([rows[column] for column in route.primary]))
    if ascending or not parts:
        return np.empty(0, dtype=np.uint64)
    hashes = np.concatenate(parts)
    del parts
    hashes.sort()
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


def _ascending_integers(rows: pa.Table, primary: Sequence[str]) -> Ints | None:
    """A key of one column of integers that ascend; None for another."""
    column = rows[primary[0]]
    if len(primary) != 1 or not pa.types.is_integer(column.type) or column.null_count:
        return None
    values = np.asarray(column.to_numpy(), dtype=np.int64)
    return values if (values[1:] > values[:-1]).all() else None


def _version_pairs(
    problem: Problem, route: Route, layout: Layout, tables: StreamedTables, several: Hashes
) -> VersionPairs:
    """Where all versions of a row have to go: wherever one of them does."""
    if not len(several):
        return NO_VERSIONS
    found = list(_pairs_of(problem, route, layout, tables, several))
    hashes, partition = np.concatenate([pair[0] for pair in found]), np.concatenate([pair[1] for pair in found])
    at, partition = unique_pairs([(np.searchsorted(several, hashes), partition)])
    order = np.lexsort((partition, at))
    return VersionPairs(hashes=several[at[order]], partition=partition[order])


def _pairs_of(
    problem: Problem, route: Route, layout: Layout, tables: StreamedTables, several: Hashes
) -> Iterator[tuple[Hashes, Ints]]:
    """Hash and partition of each version of a row with several."""
    for rows in read_in_parts(tables, route.table, route.columns):
        hashes = key_hashes([rows[column] for column in route.primary])
        place = np.minimum(np.searchsorted(several, hashes), len(several) - 1)
        versioned = np.flatnonzero(several[place] == hashes)
        at, partition = row_pairs(problem, route, layout, rows.take(pa.array(versioned)))
        yield hashes[versioned[at]], partition
