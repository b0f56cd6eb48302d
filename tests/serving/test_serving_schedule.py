"""A request to a problem on a schedule names an entity; its row is due when it is asked for."""

from __future__ import annotations

import dataclasses

from headrace.schema import every
from headrace.serving.answers import spine_row_key
from headrace.serving.request import RequestSchema
from headrace.testing.shop_world import problem

scheduled = dataclasses.replace(
    problem,
    spine=every("3h", "customers", active="visits"),
    label='count("visits", horizon="4h") > 0',
    entities=(),
)


def test_an_entity_alone_is_a_request_and_now_is_its_cutoff() -> None:
    assert RequestSchema.from_definitions(scheduled, ()).names == ("customer",)
    assert spine_row_key(scheduled.spine_table.keys, {"customer": "a"}, 7) == ["a", 7]
    assert spine_row_key(problem.spine_table.keys, {"order_id": 3, "customer": "a"}, None) == [3]
    assert spine_row_key(problem.spine_table.keys, {"customer": "a"}, None) == []
