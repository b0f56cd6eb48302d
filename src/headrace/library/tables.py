"""Declare data frames as an entity set, and read them as the engine reads the lake: for `headrace.synthesize`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL
from headrace.core.errors import DataError, DeclarationError
from headrace.lake.conform import ARRIVAL, conform, ignored_columns, required_columns
from headrace.lake.table_schema import ORDER
from headrace.lake.time_like import TimeLike, time_like
from headrace.lake.versions import drop_repeats
from headrace.problems.sources.addresses import table_source
from headrace.problems.sources.frames import FrameSource
from headrace.problems.sources.reading import SourceReader
from headrace.schema import EntitySet, Problem, Relationship, Table, TimeExpression

#: How a relationship may be given: an object, "customers.id -> orders.customer", or the pair of both sides.
Link = Relationship | str | tuple[str, str]


def declare_tables(
    frames: Mapping[str, Any],
    *,
    keys: Mapping[str, str | Sequence[str]],
    relationships: Iterable[Link],
    times: Mapping[str, str],
    known_at: Mapping[str, str],
    tz: str | None,
) -> EntitySet:
    """Declare data frames as tables.

    Args:
        frames: Table -> its rows.
        keys: Table -> the column or columns that identify a row.
        relationships: From a parent's key to a child's column.
        times: Table -> its event time column, or a time expression for when its rows are known.
        known_at: "table.column" -> the time expression at which that column is known.
        tz: Zone of times without one; None: UTC, where no time has a zone.

    Returns:
        The entity set. Tables whose times are dates, months or years have that resolution: a value is known at its end.

    Raises:
        DeclarationError: A table, column or relationship does not exist, or a key is missing.
        DataError: Some times have a zone and others have none.
    """
    rows = {name: FrameSource.of(frame, where=name) for name, frame in frames.items()}
    for what, named in (("keys", keys), ("times", times)):
        for name in named:
            _require(name, list(rows), f"no table {name!r}", what)
    later = _by_table(known_at, rows)
    formats = {name: _formats(rows[name].rows, times.get(name), later.get(name, {})) for name in rows}
    zone = tz or common_zone({f"{t}.{c}": one for t, found in formats.items() for c, one in found.items()})
    tables = [
        Table(
            name=name,
            key=_key(name, source.rows, keys),
            time=TimeExpression.parse(times[name]).column if name in times else None,
            known=times.get(name),
            known_at=later.get(name, {}),
            resolution=_resolution(formats[name]),
            tz=zone,
            source=source,
        )
        for name, source in rows.items()
    ]
    return EntitySet(tables=tuple(tables), relationships=tuple(_relationship(one) for one in relationships))


def with_frames(entity_set: EntitySet) -> EntitySet:
    """Resolve the sources of an entity set's tables; relative paths start at the current folder."""
    return replace(entity_set, tables=tuple(replace(table, source=table_source(table)) for table in entity_set.tables))


@dataclass(frozen=True)
class FrameTables:
    """The tables of a problem in memory, as a snapshot of the lake gives them (`language.engine.Tables`).

    A frame with a column `_arrival` may hold several versions of a key; rows without it have always been there.
    """

    problem: Problem
    _rows: dict[str, pa.Table] = field(default_factory=dict)
    _versions: dict[str, pa.Table] = field(default_factory=dict)

    def table(self, name: str) -> pa.Table:
        """The rows of a table in the lake's types and order, with `_arrival` and `_order`."""
        if name not in self._versions:
            self._versions[name] = _in_order(self.rows(name), self.problem.entity_set.table(name).keys)
        return self._versions[name]

    def rows(self, name: str) -> pa.Table:
        """The rows of a table in the lake's types and the frame's order."""
        if name not in self._rows:
            self._rows[name] = _conformed(self.problem, self.problem.entity_set.table(name))
        return self._rows[name]

    @property
    def schemas(self) -> dict[str, pa.Schema]:
        """The schema of each table."""
        return {table.name: self.table(table.name).schema for table in self.problem.entity_set.tables}


def common_zone(formats: Mapping[str, TimeLike]) -> str | None:
    """Return "UTC" where no time has a zone, None where all have one.

    Raises:
        DataError: Some have one and others do not.
    """
    naive = [name for name, one in formats.items() if one.unit == "instant" and not one.zoned]
    zoned = [name for name, one in formats.items() if one.zoned]
    if naive and zoned:
        raise DataError(
            f"has no time zone, and {zoned[0]} has one",
            where=naive[0],
            found=[f"without a zone: {', '.join(naive)}", f"with one: {', '.join(zoned)}"],
            fix='say in which zone the others were written, as in tz="Europe/Zurich"',
        )
    return None if zoned else "UTC"


def _conformed(problem: Problem, table: Table) -> pa.Table:
    required, ignored = required_columns(problem, table.name), ignored_columns(problem, table)
    rows = conform(table, SourceReader(entity_set=problem.entity_set).rows(table), required=required, ignored=ignored)
    for name in table.keys:
        if missing := rows[name].null_count:
            raise DataError(f"{missing} rows have no key", where=f"{table.name}.{name}", fix="drop or complete them")
    types = [pa.field(one.name, pa.float64() if pa.types.is_null(one.type) else one.type) for one in rows.schema]
    # Columns by name, as batches of the lake have them: the order of columns is that of the candidates.
    return rows.cast(pa.schema(types)).select(sorted(rows.column_names))


def _in_order(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Sort by arrival and key, drop repeated versions, and number the rows."""
    by = [(name, "ascending") for name in keys]
    if ARRIVAL in rows.column_names:
        rows = rows.set_column(rows.column_names.index(ARRIVAL), ARRIVAL, rows[ARRIVAL].cast(pa.int64()))
        by.insert(0, (ARRIVAL, "ascending"))
    else:
        rows = rows.append_column(ARRIVAL, pa.array(np.full(rows.num_rows, BEFORE_ALL, dtype=np.int64)))
    rows = drop_repeats(rows.sort_by(by).combine_chunks(), keys)
    return rows.append_column(ORDER, pa.array(np.arange(rows.num_rows, dtype=np.int64)))


def _by_table(known_at: Mapping[str, str], rows: Mapping[str, FrameSource]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, known in known_at.items():
        table, dot, column = name.partition(".")
        if not dot:
            raise DeclarationError(f"{name!r} is not table.column", where="known_at", fix='write "orders.refunded"')
        _require(table, list(rows), f"no table {table!r}", "known_at")
        _require(column, rows[table].rows.column_names, f"no column {column!r}", f"known_at: {table}")
        found.setdefault(table, {})[column] = known
    return found


def _formats(rows: pa.Table, time: str | None, later: Mapping[str, str]) -> dict[str, TimeLike]:
    """How the declared times of a table are written: column -> format, the event time first."""
    texts = [*([time] if time else []), *later.values()]
    columns = dict.fromkeys(TimeExpression.parse(text).column for text in texts)
    columns |= dict.fromkeys(one.name for one in rows.schema if pa.types.is_timestamp(one.type))
    found = {name: time_like(name, rows[name]) for name in columns if name in rows.column_names}
    return {name: one for name, one in found.items() if one is not None}


def _resolution(formats: Mapping[str, TimeLike]) -> str | None:
    return next((one.resolution for one in formats.values()), None)


def _key(name: str, rows: pa.Table, keys: Mapping[str, str | Sequence[str]]) -> str | tuple[str, ...]:
    if name not in keys:
        unique = [
            one
            for one in rows.column_names
            if rows.num_rows and rows[one].null_count == 0 and len(rows[one].unique()) == rows.num_rows
        ]
        raise DeclarationError(
            "the table has no key",
            where=name,
            found=[f"unique: {', '.join(unique)}" if unique else f"columns: {', '.join(rows.column_names)}"],
            fix=f'name what identifies a row, as in keys={{"{name}": "{(unique or rows.column_names or ["id"])[0]}"}}',
        )
    given = keys[name]
    chosen = (given,) if isinstance(given, str) else tuple(given)
    for column in chosen:
        _require(column, rows.column_names, f"no column {column!r}", f"keys: {name}")
    return chosen[0] if len(chosen) == 1 else chosen


def _relationship(given: Link) -> Relationship:
    if isinstance(given, Relationship):
        return given
    sides = [side.strip() for side in given.split("->")] if isinstance(given, str) else list(given)
    if len(sides) != 2:
        raise DeclarationError(
            f"{given!r} is no relationship",
            where="relationships",
            fix="write \"customers.customer_id -> orders.customer_id\", from the parent's key to the child's column",
        )
    return Relationship(*sides)


def _require(name: str, known: Sequence[str], what: str, where: str) -> None:
    if name not in known:
        alike = difflib.get_close_matches(name, known, n=1)
        raise DeclarationError(what, where=where, found=known, fix=f"did you mean {alike[0]!r}?" if alike else "")
