"""Headrace's contestants of `make bench-store`, each in a process of its own."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peers.store_peers import KEYS, STATISTICS, column
from headrace.core.clock import BEFORE_ALL, DAY, floor_to_tick
from headrace.schema import Entity, EntitySet, Problem, Table, each_row
from headrace.synthesis.engines import engine_of
from headrace.synthesis.language.columns import ARRIVAL, ORDER
from headrace.synthesis.language.definitions import Aggregate

PROBLEM = Problem(
    name="bench",
    entity_set=EntitySet(tables=(Table(name="events", key="event", time="t", source="-"),)),
    spine=each_row("events", cutoff="t"),
    label=None,
    tick="1d",
    entities=tuple(Entity(name=key, join_keys=(key,)) for key in KEYS),
)


class Events:
    """A snapshot of one table."""

    def __init__(self, folder: Path) -> None:
        rows = pq.read_table(folder / "events.parquet")
        arrival = pa.array(np.full(rows.num_rows, BEFORE_ALL))
        order = pa.array(np.arange(rows.num_rows))
        times = rows["t"].cast(pa.timestamp("us", tz="UTC"))
        rows = rows.set_column(rows.column_names.index("t"), "t", times)
        self._rows = rows.append_column(ARRIVAL, arrival).append_column(ORDER, order)

    def table(self, name: str) -> pa.Table:
        return self._rows


def definitions() -> list[Aggregate]:
    return [
        Aggregate(
            entity=key, table="events", keys=(key,), column=value, primitive=name, lookback_us=days * DAY,
            kind="numeric",
        )
        for key in KEYS
        for name, value, days in STATISTICS
    ]  # fmt: skip


def frame_from_events(folder: Path) -> int:
    """The training frame from raw events."""
    spine = pq.read_table(folder / "spine.parquet")
    ticks = floor_to_tick(spine["event_timestamp"].cast(pa.int64()).to_numpy(), DAY)
    keys = spine.select(list(KEYS)).append_column("tick", pa.array(ticks))
    chosen = definitions()
    values = engine_of(PROBLEM).compute(PROBLEM, chosen, keys, Events(folder))
    names = [column(key, item) for key in KEYS for item in STATISTICS]
    frame = pa.table([spine["row"], *(values[item.slug] for item in chosen)], names=["row", *names])
    pq.write_table(frame, folder / "frame_headrace.parquet")
    return frame.num_rows


def frame_from_rows(folder: Path) -> int:
    """The training frame from the stored rows of a backfill."""
    from headrace.store.asof import join_rows

    spine = pq.read_table(folder / "spine.parquet")
    frame = spine.select(["row"])
    for key in KEYS:
        history = pq.read_table(folder / f"history_{key}.parquet")
        names = [column(key, item) for item in STATISTICS]
        joined = join_rows(spine, history, keys=[key], columns=names)
        for name in names:
            frame = frame.append_column(name, joined[name])
    pq.write_table(frame, folder / "frame_rows.parquet")
    return frame.num_rows


CASES: dict[str, Callable[[Path], int]] = {"headrace": frame_from_events, "rows": frame_from_rows}


def main() -> None:
    case, folder = sys.argv[1], Path(sys.argv[2])
    if case == "headrace":  # compiled once an installation, and cached on disk
        engine_of(PROBLEM)
    wall, cpu = time.perf_counter(), time.process_time()
    rows = CASES[case](folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "peak_mb": peak, "rows": rows}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
