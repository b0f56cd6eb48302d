"""A feature unfolded: the root's value is the engine's, the rows are those that made it, and the words say it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import DAY
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.explanation.description import words
from headrace.synthesis.explanation.unfold import Node, unfold
from headrace.synthesis.language.definitions import (
    Aggregate,
    Condition,
    Definition,
    Direct,
    RowColumn,
    Stored,
    Transform,
)
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.testing.shop_world import at, us
from tests.synthesis.synthesis_levels import Levels, problem, random_levels, random_requests


def of(entity: str, table: str, key: str, primitive: str, column: str = "", **more: Any) -> Aggregate:
    more = {"lookback_us": None, "kind": "numeric", **more}
    return Aggregate(entity=entity, table=table, keys=(key,), column=column, primitive=primitive, **more)


AMOUNT = RowColumn(column="amount", kind="numeric")
SESSION_SUM = of("session", "events", "session", "sum", "amount")
STACKED = of("customer", "sessions", "customer", "mean", value=SESSION_SUM)
RECENT = of("customer", "sessions", "customer", "count", lookback_us=DAY // 8)
WHERE = of(
    "customer",
    "sessions",
    "customer",
    "count",
    where=Condition(on=RowColumn(column="device", kind="categorical"), operator="==", value="pc"),
)
ACROSS = of("customer", "events", "session.sessions.customer", "max", "amount")
TIER = Direct(entity="customer", table="customers", column="tier", kind="categorical")
TAX = Direct(
    entity="customer",
    table="customers",
    column="",
    kind="numeric",
    value=Direct(entity="region", table="regions", column="tax", kind="numeric"),
)
RATIO = Transform(primitive="difference", inputs=(RECENT, STACKED), kind="numeric")
ALL: list[Definition] = [STACKED, RECENT, WHERE, ACROSS, TIER, TAX, RATIO]


@settings(max_examples=10, deadline=None)
@given(world=st.integers(0, 2**32), query_seed=st.integers(0, 2**32))
def test_the_root_says_what_the_engine_says(world: int, query_seed: int) -> None:
    snapshot, keys = random_levels(world), random_requests(query_seed, most=4)
    spine = keys.append_column("cutoff", keys["tick"])
    matrix = feature_matrix(problem, ALL, spine, snapshot, LocalEngine())
    for index, query in enumerate(keys.to_pylist()):
        for definition in ALL:
            node = unfold(problem, definition, query, query["tick"], snapshot)
            true = matrix[definition.slug][index].as_py()
            assert node.value == (pytest.approx(true, rel=1e-9, abs=1e-9) if isinstance(true, float) else true)


@settings(max_examples=10, deadline=None)
@given(world=st.integers(0, 2**32), query_seed=st.integers(0, 2**32))
def test_the_rows_that_counted_are_as_many_as_the_count(world: int, query_seed: int) -> None:
    snapshot, keys = random_levels(world), random_requests(query_seed, most=4)
    counts: list[Stored] = [RECENT, WHERE]
    for query in keys.to_pylist():
        for definition in counts:
            node = unfold(problem, definition, query, query["tick"], snapshot, most=1000)
            assert node.value == node.counted == sum(not row.why for row in node.rows)
            assert node.left_out == sum(bool(row.why) for row in node.rows)


def _session(number: int, hours: float, device: str = "pc") -> dict[str, Any]:
    return {"session": number, "customer": "a", "begun": at(hours), "device": device}


def _asked(definition: Definition, hours: float, world: Levels) -> Node:
    return unfold(problem, definition, {"customer": "a", "region": "n"}, us(hours), world)


def test_each_row_that_did_not_count_says_why() -> None:
    world = Levels({"sessions": [_session(1, 1), _session(2, 9), _session(3, 11)]})
    reasons = {row.row["session"]: row.why for row in _asked(RECENT, 10, world).rows}
    assert reasons == {1: "before the lookback", 2: "", 3: "not known before the tick"}
    phone = Levels({"sessions": [_session(1, 1), _session(2, 2, "phone")]})
    assert [row.why for row in _asked(WHERE, 10, phone).rows] == ["", "the condition does not hold"]


def test_a_stacked_feature_unfolds_to_the_rows_below_each_row() -> None:
    events = [{"event": n, "session": 1, "happened": at(2), "seen": at(2), "amount": float(n)} for n in (3, 4)]
    node = _asked(STACKED, 10, Levels({"sessions": [_session(1, 1), _session(2, 1)], "events": events}))
    assert node.value == 3.5  # of 7, and of the sum of nothing
    first, second = node.rows
    assert (first.value, first.children[0].counted, second.value) == (7.0, 2, 0.0)
    assert [row.row["amount"] for row in first.children[0].rows] == [3.0, 4.0]


def test_an_entity_that_a_request_does_not_name_has_no_rows() -> None:
    nobody = unfold(problem, RECENT, {"customer": None, "region": None}, us(5), Levels({}))
    assert (nobody.value, nobody.rows) == (0.0, ())


def test_words() -> None:
    assert words(RECENT) == "the number of sessions of this customer that became known in the 3 hours before the tick"
    assert words(WHERE) == (
        "the number of sessions of this customer, where its device is pc, that were known before the tick"
    )
    assert words(STACKED) == (
        "the mean of (the sum of amount over events of its session that were known before the tick) "
        "over sessions of this customer that were known before the tick"
    )
    assert words(TAX) == "(tax of its region, from regions) of this customer, from customers"
    assert words(AMOUNT) == "this row's amount"
