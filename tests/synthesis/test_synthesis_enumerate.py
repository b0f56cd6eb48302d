"""The candidates: never the label, only what is known at the cutoff, and each definition once."""

from __future__ import annotations

import dataclasses
import json

import pyarrow as pa
import pytest

from headrace.core.clock import DAY
from headrace.core.errors import DeclarationError
from headrace.schema import Table
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.language.columns import column_kinds, known_at_cutoff
from headrace.synthesis.language.definitions import (
    Aggregate,
    Condition,
    Direct,
    Grouped,
    RowColumn,
    from_json,
    row_columns,
    stored,
    to_json,
)
from headrace.synthesis.planning.plan import make_plan
from headrace.testing.shop_world import World, problem

SCHEMAS = World({}).schemas
DEFINITIONS = enumerate_definitions(problem, SCHEMAS)


def test_only_columns_known_at_the_cutoff_travel_with_the_row() -> None:
    assert {item.column for item in row_columns(DEFINITIONS)} == {"planned", "customer", "city", "gift", "items"}
    assert not known_at_cutoff(problem, "paid")
    assert not known_at_cutoff(problem, "amount")


def test_a_known_time_s_own_column_is_not_known_before_it() -> None:
    """`paid` is in no known_at of its own; the row is known four hours ahead; still it is not offered."""
    assert "paid" not in problem.spine_table.known_at or problem.spine_table.known_at["paid"] == "paid"
    bare = dataclasses.replace(problem.spine_table, known_at={"amount": "paid", "channel": "paid"})
    tables = (bare, *problem.entity_set.tables[1:])
    changed = dataclasses.replace(problem, entity_set=dataclasses.replace(problem.entity_set, tables=tables))
    assert not known_at_cutoff(changed, "paid")


def test_a_date_is_known_when_its_day_ends() -> None:
    """With a resolution of a day, what is known `four hours ahead` is known up to 20 hours after the bare date."""
    dated = dataclasses.replace(problem.spine_table, resolution="1d")
    tables = (dated, *problem.entity_set.tables[1:])
    changed = dataclasses.replace(problem, entity_set=dataclasses.replace(problem.entity_set, tables=tables))
    assert known_at_cutoff(problem, "city")
    assert not known_at_cutoff(changed, "city")


def test_every_entity_gets_aggregates_and_parents_get_direct_features() -> None:
    aggregates = [item for item in stored(DEFINITIONS) if isinstance(item, Aggregate)]
    assert {(item.entity, item.table, item.keys) for item in aggregates} == {
        ("customer", "orders", ("customer",)),
        ("customer", "visits", ("visitor",)),
        ("place", "orders", ("city", "channel")),
    }
    assert {item.column for item in stored(DEFINITIONS) if isinstance(item, Direct)} == {"tier", "age", "since"}
    assert any(item.column == "label" and item.primitive == "percent_true" for item in aggregates)


def test_counts_are_offered_once_per_clock() -> None:
    counts = {
        item.column
        for item in stored(DEFINITIONS)
        if isinstance(item, Aggregate)
        and item.primitive == "count"
        and item.entity == "customer"
        and item.table == "orders"
    }
    assert counts == {"", "amount"}


def test_slugs_are_unique_and_definitions_travel_as_json() -> None:
    assert len({item.slug for item in DEFINITIONS}) == len(DEFINITIONS) <= problem.max_candidates
    assert tuple(from_json(to_json(item)) for item in DEFINITIONS) == DEFINITIONS
    assert all(item.kind != "time" for item in DEFINITIONS)


def test_ignored_columns_and_roles_are_respected() -> None:
    quiet = dataclasses.replace(problem, ignore=("orders.items",))
    assert not any("items" in item.name for item in enumerate_definitions(quiet, SCHEMAS))
    tables = (
        dataclasses.replace(problem.spine_table, roles={"items": "categorical", "city": "text"}),
        *problem.entity_set.tables[1:],
    )
    changed = dataclasses.replace(problem, entity_set=dataclasses.replace(problem.entity_set, tables=tables))
    kinds = column_kinds(changed, SCHEMAS)
    assert (kinds["orders", "items"], kinds["orders", "city"]) == ("categorical", "text")
    assert RowColumn(column="items", kind="categorical") in enumerate_definitions(changed, SCHEMAS)


def test_a_column_that_would_be_taken_for_the_label_is_refused() -> None:
    schemas = {**SCHEMAS, "orders": SCHEMAS["orders"].append(pa.field("label", pa.float64()))}
    with pytest.raises(DeclarationError, match="derived label"):
        enumerate_definitions(problem, schemas)


def test_one_sort_serves_all_lookbacks_and_columns_of_a_clock() -> None:
    plan = make_plan(problem, stored(DEFINITIONS))
    groups = [group for group in plan.groups if group.table == "orders" and group.keys == ("customer",)]
    columns = {group.clock: {item.column for item in group.columns} for group in groups}
    assert set(columns) == {("planned - 4h",), ("paid", "planned - 4h")}
    assert columns["paid", "planned - 4h"] == {"amount", "channel", "label"}


def test_a_table_without_time_offers_no_lookback() -> None:
    without_time = Table(name="visits", key="visit_id", source="-")
    tables = (*problem.entity_set.tables[:2], without_time)
    changed = dataclasses.replace(problem, entity_set=dataclasses.replace(problem.entity_set, tables=tables))
    over = [
        i for i in stored(enumerate_definitions(changed, SCHEMAS)) if isinstance(i, Aggregate) and i.table == "visits"
    ]
    assert over
    assert {item.lookback_us for item in over} == {None}


def test_stacked_names_say_all_and_travel_as_json() -> None:
    seats = Direct(entity="tailnum", table="planes", column="seats", kind="numeric")
    mean = Aggregate(
        entity="carrier",
        table="flights",
        keys=("carrier",),
        column="",
        primitive="mean",
        lookback_us=7 * DAY,
        kind="numeric",
        value=seats,
    )
    assert mean.name == "carrier.MEAN(flights.tailnum.planes.seats, 7d by carrier)"
    cat = RowColumn(column="cat", kind="categorical")
    clauses = [Condition(on=cat, operator=sign, value=value) for sign, value in (("==", "a"), ("==", "A"), ("!=", "a"))]  # type: ignore[arg-type]
    counts = [dataclasses.replace(mean, primitive="count", value=None, where=clause) for clause in clauses]
    assert counts[0].name == "carrier.COUNT(flights WHERE cat = a, 7d by carrier)"
    assert len({item.slug for item in counts}) == 3
    first = dataclasses.replace(mean, primitive="n_most_common", value=None, column="dest", part=0)
    assert first.name == "carrier.N_MOST_COMMON(flights.dest, 7d by carrier)[0]"
    before = Grouped(table="flights", keys=("tailnum",), primitive="previous", value=cat, kind="categorical")
    stacked = dataclasses.replace(mean, value=before, where=clauses[2], primitive="mode")
    for item in (mean, *counts, first, before, stacked):
        assert from_json(json.loads(json.dumps(to_json(item)))) == item
    assert "part" not in to_json(mean)
