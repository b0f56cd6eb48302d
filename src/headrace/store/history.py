"""Compute feature values on read: an entity's stored definitions at a tick for each key, from the lake.

Storing every expiry of every lookback would write millions of rows; the engine computes any (key, tick) from the raw
history in one pass. Training, materialisation and the skew audit all use `compute_at`, so their values agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError
from headrace.core.memory import current_limit
from headrace.core.settings import settings
from headrace.lake.keys import read_value, value_text
from headrace.lake.store import Lake, Snapshot
from headrace.problems.catalogue import load_problem
from headrace.schema import Problem, TimeExpression
from headrace.store.published import KEY_TYPES, LAKE_TYPES, KeyType, Published, View
from headrace.synthesis.engines import engine_of
from headrace.synthesis.history.known_time import effective_known
from headrace.synthesis.language.columns import ARRIVAL, clock_of
from headrace.synthesis.language.definitions import Aggregate, Kind, Stored
from headrace.synthesis.language.parquet_tables import read_in_parts
from headrace.synthesis.language.values import as_array

#: Keys computed and written at a time when a view is materialised: bounds memory, not accuracy.
KEYS_PER_CHUNK = 50_000

#: How a value of each kind is stored. A time is its microseconds: Feast's own timestamp type keeps seconds only.
STORED_TYPES: Mapping[Kind, pa.DataType] = {
    "numeric": pa.float64(),
    "boolean": pa.float64(),
    "categorical": pa.string(),
    "text": pa.string(),
    "time": pa.int64(),
}
_snapshots: dict[tuple[Path, str], Snapshot] = {}


def current_snapshot(root: Path, problem: str) -> Snapshot:
    """Return the current snapshot of a problem's lake; cached with its tables until a batch is added."""
    snapshot = Lake(root, problem).snapshot()
    cached = _snapshots.get((root, problem))
    if cached is None or cached.fingerprint != snapshot.fingerprint:
        if cached is not None:
            snapshot.reuse(cached)
        _snapshots[root, problem] = cached = snapshot
    return cached


def key_type(problem: Problem, schema: pa.Schema, join_key: str) -> KeyType:
    """Return the type of a join key in the lake; "string" for a column that is all null.

    Raises:
        DataError: The carrier table has no such column.
    """
    position = schema.get_field_index(join_key)
    if position < 0:
        raise DataError(
            f"no join key column {join_key!r}", where=f"{problem.name}.{problem.carrier}", found=schema.names
        )
    kinds = {kind: name for name, kind in LAKE_TYPES.items()}
    return kinds.get(schema.field(position).type, "string")


def stored_keys(values: pa.ChunkedArray, kind: KeyType) -> pa.ChunkedArray:
    """Convert join-key values [n] of the lake or of an entity frame to the store's representation."""
    if kind in ("string", "int64") or pa.types.is_null(values.type):
        return values.cast(KEY_TYPES[kind])
    encoded = as_array(values).dictionary_encode()
    texts = [value_text(read_value(value, LAKE_TYPES[kind])) for value in encoded.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string()).take(encoded.indices)])


def compute_at(
    problem: Problem,
    definitions: Sequence[Stored],
    join_keys: Sequence[str],
    keys: pa.Table,
    snapshot: Snapshot,
) -> pa.Table:
    """Compute stored definitions at a tick for each key.

    Args:
        problem: The declared problem.
        definitions: What to compute.
        join_keys: Names of the key columns.
        keys: Join keys and `tick` (int64 us) of each row [n].
        snapshot: The lake's tables.

    Returns:
        One column per definition [n], in the order of `keys`; null where a join key is null.
    """
    has_key = np.ones(keys.num_rows, dtype=bool)
    for name in join_keys:
        has_key &= pc.is_valid(keys[name]).to_numpy()
    all_have_keys = bool(has_key.all())
    queries = keys if all_have_keys else keys.filter(pa.array(has_key))
    if definitions and queries.num_rows:
        values = engine_of(problem, max_memory=_memory_limit()).compute(problem, definitions, queries, snapshot)
        if values.num_rows != queries.num_rows:
            raise DataError(f"the engine returned {values.num_rows} rows for {queries.num_rows}", where=problem.name)
        columns = [stored_values(values[item.slug], item) for item in definitions]
    else:
        columns = [pa.chunked_array([pa.nulls(queries.num_rows, STORED_TYPES[item.kind])]) for item in definitions]
    if not all_have_keys:
        positions = pa.array(np.cumsum(has_key) - 1, mask=~has_key)
        columns = [column.take(positions) for column in columns]
    return pa.table(columns, names=[item.slug for item in definitions])


def _memory_limit() -> int | None:
    """That of the running stage; elsewhere the setting's."""
    limit = current_limit()
    return settings().max_memory if limit is None else limit


def stored_values(values: pa.ChunkedArray, definition: Stored) -> pa.ChunkedArray:
    """Convert a computed column to the store's type of its kind, with null for NaN."""
    stored_type = STORED_TYPES[definition.kind]
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("us", tz=values.type.tz))
    if values.type != stored_type:
        values = values.cast(stored_type)
    if pa.types.is_floating(stored_type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, stored_type), values)
    return values


def entity_rows(
    published: Published, problem: Problem, view: View, slugs: Sequence[str], snapshot: Snapshot, tick_us: int
) -> Iterator[pa.Table]:
    """Compute a view at one tick, in chunks of join keys and columns, with a row for every key of `known_keys`."""
    keys = known_keys(published, problem, view, snapshot, tick_us)
    definitions = view.select(slugs)
    for start in range(0, keys.num_rows, KEYS_PER_CHUNK):
        chunk = keys.slice(start, KEYS_PER_CHUNK)
        queries = chunk.append_column("tick", pa.array(np.full(chunk.num_rows, tick_us, dtype=np.int64)))
        values = compute_at(problem, definitions, view.join_keys, queries, snapshot)
        yield pa.table([*chunk.columns, *values.columns], names=[*view.join_keys, *values.column_names])


def known_keys(published: Published, problem: Problem, view: View, snapshot: Snapshot, tick_us: int) -> pa.Table:
    """Return the sorted keys that occur before a tick in any table that the view's definitions read.

    Not only the spine's table counts: a plane that never flew has seats. For any other key every definition has its
    empty value.
    """
    key_tables = []
    for name, columns in _key_columns(problem, view):
        table = problem.entity_set.table(name)
        clock = clock_of(problem, table, columns)
        times = [TimeExpression.parse(text).column for text in clock]
        for rows in read_in_parts(snapshot, name, [*dict.fromkeys([*columns, *times, ARRIVAL])]):
            known = effective_known(table, clock, rows) < tick_us
            renamed = rows.select(list(columns)).rename_columns(list(view.join_keys)).filter(pa.array(known))
            keys = {key: stored_keys(renamed[key], published.key_types[key]) for key in view.join_keys}
            key_tables.append(_distinct(pa.table(keys)))
    return _distinct(pa.concat_tables(key_tables)).sort_by([(key, "ascending") for key in view.join_keys])


def _distinct(keys: pa.Table) -> pa.Table:
    return keys.drop_null().group_by(keys.column_names).aggregate([])


def _key_columns(problem: Problem, view: View) -> list[tuple[str, tuple[str, ...]]]:
    """Return the tables that contain a view's keys, each with its key columns in the order of the join keys."""
    columns: dict[tuple[str, tuple[str, ...]], None] = {(problem.carrier, view.join_keys): None}
    parent = problem.entity(view.entity).parent
    for item in view.definitions:
        if isinstance(item, Aggregate):
            columns.update(dict.fromkeys(problem.sources_by_key(item.table, item.keys).items()))
        elif parent is not None:
            columns[parent[0], (parent[1],)] = None
    return list(columns)


def problem_of(published: Published) -> Problem:
    """Load the problem by the reference that it was published with."""
    return load_problem(published.reference)
