"""The change data feed of a Delta table: inserted rows and new versions of rows, commit by commit.

Delta writes four kinds of changes (Delta transaction protocol, "Change Data Files"): insert, delete, and the images of
an updated row before and after. An image before counts as the deletion of its key here, which the image after takes
back unless the update changed the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError
from headrace.problems.sources.feeds.feed import ARRIVAL, ChangeFeed, ChangeRange, lost_changes, refuse_deletes
from headrace.schema import Table

if TYPE_CHECKING:
    from headrace.problems.sources.lakehouse import DeltaSource

_KIND, _VERSION, _COMMITTED = "_change_type", "_commit_version", "_commit_timestamp"
_ENABLED = "delta.enableChangeDataFeed"
#: Order of changes: twice the commit, and 1 more where the row is there afterwards.
_RANK = "_rank"
#: Rows that are compared with the last changes of their keys at a time.
ROWS = 1 << 19


@dataclass(frozen=True, kw_only=True)
class DeltaChanges:
    """The changes of a Delta table. A position is a version and the first letters of the table's id: `16.5b1c02aa`."""

    source: DeltaSource
    table: Table
    options: ChangeFeed

    def position(self, known: str | None = None) -> str:
        """Return the newest version; DataError where the table has no change data feed."""
        with self.source.opened() as delta:
            if str(delta.metadata().configuration.get(_ENABLED, "false")).lower() != "true":
                raise DataError(
                    "the table has no change data feed",
                    where=f"{self.table.name}, {self.source.place}",
                    fix=f"set its property {_ENABLED} to true, or leave out changes=",
                )
            return f"{delta.version()}.{_identity_of(delta)}"

    def batches(self, span: ChangeRange) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a range; the keys of the changes, and no other column, are in memory as a whole.

        Raises:
            DataError: Rows were deleted, or the log of their commits was cleaned up.
        """
        if span.after is None:
            yield from self._whole(span)
            return
        with self.source.opened() as delta:
            changed = self._keys(delta, span)
            if changed is None:
                yield from self._whole(span)
                return
            last = self._last(changed)
            for rows in _gathered(self._read(delta, span)):
                kept = rows.filter(pc.equal(pc.bit_wise_and(rows[_RANK], 1), 1))
                if last is not None:
                    kept = _only(kept, last)
                yield from self._as_rows(kept).to_batches()

    def _whole(self, span: ChangeRange) -> Iterator[pa.RecordBatch]:
        """All rows of the table at the end of the range, each arriving with the load."""
        yield from replace(self.source, version=_version(span.until), changes=None).batches()

    def _keys(self, delta: Any, span: ChangeRange) -> pa.Table | None:
        """Key, time and order of every change; None where they are gone and the table is to be read whole."""
        try:
            _require_same_table(span)
            batches = list(self._read(delta, span, (*self.table.keys, _KIND, _VERSION, _COMMITTED)))
        except Exception as error:  # deltalake's and Arrow's errors
            if self.options.on_gap == "reload":
                return None
            raise lost_changes(self.table, self.source.place, span, str(error).splitlines()[0]) from None
        changed = pa.concat_tables(batches)
        self._require_kept(changed)
        return changed

    def _require_kept(self, changed: pa.Table) -> None:
        """Raise DataError where rows were deleted that were there before the range, unless that is allowed."""
        if self.options.on_delete == "ignore":
            return
        ends = changed.group_by(list(self.table.keys)).aggregate([(_RANK, "min"), (_RANK, "max")])
        even = [pc.equal(pc.bit_wise_and(ends[f"{_RANK}_{name}"], 1), 0) for name in ("min", "max")]
        deleted = ends.filter(pc.and_(*even)).select(list(self.table.keys)).sort_by(self.table.keys[0])
        if deleted.num_rows:
            keys = [", ".join(map(str, row.values())) for row in deleted.slice(0, 5).to_pylist()]
            raise refuse_deletes(self.table, self.source.place, deleted.num_rows, keys)

    def _last(self, changed: pa.Table) -> pa.Table | None:
        """The last change of each key, or of each key and commit time; None where none changed twice."""
        by = list(self._identity)
        last = changed.group_by(by).aggregate([(_RANK, "max")]).rename_columns([*by, _RANK])
        return None if last.num_rows == changed.num_rows else last

    @property
    def _identity(self) -> tuple[str, ...]:
        return (*self.table.keys, _COMMITTED) if self.options.arrival == "commit" else self.table.keys

    def _read(self, delta: Any, span: ChangeRange, columns: tuple[str, ...] | None = None) -> Iterator[pa.Table]:
        first, last = _version(span.after or "0") + 1, _version(span.until)
        stream = delta.load_cdf(first, last, columns=None if columns is None else list(dict.fromkeys(columns)))
        reader = pa.RecordBatchReader.from_stream(stream)
        yield _ranked(reader.schema.empty_table())
        for batch in reader:
            yield _ranked(pa.Table.from_batches([batch]))

    def _as_rows(self, rows: pa.Table) -> pa.Table:
        if self.options.arrival == "commit":
            committed = rows[_COMMITTED].cast(pa.timestamp("us", rows[_COMMITTED].type.tz))
            rows = rows.append_column(ARRIVAL, committed.cast(pa.timestamp("us", "UTC")))
        return rows.drop_columns([_KIND, _VERSION, _COMMITTED, _RANK])


def _version(position: str) -> int:
    return int(position.partition(".")[0])


def _identity_of(delta: Any) -> str:
    return str(delta.metadata().id)[:8]


def _require_same_table(span: ChangeRange) -> None:
    """Raise ValueError where the table of the range's start was replaced by another one since."""
    start, end = str(span.after).partition("."), span.until.partition(".")
    if start[2] != end[2] or int(start[0]) > int(end[0]):
        raise ValueError("the table was replaced by another one")


def _ranked(rows: pa.Table) -> pa.Table:
    """Add the order of changes; texts as Arrow joins them."""
    for position, field in enumerate(rows.schema):
        if pa.types.is_string_view(field.type):
            rows = rows.set_column(position, field.name, rows[field.name].cast(pa.string()))
    there = pc.is_in(rows[_KIND], value_set=pa.array(["insert", "update_postimage"]))
    rank = pc.add(pc.multiply(rows[_VERSION].cast(pa.int64()), 2), there.cast(pa.int64()))
    return rows.append_column(_RANK, rank)


def _gathered(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    for part in parts:
        held.append(part)
        if sum(one.num_rows for one in held) >= ROWS:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _only(rows: pa.Table, last: pa.Table) -> pa.Table:
    """The rows that are the last change of their key, in their order."""
    position = "_position"
    names = last.column_names
    own = rows.select(names).append_column(position, pa.array(np.arange(rows.num_rows)))
    found = own.join(last, keys=names, join_type="left semi")[position]
    return rows.take(found.sort())
