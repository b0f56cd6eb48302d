"""featuretools 1.31: one calculation per distinct cutoff."""

from __future__ import annotations

import warnings

warnings.filterwarnings("ignore")

import featuretools as ft  # noqa: E402
import pandas as pd  # noqa: E402
from protocol import clock, folder, report  # noqa: E402


def main() -> None:
    events, asked = (pd.read_parquet(folder() / f"{name}.parquet") for name in ("events", "asked"))
    events["event_id"] = range(len(events))
    for frame, column in ((events, "at"), (asked, "cutoff")):
        frame[column] = pd.to_datetime(frame[column], unit="us").astype("datetime64[ns]")
    entities = ft.EntitySet("bench")
    keys = pd.DataFrame({"key": sorted(events["key"].unique())})
    entities.add_dataframe(dataframe_name="keys", dataframe=keys, index="key")
    entities.add_dataframe(dataframe_name="events", dataframe=events, index="event_id", time_index="at")
    entities.add_relationship("keys", "key", "events", "key")
    started = clock()
    matrix = ft.calculate_feature_matrix(
        ft.dfs(
            entityset=entities, target_dataframe_name="keys", agg_primitives=["count", "sum", "mean", "min", "max"],
            trans_primitives=[], max_depth=1, features_only=True,
        ),
        entities,
        cutoff_time=asked[["key", "cutoff"]].rename(columns={"cutoff": "time"}),
        include_cutoff_time=False,
    )  # fmt: skip
    seconds = clock() - started
    names = {"COUNT(events)": "count"}
    for function in ("SUM", "MEAN", "MIN", "MAX"):
        names |= {f"{function}(events.{column})": f"{function.lower()}_{column}" for column in "xy"}
    values = matrix.rename(columns=names)[list(names.values())].astype("float64")
    values.insert(0, "row", asked["row"].to_numpy())
    values.to_parquet(folder() / "values.parquet", index=False)
    report(seconds, cutoffs=int(asked["cutoff"].nunique()))


if __name__ == "__main__":
    main()
