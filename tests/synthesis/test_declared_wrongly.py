"""A wrong declaration gives one clear error before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from headrace.core.clock import HOUR
from headrace.core.errors import DataError, DeclarationError
from headrace.lake.conform import conform
from headrace.schema import EntitySet, Relationship, Table
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Aggregate, Condition, Direct, Grouped, RowColumn, Transform
from headrace.testing.shop_definitions import one
from headrace.testing.shop_world import World, problem, queries

CUSTOMERS = Table(name="customers", key="customer", source="-")
ORDERS = Table(name="orders", key="order_id", time="planned", source="-")
AMOUNT, CHANNEL = RowColumn(column="amount", kind="numeric"), RowColumn(column="channel", kind="categorical")


@pytest.mark.parametrize(
    ("relationships", "says"),
    [
        ([("customers.customer", "orders.customer"), ("orders.order_id", "customers.first")], "run in a circle"),
        ([("orders.order_id", "orders.earlier")], "run in a circle: orders -> orders"),
        ([("customers.name", "orders.customer")], "customers.name is not the key of customers"),
        ([("clients.customer", "orders.customer")], "no table 'clients'"),
        ([("customers", "orders.customer")], "'customers' is not table.column"),
    ],
)
def test_relationships(relationships: list[tuple[str, str]], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        EntitySet(tables=(CUSTOMERS, ORDERS), relationships=tuple(Relationship(*ends) for ends in relationships))


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"order_id": [1, 2, 1], "planned": ["2020-01-01T00:00:00Z"] * 3}, "duplicate key"),
        ({"order_id": [1, 2], "planned": ["2020-01-01T00:00:00Z", "2020-01-01T01:00:00"]}, "no time zone"),
        ({"order_id": [1, 2], "planned": ["2020-01-01T00:00:00+01:00", "2020-01-01 01:00:00"]}, "no time zone"),
    ],
)
def test_keys_that_are_not_unique_and_mixed_time_zones(columns: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        conform(ORDERS, pa.table(columns))


def test_instants_of_several_zones_are_one_instant_each() -> None:
    rows = pa.table({"order_id": [1, 2], "planned": ["2020-01-01T01:00:00+01:00", "2020-01-01T00:00:00Z"]})
    assert len(set(conform(ORDERS, rows)["planned"].to_pylist())) == 1


def over(column: str, name: str, **changed: Any) -> Aggregate:
    return replace(one("customer", "orders", ("customer",), column, name, None), **changed)


STILL = replace(problem.entity_set.tables[2], time=None, known=None)
WITHOUT_TIME = replace(problem, entity_set=replace(problem.entity_set, tables=(*problem.entity_set.tables[:2], STILL)))
VISITS = one("customer", "visits", ("visitor",), "seconds", "mean", 5 * HOUR)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: over("channel", "mean"), "mean cannot aggregate what is categorical"),
        (lambda: over("paid", "std"), "std cannot aggregate what is time"),
        (lambda: over("gift", "max"), "max cannot aggregate what is boolean"),
        (lambda: over("amount", "percent_true"), "percent_true cannot aggregate what is numeric"),
        (lambda: over("", "mean"), "mean needs a column"),
        (lambda: over("", "mean", value=CHANNEL), "mean cannot aggregate what is categorical"),
        (lambda: over("channel", "n_most_common", part=3), "n_most_common has 3 outputs"),
        (lambda: over("price", "mean"), "no column orders.price"),
        (lambda: over("amount", "mean", keys=("client",)), "no column orders.client"),
        (lambda: over("amount", "mean", table="sales"), "no table 'sales'"),
        (lambda: over("amount", "mean", entity="client"), "no entity 'client'"),
        (
            lambda: over("amount", "mean", where=Condition(on=RowColumn(column="shop", kind="categorical"),
                                                           operator="==", value="a")),
            "no column orders.shop",
        ),
        (
            lambda: over("", "mean", value=Transform(primitive="ratio", inputs=(AMOUNT, CHANNEL), kind="numeric")),
            r"ratio cannot be made from \(numeric, categorical\)",
        ),
        (
            lambda: over("", "mean", value=Grouped(table="orders", keys=("city",), primitive="cum_sum", value=CHANNEL,
                                                   kind="numeric")),
            "cum_sum cannot be made from what is categorical",
        ),
        (
            lambda: over("", "mean", value=Direct(entity="customer", table="customers", column="size", kind="numeric")),
            "no column customers.size",
        ),
    ],
)  # fmt: skip
def test_a_feature_that_cannot_be_computed(make: Callable[[], Aggregate], says: str) -> None:
    class Untouched(World):
        """Its tables' schemas may be looked at, their rows may not."""

        def table(self, name: str) -> pa.Table:
            return super().table(name).slice(0, 0)

    with pytest.raises(DeclarationError, match=says):
        LocalEngine().compute(problem, [make()], queries([("a", None, None, 5)]), Untouched({}))


def test_a_lookback_needs_a_time() -> None:
    for definition in (VISITS, replace(VISITS, lookback_us=None, on="event")):
        with pytest.raises(DeclarationError, match="a lookback on a table without time"):
            LocalEngine().compute(WITHOUT_TIME, [definition], queries([("a", None, None, 5)]), World({}))


def test_numbers_are_categories_too() -> None:
    definition = over("items", "num_unique")
    LocalEngine().compute(problem, [definition], queries([("a", None, None, 5)]), World({}))


def test_a_column_that_is_still_empty_can_become_anything() -> None:
    class Empty(World):
        def table(self, name: str) -> pa.Table:
            rows = super().table(name)
            return rows.set_column(rows.column_names.index("gift"), "gift", pa.nulls(0)) if name == "orders" else rows

    LocalEngine().compute(problem, [over("gift", "percent_true")], queries([("a", None, None, 5)]), Empty({}))
