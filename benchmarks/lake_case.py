"""The main job on a lake with one large table, below a memory limit, in a process of its own.

    python -m benchmarks.lake_case write FOLDER EVENTS [CHARACTERS]   the sources and the problem file
    python -m benchmarks.lake_case run FOLDER HOME LIMIT_MB           the main job, engine "partitioned"

LIMIT_MB 0 is no limit, with the engine "local".

The events have three texts that no feature reads, of 150 characters each unless CHARACTERS says otherwise. A row then
takes about 500 bytes in memory.
`run` prints its figures as JSON: of each stage the processor time and the peak of memory that only this process can
use (pages of mapped files are left out, since the operating system may drop them), and the digest of the champion.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

CUSTOMERS, ORDERS, DAYS = 5_000, 20_000, 120
#: Events that are made and written at a time.
_AT_ONCE = 25_000

PROBLEM = '''\
"""Will an order be refunded? The customers' events are larger than memory."""

import os

from headrace.schema import EntitySet, Problem, Relationship, Table, each_row

PAYLOADS = ("payload_a", "payload_b", "payload_c")
customers = Table(name="customers", key="customer", source="customers.parquet")
orders = Table(
    name="orders",
    key="order",
    time="placed",
    known_at={"refunded": "settled", "settled": "settled"},
    source="orders.parquet",
)
events = Table(
    name="events", key="event", time="at", source="events.parquet", roles=dict.fromkeys(PAYLOADS, "ignore")
)

problem = Problem(
    name="large",
    entity_set=EntitySet(
        tables=(customers, orders, events),
        relationships=(
            Relationship("customers.customer", "orders.customer"),
            Relationship("customers.customer", "events.customer"),
        ),
    ),
    spine=each_row("orders", cutoff="placed + 1s"),
    label="refunded >= 1",
    lookbacks=("7d", "30d"),
    tick="1h",
    max_features=20,
    trials=2,
    families=("lightgbm",),
    engine=os.environ.get("CASE_ENGINE", "partitioned"),
)
'''
TIME = pa.timestamp("us", tz="UTC")
START = 1_704_067_200_000_000  # 2024-01-01
DAY = 86_400_000_000


def write_sources(folder: Path, events: int, characters: int = 150) -> Path:
    """Write the tables and problem.py below a folder; returns the path of problem.py."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    careless = rng.uniform(size=CUSTOMERS)
    pq.write_table(
        pa.table({"customer": np.arange(CUSTOMERS), "discount": rng.uniform(size=CUSTOMERS).round(3)}),
        folder / "customers.parquet",
    )
    placed, who = np.sort(rng.integers(START, START + DAYS * DAY, ORDERS)), rng.integers(0, CUSTOMERS, ORDERS)
    orders = {
        "order": np.arange(ORDERS),
        "customer": who,
        "placed": pa.array(placed).cast(TIME),
        "amount": rng.gamma(2.0, 30.0, ORDERS).round(2),
        "settled": pa.array(placed + 2 * DAY).cast(TIME),
        "refunded": np.where(rng.uniform(size=ORDERS) < 0.1 + 0.6 * careless[who], 5.0, 0.0),
    }
    pq.write_table(pa.table(orders), folder / "orders.parquet")
    texts = [f"{number:06d} ".ljust(characters, "x") for number in range(1_000)]
    _write_events(rng, folder / "events.parquet", events, careless, texts)
    path = folder / "problem.py"
    path.write_text(PROBLEM)
    return path


def _write_events(
    rng: np.random.Generator, path: Path, events: int, careless: np.ndarray, texts: Sequence[str]
) -> None:
    writer: pq.ParquetWriter | None = None
    for start in range(0, events, _AT_ONCE):
        count = min(_AT_ONCE, events - start)
        low, high = (START + DAYS * DAY * at // events for at in (start, start + count))
        who = rng.integers(0, CUSTOMERS, count)
        columns: dict[str, Any] = {
            "event": np.arange(start, start + count),
            "customer": who,
            "at": pa.array(np.sort(rng.integers(low, high, count))).cast(TIME),
            "amount": (rng.gamma(2.0, 10.0, count) * (0.5 + careless[who])).round(2),
            "kind": pa.array(["view", "click", "buy"]).take(pa.array(rng.integers(0, 3, count))),
        }
        for name in ("payload_a", "payload_b", "payload_c"):
            columns[name] = pa.array(texts).take(pa.array(rng.integers(0, len(texts), count)))
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


class Peak:
    """The most memory that only this process could use since `reset`, sampled every five milliseconds."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.mb = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def reset(self) -> float:
        """Begin anew, and return what is held now."""
        memory = self._process.memory_info()
        self.mb = float(memory.rss - memory.shared) / 1e6
        return self.mb

    def _watch(self) -> None:
        while True:
            memory = self._process.memory_info()
            self.mb = max(self.mb, float(memory.rss - memory.shared) / 1e6)
            time.sleep(0.005)


def run(folder: Path, home: Path, limit_mb: int) -> dict[str, Any]:
    """Run the main job and return its figures."""
    from headrace.app.context import context_of
    from headrace.core.manifest import read_manifest
    from headrace.lake.store import Lake
    from headrace.pipeline.walker import PipelineRun
    from headrace.registry.ledger import Ledger
    from headrace.registry.models import download

    os.environ["CASE_ENGINE"] = "partitioned" if limit_mb else "local"
    peak, stages = Peak(), {}

    def execute(name: str, stage: Callable[[], Any]) -> Any:
        before, started = peak.reset(), time.process_time()
        report = stage()
        stages[name] = {"before_mb": before, "peak_mb": peak.mb, "seconds": time.process_time() - started}
        print(f"{name}: {before:,.0f} MB before, peak {peak.mb:,.0f} MB", file=sys.stderr, flush=True)
        return report

    context = context_of(str(folder / "problem.py"), home, max_memory=limit_mb * 1_000_000 or None)
    PipelineRun(context).complete(execute)
    champion = Ledger(context.root, context.problem.name).champion()
    assert champion is not None  # the gate lets the first version pass
    events = Lake(context.root, context.problem.name).snapshot().table_bytes("events")
    bundle = download(context.problem.name, champion.version, context.tracking_uri, context.root)
    return {
        "stages": stages,
        "table_mb": events / 1e6,
        "seconds": sum(stage["seconds"] for stage in stages.values()),
        "peak_mb": max(stage["peak_mb"] for stage in stages.values()),
        "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "champion": dict(read_manifest(bundle).sums),
    }


def main() -> None:
    match sys.argv[1:]:
        case ["write", folder, events, *characters]:
            write_sources(Path(folder), int(events), *map(int, characters))
        case ["run", folder, home, limit_mb]:
            print(json.dumps(run(Path(folder), Path(home), int(limit_mb))))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
