"""A process of its own for test_memory_limit: `python -m tests.synthesis.memory_case MARGIN_MB [whole]` prints JSON.

The limit is what the process holds with its tables and kernels loaded, and a margin. whole: the limit is not heeded.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL, HOUR
from headrace.core.memory import give_back, resident_bytes
from headrace.synthesis import written
from headrace.synthesis.definitions import Aggregate
from headrace.synthesis.engines.local import LocalEngine
from tests.synthesis.synthesis_world import COLUMNS, START, TIME, problem

ROWS, CUSTOMERS = 120_000, 3_000


class Large:
    """Orders of some customers over a year, nothing else."""

    def __init__(self, rows: int) -> None:
        rng = np.random.default_rng(0)
        at = START + np.sort(rng.integers(0, 365 * 24 * HOUR, rows))
        orders = pa.table(
            {
                "order_id": np.arange(rows),
                "customer": pa.array([f"c{i}" for i in range(CUSTOMERS)]).take(
                    pa.array(rng.integers(0, CUSTOMERS, rows))
                ),
                "planned": pa.array(at).cast(TIME),
                "paid": pa.array(at).cast(TIME),
                "amount": rng.gamma(2.0, 30.0, rows),
                "_arrival": np.full(rows, BEFORE_ALL),
                "_order": np.arange(rows),
            }
        )
        self.tables = {"orders": orders}
        given = orders.select(["customer"]).append_column("tick", pa.array(at - 2 * HOUR))
        self.spine = given.append_column("cutoff", given["tick"])

    def table(self, name: str) -> pa.Table:
        return self.tables.get(name, pa.schema(list(COLUMNS[name].items())).empty_table())


ASKED = [
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


def main() -> None:
    small = Large(1_000)
    LocalEngine().compute(problem, ASKED, small.spine, small)  # loads the kernels
    world = Large(ROWS)
    give_back()
    limit = resident_bytes() + int(float(sys.argv[1]) * 1e6)
    if "whole" in sys.argv:
        written.fits = lambda *_: True
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "matrix.parquet"
        written.write_matrix(problem, ASKED, world.spine, world, LocalEngine(), path, max_memory=limit)
    print(json.dumps({"limit": limit, "peak": peak_bytes()}))


if __name__ == "__main__":
    main()
