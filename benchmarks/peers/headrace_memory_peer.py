"""The matrix written to a file below a memory limit: `FOLDER` (with its tables or lake) `depth|flights` `LIMIT_MB|0`.

The peak is counted from when the tables lie in memory and the kernels are loaded on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from protocol import clock, folder, report

from headrace.core.errors import DataError
from headrace.core.memory import release_unused_memory, resident_bytes
from headrace.schema import Problem
from headrace.synthesis.engines import LocalEngine, default_engine
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.matrix.written import write_matrix

Case = tuple[Problem, Sequence[Definition], pa.Table, Tables]


class Few:
    """The first rows of every table."""

    def __init__(self, snapshot: Tables) -> None:
        self._snapshot = snapshot

    def table(self, name: str) -> pa.Table:
        return self._snapshot.table(name).slice(0, 500)


def depth() -> Case:
    """Customers, sessions, transactions; featuretools' features by name."""
    from depth_world import FEATURES
    from headrace_depth_peer import PROBLEM, Snapshot

    from headrace.synthesis.featuretools import parse
    from headrace.synthesis.language.columns import column_kinds

    snapshot = Snapshot()
    asked = pq.read_table(folder() / "asked.parquet", columns=["row", "customer_id", "cutoff"])
    kinds = column_kinds(
        PROBLEM, {name: rows.schema for name, rows in snapshot.tables.items()} | {"asked": asked.schema}
    )
    features = [parse(PROBLEM, kinds, "customer_id", name) for name in FEATURES]
    needs = list(dict.fromkeys(need for feature in features for need in feature.needs))
    keys = pa.table({"customer_id": asked["customer_id"], "tick": asked["cutoff"], "cutoff": asked["cutoff"]})
    return PROBLEM, needs, keys, snapshot


def flights() -> Case:
    """All flights of the year, from the lake."""
    from headrace_flights_peer import definitions, prepared, problem

    from headrace.lake.store import Lake

    if not (folder() / "spine.parquet").exists():
        prepared(folder())
    columns = sorted({name for entity in problem.all_entities for name in entity.join_keys})
    spine = pq.read_table(folder() / "spine.parquet", columns=[*columns, "tick", "cutoff"])
    return problem, definitions(), spine, Lake(folder(), problem.name).snapshot()


def main() -> None:
    problem, definitions, spine, snapshot = {"depth": depth, "flights": flights}[sys.argv[2]]()
    limit = int(sys.argv[3]) * 1_000_000
    for table in problem.entity_set.tables:
        if table.name != "asked":
            snapshot.table(table.name)
    write_matrix(problem, definitions, spine.slice(0, 500), Few(snapshot), LocalEngine(), folder() / "few.parquet")
    release_unused_memory()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    held, told = resident_bytes(), []
    started = clock()
    try:
        engine = default_engine(max_memory=limit or None, progress=told.append)
        write_matrix(problem, definitions, spine, snapshot, engine, folder() / f"{limit}.parquet")
    except DataError as error:
        report(np.nan, held=held / 1e6, enough=float(error.facts["enough_mb"]))
        return
    parts = sum(line.endswith(" rows") for line in told)
    report(clock() - started, held=held / 1e6, parts=parts, rows=spine.num_rows, features=len(definitions))


if __name__ == "__main__":
    main()
