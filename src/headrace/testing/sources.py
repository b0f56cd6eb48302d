"""The conformance suite of sources: the same rows whole and in batches, and a fingerprint that changes with them.

class TestLedger(SourceConformance):
    def write(self, place, rows):
        ledger.write(place / "ledger", rows)           # in place of what was there

    def source(self, place):
        return LedgerSource(place / "ledger")
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.lake.conform import conform
from headrace.problems.sources.interface import Since, for_table, in_batches
from headrace.problems.sources.reading import SourceReader
from headrace.schema import EntitySet, Source, Table

START = datetime(2024, 1, 1, tzinfo=UTC)


def orders(count: int, *, amount: float = 1.5) -> pa.Table:
    """Rows with a key, a time, a number, a text and a condition; each third number and text is missing."""
    numbers = range(count)
    return pa.table(
        {
            "order_id": pa.array(numbers, pa.int64()),
            "placed": pa.array([START + timedelta(hours=i) for i in numbers], pa.timestamp("us", tz="UTC")),
            "amount": pa.array([None if i % 3 == 0 else amount + i for i in numbers], pa.float64()),
            "note": pa.array([None if i % 3 == 1 else f"note {i}" for i in numbers], pa.string()),
        }
    )


class SourceConformance:
    """What every `headrace.schema.Source` must do. Override `write` and `source`."""

    #: A table that reads the source; override it where times are written without a zone.
    table = Table(name="orders", key="order_id", time="placed", tz="UTC", source="-")

    def write(self, place: Path, rows: pa.Table) -> None:
        """Let the source of this place have these rows, in place of those that it had."""
        raise NotImplementedError

    def source(self, place: Path) -> Source:
        """The source of this place."""
        raise NotImplementedError

    def test_the_rows_are_those_that_were_written(self, tmp_path: Path) -> None:
        self.write(tmp_path, orders(300))
        assert self._rows(tmp_path) == self._conformed(orders(300))

    def test_batches_are_the_rows_in_the_same_order_each_time(self, tmp_path: Path) -> None:
        self.write(tmp_path, orders(300))
        first, second = ([batch.to_pylist() for batch in self._batches(tmp_path)] for _ in range(2))
        assert first == second
        whole = pa.Table.from_batches(list(self._batches(tmp_path)))
        assert self._conformed(whole) == self._conformed(orders(300))

    def test_chunks_are_the_rows(self, tmp_path: Path) -> None:
        self.write(tmp_path, orders(300))
        table = self._declared(tmp_path)
        reader = SourceReader(entity_set=EntitySet(tables=(table,)))
        chunks = [conform(table, chunk) for chunk in reader.chunks(table, size=1)]
        assert self._conformed(pa.concat_tables(chunks, promote_options="permissive")) == self._conformed(orders(300))

    @pytest.mark.parametrize("column", ["placed", "order_id"])
    def test_since_leaves_out_no_row_that_is_new(self, tmp_path: Path, column: str) -> None:
        self.write(tmp_path, orders(300))
        value = 250 if column == "order_id" else START + timedelta(hours=250)
        batches = list(self._batches(tmp_path, Since(column=column, value=value, tz="UTC")))
        found = {number for batch in batches for number in batch.column("order_id").to_pylist()}
        assert found >= set(range(250, 300))

    def test_the_fingerprint_is_that_of_the_rows(self, tmp_path: Path) -> None:
        self.write(tmp_path, orders(50))
        before = self._bound(tmp_path).fingerprint()
        assert self._bound(tmp_path).fingerprint() == before
        self.write(tmp_path, orders(51))
        longer = self._bound(tmp_path).fingerprint()
        self.write(tmp_path, orders(51, amount=7.25))
        assert len({before, longer, self._bound(tmp_path).fingerprint()}) == 3

    def test_a_table_without_rows_has_columns(self, tmp_path: Path) -> None:
        self.write(tmp_path, orders(0))
        rows = self._bound(tmp_path).read()
        assert rows.num_rows == 0
        assert {"order_id", "placed", "amount", "note"} <= {*rows.column_names}

    def _declared(self, place: Path) -> Table:
        from dataclasses import replace

        return replace(self.table, source=self.source(place))

    def _bound(self, place: Path) -> Source:
        return for_table(self.source(place), self.table)

    def _batches(self, place: Path, since: Since | None = None) -> Iterator[pa.RecordBatch]:
        return in_batches(self._bound(place), since)

    def _rows(self, place: Path) -> list[dict[str, object]]:
        return self._conformed(self._bound(place).read())

    def _conformed(self, rows: pa.Table) -> list[dict[str, object]]:
        conformed: list[dict[str, object]] = (
            conform(self.table, rows.select(orders(0).column_names)).sort_by("order_id").to_pylist()
        )
        return conformed
