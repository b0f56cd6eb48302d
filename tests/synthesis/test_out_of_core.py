"""Below any memory limit the matrix is that which is computed at once, bit for bit; too low a limit is refused."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.core.memory import resident_bytes
from headrace.schema import Problem
from headrace.synthesis.engines import LocalEngine, MemoryLimitedEngine
from headrace.synthesis.engines.memory.budget import MemoryBudget
from headrace.synthesis.engines.memory.estimate import MemoryEstimate
from headrace.synthesis.engines.memory.limited import read_slabs
from headrace.synthesis.engines.memory.partitioned import PartitionedComputation
from headrace.synthesis.engines.memory.parts import QueryParts
from headrace.synthesis.engines.memory.spill import Spill
from headrace.synthesis.language.definitions import Definition, RowColumn, Stored, Transform
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.matrix.written import write_matrix
from headrace.testing import shop_world
from headrace.testing.random_world import random_queries, random_world
from headrace.testing.shop_definitions import EVERYTHING
from tests.synthesis import synthesis_levels
from tests.synthesis.synthesis_levels import random_levels, random_requests
from tests.synthesis.test_stacked_against_oracle import BESIDE, DOWN, OVER, WHERE

seeds = st.integers(0, 2**32)
FLAT: list[Definition] = [
    *EVERYTHING[::7],
    RowColumn(column="city", kind="categorical"),
    Transform(
        primitive="time_since", inputs=(next(item for item in EVERYTHING if item.kind == "time"),), kind="numeric"
    ),
]
DEEP: list[Definition] = [*DOWN[::4], *BESIDE[::5], *WHERE[::2], *OVER[::2]]


class SmallParts(MemoryLimitedEngine):
    """Parts of at most so many bytes, whatever the process holds, and slabs of so many rows; nothing fits at once."""

    def __init__(self, part_bytes: float, slab_rows: int, engine: LocalEngine | None = None) -> None:
        super().__init__(engine=engine or LocalEngine(), max_memory=2**60)
        object.__setattr__(self, "sizes", (part_bytes, slab_rows))

    def fits(self, *_: object) -> bool:  # type: ignore[override]
        return False

    def slabs(
        self,
        problem: Problem,
        definitions: Sequence[Stored],
        keys: pa.Table,
        snapshot: Tables,
        row_bytes: float,
        folder: Path,
    ) -> Iterator[pa.Table]:
        part_bytes, slab_rows = self.sizes  # type: ignore[attr-defined]
        budget, spill = MemoryBudget(self.max_memory), Spill(folder, keys.num_rows, slab_rows)
        budget.part_bytes = lambda: part_bytes  # type: ignore[method-assign]
        PartitionedComputation(self.engine, problem, definitions, keys, snapshot).write(spill, budget)
        return read_slabs(spill, self.engine)


def assert_same(
    problem: Problem, definitions: Sequence[Definition], keys: pa.Table, snapshot: Tables, part_bytes: float, slab: int
) -> None:
    spine = keys.append_column("cutoff", keys["tick"])
    whole = feature_matrix(problem, definitions, spine, snapshot, LocalEngine())
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "matrix.parquet"
        write_matrix(problem, definitions, spine, snapshot, SmallParts(part_bytes, slab), path)
        assert [item.name for item in Path(name).iterdir()] == ["matrix.parquet"]
        written = pq.ParquetFile(path)
        assert written.num_row_groups == -(-spine.num_rows // slab)
        assert written.read().equals(whole)


@settings(max_examples=8, deadline=None)
@given(world=seeds, query_seed=seeds, part_bytes=st.floats(1, 1e5), slab=st.integers(1, 12))
def test_flat_features_in_parts_of_any_size(world: int, query_seed: int, part_bytes: float, slab: int) -> None:
    assert_same(shop_world.problem, FLAT, random_queries(query_seed), random_world(world), part_bytes, slab)


@settings(max_examples=6, deadline=None)
@given(world=seeds, query_seed=seeds, part_bytes=st.floats(1, 1e6), slab=st.integers(1, 12))
def test_stacked_features_in_parts_of_any_size(world: int, query_seed: int, part_bytes: float, slab: int) -> None:
    assert_same(synthesis_levels.problem, DEEP, random_requests(query_seed), random_levels(world), part_bytes, slab)


@given(
    entity=st.lists(st.integers(-1, 5), min_size=1, max_size=60),
    history=st.lists(st.floats(0, 1e4), min_size=6, max_size=6),
    room=st.floats(1, 1e5),
)
def test_parts_hold_every_query_once_and_fit_where_they_can(
    entity: list[int], history: list[float], room: float
) -> None:
    estimate = MemoryEstimate(tables=100.0, query=7.0, result=3.0, history=np.array(history))
    codes = np.searchsorted(sorted(set(entity) - {-1}), entity) - (np.array(entity) == -1)
    parts = QueryParts(estimate, codes, np.arange(len(codes)))
    found = list(parts.split(lambda: room))
    assert sorted(row for rows, _ in found for row in rows.tolist()) == list(range(len(codes)))
    for rows, thought in found:
        mine = {code for code in codes[rows] if code >= 0}
        inside = set(range(min(mine), max(mine) + 1)) if mine else set()
        assert thought == pytest.approx(100 + 10 * len(rows) + sum(history[code] for code in inside))
        assert thought <= room or len(rows) == 1
    assert parts.smallest_bytes <= 100 + 10 * len(codes) + sum(history) + 1e-6


def test_a_limit_that_cannot_be_kept_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    keys = random_queries(3)
    spine = keys.append_column("cutoff", keys["tick"])
    limit = resident_bytes() // 2
    engine = MemoryLimitedEngine(engine=LocalEngine(), max_memory=limit)
    with pytest.raises(DataError, match=r"is not enough.*give at least") as refused:
        write_matrix(shop_world.problem, FLAT, spine, random_world(3), engine, tmp_path / "m.parquet")
    assert refused.value.facts["enough_mb"] > limit / 1e6
    assert not list(tmp_path.iterdir())


def test_it_says_how_far_it_is(tmp_path: Path) -> None:
    lines: list[str] = []
    keys = random_queries(5)
    spine = keys.append_column("cutoff", keys["tick"])
    engine = SmallParts(1.0, 2, LocalEngine(progress=lines.append))
    write_matrix(shop_world.problem, FLAT, spine, random_world(5), engine, tmp_path / "m.parquet")
    assert f"customer: {keys.num_rows} of {keys.num_rows} rows" in lines
    assert lines[-1].startswith("writing: ")
