"""What a problem requests by name: primitives, seeds, interesting values; and what goes up and down again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import DeclarationError
from headrace.schema import EntitySet, Problem, Table
from headrace.synthesis.candidates import across
from headrace.synthesis.candidates.across import across_definitions
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.candidates.interesting import frequent, with_interesting_values
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.columns import column_kinds
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Transform, from_json, stored, to_json
from headrace.synthesis.oracle.oracle import Oracle
from headrace.synthesis.primitives import AGGREGATIONS, TRANSFORMS, transform
from headrace.testing.engines import assert_close
from headrace.testing.random_world import Draw, random_queries, random_world
from headrace.testing.shop_world import World, at, problem
from tests.synthesis import synthesis_levels as levels

SCHEMAS = World({}).schemas
EVERY = replace(problem, primitives=(*AGGREGATIONS, *TRANSFORMS), max_candidates=100_000)
SEEDS = ("orders.RATIO(amount, items)", "orders.HOURS_BETWEEN(paid, planned)", "customers.LOG(age)", "orders.NOT(gift)")
seeds = st.integers(0, 2**32)


def offered(declared: Problem, tables: Any = None) -> tuple[Definition, ...]:
    return enumerate_definitions(declared, SCHEMAS, tables)


def names(declared: Problem, tables: Any = None) -> set[str]:
    return {item.name for item in offered(declared, tables)}


def test_every_primitive_that_fits_a_column_can_be_asked_for() -> None:
    known = replace(problem.spine_table, known_at={})
    tables = (known, *problem.entity_set.tables[1:])
    early = replace(EVERY, entity_set=replace(problem.entity_set, tables=tables), label="gift == true")
    found = offered(early)
    assert {item.primitive for item in stored(found) if isinstance(item, Aggregate)} == set(AGGREGATIONS)
    missing = set(TRANSFORMS) - {item.primitive for item in found if isinstance(item, Transform)}
    # No row here gives truths or texts, and no two parents' rows have places.
    ways = [kinds for name in missing for kinds in TRANSFORMS[name].inputs]
    assert all(len(kinds) == 4 or {*kinds} & {"text", "boolean"} for kinds in ways)
    assert all(item.kind not in ("time", "text") for item in found)
    assert tuple(from_json(to_json(item)) for item in found) == found


def test_what_changes_with_time_alone_is_finished_at_read() -> None:
    found = names(replace(problem, primitives=("decayed_sum_7d", "last_true_time", "n_most_common")))
    last = "customer.LAST_TIME(orders.amount, 1d by customer)"
    assert f"DECAY_7D(customer.DECAYED_SUM_7D(orders.amount, 1d by customer), {last})" in found
    assert "TIME_SINCE(customer.LAST_TRUE_TIME(orders.gift, 1d by customer))" in found
    assert {f"customer.N_MOST_COMMON(orders.channel, 1d by customer)[{part}]" for part in range(3)} <= found


def test_texts_are_read_by_transforms_that_are_asked_for() -> None:
    orders = replace(problem.spine_table, roles={"city": "text"})
    tables = (orders, *problem.entity_set.tables[1:])
    worded = replace(problem, entity_set=replace(problem.entity_set, tables=tables), primitives=("num_words",))
    assert "NUM_WORDS(city)" in names(worded)


def test_a_seed_is_a_column_of_the_row_of_parents_and_of_aggregated_rows() -> None:
    found = names(replace(problem, seed_features=SEEDS))
    assert {
        "customer.MEAN(orders.RATIO(amount, items), 1d by customer)",
        "place.MAX(orders.HOURS_BETWEEN(paid, planned), 5h by city+channel)",
        "customer.customers.LOG(age)",
        "customer.PERCENT_TRUE(orders.NOT(gift), 5h by customer)",
        "NOT(gift)",
    } <= found
    assert "RATIO(amount, items)" not in found  # the amount is not known at the cutoff


@settings(max_examples=3, deadline=None)
@given(world=seeds, query_seed=seeds, chosen=seeds)
def test_engine_agrees_with_oracle_on_what_is_asked_for(world: int, query_seed: int, chosen: int) -> None:
    declared = replace(EVERY, seed_features=SEEDS, lookbacks=("5h",))
    every = stored(offered(declared))
    some = [every[index] for index in Draw(chosen).rng.permutation(len(every))[:40]]
    snapshot, keys = random_world(world), random_queries(query_seed, most=4)
    ours = LocalEngine().compute(declared, some, keys, snapshot)
    assert_close(ours, Oracle().compute(declared, some, keys, snapshot))


def visits(pages: str) -> World:
    rows = [{"visit_id": n, "visitor": "a", "at": at(n), "page": page} for n, page in enumerate(pages)]
    return World({"visits": rows})


def test_interesting_values_are_the_three_most_frequent_that_are_not_rare() -> None:
    kinds = column_kinds(problem, SCHEMAS)
    assert frequent(visits("ccaabbd"), "visits.page", kinds) == ("a", "b", "c")
    assert frequent(visits("a" * 30 + "b" * 2 + "c"), "visits.page", kinds) == ("a", "b")
    assert frequent(visits("a" * 30 + "b" + "c"), "visits.page", kinds) == ("a",)
    assert frequent(visits("".join(map(chr, range(200, 251)))), "visits.page", kinds) == ()
    assert frequent(visits(""), "visits.page", kinds) == ()


def test_auto_stands_for_values_of_one_column_or_of_all() -> None:
    kinds = column_kinds(problem, SCHEMAS)
    world = visits("aab")
    one = replace(problem, where={"visits.page": "auto", "orders.channel": ("web",)})
    assert with_interesting_values(one, kinds, world).where == {"visits.page": ("a", "b"), "orders.channel": ("web",)}
    everything = replace(problem, where="auto")
    assert with_interesting_values(everything, kinds, world).where == {
        "visits.visitor": ("a",),
        "visits.page": ("a", "b"),
    }
    assert "customer.COUNT(visits WHERE page = b, 1d by visitor)" in names(everything, world)
    assert names(everything, World({})) == names(problem)


LEVELS = replace(levels.problem, depth=2)


def shared(events: int) -> levels.Levels:
    """Two products, one customer, sessions that all hold both."""
    events = [
        {"event": n, "session": n % 3, "product": "xy"[n % 2], "happened": at(n), "amount": float(n)}
        for n in range(events)
    ]
    begun = [{"session": n, "customer": "a", "begun": at(n)} for n in range(3)]
    requests = [{"request": n, "customer": "a", "region": "n", "at": at(n)} for n in range(4)]
    return levels.Levels({"events": events, "sessions": begun, "requests": requests})


def of_levels(world: levels.Levels) -> list[across.Across]:
    schemas = {table.name: world.table(table.name).schema for table in LEVELS.entity_set.tables}
    return list(across_definitions(LEVELS, column_kinds(LEVELS, schemas), world))


def test_paths_that_go_up_and_down_are_estimated_and_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    world = shared(10)
    found = {item.definition.name: item.pairs for item in of_levels(world)}
    # Four requests of customer a, four requests of it in the table: 16 pairs, 8 of 3 hours being all there is.
    name = "customer.MEAN(requests.region.PERCENT_TRUE(requests.label by region), 8h by customer)"
    assert found[name] == 16
    monkeypatch.setattr(across, "MOST_PAIRS", 15)
    assert all(item.definition.lookback_us == LEVELS.lookbacks_us[0] for item in of_levels(world))
    assert not any(item.is_candidate for item in of_levels(world) if item.definition.table == "requests")


@settings(max_examples=4, deadline=None)
@given(world=seeds, query_seed=seeds)
def test_engine_agrees_with_oracle_on_paths_that_go_up_and_down(world: int, query_seed: int) -> None:
    snapshot, keys = levels.random_levels(world), levels.random_requests(query_seed, most=4)
    definitions = [item.definition for item in of_levels(snapshot)]
    assert definitions
    ours = LocalEngine().compute(LEVELS, definitions, keys, snapshot)
    assert_close(ours, Oracle().compute(LEVELS, definitions, keys, snapshot))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"primitives": ("tend",)}, "no primitive 'tend'"),
        ({"seed_features": ("RATIO(amount, items)",)}, "is not table.PRIMITIVE"),
        ({"seed_features": ("orders.amount / orders.items",)}, "is not table.PRIMITIVE"),
        ({"seed_features": ("orders.RATIO(amount,",)}, "is not table.PRIMITIVE"),
        ({"seed_features": ("orders.RATIOS(amount, items)",)}, "no transform primitive 'ratios'"),
        ({"seed_features": ("orders.RATIO(amount, cost)",)}, "no column 'cost'"),
        ({"seed_features": ("orders.RATIO(amount, order_id)",)}, "it is id"),
        ({"seed_features": ("orders.RATIO(amount, gift)",)}, r"cannot be made from \(numeric, boolean\)"),
        ({"seed_features": ("sales.LOG(amount)",)}, "no table 'sales'"),
        ({"where": "all"}, "where='all'"),
        ({"where": {"visits.pages": "auto"}}, "no column 'visits.pages'"),
    ],
)
def test_what_is_asked_for_wrongly_is_one_error(change: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        offered(replace(problem, **change))


def test_seeds_of_a_table_without_time_have_no_lookback() -> None:
    without_time = Table(name="visits", key="visit_id", source="-")
    tables = (*problem.entity_set.tables[:2], without_time)
    changed = replace(
        problem, entity_set=replace(problem.entity_set, tables=tables), seed_features=("visits.LOG(seconds)",)
    )
    seeded = [item for item in offered(changed) if isinstance(item, Aggregate) and isinstance(item.value, Transform)]
    assert seeded
    assert {item.lookback_us for item in seeded} == {None}
    assert not any(isinstance(item, Direct) and item.table == "visits" for item in offered(changed))


def test_hashed_words_stand_for_every_bucket() -> None:
    table = problem.entity_set.table("orders")
    texts = replace(table, roles={"city": "text"})
    tables = tuple(texts if item is table else item for item in problem.entity_set.tables)
    entity_set = EntitySet(tables=tables, relationships=problem.entity_set.relationships)
    declared = replace(problem, entity_set=entity_set, entities=(), primitives=("hashed_words",))
    names = {item.name for item in enumerate_definitions(declared, SCHEMAS)}
    assert {f"HASHED_WORDS_{bucket}(city)" for bucket in range(16)} <= names


def test_the_buckets_of_a_text_by_hand() -> None:
    """Of "late" it is bucket 5, of "gate" bucket 4."""
    texts, ticks = pa.array(["Late late gate", "  ", None]), np.zeros(3, dtype=np.int64)
    shares = {bucket: transform(f"hashed_words_{bucket}").compute([texts], ticks) for bucket in range(16)}
    assert (shares[5][0], shares[4][0]) == (2 / 3, 1 / 3)
    assert all(np.isnan(shares[bucket][1:]).all() for bucket in range(16))
