"""Every kind of source passes the conformance suite: files, object stores, databases, lake houses, frames."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from headrace.problems.sources import DeltaSource, IcebergSource
from headrace.problems.sources.addresses import as_source
from headrace.problems.sources.frames import FrameSource
from headrace.schema import Source
from headrace.testing.sources import SourceConformance
from tests.problems.postgres import postgres
from tests.problems.s3 import s3

_FRAMES: dict[Path, pa.Table] = {}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The host and port of a PostgreSQL."""
    with postgres() as host:
        yield host


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The address of an S3 with the bucket `shop`."""
    with s3("shop") as address:
        yield address


class TestCsv(SourceConformance):
    def write(self, place: Path, rows: pa.Table) -> None:
        pyarrow.csv.write_csv(rows, place / "orders.csv")

    def source(self, place: Path) -> Source:
        return as_source("orders.csv", place)


class TestCsvInBlocks(TestCsv):
    @pytest.fixture(autouse=True)
    def _blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("headrace.problems.sources.files.WHOLE", 0)


class TestParquet(SourceConformance):
    def write(self, place: Path, rows: pa.Table) -> None:
        pq.write_table(rows, place / "orders.parquet", row_group_size=64)

    def source(self, place: Path) -> Source:
        return as_source("orders.parquet", place)


class TestGlob(SourceConformance):
    def write(self, place: Path, rows: pa.Table) -> None:
        for path in place.glob("orders-*.parquet"):
            path.unlink()
        for part in range(3):
            size = rows.num_rows // 3 + 1
            pq.write_table(rows.slice(part * size, size), place / f"orders-{part}.parquet")
        pq.write_table(pa.table({"other": [1]}), place / "customers.parquet")

    def source(self, place: Path) -> Source:
        return as_source("orders-*.parquet", place)


class TestPartitions(SourceConformance):
    def write(self, place: Path, rows: pa.Table) -> None:
        day = pa.array([number % 4 for number in rows["order_id"].to_pylist()], pa.int64())
        ds.write_dataset(
            rows.append_column("part", day),
            place / "orders",
            format="parquet",
            partitioning=ds.partitioning(pa.schema([("part", pa.int64())]), flavor="hive"),
            existing_data_behavior="delete_matching",
        )
        if not rows.num_rows:  # a dataset without rows has no file
            (place / "orders" / "part=0").mkdir(parents=True)
            pq.write_table(rows, place / "orders" / "part=0" / "empty.parquet")

    def source(self, place: Path) -> Source:
        return as_source(f"file://{place / 'orders'}")

    def test_a_folder_called_like_a_value_is_a_column(self, tmp_path: Path) -> None:
        self.write(tmp_path, pa.table({"order_id": [1, 2, 5], "x": [1.0, 2.0, 3.0]}))
        rows = self.source(tmp_path).read().sort_by("order_id")
        assert rows["part"].to_pylist() == [1, 2, 1]


class TestFrame(SourceConformance):
    def write(self, place: Path, rows: pa.Table) -> None:
        _FRAMES[place] = rows

    def source(self, place: Path) -> Source:
        return FrameSource.of(_FRAMES[place].to_pandas() if _FRAMES[place].num_rows else _FRAMES[place])


class TestSqlite(SourceConformance):
    scheme = "sqlite"

    def write(self, place: Path, rows: pa.Table) -> None:
        with sqlite3.connect(place / "shop.db") as database:
            database.execute("drop table if exists orders")
            database.execute(
                "create table orders (order_id integer primary key, placed datetime, amount real, note text)"
            )
            values = [{**row, "placed": str(row["placed"].replace(tzinfo=None))} for row in rows.to_pylist()]
            database.executemany("insert into orders values (:order_id, :placed, :amount, :note)", values)
        database.close()

    def source(self, place: Path) -> Source:
        return as_source(f"{self.scheme}:///shop.db#orders", place)


class TestSqliteAdbc(TestSqlite):
    scheme = "sqlite+adbc"


class TestDuckDB(SourceConformance):
    def write(self, place: Path, rows: pa.Table) -> None:
        import duckdb

        with duckdb.connect(str(place / "shop.duckdb")) as database:
            database.register("given", rows)
            database.execute("create or replace table orders as select * from given")

    def source(self, place: Path) -> Source:
        return as_source("duckdb:///shop.duckdb#orders", place)


class TestDelta(SourceConformance):
    def write(self, place: Path, rows: pa.Table) -> None:
        from deltalake import write_deltalake

        write_deltalake(place / "orders", rows, mode="overwrite")

    def source(self, place: Path) -> Source:
        return as_source("delta:///orders", place)

    def test_an_older_version_is_read(self, tmp_path: Path) -> None:
        self.write(tmp_path, pa.table({"order_id": [1]}))
        self.write(tmp_path, pa.table({"order_id": [1]}).slice(0, 0))
        assert DeltaSource("delta:///orders", tmp_path, version=0).read().num_rows == 1


class TestIceberg(SourceConformance):
    def write(self, place: Path, rows: pa.Table) -> None:
        from pyiceberg.catalog import load_catalog

        catalog = load_catalog("shop", **self._options(place))
        catalog.create_namespace_if_not_exists("shop")
        if catalog.table_exists("shop.orders"):
            catalog.load_table("shop.orders").overwrite(rows)
        else:
            catalog.create_table("shop.orders", schema=rows.schema).append(rows)
        catalog.engine.dispose()  # type: ignore[attr-defined]

    def source(self, place: Path) -> Source:
        return IcebergSource("shop.orders", "shop", self._options(place))

    def _options(self, place: Path) -> dict[str, str]:
        return {"type": "sql", "uri": f"sqlite:///{place / 'catalog.db'}", "warehouse": f"file://{place / 'warehouse'}"}


class TestS3(SourceConformance):
    @pytest.fixture(autouse=True)
    def _server(self, store: str) -> None:
        """The environment names the server."""

    def write(self, place: Path, rows: pa.Table) -> None:
        import boto3

        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink)
        boto3.client("s3").put_object(Bucket="shop", Key=f"{place.name}/a.parquet", Body=sink.getvalue().to_pybytes())

    def source(self, place: Path) -> Source:
        return as_source(f"s3://shop/{place.name}/*.parquet")


class TestFsspec(SourceConformance):
    def write(self, place: Path, rows: pa.Table) -> None:
        import fsspec

        with fsspec.open(f"memory://{place.name}/orders.parquet", "wb") as file:
            pq.write_table(rows, file)

    def source(self, place: Path) -> Source:
        return as_source(f"memory://{place.name}/orders.parquet")


class TestPostgres(SourceConformance):
    scheme = "postgresql+psycopg"
    host = ""

    @pytest.fixture(autouse=True)
    def _server(self, server: str) -> None:
        self.host = server

    def write(self, place: Path, rows: pa.Table) -> None:
        import psycopg

        with psycopg.connect(f"postgresql://headrace@{self.host}/postgres") as database:
            database.execute("drop table if exists orders")
            columns = "order_id bigint primary key, placed timestamptz, amount numeric(12, 2), note text"
            database.execute(f"create table orders ({columns})")
            with database.cursor().copy("copy orders from stdin") as copy:
                for row in rows.to_pylist():
                    copy.write_row(tuple(row.values()))

    def source(self, place: Path) -> Source:
        return as_source(f"{self.scheme}://headrace@{self.host}/postgres#orders")


class TestPostgresAdbc(TestPostgres):
    scheme = "postgresql+adbc"
