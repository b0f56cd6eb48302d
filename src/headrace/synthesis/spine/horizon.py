"""Labels with a horizon: an aggregation over what happens in [cutoff, cutoff + horizon), by the engine of the features.

The engine reads, of each row of the label's table, the version in effect at `now`, as if known at its event time. A
lookback of one horizon before the horizon's end is then the label's period.

A label is mature when its horizon has passed, when the last event in it would have been known (a table whose rows are
known a day late delays it by a day), and when all values of the events in it are known: an order whose refund is not
settled delays all labels that count refunds. It is not mature earlier even where it is certain earlier: otherwise the
rows nearest to now would all be true. For the same reason there is no label where the entity was not observed until the
horizon's end (`until`), even if something happened before.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.core.errors import DataError, DeclarationError
from headrace.schema import Entity, EntitySet, HorizonLabel, Problem, Table
from headrace.schema.expressions import OPERATORS
from headrace.synthesis.history.keys import plain
from headrace.synthesis.history.known_time import declared_delay_us
from headrace.synthesis.language.columns import ARRIVAL, ORDER, clock_of, column_kinds, is_text
from headrace.synthesis.language.definitions import Aggregate, Condition, Kind, RowColumn
from headrace.synthesis.language.engine import Engine, Tables
from headrace.synthesis.language.parquet_tables import read_columns, schema_of
from headrace.synthesis.language.values import Floats, Ints, as_array, instants, numbers
from headrace.synthesis.primitives import AGGREGATIONS, Aggregation, aggregation
from headrace.synthesis.spine.effective_rows import KNOWN, EffectiveTable, effective_rows

_KINDS: dict[str, Kind] = {"numeric": "numeric", "categorical": "categorical", "boolean": "boolean"}


def horizon_labels(
    problem: Problem, snapshot: Tables, keys: pa.Table, cutoffs: Ints, now_us: int, engine: Engine
) -> tuple[Floats, Ints]:
    """Compute labels with a horizon.

    Args:
        problem: declares the label.
        snapshot: the tables.
        keys: the join keys of the label's entity [n].
        cutoffs: in us [n].
        now_us: labels known by then are given.
        engine: computes the aggregation.

    Returns:
        Labels as known at `now_us`, NaN where they are not [n]; when they become known, in us, NEVER where they do
        not [n].

    Raises:
        DeclarationError: the primitive gives no number.
        DataError: the primitive cannot aggregate the column.
    """
    label = problem.label_expression
    assert isinstance(label, HorizonLabel)
    entity, columns = problem.label_entity(label)
    table = problem.entity_set.table(label.table)
    assert table.time is not None  # a Problem without it cannot be declared
    _check(label, schema_of(snapshot, label.table))
    clock = clock_of(problem, table, (*columns, table.time, *label.columns))
    queries = pa.table({name: keys[name] for name in entity.join_keys} | {"tick": pa.array(cutoffs + label.horizon_us)})
    bare = _at_event_time(problem, table)
    with tempfile.TemporaryDirectory() as folder:
        read = (*columns, *label.columns)
        replaced = EffectiveTable(problem, table, clock, read, snapshot, now_us, Path(folder))
        value = _aggregate(bare, label, entity.name, columns, replaced)
        wait = Aggregate(**{**vars(value), "column": KNOWN, "primitive": "max", "kind": "numeric", "where": None})
        results = engine.compute(bare, [value, wait], queries, replaced)
    values, last = (numbers(as_array(results[item.slug])) for item in (value, wait))
    empty = aggregation(label.primitive).empty
    values = values if empty is None else np.where(np.isnan(values), empty, values)
    values = np.where(_null_keys(queries, entity.join_keys), np.nan, values)
    if label.until is not None:
        observed = _observed_until(problem, label.until, entity, snapshot, keys[entity.join_keys[0]], now_us)
        values = np.where(cutoffs + label.horizon_us > observed, np.nan, values)
    known = cutoffs + label.horizon_us + declared_delay_us(table, clock)
    known = np.maximum(known, np.where(np.isnan(last), BEFORE_ALL, last).astype(np.int64))
    known[np.isnan(values)] = NEVER
    if label.operator:
        values = np.where(np.isnan(values), np.nan, OPERATORS[label.operator](values, label.value))
    return np.where(known <= now_us, values, np.nan), known


def _observed_until(
    problem: Problem, column: str, entity: Entity, snapshot: Tables, keys: pa.ChunkedArray, now_us: int
) -> Ints:
    """Until when the entity of each key is observed, as known by now, in us [n]; NEVER where no end is known."""
    assert entity.parent is not None  # a label's entity has a table
    table = problem.entity_set.table(entity.parent[0])
    clock = clock_of(problem, table, (*table.keys, column))
    needed = [*dict.fromkeys([*table.keys, entity.parent[1], column, *table.time_columns, ARRIVAL, ORDER])]
    rows = effective_rows(problem, table, clock, read_columns(snapshot, table.name, needed), now_us)
    rows = rows.filter(pc.less_equal(rows[KNOWN], now_us))
    place = pc.index_in(plain(keys), value_set=plain(rows[entity.parent[1]]))
    return instants(rows[column].take(place))


def _at_event_time(problem: Problem, table: Table) -> Problem:
    """The problem with the label's table known at its event time."""
    bare = replace(table, known=None, known_at={}, resolution=None)
    tables = tuple(bare if item.name == table.name else item for item in problem.entity_set.tables)
    return replace(problem, entity_set=EntitySet(tables=tables, relationships=problem.entity_set.relationships))


def _check(label: HorizonLabel, schema: pa.Schema) -> None:
    """Raises DeclarationError where the primitive gives no number, DataError where it cannot read the column."""
    primitive = aggregation(label.primitive)
    numbers_only = [item.name for item in AGGREGATIONS.values() if _gives_a_number(item)]
    if label.primitive not in numbers_only:
        raise DeclarationError(f"{label.primitive!r} gives no number to predict", where="label", found=numbers_only)
    for column in label.columns:
        if column not in schema.names:
            raise DataError(f"no label column {column!r}", where=label.table, found=schema.names)
    if not label.of and not primitive.rows:
        raise DataError(
            f"{label.primitive} needs a column",
            where=label.table,
            fix=f'write {label.primitive}("{label.table}.column")',
        )
    kind = schema.field(label.of).type if label.of else pa.int64()
    of = "categorical" if is_text(kind) else "time" if pa.types.is_temporal(kind) else "numeric"
    if of != "numeric" and (of not in primitive.inputs or primitive.result is None):  # None: the column's own kind
        raise DataError(
            f"{label.primitive} of a column of type {kind}",
            where=f"{label.table}.{label.of}",
            fix="name a column of numbers",
        )


def _gives_a_number(primitive: Aggregation) -> bool:
    return primitive.result not in ("categorical", "time") and primitive.outputs == 1 and primitive.finish is None


def _aggregate(bare: Problem, label: HorizonLabel, entity: str, keys: tuple[str, ...], snapshot: Tables) -> Aggregate:
    kinds = column_kinds(bare, {item.name: schema_of(snapshot, item.name) for item in bare.entity_set.tables})
    where = label.where
    return Aggregate(
        entity=entity,
        table=label.table,
        keys=keys,
        column=label.of,
        primitive=label.primitive,
        lookback_us=label.horizon_us,
        kind="numeric",
        where=None
        if where is None
        else Condition(
            on=RowColumn(column=where.column, kind=_KINDS.get(kinds[label.table, where.column], "categorical")),
            operator=where.operator,  # type: ignore[arg-type]
            value=float(where.value) if isinstance(where.value, bool) else where.value,  # type: ignore[arg-type]
        ),
    )


def _null_keys(queries: pa.Table, names: tuple[str, ...]) -> Floats:
    null = np.zeros(queries.num_rows, dtype=np.bool_)
    for name in names:
        null |= as_array(queries[name]).is_null().to_numpy(zero_copy_only=False)
    return np.asarray(null)
