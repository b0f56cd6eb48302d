"""Predictive questions in PQL become the problems that a person would declare."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.core.errors import DeclarationError
from headrace.schema import EntitySet, Problem, Relationship, Table, each_row, every
from headrace.schema.question import question_problem

SHOP = EntitySet(
    tables=(
        Table(name="customers", key="customer_id", source="customers.parquet"),
        Table(name="orders", key="order_id", time="placed", source="orders.parquet"),
    ),
    relationships=(Relationship("customers.customer_id", "orders.customer_id"),),
)


def asked(question: str, **options: Any) -> Problem:
    return question_problem(question, name="shop", entity_set=SHOP, **options)


def declared(spine: Any, label: str, metric: str = "auc", **options: Any) -> Problem:
    return Problem(name="shop", entity_set=SHOP, spine=spine, label=label, metric=metric, **options)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (
            "PREDICT COUNT(orders.*, 0, 30, days) > 0 FOR EACH customers.customer_id "
            "WHERE COUNT(orders.*, -90, 0, days) > 0",
            declared(every("30d", "customers", active="orders", within="90d"), 'count("orders", horizon="30d") > 0'),
        ),
        (
            "predict sum(orders.amount, 0, 7)\n  for each customers.customer_id;",
            declared(
                every("7d", "customers", active="orders", within="100y"), 'sum("orders.amount", horizon="7d")', "rmse"
            ),
        ),
        (
            "PREDICT COUNT(orders.* WHERE orders.state = 'lost', 0, 48, hours) = 0 FOR EACH customers.customer_id "
            "WHERE COUNT(orders.*, -INF, 0) > 0",
            declared(
                every("48h", "customers", active="orders", within="100y"),
                'count("orders", horizon="48h", where="state == \'lost\'") == 0',
            ),
        ),
        (
            "PREDICT COUNT(orders.* WHERE orders.state = 'AND', 0, 3) > 0 FOR EACH customers.customer_id",
            declared(
                every("3d", "customers", active="orders", within="100y"),
                'count("orders", horizon="3d", where="state == \'AND\'") > 0',
            ),
        ),
        (
            "PREDICT COUNT_DISTINCT(orders.channel, 0, 2, weeks) FOR EACH customers.customer_id",
            declared(
                every("2w", "customers", active="orders", within="100y"),
                'num_unique("orders.channel", horizon="2w")',
                "rmse",
            ),
        ),
        (
            "PREDICT orders.amount FOR EACH orders.order_id",
            declared(each_row("orders", cutoff="placed"), "amount", "rmse"),
        ),
        (
            'PREDICT orders.state = "lost" FOR EACH orders.order_id',
            declared(each_row("orders", cutoff="placed"), "state == 'lost'"),
        ),
    ],
)
def test_a_question_is_the_declared_problem(question: str, expected: Problem) -> None:
    assert asked(question) == expected


def test_step_metric_and_other_fields_may_be_given() -> None:
    problem = asked(
        "PREDICT COUNT(orders.*, 0, 30) FOR EACH customers.customer_id", step="7d", metric="rmsle", lookbacks=("30d",)
    )
    spine = every("7d", "customers", active="orders", within="100y")
    assert problem == declared(spine, 'count("orders", horizon="30d")', "rmsle", lookbacks=("30d",))


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("How many orders?", "no PREDICT"),
        ("PREDICT COUNT(orders.*, 0, 30) FOR customers.customer_id = 7", "FOR EACH customers.customer_id"),
        ("PREDICT COUNT(orders.*, 0, 30) FOR EACH customers.city", "is not the key of customers"),
        ("PREDICT COUNT(orders.*, 10, 30) FOR EACH customers.customer_id", "an interval from 10 to 30"),
        ("PREDICT COUNT(orders.*, 0, 3, months) FOR EACH customers.customer_id", "'months' has no fixed length"),
        ("PREDICT LIST_DISTINCT(orders.sku, 0, 30) FOR EACH customers.customer_id", "aggregation LIST_DISTINCT"),
        ("PREDICT COUNT(orders.*, 0, 3) > 0 AND SUM(orders.x, 0, 3) > 1 FOR EACH customers.customer_id", ": AND is"),
        ("PREDICT LIST_DISTINCT(orders.sku, 0, 30) RANK TOP 5 FOR EACH customers.customer_id", "evaluate FOLDER"),
        ("PREDICT LIST_DISTINCT(orders.sku, 0, 30) CLASSIFY FOR EACH customers.customer_id", "one value"),
        ("PREDICT SUM(orders.x, 0, 7) FORECAST 4 TIMEFRAMES FOR EACH customers.customer_id", "one period"),
        ("PREDICT orders.state LIKE 'lo%' FOR EACH orders.order_id", ": LIKE is"),
        ("PREDICT orders.state IN ('a', 'b') FOR EACH orders.order_id", "compare with one value"),
        ("PREDICT orders.state IS NOT NULL FOR EACH orders.order_id", ": NOT is"),
        ("PREDICT COUNT(orders.*, 0, 30) FOR EACH customers.customer_id ASSUMING x = 1", "ASSUMING"),
        ("PREDICT COUNT(orders.*, 0, 30) FOR EACH customers.customer_id WHERE customers.city = 'Bern'", "neither"),
        (
            "PREDICT COUNT(orders.*, 0, 30) FOR EACH customers.customer_id WHERE COUNT(orders.*, -90, 0) > 3",
            "the filter",
        ),
        (
            "PREDICT COUNT(orders.* WHERE customers.city = 'Bern', 0, 30) FOR EACH customers.customer_id",
            "a condition on",
        ),
        ("PREDICT customers.city FOR EACH orders.order_id", "the column customers.city"),
        ("PREDICT customers.city FOR EACH customers.customer_id", "which has a time"),
        ("PREDICT COUNT(carts.*, 0, 30) FOR EACH customers.customer_id", "carts"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(question: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        asked(question)
