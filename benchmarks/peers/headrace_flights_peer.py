"""All flights of a year, Parquet to Parquet, on two threads: `FOLDER` gets the lake, the spine and the matrix."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow.parquet as pq
from protocol import clock, folder, report

from headrace.core.clock import BEFORE_ALL, DAY, HOUR, to_us
from headrace.lake.store import Lake
from headrace.problems.flights import problem
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Aggregate
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.spine.build import build_spine

ENTITIES = {
    "origin": ("origin",),
    "dest": ("dest",),
    "carrier": ("carrier",),
    "route": ("origin", "dest"),
    "tailnum": ("tailnum",),
    "flight_number": ("carrier", "flight"),
}
LOOKBACKS = (6 * HOUR, DAY, 7 * DAY, 30 * DAY, None)
#: Primitive, column.
ASKED = (
    ("count", ""),
    *((name, column) for column in ("arr_delay", "dep_delay") for name in ("mean", "std", "min", "max")),
    ("mean", "air_time"),
    ("percent_true", "cancelled"),
    ("percent_true", "label"),
)


def definitions() -> list[Aggregate]:
    return [
        Aggregate(
            entity=entity,
            table="flights",
            keys=keys,
            column=column,
            primitive=primitive,
            lookback_us=lookback_us,
            kind="numeric",
        )
        for entity, keys in ENTITIES.items()
        for lookback_us in LOOKBACKS
        for primitive, column in ASKED
    ]


def prepared(place: Path) -> None:
    """The year as one bootstrap load, and its spine."""
    lake = Lake(place, problem.name)
    for table in problem.entity_set.tables:
        lake.append(table, table.source.read(), arrival_us=BEFORE_ALL, bootstrap=True)
    end_us = to_us("2014-02-01")
    pq.write_table(
        build_spine(problem, lake.snapshot(), end_us=end_us, now_us=end_us, engine=LocalEngine()),
        place / "spine.parquet",
    )


def main() -> None:
    place = folder()
    prepared(place)
    asked, taken, used = definitions(), [], []
    for _ in range(3):
        started, busy = time.perf_counter(), clock()
        spine = pq.read_table(place / "spine.parquet")
        matrix = feature_matrix(problem, asked, spine, Lake(place, problem.name).snapshot(), LocalEngine(threads=2))
        pq.write_table(matrix, place / "values.parquet", compression="lz4", use_dictionary=False)
        taken.append(time.perf_counter() - started)
        used.append(clock() - busy)
        print(f"{taken[-1]:.2f} s, {used[-1]:.2f} s of processor time", flush=True)
    load = os.getloadavg()[0]
    report(
        min(taken[1:]), cold=taken[0], processor=min(used[1:]), load=load, features=len(asked), cutoffs=matrix.num_rows
    )


if __name__ == "__main__":
    main()
