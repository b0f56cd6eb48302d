"""The contestants of `make bench-scale`, each in a process of its own.

    python -m benchmarks.scale_case CONTESTANT FOLDER MAX_MEMORY_MB

FOLDER holds events.parquet (event, key, at, x, y, _arrival, _order; by time) and cutoffs.parquet (key, tick). A
contestant writes CONTESTANT.parquet, 40 columns for the cutoffs in their order, and prints its figures as JSON. The
time is measured from files to a file; imports, kernels and a session of Spark are ready before.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.core.clock import BEFORE_ALL, DAY, to_us
from headrace.schema import Entity, EntitySet, Problem, Table, each_row
from headrace.synthesis.engines import LocalEngine, PartitionedLocalEngine, SparkEngine
from headrace.synthesis.language.definitions import Aggregate
from headrace.synthesis.language.engine import Engine
from headrace.synthesis.language.parquet_tables import ParquetTables
from headrace.synthesis.matrix.written import write_matrix

TIME = pa.timestamp("us", tz="UTC")
START, DAYS = to_us("2023-01-01"), 365
LOOKBACKS = (1, 7, 30, 90)
PRIMITIVES = ("sum", "mean", "std", "min", "max")
PROBLEM = Problem(
    name="scale",
    entity_set=EntitySet(tables=(Table(name="events", key="event", time="at", source="-"),)),
    spine=each_row("events", cutoff="at"),
    label=None,
    tick="1s",
    entities=(Entity(name="key", join_keys=("key",)),),
)
DEFINITIONS = [
    Aggregate(
        entity="key", table="events", keys=("key",), column=column, primitive=primitive, lookback_us=days * DAY,
        kind="numeric",
    )
    for days in LOOKBACKS
    for column in ("x", "y")
    for primitive in PRIMITIVES
]  # fmt: skip
#: Events that are made and written at a time.
_AT_ONCE = 500_000


def write_world(folder: Path, events: int, cutoffs: int) -> None:
    """Events of a year in the order of time; a key has 50 events on average, a few have very many (Zipf)."""
    rng, keys = np.random.default_rng(0), max(events // 50, 1)
    with pq.ParquetWriter(folder / "events.parquet", _schema(), compression="lz4") as file:
        for start in range(0, events, _AT_ONCE):
            count = min(_AT_ONCE, events - start)
            low, high = (START + int(DAYS * DAY * at / events) for at in (start, start + count))
            order = np.arange(start, start + count)
            columns = [
                pa.array(order),
                pa.array(_keys(rng, keys, count)),
                pa.array(np.sort(rng.integers(low, high, count))).cast(TIME),
                pa.array(rng.gamma(2.0, 30.0, count)),
                pa.array(rng.normal(size=count), mask=rng.random(count) < 0.1),
                pa.array(np.full(count, BEFORE_ALL)),
                pa.array(order),
            ]
            file.write_table(pa.table(columns, schema=_schema()), row_group_size=_AT_ONCE)
    ticks = START + np.sort(rng.integers(30 * DAY, DAYS * DAY, cutoffs))
    pq.write_table(pa.table({"key": _keys(rng, keys, cutoffs), "tick": ticks}), folder / "cutoffs.parquet")


def _schema() -> pa.Schema:
    numbers = [("x", pa.float64()), ("y", pa.float64()), ("_arrival", pa.int64()), ("_order", pa.int64())]
    return pa.schema([("event", pa.int64()), ("key", pa.int64()), ("at", TIME), *numbers])


def _keys(rng: np.random.Generator, keys: int, count: int) -> np.ndarray:
    frequent = rng.zipf(1.6, count)
    return np.where((rng.random(count) < 0.1) & (frequent <= keys), frequent - 1, rng.integers(0, keys, count))


class InMemory:
    """The tables read at their first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def table(self, name: str) -> pa.Table:
        """All rows."""
        return pq.read_table(self._folder / f"{name}.parquet").combine_chunks()


def by_engine(engine: Engine, folder: Path, name: str, *, in_memory: bool = False) -> Callable[[], None]:
    """A computation by an engine of Headrace."""

    def compute() -> None:
        cutoffs = pq.read_table(folder / "cutoffs.parquet")
        spine = cutoffs.append_column("cutoff", cutoffs["tick"])
        tables = InMemory(folder) if in_memory else ParquetTables({"events": [folder / "events.parquet"]})
        write_matrix(PROBLEM, DEFINITIONS, spine, tables, engine, folder / f"{name}.parquet")

    return compute


def duckdb_query() -> str:
    """One pass over events and cutoffs together, with a window for each lookback: the fastest of DuckDB's ways here."""
    functions = {"sum": "sum", "mean": "avg", "std": "stddev_samp", "min": "min", "max": "max"}
    columns = [
        f"{functions[item.primitive]}({item.column}) over w{item.lookback_us // DAY} as {item.slug}"  # type: ignore[operator]
        for item in DEFINITIONS
    ]
    windows = [
        f'w{days} as (partition by key order by "at" range between {days * DAY} preceding and 1 preceding)'
        for days in LOOKBACKS
    ]
    return f"""
        with mixed as (select key, epoch_us("at") as "at", x, y, null as row from events
                       union all select key, tick, null, null, row from cutoffs),
             computed as (select row, {", ".join(columns)} from mixed window {", ".join(windows)})
        select * exclude row from computed where row is not null order by row"""


def by_duckdb(folder: Path, max_memory_mb: int) -> Callable[[], None]:
    """The same by DuckDB on two threads, below the same limit, with its temporary files in the folder."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"set threads = 2; set memory_limit = '{max_memory_mb}MB'")
    connection.execute(f"set temp_directory = '{folder}/spill'")
    connection.execute("set preserve_insertion_order = false")
    connection.execute(f"create view events as from '{folder}/events.parquet'")
    connection.execute(
        f"create view cutoffs as select *, file_row_number as row from read_parquet('{folder}/cutoffs.parquet', "
        "file_row_number = true)"
    )
    return lambda: connection.execute(f"copy ({duckdb_query()}) to '{folder}/duckdb.parquet'") and None  # type: ignore[func-returns-value]


def contestant(name: str, folder: Path, max_memory_mb: int) -> Callable[[], None]:
    """A computation by its name, ready to start."""
    limit = max_memory_mb * 1_000_000
    if name == "duckdb":
        return by_duckdb(folder, max_memory_mb)
    if name == "local":
        return by_engine(LocalEngine(threads=2), folder, name, in_memory=True)
    if name == "partitioned":
        return by_engine(PartitionedLocalEngine(min_rows=0, max_memory=limit), folder, name)
    size = min(limit // 8, 400_000_000)
    if name == "spark":
        engine = SparkEngine(min_rows=0, partition_bytes=size, folder=folder)
    else:
        host, port = sail_server().listening_address[:2]
        engine = SparkEngine(min_rows=0, partition_bytes=size, folder=folder, remote=f"sc://{host}:{port}")
    return by_engine(engine, folder, name)


@lru_cache
def sail_server() -> Any:
    """A server of Sail in this process, which ends with it."""
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    return server


class Watch:
    """Processor seconds and the peak of resident memory of this process and all below it."""

    def __enter__(self) -> Watch:
        self.peak_mb, self._over = 0.0, threading.Event()
        self._cpu, self._wall = self._processor(), time.perf_counter()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.wall = self._processor() - self._cpu, time.perf_counter() - self._wall
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(0.05):
            self.peak_mb = max(self.peak_mb, sum(_memory(one) for one in _tree()) / 1e6)

    @staticmethod
    def _processor() -> float:
        return sum(_processor(one) for one in _tree())


def _tree() -> list[psutil.Process]:
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def _memory(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss)
    except psutil.Error:
        return 0.0


def _processor(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def main() -> None:
    name, folder, max_memory_mb = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory() as warm:  # loads kernels, starts sessions
        write_world(Path(warm), 2_000, 200)
        contestant("local" if name == "duckdb" else name, Path(warm), max_memory_mb)()
    compute = contestant(name, folder, max_memory_mb)
    with Watch() as watch:
        compute()
    figures: dict[str, Any] = {"seconds": watch.seconds, "wall": watch.wall, "peak_mb": watch.peak_mb}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
