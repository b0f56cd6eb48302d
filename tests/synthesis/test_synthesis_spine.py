"""The spine: what the row gives at its cutoff, when its label comes, and what never comes."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pytest

from headrace.core.clock import NEVER
from headrace.core.errors import DataError
from headrace.schema import Problem
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.history.entities import entity_keys
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.spine.build import build_spine
from headrace.testing.random_world import random_world
from headrace.testing.shop_world import COLUMNS, World, at, problem, us

ORDERS = [
    {"order_id": 1, "customer": "a", "city": "x", "planned": at(10), "paid": at(11), "amount": 5.0},
    {"order_id": 2, "customer": "b", "city": "x", "planned": at(12), "paid": None, "amount": None},
    {"order_id": 3, "customer": "a", "city": "y", "planned": at(20), "paid": at(21), "amount": 1.0},
    {"order_id": 4, "customer": None, "city": "y", "planned": at(9), "paid": at(30), "amount": 1.0},
]


def spine(orders: list[dict[str, object]], now: float, problem: Problem = problem, **more: int) -> pa.Table:
    return build_spine(problem, World({"orders": orders}), now_us=us(now), **more, engine=LocalEngine())


def test_rows_come_by_cutoff_with_labels_only_where_mature() -> None:
    found = spine(ORDERS, 22).to_pydict()
    assert found["order_id"] == [4, 1, 2, 3]
    assert found["label"] == [None, 1.0, None, 0.0]
    assert found["label_known"] == [us(30), us(11), NEVER, us(21)]
    assert found["mature"] == [False, True, False, True]
    assert found["censored"] == [True, False, True, False]
    assert found["cutoff"] == [us(hours - 2) for hours in (9, 10, 12, 20)]


def test_what_is_known_after_the_cutoff_is_not_in_it() -> None:
    assert not {"paid", "amount", "channel"} & set(spine(ORDERS, 22).column_names) - set(problem.join_keys)


def test_the_tick_is_the_last_one_at_or_before_the_cutoff() -> None:
    order = {**ORDERS[0], "planned": at(10.3)}
    assert spine([order], 22)["tick"].to_pylist() == [us(8.25)]


def test_cutoffs_are_taken_from_a_half_open_range() -> None:
    found = spine(ORDERS, 22, start_us=us(8), end_us=us(18))
    assert found["order_id"].to_pylist() == [1, 2]


def test_the_version_that_had_arrived_at_the_cutoff_is_the_row() -> None:
    orders = [
        {**ORDERS[0], "city": "first"},
        {**ORDERS[0], "city": "second", "_arrival": us(7)},
        {**ORDERS[0], "city": "too late", "_arrival": us(8)},
    ]
    assert spine(orders, 22)["city"].to_pylist() == ["second"]
    assert spine([{**row, "_arrival": us(50)} for row in orders], 60)["city"].to_pylist() == ["first"]


def test_a_label_is_known_from_its_arrival_and_a_correction_counts_once_it_has_come() -> None:
    orders = [{**ORDERS[0], "_arrival": us(15)}, {**ORDERS[0], "amount": 1.0, "_arrival": us(18)}]
    assert spine(orders, 14)["label"].to_pylist() == [None]
    early, late = spine(orders, 16).to_pydict(), spine(orders, 19).to_pydict()
    assert (early["label"], early["label_known"]) == ([1.0], [us(15)])
    assert (late["label"], late["label_known"]) == ([0.0], [us(18)])


@pytest.mark.parametrize("amount", [float("nan"), float("inf")])
def test_a_label_that_is_no_number_is_refused(amount: float) -> None:
    with pytest.raises(DataError, match="NaN or infinite"):
        spine([{**ORDERS[0], "amount": amount}], 22)


def test_a_label_of_text_must_be_compared_with_text() -> None:
    wrong = dataclasses.replace(problem, label="channel >= 3")
    with pytest.raises(DataError, match="cannot be compared"):
        spine(ORDERS, 22, wrong)
    right = dataclasses.replace(problem, label="channel == 'web'")
    assert spine([{**ORDERS[0], "channel": "web"}], 22, right)["label"].to_pylist() == [1.0]


def test_a_number_is_its_own_label() -> None:
    assert spine(ORDERS[:1], 22, dataclasses.replace(problem, label="amount", metric="rmse"))["label"].to_pylist() == [
        5.0
    ]


def test_entities_are_those_known_before_the_tick() -> None:
    world = World({"orders": ORDERS})
    assert entity_keys(problem, "customer", world, us(6.25)).to_pydict() == {"customer": ["a"]}
    assert entity_keys(problem, "customer", world, us(6)).num_rows == 0
    assert entity_keys(problem, "customer", world, us(100)).to_pydict() == {"customer": ["a", "b"]}


def test_a_matrix_has_a_row_per_spine_row_and_a_column_per_definition() -> None:
    world = random_world(7)
    definitions = enumerate_definitions(problem, world.schemas)
    rows = build_spine(problem, world, now_us=us(40), engine=LocalEngine())
    matrix = feature_matrix(problem, definitions, rows, world, LocalEngine())
    assert rows.num_rows > 5
    assert matrix.num_rows == rows.num_rows
    assert matrix.column_names == [item.slug for item in definitions]


def test_an_empty_table_makes_an_empty_spine_and_matrix() -> None:
    world = World({name: [] for name in COLUMNS})
    definitions = enumerate_definitions(problem, world.schemas)
    rows = build_spine(problem, world, now_us=us(40), engine=LocalEngine())
    assert rows.num_rows == 0
    assert feature_matrix(problem, definitions, rows, world, LocalEngine()).num_rows == 0
