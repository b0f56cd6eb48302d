"""Predict any rows, labelled or not: the entities' keys and a cutoff each, at their own cutoffs.

What a row lacks:

| case                                        | answer                                                            |
|---------------------------------------------|-------------------------------------------------------------------|
| no row at all                               | error                                                             |
| a join key or the cutoff is no column       | error                                                             |
| a key of another type than the lake's       | error                                                             |
| an empty cutoff                             | error                                                             |
| an empty key, or one that nothing knows     | predicted from the rest; named in the column `unknown`            |
| the same row twice                          | both are predicted, equally                                       |
| a column of the row that the model reads    | missing, with a note                                              |
| a cutoff after the history's end            | predicted from what is there, with a note                         |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.calendar import earliest_reading
from headrace.core.clock import iso
from headrace.core.errors import DataError, NotFoundError
from headrace.lake.store import Lake, Snapshot
from headrace.lake.times import TIMESTAMP, TimeFormat, column_instants
from headrace.models.bundle import Bundle
from headrace.pipeline.context import Context
from headrace.pipeline.production.champion import champion_bundle, version_bundle
from headrace.pipeline.production.offline_scoring import predict_spine
from headrace.registry.ledger import Ledger
from headrace.schema import Problem
from headrace.synthesis.history.keys import encode_pairs
from headrace.synthesis.language.definitions import row_columns
from headrace.synthesis.language.parquet_tables import read_columns
from headrace.synthesis.language.values import as_array

CUTOFF = "cutoff"


@dataclass(frozen=True, kw_only=True)
class PredictedRows:
    """The predictions of some rows.

    Attributes:
        version: The model version that predicted.
        table: The keys, `cutoff`, `prediction` and `unknown` [n], in the order of the rows.
        notes: What the rows lacked, for people.
    """

    version: str
    table: pa.Table
    notes: tuple[str, ...]


def predict_rows(context: Context, rows: pa.Table, *, version: str | None = None) -> PredictedRows:
    """Predict rows by the champion, or by a named version.

    Args:
        context: Of the problem.
        rows: One column per join key, and `cutoff` or the column that the problem's cutoff is read from [n].
        version: None: the champion.

    Raises:
        DataError: The rows are none, or their columns are not those of the problem.
        NotFoundError: There is no champion, or no such version.
    """
    problem = context.problem
    number, bundle = _model(context, version)
    snapshot = Lake(context.root, problem.name).snapshot()
    spine, notes = spine_of_rows(problem, bundle, rows, snapshot)
    unknown = unknown_entities(problem, spine, snapshot)
    predicted = predict_spine(problem, bundle, spine, snapshot, context.engine, threads=context.workers)
    clock = Lake(context.root, problem.name).clock()
    late = int((spine[CUTOFF].to_numpy() > clock).sum()) if clock is not None else 0
    if late:
        notes.append(f"{late} cutoffs are after {iso(int(clock or 0))}, where the production clock stands")
    if n_unknown := int(pc.sum(pc.not_equal(unknown, "")).as_py() or 0):
        notes.append(f"{n_unknown} rows have a key that is empty or unknown: column `unknown`")
    table = pa.table(
        {
            **{name: spine[name] for name in problem.join_keys},
            CUTOFF: spine[CUTOFF].cast(TIMESTAMP),
            "prediction": pa.array(predicted),
            "unknown": unknown,
        }
    )
    return PredictedRows(version=number, table=table, notes=tuple(notes))


def _model(context: Context, version: str | None) -> tuple[str, Bundle]:
    if version is not None:
        return version, version_bundle(context, version)
    champion = Ledger(context.root, context.problem.name).champion()
    if champion is None:
        raise NotFoundError(
            "no champion", where=context.problem.name, fix="train one with `headrace run`, or name one: --version 1"
        )
    return champion.version, champion_bundle(context, champion)


def spine_of_rows(problem: Problem, bundle: Bundle, rows: pa.Table, snapshot: Snapshot) -> tuple[pa.Table, list[str]]:
    """Build the spine of rows: keys and columns in the lake's types, cutoff and tick (int64 us); and notes."""
    if not rows.num_rows:
        raise DataError("no rows to predict", where=problem.name, fix="give a file with at least one row")
    carrier = snapshot.schema(problem.carrier)
    missing = [name for name in problem.join_keys if name not in rows.column_names]
    if missing:
        raise DataError(
            f"no column {missing[0]!r}", where="rows", found=rows.column_names, fix="each row needs all join keys"
        )
    columns = {name: _as_lake_type(name, rows[name], carrier.field(name).type) for name in problem.join_keys}
    read = dict.fromkeys(item.column for item in row_columns(bundle.definitions) if item.column not in columns)
    absent = [name for name in read if name not in rows.column_names]
    for name in read:
        kind = carrier.field(name).type
        columns[name] = (
            pa.nulls(rows.num_rows, kind)
            if name in absent
            else _instants(problem, name, rows[name], f"rows.{name}")
            if pa.types.is_timestamp(kind)
            else _as_lake_type(name, rows[name], kind)
        )
    notes = [f"the model reads {', '.join(absent)}, which the rows lack: missing"] if absent else []
    cutoffs = cutoffs_of(problem, rows)
    ticks = cutoffs - cutoffs % problem.tick_us
    return pa.table({**columns, CUTOFF: pa.array(cutoffs), "tick": pa.array(ticks)}), notes


def unknown_entities(problem: Problem, spine: pa.Table, snapshot: Snapshot) -> pa.Array:
    """Name the entities of each row whose key is null or stands in no row of the entity's table; "" where none [n].

    An entity without a table of its own, such as a pair of keys, is known if a row of the predicted table has it.
    """
    names = np.full(spine.num_rows, "", dtype=object)
    for entity in problem.all_entities:
        if entity.parent is None:
            name, columns = problem.carrier, entity.join_keys
        else:
            name, columns = entity.parent[0], (entity.parent[1],)
        known = read_columns(snapshot, name, columns)
        mask = ~_among([spine[key] for key in entity.join_keys], [known[column] for column in columns])
        names[mask] = [f"{text}, {entity.name}" if text else entity.name for text in names[mask]]
    return pa.array(names.tolist(), pa.string())


def _among(keys: Sequence[pa.ChunkedArray], known: Sequence[pa.ChunkedArray]) -> npt.NDArray[np.bool_]:
    """Whether each key [n], of one or several columns, is one of those that are known; a null in it is not."""
    _, codes = encode_pairs([as_array(column) for column in known], [as_array(column) for column in keys])
    return np.asarray(codes >= 0)


def cutoffs_of(problem: Problem, rows: pa.Table) -> np.ndarray:
    """The cutoffs [n], int64 us: the column `cutoff`, or what the problem's cutoff is read from."""
    expression = problem.cutoff
    name, offset_us = (CUTOFF, 0) if CUTOFF in rows.column_names else (expression.column, expression.offset_us)
    if name not in rows.column_names:
        raise DataError(
            "no column of cutoffs",
            where="rows",
            found=rows.column_names,
            fix=f"add {CUTOFF!r} or {expression.column!r}",
        )
    instants = _instants(problem, expression.column, rows[name], f"rows.{name}")
    if instants.null_count:
        raise DataError(
            f"{instants.null_count} cutoffs are empty", where=f"rows.{name}", fix="give each row an instant"
        )
    values = np.array(instants.cast(pa.int64()).to_numpy(), dtype=np.int64)
    table = problem.spine_table
    return (earliest_reading(values, table.tz) if table.tz is not None else values) + offset_us


def _instants(problem: Problem, name: str, column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Instants of a column of the rows, which is read as column `name` of the spine's table."""
    return column_instants(column, TimeFormat.of(problem.spine_table, name), where)


def _as_lake_type(name: str, column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """The column in a type of the lake. A text is never read as a number, nor a number written as a text."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    comparable = pa.types.is_null(column.type) or pa.types.is_null(kind) or text == pa.types.is_string(kind)
    try:
        if comparable:
            return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    raise DataError(
        f"{column.type} values where the lake has {kind}",
        where=f"rows.{name}",
        found=[str(value) for value in column.slice(0, 3).to_pylist()],
        fix=f"write the column as {kind}",
    )
