"""The conformance suite of online stores for Feast: what is written comes back, by key, in order, with its time.

class TestMyStore(OnlineStoreConformance):
    @pytest.fixture
    def online_store(self, tmp_path):
        return {"type": "my_package.MyOnlineStore", "path": str(tmp_path / "rows")}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from feast import Entity, FeatureView, Field, FileSource, RepoConfig
from feast.infra.online_stores.helpers import get_online_store_from_config
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Float64, Int64, String
from feast.value_type import ValueType

Write = Callable[..., None]
Read = Callable[..., list[Any]]

NOW = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)
VIEW = FeatureView(
    name="orders",
    entities=[Entity(name="customer", join_keys=["customer"], value_type=ValueType.STRING)],
    schema=[
        Field(name="customer", dtype=String),
        Field(name="amount", dtype=Float64),
        Field(name="city", dtype=String),
        Field(name="last_time", dtype=Int64),
    ],
    source=FileSource(path="nowhere.parquet", timestamp_field="event_timestamp"),
    ttl=timedelta(0),
)


def key(customer: str) -> EntityKey:
    """The entity key of a customer."""
    return EntityKey(join_keys=["customer"], entity_values=[Value(string_val=customer)])


def values(amount: float, city: str | None = "Basel", last_time: int = 2**53 + 1) -> dict[str, Value]:
    """Features of a customer; a city of None is null."""
    return {
        "amount": Value(double_val=amount),
        "city": Value() if city is None else Value(string_val=city),
        "last_time": Value(int64_val=last_time),
    }


class OnlineStoreConformance:
    """What an online store must do for Headrace. Override the fixture `online_store`."""

    @pytest.fixture
    def online_store(self, tmp_path: Path) -> dict[str, Any]:
        """The section `online_store` of a feature_store.yaml."""
        raise NotImplementedError("give a fixture `online_store` that returns the section of feature_store.yaml")

    @pytest.fixture
    def config(self, online_store: dict[str, Any], tmp_path: Path) -> RepoConfig:
        """Feast's configuration with the store under test."""
        return RepoConfig(
            project="conformance",
            provider="local",
            registry=str(tmp_path / "registry.db"),
            online_store=online_store,
            entity_key_serialization_version=3,
        )

    @pytest.fixture
    def store(self, config: RepoConfig) -> Iterator[OnlineStore]:
        """The store under test, with the view's tables made."""
        store = get_online_store_from_config(config.online_store)
        store.update(config, [], [VIEW], [], [], partial=False)
        yield store
        store.teardown(config, [VIEW], [])

    @pytest.fixture
    def write(self, store: OnlineStore, config: RepoConfig) -> Write:
        """Writes rows by customer, at an instant."""

        def write(rows: dict[str, dict[str, Value]], at: datetime = NOW) -> None:
            store.online_write_batch(config, VIEW, [(key(name), row, at, at) for name, row in rows.items()], None)

        return write

    @pytest.fixture
    def read(self, store: OnlineStore, config: RepoConfig) -> Read:
        """Reads features of customers: name -> value, None for a customer that was never written."""

        def read(*names: str, features: list[str]) -> list[Any]:
            return [row for _, row in store.online_read(config, VIEW, [key(name) for name in names], features)]

        return read

    def test_a_row_comes_back_to_the_bit(self, write: Write, read: Read) -> None:
        row = values(0.1 + 0.2, "Zürich \U0001f980")
        write({"a": row})
        (back,) = read("a", features=list(row))
        assert {name: value.SerializeToString() for name, value in back.items()} == {
            name: value.SerializeToString() for name, value in row.items()
        }

    def test_rows_come_in_the_order_of_the_keys(self, write: Write, read: Read) -> None:
        write({name: values(number) for number, name in enumerate("abc")})
        rows = read("c", "nobody", "a", "c", features=["amount"])
        assert [row and row["amount"].double_val for row in rows] == [2.0, None, 0.0, 2.0]

    def test_a_later_write_replaces_an_earlier_one(self, write: Write, read: Read) -> None:
        write({"a": values(1.0), "b": values(5.0)})
        write({"a": values(2.0, None)}, NOW + timedelta(hours=1))
        a, b = read("a", "b", features=["amount", "city"])
        assert (a["amount"].double_val, b["amount"].double_val) == (2.0, 5.0)
        assert a["city"].WhichOneof("val") is None

    def test_the_time_of_a_row_is_kept(self, write: Write, store: OnlineStore, config: RepoConfig) -> None:
        write({"a": values(1.0)})
        ((at, _),) = store.online_read(config, VIEW, [key("a")], ["amount"])
        assert at is not None
        assert (at if at.tzinfo else at.replace(tzinfo=UTC)) == NOW

    def test_many_rows_at_once(self, write: Write, read: Read) -> None:
        write({f"c{number}": values(float(number)) for number in range(500)})
        rows = read(*(f"c{number}" for number in range(500)), features=["amount"])
        assert [row["amount"].double_val for row in rows] == list(range(500))
