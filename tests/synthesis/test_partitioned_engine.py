"""The partitioned engine computes what the local engine does, bit for bit, however rows and time are divided."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import DataError, DeclarationError
from headrace.core.memory import resident_bytes
from headrace.schema import Problem
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.engines.shuffle.engine import PartitionedLocalEngine
from headrace.synthesis.engines.shuffle.layout import make_layout
from headrace.synthesis.history.key_hash import BUCKETS, buckets, key_hashes
from headrace.synthesis.language.definitions import Definition, Stored
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import store_tables
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.matrix.written import write_matrix
from headrace.testing import shop_world
from headrace.testing.random_world import random_queries, random_world
from headrace.testing.shop_definitions import EVERYTHING, PAST_LABELS, THROUGH, scheduled
from tests.synthesis import synthesis_levels
from tests.synthesis.synthesis_levels import random_levels, random_requests
from tests.synthesis.test_stacked_against_oracle import BESIDE, DOWN, OVER, WHERE

seeds = st.integers(0, 2**32)
FLAT: list[Stored] = [*EVERYTHING[::3], *THROUGH[::2]]
DEEP: list[Definition] = [*DOWN[::4], *BESIDE[::5], *WHERE[::2], *OVER[::2]]


def divided(partition_bytes: int) -> PartitionedLocalEngine:
    return PartitionedLocalEngine(min_rows=0, partition_bytes=partition_bytes)


def assert_same(
    problem: Problem, definitions: Sequence[Definition], keys: pa.Table, snapshot: Tables, size: int, slab: int = 7
) -> None:
    """In memory and through files of any size."""
    spine = keys.append_column("cutoff", keys["tick"])
    whole = feature_matrix(problem, definitions, spine, snapshot, LocalEngine())
    assert feature_matrix(problem, definitions, spine, snapshot, divided(size)).equals(whole)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "matrix.parquet"
        write_matrix(problem, definitions, spine, snapshot, divided(size), path)
        assert pq.read_table(path).equals(whole)


@settings(max_examples=5, deadline=None)
@given(world=seeds, query_seed=seeds, size=st.integers(1, 20_000))
def test_flat_features(world: int, query_seed: int, size: int) -> None:
    assert_same(shop_world.problem, FLAT, random_queries(query_seed), random_world(world), size)


@settings(max_examples=3, deadline=None)
@given(world=seeds, query_seed=seeds, size=st.integers(1, 20_000))
def test_stacked_features(world: int, query_seed: int, size: int) -> None:
    assert_same(synthesis_levels.problem, DEEP, random_requests(query_seed), random_levels(world), size)


@settings(max_examples=3, deadline=None)
@given(world=seeds, query_seed=seeds, size=st.integers(1, 20_000), rows=st.integers(1, 9))
def test_tables_in_files(world: int, query_seed: int, size: int, rows: int) -> None:
    """Read fragment by fragment, they give what they do in memory."""
    keys, snapshot = random_queries(query_seed), random_world(world)
    with tempfile.TemporaryDirectory() as name:
        tables = store_tables(snapshot, ["orders", "customers", "visits"], Path(name), row_group_rows=rows)
        ours = divided(size).compute(shop_world.problem, FLAT, keys, tables)
    assert ours.equals(LocalEngine().compute(shop_world.problem, FLAT, keys, snapshot))


def test_the_label_history_is_computed_from_whole_tables() -> None:
    keys = random_queries(5).select(["customer", "tick"])
    ours = divided(1).compute(scheduled, PAST_LABELS, keys, random_world(11))
    assert ours.equals(LocalEngine().compute(scheduled, PAST_LABELS, keys, random_world(11)))


def test_stacked_features_over_large_tables_are_refused_by_name() -> None:
    engine = PartitionedLocalEngine(min_rows=0, max_replicated=100)
    with pytest.raises(DeclarationError, match=r"read rows of rows.*whole.*events: .*depth=1"):
        engine.compute(synthesis_levels.problem, DOWN[:3], random_requests(1), random_levels(2))


def test_keys_of_two_kinds_are_refused_by_name() -> None:
    keys = random_queries(1)
    keys = keys.set_column(0, "customer", pa.array(range(keys.num_rows)))
    with pytest.raises(DataError, match=r"visitor.*int64 is compared with string.*write both keys alike"):
        divided(1).compute(shop_world.problem, FLAT, keys, random_world(1))


def test_a_limit_below_the_longest_history_is_refused_with_one_that_would_do() -> None:
    limit = resident_bytes() // 2
    engine = PartitionedLocalEngine(min_rows=0, max_memory=limit)
    with pytest.raises(DataError, match=r"most frequent key of .* give at least") as refused:
        engine.compute(shop_world.problem, FLAT, random_queries(3), random_world(3))
    assert refused.value.facts["enough_mb"] > limit / 1e6


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1, 2, None, 2**40]), pa.array([1.0, 2.0, None, 2.0**40])),
        (pa.array([1, 7], pa.int8()), pa.array([1, 7], pa.uint64())),
        (pa.array(["a", None, "ü"]), pa.array(["a", None, "ü"]).dictionary_encode()),
        (pa.array(["a", "b"]), pa.array(["a", "b"], pa.large_string())),
        (pa.array([0, 5], pa.timestamp("us", tz="UTC")), pa.array([0, 5_000], pa.timestamp("ns", tz="UTC"))),
    ],
)
def test_equal_keys_of_two_types_have_equal_hashes(one: pa.Array, other: pa.Array) -> None:
    assert key_hashes([one]).tolist() == key_hashes([other]).tolist()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_row_reaches_every_slice_whose_lookback_holds_it(data: st.DataObject) -> None:
    ticks = np.array(data.draw(st.lists(st.integers(0, 1_000), min_size=1, max_size=20)), dtype=np.int64)
    known = np.array(data.draw(st.lists(st.integers(-1_200, 1_200), min_size=1, max_size=20)), dtype=np.int64)
    lookback = data.draw(st.integers(1, 1_500))
    bucket = int(buckets(key_hashes([pa.array(["x"])]))[0])
    sizes = np.zeros(BUCKETS)
    sizes[bucket] = data.draw(st.integers(2, 40))
    layout = make_layout(
        sizes, 1.0, ticks=ticks, lookback_us=lookback, is_sliceable=True, needs_whole=data.draw(st.booleans()),
        queried=sizes > 0,
    )  # fmt: skip
    of_query = layout.query_partitions(np.full(len(ticks), bucket), ticks)
    of_row = layout.row_partitions(np.full(len(known), bucket), known, known, lookback)
    at_row = {(int(row), int(partition)) for row, partition in zip(*of_row, strict=True)}
    for query, partition in zip(*of_query, strict=True):
        if layout.part_of(int(partition)) != "whole":
            reached = np.flatnonzero((known < ticks[query]) & (known >= ticks[query] - lookback))
            assert all((int(row), int(partition)) in at_row for row in reached)
    assert sorted(set(of_query[1].tolist())) == sorted({p for p in of_query[1].tolist() if p < layout.partitions})
