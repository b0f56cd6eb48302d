"""How far the changes of a table's source are in the lake: read from the batches that hold them.

A batch of changes names its range of positions and its part of it as its source, which is committed with its rows by
one rename. So no kill can part the rows from the position. A range of which not all parts are there is read again from
its beginning, without the rows of the parts that are.

    changes 16..23 part 1 of 2        a batch's source
    tables/<table>/cursor.json        the position after a load, also of no row, and the last batch before it
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.core.errors import NotFoundError
from headrace.core.replicas import read_replicas
from headrace.lake.batch import Batch, load
from headrace.lake.conform import ARRIVAL
from headrace.lake.store import Lake
from headrace.problems.sources.feeds.feed import ChangeRange
from headrace.schema import Table

_SOURCE = re.compile(r"changes (\S*)\.\.(\S+) part (\d+) of (\d+)")


@dataclass(frozen=True, kw_only=True)
class LoadedChanges:
    """The changes that are in the lake.

    Attributes:
        until: The position up to which all are; None before the first load.
        unfinished: A range whose load was killed; None where there is none.
        parts: The batches of that range.
    """

    until: str | None = None
    unfinished: ChangeRange | None = None
    parts: tuple[Batch, ...] = ()


def batch_source(span: ChangeRange, part: int, parts: int) -> str:
    """Return the source of a batch. part: from 1."""
    return f"changes {span.after or ''}..{span.until} part {part} of {parts}"


def range_of(source: str) -> ChangeRange | None:
    """Return the range that a batch is of; None where it holds no changes."""
    found = _SOURCE.fullmatch(source)
    return None if found is None else ChangeRange(after=found[1] or None, until=found[2])


def loaded_changes(lake: Lake, table: Table) -> LoadedChanges:
    """Return how far the changes of a table's source are in the lake."""
    batches = [batch for batch in lake.batches(table.name) if range_of(batch.source) is not None]
    last = batches[-1] if batches else None
    recorded = _recorded(lake, table)
    if recorded is not None and recorded[1] == (last.id if last is not None else ""):
        return LoadedChanges(until=recorded[0])
    if last is None:
        return LoadedChanges()
    span = range_of(last.source)
    assert span is not None
    parts = tuple(batch for batch in batches if range_of(batch.source) == span)
    if any(_is_last(batch.source) for batch in parts):
        return LoadedChanges(until=span.until)
    return LoadedChanges(until=span.after, unfinished=span, parts=parts)


def record_position(lake: Lake, table: Table, until: str) -> None:
    """Record that all changes up to a position are in the lake, where the last of them brought no row."""
    batches = [batch.id for batch in lake.batches(table.name) if range_of(batch.source) is not None]
    lake.record_cursor(table.name, {"until": until, "batch": batches[-1] if batches else ""})


def without_loaded(table: Table, rows: pa.Table, parts: Sequence[Batch]) -> pa.Table:
    """Return the conformed rows that no batch of an unfinished range holds."""
    if not parts:
        return rows
    by = [*table.keys, *([ARRIVAL] if ARRIVAL in rows.column_names else [])]
    position = "_position"
    own = rows.select(by).append_column(position, pa.array(np.arange(rows.num_rows)))
    for batch in parts:
        known = load(batch, columns=by).select(by)
        own = own.join(known.cast(rows.select(by).schema), keys=by, join_type="left anti")
    return rows.take(own[position].sort())


def _is_last(source: str) -> bool:
    found = _SOURCE.fullmatch(source)
    return found is not None and found[3] == found[4]


def _recorded(lake: Lake, table: Table) -> tuple[str, str] | None:
    try:
        recorded = read_replicas(lake.cursor_path(table.name))
    except NotFoundError:
        return None
    if "until" not in recorded:  # the end of a cursor that the table had before
        return None
    return str(recorded["until"]), str(recorded["batch"])
