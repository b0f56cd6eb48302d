"""Stacked features: the local engine computes the values of the oracle, over levels, corrections and ties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import HOUR
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Aggregate, Condition, Direct, Grouped, RowColumn, Stored, Transform
from headrace.synthesis.oracle.oracle import Oracle
from headrace.synthesis.primitives import AGGREGATIONS
from headrace.synthesis.primitives.running import RUNNING
from headrace.testing.engines import assert_close
from headrace.testing.random_world import Draw
from headrace.testing.shop_world import at, us
from tests.synthesis.synthesis_levels import Levels, corrected, drawn, problem, random_levels, random_requests

seeds = st.integers(0, 2**32)
CUSTOMER = "session.sessions.customer"
SWEPT = ("sum", "mean", "std", "skew", "min", "max", "count", "last", "last_time")
LISTED = ("median", "first", "trend", "kurtosis")


def over(
    entity: str, table: str, keys: str, primitive: str, column: str = "", hours: int | None = None, **more: Any
) -> Aggregate:
    given_kind = more.pop("kind", "numeric")
    return Aggregate(
        entity=entity,
        table=table,
        keys=tuple(keys.split("+")),
        column=column,
        primitive=primitive,
        lookback_us=None if hours is None else hours * HOUR,
        kind=more.pop("says", AGGREGATIONS[primitive].result or given_kind),
        **more,
    )


def of_session(primitive: str, column: str = "amount", hours: int | None = None, **more: Any) -> Aggregate:
    return over("session", "events", "session", primitive, column, hours, **more)


AMOUNT = RowColumn(column="amount", kind="numeric")
SORT = RowColumn(column="sort", kind="categorical")
DEVICE = RowColumn(column="device", kind="categorical")
PRICE = Direct(entity="product", table="products", column="price", kind="numeric")
BRAND = Direct(entity="product", table="products", column="brand", kind="categorical")
TAX = Direct(entity="region", table="regions", column="tax", kind="numeric")


def sessions(primitive: str, hours: int | None = None, **more: Any) -> Aggregate:
    return over("customer", "sessions", "customer", primitive, "", hours, **more)


def events(primitive: str, hours: int | None = None, **more: Any) -> Aggregate:
    return over("customer", "events", CUSTOMER, primitive, more.pop("column", ""), hours, **more)


def running(primitive: str, value: RowColumn = AMOUNT, key: str = "product") -> Grouped:
    kind = RUNNING[primitive].result or value.kind
    return Grouped(table="events", keys=(key,), primitive=primitive, value=value, kind=kind)


def clause(on: Any, operator: Any, value: float | str) -> Condition:
    return Condition(on=on, operator=operator, value=value)


LOG = Transform(primitive="log", inputs=(of_session("sum"),), kind="numeric")
AGO = Transform(primitive="time_since", inputs=(RowColumn(column="happened", kind="time"),), kind="numeric")
ACROSS = over("product", "events", "product", "mean", "amount", 8)
#: Of numbers, too.
COUNTED = ("mode", "num_unique", "entropy")
DOWN: list[Stored] = [
    *(sessions(name, span, value=of_session("sum")) for name in (*SWEPT, *LISTED) for span in (None, 3)),
    *(sessions(name, 8, value=of_session("mean", hours=3)) for name in SWEPT),
    *(sessions(name, 8, value=of_session("max", hours=3, on="event"), on="event") for name in SWEPT),
    *(sessions(name, value=of_session("mode", "sort", kind="categorical")) for name in ("num_unique", "count")),
    sessions("mode", value=of_session("mode", "sort", kind="categorical"), kind="categorical"),
    *(sessions(name, span, value=of_session("count"), says="numeric") for name in COUNTED for span in (None, 3)),
    sessions("last", 8, value=of_session("last", "sort", kind="categorical"), kind="categorical"),
    sessions("percent_true", value=of_session("last", "good", kind="boolean"), kind="boolean"),
    sessions("count", value=of_session("last_time", kind="time")),
    sessions("mean", value=LOG),
    sessions("mean", 8, value=over("session", "events", "session", "mean", "", None, value=PRICE)),
    over("region", "customers", "region", "mean", value=sessions("max", value=of_session("sum"))),
    over("region", "customers", "region", "sum", hours=8, value=over("customer", "sessions", "customer", "count")),
    over("region", "sessions", "customer.customers.region", "count"),
    over("region", "events", "session.sessions.customer.customers.region", "mean", "amount", 8),
]
BESIDE: list[Stored] = [
    *(events(name, span, column="amount") for name in (*SWEPT, *LISTED) for span in (None, 8)),
    *(events(name, 8, column="amount", on="event") for name in ("mean", "last", "median")),
    *(events(name, value=PRICE) for name in ("mean", "min", "last")),
    events("mode", 8, value=BRAND, kind="categorical"),
    *(events(name, 8, column="amount", says="numeric") for name in COUNTED),
    events("mean", value=Transform(primitive="log", inputs=(AMOUNT,), kind="numeric")),
    events("std", value=PRICE),
    *(events("mean", span, value=running(name)) for name in RUNNING for span in (None, 3)),
    events("mode", value=running("previous", SORT, "session"), kind="categorical"),
    sessions("last", value=RowColumn(column="device", kind="categorical"), kind="categorical"),
    Direct(entity="customer", table="customers", column="", kind="numeric", value=TAX),
    Direct(entity="customer", table="customers", column="", kind="numeric", value=sessions("count")),
    over("region", "customers", "region", "mean", value=TAX),
]
WHERE: list[Stored] = [
    *(events("count", span, where=clause(SORT, "==", "p")) for span in (None, 3)),
    events("mean", 8, column="amount", where=clause(SORT, "!=", "p")),
    events("mean", column="amount", where=clause(BRAND, "==", "u")),
    events("mean", column="amount", where=clause(running("previous"), ">", 0.5)),
    *(sessions("count", where=clause(of_session("count", ""), sign, 1.0)) for sign in (">", "<=")),
    sessions("mean", 8, value=of_session("sum"), where=clause(DEVICE, "==", "pc")),
    sessions("mean", value=of_session("sum", where=clause(SORT, "==", "p"))),
    sessions("count", 3, where=clause(DEVICE, "==", "pc")),
    sessions("count", 3, where=clause(DEVICE, "==", "pc"), on="event"),
]
SIBLINGS = over("customer", "sessions", "customer", "count")
OVER: list[Stored] = [
    *(events(name, span, value=ACROSS) for name in ("mean", "max", "median") for span in (None, 8)),
    events("mean", value=AGO),
    events("mode", value=over("product", "events", "product", "mode", "sort", kind="categorical"), kind="categorical"),
    events("count", where=clause(ACROSS, ">", 1.0)),
    sessions("mean", value=over("customer+device", "sessions", "customer+device", "count", "", 8)),
    sessions("mean", value=over("session", "events", "session", "mean", value=ACROSS)),
    sessions("sum", value=Transform(primitive="difference", inputs=(of_session("count"), SIBLINGS), kind="numeric")),
]


#: Entities that are reached through the last row of another one.
THROUGH: list[Stored] = [
    *(events("last", span, value=over("product", "events", "product", name, "amount", hours))
      for name in ("mean", "std", "max", "last", "median") for span in (None, 8) for hours in (None, 3)),
    events("last", value=over("product", "events", "product", "count", "", 8)),
    events("last", 8, on="event", value=over("product", "events", "product", "mean", "amount", 8)),
    events("last", value=over("product", "events", "product", "mode", "sort", kind="categorical"), kind="categorical"),
    events("last", value=over("product", "events", "product", "last_time", "amount", kind="time"), kind="time"),
    events("last", value=Transform(primitive="difference", inputs=(AMOUNT, ACROSS), kind="numeric")),
    events("last", value=ACROSS, where=clause(SORT, "==", "p")),
    events("last", value=ACROSS, where=clause(ACROSS, ">", 1.0)),
    sessions("last", value=over("device", "sessions", "device", "count", "", 8)),
    sessions("last", value=over("session", "events", "session", "last", value=ACROSS)),
    over("region", "customers", "region", "last", value=sessions("last", value=of_session("last", value=ACROSS))),
]  # fmt: skip


SORTS = {"down": DOWN, "beside": BESIDE, "where": WHERE, "over": OVER, "through": THROUGH}


@pytest.mark.parametrize("definitions", SORTS.values(), ids=SORTS)
@settings(max_examples=12, deadline=None)
@given(world=seeds, query_seed=seeds)
def test_engine_agrees_with_oracle_on_stacked_features(definitions: list[Stored], world: int, query_seed: int) -> None:
    snapshot, keys = random_levels(world), random_requests(query_seed)
    ours = LocalEngine().compute(problem, definitions, keys, snapshot)
    assert_close(ours, Oracle().compute(problem, definitions, keys, snapshot))


EVERYTHING = [*DOWN, *BESIDE, *WHERE, *OVER, *THROUGH]


@settings(max_examples=5, deadline=None)
@given(world=seeds, query_seed=seeds, future=seeds)
def test_what_is_known_later_changes_no_bit_of_a_stacked_feature(world: int, query_seed: int, future: int) -> None:
    before, keys = random_levels(world), random_requests(query_seed, most=4)
    tick = keys["tick"][0].as_py()
    keys = keys.set_column(keys.column_names.index("tick"), "tick", pa.array([tick] * keys.num_rows))
    draw = Draw(future)
    after = {name: list(rows) for name, rows in before.rows.items()}
    for name in ("regions", "customers", "sessions", "events", "products"):
        late = [drawn(draw, name, key) for key in ({"events": range(50, 54), "sessions": (7,)}.get(name, ()))]
        late += [corrected(draw, name, draw.one(after[name])) for _ in range(3) if after[name]]
        after[name] += [{**row, "_arrival": tick + int(draw.rng.integers(0, 3))} for row in late]
    was, now = (LocalEngine().compute(problem, EVERYTHING, keys, snapshot) for snapshot in (before, Levels(after)))
    assert now.equals(was)


@settings(max_examples=3, deadline=None)
@given(world=seeds, query_seed=seeds)
def test_a_stacked_value_depends_on_its_own_query_alone(world: int, query_seed: int) -> None:
    snapshot, keys = random_levels(world), random_requests(query_seed, most=4)
    engine = LocalEngine()
    together = engine.compute(problem, EVERYTHING, keys, snapshot)
    for index in range(keys.num_rows):
        assert engine.compute(problem, EVERYTHING, keys.slice(index, 1), snapshot).equals(together.slice(index, 1))
    alone = engine.compute(problem, EVERYTHING[:1], keys, snapshot)
    assert alone[EVERYTHING[0].slug].equals(together[EVERYTHING[0].slug])


def test_an_inner_value_is_that_of_the_tick_not_of_its_row() -> None:
    """featuretools' meaning: a session's sum goes on growing after it began, for whoever asks later."""
    begun = {"session": 1, "customer": "a", "begun": at(1.0), "device": "pc"}
    rows = [{"event": n, "session": 1, "happened": at(n), "seen": at(n), "amount": 10.0**n} for n in (1, 2, 3)]
    world = Levels({"sessions": [begun], "events": rows})
    definition = sessions("mean", value=of_session("sum"))
    keys = pa.table({"customer": ["a"] * 3, "tick": [us(hours) for hours in (1.5, 2.5, 3.5)]})
    assert LocalEngine().compute(problem, [definition], keys, world)[definition.slug].to_pylist() == [
        10.0,
        110.0,
        1110.0,
    ]
    recent = replace(definition, lookback_us=HOUR)
    assert LocalEngine().compute(problem, [recent], keys, world)[recent.slug].to_pylist() == [10.0, None, None]


@pytest.mark.parametrize("name", sorted(RUNNING))
def test_a_running_value_by_hand(name: str) -> None:
    rows = [
        {"event": n, "session": 1, "product": "x", "happened": at(n), "seen": at(n), "amount": amount}
        for n, amount in enumerate([4.0, 1.0, 7.0])
    ]
    world = Levels({"sessions": [{"session": 1, "customer": "a", "begun": at(0)}], "events": rows})
    definition = events("sum", value=running(name))
    keys = pa.table({"customer": ["a"], "tick": [us(5)]})
    expected = {
        "previous": 4.0 + 1.0,
        "difference_to_previous": -3.0 + 6.0,
        "time_since_previous": 3600.0 * 2,
        "cum_count": 1.0 + 2.0 + 3.0,
        "cum_sum": 4.0 + 5.0 + 12.0,
        "cum_mean": 4.0 + 2.5 + 4.0,
        "cum_max": 4.0 + 4.0 + 7.0,
        "cum_min": 4.0 + 1.0 + 1.0,
    }
    assert LocalEngine().compute(problem, [definition], keys, world)[definition.slug].to_pylist() == [expected[name]]
