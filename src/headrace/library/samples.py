"""Read two data frames as a reference and a current window, for `headrace.compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import DAY, NEVER
from headrace.core.errors import DataError
from headrace.lake.times import TimeFormat, column_instants
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION
from headrace.monitor.evidence.columns import MIN_ROWS
from headrace.monitor.evidence.values import as_numbers
from headrace.monitor.evidence.weekdays import same_weekdays, spacing_us
from headrace.problems.sources.frames import as_rows
from headrace.synthesis.history.keys import plain
from headrace.synthesis.language.values import instants

#: Prefix of the columns that hold the entities of rows.
_ENTITY = "_entity_"
#: Distinct values from which texts that mostly differ count as identifiers, and their share of the values.
_MANY, _MOSTLY = 100, 0.5
_ROLES = {"label": LABEL, "prediction": PREDICTION}


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Two samples as `window_evidence` takes them.

    Attributes:
        reference: Columns, `_label`, `_prediction`, `_cutoff` and entities where there are any.
        current: The same columns of the window.
        kinds: Column -> numeric, categorical or boolean.
        entities: Column -> columns of the entities that its rows share.
        skipped: Column -> why it is not compared.
        start_us: Start of the window; None without times.
        length_us: Length of the windows whose variance counts; 0 without times.
    """

    reference: pa.Table
    current: pa.Table
    kinds: dict[str, str]
    entities: dict[str, tuple[str, ...]]
    skipped: dict[str, str]
    start_us: int | None = None
    length_us: int = 0


def read_samples(
    reference: Any,
    current: Any,
    *,
    time: str | None,
    entities: Sequence[str],
    roles: Mapping[str, str | None],
    ignore: Sequence[str],
    tz: str | None,
) -> Samples:
    """Read both frames.

    Args:
        reference: Data frame of the rows to compare with.
        current: Data frame of the rows in question.
        time: Column of times, which both have.
        entities: Columns that name what rows are about.
        roles: "label" and "prediction" -> column.
        ignore: Columns that are not compared.
        tz: Zone of times without one; None: UTC.

    Raises:
        DataError: A frame is none, or lacks a named column; times cannot be read.
    """
    sides = [_plain(as_rows(frame, name)) for frame, name in ((reference, "reference"), (current, "current"))]
    named = [*([time] if time else []), *entities, *(column for column in roles.values() if column), *ignore]
    for side, where in zip(sides, ("reference", "current"), strict=True):
        if missing := [name for name in named if name not in side.column_names and name not in ignore]:
            raise DataError(f"no column {missing[0]!r}", where=where, found=side.column_names, fix="name one of these")
    names = [name for name in dict.fromkeys(n for side in sides for n in side.column_names) if name not in named]
    kinds, skipped = _kinds(sides, names)
    read = [_side(side, kinds, time, entities, roles, tz) for side in sides]
    samples = Samples(
        reference=read[0],
        current=read[1],
        kinds=kinds,
        entities={name: tuple(_ENTITY + one for one in entities) for name in kinds} if entities else {},
        skipped=skipped,
    )
    return samples if time is None else _in_time(samples)


def _plain(rows: pa.Table) -> pa.Table:
    """Without dictionaries, and texts as `string`: pandas and polars have other types for them."""
    columns = {name: plain(rows[name]) for name in rows.column_names}
    views = {name: one.cast(pa.string()) for name, one in columns.items() if pa.types.is_string_view(one.type)}
    return pa.table({**columns, **views})


def _kinds(sides: Sequence[pa.Table], names: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    kinds, skipped = {}, {}
    for name in names:
        columns = [side[name] for side in sides if name in side.column_names]
        kind, reason = _kind(columns[0])
        if reason:
            skipped[name] = reason
        else:
            kinds[name] = kind
    return kinds, skipped


def _kind(column: pa.ChunkedArray) -> tuple[str, str]:
    """The kind of a column, or why it is not compared."""
    if pa.types.is_boolean(column.type):
        return "boolean", ""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return "numeric", ""
    if pa.types.is_string(column.type):
        distinct = len(pc.unique(column))
        if distinct > max(_MANY, _MOSTLY * len(column)):
            return "", f"{distinct:,} different texts in {len(column):,} rows are no categories"
        return "categorical", ""
    if pa.types.is_null(column.type):
        return "numeric", ""
    return "", f"columns of type {column.type} are not compared"


def _side(
    rows: pa.Table,
    kinds: Mapping[str, str],
    time: str | None,
    entities: Sequence[str],
    roles: Mapping[str, str | None],
    tz: str | None,
) -> pa.Table:
    columns: dict[str, Any] = {name: rows[name] for name in kinds if name in rows.column_names}
    for name in entities:
        columns[_ENTITY + name] = rows[name].cast(pa.string())
    for role, column in roles.items():
        if column is not None:
            columns[_ROLES[role]] = _numbers(rows[column], column)
    if time is not None:
        at = instants(column_instants(rows[time], TimeFormat(tz=tz or "UTC", any_date=True), time))
        if missing := int((at == NEVER).sum()):
            raise DataError(f"{missing} rows have no time", where=time, fix="drop these rows, or complete them")
        columns[CUTOFF] = pa.array(at)
    return pa.table(columns)


def _numbers(column: pa.ChunkedArray, name: str) -> pa.Array:
    values = as_numbers(column)
    if values is None:
        raise DataError(f"holds {column.type}, not numbers or truth values", where=name, fix="encode it as 0 and 1")
    return pa.array(values, from_pandas=True)


def _in_time(samples: Samples) -> Samples:
    """The samples with the window's length, and the reference restricted to the window's weekdays, as in monitoring."""
    at = samples.current[CUTOFF].to_numpy()
    if not len(at):
        return samples
    start, end = int(at.min()) // DAY * DAY, (int(at.max()) // DAY + 1) * DAY
    facts = {**samples.__dict__, "start_us": start, "length_us": end - start}
    if (end - start) % (7 * DAY):
        restricted = same_weekdays(samples.reference, start, end)
        if restricted.num_rows >= MIN_ROWS:
            facts |= {"reference": restricted, "length_us": spacing_us(start, end)}
    return Samples(**facts)
