"""Labels with a horizon and spines on a schedule, compared with a loop over rows in plain Python."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import HOUR, NEVER, to_us
from headrace.core.errors import DeclarationError
from headrace.schema import Problem, every
from headrace.schema.expressions import LabelExpression
from headrace.schema.horizon import parse_label
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.oracle.oracle import Oracle
from headrace.synthesis.spine.build import build_spine
from headrace.synthesis.spine.horizon import horizon_labels
from headrace.testing.random_world import random_world
from headrace.testing.shop_world import TIME, World, at, problem, us

visited = dataclasses.replace(
    problem,
    spine=every("3h", "customers", active="visits", within="5h"),
    label='count("visits", horizon="4h") > 0',
    entities=(),
)


def visit(number: int, hours: float, visitor: str | None = "a", **more: Any) -> dict[str, Any]:
    return {"visit_id": number, "visitor": visitor, "at": at(hours), "page": "home", "seconds": 1.0, **more}


def scheduled(visits: list[dict[str, Any]], now: float, declared: Problem = visited, **more: int) -> dict[str, Any]:
    found: dict[str, Any] = build_spine(
        declared, World({"visits": visits}), now_us=us(now), **more, engine=LocalEngine()
    ).to_pydict()
    return found


def test_a_schedule_asks_for_whoever_was_active() -> None:
    # known an hour late, at 2.5 and 11: active in (2.5, 7.5] and (11, 16]
    found = scheduled([visit(1, 1.5), visit(2, 10), visit(3, 10, None)], 40)
    assert found["cutoff"] == [us(hours) for hours in (3, 6, 12, 15)]
    assert found["customer"] == ["a"] * 4
    assert found["due"] == found["cutoff"]
    assert scheduled([visit(1, 1.5)], 5)["cutoff"] == [us(3)]
    assert scheduled([visit(1, 1.5)], 40, start_us=us(3), end_us=us(6))["cutoff"] == [us(3)]


def test_a_label_is_what_happens_within_the_horizon_half_open_and_mature_an_hour_after_it() -> None:
    visits = [visit(1, 1.5), visit(2, 6), visit(3, 10)]
    found = scheduled(visits, 11)
    assert dict(zip(found["cutoff"], found["label"], strict=True)) == {us(3): 1.0, us(6): 1.0, us(9): None}
    assert found["label_known"] == [us(8), us(11), us(14)]
    assert found["censored"] == [False, False, True]
    late = scheduled([visit(1, 1.5), visit(2, 7)], 40)  # 7 is the first instant after [3, 7)
    assert late["label"][:2] == [0.0, 1.0]


def test_what_has_not_settled_keeps_a_label_waiting() -> None:
    paid = dataclasses.replace(visited, label='sum("orders.amount", horizon="6h")', metric="rmse")
    orders = [{"order_id": 1, "customer": "a", "planned": at(4), "paid": at(30), "amount": 5.0}]
    world = World({"visits": [visit(1, 1.5)], "orders": orders})
    early, late = (build_spine(paid, world, now_us=us(now), engine=LocalEngine()).to_pydict() for now in (29, 30))
    assert (early["label"][0], early["mature"][0], early["censored"][0]) == (None, False, True)
    assert (late["label"][0], late["label_known"][0]) == (5.0, us(30))


def test_a_correction_counts_once_it_has_come() -> None:
    visits = [visit(1, 1.5), visit(2, 5), {**visit(2, 20), "_arrival": us(25)}]
    assert scheduled(visits, 24)["label"][0] == 1.0
    assert scheduled(visits, 26)["label"][0] == 0.0


def truth(world: World, customer: str | None, cutoff: int, now: int, page: str | None) -> tuple[float | None, int]:
    """The label by a loop: of each visit its last version that has come; then those in the period."""
    standing: dict[int, dict[str, Any]] = {}
    for row in world.rows["visits"]:
        known = max(row.get("_arrival", -NEVER), NEVER if row["at"] is None else to_us(row["at"]) + HOUR)
        if known <= now:
            standing[row["visit_id"]] = row | {"known": known}
    end = cutoff + 4 * HOUR
    within = [
        row
        for row in standing.values()
        if row["visitor"] == customer and row["at"] is not None and cutoff <= to_us(row["at"]) < end
    ]
    known = max([end + HOUR, *(row["known"] for row in within)])
    chosen = [row["seconds"] for row in within if page is None or row["page"] == page]
    if customer is None:
        return None, NEVER
    known_values = [value for value in chosen if value is not None and np.isfinite(value)]
    return (float(sum(known_values)) if known <= now else None), known


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), page=st.sampled_from([None, "home", "b"]))
def test_labels_are_those_of_a_loop_and_of_the_oracle(seed: int, page: str | None) -> None:
    world = random_world(seed)
    where = "" if page is None else f", where=\"page == '{page}'\""
    declared = dataclasses.replace(visited, label=f'sum("visits.seconds", horizon="4h"{where})', metric="rmse")
    rng = np.random.default_rng(seed)
    cutoffs = np.array([us(float(hours) / 2) for hours in rng.integers(-4, 60, 12)])
    keys = pa.table({"customer": pa.array([["a", "b", "c", None][int(i)] for i in rng.integers(0, 4, 12)])})
    now = us(float(rng.integers(0, 80)) / 2)
    label, known = horizon_labels(declared, world, keys, cutoffs, now, LocalEngine())
    exact, exact_known = horizon_labels(declared, world, keys, cutoffs, now, engine=Oracle())
    np.testing.assert_allclose(label, exact, rtol=1e-9)
    np.testing.assert_array_equal(known, exact_known)
    for i, customer in enumerate(keys["customer"].to_pylist()):
        value, when = truth(world, customer, int(cutoffs[i]), now, page)
        assert known[i] == when
        assert (None if np.isnan(label[i]) else label[i]) == (None if value is None else pytest.approx(value, rel=1e-9))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_becomes_known_at_or_after_the_cutoff_changes_no_row_and_no_feature(seed: int) -> None:
    world = random_world(seed)
    whole = build_spine(visited, world, now_us=us(40), engine=LocalEngine())
    if not whole.num_rows:
        return
    cutoff = whole["cutoff"].to_pylist()[whole.num_rows // 2]
    rows = whole.filter(pa.array(np.asarray(whole["cutoff"]) == cutoff))
    late = [{**visit(900 + i, 0.0, who), "_arrival": cutoff} for i, who in enumerate("abc")]
    mutated = World({**world.rows, "visits": [*world.rows["visits"], *late]})
    again = build_spine(visited, mutated, start_us=cutoff, end_us=cutoff + 1, now_us=us(40), engine=LocalEngine())
    assert again.select(["customer", "cutoff", "tick"]).equals(rows.select(["customer", "cutoff", "tick"]))
    definitions = enumerate_definitions(visited, world.schemas)
    before, after = (feature_matrix(visited, definitions, rows, seen, LocalEngine()) for seen in (world, mutated))
    assert before.equals(after)


def test_each_row_may_have_a_label_with_a_horizon() -> None:
    declared = dataclasses.replace(problem, label='count("visits", horizon="4h", by="customer") > 0')
    orders = [{"order_id": 1, "customer": "a", "city": "x", "planned": at(10)}]
    world = World({"orders": orders, "visits": [visit(1, 11.9)]})
    found = build_spine(declared, world, now_us=us(40), engine=LocalEngine()).to_pydict()
    assert (found["cutoff"], found["label"], found["label_known"]) == ([us(8)], [1.0], [us(13)])


def left_at(hours: float | None) -> dict[str, Any]:
    return {"customer": "a", "since": at(0), "left": None if hours is None else at(hours)}


@pytest.mark.parametrize(
    ("left", "now", "labels"),
    [
        (None, 40, [1.0, 0.0]),
        (10.0, 40, [1.0, 0.0]),  # the second horizon ends as they leave
        (9.9, 40, [1.0, None]),
        (6.9, 40, [None, None]),  # a visit before they left decides nothing: one after it would not have been seen
        (9.9, 9.5, [1.0, None]),  # the second one is not over yet
    ],
)
def test_who_was_not_watched_to_the_horizons_end_has_no_label(
    left: float | None, now: float, labels: list[float | None]
) -> None:
    customers = dataclasses.replace(problem.entity_set.table("customers"), known_at={"left": "left"})
    tables = tuple(customers if item.name == "customers" else item for item in problem.entity_set.tables)
    declared = dataclasses.replace(
        visited,
        entity_set=dataclasses.replace(problem.entity_set, tables=tables),
        label='count("visits", horizon="4h", until="left") > 0',
    )
    world = Left({"visits": [visit(1, 1.5), visit(2, 3.5)], "customers": [left_at(left)]})
    found = build_spine(declared, world, end_us=us(9), now_us=us(now), engine=LocalEngine()).to_pydict()
    assert (found["cutoff"], found["label"]) == ([us(3), us(6)], labels)
    assert declared.history_tables == ("customers", "visits")


class Left(World):
    """One in which customers may leave."""

    def table(self, name: str) -> pa.Table:
        rows = super().table(name)
        if name == "customers":
            rows = rows.append_column("left", pa.array([row["left"] for row in self.rows[name]], TIME))
        return rows


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ('count("visits") > 0', "is not a label"),
        ('count("visits", horizon="4h") > "x"', "is not a label"),
        ('count("visits", horizon="4h", where="page") > 0', "is not a condition"),
        ('count("clients", horizon="4h") > 0', "no table 'clients'"),
        ('count("visits", horizon="4h", by="city") > 0', "0 entities have rows"),
        ('count("visits", horizon="4h")', "does not measure a label that is a number"),
        ("amount >= 3", "a scheduled row has no column"),
        ('count("visits", horizon="4h", until="since") > 0', "is not declared as known later"),
    ],
)
def test_a_label_that_cannot_be_is_refused_at_declaration(label: str, said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        dataclasses.replace(visited, label=label)


def test_a_parenthesis_in_a_quoted_value_is_no_call() -> None:
    assert isinstance(parse_label("channel == 'web (old)'"), LabelExpression)
