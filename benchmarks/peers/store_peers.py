"""Contestants of `make bench-store` besides Headrace: DuckDB, Polars, Feast's stores, in an environment of their own.

    python store_peers.py CASE FOLDER

prints one JSON line: processor seconds, wall seconds, peak memory (MB) and rows out. FOLDER has events.parquet and
spine.parquet; `history` writes history_<key>.parquet, which the joins read, and each join writes frame_<case>.parquet.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

KEYS = ("k1", "k2", "k3", "k4", "k5")
STATISTICS = (
    ("mean", "x1", 7), ("sum", "x1", 7), ("count", "x1", 7), ("min", "x1", 7),
    ("max", "x1", 30), ("mean", "x2", 30), ("sum", "x2", 30), ("count", "x2", 30),
)  # fmt: skip


def column(key: str, statistic: tuple[str, str, int]) -> str:
    name, value, days = statistic
    return f"{key}_{name}_{value}_{days}d"


def _window(statistic: tuple[str, str, int]) -> str:
    """The statistic over whole days before a row's own day, from daily parts."""
    name, value, days = statistic
    over = f"OVER (PARTITION BY k ORDER BY d ROWS BETWEEN {days} PRECEDING AND 1 PRECEDING)"
    parts = {
        "sum": f"sum(s_{value}) {over}",
        "count": f"coalesce(sum(c_{value}) {over}, 0)",
        "min": f"min(l_{value}) {over}",
        "max": f"max(h_{value}) {over}",
        "mean": f"sum(s_{value}) {over} / nullif(sum(c_{value}) {over}, 0)",
    }
    return parts[name]


def history(folder: Path) -> int:
    """Every key's features at every midnight, by DuckDB from daily parts."""
    import duckdb

    connection, rows = duckdb.connect(), 0
    events = f"read_parquet('{folder}/events.parquet')"
    daily = ", ".join(f"sum({x}) s_{x}, count({x}) c_{x}, min({x}) l_{x}, max({x}) h_{x}" for x in ("x1", "x2"))
    for key in KEYS:
        columns = ", ".join(f"CAST({_window(item)} AS DOUBLE) AS {column(key, item)}" for item in STATISTICS)
        connection.execute(f"""
            COPY (
              WITH daily AS (SELECT {key} k, date_trunc('day', t) d, {daily} FROM {events} GROUP BY 1, 2),
              days AS (SELECT unnest(generate_series((SELECT min(d) FROM daily),
                       (SELECT max(d) + INTERVAL 1 DAY FROM daily), INTERVAL 1 DAY)) d),
              grid AS (SELECT k, d FROM (SELECT DISTINCT k FROM daily), days)
              SELECT k AS {key}, d AS event_timestamp, {columns} FROM grid LEFT JOIN daily USING (k, d)
            ) TO '{folder}/history_{key}.parquet' (FORMAT parquet)""")
        rows += connection.execute(f"SELECT count(*) FROM '{folder}/history_{key}.parquet'").fetchone()[0]  # type: ignore[index]
    return rows


def duckdb_asof(folder: Path) -> int:
    """ASOF joins of the history to the spine."""
    import duckdb

    joins = " ".join(
        f"ASOF LEFT JOIN '{folder}/history_{key}.parquet' h_{key} "
        f"ON s.{key} = h_{key}.{key} AND s.event_timestamp >= h_{key}.event_timestamp"
        for key in KEYS
    )
    names = ", ".join(column(key, item) for key in KEYS for item in STATISTICS)
    target = f"{folder}/frame_duckdb.parquet"
    connection = duckdb.connect()
    query = f"SELECT s.row, {names} FROM '{folder}/spine.parquet' s {joins} ORDER BY row"
    connection.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet)")
    return int(connection.execute(f"SELECT count(*) FROM '{target}'").fetchone()[0])  # type: ignore[index]


def polars_asof(folder: Path) -> int:
    import polars as pl

    frame = pl.read_parquet(folder / "spine.parquet").sort("event_timestamp")
    for key in KEYS:
        rows = pl.read_parquet(folder / f"history_{key}.parquet").sort("event_timestamp")
        frame = frame.join_asof(rows, on="event_timestamp", by=key, check_sortedness=False)
    frame = frame.sort("row").select(["row", *(column(key, item) for key in KEYS for item in STATISTICS)])
    frame.write_parquet(folder / "frame_polars.parquet")
    return len(frame)


def _feast(folder: Path, kind: str) -> int:
    """`get_historical_features` over five views on Parquet files."""
    from datetime import timedelta

    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Float64
    from feast.value_type import ValueType

    repo = folder / f"feast_{kind}"
    repo.mkdir(exist_ok=True)
    config = RepoConfig(
        project="bench", provider="local", registry=str(repo / "registry.db"), offline_store={"type": kind},
        online_store={"type": "sqlite", "path": str(repo / "online.db")}, entity_key_serialization_version=3,
    )  # fmt: skip
    store, views = FeatureStore(config=config), []
    for key in KEYS:
        entity = Entity(name=key, join_keys=[key], value_type=ValueType.INT64)
        source = FileSource(path=str(folder / f"history_{key}.parquet"), timestamp_field="event_timestamp")
        schema = [Field(name=column(key, item), dtype=Float64) for item in STATISTICS]
        views.append(
            FeatureView(name=f"v_{key}", entities=[entity], ttl=timedelta(days=3650), schema=schema, source=source)
        )
        store.apply([entity, views[-1]])
    spine = pd.read_parquet(folder / "spine.parquet")
    spine["event_timestamp"] = spine["event_timestamp"].dt.tz_localize("UTC")
    references = [f"v_{key}:{column(key, item)}" for key in KEYS for item in STATISTICS]
    frame = store.get_historical_features(entity_df=spine, features=references).to_df()
    names = [column(key, item) for key in KEYS for item in STATISTICS]
    frame.sort_values("row")[["row", *names]].to_parquet(folder / f"frame_feast_{kind}.parquet")
    return len(frame)


CASES: dict[str, Any] = {
    "history": history,
    "duckdb": duckdb_asof,
    "polars": polars_asof,
    "feast_duckdb": lambda folder: _feast(folder, "duckdb"),
    "feast_file": lambda folder: _feast(folder, "file"),
}


MODULES = {
    "history": ("duckdb",),
    "duckdb": ("duckdb",),
    "polars": ("polars",),
    "feast_duckdb": ("pandas", "feast", "feast.infra.offline_stores.duckdb"),
    "feast_file": ("pandas", "feast", "feast.infra.offline_stores.dask"),
}


def main() -> None:
    case, folder = sys.argv[1], Path(sys.argv[2])
    for module in MODULES[case]:  # imports are not measured
        importlib.import_module(module)
    wall, cpu = time.perf_counter(), time.process_time()
    rows = CASES[case](folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "peak_mb": peak, "rows": rows}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
