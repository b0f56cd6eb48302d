"""The label history of a schedule: what each entity's earlier labels were, as known at a tick."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import HOUR, NEVER
from headrace.core.errors import DeclarationError
from headrace.schema import EntitySet, Problem, every
from headrace.schema.label_history import LABEL_HISTORY
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.explanation.unfold import unfold
from headrace.synthesis.history.label_history import label_history_rows
from headrace.synthesis.history.schedule import scheduled_rows
from headrace.synthesis.language.definitions import Aggregate, Direct, Stored, stored
from headrace.synthesis.matrix.incremental import Past, carry_over
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.oracle.oracle import Oracle
from headrace.synthesis.spine.build import build_spine
from headrace.synthesis.spine.horizon import horizon_labels
from headrace.testing.engines import assert_close
from headrace.testing.random_world import Draw, corrected, order, random_queries, random_world
from headrace.testing.shop_world import World, at, problem, us

seeds = st.integers(0, 2**32)
#: Customers have an instant until which they are observed: their `since`, for want of another column of times.
TABLES = tuple(
    replace(table, known_at={"since": "since"}, time="since", known="since - 100d")
    if table.name == "customers"
    else table
    for table in problem.entity_set.tables
)
COUNTED = replace(
    problem,
    spine=every("3h", "customers", active="visits", within="5h"),
    label='count("visits", horizon="4h") > 0',
    entities=(),
)
PROBLEMS: dict[str, Problem] = {
    "counted": COUNTED,
    "summed": replace(COUNTED, label="""sum("visits.seconds", horizon="4h", where="page == 'p'")""", metric="rmse"),
    "settled late": replace(COUNTED, label='sum("orders.amount", horizon="6h")', metric="rmse"),
    "observed": replace(
        COUNTED,
        label='count("visits", horizon="4h", until="since") > 0',
        entity_set=EntitySet(tables=TABLES, relationships=problem.entity_set.relationships),
    ),
}


def past(declared: Problem, primitive: str, hours: int | None = None, **more: Any) -> Aggregate:
    kind = "boolean" if declared.label_expression.binary else "numeric"
    fields: dict[str, Any] = {"entity": "customer", "keys": ("customer",), "column": "label", "kind": "numeric"}
    if primitive == "last":
        fields["kind"] = kind
    fields |= {"table": LABEL_HISTORY, "primitive": primitive, "lookback_us": None if hours is None else hours * HOUR}
    return Aggregate(**(fields | more))


def definitions(declared: Problem) -> list[Stored]:
    share = "percent_true" if declared.label_expression.binary else "mean"
    of_group = past(declared, share, 12, entity="tier", keys=("customer.customers.tier",))
    return [
        *(past(declared, name, hours) for name in ("last", share, "count") for hours in (None, 6)),
        past(declared, "last_time", kind="time"),
        past(declared, "count", 6, column=""),
        Direct(entity="customer", table="customers", column="", kind="numeric", value=of_group),
    ]


@pytest.mark.parametrize("declared", PROBLEMS.values(), ids=PROBLEMS)
@settings(max_examples=10, deadline=None)
@given(world=seeds, query_seed=seeds)
def test_engine_agrees_with_oracle(declared: Problem, world: int, query_seed: int) -> None:
    snapshot, keys = random_world(world), random_queries(query_seed, most=6).select(["customer", "tick"])
    ours = LocalEngine().compute(declared, definitions(declared), keys, snapshot)
    assert_close(ours, Oracle().compute(declared, definitions(declared), keys, snapshot))


@pytest.mark.parametrize("declared", PROBLEMS.values(), ids=PROBLEMS)
@settings(max_examples=10, deadline=None)
@given(world=seeds, hours=st.integers(0, 70))
def test_the_table_tells_the_labels_that_training_would_compute(declared: Problem, world: int, hours: int) -> None:
    """At every instant: the labels of all cutoffs whose label is mature, and no others."""
    snapshot, now = random_world(world), us(hours)
    keys, cutoffs = scheduled_rows(declared, declared.spine, snapshot, NEVER - 1)  # type: ignore[arg-type]
    labels, _ = horizon_labels(declared, snapshot, pa.table({"customer": keys}), cutoffs, now, LocalEngine())
    expected = {
        (key, int(cutoff)): label
        for key, cutoff, label in zip(keys.to_pylist(), cutoffs, labels, strict=True)
        if not np.isnan(label)
    }
    told: dict[tuple[str, int], float] = {}
    rows = label_history_rows(declared, snapshot)
    rows = rows.set_column(1, "due", rows["due"].cast(pa.int64()))
    for row in rows.set_column(3, "label_known", rows["label_known"].cast(pa.int64())).to_pylist():
        if row["label_known"] <= now:
            told[row["customer"], row["due"]] = row["label"]
    assert {
        pair: pytest.approx(float(label), rel=1e-9) for pair, label in told.items() if label is not None
    } == expected


@settings(max_examples=10, deadline=None)
@given(world=seeds, query_seed=seeds, future=seeds)
def test_what_is_known_later_changes_no_bit(world: int, query_seed: int, future: int) -> None:
    declared = PROBLEMS["settled late"]
    before, keys = random_world(world), random_queries(query_seed, most=4).select(["customer", "tick"])
    tick = keys["tick"][0].as_py()
    keys = keys.set_column(1, "tick", pa.array([tick] * keys.num_rows))
    draw = Draw(future)
    late = [order(draw, 1_000 + key) for key in range(8)]
    late += [corrected(draw, draw.one(before.rows["orders"])) for _ in range(8) if before.rows["orders"]]
    late = [{**row, "_arrival": tick + int(draw.rng.integers(0, 3))} for row in late]
    after = World({**before.rows, "orders": [*before.rows["orders"], *late]})
    was, now = (LocalEngine().compute(declared, definitions(declared), keys, each) for each in (before, after))
    assert now.equals(was)


def test_a_label_is_seen_when_it_is_mature_and_a_late_visit_changes_it() -> None:
    """Visits are known an hour late: the label of [3, 7) is mature at 8; a visit of 4 o'clock arrives at 12."""
    visit = {"visitor": "a", "page": "home", "seconds": 1.0}
    world = World(
        {"visits": [{**visit, "visit_id": 1, "at": at(1.5)}, {**visit, "visit_id": 2, "at": at(4), "_arrival": us(12)}]}
    )
    keys = pa.table({"customer": ["a"] * 4, "tick": [us(hours) for hours in (8, 8.25, 12, 12.25)]})
    last, many = past(COUNTED, "last"), past(COUNTED, "count")
    values = LocalEngine().compute(COUNTED, [last, many], keys, world)
    assert values[many.slug].to_pylist() == [0.0, 1.0, 2.0, 2.0]
    assert values[last.slug].to_pylist() == [None, 0.0, 0.0, 1.0]


def test_what_is_offered_of_a_schedule_and_of_no_other_spine() -> None:
    schemas = World({}).schemas
    names = {item.name for item in enumerate_definitions(COUNTED, schemas)}
    assert {
        "customer.PERCENT_TRUE(label_history.label, 5h by customer)",
        "customer.LAST(label_history.label by customer)",
        "customer.LAST_2(label_history.label by customer)",
        "TIME_SINCE(customer.LAST_TIME(label_history by customer))",
        "TIME_SINCE(customer.LAST_TRUE_TIME(label_history.label by customer))",
        "customer.NUM_TRUE_SINCE_LAST_FALSE(label_history.label by customer)",
        "customer.customers.tier.PERCENT_TRUE(label_history.label, 1d by customer.customers.tier)",
    } <= names
    for declared in (problem, replace(COUNTED, label_history=False)):
        assert not any(LABEL_HISTORY in item.name for item in enumerate_definitions(declared, schemas))


def test_a_value_is_explained_from_the_entitys_own_rows() -> None:
    world = random_world(3)
    declared = past(COUNTED, "percent_true")
    for customer in ("a", "b", "c"):
        keys = pa.table({"customer": [customer], "tick": [us(30)]})
        [value] = Oracle().compute(COUNTED, [declared], keys, world)[declared.slug].to_pylist()
        node = unfold(COUNTED, declared, {"customer": customer}, us(30), world)
        assert node.value == value
        assert all(row.row["customer"] == customer for row in node.rows)
    assert node.words == "the percent true of label over label_history of this customer that were known before the tick"


def test_a_table_of_that_name_is_refused() -> None:
    tables = tuple(replace(table, name=LABEL_HISTORY) if table.name == "orders" else table for table in TABLES)
    with pytest.raises(DeclarationError, match="as the table of past labels is"):
        replace(COUNTED, entity_set=EntitySet(tables=tables, relationships=problem.entity_set.relationships[1:]))


@settings(max_examples=8, deadline=None)
@given(seed=seeds)
def test_a_matrix_carried_over_is_the_matrix_computed_at_once(seed: int) -> None:
    """Visits come in two batches, most of them late."""
    draw, whole = Draw(seed), random_world(seed)
    new = draw.rng.random(len(whole.rows["visits"])) < 0.4
    old = [row for row, is_new in zip(whole.rows["visits"], new, strict=True) if not is_new]
    late = [{**row, "_arrival": us(20)} for row, is_new in zip(whole.rows["visits"], new, strict=True) if is_new]
    first, both = World({**whole.rows, "visits": old}), World({**whole.rows, "visits": [*old, *late]})
    columns, engine = definitions(COUNTED), LocalEngine()
    spines = [build_spine(COUNTED, each, now_us=us(50), engine=engine) for each in (first, both)]
    matrix = feature_matrix(COUNTED, columns, spines[0], first, engine)
    added = both.table("visits").slice(len(old))
    news = {name: both.table(name).slice(0, 0) for name in both.columns} | {"visits": added}
    carried = carry_over(
        COUNTED,
        columns,
        spines[1],
        both,
        news,
        Past(definitions=tuple(columns), spine=spines[0], matrix=matrix),
        engine,
    )
    assert carried.matrix.equals(feature_matrix(COUNTED, columns, spines[1], both, engine))


def test_every_offered_definition_can_be_computed() -> None:
    offered = stored(enumerate_definitions(COUNTED, World({}).schemas))
    keys = random_queries(3).select(["customer", "tick"])
    some = [item for item in offered if LABEL_HISTORY in item.name]
    assert len(some) > 10
    assert_close(
        LocalEngine().compute(COUNTED, some, keys, random_world(3)),
        Oracle().compute(COUNTED, some, keys, random_world(3)),
    )
