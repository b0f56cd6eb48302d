"""Regions, their customers, their sessions, their events (of products): random worlds of three levels and more.

As `synthesis_random`: dense in ties, nulls, corrections, late arrivals, moved keys and large numbers.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from headrace.schema import EntitySet, Problem, Relationship, Table, each_row
from headrace.testing.random_world import Draw
from headrace.testing.shop_world import TIME, World, at, us

COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "requests": {"request": pa.int64(), "customer": pa.string(), "region": pa.string(), "at": TIME, "ok": pa.bool_()},
    "regions": {"region": pa.string(), "tax": pa.float64()},
    "customers": {"customer": pa.string(), "region": pa.string(), "joined": TIME, "tier": pa.string()},
    "sessions": {"session": pa.int64(), "customer": pa.string(), "begun": TIME, "device": pa.string()},
    "events": {
        "event": pa.int64(),
        "session": pa.int64(),
        "product": pa.string(),
        "happened": TIME,
        "seen": TIME,
        "amount": pa.float64(),
        "sort": pa.string(),
        "good": pa.bool_(),
    },
    "products": {"product": pa.string(), "price": pa.float64(), "brand": pa.string()},
}

problem = Problem(
    name="levels",
    entity_set=EntitySet(
        tables=(
            Table(name="requests", key="request", time="at", known_at={"ok": "at + 1h"}, source="-"),
            Table(name="regions", key="region", source="-"),
            Table(name="customers", key="customer", time="joined", source="-"),
            Table(name="sessions", key="session", time="begun", source="-"),
            Table(name="events", key="event", time="happened", known_at={"amount": "seen"}, source="-"),
            Table(name="products", key="product", source="-"),
        ),
        relationships=(
            Relationship("customers.customer", "requests.customer"),
            Relationship("regions.region", "requests.region"),
            Relationship("regions.region", "customers.region"),
            Relationship("customers.customer", "sessions.customer"),
            Relationship("sessions.session", "events.session"),
            Relationship("products.product", "events.product"),
        ),
    ),
    spine=each_row("requests", cutoff="at"),
    label="ok == true",
    lookbacks=("3h", "8h"),
    tick="15min",
)


class Levels(World):
    """A snapshot of these tables."""

    columns = COLUMNS


def drawn(draw: Draw, name: str, key: Any) -> dict[str, Any]:
    """One version of a row."""
    fresh: dict[str, dict[str, Any]] = {
        "regions": {"region": key, "tax": draw.number()},
        "customers": {
            "customer": key,
            "region": draw.one(["n", "s", None]),
            "joined": at(draw.hours() / 2),
            "tier": draw.one(["gold", "tin", None]),
        },
        "sessions": {
            "session": key,
            "customer": draw.one(["a", "a", "b", None]),
            "begun": at(draw.hours()),
            "device": draw.one(["pc", "phone", None]),
        },
        "events": {
            "event": key,
            "session": draw.one([0, 1, 2, 3, 4, None]),
            "product": draw.one(["x", "y", "z", None]),
            "happened": at(draw.hours()),
            "seen": draw.maybe_hours(),
            "amount": draw.number(),
            "sort": draw.one(["p", "p", "q", None]),
            "good": draw.one([True, False, None]),
        },
        "products": {"product": key, "price": draw.one([1.0, 2.0, None]), "brand": draw.one(["u", "v"])},
    }
    return {**fresh[name], "_arrival": draw.arrival()}


KEYS: dict[str, list[Any]] = {
    "regions": ["n", "s"],
    "customers": ["a", "b"],
    "sessions": [0, 1, 2, 3, 4],
    "events": list(range(14)),
    "products": ["x", "y"],
}


def corrected(draw: Draw, name: str, row: dict[str, Any]) -> dict[str, Any]:
    """A later version of a row in which a column or two differ, or none."""
    key = problem.entity_set.table(name).keys[0]
    fresh = drawn(draw, name, row[key])
    columns = [column for column in COLUMNS[name] if column != key]
    changed = [columns[index] for index in draw.rng.permutation(len(columns))[: int(draw.rng.integers(0, 3))]]
    return {**row, **{column: fresh[column] for column in changed}, "_arrival": us(draw.hours())}


def random_levels(seed: int) -> Levels:
    draw = Draw(seed)
    rows: dict[str, list[dict[str, Any]]] = {}
    for name, keys in KEYS.items():
        rows[name] = [drawn(draw, name, key) for key in keys if draw.rng.random() < 0.85]
        for _ in range(int(draw.rng.integers(0, 1 + len(keys) // 2)) if rows[name] else 0):
            rows[name].append(corrected(draw, name, draw.one(rows[name])))
    return Levels(rows)


def random_requests(seed: int, most: int = 8) -> pa.Table:
    draw = Draw(seed)
    many = int(draw.rng.integers(1, most))
    ticks = [us(draw.hours() + draw.one([0.0, 0.0, 0.25])) for _ in range(many)]
    return pa.table(
        {
            "customer": pa.array([draw.one(["a", "a", "b", "nobody", None]) for _ in range(many)], type=pa.string()),
            "region": pa.array([draw.one(["n", "s", None]) for _ in range(many)], type=pa.string()),
            "tick": pa.array(ticks, type=pa.int64()),
        }
    )
