"""Change feeds of Iceberg and PostgreSQL: what their positions and ranges hold, and what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace.core.errors import DataError, UnavailableError
from headrace.problems.sources import ChangeFeed, ChangeTable, IcebergSource, SqlSource
from headrace.problems.sources.addresses import table_source
from headrace.problems.sources.feeds import writers
from headrace.problems.sources.feeds.feed import ChangeRange, Changes, changes_of
from headrace.schema import Table

START = datetime(2024, 1, 1, tzinfo=UTC)


def orders(*numbers: int) -> pa.Table:
    times = pa.array([START + timedelta(hours=number) for number in numbers], pa.timestamp("us", tz="UTC"))
    return pa.table({"order_id": pa.array(numbers, pa.int64()), "placed": times})


def feed(source: Any) -> Changes:
    table = Table(name="orders", key="order_id", time="placed", tz="UTC", source=source)
    found = changes_of(table_source(table), table)
    assert found is not None
    return found


def read(changes: Changes, after: str | None, until: str | None) -> list[dict[str, Any]]:
    assert until is not None
    return [row for batch in changes.batches(ChangeRange(after=after, until=until)) for row in batch.to_pylist()]


def numbers(changes: Changes, after: str | None, until: str | None) -> list[int]:
    return sorted(row["order_id"] for row in read(changes, after, until))


class Lakehouse:
    """An Iceberg table, and its feed."""

    def __init__(self, place: Path) -> None:
        from pyiceberg.catalog import load_catalog

        self.options = {
            "type": "sql",
            "uri": f"sqlite:///{place / 'catalog.db'}",
            "warehouse": f"file://{place / 'warehouse'}",
        }
        self.catalog: Any = load_catalog("shop", **self.options)
        self.catalog.create_namespace("shop")
        self.table = self.catalog.create_table("shop.orders", schema=orders(1).schema)

    def feed(self, **options: Any) -> Changes:
        return feed(IcebergSource("shop.orders", "shop", self.options, changes=ChangeFeed(**options)))


@pytest.fixture
def lakehouse(tmp_path: Path) -> Any:
    made = Lakehouse(tmp_path)
    yield made
    made.catalog.engine.dispose()


def test_appends_to_an_iceberg_table_are_read_since_a_snapshot(lakehouse: Lakehouse) -> None:
    changes = lakehouse.feed()
    assert changes.position() is None
    lakehouse.table.append(orders(1, 2))
    first = changes.position()
    assert numbers(changes, None, first) == [1, 2]
    lakehouse.table.append(orders(3))
    lakehouse.table.append(orders(4, 5))
    second = changes.position()
    assert numbers(changes, first, second) == [3, 4, 5]
    assert numbers(changes, None, second) == [1, 2, 3, 4, 5]
    committed = read(lakehouse.feed(arrival="commit"), first, second)
    assert [row["_arrival"] for row in committed] == sorted(row["_arrival"] for row in committed)
    assert len({row["_arrival"] for row in committed}) == 2


def test_an_iceberg_snapshot_without_appends_is_refused_by_name(lakehouse: Lakehouse) -> None:
    lakehouse.table.append(orders(1))
    lakehouse.table.append(orders(2))
    changes = lakehouse.feed()
    start = changes.position()
    lakehouse.table.delete("order_id = 2")  # a whole file
    deleted = changes.position()
    with pytest.raises(DataError, match=rf"orders, iceberg://.*1 rows were deleted.*found: snapshot {deleted}"):
        numbers(changes, start, deleted)
    lakehouse.table.append(orders(3, 4))
    appended = changes.position()
    assert numbers(lakehouse.feed(on_delete="ignore"), start, appended) == [3, 4]
    lakehouse.table.delete("order_id = 4")  # a part of a file, which is written anew
    rewritten = changes.position()
    with pytest.raises(DataError, match=r"changes rows in place \(overwrite\), which Iceberg does not list"):
        numbers(lakehouse.feed(on_delete="ignore"), appended, rewritten)


def test_an_iceberg_snapshot_that_is_not_in_the_history_is_a_gap(lakehouse: Lakehouse) -> None:
    lakehouse.table.append(orders(1))
    changes = lakehouse.feed()
    with pytest.raises(DataError, match=r'changes after 7 cannot be read: that snapshot.*on_gap="reload"'):
        numbers(changes, "7", changes.position())
    assert numbers(lakehouse.feed(on_gap="reload"), "7", changes.position()) == [1]


def _changes_in(url: str) -> Changes:
    address = url.replace("postgresql:", "postgresql+psycopg:")
    return feed(SqlSource(address, "order_changes", changes=ChangeTable(sequence="seq", operation="op")))


_INSERT = "INSERT INTO order_changes (op, order_id, placed) VALUES ('c', {0}, '2024-01-01T00:00:00Z')"
_CREATE = "CREATE TABLE order_changes (seq bigserial primary key, op text, order_id bigint, placed timestamptz)"


def test_a_change_that_is_committed_after_a_later_one_is_not_lost(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    changes, waited = _changes_in(postgresql_url), []
    with psycopg.connect(postgresql_url) as slow, psycopg.connect(postgresql_url, autocommit=True) as quick:
        quick.execute(_CREATE)
        slow.execute(_INSERT.format(1))
        quick.execute(_INSERT.format(2))

        def commit(seconds: float) -> None:
            waited.append(seconds)
            slow.commit()

        monkeypatch.setattr(writers.time, "sleep", commit)
        first = changes.position()
        quick.execute(_INSERT.format(3))
        second = changes.position()
    assert waited
    assert numbers(changes, None, first) == [1, 2]
    assert numbers(changes, first, second) == [3]


def test_a_writer_that_does_not_end_is_an_error(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    monkeypatch.setattr(writers.time, "sleep", lambda seconds: None)
    with psycopg.connect(postgresql_url) as slow, psycopg.connect(postgresql_url, autocommit=True) as quick:
        quick.execute(_CREATE)
        slow.execute(_INSERT.format(1))
        quick.execute(_INSERT.format(2))
        with pytest.raises(UnavailableError, match=r"order_changes: a transaction that writes it does not end"):
            _changes_in(postgresql_url).position()
        slow.rollback()
    assert _changes_in(postgresql_url).position() == "2"


def test_the_fingerprint_of_a_change_table_is_its_last_number(postgresql_url: str) -> None:
    import psycopg

    address = postgresql_url.replace("postgresql:", "postgresql+psycopg:")
    source = SqlSource(address, "order_changes", changes=ChangeTable(sequence="seq", operation="op"))
    with psycopg.connect(postgresql_url, autocommit=True) as database:
        database.execute(_CREATE)
        found = [source.fingerprint()]
        for number in (1, 2):
            database.execute(_INSERT.format(number))
            found.append(source.fingerprint())
    assert len(set(found)) == 3
    assert source.fingerprint() == found[-1]
