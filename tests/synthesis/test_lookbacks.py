"""Lookbacks as they are declared: all history, multiples of the horizon; times since instants; stale ticks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import DAY, HOUR, MINUTE
from headrace.core.errors import DeclarationError
from headrace.schema import EntitySet, every
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Aggregate, stored
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.oracle.oracle import Oracle
from headrace.synthesis.spine.build import build_spine
from headrace.synthesis.spine.staleness import with_stale_ticks
from headrace.testing.engines import assert_close
from headrace.testing.random_world import random_queries, random_world
from headrace.testing.shop_world import World, problem

SCHEMAS = World({}).schemas
SCHEDULED = replace(
    problem,
    spine=every("3h", "customers", active="visits", within="5h"),
    label='count("visits", horizon="4h") > 0',
    entities=(),
)


def names(declared: object) -> set[str]:
    return {item.name for item in enumerate_definitions(declared, SCHEMAS)}  # type: ignore[arg-type]


def test_all_history_is_the_longest_lookback() -> None:
    both = names(replace(problem, lookbacks=("2h", "all")))
    assert {
        "customer.MEAN(visits.seconds, 2h by visitor)",
        "customer.MEAN(visits.seconds by visitor)",
        "customer.SUM(visits.seconds by visitor)",
        "customer.COUNT(visits by visitor)",
    } <= both
    assert "customer.SUM(visits.seconds, 2h by visitor)" not in both
    only = enumerate_definitions(replace(problem, lookbacks=("all",)), SCHEMAS)
    assert {item.lookback_us for item in stored(only) if isinstance(item, Aggregate)} == {None}
    assert "TIME_SINCE(customer.LAST_TIME(visits by visitor))" in {item.name for item in only}


def test_a_lookback_may_be_a_multiple_of_the_horizon() -> None:
    declared = replace(SCHEDULED, lookbacks=("1 horizon", "3 horizons", "2y"))
    assert declared.lookbacks_us == (4 * HOUR, 12 * HOUR, 731 * DAY)
    assert "customer.MEAN(visits.seconds, 12h by visitor)" in names(declared)


@pytest.mark.parametrize("text", ["0 horizons", "-1 horizons", "horizon", "2 horizonts"])
def test_another_multiple_is_refused(text: str) -> None:
    with pytest.raises(DeclarationError, match="is not a"):
        replace(SCHEDULED, lookbacks=(text,))


def test_a_multiple_of_no_horizon_is_refused() -> None:
    with pytest.raises(DeclarationError, match="is not a lookback"):
        replace(problem, lookbacks=("2 horizons",))


def test_the_time_since_every_instant_is_a_candidate() -> None:
    """Of the entity's own row, and of the last row's columns that are neither event nor known time."""
    visits = replace(problem.entity_set.table("visits"), name="orders", key="order_id", time="planned", known=None)
    tables = tuple(visits if table.name == "orders" else table for table in problem.entity_set.tables)
    found = names(SCHEDULED) | names(
        replace(SCHEDULED, entity_set=EntitySet(tables=tables, relationships=problem.entity_set.relationships))
    )
    assert "TIME_SINCE(customer.customers.since)" in found
    assert "TIME_SINCE(customer.LAST(orders.paid by customer))" in found
    assert "TIME_SINCE(customer.LAST(visits.at by visitor))" not in found


@settings(max_examples=10, deadline=None)
@given(world=st.integers(0, 2**32), query_seed=st.integers(0, 2**32))
def test_engine_agrees_with_oracle(world: int, query_seed: int) -> None:
    offered = enumerate_definitions(replace(SCHEDULED, lookbacks=("2h", "1 horizon", "all")), SCHEMAS)
    keys = random_queries(query_seed, most=5).select(["customer", "tick"])
    definitions = stored(offered)
    ours = LocalEngine().compute(SCHEDULED, definitions, keys, random_world(world))
    assert_close(ours, Oracle().compute(SCHEDULED, definitions, keys, random_world(world)))


def test_training_rows_have_features_of_every_age_up_to_the_staleness() -> None:
    cutoffs = np.arange(0, 10 * DAY, 7 * MINUTE)
    spine = pa.table({"cutoff": cutoffs, "tick": cutoffs - cutoffs % problem.tick_us})
    stale = with_stale_ticks(replace(problem, staleness="1d"), spine)
    ages = stale["cutoff"].to_numpy() - stale["tick"].to_numpy()
    assert 0 <= ages.min() < HOUR < 23 * HOUR < ages.max() < DAY
    assert (stale["tick"].to_numpy() <= spine["tick"].to_numpy()).all()
    assert with_stale_ticks(problem, spine) is spine


def test_a_stale_row_is_computed_as_of_its_refresh() -> None:
    world = random_world(7)
    spine = build_spine(problem, world, now_us=2**60, engine=LocalEngine())
    stale = with_stale_ticks(replace(problem, staleness="6h"), spine)
    definitions = [item for item in stored(enumerate_definitions(problem, SCHEMAS)) if item.entity == "customer"]
    ours = feature_matrix(problem, definitions, stale, world, LocalEngine())
    queries = pa.table({"customer": spine["customer"], "tick": stale["tick"], "cutoff": spine["cutoff"]})
    assert_close(ours, feature_matrix(problem, definitions, queries, world, Oracle()))


@pytest.mark.parametrize("staleness", ["fast", "0d", "-1d"])
def test_a_wrong_staleness_is_refused(staleness: str) -> None:
    with pytest.raises(DeclarationError):
        replace(problem, staleness=staleness)
