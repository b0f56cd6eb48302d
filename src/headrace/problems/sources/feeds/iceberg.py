"""The rows that were appended to an Iceberg table, snapshot by snapshot.

An Iceberg table has no feed of changes: its snapshots say which files they added. Appends are read; a compaction adds
no row; a snapshot that deletes rows falls under `on_delete`. A snapshot that overwrites files holds old and new rows
alike, so it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headrace.core.errors import DataError
from headrace.problems.sources.feeds.feed import ARRIVAL, ChangeFeed, ChangeRange, lost_changes, refuse_deletes
from headrace.schema import Table

if TYPE_CHECKING:
    from headrace.problems.sources.lakehouse import IcebergSource


@dataclass(frozen=True, kw_only=True)
class IcebergChanges:
    """The appends of an Iceberg table. Positions are ids of its snapshots, which have no order of their own."""

    source: IcebergSource
    table: Table
    options: ChangeFeed

    def position(self, known: str | None = None) -> str | None:
        """Return the id of the newest snapshot; None before the first."""
        with self.source.opened() as iceberg:
            newest = iceberg.current_snapshot()
            return None if newest is None else str(newest.snapshot_id)

    def batches(self, span: ChangeRange) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a range.

        Raises:
            DataError: A snapshot deletes or overwrites rows, or those of the range were expired.
        """
        with self.source.opened() as iceberg:
            appended = None if span.after is None else self._appended(iceberg, span)
            if appended is None:
                yield from iceberg.scan(snapshot_id=int(span.until)).to_arrow_batch_reader()
                return
            for snapshot in appended:
                scan = iceberg.incremental_append_scan(
                    from_snapshot_id_exclusive=snapshot.parent_snapshot_id,
                    to_snapshot_id_inclusive=snapshot.snapshot_id,
                )
                for batch in scan.to_arrow_batch_reader():
                    yield self._with_arrival(batch, snapshot.timestamp_ms)

    def _appended(self, iceberg: Any, span: ChangeRange) -> list[Any] | None:
        """The snapshots of a range that append rows, oldest first; None where the table is to be read whole."""
        found: list[Any] = []
        number: int | None = int(span.until)
        while number is not None and str(number) != span.after:
            snapshot = iceberg.snapshot_by_id(number)
            if snapshot is None:
                break
            found.append(snapshot)
            number = snapshot.parent_snapshot_id
        if str(number) != span.after:
            if self.options.on_gap == "reload":
                return None
            raise lost_changes(self.table, self.source.place, span, "that snapshot is not in the table's history")
        found.reverse()
        self._require_appends(found)
        return [one for one in found if _operation(one) == "append"]

    def _require_appends(self, snapshots: list[Any]) -> None:
        for one in snapshots:
            operation = _operation(one)
            if operation == "delete" and self.options.on_delete == "refuse":
                count = int((one.summary or {}).get("deleted-records", 0) or 0)
                raise refuse_deletes(self.table, self.source.place, count, [f"snapshot {one.snapshot_id}"])
            if operation not in ("append", "replace", "delete"):
                raise DataError(
                    f"snapshot {one.snapshot_id} changes rows in place ({operation}), which Iceberg does not list",
                    where=f"{self.table.name}, {self.source.place}",
                    fix="leave out changes= of the source: the table is then compared whole, or declare a cursor",
                )

    def _with_arrival(self, batch: pa.RecordBatch, committed_ms: int) -> pa.RecordBatch:
        if self.options.arrival == "load":
            return batch
        committed = pa.array(np.full(batch.num_rows, committed_ms * 1000), pa.timestamp("us", "UTC"))
        return batch.append_column(ARRIVAL, committed)


def _operation(snapshot: Any) -> str:
    return str(snapshot.summary.operation.value) if snapshot.summary is not None else "append"
