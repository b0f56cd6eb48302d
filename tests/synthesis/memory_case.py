"""Processes of their own for test_memory_limit; each prints JSON.

    python -m tests.synthesis.memory_case limit MARGIN_MB     the limit, and the peak of the process
    python -m tests.synthesis.memory_case whole MARGIN_MB     the same where the limit is not heeded
    python -m tests.synthesis.memory_case need                bytes that were estimated and taken, for some sizes

The limit is what the process holds with its tables and kernels loaded, and a margin.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL, HOUR
from headrace.core.memory import PeakMemory, release_unused_memory, resident_bytes
from headrace.synthesis.engines import LocalEngine, MemoryLimitedEngine
from headrace.synthesis.engines.memory.partitioned import PartitionedComputation
from headrace.synthesis.language.definitions import Aggregate
from headrace.synthesis.matrix import written
from headrace.testing.shop_world import COLUMNS, START, TIME, problem
from tests.synthesis import synthesis_levels

ROWS, CUSTOMERS = 120_000, 3_000


class Large:
    """Orders of some customers over a year, nothing else; queried for some of them two hours before."""

    def __init__(self, rows: int, queries: int) -> None:
        rng = np.random.default_rng(0)
        at = START + np.sort(rng.integers(0, 365 * 24 * HOUR, rows))
        orders = versions(
            {
                "order_id": np.arange(rows),
                "customer": pa.array([f"c{i}" for i in range(CUSTOMERS)]).take(
                    pa.array(rng.integers(0, CUSTOMERS, rows))
                ),
                "planned": pa.array(at).cast(TIME),
                "paid": pa.array(at).cast(TIME),
                "amount": rng.gamma(2.0, 30.0, rows),
            }
        )
        self.tables = {"orders": orders}
        given = orders.select(["customer"]).append_column("tick", pa.array(at - 2 * HOUR))
        given = given.take(pa.array(np.sort(rng.integers(0, rows, queries))))
        self.spine = given.append_column("cutoff", given["tick"])

    def table(self, name: str) -> pa.Table:
        return self.tables.get(name, pa.schema(list(COLUMNS[name].items())).empty_table())


DEFINITIONS = [
    Aggregate(
        entity="customer", table="orders", keys=("customer",), column="amount", primitive=primitive,
        lookback_us=lookback_us, kind="numeric",
    )
    for lookback_us in (*(days * 24 * HOUR for days in (1, 7, 30, 60, 90, 180)), None)
    for primitive in ("count", "sum", "mean", "std", "min", "max", "median", "skew", "last", "first")
]  # fmt: skip


def peak_bytes() -> int:
    """VmHWM: ru_maxrss would be that of the process which started this one, were that larger."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def of(entity: str, table: str, primitive: str, column: str = "", **more: Any) -> Aggregate:
    plain: dict[str, Any] = {"keys": (entity,), "lookback_us": None, "kind": "numeric", **more}
    return Aggregate(entity=entity, table=table, column=column, primitive=primitive, **plain)


#: Customers' sessions' events.
STACKED = [
    of("customer", "sessions", outer, value=of("session", "events", inner, "amount"))
    for outer in ("mean", "std", "max", "sum")
    for inner in ("sum", "mean", "min")
] + [of("customer", "events", "mean", "amount", keys=("session.sessions.customer",), lookback_us=90 * 24 * HOUR)]


class Deep:
    """Events, ten to a session; sessions, twenty to a customer."""

    def __init__(self, rows: int, queries: int) -> None:
        rng = np.random.default_rng(0)
        span, many = 365 * 24 * HOUR, max(rows // 10, 1)
        begun = START + np.sort(rng.integers(0, span, many))
        session = rng.integers(0, many, rows)
        names = pa.array([f"c{i}" for i in range(max(many // 20, 1))])
        happened = begun[session] + rng.integers(0, HOUR, rows)
        sessions = {"session": np.arange(many), "customer": names.take(pa.array(rng.integers(0, len(names), many)))}
        events = {"event": np.arange(rows), "session": session, "amount": rng.gamma(2.0, 30.0, rows)}
        self.tables = {
            "sessions": versions({**sessions, "begun": pa.array(begun).cast(TIME)}),
            "events": versions(
                {**events, "happened": pa.array(happened).cast(TIME), "seen": pa.array(happened).cast(TIME)}
            ),
        }
        customers_queried = names.take(pa.array(rng.integers(0, len(names), queries)))
        self.spine = pa.table({"customer": customers_queried, "tick": START + np.sort(rng.integers(0, span, queries))})

    def table(self, name: str) -> pa.Table:
        return self.tables.get(name, pa.schema(list(synthesis_levels.COLUMNS[name].items())).empty_table())


def versions(columns: dict[str, Any]) -> pa.Table:
    """Rows that were always there."""
    rows = pa.table(columns)
    return rows.append_column("_arrival", pa.array(np.full(rows.num_rows, BEFORE_ALL))).append_column(
        "_order", pa.array(np.arange(rows.num_rows))
    )


#: Rows of history, and queries.
SIZES = ((100_000, 1_000), (1_000, 100_000), (80_000, 80_000))


def needed() -> list[dict[str, float]]:
    """Bytes that were estimated for everything at once, and taken, of flat and of stacked features."""
    cases = []
    for declared, definitions, world_of in ((problem, DEFINITIONS, Large), (synthesis_levels.problem, STACKED, Deep)):
        small = world_of(1_000, 1_000)
        LocalEngine().compute(declared, definitions, small.spine, small)
        for rows, queries in SIZES:
            world = world_of(rows, queries)
            estimated = PartitionedComputation(LocalEngine(), declared, definitions, world.spine, world).total_bytes
            release_unused_memory()
            resident = resident_bytes()
            with PeakMemory() as watch:
                values = LocalEngine().compute(declared, definitions, world.spine, world)
            cases.append({"estimated": estimated, "taken": watch.peak - resident, "rows": values.num_rows})
            del values, world
    return cases


def limited(whole: bool, margin_mb: float) -> dict[str, float]:
    world = Large(ROWS, ROWS)
    release_unused_memory()
    limit = resident_bytes() + int(margin_mb * 1e6)
    if whole:
        MemoryLimitedEngine.fits = lambda *_: True  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "matrix.parquet"
        engine = MemoryLimitedEngine(engine=LocalEngine(), max_memory=limit)
        written.write_matrix(problem, DEFINITIONS, world.spine, world, engine, path)
    return {"limit": limit, "peak": peak_bytes()}


def main() -> None:
    what, *margin = sys.argv[1:]
    small = Large(1_000, 1_000)
    LocalEngine().compute(problem, DEFINITIONS, small.spine, small)  # loads the kernels
    print(json.dumps(needed() if what == "need" else limited(what == "whole", float(margin[0]))))


if __name__ == "__main__":
    main()
