"""Every primitive of the catalogue, through the engine, says what the oracle says: corrections, ties, nulls and all."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import HOUR
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Aggregate, Kind, RowColumn, Stored, Transform
from headrace.synthesis.oracle.oracle import Oracle
from headrace.synthesis.primitives import AGGREGATIONS, TRANSFORMS, Aggregation, TransformPrimitive
from headrace.testing.random_world import random_queries, random_world
from headrace.testing.shop_world import problem
from tests.synthesis.test_stacked_against_oracle import assert_close

seeds = st.integers(0, 2**32)
COLUMNS: dict[Kind, str] = {"numeric": "amount", "categorical": "channel", "boolean": "gift", "time": "paid"}


def aggregates(primitive: Aggregation) -> list[Stored]:
    """Over a column of each kind that it fits, in an hour or two, ever, and (numbers) by event time; every output."""
    columns = [(COLUMNS[kind], kind) for kind in primitive.inputs] + ([("", "numeric")] if primitive.rows else [])
    parts = range(primitive.outputs) if primitive.outputs > 1 else [None]
    return [
        Aggregate(
            entity="customer",
            table="orders",
            keys=("customer",),
            column=column,
            primitive=primitive.name,
            lookback_us=lookback_us,
            kind=primitive.result or kind,  # type: ignore[arg-type]
            on=on,
            part=part,
        )
        for (column, kind), part in product(columns, parts)
        for lookback_us, on in ((None, "known"), (5 * HOUR, "known"), (5 * HOUR, "event"))
        if on == "known" or column in ("amount", "channel")
    ]  # type: ignore[misc]


OTHER: dict[Kind, str] = {**COLUMNS, "numeric": "items", "categorical": "city", "time": "planned"}


def transforms(primitive: TransformPrimitive) -> list[Stored]:
    """The last value of a transform of the aggregated row's own columns, for each way to make it."""
    both = (COLUMNS | {"text": "city"}, OTHER)
    found: list[Stored] = []
    for kinds in primitive.inputs:
        inputs = tuple(RowColumn(column=both[index % 2][kind], kind=kind) for index, kind in enumerate(kinds))
        value = Transform(primitive=primitive.name, inputs=inputs, kind=primitive.result)
        found.append(
            Aggregate(
                entity="customer",
                table="orders",
                keys=("customer",),
                column="",
                primitive="last",
                lookback_us=None,
                kind=primitive.result,
                value=value,
            )
        )
    return found


AGGREGATES = [item for primitive in AGGREGATIONS.values() for item in aggregates(primitive)]
TRANSFORMED = [item for primitive in TRANSFORMS.values() for item in transforms(primitive)]


def test_they_are_all_here() -> None:
    assert {item.primitive for item in AGGREGATES if isinstance(item, Aggregate)} == set(AGGREGATIONS)
    made = {item.value.primitive for item in TRANSFORMED if isinstance(getattr(item, "value", None), Transform)}
    assert made == set(TRANSFORMS)
    assert len({item.slug for item in (*AGGREGATES, *TRANSFORMED)}) == len(AGGREGATES) + len(TRANSFORMED)


@settings(max_examples=8, deadline=None)
@given(world=seeds, asked=seeds)
def test_every_aggregation_agrees_with_the_oracle(world: int, asked: int) -> None:
    snapshot, keys = random_world(world), random_queries(asked, most=5)
    ours = LocalEngine().compute(problem, AGGREGATES, keys, snapshot)
    assert_close(ours, Oracle().compute(problem, AGGREGATES, keys, snapshot))


@settings(max_examples=8, deadline=None)
@given(world=seeds, asked=seeds)
def test_every_transform_agrees_with_the_oracle(world: int, asked: int) -> None:
    snapshot, keys = random_world(world), random_queries(asked, most=5)
    ours = LocalEngine().compute(problem, TRANSFORMED, keys, snapshot)
    assert_close(ours, Oracle().compute(problem, TRANSFORMED, keys, snapshot))
