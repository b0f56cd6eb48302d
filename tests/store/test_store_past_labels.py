"""Past labels and entities through the last row: training retrieves what the online store held, late rows included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from headrace.core.clock import HOUR
from headrace.lake.store import Lake
from headrace.problems.catalogue import load_problem
from headrace.schema.label_history import LABEL_HISTORY
from headrace.store.history import compute_at
from headrace.store.online import OnlineStore
from headrace.store.published import Published, read_published, write_published
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.candidates.through import is_through
from headrace.synthesis.history import label_history_cache
from headrace.synthesis.language.definitions import Definition, stored
from tests.store.test_store_schedules import bits, histories, refresh
from tests.store.world import BOATS, START, World, stays

DECLARATION = """\
from headrace.schema import EntitySet, Problem, Relationship, Table, every

boats = Table(name="boats", key="boat", source="boats.parquet")
stays = Table(
    name="stays", key="stay", time="moored", known_at={"fee": "left", "left": "left"}, source="stays.parquet"
)
problem = Problem(
    name="harbour",
    entity_set=EntitySet(tables=(boats, stays), relationships=(Relationship("boats.boat", "stays.boat"),)),
    spine=every("1d", "boats", active="stays", within="10d"),
    label='count("stays", horizon="2d") > 0',
    lookbacks=("1d", "7d"),
    tick="1h",
    through=("stays.berth",),
)
"""
KEYS = [{"boat": boat} for boat in (*BOATS[:5], "unknown", None)]


def scheduled_world(folder: Path) -> World:
    """Boats and no stays yet; features of past labels, and of the berth of a boat's last stay, are published."""
    (folder / "problem.py").write_text(DECLARATION)
    boats = pa.table({"boat": list(BOATS), "flag": ["ch", "ch", "it", "it", "fr", None]})
    pq.write_table(boats, folder / "boats.parquet")
    pq.write_table(stays(1), folder / "stays.parquet")
    problem = load_problem(folder / "problem.py")
    Lake(folder / "home", "harbour").append(problem.entity_set.table("boats"), boats, arrival_us=START, bootstrap=True)
    schemas = {"boats": boats.schema, "stays": stays(1).schema}
    chosen = [item for item in enumerate_definitions(problem, schemas) if _of_interest(item)]
    assert {is_through(item) for item in chosen} == {True, False}
    world = World(root=folder / "home", problem=problem, path=folder / "problem.py")
    base = Published(
        problem="harbour", reference=str(world.path), tick_us=problem.tick_us, key_types={"boat": "string"}
    )
    write_published(world.root, base.with_service(problem, "all", stored(chosen)))
    return world


def _of_interest(definition: Definition) -> bool:
    return is_through(definition) or LABEL_HISTORY in definition.name


def retrieved(world: World, tick_us: int) -> list[dict[str, Any]]:
    """What training computes for KEYS at a tick, from the lake as it is now."""
    (view,) = read_published(world.root, "harbour").views
    keys = pa.table({"boat": pa.array([key["boat"] for key in KEYS], pa.string()), "tick": [tick_us] * len(KEYS)})
    return compute_at(world.problem, view.definitions, view.join_keys, keys, world.snapshot).to_pylist()


@settings(max_examples=4, deadline=None)
@given(history=histories())
def test_training_retrieves_what_the_online_store_held(
    tmp_path_factory: pytest.TempPathFactory, history: tuple[int, list[tuple[int, bool]]]
) -> None:
    seed, steps = history
    world, rng = scheduled_world(tmp_path_factory.mktemp("past-labels")), np.random.default_rng(seed)
    lake, table = Lake(world.root, "harbour"), world.problem.entity_set.table("stays")
    everything = stays(240, seed)
    lake.append(table, everything.slice(0, 80), arrival_us=START, bootstrap=True)
    held: list[tuple[int, list[dict[str, Any]]]] = []
    for hour, is_batch in steps:
        now = START + hour * HOUR
        if is_batch:  # new and late rows, and corrections that move a stay to another boat
            size = int(rng.integers(1, 30))
            batch = everything.take(pa.array(np.sort(rng.choice(everything.num_rows, size, replace=False))))
            batch = batch.set_column(1, "boat", pa.array(rng.choice(BOATS[:4], size).tolist()))
            lake.append(table, batch, arrival_us=now - int(rng.integers(0, 60)))
        else:
            refresh(world, now)
            rows = OnlineStore(world.root, world.problem).read("all", KEYS, now)
            held.append((now, [dict(row.values) for row in rows]))
    label_history_cache.forget()
    for tick_us, rows_then in held:
        assert [bits(row) for row in rows_then] == [bits(row) for row in retrieved(world, tick_us)]
