"""Which columns of a RelBench table are read, under which names and roles: from its schema and its first rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.problems.relbench.manifest import TableManifest

#: Rows that a text column is judged by.
_SAMPLE = 10_000
#: A text column with a longer mean is prose, and never a category.
_PROSE = 40.0
#: A text column with a larger share of distinct values names rows rather than groups of rows.
_NAMES = 0.5
#: Prose is not read from tables with more rows: nothing uses it, and it fills the memory.
_MOST_PROSE_ROWS = 1_000_000
#: Names that Headrace or Feast keep for themselves.
_RESERVED = {
    "cutoff", "tick", "label", "label_known", "mature", "censored", "label_is_a_number", "event_timestamp",
    "created_timestamp", "headrace_row", "due",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column that is read. name: in the file. alias: in the problem. role: None where its type tells."""

    name: str
    alias: str
    role: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableColumns:
    """The columns of a table. read: those that are read. dropped: name -> why another is not."""

    read: tuple[Column, ...]
    dropped: dict[str, str]
    rows: int

    def alias(self, name: str) -> str | None:
        """The name of a column in the problem; None where it is not read."""
        return next((one.alias for one in self.read if one.name == name), None)


def alias_of(name: str) -> str:
    """A name that a declaration accepts: an identifier that Headrace does not keep for itself."""
    text = re.sub(r"\W", "_", name).lstrip("_") or "column"
    text = f"column_{text}" if text[0].isdigit() else text
    return f"{text}_column" if text in _RESERVED else text


def table_columns(path: Path, table: TableManifest, hidden: Iterable[str] = ()) -> TableColumns:
    """Look at a table's file.

    Args:
        path: The Parquet file.
        table: Its keys and time.
        hidden: Columns that the task must not see.
    """
    file = pq.ParquetFile(path)
    sample = _first_rows(file)
    keys = {name for name in (table.pkey, table.time_col, *table.fkeys) if name is not None}
    hidden, read, dropped = set(hidden), [], {}
    for field in file.schema_arrow:
        if field.name in hidden:
            dropped[field.name] = "hidden by the task"
            continue
        if not _is_plain(field.type):
            dropped[field.name] = f"its type is {field.type}"
            continue
        role = "id" if field.name in table.fkeys else None
        if role is None and field.name not in keys:
            role = _role(field.type, sample[field.name])
        if role == "text" and file.metadata.num_rows > _MOST_PROSE_ROWS:
            dropped[field.name] = "prose of a large table"
            continue
        read.append(Column(name=field.name, alias=alias_of(field.name), role=role))
    return TableColumns(read=_distinct(read), dropped=dropped, rows=file.metadata.num_rows)


def _first_rows(file: pq.ParquetFile) -> pa.Table:
    batch = next(iter(file.iter_batches(batch_size=_SAMPLE)), None)
    return file.schema_arrow.empty_table() if batch is None else pa.Table.from_batches([batch])


def _is_plain(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_integer(value)
        or pa.types.is_floating(value)
        or pa.types.is_decimal(value)
        or pa.types.is_boolean(value)
        or is_text(value)
        or pa.types.is_timestamp(value)
        or pa.types.is_date(value)
        or pa.types.is_null(value)
    )


def is_text(kind: pa.DataType) -> bool:
    """Whether values are texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _role(kind: pa.DataType, sample: pa.ChunkedArray) -> str | None:
    """The role of a text column by its first values; None for other types."""
    if pa.types.is_dictionary(kind):
        kind, sample = kind.value_type, sample.cast(kind.value_type)
    if pa.types.is_null(kind):
        return "ignore"
    if not is_text(kind):
        return None
    values = sample.cast(pa.string()).drop_null()
    if not len(values):
        return "categorical"
    if float(pc.mean(pc.utf8_length(values)).as_py()) > _PROSE:
        return "text"
    return "id" if len(values) >= 100 and len(pc.unique(values)) > _NAMES * len(values) else "categorical"


def _distinct(columns: list[Column]) -> tuple[Column, ...]:
    """Give columns whose names became equal different ones."""
    seen: set[str] = set()
    distinct = []
    for one in columns:
        alias, number = one.alias, 2
        while alias in seen:
            alias, number = f"{one.alias}_{number}", number + 1
        seen.add(alias)
        distinct.append(Column(name=one.name, alias=alias, role=one.role))
    return tuple(distinct)
