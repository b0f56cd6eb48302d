"""A family of aggregations from outside: one object, then engines, oracle and enumeration know it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headrace.core import extensions
from headrace.core.errors import DeclarationError
from headrace.core.extensions import hand_over
from headrace.synthesis.candidates.requested import requested_definitions
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.explanation.unfold import unfold
from headrace.synthesis.extensions import register
from headrace.synthesis.language.definitions import Aggregate, RowColumn, Transform
from headrace.synthesis.oracle.aggregations import AGGREGATION_TWINS
from headrace.synthesis.oracle.finish import finish_row
from headrace.synthesis.oracle.oracle import Oracle
from headrace.synthesis.oracle.transforms import TRANSFORM_TWINS
from headrace.synthesis.primitives.aggregation import NUMBER, Aggregation, AggregationFamily, Observations
from headrace.synthesis.primitives.aggregations.sums import range_sums
from headrace.synthesis.primitives.catalogue import AGGREGATIONS, CATALOGUE
from headrace.synthesis.primitives.entries import LookbackRanges
from headrace.synthesis.primitives.finish import finish
from headrace.synthesis.transforms.transform import of_numbers
from headrace.testing.engines import assert_close
from headrace.testing.random_world import random_queries, random_world
from headrace.testing.shop_definitions import one
from headrace.testing.shop_world import problem


def _kernel(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, Any]:
    squares = np.square(ranges.valid.x)
    return dict.fromkeys(names, range_sums(squares, ranges.lo, ranges.mid, ranges.hi)[1])


def _twin(observations: Observations) -> float | None:
    values = [value for _, value in observations if value is not None]
    return sum(value * value for value in values) / len(values) if values else None


MEAN_SQUARE = Aggregation(name="mean_square", description="the mean of their squares", inputs=NUMBER, twin=_twin)
FAMILY = AggregationFamily(name="squares", aggregations=(MEAN_SQUARE,), kernel=_kernel)


@pytest.fixture
def registered() -> Iterator[None]:
    register(FAMILY)
    yield
    for by_name in (CATALOGUE.aggregations, CATALOGUE.families, AGGREGATION_TWINS):
        by_name.pop("mean_square")  # type: ignore[attr-defined]


@pytest.mark.usefixtures("registered")
def test_engine_and_oracle_agree_on_it() -> None:
    definitions = [
        one("customer", "orders", ("customer",), "amount", "mean_square", span) for span in (None, 3_600_000)
    ]
    snapshot, keys = random_world(3), random_queries(3, most=8)
    ours = LocalEngine().compute(problem, definitions, keys, snapshot)
    assert_close(ours, Oracle().compute(problem, definitions, keys, snapshot))
    assert ours[definitions[0].slug].null_count < ours.num_rows


@pytest.mark.usefixtures("registered")
def test_a_problem_can_request_it() -> None:
    kinds = {("orders", "amount"): "numeric"}
    requested = requested_definitions(replace(problem, primitives=("mean_square",)), kinds)
    assert {item.primitive for item in requested if isinstance(item, Aggregate)} == {"mean_square"}


@pytest.mark.usefixtures("registered")
def test_the_same_family_again_changes_nothing_and_another_of_its_name_is_refused() -> None:
    register(FAMILY)
    with pytest.raises(DeclarationError, match="another aggregation primitive 'mean_square'"):
        register(replace(FAMILY, name="others"))
    assert CATALOGUE.families["mean_square"] is FAMILY


def test_a_transform_is_one_object_too() -> None:
    halve = of_numbers("halve", "a / 2", lambda a: a / 2)
    with pytest.raises(DeclarationError, match="halve has no twin"):
        register(halve)
    register(replace(halve, twin=lambda inputs, _tick_us: None if inputs[0] is None else inputs[0] / 2))
    try:
        half = Transform(primitive="halve", inputs=(RowColumn(column="x", kind="numeric"),), kind="numeric")
        at = np.zeros(2, dtype=np.int64)
        engine = finish([half], {}, {"x": [3.0, None]}, at, at)[half.slug].to_pylist()
        assert engine == [finish_row(half, {}, {"x": x}, 0) for x in (3.0, None)] == [1.5, None]
    finally:
        CATALOGUE.transforms.pop("halve")
        TRANSFORM_TWINS.pop("halve")


def test_an_explanation_knows_a_primitive_of_the_problem() -> None:
    cube = replace(MEAN_SQUARE, name="mean_of_squares")
    own = replace(problem, primitives=(replace(FAMILY, name="mean_of_squares", aggregations=(cube,)),))
    hand_over(own.extensions)
    try:
        definition = one("customer", "orders", ("customer",), "amount", "mean_of_squares", None)
        snapshot, keys = random_world(3), random_queries(3, most=8)
        engine = LocalEngine().compute(own, [definition], keys, snapshot)[definition.slug].to_pylist()
        for query, value in zip(keys.to_pylist(), engine, strict=True):
            assert unfold(own, definition, query, query["tick"], snapshot).value == pytest.approx(value)
    finally:
        extensions._HANDED.pop(("primitive", "mean_of_squares"))
        for by_name in (CATALOGUE.aggregations, CATALOGUE.families, AGGREGATION_TWINS):
            by_name.pop("mean_of_squares")  # type: ignore[attr-defined]


def test_without_a_twin_it_is_refused() -> None:
    with pytest.raises(DeclarationError, match="mean_square has no twin"):
        register(replace(FAMILY, aggregations=(replace(MEAN_SQUARE, twin=None),)))
    assert "mean_square" not in AGGREGATIONS
