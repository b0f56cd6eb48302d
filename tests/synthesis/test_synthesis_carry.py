"""A matrix carried over batch by batch is the matrix computed at once, bit for bit, whatever comes in what order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import BEFORE_ALL, HOUR
from headrace.schema import Problem
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.history import row_subset
from headrace.synthesis.language.definitions import Aggregate, Definition, Grouped, RowColumn, Transform
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.matrix.incremental import Past, carry_over, touched
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.spine.build import build_spine
from headrace.testing import shop_world
from headrace.testing.random_world import Draw, random_world
from headrace.testing.shop_definitions import EVERYTHING
from headrace.testing.shop_world import World, at, us
from tests.synthesis import synthesis_levels
from tests.synthesis.synthesis_levels import Levels, random_levels

seeds = st.integers(0, 2**32)
Made = dict[str, list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recent rows are taken even where they are most of these small tables."""
    monkeypatch.setattr(row_subset, "_LARGEST_SHARE", 1.0)


AMOUNT = RowColumn(column="amount", kind="numeric")
GIFT = RowColumn(column="gift", kind="boolean")
FLAT: list[Definition] = [
    *(item for item in EVERYTHING[::7] if not isinstance(item, Aggregate) or (item.lookback_us or 0) < 24 * HOUR),
    GIFT,
    Transform(
        primitive="time_since",
        inputs=(next(item for item in EVERYTHING if item.kind == "time"),),
        kind="numeric",
    ),
]


def of(entity: str, table: str, key: str, primitive: str, column: str = "", **more: Any) -> Aggregate:
    more = {"lookback_us": None, "kind": "numeric", **more}
    return Aggregate(entity=entity, table=table, keys=(key,), column=column, primitive=primitive, **more)


STACKED: list[Definition] = [
    of("customer", "sessions", "customer", "mean", value=of("session", "events", "session", "sum", "amount")),
    of("customer", "events", "session.sessions.customer", "max", "amount", lookback_us=8 * HOUR),
    of(
        "customer",
        "events",
        "session.sessions.customer",
        "last",
        value=of("product", "events", "product", "mean", "amount", lookback_us=8 * HOUR),
    ),
    of(
        "customer",
        "sessions",
        "customer",
        "last",
        value=Grouped(
            table="sessions",
            keys=("device",),
            primitive="previous",
            kind="categorical",
            value=RowColumn(column="customer", kind="categorical"),
        ),
        kind="categorical",
    ),
    of("customer", "sessions", "customer", "count"),
]


def in_batches(made: Mapping[str, Sequence[Mapping[str, Any]]], draw: Draw, many: int) -> list[tuple[Made, Made]]:
    """Rows dealt to batches as chance has it (so most are late, or corrected before they came): all until then, new."""
    dealt = {name: draw.rng.integers(0, many, len(rows)) for name, rows in made.items()}

    def those(keep: Any) -> Made:
        return {
            name: [dict(row) for row, batch in zip(rows, dealt[name], strict=True) if keep(batch)]
            for name, rows in made.items()
        }

    return [(those(lambda batch, n=n: batch <= n), those(lambda batch, n=n: batch == n)) for n in range(many)]


def live(
    problem: Problem, definitions: Sequence[Definition], batches: Sequence[tuple[Tables, Tables]], names: Sequence[str]
) -> None:
    """Carry a matrix through batches, compared with the whole at each."""
    past = None
    for snapshot, new in batches:
        spine = build_spine(problem, snapshot, now_us=us(1000), engine=LocalEngine())
        whole = feature_matrix(problem, definitions, spine, snapshot, LocalEngine())
        if past is not None:
            news = {name: new.table(name) for name in names}
            found = carry_over(problem, definitions, spine, snapshot, news, past, LocalEngine())
            assert found.matrix.equals(whole)
        past = Past(definitions=tuple(definitions), spine=spine, matrix=whole)


@settings(max_examples=10, deadline=None)
@given(world=seeds, dealt=seeds)
def test_flat_features_through_random_batches(world: int, dealt: int) -> None:
    batches = in_batches(random_world(world).rows, Draw(dealt), 3)
    live(shop_world.problem, FLAT, [(World(whole), World(new)) for whole, new in batches], shop_world.COLUMNS)


@settings(max_examples=10, deadline=None)
@given(world=seeds, dealt=seeds)
def test_stacked_features_through_random_batches(world: int, dealt: int) -> None:
    draw = Draw(dealt)
    requests = [
        {"request": n, "customer": draw.one(["a", "b", None]), "region": draw.one(["n", "s"]), "at": at(draw.hours())}
        for n in range(8)
    ]
    batches = in_batches({**random_levels(world).rows, "requests": requests}, draw, 3)
    live(
        synthesis_levels.problem,
        STACKED,
        [(Levels(whole), Levels(new)) for whole, new in batches],
        synthesis_levels.COLUMNS,
    )


def order(number: int, hours: float, customer: str = "a", **more: Any) -> dict[str, Any]:
    paid = {"paid": at(hours), "amount": float(number), "channel": "web", "city": "x"}
    return {"order_id": number, "customer": customer, "planned": at(hours), "_arrival": BEFORE_ALL, **paid, **more}


SUM = of("customer", "orders", "customer", "sum", "amount", lookback_us=24 * HOUR)


def _touched(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[int]:
    snapshot = World({"orders": [*old, *new]})
    spine = build_spine(shop_world.problem, snapshot, now_us=us(1000), engine=LocalEngine())
    news = {"orders": World({"orders": new}).table("orders")}
    found = touched(shop_world.problem, [SUM], spine, snapshot, news)
    chosen: list[int] = spine["order_id"].filter(pa.array(found)).to_pylist()
    return chosen


def test_a_batch_touches_later_rows_of_its_own_entities_alone() -> None:
    old = [order(1, 10), order(2, 20), order(3, 30), order(4, 30, "b")]
    assert _touched(old, [order(5, 25, _arrival=us(25))]) == [3]
    assert _touched(old, [order(5, 40, _arrival=us(40))]) == []
    assert _touched(old, [order(5, 5, _arrival=us(26))]) == [3]  # late: known when it came


def test_a_correction_touches_the_entity_that_it_left() -> None:
    old = [order(1, 10), order(2, 30, "a"), order(3, 30, "b"), order(4, 30, "c")]
    assert _touched(old, [order(1, 10, "b", _arrival=us(12))]) == [2, 3]


def test_only_new_rows_cost() -> None:
    """In order, as a feed brings them, nothing old is computed again."""
    old, new = [order(n, n) for n in range(1, 40)], [order(n, n, _arrival=us(n)) for n in range(40, 45)]
    before, after = World({"orders": old}), World({"orders": [*old, *new]})
    problem = shop_world.problem
    spines = [build_spine(problem, snapshot, now_us=us(1000), engine=LocalEngine()) for snapshot in (before, after)]
    past = Past(
        definitions=(SUM,),
        spine=spines[0],
        matrix=feature_matrix(problem, [SUM], spines[0], before, LocalEngine()),
    )
    news = {"orders": World({"orders": new}).table("orders")}
    found = carry_over(problem, [SUM], spines[1], after, news, past, LocalEngine())
    assert found.again == 5
    assert np.isfinite(found.matrix[SUM.slug].to_numpy()[1:]).all()


def test_another_definition_is_computed_for_every_row() -> None:
    rows = [order(n, n) for n in range(1, 20)]
    snapshot, problem = World({"orders": rows}), shop_world.problem
    spine = build_spine(problem, snapshot, now_us=us(1000), engine=LocalEngine())
    mean = of("customer", "orders", "customer", "mean", "amount")
    matrix = feature_matrix(problem, [SUM], spine, snapshot, LocalEngine())
    past = Past(definitions=(SUM,), spine=spine, matrix=matrix)
    found = carry_over(problem, [mean, SUM], spine, snapshot, {}, past, LocalEngine())
    assert found.matrix.equals(feature_matrix(problem, [mean, SUM], spine, snapshot, LocalEngine()))
    assert found.again == 0
