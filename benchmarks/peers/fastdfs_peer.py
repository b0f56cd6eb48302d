"""fastdfs 1.2: SQL that it writes, run by DuckDB."""

from __future__ import annotations

import warnings

warnings.filterwarnings("ignore")

import fastdfs  # noqa: E402
import pandas as pd  # noqa: E402
from protocol import clock, folder, report  # noqa: E402


def main() -> None:
    events, asked = (pd.read_parquet(folder() / f"{name}.parquet") for name in ("events", "asked"))
    events["event_id"] = range(len(events))
    for frame, column in ((events, "at"), (asked, "cutoff")):
        frame[column] = pd.to_datetime(frame[column], unit="us").astype("datetime64[ns]")
    rdb = fastdfs.create_rdb(
        {"keys": pd.DataFrame({"key": sorted(events["key"].unique())}), "events": events},
        primary_keys={"keys": "key", "events": "event_id"},
        foreign_keys=[("events", "key", "keys", "key")],
        time_columns={"events": "at"},
    )
    config = fastdfs.DFSConfig(
        agg_primitives=["count", "sum", "mean", "min", "max"], max_depth=2, dfs2sql_threads=1, engine="dfs2sql"
    )
    started = clock()
    table = fastdfs.compute_dfs_features(
        rdb, asked[["row", "key", "cutoff"]], {"key": "keys.key"}, cutoff_time_column="cutoff", config=config
    )
    seconds = clock() - started
    names = {}
    for column in table.columns:
        text = str(column).lower()
        for function in ("sum", "mean", "min", "max"):
            for name in "xy":
                if text.endswith(f"{function}(events.{name})"):
                    names[column] = f"{function}_{name}"
        if text.endswith("count(events)"):
            names[column] = "count"
    values = table.rename(columns=names)[["row", *names.values()]]
    values.astype("float64").to_parquet(folder() / "values.parquet", index=False)
    report(seconds, features=len(table.columns) - 3)


if __name__ == "__main__":
    main()
