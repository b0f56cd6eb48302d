"""What every source of a table's rows gives: the rows, whole or in record batches, and a digest of them.

`headrace.schema.Source` is the least that an object of a user has: `fingerprint` and `read`. A `BatchSource` also gives
its rows in record batches, so that a large source is never in memory as a whole, and leaves out rows that are older
than a value of its cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from zoneinfo import ZoneInfo

import pyarrow as pa

from headrace.core.errors import DataError
from headrace.schema import Source, Table

#: Rows of one record batch, at most.
BATCH_ROWS = 65_536


@dataclass(frozen=True, kw_only=True)
class Since:
    """The rows of a source whose cursor has reached a value.

    Attributes:
        column: the cursor, a column whose values grow.
        value: the least one: a number, a text, or an instant with its zone.
        tz: zone of times that the source writes without one; None for UTC.
    """

    column: str
    value: int | float | str | datetime
    tz: str | None = None

    def bound(self, kind: pa.DataType) -> int | float | datetime | date | None:
        """Return the value as a column of that type holds it; None where the two cannot be compared in the source.

        Texts are not compared there: `2024-01-01T00:30+01:00` is earlier than `2024-01-01T00:00Z`, and sorts later.
        """
        if isinstance(self.value, datetime):
            if pa.types.is_timestamp(kind):
                return self.value.astimezone(UTC) if kind.tz is not None else self._shown()
            return self._shown().date() if pa.types.is_date(kind) else None
        numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        return self.value if numeric and not isinstance(self.value, str) else None

    def _shown(self) -> datetime:
        """What a clock of the zone shows at the instant."""
        assert isinstance(self.value, datetime)
        return self.value.astimezone(ZoneInfo(self.tz) if self.tz else UTC).replace(tzinfo=None)


@runtime_checkable
class BatchSource(Source, Protocol):
    """A source that is read in record batches."""

    def batches(self, since: Since | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in record batches of one schema, in an order that is the same at every reading.

        Args:
            since: leave out older rows, where the source can compare its values; others may be among the rows.

        Raises:
            DataError: the source cannot be read, or changed while it was read.
            UnavailableError: a service does not answer.
        """


class SourceKind(Protocol):
    """Sources whose addresses begin with `name://`: what an extension gives."""

    @property
    def name(self) -> str:
        """The scheme."""

    @property
    def open(self) -> Callable[[str, Path | None], Source]:
        """(address, folder where relative paths start or None) -> source; nothing is read."""


def for_table(source: Source, table: Table) -> Source:
    """Return the source as a table reads it: with the table's cursor, order and texts without a value."""
    bind = getattr(source, "for_table", None)
    bound: Source = bind(table) if callable(bind) else source
    return bound


def in_batches(source: Source, since: Since | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of any source in record batches; one that only has `read` is read whole."""
    if isinstance(source, BatchSource):
        yield from source.batches(since)
        return
    yield from require_rows(source.read()).to_batches(max_chunksize=BATCH_ROWS)


def require_rows(rows: Any) -> pa.Table:
    """Return what `read` of a source returned; DataError where it is no Arrow table."""
    if not isinstance(rows, pa.Table):
        raise DataError(
            f"read() of the source returns a {type(rows).__name__}, not a pyarrow.Table",
            fix="return pa.table({...}), or pa.Table.from_pandas(frame)",
        )
    return rows


def missing_package(package: str, extra: str, address: str) -> DataError:
    """Return the error for a source whose library is not installed."""
    return DataError(f"the package {package} is not installed", where=address, fix=f"pip install 'headrace[{extra}]'")
