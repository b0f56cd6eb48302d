"""Every built-in transform, through the engine, agrees with the oracle: corrections, ties, nulls and all."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Aggregate, Transform
from headrace.synthesis.oracle.oracle import Oracle
from headrace.synthesis.primitives import AGGREGATIONS, TRANSFORMS
from headrace.testing.engines import assert_close
from headrace.testing.primitive_definitions import aggregates, transforms
from headrace.testing.random_world import random_queries, random_world
from headrace.testing.shop_world import problem

seeds = st.integers(0, 2**32)
AGGREGATES = [item for primitive in AGGREGATIONS.values() for item in aggregates(primitive)]
TRANSFORMED = [item for primitive in TRANSFORMS.values() for item in transforms(primitive)]


def test_they_are_all_here() -> None:
    assert {item.primitive for item in AGGREGATES if isinstance(item, Aggregate)} == set(AGGREGATIONS)
    made = {item.value.primitive for item in TRANSFORMED if isinstance(getattr(item, "value", None), Transform)}
    assert made == set(TRANSFORMS)
    assert len({item.slug for item in (*AGGREGATES, *TRANSFORMED)}) == len(AGGREGATES) + len(TRANSFORMED)


@settings(max_examples=8, deadline=None)
@given(world=seeds, query_seed=seeds)
@example(world=552037, query_seed=39)  # e^a is 5e228
def test_every_transform_agrees_with_the_oracle(world: int, query_seed: int) -> None:
    snapshot, keys = random_world(world), random_queries(query_seed, most=5)
    ours = LocalEngine().compute(problem, TRANSFORMED, keys, snapshot)
    assert_close(ours, Oracle().compute(problem, TRANSFORMED, keys, snapshot))
