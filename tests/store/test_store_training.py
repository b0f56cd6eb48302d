"""Training rows through Feast: rows in = rows out, in order, and every value is the engine's at the row's tick."""

from __future__ import annotations

import struct

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import DAY, HOUR, MINUTE
from headrace.core.errors import DataError, NotFoundError
from headrace.store.published import read_published
from headrace.store.repo import open_store
from headrace.store.training import training_features
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import stored
from tests.store.world import BOATS, DAYS, START, World

pytestmark = pytest.mark.slow

ROW = st.tuples(
    st.one_of(st.none(), st.sampled_from(BOATS), st.just("unheard of")),
    st.one_of(st.none(), st.integers(1, 4).map(lambda n: n * 2**40)),
    st.integers(START - DAY, START + (DAYS + 2) * DAY),
)
TYPES = {"numeric": pa.float64(), "boolean": pa.float64(), "categorical": pa.string(), "time": pa.int64()}


def spine_of(rows: list[tuple[str | None, int | None, int]]) -> pa.Table:
    boats, berths, cutoffs = zip(*rows, strict=True)
    return pa.table(
        {
            "boat": pa.array(boats, pa.string()),
            "berth": pa.array(berths, pa.int64()),
            "cutoff": pa.array(cutoffs, pa.int64()),
        }
    )


def bits(values: pa.ChunkedArray) -> list[object]:
    return [struct.pack("d", value) if isinstance(value, float) else value for value in values.to_pylist()]


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=40))
def test_each_row_has_the_engines_values_at_its_tick(
    published_world: World, rows: list[tuple[str | None, int | None, int]]
) -> None:
    world, spine = published_world, spine_of(rows)
    found = training_features(world.root, world.problem, "all", spine)
    assert found.num_rows == spine.num_rows
    cutoffs = spine["cutoff"].to_numpy()
    keys = spine.select(["boat", "berth"]).append_column("tick", pa.array(cutoffs - cutoffs % HOUR))
    definitions = stored(read_published(world.root, world.problem.name).service("all"))
    assert found.column_names == [item.slug for item in definitions]
    direct = LocalEngine().compute(world.problem, definitions, keys, world.snapshot)
    for item in definitions:
        assert found.schema.field(item.slug).type == TYPES[item.kind]
        assert bits(found[item.slug]) == bits(direct[item.slug].cast(TYPES[item.kind])), item.name


def test_rows_that_occur_twice_and_unknown_entities_keep_their_places(published_world: World) -> None:
    """Duplicates have the same values; an unknown entity has the empty ones; a frame without rows gives none."""
    world = published_world
    row, unknown = ("anna", 2**40, START + 10 * DAY), ("nobody", 2**40, START + 10 * DAY)
    found = training_features(world.root, world.problem, "all", spine_of([row, unknown, row, row]))
    first, strange, *again = found.to_pylist()
    assert again == [first, first]
    assert [strange[name] for name in found.column_names if name.startswith(("boat_count", "boat_mean"))] in (
        [None, 0],
        [0, None],
    )
    empty = training_features(world.root, world.problem, "all", spine_of([row]).slice(0, 0))
    assert (empty.num_rows, empty.column_names) == (0, found.column_names)


def test_a_row_without_a_key_is_not_lost(published_world: World) -> None:
    at = START + 10 * DAY
    found = training_features(
        published_world.root, published_world.problem, "all", spine_of([("anna", None, at), (None, 2**40, at)])
    )
    means = [name for name in found.column_names if name.startswith(("boat_mean", "berth_mean", "boat_berth_mean"))]
    assert len(means) == 3
    by_entity = {name.split("_mean")[0]: [value is not None for value in found[name].to_pylist()] for name in means}
    assert by_entity == {"boat": [True, False], "berth": [False, True], "boat_berth": [False, False]}


def test_a_value_is_not_seen_before_its_tick(published_world: World) -> None:
    """The count of all stays moves only at whole hours, and never holds a stay of the hour that is running."""
    world = published_world
    rows = world.snapshot.table("stays")
    mine = np.array([boat == "anna" for boat in rows["boat"].to_pylist()])
    moored = rows["moored"].cast(pa.int64()).to_numpy()[mine]
    cutoffs = START + 10 * DAY + np.arange(0, 6 * HOUR, 17 * MINUTE)
    found = training_features(world.root, world.problem, "all", spine_of([("anna", 2**40, int(c)) for c in cutoffs]))
    ticks = cutoffs // HOUR * HOUR
    expected = [int(((moored < tick) & (moored >= tick - 7 * DAY)).sum()) for tick in ticks]
    assert found["boat_count_stays_7d_by_boat"].to_pylist() == expected


def test_feast_users_ask_in_feasts_words(published_world: World) -> None:
    """By references, full names, other columns carried along, in the frame's own order."""
    store = open_store(published_world.root)
    instant = pd.Timestamp("2024-03-11T00:30:00Z")
    frame = pd.DataFrame(
        {"boat": ["emil", "anna"], "berth": [2**40, 2**41], "event_timestamp": [instant] * 2, "note": ["x", "y"]}
    )
    refs = ["harbour__boat:boat_boats_length", "harbour__boat_berth:boat_berth_count_stays_7d_by_boat_berth"]
    found = store.get_historical_features(frame, refs, full_feature_names=True).to_df()
    assert found["note"].tolist() == ["x", "y"]
    assert found["harbour__boat__boat_boats_length"].tolist() == [25.0, 4.0]


def test_a_naive_frame_or_a_missing_key_is_named(published_world: World) -> None:
    store = open_store(published_world.root)
    store.config.coerce_tz_aware = False
    refs = ["harbour__boat:boat_boats_length"]
    naive = pd.DataFrame({"boat": ["anna"], "event_timestamp": [pd.Timestamp("2024-03-11")]})
    with pytest.raises(DataError, match="aware timestamps"):
        store.get_historical_features(naive, refs)
    aware = pd.DataFrame({"event_timestamp": [pd.Timestamp("2024-03-11", tz="UTC")]})
    with pytest.raises(DataError, match="no join key 'boat'"):
        store.get_historical_features(aware, refs).to_arrow()
    with pytest.raises(DataError, match="entity frame is needed"):
        store.get_historical_features(None, refs)


def test_an_unknown_service_is_named(published_world: World) -> None:
    with pytest.raises(NotFoundError, match=r"no feature service 'other'.*found: all"):
        training_features(published_world.root, published_world.problem, "other", spine_of([("anna", 1, START)]))
