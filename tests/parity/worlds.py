"""Entity sets on which featuretools and Headrace are compared, declared as plain data that both environments import.

`flights` and `mock_customer` come from packages; the others are drawn here, from a fixed seed, dense in what is hard:
rows at the same instant, rows exactly at a cutoff, nulls, groups without rows, stamps that are bare dates, a night in
which clocks are put back, and values of 1e8 whose spread is 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR
TIME = pa.timestamp("us", tz="UTC")
START = 1_383_350_400_000_000  # 2013-11-02 00:00 UTC: the night after it, New York's clocks are put back


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """A table: its key, its time (None: known since ever), columns whose type alone would tell them wrongly."""

    key: str
    time: str | None = None
    text: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    boolean: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Run:
    """One call of featuretools' dfs. () for aggregations and transforms: its defaults."""

    target: str
    depth: int = 1
    aggregations: tuple[str, ...] = ()
    transforms: tuple[str, ...] = ("none",)
    where: tuple[str, ...] = ()
    groupby: tuple[str, ...] = ()
    window: str | None = None
    include_cutoff: bool = True
    most: int = 0


@dataclass(frozen=True, kw_only=True)
class WorldSpec:
    """relationships: parent, child, the child's column. interesting: table, column -> values of where-clauses."""

    tables: dict[str, TableSpec]
    relationships: tuple[tuple[str, str, str], ...]
    runs: dict[str, Run]
    interesting: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)


CATALOGUE = ("catalogue",)  # stands for every aggregation that featuretools has
STACKABLE = ("sum", "mean", "max", "min", "std", "count", "mode", "num_unique")

_SHOP_TABLES = {
    "regions": TableSpec(key="region_id"),
    "customers": TableSpec(key="customer_id", category=("segment",)),
    "sessions": TableSpec(key="session_id", time="opened", category=("device",)),
    "events": TableSpec(key="event_id", time="at", category=("cat",), boolean=("flag", "sure")),
}
_SHOP_RELATIONSHIPS = (
    ("regions", "customers", "region_id"),
    ("customers", "sessions", "customer_id"),
    ("sessions", "events", "session_id"),
)

WORLDS: dict[str, WorldSpec] = {
    "shop": WorldSpec(
        tables=_SHOP_TABLES,
        relationships=_SHOP_RELATIONSHIPS,
        interesting={("events", "cat"): ("a", "c"), ("sessions", "device"): ("web",)},
        runs={
            "flat": Run(target="sessions", aggregations=CATALOGUE),
            "flat_before": Run(target="sessions", aggregations=CATALOGUE, include_cutoff=False),
            "flat_window": Run(target="sessions", aggregations=CATALOGUE, window="6 hours"),
            "flat_window_before": Run(
                target="sessions", aggregations=CATALOGUE, window="6 hours", include_cutoff=False
            ),
            "where": Run(target="sessions", aggregations=("count", "sum", "mean"), where=("count", "sum", "mean")),
            "stacked": Run(target="customers", depth=2, transforms=()),
            "stacked_before": Run(target="customers", depth=2, aggregations=STACKABLE, include_cutoff=False),
            "stacked_window": Run(target="customers", depth=2, aggregations=STACKABLE, window="6 hours"),
            "stacked_where": Run(
                target="customers", depth=2, aggregations=("count", "sum", "mean"), where=("count", "mean")
            ),
            "three_deep": Run(target="regions", depth=3, aggregations=("sum", "mean", "max", "count")),
            "grouped": Run(
                target="sessions",
                depth=2,
                aggregations=("last", "max", "mean"),
                groupby=("cum_sum", "cum_count", "cum_mean", "cum_min", "cum_max", "diff", "time_since_previous"),
            ),
        },
    ),
    "large": WorldSpec(
        tables=_SHOP_TABLES,
        relationships=_SHOP_RELATIONSHIPS,
        runs={
            "flat": Run(target="sessions", aggregations=CATALOGUE),
            "flat_window_before": Run(target="sessions", aggregations=CATALOGUE, window="2 days", include_cutoff=False),
            "stacked": Run(target="customers", depth=2, aggregations=STACKABLE),
        },
    ),
    "rows": WorldSpec(
        tables={
            "rows": TableSpec(
                key="row_id",
                time="stamp",
                text=("words", "email"),
                category=("left", "right"),
                boolean=("flag", "sure"),
            )
        },
        relationships=(),
        runs={"transforms": Run(target="rows", transforms=("catalogue",))},
    ),
    "flights": WorldSpec(
        tables={
            "planes": TableSpec(key="tailnum", category=("manufacturer", "engine")),
            "airlines": TableSpec(key="carrier", category=("name",)),
            "flights": TableSpec(
                key="flight_id", time="scheduled_departure", category=("origin", "dest"), boolean=("cancelled",)
            ),
        },
        relationships=(("planes", "flights", "tailnum"), ("airlines", "flights", "carrier")),
        interesting={("flights", "origin"): ("EWR", "JFK")},
        runs={
            "flat": Run(target="planes", aggregations=CATALOGUE),
            "flat_week": Run(target="planes", aggregations=CATALOGUE, window="7 days", include_cutoff=False),
            "stacked": Run(target="planes", depth=2, transforms=("weekday",), where=("count",), aggregations=STACKABLE),
            "up_and_down": Run(target="planes", depth=3, aggregations=("mean", "count", "max"), most=150),
        },
    ),
    "mock_customer": WorldSpec(
        tables={
            "customers": TableSpec(key="customer_id", time="join_date", category=("zip_code",)),
            "sessions": TableSpec(key="session_id", time="session_start", category=("device",)),
            "products": TableSpec(key="product_id", category=("brand",)),
            "transactions": TableSpec(key="transaction_id", time="transaction_time"),
        },
        relationships=(
            ("customers", "sessions", "customer_id"),
            ("sessions", "transactions", "session_id"),
            ("products", "transactions", "product_id"),
        ),
        interesting={("sessions", "device"): ("desktop", "mobile", "tablet")},
        runs={
            "defaults": Run(target="customers", depth=2, transforms=()),
            "defaults_before": Run(target="customers", depth=2, transforms=(), include_cutoff=False),
            "where": Run(target="customers", depth=2, where=("count",), aggregations=("count", "mean")),
            "sessions": Run(target="sessions", aggregations=CATALOGUE, window="10 minutes"),
        },
    ),
}


def targets(world: str) -> tuple[str, ...]:
    """The tables that a world's runs are about, each once."""
    return tuple(dict.fromkeys(run.target for run in WORLDS[world].runs.values()))


def make_shop(seed: int, *, large: bool) -> dict[str, pa.Table]:
    """regions, customers, sessions, events. large: stamps are bare dates, numbers 1e8 + a few."""
    rng = np.random.default_rng(seed)
    step = DAY if large else HOUR // 2
    span = 12 if large else 96
    n_customers, n_sessions, n_events = 9, 34, 330
    opened = START + np.sort(rng.integers(0, span, n_sessions)) * step
    session = rng.integers(0, n_sessions - 2, n_events)  # the last two sessions stay without an event
    at = opened[session] + rng.integers(0, 12 if large else 40, n_events) // 2 * step
    base = 1e8 if large else 0.0
    number = np.where(
        rng.random(n_events) < 0.3, rng.integers(-2, 4, n_events), np.round(rng.normal(2, 3, n_events), 3)
    )
    events = {
        "event_id": pa.array(rng.permutation(n_events)),
        "session_id": pa.array(session),
        "at": pa.array(at, TIME),
        "x": pa.array(base + number, mask=rng.random(n_events) < 0.15),
        "n": pa.array(rng.integers(-3, 6, n_events) + int(base)),
        "cat": pa.array(rng.choice(["a", "b", "b", "c", "Ü"], n_events), mask=rng.random(n_events) < 0.1),
        "flag": pa.array(rng.random(n_events) < 0.5, mask=rng.random(n_events) < 0.2),
        "sure": pa.array(rng.random(n_events) < 0.6),
    }
    return {
        "regions": pa.table({"region_id": pa.array([0, 1, 2])}),
        "customers": pa.table(
            {
                "customer_id": pa.array(np.arange(n_customers)),
                "region_id": pa.array(np.arange(n_customers) % 2),  # nobody lives in the third region
                "segment": pa.array([["gold", "tin", None][index % 3] for index in range(n_customers)]),
                "age": pa.array(rng.integers(18, 80, n_customers).astype(np.float64)),
            }
        ),
        "sessions": pa.table(
            {
                "session_id": pa.array(np.arange(n_sessions)),
                "customer_id": pa.array(rng.integers(0, n_customers - 1, n_sessions)),
                "opened": pa.array(opened, TIME),
                "device": pa.array(rng.choice(["web", "app", "till"], n_sessions), mask=rng.random(n_sessions) < 0.1),
                "score": pa.array(base + rng.integers(0, 9, n_sessions) / 4, mask=rng.random(n_sessions) < 0.2),
            }
        ),
        "events": pa.table(events).take(pa.array(np.argsort(at, kind="stable"))),
    }


def make_rows() -> dict[str, pa.Table]:
    """One table for transforms of a row's own columns."""
    rng = np.random.default_rng(5)
    n = 48
    hours = np.round(np.linspace(-8_000, 3_000, n)).astype(np.int64)
    stamp = START + hours * HOUR + rng.integers(0, 3_600, n) * 1_000_000
    stamp[:6] = [
        1_356_998_400_000_000,  # 2013-01-01 00:00, the first instant of a year
        1_330_473_600_000_000,  # 2012-02-29
        1_388_534_399_000_000,  # 2013-12-31 23:59:59
        1_383_458_400_000_000,  # 2013-11-03 06:00, New York's clocks are put back
        1_382_832_000_000_000,  # 2013-10-27 00:00, a Sunday
        1_380_585_600_000_000,  # 2013-10-01, the first day of a quarter
    ]
    words = [
        "", "one", "two words", "  leading and  double ", "UPPER lower", "a, b; c!", "#tag @you", "Ünïcode wörds",
        "7 of 9", "it's a \"quoted\" word", "tab\tand\nline", None,
    ]  # fmt: skip
    emails = ["a@example.com", "b.c@sub.example.org", "none", None, "d@EXAMPLE.com", "x@gmail.com"]
    maybe = lambda share: rng.random(n) < share  # noqa: E731
    return {
        "rows": pa.table(
            {
                "row_id": pa.array(np.arange(n)),
                "stamp": pa.array(stamp, TIME),
                "other": pa.array(stamp - rng.integers(-400, 4_000, n) * HOUR, TIME, mask=maybe(0.1)),
                "x": pa.array(np.round(rng.normal(0, 3, n), 3), mask=maybe(0.1)),
                "y": pa.array(rng.integers(-3, 4, n).astype(np.float64), mask=maybe(0.1)),
                "flag": pa.array(rng.random(n) < 0.5, mask=maybe(0.2)),
                "sure": pa.array(rng.random(n) < 0.5),
                "left": pa.array(rng.choice(["a", "b", "c"], n), mask=maybe(0.1)),
                "right": pa.array(rng.choice(["a", "b", "c"], n), mask=maybe(0.1)),
                "words": pa.array([words[index % len(words)] for index in range(n)]),
                "email": pa.array([emails[index % len(emails)] for index in range(n)]),
                "from_lat": pa.array(np.round(rng.uniform(-80, 80, n), 4), mask=maybe(0.1)),
                "from_lon": pa.array(np.round(rng.uniform(-179, 179, n), 4)),
                "to_lat": pa.array(np.round(rng.uniform(-80, 80, n), 4)),
                "to_lon": pa.array(np.round(rng.uniform(-179, 179, n), 4)),
            }
        )
    }


def make_spine(tables: dict[str, pa.Table], world: str, target: str, seed: int, n: int = 36) -> pa.Table:
    """(key, cutoff_us) distinct pairs: half of the cutoffs are stamps of the tables themselves."""
    spec = WORLDS[world]
    rng = np.random.default_rng(seed)
    stamps = np.unique(
        np.concatenate(
            [tables[name][one.time].cast(pa.int64()).to_numpy() for name, one in spec.tables.items() if one.time]
        )
    )
    keys = tables[target][spec.tables[target].key]
    if world == "rows":
        return pa.table({"key": keys, "cutoff": pa.array(np.full(len(keys), stamps.max() + DAY))})
    if world == "mock_customer":
        stamps = stamps[stamps >= 1_388_534_400_000_000]
    drawn = np.where(rng.random(n) < 0.5, rng.choice(stamps, n), rng.integers(stamps.min(), stamps.max() + HOUR, n))
    drawn = np.where(drawn % 1_000_000 == 0, drawn, drawn // 1_000_000 * 1_000_000)
    drawn[:2] = stamps.min() - DAY, stamps.max() + DAY
    pairs = sorted(
        {(int(place), int(cutoff)) for place, cutoff in zip(rng.integers(0, len(keys), n), drawn, strict=True)}
    )
    return pa.table(
        {"key": keys.take(pa.array([place for place, _ in pairs])), "cutoff": [cutoff for _, cutoff in pairs]}
    )
