"""The rows of `headrace predict`, without a model: their cutoffs, and the entities that nothing knows."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pytest

from headrace.core.errors import DataError
from headrace.pipeline.operations.predict_rows import cutoffs_of, unknown_entities
from headrace.testing.shop_world import World, problem


@pytest.mark.parametrize("name", ["cutoff", "planned"])
def test_a_cutoff_without_a_zone_is_an_error_that_names_its_own_column(name: str) -> None:
    with pytest.raises(DataError, match=f"rows.{name}: the times in column '{name}' have no time zone"):
        cutoffs_of(problem, pa.table({name: [datetime(2024, 2, 20)]}))


def test_entities_of_several_columns_are_known_by_the_rows_of_the_predicted_table() -> None:
    """Of the entity place, (city, channel), only the pair counts: each of both may be known with another."""
    orders = [
        {"order_id": 1, "customer": "a", "city": "x", "channel": "web"},
        {"order_id": 2, "customer": "a", "city": "y", "channel": "app"},
        {"order_id": 3, "customer": "a", "city": None, "channel": "app"},
    ]
    world = World({"orders": orders, "customers": [{"customer": "a"}]})
    spine = pa.table(
        {
            "customer": ["a", "a", "b", None, "a"],
            "city": ["x", "x", "y", "z", None],
            "channel": ["web", "app", "app", "app", "app"],
        }
    )
    unknown = unknown_entities(problem, spine, world)  # type: ignore[arg-type]
    assert unknown.to_pylist() == ["", "place", "customer", "customer, place", "place"]
