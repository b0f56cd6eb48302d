"""A small shop: customers (with time), orders (the spine's table), visits; as a lake snapshot would give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from headrace.core.clock import BEFORE_ALL, HOUR, to_us
from headrace.schema import Entity, EntitySet, Problem, Relationship, Table, each_row

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
TIME = pa.timestamp("us", tz="UTC")
START = to_us(EPOCH)

COLUMNS = {
    "orders": {
        "order_id": pa.int64(),
        "customer": pa.string(),
        "city": pa.string(),
        "planned": TIME,
        "paid": TIME,
        "amount": pa.float64(),
        "channel": pa.string(),
        "gift": pa.bool_(),
        "items": pa.int64(),
    },
    "customers": {"customer": pa.string(), "since": TIME, "tier": pa.string(), "age": pa.float64()},
    "visits": {
        "visit_id": pa.int64(),
        "visitor": pa.string(),
        "at": TIME,
        "page": pa.string(),
        "seconds": pa.float64(),
    },
}

problem = Problem(
    name="shop",
    entity_set=EntitySet(
        tables=(
            Table(
                name="orders",
                key="order_id",
                time="planned",
                known="planned - 4h",
                known_at={"paid": "paid", "amount": "paid", "channel": "paid"},
                source="-",
            ),
            Table(name="customers", key="customer", time="since", source="-"),
            Table(name="visits", key="visit_id", time="at", known="at + 1h", source="-"),
        ),
        relationships=(
            Relationship("customers.customer", "orders.customer"),
            Relationship("customers.customer", "visits.visitor"),
        ),
    ),
    spine=each_row("orders", cutoff="planned - 2h"),
    label="amount >= 3",
    lookbacks=("2h", "5h", "1d"),
    tick="15min",
    entities=(Entity(name="place", join_keys=("city", "channel")),),
)


def at(hours: float) -> datetime:
    """An instant some hours after the epoch of this world."""
    return EPOCH + timedelta(hours=hours)


def us(hours: float) -> int:
    return START + round(hours * HOUR)


class World:
    """A snapshot: `.table(name)` with every version, `_arrival` and `_order`.

    Another world is a subclass with columns of its own.
    """

    columns: Mapping[str, Mapping[str, pa.DataType]] = COLUMNS

    def __init__(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self.rows = {name: list(rows.get(name, ())) for name in self.columns}

    def table(self, name: str) -> pa.Table:
        rows = self.rows[name]
        columns = {
            column: pa.array([row.get(column) for row in rows], type=kind)
            for column, kind in self.columns[name].items()
        }
        columns["_arrival"] = pa.array([row.get("_arrival", BEFORE_ALL) for row in rows], type=pa.int64())
        columns["_order"] = pa.array(range(len(rows)), type=pa.int64())
        return pa.table(columns)

    @property
    def schemas(self) -> dict[str, pa.Schema]:
        return {name: pa.schema(list(columns.items())) for name, columns in self.columns.items()}


def queries(rows: Sequence[tuple[str | None, str | None, str | None, float]]) -> pa.Table:
    """(customer, city, channel, hours) as an engine's keys."""
    return pa.table(
        {
            "customer": pa.array([row[0] for row in rows], type=pa.string()),
            "city": pa.array([row[1] for row in rows], type=pa.string()),
            "channel": pa.array([row[2] for row in rows], type=pa.string()),
            "tick": pa.array([us(row[3]) for row in rows], type=pa.int64()),
        }
    )
