"""Request-time features through Feast: an on-demand view returns what serving computes."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.clock import DAY, HOUR, MINUTE
from headrace.core.errors import DeclarationError
from headrace.store.materialise import materialise
from headrace.store.on_demand import CUTOFF, on_demand_view
from headrace.store.online import OnlineStore
from headrace.store.publish import publish
from headrace.store.published import read_published
from headrace.store.repo import open_store
from headrace.synthesis.language.definitions import Aggregate, Definition, RowColumn, Transform
from headrace.synthesis.primitives.finish import finish
from tests.store.world import START, World, features

pytestmark = pytest.mark.slow

NOW = START + 5 * DAY + 7 * MINUTE
MOORED = RowColumn(column="moored", kind="time")
LAST = next(
    item for item in features() if isinstance(item, Aggregate) and item.kind == "time" and item.entity == "boat"
)
TRANSFORMS: tuple[Definition, ...] = (
    *(item for item in features() if isinstance(item, Transform)),
    Transform(primitive="hour", inputs=(MOORED,), kind="numeric"),
    Transform(primitive="time_since", inputs=(LAST,), kind="numeric"),
)


def test_feast_computes_request_time_features_as_serving_does(world: World) -> None:
    publish(world.root, world.problem, (*features(), *TRANSFORMS), "all")
    materialise(world.root, world.problem, NOW)
    store, published = open_store(world.root), read_published(world.root, world.problem.name)
    view = on_demand_view(published, "all", {item.name: item for item in store.list_feature_views()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Feast calls on-demand views experimental
        store.apply([view])
    keys = [{"boat": boat, "berth": 2**40} for boat in ("anna", "bert", "unknown")]
    moored = NOW + HOUR
    found = store.get_online_features(
        features=[f"{view.name}:{item.slug}" for item in TRANSFORMS],
        entity_rows=[{**key, "moored": moored, CUTOFF: NOW} for key in keys],
    ).to_dict()
    rows = OnlineStore(world.root, world.problem).read("all", keys, NOW)
    stored = {slug: [row.values[slug] for row in rows] for slug in rows[0].values}
    ticks, cutoffs = np.full(3, NOW - NOW % HOUR), np.full(3, NOW)
    own = {"moored": pa.array([moored] * 3, pa.int64())}
    expected = finish(TRANSFORMS, stored, own, ticks, cutoffs)
    for item in TRANSFORMS:
        served = [None if value is None or value != value else value for value in found[item.slug]]
        assert served == expected[item.slug].to_pylist(), item.name
    assert any(value is not None for value in found[TRANSFORMS[-1].slug])


def test_a_service_without_request_time_features_has_no_view(world: World) -> None:
    publish(world.root, world.problem, (LAST,), "stored")
    with pytest.raises(DeclarationError, match="computes nothing at a request"):
        on_demand_view(read_published(world.root, world.problem.name), "stored", {})
