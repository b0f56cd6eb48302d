"""The engine on Spark and on Sail computes the local engine's values, bit for bit, and nothing from the future."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from headrace.core.errors import DeclarationError
from headrace.synthesis.engines import LocalEngine, SparkEngine
from headrace.synthesis.engines.shuffle.streaming import _SCATTERED, _sorted_partitions
from headrace.synthesis.language.parquet_tables import store_tables
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.matrix.written import write_matrix
from headrace.testing.random_world import random_queries, random_world
from headrace.testing.shop_definitions import EVERYTHING, PAST_LABELS, THROUGH, scheduled
from headrace.testing.shop_world import World, problem
from tests.synthesis import synthesis_levels
from tests.synthesis.synthesis_levels import random_levels, random_requests
from tests.synthesis.test_stacked_against_oracle import BESIDE, DOWN, OVER, WHERE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FLAT = [*EVERYTHING[::3], *THROUGH[::2]]
#: A job of Spark takes seconds: few examples, none of them shrunk.
few = settings(
    max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
seeds = st.integers(0, 2**32)


@few
@given(world=seeds, query_seed=seeds, size=st.sampled_from([1_500, 6_000, 10**9]))
def test_flat_features(engine: SparkEngine, world: int, query_seed: int, size: int) -> None:
    keys, snapshot = random_queries(query_seed), random_world(world)
    ours = replace(engine, partition_bytes=size).compute(problem, FLAT, keys, snapshot)
    assert ours.equals(LocalEngine().compute(problem, FLAT, keys, snapshot))


def test_stacked_features(engine: SparkEngine) -> None:
    definitions = [*DOWN[::6], *BESIDE[::7], *WHERE[::4], *OVER[::4]]
    keys, snapshot = random_requests(5), random_levels(8)
    spine = keys.append_column("cutoff", keys["tick"])
    arguments = (synthesis_levels.problem, definitions, spine, snapshot)
    assert feature_matrix(*arguments, engine).equals(feature_matrix(*arguments, LocalEngine()))


def test_the_label_history(engine: SparkEngine) -> None:
    keys = random_queries(5).select(["customer", "tick"])
    ours = engine.compute(scheduled, PAST_LABELS, keys, random_world(11))
    assert ours.equals(LocalEngine().compute(scheduled, PAST_LABELS, keys, random_world(11)))


def test_what_is_known_later_changes_no_bit(engine: SparkEngine) -> None:
    """The leak probe: everything that is known from the tick on is changed, and more arrives."""
    before, keys = random_world(21), random_queries(1_021)
    tick = min(keys["tick"].to_pylist())
    keys = keys.set_column(keys.column_names.index("tick"), "tick", pa.array([tick] * keys.num_rows))
    late = [{**row, "amount": -1.0, "gift": True, "_arrival": tick} for row in before.rows["orders"]]
    after = World({**before.rows, "orders": [*before.rows["orders"], *late]})
    assert late
    was, now = (engine.compute(problem, FLAT, keys, snapshot) for snapshot in (before, after))
    assert now.equals(was)


def test_the_matrix_is_written_in_slabs(engine: SparkEngine, tmp_path: Path) -> None:
    keys, snapshot = random_queries(31, most=40), random_world(32)
    spine = keys.append_column("cutoff", keys["tick"])
    tables = store_tables(snapshot, ["orders", "customers", "visits"], tmp_path, row_group_rows=4)
    write_matrix(problem, FLAT, spine, tables, engine, tmp_path / "matrix.parquet")
    expected = feature_matrix(problem, FLAT, spine, snapshot, LocalEngine())
    assert pq.read_table(tmp_path / "matrix.parquet").equals(expected)


def test_tables_that_workers_cannot_read_are_refused(engine: SparkEngine) -> None:
    class Elsewhere:
        def __init__(self) -> None:
            self.world = random_world(1)

        def table(self, name: str) -> pa.Table:
            return self.world.table(name)

        def schema(self, name: str) -> pa.Schema:
            return self.world.table(name).schema

        def table_bytes(self, name: str) -> int:
            return 0

        def fragments(self, name: str) -> list[object]:
            return []

    with pytest.raises(DeclarationError, match="workers cannot read tables of type Elsewhere"):
        engine.compute(problem, FLAT, random_queries(1), Elsewhere())


def test_batches_out_of_order_are_refused() -> None:
    """Some rows of a partition would give wrong values: the order is never assumed."""
    batch = pa.record_batch([[1, 2, 1], [0, 0, 0], [b"a", b"b", b"c"]], schema=_SCATTERED)
    with pytest.raises(AssertionError, match="partition 1 come after those of others"):
        list(_sorted_partitions([batch]))
