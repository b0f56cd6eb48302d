"""Every built-in family of aggregations passes the conformance suite; and what holds for all of them together."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.core.clock import HOUR
from headrace.synthesis.oracle.aggregations import AGGREGATION_TWINS
from headrace.synthesis.primitives import AGGREGATIONS, AggregationFamily
from headrace.synthesis.primitives.catalogue import AGGREGATION_FAMILIES
from headrace.synthesis.primitives.entries import Entries
from headrace.testing.primitive_cases import START, Case, assert_same, ints, results
from headrace.testing.primitives import AggregationConformance

pytestmark = pytest.mark.slow


class TestBuiltInAggregations(AggregationConformance):
    @pytest.fixture(params=AGGREGATION_FAMILIES, ids=lambda family: family.name)
    def family(self, request: pytest.FixtureRequest) -> AggregationFamily:
        return request.param


def test_nothing_is_computed_that_no_one_declared() -> None:
    assert set(AGGREGATION_TWINS) == set(AGGREGATIONS)
    assert len(AGGREGATIONS) >= 40


@pytest.mark.parametrize("power", [8, 12, 60, 99])
def test_a_window_after_numbers_of_another_size_loses_no_digits(power: int) -> None:
    """Double-double alone would not do: what cancels is up to 1e99 times what is left."""
    x = np.array([1.0, 10.0**power, -3.0 * 10.0**power, 1.5, 2.5, 4.0, 4.5, 3.0, 2.0])
    anchor = START + np.arange(len(x)) * HOUR
    case = Case(Entries(key=np.zeros(len(x), dtype=np.int64), anchor=anchor, number=x), ints(3), ints(len(x)))
    for primitive in AGGREGATIONS.values():
        if "numeric" in primitive.inputs:
            [ours] = results(primitive, case)
            assert_same(ours, AGGREGATION_TWINS[primitive.name](case.observations(0)), 1.0)
