"""A query near the end of the history reads only the rows inside its longest lookback, with the same bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.core.clock import BEFORE_ALL, DAY, HOUR
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.history import row_subset
from headrace.synthesis.language.definitions import Aggregate, Stored
from headrace.synthesis.primitives import AGGREGATIONS
from headrace.testing.random_world import random_queries, random_world
from headrace.testing.shop_definitions import EVERYTHING, one
from headrace.testing.shop_world import World, at, problem, queries, us

seeds = st.integers(0, 2**32)
SHORT = 5 * HOUR


def _short() -> list[Stored]:
    """Lookbacks up to five hours and none, of worlds of thirty: every primitive of a number, some of the rest."""
    found = [item for item in EVERYTHING[::3] if not isinstance(item, Aggregate) or (item.lookback_us or 0) <= SHORT]
    for name, primitive in AGGREGATIONS.items():
        if "numeric" in primitive.inputs and primitive.outputs == 1:
            found.append(one("customer", "orders", ("customer",), "amount", name, SHORT))
    return list(dict.fromkeys(found))


DEFINITIONS = _short()


def compute(world: World, keys: pa.Table, definitions: list[Stored] = DEFINITIONS) -> pa.Table:
    return LocalEngine(threads=1).compute(problem, definitions, keys, world)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Recent rows are taken even where they are most; how many each part left out."""
    left: list[int] = []

    class Counted(row_subset.RowSubset):
        def __init__(self, whole: Any, at: Any) -> None:
            left.append(whole.size - len(at))
            super().__init__(whole, at)

    monkeypatch.setattr(row_subset, "_LARGEST_SHARE", 1.0)
    monkeypatch.setattr(row_subset, "RowSubset", Counted)
    return left


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=seeds, query_seed=seeds)
def test_late_queries_need_recent_rows_alone(parts: list[int], world: int, query_seed: int) -> None:
    world, keys = random_world(world), random_queries(query_seed, 14)
    ticks = keys["tick"].to_numpy()
    everything = pa.concat_tables([keys, _first_of(keys)])
    together = compute(world, everything).slice(0, keys.num_rows)
    for since in np.unique(ticks)[-3:]:
        late = np.flatnonzero(ticks >= since)
        alone = compute(world, keys.take(pa.array(late)))
        assert alone.equals(together.take(pa.array(late)))


def test_the_property_above_leaves_rows_out(parts: list[int]) -> None:
    keys = queries([("a", "x", "web", 29.0)])
    for seed in range(5):
        compute(random_world(seed), keys)
    assert max(parts) > 10


def _first_of(keys: pa.Table) -> pa.Table:
    """A query before all else: with it among them, every query passes over all rows."""
    early = keys.slice(0, 1).set_column(
        keys.column_names.index("tick"), "tick", pa.array([us(-1000)], keys["tick"].type)
    )
    return early.cast(keys.schema)


def history(days: int, *, corrected: bool = False) -> list[dict[str, Any]]:
    """An order an hour of two customers in turn; corrected: each is told again, an hour later, with another amount."""
    rows: list[dict[str, Any]] = []
    for hour in range(24 * days):
        row = {"order_id": hour, "customer": "ab"[hour % 2], "planned": at(hour), "paid": at(hour), "city": "x"}
        row |= {"channel": "web", "amount": 0.1 * (hour % 17), "_arrival": BEFORE_ALL}
        rows.append(row)
        if corrected:
            rows.append({**row, "amount": float(hour), "_arrival": us(hour + 1)})
    return rows


@pytest.mark.parametrize("corrected", [False, True], ids=["as they came", "corrected"])
def test_a_day_of_ticks_reads_its_lookbacks_and_no_more(parts: list[int], corrected: bool) -> None:
    """However long history is: but where sums ran through what was superseded within a window."""
    spans = (("mean", DAY), ("max", DAY), ("last", None), ("num_unique", 2 * HOUR))
    definitions: list[Stored] = [one("customer", "orders", ("customer",), "amount", name, w) for name, w in spans]
    sizes = []
    for days in (10, 20):
        parts.clear()
        rows = history(days, corrected=corrected)
        keys = queries([("a", "x", "web", 24.0 * days - hour) for hour in range(5)])
        found = compute(World({"orders": rows}), keys, definitions)
        early = pa.concat_tables([keys, _first_of(keys)])
        assert found.equals(compute(World({"orders": rows}), early, definitions).slice(0, 5))
        sizes.append(len(rows) - max(parts))
    assert sizes[0] == sizes[1] <= 2 * 30


def test_a_last_value_older_than_every_lookback_is_found(parts: list[int]) -> None:
    rows = history(4)
    rows += [{**rows[5], "order_id": 1000, "customer": "rare", "planned": at(5.5), "paid": at(5.5)}]
    last = one("customer", "orders", ("customer",), "amount", "last", None)
    when = replace(last, primitive="last_time", kind="time")
    mean = replace(last, primitive="mean", lookback_us=DAY)
    keys = queries([("rare", "x", "web", 95.0), ("a", "x", "web", 95.0), ("never", "x", "web", 95.0)])
    found = compute(World({"orders": rows}), keys, [last, when, mean])
    assert found[last.slug].to_pylist() == [0.1 * 5, 0.1 * (94 % 17), None]
    assert found[when.slug].to_pylist() == [us(5.5), us(94), None]
    assert max(parts) > 60
