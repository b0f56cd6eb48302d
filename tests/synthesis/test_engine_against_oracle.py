"""The local engine says what the oracle says, on worlds of ties, nulls, corrections, late arrivals and large numbers."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.synthesis.synthesis_world import World, at, problem, queries, us

from headrace.core.clock import BEFORE_ALL
from headrace.synthesis.definitions import Aggregate, Direct, Stored
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.oracle import Oracle
from headrace.synthesis.primitives import AGGREGATIONS

LOOKBACKS = (None, *problem.lookbacks_us)
COLUMNS = (
    ("amount", "numeric"),
    ("items", "numeric"),
    ("channel", "categorical"),
    ("gift", "boolean"),
    ("label", "boolean"),
)


def _orders(entity: str, keys: tuple[str, ...]) -> list[Stored]:
    found: list[Stored] = []
    for column, kind in COLUMNS:
        for primitive in AGGREGATIONS.values():
            if kind in primitive.inputs:
                for lookback_us in LOOKBACKS:
                    for on in ("known", "event"):
                        found.append(_one(entity, "orders", keys, column, primitive.name, lookback_us, kind, on))
    found += [_one(entity, "orders", keys, "", name, span, "", "known") for name in ("count", "last_time") for span in LOOKBACKS]
    return found


def _one(entity: str, table: str, keys: Any, column: str, name: str, span: int | None, kind: Any, on: Any) -> Aggregate:
    result = AGGREGATIONS[name].result or kind
    return Aggregate(
        entity=entity, table=table, keys=keys, column=column, primitive=name, lookback_us=span, kind=result, on=on
    )


DEFINITIONS: list[Stored] = [
    *_orders("customer", ("customer",)),
    *_orders("place", ("city", "channel")),
    *(_one("customer", "visits", ("visitor",), "seconds", name, span, "numeric", "known") for name in ("mean", "skew", "max", "last") for span in LOOKBACKS),
    *(_one("customer", "visits", ("visitor",), "page", name, span, "categorical", "known") for name in ("mode", "num_unique") for span in LOOKBACKS),
    Direct(entity="customer", table="customers", column="tier", kind="categorical"),
    Direct(entity="customer", table="customers", column="age", kind="numeric"),
]

hours = st.integers(0, 40).map(lambda quarter: quarter / 2)
maybe_hours = st.none() | hours
numbers = st.none() | st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.0, 1e8, 1e8 + 1, 1e8 - 1, -1e6, 0.1, math.nan, math.inf]) | st.floats(-1e9, 1e9)
people = st.none() | st.sampled_from("abc")
arrivals = st.just(BEFORE_ALL) | hours.map(us)


def _order_rows() -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries(
        {
            "order_id": st.integers(0, 9),
            "customer": people,
            "city": st.sampled_from(["x", "y", None]),
            "planned": hours.map(at),
            "paid": maybe_hours.map(lambda value: None if value is None else at(value)),
            "amount": numbers,
            "channel": st.sampled_from(["web", "app", "Übersee", None]),
            "gift": st.sampled_from([True, False, None]),
            "items": st.none() | st.integers(-3, 3),
            "_arrival": arrivals,
        }
    )
    return st.lists(row, max_size=24)


customers = st.lists(
    st.fixed_dictionaries(
        {
            "customer": st.sampled_from("abc"),
            "since": hours.map(at),
            "tier": st.sampled_from(["gold", "tin", None]),
            "age": numbers,
            "_arrival": arrivals,
        }
    ),
    max_size=6,
)
visits = st.lists(
    st.fixed_dictionaries(
        {
            "visit_id": st.integers(0, 100),
            "visitor": people,
            "at": hours.map(at),
            "page": st.sampled_from(["p", "q", "r", None]),
            "seconds": numbers,
            "_arrival": arrivals,
        }
    ),
    max_size=12,
)
asked = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "never seen", None]),
        st.sampled_from(["x", "y", "z", None]),
        st.sampled_from(["web", "app", "none"]),
        st.integers(-2, 100).map(lambda quarter: quarter / 4),
    ),
    min_size=1,
    max_size=8,
)


def _finite(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A label may not be NaN or infinite: such an amount is missing instead."""
    return [{**row, "amount": row["amount"] if row["amount"] is None or math.isfinite(row["amount"]) else None} for row in rows]


def assert_close(ours: pa.Table, truth: pa.Table) -> None:
    for name in truth.column_names:
        for mine, true in zip(ours[name].to_pylist(), truth[name].to_pylist(), strict=True):
            if isinstance(true, float) and isinstance(mine, float):
                assert mine == pytest.approx(true, rel=1e-9, abs=1e-9), name
            else:
                assert mine == true, name


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(orders=_order_rows(), customers=customers, visits=visits, asked=asked)
def test_engine_agrees_with_oracle(orders: Any, customers: Any, visits: Any, asked: Any) -> None:
    world = World({"orders": _finite(orders), "customers": customers, "visits": visits})
    keys = queries(asked)
    ours = LocalEngine().compute(problem, DEFINITIONS, keys, world)
    assert ours.num_rows == keys.num_rows
    assert_close(ours, Oracle().compute(problem, DEFINITIONS, keys, world))
