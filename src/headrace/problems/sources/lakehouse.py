"""Delta and Iceberg tables as sources: `delta:///orders`, `delta+s3://bucket/orders`, `iceberg://catalog/shop.orders`.

Both are read as of one version, so a writer at the same time changes nothing of what is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core.errors import DataError, HeadraceError
from headrace.core.fingerprint import fingerprint
from headrace.core.redact import redact
from headrace.problems.sources.environment import expanded
from headrace.problems.sources.feeds.feed import ChangeFeed, Changes
from headrace.problems.sources.interface import Since, missing_package
from headrace.problems.sources.locations import reachable
from headrace.problems.sources.scanning import scan
from headrace.schema import Table

_DELTA_FIX = 'check the address: "delta:///folder" or "delta+s3://bucket/folder"'


@dataclass(frozen=True)
class DeltaSource:
    """A Delta table. The declaration reads nothing; `read` and `batches` read its present version, or `version`.

    Args:
        address: `delta:///path` (four slashes for an absolute one), or `delta+s3://bucket/path` and other stores.
        folder: where a relative path starts; None: the current folder.
        version: of the table; None: the newest.
        changes: read only what changed since the last load, from the table's change data feed; None: all rows.
        options: of the object store, as `deltalake` names them; the environment has them too.
    """

    address: str
    folder: Path | None = None
    version: int | None = None
    changes: ChangeFeed | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def place(self) -> str:
        """The folder's absolute path, or its address without secrets."""
        return redact(self._uri)

    @property
    def _uri(self) -> str:
        scheme, _, path = expanded(self.address).partition("://")
        if scheme == "delta":
            return str(((self.folder or Path()) / path.removeprefix("/")).absolute())
        return f"{scheme.removeprefix('delta+')}://{path}"

    def fingerprint(self) -> str:
        """A digest of the table's id and version."""
        with self.opened() as table:
            return fingerprint([str(table.metadata().id), table.version()])

    def read(self) -> pa.Table:
        """Read all rows; DataError where the table is not there or cannot be read."""
        with self.opened() as table:
            return table.to_pyarrow_dataset().to_table()

    def batches(self, since: Since | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in record batches, without older ones; DataError where they cannot be read."""
        with self.opened() as table:
            yield from scan(table.to_pyarrow_dataset(), since)

    def changes_of(self, table: Table) -> Changes | None:
        """Return the table's change feed; None where it is read whole."""
        if self.changes is None:
            return None
        from headrace.problems.sources.feeds.delta import DeltaChanges

        return DeltaChanges(source=self, table=table, options=self.changes)

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Yield the table as deltalake has it; its errors become DataError or UnavailableError."""
        try:
            from deltalake import DeltaTable
            from deltalake.exceptions import DeltaError
        except ImportError:
            raise missing_package("deltalake", "delta", self.place) from None
        options = dict(self.options)
        if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"):
            options.setdefault("aws_allow_http", "true")
        try:
            with reachable(self._uri, fix=_DELTA_FIX):
                yield DeltaTable(self._uri, version=self.version, storage_options=options or None)
        except DeltaError as error:
            raise DataError(
                f"cannot be read as a Delta table: {str(error).splitlines()[0]}",
                where=self.place,
                fix=_DELTA_FIX,
            ) from None


@dataclass(frozen=True)
class IcebergSource:
    """An Iceberg table of a catalog. The declaration reads nothing; `read` and `batches` do.

    Args:
        table: its name with its namespace, such as "shop.orders".
        catalog: as `pyiceberg` knows it, from ~/.pyiceberg.yaml or the environment (PYICEBERG_CATALOG__NAME__URI).
        options: of the catalog, in place of those: {"uri": ..., "warehouse": ...}.
        snapshot: of the table; None: the newest.
        changes: read only rows that were appended since the last load; None: all rows.
    """

    table: str
    catalog: str = "default"
    options: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    snapshot: int | None = None
    changes: ChangeFeed | None = None

    @property
    def place(self) -> str:
        """The catalog and the table."""
        return f"iceberg://{self.catalog}/{self.table}"

    def fingerprint(self) -> str:
        """A digest of the table's id and snapshot."""
        with self.opened() as table:
            newest = table.current_snapshot()
            number = self.snapshot if self.snapshot is not None else newest.snapshot_id if newest else None
            return fingerprint([str(table.metadata.table_uuid), number])

    def read(self) -> pa.Table:
        """Read all rows; DataError where the table is not there or cannot be read."""
        with self.opened() as table:
            rows: pa.Table = table.scan(snapshot_id=self.snapshot).to_arrow()
            return rows

    def batches(self, since: Since | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in record batches, without files of older ones; DataError where they cannot be read."""
        with self.opened() as table:
            yield from table.scan(snapshot_id=self.snapshot, **_filter(table, since)).to_arrow_batch_reader()

    def changes_of(self, table: Table) -> Changes | None:
        """Return the table's appended rows; None where it is read whole."""
        if self.changes is None:
            return None
        from headrace.problems.sources.feeds.iceberg import IcebergChanges

        return IcebergChanges(source=self, table=table, options=self.changes)

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Yield the table as pyiceberg has it; its errors become DataError or UnavailableError."""
        try:
            from pyiceberg.catalog import load_catalog
        except ImportError:
            raise missing_package("pyiceberg", "iceberg", self.place) from None
        try:
            with reachable(self.place, fix=_catalog_fix(self.catalog)):
                yield load_catalog(self.catalog, **self.options).load_table(self.table)
        except HeadraceError:
            raise
        except Exception as error:  # pyiceberg's errors have no common class
            raise DataError(
                f"cannot be read as an Iceberg table: {(str(error) or type(error).__name__).splitlines()[0]}",
                where=self.place,
                fix=_catalog_fix(self.catalog),
            ) from None


def _catalog_fix(catalog: str) -> str:
    name = catalog.upper()
    return (
        'check the catalog and the table: "iceberg://catalog/schema.table". '
        f"A catalog is declared in ~/.pyiceberg.yaml, or by PYICEBERG_CATALOG__{name}__URI"
    )


def _filter(table: Any, since: Since | None) -> dict[str, Any]:
    if since is None:
        return {}
    from pyiceberg.expressions import GreaterThanOrEqual

    schema = table.schema().as_arrow()
    bound = since.bound(schema.field(since.column).type) if since.column in schema.names else None
    if bound is None:
        return {}
    text = bound if isinstance(bound, int | float) else bound.isoformat()
    at_least: Any = GreaterThanOrEqual
    return {"row_filter": at_least(since.column, text)}


def parse_delta(text: str, folder: Path | None) -> DeltaSource:
    """Read `delta:///path` or `delta+s3://bucket/path`."""
    return DeltaSource(text, folder)


def parse_iceberg(text: str, folder: Path | None) -> IcebergSource:
    """Read `iceberg://catalog/schema.table`; DataError where there is no table in it."""
    catalog, _, table = text.partition("://")[2].partition("/")
    if not catalog or "." not in table:
        raise DataError(
            "an address without a catalog and a table",
            where=f"source {text}",
            fix='write "iceberg://catalog/shop.orders"',
        )
    return IcebergSource(table, catalog)
