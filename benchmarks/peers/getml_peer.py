"""getML FastProp: fitted on 200 of the rows (it must be fitted), timed on all of them, on one thread of its engine."""

from __future__ import annotations

import os
from pathlib import Path

import getml
import numpy as np
import pandas as pd
from protocol import folder, report

_NAMES = {"SUM": "sum", "AVG": "mean", "MIN": "min", "MAX": "max"}


def engine_clock() -> float:
    """Seconds of processor time that getML's engine, a process beside this one, has taken so far."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, said = (process / "comm").read_text().strip(), (process / "stat").read_text()
        except OSError:  # ended meanwhile
            continue
        if name == "engine":
            ticks += sum(map(int, said.rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    getml.engine.launch(launch_browser=False, in_memory=True)
    getml.set_project("bench")
    events, asked = (pd.read_parquet(folder() / f"{name}.parquet") for name in ("events", "asked"))
    asked["target"] = np.random.default_rng(0).normal(size=len(asked))
    for frame, column in ((events, "at"), (asked, "cutoff")):
        frame[column] = pd.to_datetime(frame[column], unit="us")
    roles = {"join_key": ["key"], "time_stamp": ["cutoff"], "target": ["target"]}
    rows = getml.data.DataFrame.from_pandas(asked, "asked", roles=roles)
    few = getml.data.DataFrame.from_pandas(asked.head(200), "few", roles=roles)
    child = getml.data.DataFrame.from_pandas(
        events, "events", roles={"join_key": ["key"], "time_stamp": ["at"], "numerical": ["x", "y"]}
    )
    star = getml.data.StarSchema(alias="population", train=few, test=rows)
    star.join(child, on="key", time_stamps=("cutoff", "at"))
    aggregations = getml.feature_learning.aggregations
    learner = getml.feature_learning.FastProp(
        loss_function=getml.feature_learning.loss_functions.SquareLoss,
        aggregation=[aggregations.COUNT, aggregations.SUM, aggregations.AVG, aggregations.MIN, aggregations.MAX],
        num_threads=1,
    )
    pipeline = getml.Pipeline(data_model=star.data_model, feature_learners=[learner])
    pipeline.fit(star.train, check=False)
    started = engine_clock()
    values = pipeline.transform(star.test)
    seconds = engine_clock() - started
    pd.DataFrame(values).to_parquet(folder() / "values.parquet")
    report(seconds, features=int(values.shape[1]))
    getml.engine.shutdown()


if __name__ == "__main__":
    main()
