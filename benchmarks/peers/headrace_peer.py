"""Headrace's local engine on one thread, by the same protocol. The median of five calls; before them is `cold`."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from protocol import clock, features, folder, report

from headrace.core.clock import BEFORE_ALL, SECOND
from headrace.schema import EntitySet, Problem, Relationship, Table, each_row
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Aggregate

_TIME = pa.timestamp("us", tz="UTC")
PROBLEM = Problem(
    name="bench",
    entity_set=EntitySet(
        tables=(
            Table(name="keys", key="key", source="-"),
            Table(name="events", key="event_id", time="at", source="-", roles={"key": "id"}),
            Table(name="asked", key="row", time="cutoff", source="-"),
        ),
        relationships=(Relationship("keys.key", "events.key"), Relationship("keys.key", "asked.key")),
    ),
    spine=each_row("asked", cutoff="cutoff"),
    label="row",
    metric="rmse",
)


class Snapshot:
    def __init__(self, events: pa.Table) -> None:
        n = events.num_rows
        self._events = events.set_column(1, "at", events["at"].cast(_TIME))
        for name in ("event_id", "_order"):
            self._events = self._events.append_column(name, pa.array(np.arange(n)))
        self._events = self._events.append_column("_arrival", pa.array(np.full(n, BEFORE_ALL)))

    def table(self, name: str) -> pa.Table:
        assert name == "events"
        return self._events


def definition(feature: str) -> Aggregate:
    name, _, span = feature.partition("@")
    primitive, _, column = name.rpartition("_") if name != "count" else (name, "", "")
    lookback_us = int(span) * SECOND if span else None
    more: dict[str, Any] = {"column": column, "primitive": primitive, "lookback_us": lookback_us, "kind": "numeric"}
    return Aggregate(entity="key", table="events", keys=("key",), **more)


def main() -> None:
    events, asked = (pq.read_table(folder() / f"{name}.parquet") for name in ("events", "asked"))
    keys = pa.table({"key": asked["key"], "tick": asked["cutoff"]})
    definitions = [definition(feature) for feature in features()]
    taken = []
    for _ in range(6):
        started = clock()
        values = LocalEngine(threads=1).compute(PROBLEM, definitions, keys, Snapshot(events))
        taken.append(clock() - started)
    columns = {name: values[item.slug] for name, item in zip(features(), definitions, strict=True)}
    pq.write_table(pa.table({"row": asked["row"], **columns}), folder() / "values.parquet")
    report(statistics.median(taken[1:]), cold=taken[0])


if __name__ == "__main__":
    main()
