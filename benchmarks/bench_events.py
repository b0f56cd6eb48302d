"""Time from an event to the served feature, over keys and rows in the lake: `make bench-events`.

A problem with ticks of 100 ms. An event is handed to the gateway; the time runs until the online store holds features
that see it. Events come one after the other; the lake grows by one batch each. Processor time is that of the whole
process per event, waiting left out: what an event costs, whatever else the machine does.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.core.clock import DAY, HOUR
from headrace.lake.store import Lake
from headrace.problems.catalogue import load_problem
from headrace.store.publish import publish
from headrace.streaming.gateway import EventGateway, wall_clock
from headrace.synthesis.language.definitions import Aggregate, Stored

DECLARATION = """\
from headrace.schema import EntitySet, Problem, Relationship, Table, each_row

boats = Table(name="boats", key="boat", source="boats.parquet")
stays = Table(name="stays", key="stay", time="moored", source="stays.parquet")
problem = Problem(
    name="harbour",
    entity_set=EntitySet(tables=(boats, stays), relationships=(Relationship("boats.boat", "stays.boat"),)),
    spine=each_row("stays", cutoff="moored"),
    label="fee >= 50",
    tick="100ms",
)
"""
SIZES = ((100, 10_000), (1_000, 100_000), (5_000, 300_000))
EVENTS = 40


def features() -> tuple[Stored, ...]:
    """Twenty aggregations over four lookbacks."""
    return tuple(
        Aggregate(
            entity="boat",
            table="stays",
            keys=("boat",),
            column="" if primitive == "count" else "fee",
            primitive=primitive,
            lookback_us=days * DAY,
            kind="numeric",
        )
        for primitive in ("count", "mean", "sum", "max", "min")
        for days in (1, 7, 30, 90)
    )


def made(folder: Path, boats: int, rows: int) -> EventGateway:
    """Write a problem, load it, publish its features."""
    rng, now = np.random.default_rng(0), wall_clock()
    pq.write_table(pa.table({"boat": [f"b{i}" for i in range(boats)]}), folder / "boats.parquet")
    moored = np.sort(now - HOUR - rng.integers(0, 100 * DAY, rows))
    stays = {
        "stay": np.arange(rows),
        "boat": [f"b{i}" for i in rng.integers(0, boats, rows)],
        "moored": pa.array(moored).cast(pa.timestamp("us", tz="UTC")),
        "fee": rng.uniform(0, 100, rows),
    }
    pq.write_table(pa.table(stays), folder / "stays.parquet")
    (folder / "problem.py").write_text(DECLARATION)
    problem, root = load_problem(folder / "problem.py"), folder / "home"
    lake = Lake(root, problem.name)
    for table in problem.entity_set.tables:
        lake.append(table, table.source.read(), arrival_us=now, bootstrap=True)
    lake.advance_clock(now)
    publish(root, problem, features(), "all")
    return EventGateway(root, problem)


def measured(gateway: EventGateway, boats: int, rows: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Seconds until each event was on disk, and until it was served; and processor time of an event (s)."""
    stored, served, processor_s = [], [], 0.0
    gateway.start()
    for number in range(EVENTS):
        row = {"stay": rows + number, "boat": f"b{number % boats}", "fee": 10.0}
        started = time.perf_counter()
        receipt = gateway.submit("stays", [{**row, "moored": datetime.now(UTC).isoformat()}]).result(120)
        stored.append(time.perf_counter() - started)
        if not gateway.wait_visible(receipt, 120):
            raise SystemExit("an event was not served within two minutes")
        served.append(time.perf_counter() - started)
        if number == 0:
            processor_s = time.process_time()
    processor_s = (time.process_time() - processor_s) / (EVENTS - 1)
    gateway.stop()
    return np.array(stored[1:]), np.array(served[1:]), processor_s  # the first one reads the lake and compiles


def main() -> None:
    """Print a table of medians and 95th percentiles."""
    print("| keys | rows | stored, median | served, median | served, 95 % | served, max | processor time |")
    print("|---|---|---|---|---|---|---|")
    for boats, rows in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            stored, served, processor_s = measured(made(Path(folder), boats, rows), boats, rows)
        cells = (np.median(stored), np.median(served), np.quantile(served, 0.95), served.max(), processor_s)
        print(f"| {boats:,} | {rows:,} | " + " | ".join(f"{1000 * value:.0f} ms" for value in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
