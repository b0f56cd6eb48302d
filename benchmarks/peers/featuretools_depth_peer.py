"""featuretools 1.31 with its defaults, two levels down; it also says which features these are (names.json)."""

from __future__ import annotations

import json
import warnings

warnings.filterwarnings("ignore")

import featuretools as ft  # noqa: E402
import pandas as pd  # noqa: E402
from depth_world import CATEGORIES, KEYS, RELATIONSHIPS, TIMES  # noqa: E402
from protocol import clock, folder, report  # noqa: E402


def main() -> None:
    entities = ft.EntitySet("bench")
    for name, key in KEYS.items():
        frame = pd.read_parquet(folder() / f"{name}.parquet")
        frame[TIMES[name]] = frame[TIMES[name]].dt.tz_localize(None).astype("datetime64[ns]")
        types = dict.fromkeys(CATEGORIES[name], "Categorical")
        entities.add_dataframe(
            dataframe_name=name, dataframe=frame, index=key, time_index=TIMES[name], logical_types=types
        )
    for parent, child, column in RELATIONSHIPS:
        entities.add_relationship(parent, column, child, column)
    features = ft.dfs(entityset=entities, target_dataframe_name="customers", max_depth=2, features_only=True)
    (folder() / "names.json").write_text(json.dumps([feature.get_name() for feature in features]))
    asked = pd.read_parquet(folder() / "asked.parquet")
    cutoffs = pd.DataFrame({"customer_id": asked["customer_id"], "time": pd.to_datetime(asked["cutoff"], unit="us")})
    started = clock()
    matrix = ft.calculate_feature_matrix(features, entities, cutoff_time=cutoffs, include_cutoff_time=False)
    seconds = clock() - started
    matrix.insert(0, "row", asked["row"].to_numpy())
    for name in matrix.columns:
        if matrix[name].dtype.name in ("category", "string"):
            matrix[name] = matrix[name].astype(object)
    matrix.to_parquet(folder() / "values.parquet", index=False)
    report(seconds, cutoffs=len(asked), features=len(features))


if __name__ == "__main__":
    main()
