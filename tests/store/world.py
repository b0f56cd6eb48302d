"""A problem with what the store must get right: composite keys, whole-number keys, keys that are missing, late news."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.core.clock import DAY, HOUR, iso, to_us
from headrace.core.replicas import write_replicas
from headrace.lake.store import Lake, Snapshot
from headrace.problems.catalogue import load_problem
from headrace.schema import Problem
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, RowColumn, Stored, Transform, stored

DECLARATION = """\
from headrace.schema import Entity, EntitySet, Problem, Relationship, Table, each_row

boats = Table(name="boats", key="boat", source="boats.parquet")
stays = Table(
    name="stays", key="stay", time="moored", known_at={{"fee": "left", "left": "left"}}, source="stays.parquet"
)
problem = Problem(
    name="{name}",
    entity_set=EntitySet(tables=(boats, stays), relationships=(Relationship("boats.boat", "stays.boat"),)),
    spine=each_row("stays", cutoff="moored - 1h"),
    label="fee >= 50",
    tick="1h",
    entities=(Entity(name="berth", join_keys=("berth",)), Entity(name="boat_berth", join_keys=("boat", "berth"))),
)
"""
START = to_us("2024-03-01T00:00:00Z")
DAYS = 20
BOATS = ("anna", "bert", "carla", "dora", "emil", "never_moored")


@dataclass(frozen=True)
class World:
    """A home folder with a loaded lake."""

    root: Path
    problem: Problem
    path: Path

    @property
    def snapshot(self) -> Snapshot:
        return Lake(self.root, self.problem.name).snapshot()


def features() -> tuple[Definition, ...]:
    """Definitions over all three entities, every kind, and a transform that needs the request."""
    boat = Direct(entity="boat", table="boats", column="length", kind="numeric")
    return (
        Transform(primitive="square_root", inputs=(boat,), kind="numeric"),
        RowColumn(column="moored", kind="time"),
        Direct(entity="boat", table="boats", column="flag", kind="categorical"),
        *aggregates("boat", ("boat",)),
        *aggregates("berth", ("berth",)),
        *aggregates("boat_berth", ("boat", "berth")),
    )


def aggregates(entity: str, keys: tuple[str, ...]) -> tuple[Stored, ...]:
    def one(primitive: str, column: str, kind: str, days: int | None) -> Aggregate:
        return Aggregate(
            entity=entity,
            table="stays",
            keys=keys,
            column=column,
            primitive=primitive,
            lookback_us=None if days is None else days * DAY,
            kind=kind,  # type: ignore[arg-type]
        )

    return (
        one("mean", "fee", "numeric", 7),
        one("sum", "fee", "numeric", 1),
        one("count", "", "numeric", 7),
        one("mode", "weather", "categorical", 7),
        one("last_time", "", "time", None),
    )


def stored_features(entity: str) -> tuple[Stored, ...]:
    return tuple(item for item in stored(features()) if item.entity == entity)


def stays(n: int = 400, seed: int = 0) -> pa.Table:
    """Stays over twenty days; one in ten has no boat or no berth; the fee is known when the boat has left."""
    rng = np.random.default_rng(seed)
    moored = np.sort(START + rng.integers(0, DAYS * DAY, n))
    left = moored + rng.integers(HOUR, 3 * DAY, n)
    instant = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "stay": pa.array(range(n), pa.int64()),
            "boat": pa.array(rng.choice(BOATS[:5], n).tolist(), mask=rng.uniform(size=n) < 0.1),
            "berth": pa.array(rng.integers(1, 4, n) * 2**40, pa.int64(), mask=rng.uniform(size=n) < 0.1),
            "moored": pa.array(moored).cast(instant),
            "left": pa.array(left).cast(instant),
            "weather": rng.choice(["sun", "rain"], n).tolist(),
            "fee": pa.array(np.round(rng.uniform(-10, 100, n), 2), mask=rng.uniform(size=n) < 0.1),
        }
    )


def set_clock(world: World, now_us: int) -> None:
    """The production clock at an instant, earlier ones too: a lake's own clock never goes back."""
    write_replicas(world.root / "lake" / world.problem.name / "clock.json", {"now": iso(now_us), "now_us": now_us})


def make_world(folder: Path, name: str = "harbour") -> World:
    """Write the problem's files, load them as history, and let a year pass."""
    home = folder / name
    home.mkdir(parents=True)
    boats = {
        "boat": list(BOATS),
        "length": [4.0, 9.0, 16.0, None, 25.0, 36.0],
        "flag": ["ch", "ch", "it", "fr", None, "ch"],
    }
    pq.write_table(pa.table(boats), home / "boats.parquet")
    pq.write_table(stays(), home / "stays.parquet")
    (home / "problem.py").write_text(DECLARATION.format(name=name))
    problem = load_problem(home / "problem.py")
    lake = Lake(folder / ".headrace", name)
    for table in problem.entity_set.tables:
        lake.append(table, table.source.read(), arrival_us=START, bootstrap=True)  # type: ignore[union-attr]
    lake.advance_clock(START + 400 * DAY)
    return World(root=folder / ".headrace", problem=problem, path=home / "problem.py")
