"""What late data would have changed: by hand, and compared with the oracle on a world in which nothing was late."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import BEFORE_ALL, HOUR
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Aggregate, Definition, RowColumn
from headrace.synthesis.matrix.late import LateReport, late_report
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.oracle.oracle import Oracle
from headrace.synthesis.spine.build import build_spine
from headrace.testing.random_world import random_world
from headrace.testing.shop_world import World, at, problem, us


def visits(primitive: str, column: str = "", hours: int | None = 5) -> Aggregate:
    return Aggregate(
        entity="customer", table="visits", keys=("visitor",), column=column, primitive=primitive,
        lookback_us=None if hours is None else hours * HOUR, kind="numeric",
    )  # fmt: skip


COUNT, SECONDS = visits("count"), visits("mean", "seconds", None)
GIFT = RowColumn(column="gift", kind="boolean")
ALL: list[Definition] = [COUNT, SECONDS, GIFT]


def order(number: int, hours: float, **more: Any) -> dict[str, Any]:
    paid = {"paid": at(hours + 1), "amount": 5.0}
    return {"order_id": number, "customer": "a", "planned": at(hours), "gift": True, **paid, **more}


def visit(number: int, hours: float, seconds: float, arrived: float | None = None) -> dict[str, Any]:
    """Known an hour after it happened, unless it came later."""
    came = BEFORE_ALL if arrived is None else us(arrived)
    return {"visit_id": number, "visitor": "a", "at": at(hours), "seconds": seconds, "_arrival": came}


def report(world: World, **options: Any) -> LateReport:
    return late_report(problem, ALL, world, LocalEngine(), now_us=us(100), **options)


def test_a_late_row_changes_the_rows_that_it_was_missing_from() -> None:
    orders = [order(1, 10), order(2, 14), order(3, 40)]  # cutoffs at 8, 12 and 38
    world = World({"orders": orders, "visits": [visit(1, 4, 10.0), visit(2, 5, 40.0, arrived=30)]})
    found = report(world)
    assert [(late.table, late.new, late.corrected) for late in found.tables] == [("visits", 1, 0)]
    assert found.tables[0].longest_us == 24 * HOUR
    assert found.keys["order_id"].take(found.changed).to_pylist() == [1, 2]
    assert found.changes.tolist() == [2, 1, 0]  # by 12 h the window of five hours is past it; the mean stays moved
    seconds, count = sorted(found.features, key=lambda item: item.name, reverse=True)
    assert (seconds.name, seconds.rows, seconds.mean_change, seconds.largest_change) == (SECONDS.name, 2, 15.0, 15.0)
    assert (count.rows, count.mean_change, count.share) == (1, 1.0, 1 / 3)


def test_a_correction_counts_as_if_it_had_been_said_at_once() -> None:
    world = World({"orders": [order(1, 10)], "visits": [visit(1, 4, 10.0), visit(1, 4, 70.0, arrived=50)]})
    found = report(world)
    assert [(late.new, late.corrected) for late in found.tables] == [(0, 1)]
    assert [(item.name, item.largest_change) for item in found.features] == [(SECONDS.name, 60.0)]


def test_a_late_word_on_the_predicted_row_itself() -> None:
    world = World({"orders": [order(1, 10), order(1, 10, gift=None, _arrival=us(50))]})
    (changed,) = report(world).features
    assert (changed.name, changed.vanished, changed.mean_change) == (GIFT.name, 1, None)


def test_what_first_came_in_time_or_within_the_grace_or_before_the_instant_is_not_late() -> None:
    late = {"orders": [order(1, 10)], "visits": [visit(1, 4, 10.0), visit(2, 5, 40.0, arrived=30)]}
    in_time = World({"orders": [order(1, 10)], "visits": [visit(1, 4, 10.0, arrived=5), visit(2, 5, 40.0)]})
    for found in (report(in_time), report(World(late), grace_us=24 * HOUR), report(World(late), since_us=us(31))):
        assert (found.tables, found.features, found.changed.tolist(), found.rows) == ((), (), [], 1)
    assert report(World(late), since_us=us(30)).features


def _in_time(world: World) -> World:
    """Every order and visit as if it had never arrived late; timed as `_lateness` says, but in plain Python."""
    found = {}
    for name, rows in world.rows.items():
        times = {"orders": ("planned", -4, "paid"), "customers": ("since", 0, None), "visits": ("at", 1, None)}[name]
        found[name] = [{**row, "_arrival": _forgiven(row, *times)} for row in rows]
    return World(found)


def _forgiven(row: dict[str, Any], column: str, hours: int, later: str | None) -> int:
    due = [us((row[column] - at(0)).total_seconds() / 3600 + hours)] if row[column] else []
    due += [us((row[later] - at(0)).total_seconds() / 3600)] if later and row[later] else []
    return BEFORE_ALL if due and row["_arrival"] > max(due) else row["_arrival"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_report_is_what_the_oracle_says_of_both_worlds(seed: int) -> None:
    world = random_world(seed)
    found = report(world)
    sides = []
    for snapshot in (world, _in_time(world)):
        spine = build_spine(problem, snapshot, end_us=us(100), now_us=us(100), engine=LocalEngine())
        spine = spine.filter(spine["mature"])
        matrix = feature_matrix(problem, ALL, spine, snapshot, Oracle())
        keys = [(row["order_id"], row["cutoff"]) for row in spine.to_pylist()]
        sides.append(dict(zip(keys, matrix.to_pylist(), strict=True)))
    was, would = sides
    true = {key: was[key] for key in was.keys() & would.keys()}
    assert (found.rows, found.gone, found.added) == (len(true), len(was) - len(true), len(would) - len(true))
    for item in ALL:
        changed = sum(row[item.slug] != would[key][item.slug] for key, row in true.items())
        assert changed == next((one.rows for one in found.features if one.slug == item.slug), 0)
