"""getML FastProp on the rows and tables that bench_relational exports: its default aggregations, per join key."""

from __future__ import annotations

import json

import getml
import pandas as pd
from getml_peer import engine_clock
from protocol import folder


def main() -> None:
    place = folder()
    spec = json.loads((place / "spec.json").read_text())
    asked = pd.read_parquet(place / "asked.parquet")
    getml.engine.launch(launch_browser=False, in_memory=True)
    getml.set_project("bench")
    keys = sorted({key for key, _, _ in spec["links"]})
    for key in keys:
        asked[key] = asked[key].astype(str)
    roles = {"join_key": keys, "time_stamp": ["cutoff"], "target": ["label"]}
    population = asked[[*keys, "cutoff", "label"]]
    rows = getml.data.DataFrame.from_pandas(population, "asked", roles=roles)
    train = getml.data.DataFrame.from_pandas(population[asked["train"]], "train_rows", roles=roles)
    star = getml.data.StarSchema(alias="population", train=train, test=rows)
    for number, (key, table, column) in enumerate(spec["links"]):
        events = pd.read_parquet(place / f"{table}.parquet")
        events = events.drop(columns=[name for name in spec["ids"][table] if name != column])
        events[column] = events[column].astype(str)
        for name in events.columns:
            if events[name].dtype == bool:
                events[name] = events[name].astype(float)
        numbers = [name for name in events.select_dtypes("number").columns if name != column]
        texts = [name for name in events.select_dtypes("object").columns if name != column]
        events = events[[column, "known_", *numbers, *texts]]
        frame = getml.data.DataFrame.from_pandas(
            events, f"{table}_{number}",
            roles={"join_key": [column], "time_stamp": ["known_"], "numerical": numbers, "categorical": texts},
        )  # fmt: skip
        star.join(frame, alias=f"{table}_{number}", on=(key, column), time_stamps=("cutoff", "known_"))
    loss = getml.feature_learning.loss_functions.SquareLoss
    learner = getml.feature_learning.FastProp(loss_function=loss, num_threads=2)
    pipeline = getml.Pipeline(data_model=star.data_model, feature_learners=[learner])
    pipeline.fit(star.train, check=False)
    values = pd.DataFrame(pipeline.transform(star.test))
    values.columns = [f"f{number}" for number in range(values.shape[1])]
    values.insert(0, "row", asked["row"].to_numpy())
    values.to_parquet(place / "values.parquet", index=False)
    (place / "figures.json").write_text(json.dumps({"engine_s": engine_clock()}))
    getml.engine.shutdown()


if __name__ == "__main__":
    main()
