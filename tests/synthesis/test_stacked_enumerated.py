"""Candidates beyond one level: which, in which order, and that the engine computes the values of the oracle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import DeclarationError, NotFoundError
from headrace.schema import Problem
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.candidates.through import is_through
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, from_json, stored, to_json
from headrace.synthesis.language.inputs import depth, relative
from headrace.synthesis.oracle.oracle import Oracle
from headrace.testing.engines import assert_close
from headrace.testing.random_world import Draw
from tests.synthesis.synthesis_levels import Levels, corrected, drawn, problem, random_levels, random_requests

SCHEMAS = {table.name: Levels({}).table(table.name).schema for table in problem.entity_set.tables}
SECOND = replace(problem, depth=2, where={"sessions.device": ("pc",)}, groupby=("sessions.customer",))
THIRD = replace(problem, depth=3, groupby=("events.product",), max_candidates=5000)
seeds = st.integers(0, 2**32)


def offered(declared: Problem) -> tuple[Definition, ...]:
    return enumerate_definitions(declared, SCHEMAS)


def deep(definitions: tuple[Definition, ...]) -> list[Aggregate | Direct]:
    return [item for item in stored(definitions) if relative(item)]


def names(declared: Problem) -> set[str]:
    return {item.name for item in offered(declared)}


def test_depth_one_offers_nothing_stacked() -> None:
    assert deep(offered(problem)) == []


@pytest.mark.parametrize(
    "name",
    [
        "customer.COUNT(sessions WHERE device = pc, 8h by customer)",
        "customer.customers.region.regions.tax",
        "customer.MEAN(sessions.session.SUM(events.amount by session), 8h by customer)",
        "customer.MAX(sessions.session.COUNT(events by session), 8h by customer)",
        "customer.MEAN(sessions.TIME_SINCE_PREVIOUS(customer by customer), 8h by customer)",
        "region.MEAN(customers.customer.COUNT(sessions by customer), 8h by region)",
        "region.LAST(requests.customer.COUNT(sessions, 8h by customer) by region)",
        "region.LAST(requests.customer.PERCENT_TRUE(requests.ok, 3h by customer) by region)",
        "customer.LAST(requests.region.regions.tax by customer)",
    ],
)
def test_depth_two_offers(name: str) -> None:
    assert name in names(SECOND)
    assert name not in names(problem)


@pytest.mark.parametrize(
    "name",
    [
        "customer.MEAN(sessions.session.MEAN(events.product.products.price by session), 8h by customer)",
        "customer.SUM(sessions.session.MAX(events.CUM_MEAN(amount by product) by session), 8h by customer)",
        "region.STD(customers.customer.MAX(sessions.session.SUM(events.amount by session) by customer), 8h by region)",
    ],
)
def test_depth_three_offers(name: str) -> None:
    assert name in names(THIRD)


def test_a_named_column_leads_to_an_entity_at_any_depth() -> None:
    declared = replace(problem, through=("sessions.device",))
    through = [item.name for item in deep(offered(declared))]
    assert through == [
        "customer.LAST(sessions.device.COUNT(sessions, 8h by device) by customer)",
        "customer.LAST(sessions.device.MODE(sessions.customer, 8h by device) by customer)",
    ]
    assert not any(".LAST(" in item.name for item in deep(offered(replace(SECOND, through=()))))


def test_the_less_deep_come_first_and_the_cap_cuts_the_end() -> None:
    everything = offered(THIRD)
    levels = [depth(item) if item in deep(everything) and not is_through(item) else 0 for item in everything]
    assert levels == sorted(levels)
    assert set(levels) == {0, 2, 3}
    assert len({item.slug for item in everything}) == len(everything)
    assert offered(replace(THIRD, max_candidates=60)) == everything[:60]
    assert tuple(from_json(to_json(item)) for item in everything) == everything


def test_include_and_exclude() -> None:
    assert names(replace(SECOND, include=("customer.*",), exclude=("*WHERE*",))) == {
        name for name in names(SECOND) if name.startswith("customer.") and "WHERE" not in name
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"depth": 4}, "depth=4"),
        ({"max_candidates": 0}, "1 or more"),
        ({"depth": 1}, "groupby without depth"),
        ({"groupby": ("customer",)}, "is not table.column"),
        ({"groupby": ("shops.customer",)}, "no table 'shops'"),
        ({"groupby": ("sessions.client",)}, "no column 'sessions.client'"),
        ({"ignore": ("sessions.client",)}, "no column 'sessions.client'"),
        ({"through": "sessions.device"}, "give columns"),
        ({"through": ("device",)}, "is not table.column"),
        ({"through": ("sessions.model",)}, "no column 'sessions.model'"),
        ({"where": {"sessions.model": ("pc",)}}, "no column 'sessions.model'"),
        ({"where": {"sessions.device": "pc"}}, "needs a list"),
        ({"where": {"sessions.device": (1.0,)}}, "cannot be a value"),
        ({"where": {"events.amount": ("much",)}}, "cannot be a value"),
        ({"where": {"sessions.begun": ("2020",)}}, "holds no categories"),
        ({"include": ("custmer.*",)}, "no candidate feature fits"),
    ],
)
def test_what_is_declared_wrongly_is_one_error(change: dict[str, Any], says: str) -> None:
    with pytest.raises((DeclarationError, NotFoundError), match=says):
        offered(replace(SECOND, **change))


@pytest.mark.parametrize("declared", [SECOND, THIRD], ids=["two", "three"])
@settings(max_examples=6, deadline=None)
@given(world=seeds, query_seed=seeds, chosen=seeds)
def test_engine_agrees_with_oracle_on_what_is_offered(
    declared: Problem, world: int, query_seed: int, chosen: int
) -> None:
    found = deep(offered(declared))
    some = [found[index] for index in Draw(chosen).rng.permutation(len(found))[:25]]
    snapshot, keys = random_levels(world), random_requests(query_seed, most=5)
    ours = LocalEngine().compute(declared, some, keys, snapshot)
    assert_close(ours, Oracle().compute(declared, some, keys, snapshot))


@settings(max_examples=3, deadline=None)
@given(world=seeds, query_seed=seeds, future=seeds)
def test_what_is_known_later_changes_nothing_that_is_offered(world: int, query_seed: int, future: int) -> None:
    found = deep(offered(SECOND))
    before, keys = random_levels(world), random_requests(query_seed, most=4)
    tick = keys["tick"][0].as_py()
    keys = keys.set_column(keys.column_names.index("tick"), "tick", pa.array([tick] * keys.num_rows))
    draw = Draw(future)
    after = {name: list(rows) for name, rows in before.rows.items()}
    for name in ("regions", "customers", "sessions", "events", "products"):
        late = [corrected(draw, name, draw.one(after[name])) for _ in range(3) if after[name]]
        late += [drawn(draw, name, 50)] if name == "events" else []
        after[name] += [{**row, "_arrival": tick + int(draw.rng.integers(0, 3))} for row in late]
    was, now = (LocalEngine().compute(SECOND, found, keys, snapshot) for snapshot in (before, Levels(after)))
    assert now.equals(was)
