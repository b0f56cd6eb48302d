"""featuretools 1.31 on the rows and tables that bench_relational exports: its default aggregations, per join key."""

from __future__ import annotations

import json
import warnings

warnings.filterwarnings("ignore")

import featuretools as ft  # noqa: E402
import pandas as pd  # noqa: E402
from protocol import folder  # noqa: E402


def main() -> None:
    place = folder()
    spec = json.loads((place / "spec.json").read_text())
    asked = pd.read_parquet(place / "asked.parquet")
    values = asked[["row"]].copy()
    for key, table, column in spec["links"]:
        events = pd.read_parquet(place / f"{table}.parquet")
        events = events.drop(columns=[name for name in spec["ids"][table] if name != column])
        events["known_"] = events["known_"].astype("datetime64[ns]")
        events["event_id_"] = range(len(events))
        entities = ft.EntitySet("bench")
        keys = pd.DataFrame({"key_": sorted(set(events[column].dropna()) | set(asked[key].dropna()))})
        entities.add_dataframe(dataframe_name="keys", dataframe=keys, index="key_")
        entities.add_dataframe(dataframe_name=table, dataframe=events, index="event_id_", time_index="known_")
        entities.add_relationship("keys", "key_", table, column)
        times = asked[[key, "cutoff"]].dropna().rename(columns={key: "key_", "cutoff": "time"}).drop_duplicates()
        # `known_ <= time` counts for featuretools; what was known before the cutoff is asked for.
        times["time"] = times["time"].astype("datetime64[ns]") - pd.Timedelta(1, "us")
        matrix, _ = ft.dfs(
            entityset=entities, target_dataframe_name="keys", cutoff_time=times, max_depth=1, include_cutoff_time=False,
            agg_primitives=["count", "sum", "mean", "std", "min", "max", "skew", "num_unique", "mode", "percent_true"],
            trans_primitives=[], cutoff_time_in_index=True, approximate=None,
        )  # fmt: skip
        matrix = matrix.reset_index().rename(columns={"instance_id": "key_"})
        time = next(name for name in matrix.columns if name == "time")
        left = asked.assign(time=asked["cutoff"].astype("datetime64[ns]") - pd.Timedelta(1, "us"))
        joined = left[["row", key, "time"]].merge(
            matrix, left_on=[key, "time"], right_on=[next(c for c in matrix.columns if c in ("key_", "id")), time],
            how="left",
        )  # fmt: skip
        joined = joined.sort_values("row")
        for name in matrix.columns:
            if name not in ("key_", "time"):
                column_values = joined[name].reset_index(drop=True)
                text = column_values.dtype.name in ("category", "object", "string")
                values[f"{key}|{name}"] = column_values.astype(object if text else "float64")
                if text:
                    values[f"{key}|{name}"] = [None if pd.isna(one) else str(one) for one in column_values]
    values.to_parquet(place / "values.parquet", index=False)


if __name__ == "__main__":
    main()
